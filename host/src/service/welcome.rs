//! From a connection to a session: who is it, whose is it, and is there room.

use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, info_span, warn};

use super::Service;
use super::connection::{self, Line};
use super::greeting::{self, Answer, Hello, VERSION};
use super::listen::Listeners;
use super::lodging::Lodger;
use super::refusals::{Cause, Refusal};
use super::sessions::Registered;
use super::tenants::Identity;
use super::tls;
use crate::account::Account;
use crate::audit::{Event, Subject, new_session};
use crate::opened::Setting;
use crate::plakar::{self, Role};
use crate::tenant::{Client, Permit, Permits};

/// How long it waits where the system has no more connections to give.
const BREATH: Duration = Duration::from_millis(100);

/// A user that stands for whoever comes with a certificate, in the audit log.
const NOBODY: u32 = 65534;

/// Somebody who was found to be of a tenant.
struct Guest {
    lodger: Arc<Lodger>,
    role: Role,
    identity: Identity,
    /// Its place among the connections of its tenant.
    permit: Permit,
}

impl Service {
    /// Takes in whoever comes next.
    pub(super) async fn take_in(self: &Arc<Self>, listeners: &Listeners) {
        let local = async {
            match &listeners.socket {
                Some(listener) => listener.accept().await.map(|(socket, _)| socket),
                None => std::future::pending().await,
            }
        };
        let remote = async {
            match &listeners.address {
                Some(listener) => listener.accept().await.map(|(socket, _)| socket),
                None => std::future::pending().await,
            }
        };
        let taken = tokio::select! {
            socket = local => socket.map(|socket| {
                tokio::spawn(self.clone().welcome_local(socket));
            }),
            socket = remote => socket.map(|socket| {
                let acceptor = self.known().tls.clone();
                tokio::spawn(self.clone().welcome_remote(socket, acceptor));
            }),
        };
        if let Err(error) = taken {
            warn!("nobody can be taken in for the moment: {error}");
            tokio::time::sleep(BREATH).await;
        }
    }

    async fn welcome_local(self: Arc<Self>, socket: UnixStream) {
        let Ok(credentials) = socket.peer_cred() else { return };
        let identity = Identity::User { uid: credentials.uid(), gid: credentials.gid() };
        self.welcome(Line::Local(socket), identity).await;
    }

    async fn welcome_remote(self: Arc<Self>, socket: TcpStream, acceptor: Option<TlsAcceptor>) {
        let Some(acceptor) = acceptor else { return };
        let Some(handshake) = self.handshakes.try_take() else {
            self.refusals.add(Cause::Crowded);
            return;
        };
        let from = socket.peer_addr().map(|address| address.to_string()).unwrap_or_default();
        // Few bytes at a time are a wait otherwise.
        let _ = socket.set_nodelay(true);
        let _ = connection::notice_loss(&socket);
        let shaken = tokio::time::timeout(greeting::PATIENCE, acceptor.accept(socket)).await;
        let stream = match shaken.map_err(|_| std::io::ErrorKind::TimedOut.into()).flatten() {
            Ok(stream) => stream,
            Err(error) => {
                let who = format!("somebody at {from}");
                let message = format!("there is no TLS with it: {error}");
                self.note_refusal(who, &Refusal { cause: Cause::Tls, message });
                return;
            }
        };
        drop(handshake);
        let (_, tls) = stream.get_ref();
        let certificates = tls.peer_certificates().unwrap_or_default();
        let names = certificates.first().map(tls::names).unwrap_or_default();
        self.welcome(Line::Remote(Box::new(stream)), Identity::Certificate(names)).await;
    }

    async fn welcome(self: Arc<Self>, mut line: Line, identity: Identity) {
        // Who says nothing has a place, too, so that nobody keeps others out by silence.
        let early = self.lodger(&identity).and_then(|lodger| {
            let permit = lodger.connections.try_take()?;
            Some((lodger.connections.clone(), permit))
        });
        let stranger = early.is_none().then(|| self.strangers.try_take());
        if matches!(stranger, Some(None)) {
            // No line for each: there may be any number of them.
            self.refusals.add(Cause::Crowded);
            return;
        }
        let hello = match line.hear().await {
            Ok(hello) => hello,
            Err(error) => {
                debug!("{identity} said nothing that makes sense: {error}");
                return;
            }
        };
        match self.guest(&hello, identity.clone(), early) {
            Ok(guest) => self.begin(line, guest).await,
            Err(refusal) => {
                self.note_refusal(identity.to_string(), &refusal);
                // Who has gone away needn't hear it.
                let _ = line.say(&Answer::Refused { message: refusal.message }).await;
            }
        }
    }

    /// Whose guest somebody is, if there is room.
    fn guest(
        &self,
        hello: &Hello,
        identity: Identity,
        early: Option<(Arc<Permits>, Permit)>,
    ) -> Result<Guest, Refusal> {
        let refused = |cause, message| Refusal { cause, message };
        if hello.version != VERSION {
            let message = format!(
                "the package speaks version {} with the service, and this service speaks version {VERSION}: install the package and the service of one release",
                hello.version
            );
            return Err(refused(Cause::Version, message));
        }
        let lodger = self.lodger(&identity).ok_or_else(|| {
            let message =
                format!("{identity} is no tenant of this service: ask its operator to name it");
            refused(Cause::Unknown, message)
        })?;
        if self.is_draining() {
            let message =
                "the service is being stopped and takes no more sessions: try again later";
            return Err(refused(Cause::Stopping, message.to_owned()));
        }
        // It may be another tenant's by now.
        let early = early.filter(|(of, _)| Arc::ptr_eq(of, &lodger.connections));
        let permit = early.map(|(_, permit)| permit);
        let permit = permit.or_else(|| lodger.connections.try_take()).ok_or_else(|| {
            let message = format!(
                "the service is busy: the tenant `{}` has as many sessions and waits for as many as it may: try again later",
                lodger.tenant.name
            );
            refused(Cause::Busy, message)
        })?;
        Ok(Guest { lodger, role: hello.role, identity, permit })
    }

    fn note_refusal(&self, who: String, refusal: &Refusal) {
        let Refusal { cause, message } = refusal;
        self.refusals.add(*cause);
        warn!("{who} is refused: {message}");
        self.known().trail.note_afterwards(Event::Refusal { who, why: message.clone() });
    }

    /// Lets a session run on its tenant's thread.
    async fn begin(&self, mut line: Line, guest: Guest) {
        let Guest { lodger, role, identity, permit } = guest;
        let tenant = lodger.tenant.clone();
        let session = new_session();
        let account = Account::below(&tenant.account);
        let registered = self.sessions.register(
            session.clone(),
            &tenant.name,
            role,
            identity.to_string(),
            account.clone(),
        );
        if line.say(&Answer::Welcome { session: session.to_string() }).await.is_err() {
            return;
        }
        let uid = match identity {
            Identity::User { uid, .. } => uid,
            Identity::Certificate(_) => NOBODY,
        };
        let subject = Subject { session: session.clone(), uid, tenant: Some(tenant.name.clone()) };
        let span = info_span!("session", tenant = tenant.name, session = &*session);
        let (stop, cut) = (registered.stop.clone(), registered.cut.clone());
        let client = Client { tenant, subject, account, stop, cut, span };
        let worker = lodger.worker.clone();
        worker.spawn(run(line, role, client, (registered, permit, lodger)));
    }
}

/// What a session has as long as it runs, its tenant among it: that may be gone from the
/// service before it has ended.
type Held = (Registered, Permit, Arc<Lodger>);

/// One session, from Plakar's first byte to its last.
async fn run(line: Line, role: Role, client: Client, held: Held) {
    let span = client.span.clone();
    span.in_scope(|| info!("it begins, as {}", role.name()));
    let setting = Setting { component: None, policy: None, client: Some(client) };
    match line.moved() {
        Ok(connection) => {
            if let Err(error) = plakar::serve(role, connection, setting).await {
                span.in_scope(|| debug!("its connection ended: {error}"));
            }
        }
        Err(error) => span.in_scope(|| warn!("it can't begin: {error}")),
    }
    span.in_scope(|| info!("it ends"));
    drop(held);
}
