//! Accepts connections, identifies and authorizes clients, and starts their sessions.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tracing::{debug, info, info_span, warn};

use super::authorization::{Credentials, stopping};
use super::connection::{self, ClientStream};
use super::handshake::{self, Hello, Reply, VERSION};
use super::listener::{self, SocketFile};
use super::pending::{PendingPermit, Source};
use super::rejections::{Cause, Rejection};
use super::tls::PresentedCertificate;
use crate::audit::{Subject, new_session_name};
use crate::connector::Failure;
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
use crate::session::tenant::{TenantClient, TenantLookup};

/// Pause after the system failed to accept a connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// User ID in audit records of clients that are identified by a certificate.
const OVERFLOW_UID: u32 = 65534;

/// A client that was found to belong to a tenant.
struct AcceptedClient {
    runtime: Arc<TenantRuntime>,
    role: Direction,
    credentials: Arc<Credentials>,
    /// Permit of the tenant's connections.
    permit: OwnedPermit,
}

/// Resources that a session holds until it ends. Its tenant may be removed from the service
/// before that.
struct SessionGuards {
    credentials: Arc<Credentials>,
    session: SessionGuard,
    _permit: OwnedPermit,
    _runtime: Arc<TenantRuntime>,
}

/// The sockets at which clients connect.
pub struct Listeners {
    socket: Option<UnixListener>,
    address: Option<TcpListener>,
    _file: Option<SocketFile>,
}

impl Listeners {
    /// Registers the opened sockets with the current runtime.
    ///
    /// # Errors
    ///
    /// A socket can't be registered.
    pub fn new(opened: listener::Listeners) -> io::Result<Self> {
        let listener::Listeners { socket, address, file } = opened;
        Ok(Self {
            socket: socket.map(UnixListener::from_std).transpose()?,
            address: address.map(TcpListener::from_std).transpose()?,
            _file: file,
        })
    }

    /// Waits for a local client; for ever without a socket.
    async fn accept_local(&self) -> io::Result<UnixStream> {
        match &self.socket {
            Some(listener) => listener.accept().await.map(|(socket, _)| socket),
            None => std::future::pending().await,
        }
    }

    /// Waits for a network client; for ever without an address.
    async fn accept_remote(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.address {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    }
}

impl Service {
    /// Accepts the next connection, and serves it in the background.
    pub async fn accept_one(self: &Arc<Self>, listeners: &Listeners) {
        // Permits are taken before a task is spawned, so that the limits hold for accepted sockets.
        let accepted = tokio::select! {
            socket = listeners.accept_local() => {
                socket.and_then(|socket| self.start_local(socket))
            }
            socket = listeners.accept_remote() => socket.map(|(socket, address)| {
                let permit = self.handshakes.enter(address.ip().into(), self.client_limits());
                tokio::spawn(self.clone().accept_tls(socket, permit));
            }),
        };
        if let Err(error) = accepted {
            let message = format!("no connection can be accepted at the moment: {error}");
            let rejection = Rejection::new(Cause::Unaccepted, message);
            self.reject("a new client", &rejection);
            tokio::time::sleep(ACCEPT_BACKOFF).await;
        }
    }

    /// Identifies a local client by the kernel's credentials, and serves it in the background.
    fn start_local(self: &Arc<Self>, socket: UnixStream) -> io::Result<()> {
        let peer = kernel::peer(&socket)?;
        let permit = self.pending.enter(Source::User(peer.uid), self.client_limits());
        let identity = Identity::User { uid: peer.uid, gid: peer.gid };
        let credentials = Credentials { identity, certificate: None };
        let stream = ClientStream::Local(socket);
        tokio::spawn(self.clone().authenticate(stream, credentials, permit));
        Ok(())
    }

    /// Identifies a network client by its certificate, and serves it.
    async fn accept_tls(self: Arc<Self>, socket: TcpStream, permit: PendingPermit) {
        let Some(acceptor) = self.loaded().tls.as_ref().map(|tls| tls.acceptor.clone()) else {
            return;
        };
        // Small messages must not wait for more data.
        let _ = socket.set_nodelay(true);
        let _ = connection::enable_keepalive(&socket);
        let handshake = tokio::time::timeout(handshake::HANDSHAKE_TIMEOUT, acceptor.accept(socket));
        let stream = tokio::select! {
            result = handshake => match result {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    let message = format!("the TLS handshake failed: {error}");
                    return self.reject_pending(&permit, Cause::Tls, message);
                }
                Err(_) => {
                    let message = "the TLS handshake took too long".to_owned();
                    return self.reject_pending(&permit, Cause::Silent, message);
                }
            },
            () = permit.evicted() => return self.reject_evicted(&permit),
        };
        let certificate = PresentedCertificate::now(stream.get_ref().1.peer_certificates());
        let credentials = Credentials {
            identity: Identity::Certificate(certificate.names()),
            certificate: Some(certificate),
        };
        // A tenant no longer competes with unknown clients of the same address.
        let permit = match self.find_runtime(&credentials.identity) {
            Some(runtime) => {
                let source = Source::Tenant(runtime.tenant.name.clone());
                self.pending.enter(source, self.client_limits())
            }
            None => permit,
        };
        self.authenticate(ClientStream::Remote(Box::new(stream)), credentials, permit).await;
    }

    /// Receives a client's request, and starts the session or refuses it.
    async fn authenticate(
        self: Arc<Self>,
        mut stream: ClientStream,
        credentials: Credentials,
        permit: PendingPermit,
    ) {
        let received = tokio::select! {
            received = stream.receive() => received,
            () = permit.evicted() => return self.reject_evicted(&permit),
        };
        let hello = match received {
            Ok(hello) => hello,
            Err(error) => {
                let message = format!("it sent no valid request: {error}");
                return self.reject_pending(&permit, Cause::Silent, message);
            }
        };
        match self.authorize(&hello, &credentials) {
            Ok((runtime, connection)) => {
                drop(permit);
                let credentials = Arc::new(credentials);
                let role = hello.role;
                let client = AcceptedClient { runtime, role, credentials, permit: connection };
                self.start_session(stream, client).await;
            }
            Err(rejection) => {
                self.reject(&credentials.identity.to_string(), &rejection);
                let Failure { message, help, .. } = rejection.failure;
                let reply = Reply::Refused { message, help };
                tokio::select! {
                    // Fails if the client has disconnected already.
                    _ = stream.send(&reply) => (),
                    () = permit.evicted() => (),
                }
            }
        }
    }

    fn reject_evicted(&self, permit: &PendingPermit) {
        let message = "too many connections from its source have not identified themselves yet";
        self.reject_pending(permit, Cause::TooManyPending, message.to_owned());
    }

    fn reject_pending(&self, permit: &PendingPermit, cause: Cause, message: String) {
        self.reject(&permit.source().to_string(), &Rejection::new(cause, message));
    }

    /// Returns the tenant of a client, and a permit of the tenant's connections.
    fn authorize(
        &self,
        hello: &Hello,
        credentials: &Credentials,
    ) -> Result<(Arc<TenantRuntime>, OwnedPermit), Rejection> {
        let rejection = |cause, message: String, help| Rejection {
            cause,
            failure: Failure::denied(message).with_help(help),
        };
        let identity = &credentials.identity;
        if hello.version != VERSION {
            let message = format!(
                "the package uses version {} of the service's protocol, and this service uses \
                 version {VERSION}",
                hello.version
            );
            let help = "install the package and the service of the same release";
            return Err(rejection(Cause::Version, message, help));
        }
        let runtime = self.find_runtime(identity).ok_or_else(|| {
            let message = format!("{identity} is not a tenant of this service");
            rejection(Cause::UnknownClient, message, "ask its operator to add it")
        })?;
        if self.is_draining() {
            return Err(Rejection { cause: Cause::Stopping, failure: stopping() });
        }
        let permit = runtime.connections.try_acquire().ok_or_else(|| {
            let message = format!(
                "the service is busy: the tenant `{}` has reached its limits of running and \
                 waiting sessions",
                runtime.tenant.name
            );
            rejection(Cause::Busy, message, "try again later")
        })?;
        Ok((runtime, permit))
    }

    /// Registers a session, and starts it on its tenant's thread.
    async fn start_session(self: &Arc<Self>, mut stream: ClientStream, accepted: AcceptedClient) {
        let AcceptedClient { runtime, role, credentials, permit } = accepted;
        let tenant = runtime.tenant.clone();
        let id = new_session_name();
        let account = Counters::child_of(&tenant.account);
        let session = self.sessions.register(
            id.clone(),
            &tenant.name,
            role,
            credentials.clone(),
            account.clone(),
        );
        if stream.send(&Reply::Welcome { session: id.to_string() }).await.is_err() {
            return;
        }
        let uid = match &credentials.identity {
            Identity::User { uid, .. } => *uid,
            Identity::Certificate(_) => OVERFLOW_UID,
        };
        let client = TenantClient {
            subject: Subject { session: id.clone(), uid, tenant: Some(tenant.name.clone()) },
            account,
            stop: session.stop.clone(),
            abort: session.abort.clone(),
            span: info_span!("session", tenant = tenant.name, session = &*id),
            lookup: self.tenant_lookup(credentials.clone(), tenant.name.clone()),
            busy: Arc::new(watch::Sender::new(false)),
            tenant,
        };
        let worker = runtime.worker.clone();
        let guards = SessionGuards { credentials, session, _permit: permit, _runtime: runtime };
        worker.spawn(self.clone().run_session(stream, role, client, guards));
    }

    /// Returns the function by which a session looks up its tenant's current state.
    fn tenant_lookup(
        self: &Arc<Self>,
        credentials: Arc<Credentials>,
        tenant: String,
    ) -> Arc<TenantLookup> {
        let service = self.clone();
        Arc::new(move || service.current_tenant(&credentials, &tenant))
    }

    /// Runs a session, from Plakar's first byte to its last.
    async fn run_session(
        self: Arc<Self>,
        stream: ClientStream,
        role: Direction,
        client: TenantClient,
        guards: SessionGuards,
    ) {
        let (span, busy) = (client.span.clone(), client.busy.subscribe());
        span.in_scope(|| info!("session started as {}", role.name()));
        let context = SessionContext { component: None, policy: None, client: Some(client) };
        match stream.into_connection() {
            Ok(connection) => {
                let mut session = std::pin::pin!(plugin::serve(role, connection, context));
                let result = tokio::select! {
                    result = &mut session => result,
                    () = self.wait_idle(busy) => {
                        span.in_scope(|| self.close_idle(&guards));
                        session.await
                    }
                };
                if let Err(error) = result {
                    span.in_scope(|| debug!("connection ended: {error}"));
                }
            }
            Err(error) => span.in_scope(|| warn!("session failed to start: {error}")),
        }
        span.in_scope(|| info!("session ended"));
    }

    /// Waits until a connection has had no session for longer than allowed.
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
        let identity = guards.credentials.identity.to_string();
        let message = "the connection had no session for too long".to_owned();
        self.reject(&identity, &Rejection::new(Cause::Idle, message));
        guards.session.abort.cancel();
    }
}
