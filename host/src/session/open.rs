//! The steps that Plakar's plugins and the commands by hand have in common: authorize the
//! remote, admit the session, find rclone, start the component.

use std::path::Path;
use std::sync::Arc;

use super::start_audit::StartAudit;
use super::{AuthorizedRemote, RemoteSpec, SessionContext, authorize, store};
use crate::connector::{Failure, Reason, Remote};
use crate::direction::Direction;
use crate::policy::Grant;
use crate::policy::hosts::lookup;
use crate::quota::SessionQuota;
use crate::rclone::Rclone;
use crate::rclone::binary::Binary;
use crate::rclone::commands::concurrency;
use crate::rclone::google_photos;
use crate::rclone::remote::fingerprint::Fingerprint;
use crate::rclone::state::State;
use crate::sandbox::{self, CodeSource, Connector, Session};

/// A request for a session.
pub struct OpenRequest {
    /// The remote, as Plakar or a user by hand describes it.
    pub spec: RemoteSpec,
    /// The use of the remote: a backup, a restore or a store.
    pub direction: Direction,
    /// Skips the checks and notices of a backup, for a user who only looks at the remote.
    pub quiet: bool,
}

/// A component at work that hasn't received its remote yet.
pub struct OpenSession {
    pub session: Session,
    /// The part of the remote's configuration that the component receives.
    pub remote: Remote,
    pub fingerprint: Fingerprint,
    /// The protocol by which Plakar knows the connector.
    pub protocol: String,
}

/// The parts that an authorized session needs to start.
pub struct Prepared {
    pub quota: SessionQuota,
    pub state: State,
    pub binary: Binary,
}

/// Opens a session.
///
/// # Errors
///
/// Fails if the remote is not allowed, the session is not admitted, or it can't be started.
pub async fn open(
    OpenRequest { spec, direction, quiet }: OpenRequest,
    context: &SessionContext,
) -> Result<OpenSession, Failure> {
    let authorized = authorize(spec, context, direction)?;
    let audit = StartAudit::new(&authorized);
    let prepared = audit.finish(prepare(&authorized, context, quiet).await)?;
    start(authorized, prepared, context)
}

/// Admits the session, and finds what it needs.
async fn prepare(
    authorized: &AuthorizedRemote,
    context: &SessionContext,
    quiet: bool,
) -> Result<Prepared, Failure> {
    let AuthorizedRemote { remote, grant, direction, trail, .. } = authorized;
    match direction {
        Direction::Backup => {}
        Direction::Restore => remote.check_writable()?,
        Direction::Store => store::check_backends(remote)?,
    }
    let quota = context.admit().await?;
    let state = context.state()?;
    let Grant { program, enforcement, .. } = grant;
    let binary = Binary::find(&state, remote.backend(), program, *enforcement, trail).await?;
    lookup::check_public(&grant.public_hosts).await?;
    tracing::info!("rclone {} at `{}`", binary.version, binary.path().display());
    if !quiet {
        google_photos::preflight(remote, &state, *direction)?;
    }
    Ok(Prepared { quota, state, binary })
}

/// Starts the component of a session that was authorized and prepared.
///
/// # Errors
///
/// Fails if the component can't be loaded, or the remote's private configuration not made.
pub fn start(
    authorized: AuthorizedRemote,
    prepared: Prepared,
    context: &SessionContext,
) -> Result<OpenSession, Failure> {
    let audit = StartAudit::new(&authorized);
    audit.finish(start_component(authorized, prepared, context))
}

fn start_component(
    authorized: AuthorizedRemote,
    prepared: Prepared,
    context: &SessionContext,
) -> Result<OpenSession, Failure> {
    let AuthorizedRemote { remote: configured, options, grant, protocol, direction, trail } =
        authorized;
    let Prepared { quota, state, binary } = prepared;
    let streams = concurrency::streams(configured.sections().values(), &options);
    let remote = Remote {
        backend: configured.backend().to_owned(),
        root: configured.path().to_owned(),
        streams: u32::try_from(streams).unwrap_or(u32::MAX),
        options,
    };
    let connector = load_connector(context, &protocol)?;
    if direction == Direction::Store && !connector.can_store() {
        let message = format!("the connector `{protocol}` can't hold a store");
        return Err(Failure::new(Reason::Unsupported, message));
    }
    let stop = context.client.as_ref().map(|client| client.stop.clone());
    let rclone = Rclone::new(binary, configured, &state, grant, trail, quota, streams)?;
    let rclone = if direction == Direction::Store { rclone.with_objects() } else { rclone };
    let fingerprint = rclone.fingerprint();
    let session = Session::start(&connector, rclone, stop);
    Ok(OpenSession { session, remote, fingerprint, protocol })
}

/// Loads the connector that was named, or else the one of this protocol: a package has
/// `PROTOCOL.wasm` next to its executable, which is this program.
fn load_connector(context: &SessionContext, protocol: &str) -> Result<Arc<Connector>, Failure> {
    if let Some(client) = &context.client {
        return client.tenant.connectors.get(protocol);
    }
    let load = |file: &Path, source| Connector::load(file, source).map(Arc::new);
    if let Some(file) = &context.component {
        // There is no reason to trust precompiled code next to any other file.
        return load(file, CodeSource::Compile);
    }
    let file = sandbox::component_path(&sandbox::program_directory()?, protocol)?;
    load(&file, CodeSource::Precompiled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_names_a_file_next_to_this_program_and_nothing_else() {
        let context = SessionContext::default();
        let refusal =
            |protocol| load_connector(&context, protocol).err().map(|failure| failure.message);
        for bad in ["../rclone", "a/b", "a b", "ü", "a\0"] {
            assert!(
                refusal(bad).is_some_and(|why| why.contains("not a valid protocol")),
                "{bad:?}"
            );
        }
        let missing = refusal("punch-cards").unwrap();
        assert!(missing.contains("/punch-cards.wasm` can't be read"), "{missing}");
    }
}
