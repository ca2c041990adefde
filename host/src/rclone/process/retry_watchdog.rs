//! A watchdog for an rclone that only retries. When Google Photos stops answering, rclone would
//! retry for hours.

use std::time::{Duration, Instant};

/// Google's error when the calls of a day are used up.
const DAILY_QUOTA_EXCEEDED: &str = "All requests per day";

/// Prefix of rclone's message that it will retry a call, before the error.
///
/// Source: rclone's fs/pacer.go.
const RETRY_PREFIX: &str = "low level retry ";
/// Prefix of rclone's message that a call succeeded after others that failed.
///
/// Source: rclone's fs/pacer.go.
const PACER_RECOVERED: &str = "Reducing sleep to ";

/// rclone's error when Google doesn't return a photo for now. It isn't known whether that is for a
/// moment or for the day.
///
/// Source: `errorHandler` in rclone's backend/googlephotos.
const DOWNLOAD_THROTTLED: &str = "(429 429 Too Many Requests)";

/// Time of failing downloads after which the quota of the day counts as used up.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Time of failing calls after which all count as failed: longer than a quota of calls per minute
/// lasts, and than rclone retries a single call, whose failure only concerns its path.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// The gap after which a retry isn't related to earlier ones. rclone waits up to 17 seconds, and
/// then for the network.
const MAX_RETRY_GAP: Duration = Duration::from_secs(90);

/// Observes the log of a process, and trips once it only retries.
pub struct RetryWatchdog {
    on_trip: Box<dyn Fn(&str) + Send + Sync>,
    is_google_photos: bool,
    /// The times of the first and the last retry since a call succeeded.
    refused: Option<(Instant, Instant)>,
}

impl RetryWatchdog {
    /// `on_trip` receives the error, and may be called several times. `is_google_photos` enables
    /// what is specific to Google Photos.
    pub fn new(is_google_photos: bool, on_trip: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { on_trip: Box::new(on_trip), is_google_photos, refused: None }
    }

    /// Observes one message.
    pub fn observe(&mut self, message: &str, now: Instant) {
        if message.contains(DAILY_QUOTA_EXCEEDED) {
            self.trip(message);
        } else if self.is_google_photos && message.starts_with(PACER_RECOVERED) {
            self.refused = None;
        } else if self.is_google_photos && message.starts_with(RETRY_PREFIX) {
            let before = self.refused.filter(|(_, last)| now.duration_since(*last) < MAX_RETRY_GAP);
            let (since, _) = before.unwrap_or((now, now));
            self.refused = Some((since, now));
            let timeout =
                if message.contains(DOWNLOAD_THROTTLED) { DOWNLOAD_TIMEOUT } else { CALL_TIMEOUT };
            if now.duration_since(since) >= timeout {
                self.trip(message);
            }
        }
    }

    /// Trips for any other error.
    pub fn trip(&self, error: &str) {
        (self.on_trip)(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const DOWNLOAD_THROTTLED: &str = "low level retry 1/3 (error no (429 429 Too Many Requests))";
    const CALL_FAILED: &str = "low level retry 1/10 (error no (503 UNAVAILABLE))";

    /// Number of trips when these messages are observed, each at a time in seconds.
    fn trips(is_google_photos: bool, heard: &[(u64, &str)]) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        let counting = count.clone();
        let mut watchdog = RetryWatchdog::new(is_google_photos, move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
        });
        let start = Instant::now();
        for (seconds, message) in heard {
            watchdog.observe(message, start + Duration::from_secs(*seconds));
        }
        count.load(Ordering::Relaxed)
    }

    #[test]
    fn downloads_are_over_when_no_photo_came_for_a_while() {
        assert_eq!(
            trips(true, &[(0, DOWNLOAD_THROTTLED), (15, DOWNLOAD_THROTTLED), (29, "Copied (new)")]),
            0
        );
        assert_eq!(
            trips(
                true,
                &[(0, DOWNLOAD_THROTTLED), (15, DOWNLOAD_THROTTLED), (31, DOWNLOAD_THROTTLED)]
            ),
            1
        );
        let answered = "Reducing sleep to 12ms";
        assert_eq!(
            trips(true, &[(0, DOWNLOAD_THROTTLED), (15, answered), (31, DOWNLOAD_THROTTLED)]),
            0
        );
        assert_eq!(trips(false, &[(0, DOWNLOAD_THROTTLED), (31, DOWNLOAD_THROTTLED)]), 0);
    }

    #[test]
    fn a_call_that_goes_well_in_between_is_reason_to_go_on() {
        assert_eq!(trips(true, &[(0, CALL_FAILED), (60, CALL_FAILED), (119, CALL_FAILED)]), 0);
        assert_eq!(trips(true, &[(0, CALL_FAILED), (60, CALL_FAILED), (121, CALL_FAILED)]), 1);
        let answered = [(0, CALL_FAILED), (60, "Reducing sleep to 12ms"), (121, CALL_FAILED)];
        assert_eq!(trips(true, &answered), 0);
        assert_eq!(
            trips(true, &[(0, CALL_FAILED), (300, CALL_FAILED), (301, DOWNLOAD_THROTTLED)]),
            0
        );
        assert_eq!(trips(true, &[(0, "limit 'All requests per day'")]), 1);
    }
}
