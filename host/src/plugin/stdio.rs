//! The standard streams of this process, which are pipes where Plakar starts it.

use rustix::stdio::{stdin, stdout};
use rustix::termios::isatty;
use std::io;
use tokio::io::Join;
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::invocation;
use crate::kernel::pipe;

/// The reason why the standard streams can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    #[error(
        "this is a plugin that plakar starts by itself; help: install the package with `plakar pkg \
         add`, or try `{0} ls NAME:path` (see `{0} --help`)",
        invocation::command()
    )]
    Terminal,
    #[error("stdin and stdout must be pipes, as plakar makes them: {0}")]
    NotPipe(#[from] io::Error),
}

/// Returns both pipes: from Plakar, and to it.
///
/// # Errors
///
/// Fails if stdin and stdout are a terminal, or not pipes.
pub fn pipes() -> Result<(Receiver, Sender), StdioError> {
    if isatty(stdin()) || isatty(stdout()) {
        return Err(StdioError::Terminal);
    }
    let input = Receiver::from_owned_fd(stdin().try_clone_to_owned()?)?;
    let output = Sender::from_owned_fd(stdout().try_clone_to_owned()?)?;
    for pipe in [stdin(), stdout()] {
        pipe::widen(pipe);
    }
    Ok((input, output))
}

/// Returns both pipes as one connection.
///
/// # Errors
///
/// Fails if stdin and stdout are a terminal, or not pipes.
pub fn connection() -> Result<Join<Receiver, Sender>, StdioError> {
    pipes().map(|(input, output)| tokio::io::join(input, output))
}
