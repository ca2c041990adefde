//! Registry of the running sessions: lists and cancels them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::connector::{Failure, Reason};
use crate::direction::Direction;
use crate::quota::counters::{Count, Counters};
use crate::service::server::authorization::Credentials;

/// Time that a cancelled session has to report the reason, before its connection is aborted.
const CANCEL_GRACE: Duration = Duration::from_secs(3);

/// Description of a session for operators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    pub id: String,
    pub tenant: String,
    pub role: Direction,
    /// Identity of its client.
    pub who: String,
    pub seconds: u64,
    /// Number of entries that were found or written.
    pub entries: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Number of its running rclone processes.
    pub processes: u64,
    /// Memory of its component, in bytes.
    pub memory: u64,
}

struct SessionEntry {
    tenant: String,
    role: Direction,
    credentials: Arc<Credentials>,
    started_at: Instant,
    account: Arc<Counters>,
    stop: watch::Sender<Option<Failure>>,
    abort: CancellationToken,
}

/// All running sessions. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sessions {
    entries: Arc<Mutex<BTreeMap<Arc<str>, SessionEntry>>>,
}

/// A running session, which is removed from the registry when this is dropped.
pub struct SessionGuard {
    sessions: Sessions,
    id: Arc<str>,
    /// Receives the reason when the session has to end.
    pub stop: watch::Receiver<Option<Failure>>,
    /// Aborts the connection, if the session hasn't ended by itself then.
    pub abort: CancellationToken,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.id);
    }
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, SessionEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session.
    pub fn register(
        &self,
        id: Arc<str>,
        tenant: &str,
        role: Direction,
        credentials: Arc<Credentials>,
        account: Arc<Counters>,
    ) -> SessionGuard {
        let (stop, stop_signal) = watch::channel(None);
        let abort = CancellationToken::new();
        let entry = SessionEntry {
            tenant: tenant.to_owned(),
            role,
            credentials,
            started_at: Instant::now(),
            account,
            stop,
            abort: abort.clone(),
        };
        self.lock().insert(id.clone(), entry);
        SessionGuard { sessions: self.clone(), id, stop: stop_signal, abort }
    }

    /// Returns the number of sessions.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Describes all sessions.
    pub fn list(&self) -> Vec<SessionInfo> {
        let describe = |(id, entry): (&Arc<str>, &SessionEntry)| SessionInfo {
            id: id.to_string(),
            tenant: entry.tenant.clone(),
            role: entry.role,
            who: entry.credentials.identity.to_string(),
            seconds: entry.started_at.elapsed().as_secs(),
            entries: entry.account.get(Count::Entries),
            bytes_in: entry.account.get(Count::BytesIn),
            bytes_out: entry.account.get(Count::BytesOut),
            processes: entry.account.get(Count::Running),
            memory: entry.account.get(Count::Memory),
        };
        self.lock().iter().map(describe).collect()
    }

    /// Cancels a session. Returns whether there is one of this name.
    pub fn cancel(&self, id: &str, why: &Failure) -> bool {
        let sessions = self.lock();
        let Some(entry) = sessions.get(id) else { return false };
        entry.cancel(why);
        true
    }

    /// Cancels all sessions.
    pub fn cancel_all(&self, why: &Failure) {
        self.cancel_where(|_, _| Some(why.clone()));
    }

    /// Cancels each session for whose tenant and credentials `find_reason` returns a reason.
    pub fn cancel_where(&self, find_reason: impl Fn(&str, &Credentials) -> Option<Failure>) {
        for entry in self.lock().values() {
            if let Some(reason) = find_reason(&entry.tenant, &entry.credentials) {
                entry.cancel(&reason);
            }
        }
    }

    /// Cancels the newest session of a tenant that has a running rclone process. Returns whether
    /// there is one.
    pub fn cancel_newest(&self, tenant: &str, why: &Failure) -> bool {
        let sessions = self.lock();
        let candidates = sessions.values().filter(|entry| {
            entry.tenant == tenant && entry.account.get(Count::Running) > 0 && !entry.is_ending()
        });
        let Some(newest) = candidates.max_by_key(|entry| entry.started_at) else { return false };
        newest.cancel(why);
        true
    }
}

impl SessionEntry {
    fn is_ending(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Sends the reason to the session, and aborts its connection if it doesn't end by itself.
    fn cancel(&self, why: &Failure) {
        self.stop.send_if_modified(|reason| {
            let is_first = reason.is_none();
            reason.get_or_insert_with(|| why.clone());
            is_first
        });
        let abort = self.abort.clone();
        tokio::spawn(async move {
            tokio::time::sleep(CANCEL_GRACE).await;
            abort.cancel();
        });
    }
}

/// Returns the reason of a session that an operator cancels.
pub fn cancelled() -> Failure {
    Failure::new(Reason::Cancelled, "the session was cancelled by the operator of the service")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::config::tenants::Identity;

    #[tokio::test(start_paused = true)]
    async fn a_session_is_listed_until_it_ends_and_can_be_cancelled() {
        let sessions = Sessions::default();
        let register = |id: &str, tenant| {
            let account = Arc::new(Counters::default());
            account.add(Count::Running, 1);
            let identity = Identity::User { uid: 1, gid: 1 };
            let credentials = Arc::new(Credentials { identity, certificate: None });
            sessions.register(id.into(), tenant, Direction::Backup, credentials, account)
        };
        let (one, two) = (register("1", "a"), register("2", "b"));
        assert_eq!(sessions.list().iter().map(|it| &*it.id).collect::<Vec<_>>(), ["1", "2"]);
        assert!(!sessions.cancel("3", &cancelled()));
        assert!(sessions.cancel_newest("b", &cancelled()));
        assert!(!sessions.cancel_newest("b", &cancelled()), "it is cancelled already");
        assert!(two.stop.borrow().is_some() && one.stop.borrow().is_none());
        two.abort.cancelled().await;
        drop(two);
        assert_eq!(sessions.count(), 1);
        sessions.cancel_where(|tenant, _| (tenant == "a").then(cancelled));
        assert_eq!(one.stop.borrow().as_ref().unwrap().reason, Reason::Cancelled);
    }
}
