//! Authorization: the policies in force decide about a remote, and the audit log records it.

use super::{RemoteSpec, SessionContext};
use crate::audit::{AuditLog, Event};
use crate::connector::{Failure, Reason};
use crate::direction::Direction;
use crate::policy::{Grant, Policies};
use crate::rclone::Secrets;
use crate::rclone::remote::Remote;

/// The protocol of the connector that comes with this program.
const DEFAULT_PROTOCOL: &str = "rclone";

/// A remote that the policies allow.
pub struct AuthorizedRemote {
    pub remote: Remote,
    /// The connector's own options.
    pub options: Vec<(String, String)>,
    pub grant: Grant,
    /// The protocol by which Plakar knows the connector.
    pub protocol: String,
    pub(super) direction: Direction,
    pub(super) trail: AuditLog,
}

/// Asks the policies in force about a remote, and records the decision.
///
/// # Errors
///
/// Fails if the remote's configuration is invalid, the policies don't allow it, or the decision
/// can't be recorded.
pub fn authorize(
    spec: RemoteSpec,
    context: &SessionContext,
    direction: Direction,
) -> Result<AuthorizedRemote, Failure> {
    let policies = context.policies()?;
    let trail = context.audit(&policies)?;
    let protocol = spec.protocol().unwrap_or(DEFAULT_PROTOCOL).to_owned();
    let (mut remote, options) = match parse(spec, context) {
        Ok(parsed) => parsed,
        Err(failure) => {
            trail.record(decision(None, direction, Err(&failure)))?;
            return Err(failure);
        }
    };
    let decided = decide(&policies, &mut remote, direction);
    trail.record(decision(Some(&remote), direction, decided.as_ref()))?;
    let grant = decided?;
    Ok(AuthorizedRemote { remote, options, grant, protocol, direction, trail })
}

/// Parses what Plakar says of the remote.
fn parse(
    spec: RemoteSpec,
    context: &SessionContext,
) -> Result<(Remote, Vec<(String, String)>), Failure> {
    // The user who runs the service has an rclone.conf, and tenants don't.
    if context.client.is_some() && spec.names_user_remote() {
        return Err(Failure::new(Reason::Unsupported, "a service doesn't read any rclone.conf")
            .with_help(
                "import the remote with `rclone config dump | plakar source import -rclone NAME`",
            ));
    }
    Remote::from_plakar_unchecked(spec)
}

/// Decides what a session may do with a remote, which gets the options that the policies pin.
fn decide(
    policies: &Policies,
    remote: &mut Remote,
    direction: Direction,
) -> Result<Grant, Failure> {
    remote.check()?;
    let grant = policies.decide(&remote.request(direction))?;
    remote.pin(&grant.pins)?;
    Ok(grant)
}

/// Makes the audit event of a decision.
fn decision(
    remote: Option<&Remote>,
    direction: Direction,
    decided: Result<&Grant, &Failure>,
) -> Event {
    let secrets = remote.map(Secrets::from_remote).unwrap_or_default();
    Event::Decision {
        remote: remote.map(|remote| remote.fingerprint().short()).unwrap_or_default(),
        backend: remote.map(|remote| remote.backend().to_owned()).unwrap_or_default(),
        path: remote.map(|remote| secrets.redact(remote.path())).unwrap_or_default(),
        r#use: direction.name().to_owned(),
        rules: decided.map(|grant| grant.rules.clone()).unwrap_or_default(),
        allowed: decided.is_ok(),
        why: decided
            .err()
            .map(|failure| secrets.redact_failure(failure).to_string())
            .unwrap_or_default(),
    }
}
