//! The sessions that are running: who has them, what they did so far, and how to end them.

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

/// How long a session that has to end may take to say why.
const CANCEL_GRACE: Duration = Duration::from_secs(3);

/// What is shown of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    pub id: String,
    pub tenant: String,
    pub role: Direction,
    /// Who came.
    pub who: String,
    pub seconds: u64,
    /// Entries that were found or written.
    pub entries: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// rclone processes that are running.
    pub processes: u64,
    /// Bytes of the component's memory.
    pub memory: u64,
}

struct SessionEntry {
    tenant: String,
    role: Direction,
    credentials: Arc<Credentials>,
    began: Instant,
    account: Arc<Counters>,
    stop: watch::Sender<Option<Failure>>,
    cut: CancellationToken,
}

/// All of them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sessions {
    all: Arc<Mutex<BTreeMap<Arc<str>, SessionEntry>>>,
}

/// A session that is running, until this is dropped.
pub struct SessionGuard {
    sessions: Sessions,
    id: Arc<str>,
    /// Is told why the session has to end.
    pub stop: watch::Receiver<Option<Failure>>,
    /// Is cut when it hasn't ended by itself then.
    pub cut: CancellationToken,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.id);
    }
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, SessionEntry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn register(
        &self,
        id: Arc<str>,
        tenant: &str,
        role: Direction,
        credentials: Arc<Credentials>,
        account: Arc<Counters>,
    ) -> SessionGuard {
        let (stop, told) = watch::channel(None);
        let cut = CancellationToken::new();
        let (tenant, began) = (tenant.to_owned(), Instant::now());
        let running =
            SessionEntry { tenant, role, credentials, began, account, stop, cut: cut.clone() };
        self.lock().insert(id.clone(), running);
        SessionGuard { sessions: self.clone(), id, stop: told, cut }
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// What there is to show of each.
    pub fn list(&self) -> Vec<SessionInfo> {
        let shown = |(id, running): (&Arc<str>, &SessionEntry)| SessionInfo {
            id: id.to_string(),
            tenant: running.tenant.clone(),
            role: running.role,
            who: running.credentials.identity.to_string(),
            seconds: running.began.elapsed().as_secs(),
            entries: running.account.get(Count::Entries),
            bytes_in: running.account.get(Count::BytesIn),
            bytes_out: running.account.get(Count::BytesOut),
            processes: running.account.get(Count::Running),
            memory: running.account.get(Count::Memory),
        };
        self.lock().iter().map(shown).collect()
    }

    /// Ends a session; false, if there is none of this name.
    pub fn cancel(&self, id: &str, why: &Failure) -> bool {
        let sessions = self.lock();
        let Some(running) = sessions.get(id) else { return false };
        running.end(why);
        true
    }

    /// Ends all of them.
    pub fn cancel_all(&self, why: &Failure) {
        self.end_where(|_, _| Some(why.clone()));
    }

    /// Ends each for which there is a reason, by its tenant and who has it.
    pub fn end_where(&self, why: impl Fn(&str, &Credentials) -> Option<Failure>) {
        for running in self.lock().values() {
            if let Some(why) = why(&running.tenant, &running.credentials) {
                running.end(&why);
            }
        }
    }

    /// Ends the youngest session of a tenant that has an rclone; false, if there is none.
    pub fn cancel_newest(&self, tenant: &str, why: &Failure) -> bool {
        let sessions = self.lock();
        let its = sessions.values().filter(|it| it.tenant == tenant);
        let its = its.filter(|it| it.account.get(Count::Running) > 0 && !it.is_ending());
        let youngest = its.max_by_key(|running| running.began);
        youngest.is_some_and(|youngest| {
            youngest.end(why);
            true
        })
    }
}

impl SessionEntry {
    fn is_ending(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Tells it why, and cuts its connection if it doesn't go by itself.
    fn end(&self, why: &Failure) {
        self.stop.send_if_modified(|told| {
            let first = told.is_none();
            told.get_or_insert_with(|| why.clone());
            first
        });
        let cut = self.cut.clone();
        tokio::spawn(async move {
            tokio::time::sleep(CANCEL_GRACE).await;
            cut.cancel();
        });
    }
}

/// Why an operator ends a session.
pub fn cancelled() -> Failure {
    Failure::new(Reason::Cancelled, "the session was cancelled by the operator of the service")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::config::tenants::Identity;

    #[tokio::test(start_paused = true)]
    async fn a_session_is_shown_until_it_ends_and_can_be_told_to() {
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
        assert!(!sessions.cancel_newest("b", &cancelled()), "it was told already");
        assert!(two.stop.borrow().is_some() && one.stop.borrow().is_none());
        two.cut.cancelled().await;
        drop(two);
        assert_eq!(sessions.count(), 1);
        sessions.end_where(|tenant, _| (tenant == "a").then(cancelled));
        assert_eq!(one.stop.borrow().as_ref().unwrap().reason, Reason::Cancelled);
    }
}
