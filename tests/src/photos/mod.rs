//! An emulator of the Google Photos Library API, as strict as Google where that is known.
//!
//! rclone reaches it as an HTTPS proxy on loopback: whatever it asks of Google's hosts is
//! answered here, under certificates of an authority that is made for each emulator.
//!
//! - `proxy` is the way in; everything else is behind it
//! - `oauth` gives and checks tokens
//! - `api` has the calls, admitted by token, scope and quota; `items`, `albums` and
//!   `uploads` answer them, `filters` and `pages` choose what a listing shows
//! - `downloads` has the bytes, by URLs that expire
//! - `account` is what a test sees of the `library`; `media` tells what may be in it
//! - `faults` go wrong; `calls` count what was asked

mod account;
mod albums;
mod answers;
mod api;
mod calls;
mod downloads;
mod faults;
mod filters;
mod ids;
mod items;
mod library;
pub mod media;
mod oauth;
mod pages;
mod proxy;
mod settings;
mod uploads;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use calls::{Call, Calls};
pub use library::Item;
pub use media::Digest;
pub use oauth::{APPEND, CLIENT, EDIT, OLD, READ, SECRET};
pub use settings::Settings;

/// Everything that the emulated hosts share.
struct Google {
    settings: Settings,
    library: library::Library,
    grants: oauth::Grants,
    uploads: uploads::Uploads,
    faults: faults::Faults,
    calls: Calls,
    /// Calls of the API, and downloads, today.
    used: u64,
    downloaded: u64,
}

type Shared = Arc<Mutex<Google>>;

/// A running emulator: one account, empty at first. It ends with the test.
pub struct Photos {
    shared: Shared,
    address: SocketAddr,
    directory: TempDir,
    runtime: Option<Runtime>,
}

impl Drop for Photos {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starting it, and what a program needs to reach it.
impl Photos {
    /// Starts one that behaves as Google does.
    pub fn start() -> Self {
        Self::with(Settings::default())
    }

    /// Starts an account with these settings.
    pub fn with(settings: Settings) -> Self {
        let (certificates, authority) = proxy::certificates(settings.http2);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("authority.pem"), authority).unwrap();
        let shared = Arc::new(Mutex::new(Google {
            library: library::Library::new(settings.seed),
            grants: oauth::Grants::new(settings.seed),
            uploads: uploads::Uploads::new(settings.seed),
            faults: faults::Faults::default(),
            calls: Calls::default(),
            used: 0,
            downloaded: 0,
            settings,
        }));
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(proxy::serve(listener, shared.clone(), certificates));
        Self { shared, address, directory, runtime: Some(runtime) }
    }

    /// The environment of a program that is to reach it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let proxy = format!("http://{}", self.address);
        let authority = self.authority().to_str().unwrap().to_owned();
        [("HTTPS_PROXY", proxy.clone()), ("https_proxy", proxy), ("SSL_CERT_FILE", authority)]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    /// The certificate of the authority, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// The section of this name for rclone's configuration. Its access token is expired,
    /// as it nearly always is by the time of a backup; its refresh token is valid.
    pub fn config(&self, name: &str) -> String {
        let google = self.google();
        let token = json!({
            "access_token": "ya29.a0-expired",
            "token_type": "Bearer",
            "refresh_token": google.grants.refresh(),
            "expiry": "2020-01-01T00:00:00Z",
        });
        let read_only = if google.settings.is_read_only() { "read_only = true\n" } else { "" };
        format!(
            "[{name}]\ntype = google photos\nclient_id = {CLIENT}\nclient_secret = {SECRET}\n\
             {read_only}token = {token}\n"
        )
    }

    /// Changes how it behaves from now on, all but `seed` and `http2`.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.google().settings);
    }

    fn google(&self) -> MutexGuard<'_, Google> {
        self.shared.lock().unwrap()
    }
}

/// Faults, and the calls that were received.
impl Photos {
    /// The next calls of a kind are answered with this status, as Google words it.
    pub fn fail(&self, call: Call, status: u16, times: u64) {
        self.google().faults.fail(call, status, times);
    }

    /// The next batches are refused as if another program wrote to the account.
    pub fn others_write(&self, times: u64) {
        self.google().faults.fail_with(Call::BatchCreate, 429, uploads::OVERLAP, times);
    }

    /// Listings of an album are answered with this status.
    pub fn fail_album(&self, id: &str, status: u16) {
        self.google().faults.fail_album(id, status);
    }

    /// The next downloads of an item break off after so many bytes.
    pub fn break_off(&self, id: &str, after: usize, times: u64) {
        self.google().faults.break_off(id, after, times);
    }

    /// Uploads of this file name don't become items, with this status of Google's
    /// (3: invalid, 8: no storage left, 13: internal).
    pub fn refuse_upload(&self, name: &str, code: i32, message: &str) {
        self.google().faults.refuse(name, code, message);
    }

    /// Nothing that was ordered goes wrong any more.
    pub fn heal(&self) {
        self.google().faults.heal();
    }

    /// The owner takes the access away: no token is valid any more.
    pub fn revoke(&self) {
        self.google().grants.revoke();
    }

    /// The owner gives access once more: a configuration has another token from then on.
    pub fn reconnect(&self) {
        self.google().grants.reconnect();
    }

    /// Access tokens become invalid before their time.
    pub fn forget_access_tokens(&self) {
        self.google().grants.forget();
    }

    /// Resets the quotas.
    pub fn next_day(&self) {
        let google = &mut *self.google();
        (google.used, google.downloaded) = (0, 0);
    }

    /// The calls since they were taken last.
    pub fn calls(&self) -> Calls {
        self.google().calls.clone()
    }

    /// The same; they are counted from zero then.
    pub fn take_calls(&self) -> Calls {
        std::mem::take(&mut self.google().calls)
    }

    /// Uploads that never became items.
    pub fn uploads_waiting(&self) -> usize {
        self.google().uploads.waiting()
    }
}
