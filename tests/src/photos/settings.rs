//! How the emulated account behaves. Unless a test says otherwise: as Google's do.

use std::time::Duration;

use super::oauth;

/// All of it can be changed while the emulator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Ids, tokens and bytes follow from it.
    pub seed: u64,
    /// How long an access token lives. rclone asks for another ten seconds earlier.
    pub token_life: Duration,
    /// Whether a refresh token is good for one access token, which comes with the next.
    pub rotates: bool,
    /// Whether rclone's own client still works, which it is to do until some time in 2026.
    pub shared_client: bool,
    /// What the owner allowed.
    pub scopes: Vec<&'static str>,
    /// Whether shared albums are listed. Google answers 403 since 2025-03-31.
    pub sharing: bool,
    /// How long an item's bytes can be had by the URL that a listing gave.
    pub url_life: Duration,
    /// Calls of the API in a day.
    pub quota: u64,
    /// Downloads in a day.
    pub download_quota: u64,
    /// How much later every answer comes.
    pub latency: Duration,
    /// How long a `batchCreate` takes beyond that: another one in this time is refused.
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
