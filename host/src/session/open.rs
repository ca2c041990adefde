//! From what a user says of a remote to a component at work on it: the steps that
//! Plakar's plugins and a person's commands have in common.

use std::path::PathBuf;
use std::sync::Arc;

use super::tenant::Client;
use crate::audit::{AuditLog, Event, Subject};
use crate::connector::{Failure, Reason, Remote};
use crate::direction::Direction;
use crate::policy::hosts::lookup;
use crate::policy::{Grant, Policies};
use crate::quota::SessionQuota;
use crate::rclone::binary::Binary;
use crate::rclone::commands::concurrency;
use crate::rclone::google_photos::{self, Aim};
use crate::rclone::remote::fingerprint::Fingerprint;
use crate::rclone::remote::{self, Said};
use crate::rclone::state::State;
use crate::rclone::{Rclone, Secrets};
use crate::sandbox::{self, Connector, Load, Session};

/// The protocol of the connector that comes with this program.
const OWN: &str = "rclone";

/// How this program was started, as far as it concerns each session.
#[derive(Clone, Default)]
pub struct Setting {
    /// The connector, if not the one beside this program that its protocol names.
    pub component: Option<PathBuf>,
    /// A policy beside those that are in force anyway.
    pub policy: Option<PathBuf>,
    /// Whose session it is, if not of whoever started this program.
    pub client: Option<Client>,
}

impl Setting {
    /// The same for a session that is asked for now, however long ago its client connected.
    pub fn at_present(&self) -> Result<Self, Failure> {
        let client = self.client.as_ref().map(Client::at_present).transpose()?;
        Ok(Self { client, ..self.clone() })
    }

    fn state(&self) -> Result<State, Failure> {
        match &self.client {
            Some(client) => Ok(client.tenant.state.clone()),
            None => State::open(),
        }
    }

    /// Where the lines of a session go that these policies concern.
    pub fn audit(&self, policies: &Policies) -> Result<AuditLog, Failure> {
        match &self.client {
            Some(client) => AuditLog::open(
                &(&policies.audit_destinations() | &client.tenant.audit),
                client.subject.clone(),
            ),
            None => AuditLog::open(&policies.audit_destinations(), Subject::local()),
        }
    }

    /// Waits for a place among the sessions of a service.
    async fn admitted(&self) -> Result<SessionQuota, Failure> {
        match &self.client {
            Some(client) => client.admit().await,
            None => Ok(SessionQuota::default()),
        }
    }
}

/// A component at work, not yet told of its remote.
pub struct Opened {
    pub session: Session,
    /// What the component may know of the remote.
    pub remote: Remote,
    pub fingerprint: Fingerprint,
    /// The protocol that Plakar knows the connector by.
    pub protocol: String,
}

/// A remote that the policies allow.
pub struct Allowed {
    pub remote: remote::Remote,
    /// The connector's own options.
    pub options: Vec<(String, String)>,
    pub grant: Grant,
    protocol: String,
    trail: AuditLog,
}

/// A session that was allowed and hasn't begun, of which the audit log is told if it ends
/// there.
struct Beginning {
    trail: AuditLog,
    remote: String,
    secrets: Secrets,
    over: bool,
}

impl Beginning {
    fn of(Allowed { remote, trail, .. }: &Allowed) -> Self {
        let secrets = Secrets::of(remote);
        Self { trail: trail.clone(), remote: remote.fingerprint().short(), secrets, over: false }
    }

    /// Passes on how it went.
    fn told<T>(mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        self.over = true;
        result.inspect_err(|failure| self.note(&failure.message))
    }

    fn note(&self, why: &str) {
        let why = self.secrets.strike(why);
        self.trail.record_best_effort(Event::StartFailed { remote: self.remote.clone(), why });
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        if !self.over {
            self.note("its client went away");
        }
    }
}

/// Starts a component for a remote.
pub async fn open(said: Said, setting: &Setting, aim: Aim) -> Result<Opened, Failure> {
    let direction = match aim {
        Aim::Look | Aim::BackUp => Direction::Backup,
        Aim::Restore => Direction::Restore,
    };
    let allowed = allow(said, setting, direction)?;
    let beginning = Beginning::of(&allowed);
    let prepared = prepare(&allowed, setting, aim).await;
    let (hosted, state, binary) = beginning.told(prepared)?;
    start(allowed, &state, binary, setting, hosted)
}

/// What has to be there after the policies' word: a place, a directory, an rclone.
async fn prepare(
    allowed: &Allowed,
    setting: &Setting,
    aim: Aim,
) -> Result<(SessionQuota, State, Binary), Failure> {
    if aim == Aim::Restore {
        allowed.remote.can_be_written()?;
    }
    let hosted = setting.admitted().await?;
    let state = setting.state()?;
    let Grant { program, enforcement, .. } = &allowed.grant;
    let backend = allowed.remote.backend();
    let binary = Binary::find(&state, backend, program, *enforcement, &allowed.trail).await?;
    lookup::check_public(&allowed.grant.public_hosts).await?;
    tracing::info!("rclone {} at `{}`", binary.version, binary.path().display());
    google_photos::heed(&allowed.remote, &state, aim)?;
    Ok((hosted, state, binary))
}

/// Asks the policies in force about a remote, and notes what they say.
pub fn allow(said: Said, setting: &Setting, direction: Direction) -> Result<Allowed, Failure> {
    let own;
    let policies = match &setting.client {
        Some(client) => &client.tenant.policies,
        None => {
            own = Policies::load(setting.policy.as_deref())?;
            &own
        }
    };
    let trail = setting.audit(policies)?;
    let protocol = said.protocol().unwrap_or(OWN).to_owned();
    let parsed = match &setting.client {
        // Whoever runs the service has one, and tenants don't.
        Some(_) if said.names_users_remote() => Err(Failure::new(
            Reason::Unsupported,
            "a service reads nobody's rclone.conf: import the remote with `rclone config dump | plakar source import -rclone NAME`",
        )),
        _ => remote::Remote::unchecked(said),
    };
    let (mut remote, options) = match parsed {
        Ok(parsed) => parsed,
        Err(failure) => {
            trail.record(decision(None, direction, Err(&failure)))?;
            return Err(failure);
        }
    };
    let decided = decide(policies, &mut remote, direction);
    trail.record(decision(Some(&remote), direction, decided.as_ref()))?;
    let grant = decided?;
    Ok(Allowed { remote, options, grant, protocol, trail })
}

/// What the policies let a session have of a remote, which gets the options that they pin.
fn decide(
    policies: &Policies,
    remote: &mut remote::Remote,
    direction: Direction,
) -> Result<Grant, Failure> {
    remote.check()?;
    let grant = policies.decide(&remote.request(direction))?;
    remote.pin(&grant.pins)?;
    Ok(grant)
}

/// What the audit log is told of a decision.
fn decision(
    remote: Option<&remote::Remote>,
    direction: Direction,
    decided: Result<&Grant, &Failure>,
) -> Event {
    let secrets = remote.map(Secrets::of).unwrap_or_default();
    Event::Decision {
        remote: remote.map(|remote| remote.fingerprint().short()).unwrap_or_default(),
        backend: remote.map(|remote| remote.backend().to_owned()).unwrap_or_default(),
        path: remote.map(|remote| secrets.strike(remote.path())).unwrap_or_default(),
        r#use: direction.name().to_owned(),
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
    hosted: SessionQuota,
) -> Result<Opened, Failure> {
    let beginning = Beginning::of(&allowed);
    beginning.told(assemble(allowed, state, binary, setting, hosted))
}

fn assemble(
    allowed: Allowed,
    state: &State,
    binary: Binary,
    setting: &Setting,
    hosted: SessionQuota,
) -> Result<Opened, Failure> {
    let Allowed { remote: named, options, grant, protocol, trail } = allowed;
    let streams = concurrency::of(named.sections().values(), &options);
    let remote = Remote {
        backend: named.backend().to_owned(),
        root: named.path().to_owned(),
        streams: u32::try_from(streams).unwrap_or(u32::MAX),
        options,
    };
    let connector = load(setting, &protocol)?;
    let stop = setting.client.as_ref().map(|client| client.stop.clone());
    let rclone = Rclone::new(binary, named, state, grant, trail, hosted, streams)?;
    let fingerprint = rclone.fingerprint();
    let session = Session::start(&connector, rclone, stop);
    Ok(Opened { session, remote, fingerprint, protocol })
}

/// Loads the connector that was named, or else the one of this protocol: a package has
/// `PROTOCOL.wasm` beside its executable, which is this program.
fn load(setting: &Setting, protocol: &str) -> Result<Arc<Connector>, Failure> {
    if let Some(client) = &setting.client {
        return client.tenant.connectors.get(protocol);
    }
    if let Some(named) = &setting.component {
        // What may lie beside it, compiled ahead, is nobody's word that we have.
        return Connector::load(named, Load::Compile).map(Arc::new);
    }
    let file = sandbox::file_of(&sandbox::beside()?, protocol)?;
    Connector::load(&file, Load::Ready).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_names_what_lies_beside_this_program_and_nothing_else() {
        let setting = Setting::default();
        let refusal = |protocol| load(&setting, protocol).err().map(|failure| failure.message);
        for bad in ["../rclone", "a/b", "a b", "ü", "a\0"] {
            assert!(refusal(bad).is_some_and(|why| why.contains("is no protocol")), "{bad:?}");
        }
        let missing = refusal("punch-cards").unwrap();
        assert!(missing.contains("/punch-cards.wasm` can't be read"), "{missing}");
    }
}
