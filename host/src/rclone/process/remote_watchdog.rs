//! A watchdog that ends a session with one reason once its remote doesn't answer any more,
//! where rclone would retry for an hour.
//!
//! It observes what rclone's processes transfer. If nothing moves for a while, or several
//! operations in a row fail, it lists the remote's root once, and takes the answer of that for
//! the remote's.

use rustix::process::Pid;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::activity::Activity;
use super::command::RcloneCommand;
use super::context::ProcessContext;
use crate::connector::{Failure, Reason};
use crate::rclone::backends::GOOGLE_PHOTOS_PROBE_DIR;

/// Time limit of silence while an operation waits for the remote.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(40);

/// Time limit for the listing of the remote's root.
const PROBE_TIMEOUT: Duration = Duration::from_secs(40);

/// Interval at which the activity is checked.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Number of bytes that a process that is at work transfers between two checks. Fewer are what
/// rclone reads while it tries to connect.
const MIN_TRANSFER_BYTES: u64 = 64 << 10;

/// Whether a remote that refuses for this reason answers.
fn is_answer(reason: Reason) -> bool {
    matches!(reason, Reason::Denied | Reason::NotFound | Reason::Unsupported | Reason::RateLimited)
}

/// A time without activity, and the counts at its start.
struct Silence {
    since: Instant,
    answers: u64,
    transferred: HashMap<Pid, u64>,
    /// The time limit: twice as long after each probe that was answered.
    timeout: Duration,
}

impl Silence {
    fn new(activity: &Activity, timeout: Duration) -> Self {
        Self {
            since: Instant::now(),
            answers: activity.answers(),
            transferred: activity.transferred_bytes(),
            timeout,
        }
    }

    /// Whether something came since the last check, or no operation waits.
    fn has_ended(&mut self, activity: &Activity) -> bool {
        let before = std::mem::replace(&mut self.transferred, activity.transferred_bytes());
        // What a process reads at its start doesn't come from the remote.
        let since = self.transferred.iter().filter_map(|(process, now)| {
            before.get(process).map(|before| now.saturating_sub(*before))
        });
        let is_at_work = since.sum::<u64>() >= MIN_TRANSFER_BYTES;
        !activity.is_waiting() || activity.answers() != self.answers || is_at_work
    }
}

/// Watches a session for as long as it lasts.
pub async fn watch(context: Weak<ProcessContext>) {
    let Some(activity) = context.upgrade().map(|context| context.activity.clone()) else { return };
    let mut silence = Silence::new(&activity, SILENCE_TIMEOUT);
    loop {
        let suspicion = activity.suspicion.notified();
        let is_suspicious = tokio::time::timeout(POLL_INTERVAL, suspicion).await.is_ok();
        let Some(context) = context.upgrade() else { return };
        if silence.has_ended(&activity) {
            silence = Silence::new(&activity, SILENCE_TIMEOUT);
        }
        // For Google Photos, which counts each call, the retry watchdog detects this.
        let is_silent =
            silence.since.elapsed() >= silence.timeout && !context.remote.is_google_photos();
        if !is_suspicious && !is_silent {
            continue;
        }
        match probe(&context, silence.since).await {
            Ok(()) => {
                activity.record_answer();
                silence = Silence::new(&activity, silence.timeout * 2);
            }
            Err(failure) if activity.is_retried() => {
                tracing::warn!("what waits for the remote is tried again: {failure}");
                activity.kill_all();
                silence = Silence::new(&activity, SILENCE_TIMEOUT);
            }
            Err(failure) => {
                let _ = context.fatal.set(failure);
                activity.kill_all();
                return;
            }
        }
    }
}

/// Lists the remote's root. A refusal is an answer, unless it is a refusal of everything.
async fn probe(context: &Arc<ProcessContext>, since: Instant) -> Result<(), Failure> {
    let directory = if context.remote.is_google_photos() { GOOGLE_PHOTOS_PROBE_DIR } else { "" };
    let command = RcloneCommand::new(context, "lsjson")
        .args(["--no-mimetype", "--no-modtime"])
        .args(["--low-level-retries", "1", "--contimeout", "15s", "--timeout", "30s"])
        .arg(context.remote.target(directory));
    let listing = async {
        let mut process = command.spawn().await?;
        if let Some(mut stdout) = process.stdout.take() {
            let mut start = [0; 4];
            // The first entry is an answer.
            if stdout.read_exact(&mut start).await.is_ok() && start[2] == b'{' {
                return Ok(());
            }
            let mut rest = Vec::new();
            let _ = stdout.take(1 << 20).read_to_end(&mut rest).await;
        }
        process.wait().await
    };
    match tokio::time::timeout(PROBE_TIMEOUT, listing).await {
        Ok(Err(failure)) if !is_answer(failure.reason) => Err(failure),
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::new(
            Reason::Unavailable,
            format!(
                "the remote doesn't answer: nothing came from it for {} s",
                since.elapsed().as_secs()
            ),
        )
        .with_help("check the network and the server, and run it again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_broken_by_what_comes_and_where_nothing_is_waited_for() {
        let activity = Activity::default();
        let mut silence = Silence::new(&activity, SILENCE_TIMEOUT);
        assert!(silence.has_ended(&activity));
        let wait = activity.begin_wait();
        assert!(!silence.has_ended(&activity));
        activity.record_answer();
        assert!(silence.has_ended(&activity));
        drop(wait);
    }
}
