//! From a connection to a session: who is it, whose is it, and is there room.

use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tracing::{debug, info, info_span, warn};

use super::authorization::Credentials;
use super::connection::{self, ClientStream};
use super::handshake::{self, Answer, Hello, VERSION};
use super::listener::{self, SocketFile};
use super::pending::{PendingPermit, Source};
use super::rejections::{Cause, Rejection};
use super::tls::PresentedCertificate;
use crate::audit::{Subject, new_session_name};
use crate::direction::Direction;
use crate::kernel;
use crate::plugin;
use crate::quota::counters::Counters;
use crate::quota::semaphore::OwnedPermit;
use crate::service::Service;
use crate::service::admin::sessions::SessionGuard;
use crate::service::config::tenants::Identity;
use crate::service::tenants::runtime::TenantRuntime;
use crate::session::SessionContext;
use crate::session::tenant::TenantClient;

/// How long it waits where the system has no more connections to give.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// A user that stands for whoever comes with a certificate, in the audit log.
const OVERFLOW_UID: u32 = 65534;

/// Somebody who was found to be of a tenant.
struct AcceptedClient {
    runtime: Arc<TenantRuntime>,
    role: Direction,
    credentials: Arc<Credentials>,
    /// Its place among the connections of its tenant.
    permit: OwnedPermit,
}

/// The sockets at which clients connect.
pub struct Listeners {
    socket: Option<UnixListener>,
    address: Option<TcpListener>,
    _file: Option<SocketFile>,
}

impl Listeners {
    pub fn new(opened: listener::Listeners) -> io::Result<Self> {
        let listener::Listeners { socket, address, file } = opened;
        Ok(Self {
            socket: socket.map(UnixListener::from_std).transpose()?,
            address: address.map(TcpListener::from_std).transpose()?,
            _file: file,
        })
    }
}

impl Service {
    /// Takes in whoever comes next.
    pub async fn accept_one(self: &Arc<Self>, listeners: &Listeners) {
        let local = async {
            match &listeners.socket {
                Some(listener) => listener.accept().await.map(|(socket, _)| socket),
                None => std::future::pending().await,
            }
        };
        let remote = async {
            match &listeners.address {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        let taken = tokio::select! {
            // Places are taken here, so that no more are there at once than there are places.
            socket = local => socket.and_then(|socket| {
                let user = kernel::peer(&socket)?;
                let place = self.pending.enter(Source::User(user.uid), self.client_limits());
                let identity = Identity::User { uid: user.uid, gid: user.gid };
                let credentials = Credentials { identity, certificate: None };
                tokio::spawn(self.clone().authenticate(ClientStream::Local(socket), credentials, place));
                Ok(())
            }),
            socket = remote => socket.map(|(socket, from)| {
                let place = self.handshakes.enter(from.ip().into(), self.client_limits());
                tokio::spawn(self.clone().accept_tls(socket, place));
            }),
        };
        if let Err(error) = taken {
            let message = format!("no connection can be taken for the moment: {error}");
            let rejection = Rejection { cause: Cause::Unaccepted, message };
            self.reject("whoever comes", &rejection);
            tokio::time::sleep(ACCEPT_BACKOFF).await;
        }
    }

    async fn accept_tls(self: Arc<Self>, socket: TcpStream, place: PendingPermit) {
        let Some(acceptor) = self.loaded().tls.as_ref().map(|tls| tls.acceptor.clone()) else {
            return;
        };
        // Few bytes at a time are a wait otherwise.
        let _ = socket.set_nodelay(true);
        let _ = connection::enable_keepalive(&socket);
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(handshake::HANDSHAKE_TIMEOUT, acceptor.accept(socket)) => shaken,
            () = place.evicted() => return self.reject_crowd(&place),
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let message = format!("there is no TLS with it: {error}");
                return self.reject_pending(&place, Cause::Tls, message);
            }
            Err(_) => {
                let message = "it showed no certificate in time".to_owned();
                return self.reject_pending(&place, Cause::Silent, message);
            }
        };
        let shown = PresentedCertificate::now(stream.get_ref().1.peer_certificates());
        let credentials = Credentials {
            identity: Identity::Certificate(shown.names()),
            certificate: Some(shown),
        };
        // Who is a tenant stands beside no stranger any more.
        let place = match self.runtime(&credentials.identity) {
            Some(runtime) => {
                let source = Source::Tenant(runtime.tenant.name.clone());
                self.pending.enter(source, self.client_limits())
            }
            None => place,
        };
        self.authenticate(ClientStream::Remote(Box::new(stream)), credentials, place).await;
    }

    /// Hears what somebody wants, who has a place as long as it isn't said.
    async fn authenticate(
        self: Arc<Self>,
        mut stream: ClientStream,
        credentials: Credentials,
        place: PendingPermit,
    ) {
        let received = tokio::select! {
            received = stream.receive() => received,
            () = place.evicted() => return self.reject_crowd(&place),
        };
        let hello = match received {
            Ok(hello) => hello,
            Err(error) => {
                let message = format!("it said nothing that makes sense: {error}");
                return self.reject_pending(&place, Cause::Silent, message);
            }
        };
        match self.authorize(&hello, &credentials) {
            Ok((runtime, permit)) => {
                drop(place);
                let credentials = Arc::new(credentials);
                self.spawn_session(
                    stream,
                    AcceptedClient { runtime, role: hello.role, credentials, permit },
                )
                .await;
            }
            Err(rejection) => {
                self.reject(&credentials.identity.to_string(), &rejection);
                // Who has gone away needn't hear it.
                let answer = Answer::Refused { message: rejection.message };
                tokio::select! {
                    _ = stream.send(&answer) => (),
                    () = place.evicted() => (),
                }
            }
        }
    }

    fn reject_crowd(&self, place: &PendingPermit) {
        let message = "too many connections from there haven't said yet who they are".to_owned();
        self.reject_pending(place, Cause::TooManyPending, message);
    }

    fn reject_pending(&self, place: &PendingPermit, cause: Cause, message: String) {
        self.reject(&place.source().to_string(), &Rejection { cause, message });
    }

    /// Whose accepted somebody is, and its place there, if there is one.
    fn authorize(
        &self,
        hello: &Hello,
        credentials: &Credentials,
    ) -> Result<(Arc<TenantRuntime>, OwnedPermit), Rejection> {
        let refused = |cause, message| Rejection { cause, message };
        let Credentials { identity, .. } = credentials;
        if hello.version != VERSION {
            let message = format!(
                "the package speaks version {} with the service, and this service speaks version {VERSION}: install the package and the service of one release",
                hello.version
            );
            return Err(refused(Cause::Version, message));
        }
        let runtime = self.runtime(identity).ok_or_else(|| {
            let message =
                format!("{identity} is no tenant of this service: ask its operator to name it");
            refused(Cause::UnknownClient, message)
        })?;
        if self.is_draining() {
            let message =
                "the service is being stopped and takes no more sessions: try again later";
            return Err(refused(Cause::Stopping, message.to_owned()));
        }
        let permit = runtime.connections.try_acquire().ok_or_else(|| {
            let message = format!(
                "the service is busy: the tenant `{}` has as many sessions and waits for as many as it may: try again later",
                runtime.tenant.name
            );
            refused(Cause::Busy, message)
        })?;
        Ok((runtime, permit))
    }

    /// Lets a session run on its tenant's thread.
    async fn spawn_session(self: &Arc<Self>, mut stream: ClientStream, accepted: AcceptedClient) {
        let AcceptedClient { runtime, role, credentials, permit } = accepted;
        let tenant = runtime.tenant.clone();
        let session = new_session_name();
        let account = Counters::child_of(&tenant.account);
        let registered = self.sessions.register(
            session.clone(),
            &tenant.name,
            role,
            credentials.clone(),
            account.clone(),
        );
        if stream.send(&Answer::Welcome { session: session.to_string() }).await.is_err() {
            return;
        }
        let uid = match &credentials.identity {
            Identity::User { uid, .. } => *uid,
            Identity::Certificate(_) => OVERFLOW_UID,
        };
        let subject = Subject { session: session.clone(), uid, tenant: Some(tenant.name.clone()) };
        let span = info_span!("session", tenant = tenant.name, session = &*session);
        let (stop, cut) = (registered.stop.clone(), registered.cut.clone());
        let (service, was) = (self.clone(), tenant.clone());
        let guards = SessionGuards {
            credentials: credentials.clone(),
            registered,
            _permit: permit,
            runtime,
        };
        let present = Arc::new(move || service.current_tenant(&credentials, &was));
        let busy = Arc::new(watch::Sender::new(false));
        let client = TenantClient { tenant, subject, account, stop, cut, span, present, busy };
        let worker = guards.runtime.worker.clone();
        worker.spawn(self.clone().run_session(stream, role, client, guards));
    }

    /// One session, from Plakar's first byte to its last.
    async fn run_session(
        self: Arc<Self>,
        stream: ClientStream,
        role: Direction,
        client: TenantClient,
        guards: SessionGuards,
    ) {
        let (span, busy) = (client.span.clone(), client.busy.subscribe());
        span.in_scope(|| info!("it begins, as {}", role.name()));
        let context = SessionContext { component: None, policy: None, client: Some(client) };
        match stream.into_connection() {
            Ok(connection) => {
                let mut serving = std::pin::pin!(plugin::serve(role, connection, context));
                let ended = tokio::select! {
                    ended = &mut serving => ended,
                    () = self.wait_idle(busy) => {
                        span.in_scope(|| self.close_idle(&guards));
                        serving.await
                    }
                };
                if let Err(error) = ended {
                    span.in_scope(|| debug!("its connection ended: {error}"));
                }
            }
            Err(error) => span.in_scope(|| warn!("it can't begin: {error}")),
        }
        span.in_scope(|| info!("it ends"));
    }

    /// Waits until a connection has had no session for as long as it may.
    async fn wait_idle(&self, mut busy: watch::Receiver<bool>) {
        loop {
            let limit = self.loaded().settings.limits.idle;
            if tokio::time::timeout(limit, busy.wait_for(|busy| *busy)).await.is_err() {
                return;
            }
            if busy.wait_for(|busy| !*busy).await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn close_idle(&self, guards: &SessionGuards) {
        let who = guards.credentials.identity.to_string();
        let message = "its connection had no session for too long".to_owned();
        self.reject(&who, &Rejection { cause: Cause::Idle, message });
        guards.registered.cut.cancel();
    }
}

/// What a session has as long as it runs, its tenant among it: that may be gone from the
/// service before it has ended.
struct SessionGuards {
    credentials: Arc<Credentials>,
    registered: SessionGuard,
    _permit: OwnedPermit,
    runtime: Arc<TenantRuntime>,
}
