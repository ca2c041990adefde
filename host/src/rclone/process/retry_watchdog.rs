//! When a process can only try in vain: where Google Photos answers nothing any more,
//! rclone would try again for hours.

use std::time::{Duration, Instant};

/// What Google says when the calls of a day are used up.
const DAY_IS_OVER: &str = "All requests per day";

/// How rclone says that it will try a call again, before the error...
const AGAIN: &str = "low level retry ";
/// ...and that one went well after others that didn't.
///
/// Source: rclone's fs/pacer.go.
const ANSWERED: &str = "Reducing sleep to ";

/// How rclone says that Google gives a photo not now. Google doesn't say whether that is
/// for a moment or for the day.
///
/// Source: `errorHandler` in rclone's backend/googlephotos.
const NO_PHOTO: &str = "(429 429 Too Many Requests)";

/// How long Google may give no photo at all until the day is taken for over.
const WITHOUT_PHOTOS: Duration = Duration::from_secs(30);

/// How long no call may go well: longer than a quota of calls in a minute lasts, and than
/// rclone tries a single call, whose failure is that of its path alone.
const WITHOUT_ANSWERS: Duration = Duration::from_secs(120);

/// What is refused after such a pause has nothing to do with what was before. rclone waits
/// up to 17 seconds, and then for the network.
const PAUSE: Duration = Duration::from_secs(90);

/// Hears what a process says, and tells once it tries in vain.
pub struct Vain {
    tell: Box<dyn Fn(&str) + Send + Sync>,
    is_photos: bool,
    /// Since when no call went well, and when the last one didn't.
    refused: Option<(Instant, Instant)>,
}

impl Vain {
    /// `tell` is given the error, and may be so more than once. `is_photos`: the remote is
    /// Google Photos.
    pub fn new(is_photos: bool, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { tell: Box::new(tell), is_photos, refused: None }
    }

    /// Hears one message.
    pub fn hear(&mut self, message: &str, now: Instant) {
        if message.contains(DAY_IS_OVER) {
            self.tell(message);
        } else if self.is_photos && message.starts_with(ANSWERED) {
            self.refused = None;
        } else if self.is_photos && message.starts_with(AGAIN) {
            let before = self.refused.filter(|(_, last)| now.duration_since(*last) < PAUSE);
            let (since, _) = before.unwrap_or((now, now));
            self.refused = Some((since, now));
            let patience =
                if message.contains(NO_PHOTO) { WITHOUT_PHOTOS } else { WITHOUT_ANSWERS };
            if now.duration_since(since) >= patience {
                self.tell(message);
            }
        }
    }

    /// Tells of this or of something else.
    pub fn tell(&self, error: &str) {
        (self.tell)(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const NO_PHOTO: &str = "low level retry 1/3 (error no (429 429 Too Many Requests))";
    const NO_ANSWER: &str = "low level retry 1/10 (error no (503 UNAVAILABLE))";

    /// How often it is told when this is heard, each after so many seconds.
    fn told(is_photos: bool, heard: &[(u64, &str)]) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        let counting = count.clone();
        let mut vain = Vain::new(is_photos, move |_| {
            counting.fetch_add(1, Ordering::Relaxed);
        });
        let start = Instant::now();
        for (seconds, message) in heard {
            vain.hear(message, start + Duration::from_secs(*seconds));
        }
        count.load(Ordering::Relaxed)
    }

    #[test]
    fn downloads_are_over_when_no_photo_came_for_a_while() {
        assert_eq!(told(true, &[(0, NO_PHOTO), (15, NO_PHOTO), (29, "Copied (new)")]), 0);
        assert_eq!(told(true, &[(0, NO_PHOTO), (15, NO_PHOTO), (31, NO_PHOTO)]), 1);
        let answered = "Reducing sleep to 12ms";
        assert_eq!(told(true, &[(0, NO_PHOTO), (15, answered), (31, NO_PHOTO)]), 0);
        assert_eq!(told(false, &[(0, NO_PHOTO), (31, NO_PHOTO)]), 0);
    }

    #[test]
    fn a_call_that_goes_well_in_between_is_reason_to_go_on() {
        assert_eq!(told(true, &[(0, NO_ANSWER), (60, NO_ANSWER), (119, NO_ANSWER)]), 0);
        assert_eq!(told(true, &[(0, NO_ANSWER), (60, NO_ANSWER), (121, NO_ANSWER)]), 1);
        let answered = [(0, NO_ANSWER), (60, "Reducing sleep to 12ms"), (121, NO_ANSWER)];
        assert_eq!(told(true, &answered), 0);
        assert_eq!(told(true, &[(0, NO_ANSWER), (300, NO_ANSWER), (301, NO_PHOTO)]), 0);
        assert_eq!(told(true, &[(0, "limit 'All requests per day'")]), 1);
    }
}
