//! Behaviour of the emulated account. By default, it is that of Google's.

use std::time::Duration;

use super::oauth;

/// All of it can be changed while the emulator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ids, tokens and bytes follow from it.
    pub seed: u64,
    /// Lifetime of an access token. rclone requests a new one ten seconds earlier.
    pub token_life: Duration,
    /// Whether a refresh token is good for one access token, which comes with the next.
    pub rotates: bool,
    /// Whether rclone's own client still works, which it is to do until some time in 2026.
    pub shared_client: bool,
    /// Scopes that the owner allowed.
    pub scopes: Vec<&'static str>,
    /// Whether shared albums are listed. Google answers 403 since 2025-03-31.
    pub sharing: bool,
    /// Lifetime of the URL of an item's bytes in a listing.
    pub url_life: Duration,
    /// Calls of the API in a day.
    pub quota: u64,
    /// Downloads in a day.
    pub download_quota: u64,
    /// Delay of every reply.
    pub latency: Duration,
    /// Additional delay of a `batchCreate`, during which another one is refused.
    pub commit: Duration,
    /// Whether downloads tell their length.
    pub sized: bool,
    /// Whether HTTP/2 is spoken, beside HTTP/1.1.
    pub http2: bool,
    /// The size of the photos that [`fill`](super::Photos::fill) makes, roughly.
    pub photo_size: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            token_life: Duration::from_secs(3599),
            rotates: false,
            shared_client: true,
            scopes: vec![oauth::APPEND, oauth::READ, oauth::EDIT],
            sharing: true,
            url_life: Duration::from_secs(60 * 60),
            quota: 10_000,
            download_quota: 75_000,
            latency: Duration::ZERO,
            commit: Duration::from_millis(10),
            sized: false,
            http2: true,
            photo_size: 600,
        }
    }
}

impl Settings {
    /// An account that was connected with `read_only = true`.
    pub fn read_only() -> Self {
        Self { scopes: vec![oauth::READ], ..Self::default() }
    }

    /// An account that was connected by rclone before 1.70.
    pub fn before_1_70() -> Self {
        Self { scopes: vec![oauth::OLD], ..Self::default() }
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.scopes == [oauth::READ]
    }
}
