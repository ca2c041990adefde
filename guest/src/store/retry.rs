//! Retries of calls that failed for a reason that may pass.

use crate::bindings::plakar::connector::objects::{self, Parcel};
use crate::bindings::plakar::connector::types::{Failure, Reason};

/// Time that an upload is retried for, in milliseconds.
pub const PUT_RETRY_MS: u32 = 15 * 60 * 1000;

/// Time that a read is retried for, in milliseconds.
pub const READ_RETRY_MS: u32 = 2 * 60 * 1000;

/// Time that a listing is retried for, in milliseconds.
pub const LIST_RETRY_MS: u32 = 7 * 1000;

/// Time that a removal is retried for, in milliseconds. Plakar doesn't wait much longer when
/// it ends.
pub const DELETE_RETRY_MS: u32 = 15 * 1000;

/// Delay before the first retry, in milliseconds. Each later one is twice as long.
const FIRST_DELAY_MS: u32 = 1000;

/// Maximum delay, in milliseconds.
const MAX_DELAY_MS: u32 = 60 * 1000;

/// Delays between the attempts of one call.
#[derive(Debug)]
pub struct Backoff {
    next_ms: u32,
    left_ms: u32,
}

impl Backoff {
    /// Creates the delays of a call that is retried for a time.
    pub fn new(retry_ms: u32) -> Self {
        Self { next_ms: FIRST_DELAY_MS, left_ms: retry_ms }
    }

    /// Returns the next delay, or `None` if the time is over.
    fn next(&mut self) -> Option<u32> {
        let delay_ms = self.next_ms.min(self.left_ms);
        self.left_ms -= delay_ms;
        self.next_ms = (self.next_ms * 2).min(MAX_DELAY_MS);
        (delay_ms > 0).then_some(delay_ms)
    }

    /// Waits before the next attempt. Returns false at once if the time is over.
    pub async fn wait(&mut self) -> bool {
        match self.next() {
            Some(delay_ms) => {
                objects::wait(delay_ms).await;
                true
            }
            None => false,
        }
    }
}

/// Reports whether the same call would fail again for the same reason.
pub fn is_final(failure: &Failure) -> bool {
    is_final_for_upload(failure) || failure.reason == Reason::NotFound
}

/// Reports the same of an upload. A directory that isn't found may be there at the next attempt.
pub fn is_final_for_upload(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::Denied
            | Reason::Unauthenticated
            | Reason::InvalidConfiguration
            | Reason::Unsupported
    )
}

/// Calls `action` until it succeeds, fails finally, or the time is over.
///
/// # Errors
///
/// The last attempt failed.
pub async fn retry<T>(
    retry_ms: u32,
    is_final: impl Fn(&Failure) -> bool,
    mut action: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut backoff = Backoff::new(retry_ms);
    loop {
        let result = action().await;
        match result {
            Err(failure) if !is_final(&failure) => {
                if !backoff.wait().await {
                    return Err(failure);
                }
            }
            result => return result,
        }
    }
}

/// Uploads a parcel, again after a failure that may pass, as long as it is wanted.
///
/// # Errors
///
/// The object isn't at the path.
pub async fn put_parcel(
    parcel: &Parcel,
    path: &str,
    is_wanted: impl Fn() -> bool,
) -> Result<u64, Failure> {
    let is_final = |failure: &Failure| is_final_for_upload(failure) || !is_wanted();
    retry(PUT_RETRY_MS, is_final, async || {
        if !is_wanted() {
            return Err(Failure::new(Reason::Cancelled, format!("`{path}` was removed meanwhile")));
        }
        parcel.put(path.to_owned()).await
    })
    .await?;
    Ok(parcel.size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute_and_last_for_the_time_given() {
        let mut backoff = Backoff::new(PUT_RETRY_MS);
        let delays: Vec<_> = std::iter::from_fn(|| backoff.next()).collect();
        assert_eq!(delays[..7], [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
        assert_eq!(delays.iter().sum::<u32>(), PUT_RETRY_MS);
        assert!(delays.iter().all(|delay| *delay <= MAX_DELAY_MS));
    }
}
