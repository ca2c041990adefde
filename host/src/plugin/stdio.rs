//! Our stdin and stdout, which Plakar makes pipes.

use rustix::stdio::{stdin, stdout};
use rustix::termios::isatty;
use std::io;
use tokio::io::Join;
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::cli::invocation;
use crate::kernel::pipe;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error(
        "this is a plugin that plakar starts by itself: install the package with `plakar pkg add`, \
         or try `{0} ls NAME:path` (see `{0} --help`)",
        invocation::command()
    )]
    Terminal,
    #[error("stdin and stdout must be pipes, as plakar makes them: {0}")]
    NoPipe(#[from] io::Error),
}

/// Both pipes: from Plakar, and to it.
pub fn pipes() -> Result<(Receiver, Sender), Unusable> {
    if isatty(stdin()) || isatty(stdout()) {
        return Err(Unusable::Terminal);
    }
    let input = Receiver::from_owned_fd(stdin().try_clone_to_owned()?)?;
    let output = Sender::from_owned_fd(stdout().try_clone_to_owned()?)?;
    for pipe in [stdin(), stdout()] {
        pipe::widen(pipe);
    }
    Ok((input, output))
}

/// The same as one connection.
pub fn connection() -> Result<Join<Receiver, Sender>, Unusable> {
    pipes().map(|(input, output)| tokio::io::join(input, output))
}
