//! From what a user says of a remote to a component at work on it: the steps that
//! Plakar's plugins and a person's commands have in common.

use anyhow::Context;
use std::path::{Path, PathBuf};

use crate::contract::{Failure, Remote};
use crate::rclone::Rclone;
use crate::rclone::binary::Binary;
use crate::rclone::fingerprint::Fingerprint;
use crate::rclone::photos::{self, Aim};
use crate::rclone::remote::{self, Said};
use crate::rclone::state::State;
use crate::sandbox::{Connector, Load, Session};

/// The connector's file name, beside this executable.
const COMPONENT: &str = "rclone.wasm";

/// A component at work, not yet told of its remote.
pub struct Opened {
    pub session: Session,
    /// What the component may know of the remote.
    pub remote: Remote,
    pub fingerprint: Fingerprint,
}

/// Starts the component in `path` for a remote.
pub async fn open(said: Said, path: &Path, aim: Aim) -> Result<Opened, Failure> {
    let (named, options) = remote::Remote::from_plakar(said)?;
    let state = State::open()?;
    let binary = Binary::find(&state, named.backend())?;
    tracing::info!("rclone {} at `{}`", binary.version, binary.path().display());
    photos::heed(&named, &state, aim)?;
    start(named, options, &state, binary, path)
}

/// The last step of it: what was found comes together.
pub fn start(
    named: remote::Remote,
    options: Vec<(String, String)>,
    state: &State,
    binary: Binary,
    path: &Path,
) -> Result<Opened, Failure> {
    let remote =
        Remote { backend: named.backend().to_owned(), root: named.path().to_owned(), options };
    let fingerprint = named.fingerprint();
    let connector = Connector::load(path, Load::Ready)?;
    let rclone = Rclone::new(binary, named, state)?;
    Ok(Opened { session: Session::start(&connector, rclone), remote, fingerprint })
}

/// The component that comes with this program.
pub fn own_component() -> anyhow::Result<PathBuf> {
    let executable = std::env::current_exe().context("this program doesn't know where it is")?;
    Ok(executable.with_file_name(COMPONENT))
}
