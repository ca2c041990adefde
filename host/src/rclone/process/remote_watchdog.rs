//! The watchdog of a session: ends it with one reason once its remote doesn't answer any
//! more, where rclone would try for an hour.
//!
//! It looks at what comes from rclone's processes. Where nothing does for a while, or one
//! operation after the other fails for the same reason, it lists the remote's root once,
//! and takes the answer of that for the remote's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::kill;
use crate::connector::{Failure, Reason};
use crate::kernel::RunAs;
use crate::kernel::run_as;
use crate::rclone::{Inner, Rclone, google_photos};
use rustix::process::{Pid, Signal};

/// How long nothing may come from a remote that is waited for.
const SILENCE: Duration = Duration::from_secs(40);

/// How long the remote's root may take to answer.
const ANSWER: Duration = Duration::from_secs(40);

/// How often it looks.
const LOOK: Duration = Duration::from_secs(5);

/// How many bytes rclone takes in between two looks if it is at work: less is what it reads
/// while it tries to connect. Where it uploads, what it sends counts as well.
const AT_WORK: u64 = 64 << 10;

/// After how many failures of one reason, with no success in between, the remote is asked.
const FAILURES: u64 = 8;

/// What the watchdog knows of a session.
#[derive(Default)]
pub struct Watchdog {
    /// As whom the processes run, if not as us.
    owner: Option<RunAs>,
    /// How many operations wait for rclone now.
    waiting: AtomicUsize,
    /// How often something came.
    answers: AtomicU64,
    /// How many operations failed since something came, for a reason of the remote's.
    failures: AtomicU64,
    suspicion: Notify,
    /// The process groups that run, and whether they upload.
    groups: Mutex<HashMap<Pid, bool>>,
}

/// An operation that waits for rclone, until it is dropped.
pub struct Wait<'a>(&'a Watchdog);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watchdog {
    /// Watches processes of this owner.
    pub fn of(owner: Option<RunAs>) -> Self {
        Self { owner, ..Self::default() }
    }

    /// Notes that an operation waits for rclone.
    pub fn wait(&self) -> Wait<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Wait(self)
    }

    /// Notes that something came from the remote.
    pub fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Notes that an operation failed.
    pub fn failed(&self, failure: &Failure) {
        if is_of_the_remote(failure.reason)
            && self.failures.fetch_add(1, Ordering::Relaxed) + 1 == FAILURES
        {
            self.suspicion.notify_one();
        }
    }

    /// Notes that a process runs.
    pub fn started(&self, group: Option<Pid>, uploads: bool) {
        self.groups().extend(group.map(|group| (group, uploads)));
    }

    /// Notes that a process has ended.
    pub fn ended(&self, group: Option<Pid>) {
        let mut groups = self.groups();
        group.iter().for_each(|group| {
            groups.remove(group);
        });
    }

    /// The processes that run.
    pub fn processes(&self) -> Vec<Pid> {
        self.groups().keys().copied().collect()
    }

    /// Ends every process.
    pub fn kill_all(&self) {
        for group in self.groups().keys() {
            kill(Some(*group), Signal::KILL);
        }
    }

    fn groups(&self) -> std::sync::MutexGuard<'_, HashMap<Pid, bool>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes each process has taken in, or sent where it uploads.
    fn transferred(&self) -> HashMap<Pid, u64> {
        let groups: Vec<_> = self.groups().iter().map(|(group, up)| (*group, *up)).collect();
        let counts = groups.into_iter().map(|(group, up)| (group, transferred(group, up)));
        // Of another user's processes, only that user is shown it.
        run_as(self.owner, || Ok(counts.collect())).unwrap_or_default()
    }
}

/// Whether a reason may concern all that is asked of a remote.
fn is_of_the_remote(reason: Reason) -> bool {
    matches!(reason, Reason::Unavailable | Reason::Unauthenticated)
}

/// Whether what refuses for this reason answers.
fn is_answer(reason: Reason) -> bool {
    matches!(reason, Reason::Denied | Reason::NotFound | Reason::Unsupported | Reason::RateLimited)
}

/// How many bytes a process has read from files, pipes and the network, and written as well.
#[cfg(target_os = "linux")]
fn transferred(process: Pid, and_written: bool) -> u64 {
    let path = format!("/proc/{}/io", process.as_raw_nonzero());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let count = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().parse::<u64>().ok()
    };
    let written = if and_written { count("wchar:") } else { None };
    count("rchar:").unwrap_or_default().wrapping_add(written.unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
fn transferred(_: Pid, _: bool) -> u64 {
    0
}

/// Since when nothing came, and what had come by then.
struct Silence {
    since: Instant,
    answers: u64,
    transferred: HashMap<Pid, u64>,
    /// How long it may last: twice as long after each time that the remote answered.
    patience: Duration,
}

impl Silence {
    fn of(watchdog: &Watchdog, patience: Duration) -> Self {
        Self {
            since: Instant::now(),
            answers: watchdog.answers.load(Ordering::Relaxed),
            transferred: watchdog.transferred(),
            patience,
        }
    }

    /// Whether something came since the last look, or nothing is waited for.
    fn is_broken(&mut self, watchdog: &Watchdog) -> bool {
        let before = std::mem::replace(&mut self.transferred, watchdog.transferred());
        // What a process reads to start isn't the remote's.
        let since = self.transferred.iter().filter_map(|(process, now)| {
            before.get(process).map(|before| now.saturating_sub(*before))
        });
        let at_work = since.sum::<u64>() >= AT_WORK;
        watchdog.waiting.load(Ordering::Relaxed) == 0
            || watchdog.answers.load(Ordering::Relaxed) != self.answers
            || at_work
    }
}

/// Watches a session for as long as it lasts.
pub async fn watch(inner: Weak<Inner>) {
    let Some(watchdog) = inner.upgrade().map(|inner| inner.watchdog.clone()) else { return };
    let mut silence = Silence::of(&watchdog, SILENCE);
    loop {
        let suspicious = tokio::time::timeout(LOOK, watchdog.suspicion.notified()).await.is_ok();
        let Some(inner) = inner.upgrade() else { return };
        if silence.is_broken(&watchdog) {
            silence = Silence::of(&watchdog, SILENCE);
        }
        // Google Photos tells by itself when it gives nothing more, and counts each call.
        let silent =
            silence.since.elapsed() >= silence.patience && !google_photos::is(&inner.remote);
        if !suspicious && !silent {
            continue;
        }
        let rclone = Rclone { inner };
        match answer(&rclone, silence.since).await {
            Ok(()) => {
                watchdog.answered();
                silence = Silence::of(&watchdog, silence.patience * 2);
            }
            Err(failure) => {
                let _ = rclone.inner.in_vain.set(failure);
                watchdog.kill_all();
                return;
            }
        }
    }
}

/// Asks for the remote's root. A refusal is an answer, unless it is one to everything.
async fn answer(rclone: &Rclone, since: Instant) -> Result<(), Failure> {
    let directory = if google_photos::is(&rclone.inner.remote) { google_photos::ASKED } else { "" };
    let verb = rclone.verb("lsjson").args(["--no-mimetype", "--no-modtime"]);
    let verb = verb.args(["--low-level-retries", "1", "--contimeout", "15s", "--timeout", "30s"]);
    let asked = async {
        let mut process = verb.arg(rclone.target(directory)).start(false, None).await?;
        if let Some(mut stdout) = process.stdout.take() {
            use tokio::io::AsyncReadExt;
            let mut begun = [0; 4];
            // The first entry is an answer.
            if stdout.read_exact(&mut begun).await.is_ok() && begun[2] == b'{' {
                return Ok(());
            }
            let mut rest = Vec::new();
            let _ = stdout.take(1 << 20).read_to_end(&mut rest).await;
        }
        process.end().await
    };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Err(failure)) if !is_answer(failure.reason) => Err(failure),
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::new(
            Reason::Unavailable,
            format!(
                "the remote doesn't answer: nothing came from it for {} s: check the network and the server, and run it again",
                since.elapsed().as_secs()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_of_the_remote_in_a_row_are_suspicious() {
        let watchdog = Watchdog::default();
        let refused = Failure::new(Reason::Unavailable, "connection refused");
        let gone = Failure::new(Reason::NotFound, "gone");
        for _ in 1..FAILURES {
            watchdog.failed(&refused);
            watchdog.failed(&gone);
        }
        watchdog.answered();
        assert_eq!(watchdog.failures.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn silence_is_broken_by_what_comes_and_where_nothing_is_waited_for() {
        let watchdog = Watchdog::default();
        let mut silence = Silence::of(&watchdog, SILENCE);
        assert!(silence.is_broken(&watchdog));
        let wait = watchdog.wait();
        assert!(!silence.is_broken(&watchdog));
        watchdog.answered();
        assert!(silence.is_broken(&watchdog));
        drop(wait);
    }
}
