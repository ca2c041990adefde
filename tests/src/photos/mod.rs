//! An emulator of the Google Photos Library API, as strict as Google where that is known.
//!
//! rclone reaches it as an HTTPS proxy on loopback: whatever it asks of Google's hosts is
//! answered here, under certificates of an authority that is made for each emulator.
//!
//! - [`proxy`]: the way in; everything else is behind it
//! - [`oauth`]: tokens
//! - [`api`]: the calls, admitted by token, scope and quota; [`items`], [`albums`] and
//!   [`uploads`] answer them, [`filters`] and [`pages`] choose what a listing shows
//! - [`downloads`]: the bytes, by URLs that expire
//! - [`library`]: what the account holds; [`media`]: what may be in it
//! - [`faults`]: what goes wrong; [`calls`]: what was asked

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

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use calls::{Call, Calls};
pub use library::Item;
pub use media::Digest;
pub use oauth::{APPEND, CLIENT, EDIT, OLD, READ, SECRET};
pub use settings::Settings;

/// When the first photo that is added was taken: 2015-01-01. The next ones follow.
const FIRST: i64 = 1_420_070_400;
const BETWEEN: Duration = Duration::seconds(617);

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

/// What the account holds.
impl Photos {
    /// Adds a photo or a video that rclone uploaded once; gives its id. Each is newer
    /// than those added before. Bytes that are there already are the item that they were.
    #[track_caller]
    pub fn add(&self, name: &str, bytes: impl Into<Bytes>) -> String {
        let bytes = bytes.into();
        let media_type = media::media_type(&bytes).expect("neither a photo nor a video");
        let library = &mut self.google().library;
        let number = i32::try_from(library.added()).unwrap();
        let created = OffsetDateTime::from_unix_timestamp(FIRST).unwrap() + BETWEEN * number;
        let place = library.add(name, media_type, bytes, created);
        library.item(place).unwrap().id.clone()
    }

    /// Adds an album with these items; gives its id.
    pub fn album(&self, title: &str, items: &[impl AsRef<str>]) -> String {
        self.add_album(title, items, false)
    }

    /// Adds an album that somebody else shares, with these items.
    pub fn shared_album(&self, title: &str, items: &[impl AsRef<str>]) -> String {
        self.add_album(title, items, true)
    }

    fn add_album(&self, title: &str, items: &[impl AsRef<str>], shared: bool) -> String {
        let library = &mut self.google().library;
        let places: Vec<_> =
            items.iter().map(|id| library.place(id.as_ref()).expect("no such item")).collect();
        let album = library.add_album(title, shared);
        places.into_iter().for_each(|place| library.album_at(album).put(place));
        library.album_at(album).id.clone()
    }

    /// Adds so many photos, every one in an album (and every tenth in the next one, too),
    /// the last ones with the names of the first ones.
    pub fn fill(&self, items: usize, albums: usize, duplicates: usize, seed: u64) {
        let size = self.google().settings.photo_size;
        let ids: Vec<_> = (0..items)
            .map(|number| {
                let name = number.checked_sub(items - duplicates).unwrap_or(number);
                let photo = media::photo(seed, number as u64, size + number % 97);
                self.add(&format!("IMG_{:05}.jpg", name + 1), photo)
            })
            .collect();
        let mut held = vec![Vec::new(); albums];
        for (number, id) in ids.iter().enumerate().filter(|_| albums > 0) {
            held[number % albums].push(id);
            if number % 10 == 9 {
                held[(number + 1) % albums].push(id);
            }
        }
        for (number, held) in held.iter().enumerate() {
            self.album(&format!("Album {:03}", number + 1), held);
        }
    }

    pub fn favourite(&self, id: &str) {
        self.change(id, |item| item.favourite = true);
    }

    pub fn archive(&self, id: &str) {
        self.change(id, |item| item.archived = true);
    }

    /// The item was made by another application: this one doesn't see it.
    pub fn by_others(&self, id: &str) {
        self.change(id, |item| item.app_created = false);
    }

    /// The item is gone, and still listed.
    pub fn vanish(&self, id: &str) {
        self.change(id, |item| item.vanished = true);
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Item)) {
        let library = &mut self.google().library;
        let place = library.place(id).expect("no such item");
        change(library.item_mut(place).unwrap());
    }

    /// The owner deletes an item.
    pub fn delete(&self, id: &str) {
        let library = &mut self.google().library;
        let place = library.place(id).expect("no such item");
        library.delete(place);
    }

    /// The account holds nothing any more.
    pub fn empty_account(&self) {
        self.google().library.empty();
    }

    /// Every item, in the order in which they came.
    pub fn items(&self) -> Vec<Item> {
        self.google().library.items().cloned().collect()
    }

    /// Every album by its title, with the bytes that it holds: to compare accounts, or
    /// what became of one.
    pub fn albums(&self) -> Vec<(String, BTreeSet<Digest>)> {
        let library = &self.google().library;
        let albums = library.albums().iter().map(|album| {
            let items = library.of_album(album, 0).map(|(_, item)| item.digest.clone());
            (album.title.clone(), items.collect())
        });
        let mut albums: Vec<_> = albums.collect();
        albums.sort();
        albums
    }
}

/// What goes wrong, and what was asked.
impl Photos {
    /// The next calls of a kind are answered with this status, as Google words it.
    pub fn fail(&self, call: Call, status: u16, times: u64) {
        self.google().faults.fail(call, status, times);
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

    /// Access tokens become invalid before their time.
    pub fn forget_access_tokens(&self) {
        self.google().grants.forget();
    }

    /// The quotas start anew.
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
