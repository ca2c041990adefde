//! From what a user says of a remote to a component at work on it: the steps that
//! Plakar's plugins and a person's commands have in common.

use anyhow::Context;
use std::path::PathBuf;

use crate::audit::{Event, Trail};
use crate::contract::{Failure, Remote};
use crate::policy::{Grant, Policies, Use};
use crate::rclone::binary::Binary;
use crate::rclone::fingerprint::Fingerprint;
use crate::rclone::photos::{self, Aim};
use crate::rclone::remote::{self, Said};
use crate::rclone::state::State;
use crate::rclone::{Rclone, Secrets};
use crate::sandbox::{Connector, Load, Session};

/// The connector's file name, beside this executable.
const COMPONENT: &str = "rclone.wasm";

/// How this program was started, as far as it concerns each session.
#[derive(Debug, Clone)]
pub struct Setting {
    pub component: PathBuf,
    /// A policy beside those that are in force anyway.
    pub policy: Option<PathBuf>,
}

/// A component at work, not yet told of its remote.
pub struct Opened {
    pub session: Session,
    /// What the component may know of the remote.
    pub remote: Remote,
    pub fingerprint: Fingerprint,
}

/// A remote that the policies allow.
pub struct Allowed {
    pub remote: remote::Remote,
    /// The connector's own options.
    pub options: Vec<(String, String)>,
    pub grant: Grant,
    trail: Trail,
}

/// Starts a component for a remote.
pub async fn open(said: Said, setting: &Setting, aim: Aim) -> Result<Opened, Failure> {
    let r#use = match aim {
        Aim::Look | Aim::BackUp => Use::Importer,
        Aim::Restore => Use::Exporter,
    };
    let allowed = allow(said, setting, r#use)?;
    let state = State::open()?;
    let binary = Binary::find(&state, allowed.remote.backend(), &allowed.grant.program).await?;
    tracing::info!("rclone {} at `{}`", binary.version, binary.path().display());
    photos::heed(&allowed.remote, &state, aim)?;
    start(allowed, &state, binary, setting)
}

/// Asks the policies in force about a remote, and notes what they say.
pub fn allow(said: Said, setting: &Setting, r#use: Use) -> Result<Allowed, Failure> {
    let policies = Policies::in_force(setting.policy.as_deref())?;
    let trail = Trail::open(&policies.audit())?;
    let parsed = remote::Remote::from_plakar(said);
    let (mut remote, options) = parsed.inspect_err(|failure| {
        trail.note(decision(None, r#use, Err(failure)));
    })?;
    let decided = policies.decide(&remote.request(r#use));
    trail.note(decision(Some(&remote), r#use, decided.as_ref()));
    let grant = decided?;
    remote.pin(&grant.pinned);
    Ok(Allowed { remote, options, grant, trail })
}

/// What the audit log is told of a decision.
fn decision(
    remote: Option<&remote::Remote>,
    r#use: Use,
    decided: Result<&Grant, &Failure>,
) -> Event {
    let secrets = remote.map(Secrets::of).unwrap_or_default();
    Event::Decision {
        remote: remote.map(|remote| remote.fingerprint().short()).unwrap_or_default(),
        backend: remote.map(|remote| remote.backend().to_owned()).unwrap_or_default(),
        path: remote.map(|remote| secrets.strike(remote.path())).unwrap_or_default(),
        r#use: r#use.name().to_owned(),
        rules: decided.map(|grant| grant.rules.clone()).unwrap_or_default(),
        allowed: decided.is_ok(),
        why: decided.err().map(|failure| secrets.strike(&failure.message)).unwrap_or_default(),
    }
}

/// The last step of it: what was found comes together.
pub fn start(
    allowed: Allowed,
    state: &State,
    binary: Binary,
    setting: &Setting,
) -> Result<Opened, Failure> {
    let Allowed { remote: named, options, grant, trail } = allowed;
    let remote =
        Remote { backend: named.backend().to_owned(), root: named.path().to_owned(), options };
    let fingerprint = named.fingerprint();
    let connector = Connector::load(&setting.component, Load::Ready)?;
    let rclone = Rclone::new(binary, named, state, grant, trail)?;
    Ok(Opened { session: Session::start(&connector, rclone), remote, fingerprint })
}

/// The component that comes with this program.
pub fn own_component() -> anyhow::Result<PathBuf> {
    let executable = std::env::current_exe().context("this program doesn't know where it is")?;
    Ok(executable.with_file_name(COMPONENT))
}
