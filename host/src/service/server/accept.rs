//! From a connection to a session: who is it, whose is it, and is there room.

use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tracing::{debug, info, info_span, warn};

use super::authorization::Comer;
use super::connection::{self, Line};
use super::handshake::{self, Answer, Hello, VERSION};
use super::listener::{self, SocketFile};
use super::pending::{Place, Source};
use super::rejections::{Cause, Refusal};
use super::tls::Shown;
use crate::audit::{Subject, new_session_name};
use crate::direction::Direction;
use crate::kernel;
use crate::plugin;
use crate::quota::counters::Counters;
use crate::quota::semaphore::OwnedPermit;
use crate::service::Service;
use crate::service::admin::sessions::Registered;
use crate::service::config::tenants::Identity;
use crate::service::tenants::runtime::Lodger;
use crate::session::SessionContext;
use crate::session::tenant::TenantClient;

/// How long it waits where the system has no more connections to give.
const BREATH: Duration = Duration::from_millis(100);

/// A user that stands for whoever comes with a certificate, in the audit log.
const NOBODY: u32 = 65534;

/// Somebody who was found to be of a tenant.
struct Guest {
    lodger: Arc<Lodger>,
    role: Direction,
    comer: Arc<Comer>,
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
    pub async fn take_in(self: &Arc<Self>, listeners: &Listeners) {
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
                let place = self.strangers.enter(Source::User(user.uid), self.most_strangers());
                let identity = Identity::User { uid: user.uid, gid: user.gid };
                let comer = Comer { identity, shown: None };
                tokio::spawn(self.clone().welcome(Line::Local(socket), comer, place));
                Ok(())
            }),
            socket = remote => socket.map(|(socket, from)| {
                let place = self.handshakes.enter(from.ip().into(), self.most_strangers());
                tokio::spawn(self.clone().welcome_remote(socket, place));
            }),
        };
        if let Err(error) = taken {
            let message = format!("no connection can be taken for the moment: {error}");
            let refusal = Refusal { cause: Cause::Unaccepted, message };
            self.note_refusal("whoever comes", &refusal);
            tokio::time::sleep(BREATH).await;
        }
    }

    async fn welcome_remote(self: Arc<Self>, socket: TcpStream, place: Place) {
        let Some(acceptor) = self.known().tls.as_ref().map(|tls| tls.acceptor.clone()) else {
            return;
        };
        // Few bytes at a time are a wait otherwise.
        let _ = socket.set_nodelay(true);
        let _ = connection::notice_loss(&socket);
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(handshake::PATIENCE, acceptor.accept(socket)) => shaken,
            () = place.lost() => return self.note_crowd(&place),
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let message = format!("there is no TLS with it: {error}");
                return self.note_stranger(&place, Cause::Tls, message);
            }
            Err(_) => {
                let message = "it showed no certificate in time".to_owned();
                return self.note_stranger(&place, Cause::Silent, message);
            }
        };
        let shown = Shown::now(stream.get_ref().1.peer_certificates());
        let comer = Comer { identity: Identity::Certificate(shown.names()), shown: Some(shown) };
        // Who is a tenant stands beside no stranger any more.
        let place = match self.lodger(&comer.identity) {
            Some(lodger) => {
                let source = Source::Tenant(lodger.tenant.name.clone());
                self.strangers.enter(source, self.most_strangers())
            }
            None => place,
        };
        self.welcome(Line::Remote(Box::new(stream)), comer, place).await;
    }

    /// Hears what somebody wants, who has a place as long as it isn't said.
    async fn welcome(self: Arc<Self>, mut line: Line, comer: Comer, place: Place) {
        let heard = tokio::select! {
            heard = line.hear() => heard,
            () = place.lost() => return self.note_crowd(&place),
        };
        let hello = match heard {
            Ok(hello) => hello,
            Err(error) => {
                let message = format!("it said nothing that makes sense: {error}");
                return self.note_stranger(&place, Cause::Silent, message);
            }
        };
        match self.room(&hello, &comer) {
            Ok((lodger, permit)) => {
                drop(place);
                let comer = Arc::new(comer);
                self.begin(line, Guest { lodger, role: hello.role, comer, permit }).await;
            }
            Err(refusal) => {
                self.note_refusal(&comer.identity.to_string(), &refusal);
                // Who has gone away needn't hear it.
                let answer = Answer::Refused { message: refusal.message };
                tokio::select! {
                    _ = line.say(&answer) => (),
                    () = place.lost() => (),
                }
            }
        }
    }

    fn note_crowd(&self, place: &Place) {
        let message = "too many connections from there haven't said yet who they are".to_owned();
        self.note_stranger(place, Cause::Crowded, message);
    }

    fn note_stranger(&self, place: &Place, cause: Cause, message: String) {
        self.note_refusal(&place.source().to_string(), &Refusal { cause, message });
    }

    /// Whose guest somebody is, and its place there, if there is one.
    fn room(&self, hello: &Hello, comer: &Comer) -> Result<(Arc<Lodger>, OwnedPermit), Refusal> {
        let refused = |cause, message| Refusal { cause, message };
        let Comer { identity, .. } = comer;
        if hello.version != VERSION {
            let message = format!(
                "the package speaks version {} with the service, and this service speaks version {VERSION}: install the package and the service of one release",
                hello.version
            );
            return Err(refused(Cause::Version, message));
        }
        let lodger = self.lodger(identity).ok_or_else(|| {
            let message =
                format!("{identity} is no tenant of this service: ask its operator to name it");
            refused(Cause::Unknown, message)
        })?;
        if self.is_draining() {
            let message =
                "the service is being stopped and takes no more sessions: try again later";
            return Err(refused(Cause::Stopping, message.to_owned()));
        }
        let permit = lodger.connections.try_acquire().ok_or_else(|| {
            let message = format!(
                "the service is busy: the tenant `{}` has as many sessions and waits for as many as it may: try again later",
                lodger.tenant.name
            );
            refused(Cause::Busy, message)
        })?;
        Ok((lodger, permit))
    }

    /// Lets a session run on its tenant's thread.
    async fn begin(self: &Arc<Self>, mut line: Line, guest: Guest) {
        let Guest { lodger, role, comer, permit } = guest;
        let tenant = lodger.tenant.clone();
        let session = new_session_name();
        let account = Counters::child_of(&tenant.account);
        let registered = self.sessions.register(
            session.clone(),
            &tenant.name,
            role,
            comer.clone(),
            account.clone(),
        );
        if line.say(&Answer::Welcome { session: session.to_string() }).await.is_err() {
            return;
        }
        let uid = match &comer.identity {
            Identity::User { uid, .. } => *uid,
            Identity::Certificate(_) => NOBODY,
        };
        let subject = Subject { session: session.clone(), uid, tenant: Some(tenant.name.clone()) };
        let span = info_span!("session", tenant = tenant.name, session = &*session);
        let (stop, cut) = (registered.stop.clone(), registered.cut.clone());
        let (service, was) = (self.clone(), tenant.clone());
        let held = Held { comer: comer.clone(), registered, _permit: permit, lodger };
        let present = Arc::new(move || service.present(&comer, &was));
        let busy = Arc::new(watch::Sender::new(false));
        let client = TenantClient { tenant, subject, account, stop, cut, span, present, busy };
        let worker = held.lodger.worker.clone();
        worker.spawn(self.clone().run(line, role, client, held));
    }

    /// One session, from Plakar's first byte to its last.
    async fn run(self: Arc<Self>, line: Line, role: Direction, client: TenantClient, held: Held) {
        let (span, busy) = (client.span.clone(), client.busy.subscribe());
        span.in_scope(|| info!("it begins, as {}", role.name()));
        let context = SessionContext { component: None, policy: None, client: Some(client) };
        match line.moved() {
            Ok(connection) => {
                let mut serving = std::pin::pin!(plugin::serve(role, connection, context));
                let ended = tokio::select! {
                    ended = &mut serving => ended,
                    () = self.idle(busy) => {
                        span.in_scope(|| self.cut_off(&held));
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
    async fn idle(&self, mut busy: watch::Receiver<bool>) {
        loop {
            let limit = self.known().settings.limits.idle;
            if tokio::time::timeout(limit, busy.wait_for(|busy| *busy)).await.is_err() {
                return;
            }
            if busy.wait_for(|busy| !*busy).await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn cut_off(&self, held: &Held) {
        let who = held.comer.identity.to_string();
        let message = "its connection had no session for too long".to_owned();
        self.note_refusal(&who, &Refusal { cause: Cause::Idle, message });
        held.registered.cut.cancel();
    }
}

/// What a session has as long as it runs, its tenant among it: that may be gone from the
/// service before it has ended.
struct Held {
    comer: Arc<Comer>,
    registered: Registered,
    _permit: OwnedPermit,
    lodger: Arc<Lodger>,
}
