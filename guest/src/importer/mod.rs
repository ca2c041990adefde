//! The importer: a scan of the remote, and reads of the files that it found.
//!
//! - [`scan`]: listed items into entries
//! - [`listing`], [`link_cycles`]: the listing, around cycles of links
//! - [`mod_times`]: lookup of modification times
//! - [`events`], [`dedup`]: entries and errors on their way to Plakar
//! - [`prefetch`]: read-ahead of files
//! - [`opener`], [`reader_pool`]: the processes that read
//! - [`shared_download`]: one download for all paths of a file
//! - [`google_photos`], [`takeout`]: the library of Google Photos, and exports of it

mod dedup;
mod events;
mod google_photos;
mod link_cycles;
mod listing;
mod mod_times;
mod opener;
mod prefetch;
mod reader_pool;
mod scan;
mod shared_download;
mod takeout;

use futures::{FutureExt, StreamExt};
use std::rc::Rc;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

use crate::backends::Backend;
use crate::bindings::exports::plakar::connector::importer::ScanEvent;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason, Remote};
use crate::bindings::{wit_future, wit_stream};
use crate::lsjson::run;
use crate::options::Options;
use crate::path::SnapshotRoot;
use events::{EventSender, root_entry};
use google_photos::GooglePhotos;
use opener::FileOpener;
use prefetch::{PrefetchConfig, Prefetcher};
use reader_pool::{LARGE_FILE_BYTES, ReaderPool, is_final};
use scan::Scan;
use shared_download::ReadPlan;
use takeout::Takeout;

/// Number of files opened in a row before others are prefetched. A single changed file says
/// nothing about the next one.
const MIN_STREAK: usize = 1;

/// The same for Google Photos, where new photos are listed first: a few new ones must not
/// trigger downloads of old ones.
const MIN_PHOTO_STREAK: usize = 16;

/// Number of acknowledged paths that are read at once.
const READ_ACKNOWLEDGED: usize = 256;

/// Events of a scan, and how it ended.
pub type ScanStreams = (StreamReader<ScanEvent>, FutureReader<Result<(), Failure>>);

/// Importer of one remote.
pub struct Importer {
    backend: Backend,
    root: SnapshotRoot,
    own_times: bool,
    prefetcher: Prefetcher,
    opener: Rc<FileOpener>,
    /// Exports, if they are backed up as a library.
    takeout: Option<Takeout>,
}

impl Importer {
    /// Creates an importer. Nothing is started yet.
    ///
    /// # Errors
    ///
    /// An option of the user is invalid.
    pub fn new(remote: &Remote) -> Result<Self, Failure> {
        let options = Options::parse(&remote.options, remote.streams)?;
        let backend = Backend::find(&remote.backend);
        let is_google_photos = backend.is_google_photos();
        if is_google_photos && options.takeout.is_some() {
            let message = "Google Photos has no exports, which `view=takeout` shows";
            return Err(Failure::new(Reason::InvalidConfiguration, message)
                .with_help("choose the remote that Google Takeout delivers to"));
        }
        let root = SnapshotRoot::new(&remote.root);
        let config = PrefetchConfig {
            max_in_flight: options.streams,
            max_bytes: options.read_ahead_bytes,
            min_streak: if is_google_photos { MIN_PHOTO_STREAK } else { MIN_STREAK },
            large_file_bytes: LARGE_FILE_BYTES,
        };
        let opener = Rc::new(FileOpener {
            root: root.clone(),
            pool: Rc::new(ReaderPool::new(options.processes)),
            google_photos: is_google_photos.then(GooglePhotos::default),
        });
        let prefetch_opener = opener.clone();
        let prefetcher = Prefetcher::new(config, move |path, size| {
            let opener = prefetch_opener.clone();
            async move { opener.open(&path, size).await }.boxed_local()
        });
        let create_takeout = |selection| Takeout::new(opener.pool.clone(), selection);
        let takeout = options.takeout.map(create_takeout);
        Ok(Self { backend, root, own_times: options.own_times, prefetcher, opener, takeout })
    }

    /// Returns the path of the remote's root in the snapshot.
    pub fn root(&self) -> &str {
        self.root.path()
    }

    /// Checks that the remote answers.
    ///
    /// # Errors
    ///
    /// The remote cannot be listed.
    pub async fn ping(&self) -> Result<(), Failure> {
        run::probe(self.backend.probe_directory(self.root.path())).await
    }

    /// Starts the scan, which continues after this returns. `acknowledged` has the paths that
    /// Plakar is done with.
    pub fn scan(self: Rc<Self>, acknowledged: StreamReader<String>) -> ScanStreams {
        let (output, events) = wit_stream::new();
        let (end_writer, end) = wit_future::new(|| Err(Failure::internal("the scan was dropped")));
        spawn_local(self.clone().acknowledge_all(acknowledged));
        spawn_local(async move {
            let result = self.run_scan(output).await;
            // The host may have dropped the future.
            let _ = end_writer.write(result).await;
        });
        (events, end)
    }

    async fn run_scan(&self, mut output: StreamWriter<ScanEvent>) -> Result<(), Failure> {
        let (sender, mut events) = EventSender::channel(self.root.clone());
        let scanning = async {
            let result = match (&self.takeout, &self.opener.google_photos) {
                (Some(takeout), _) => takeout.scan(self.backend, sender).await,
                (None, Some(library)) => library.scan(self.backend, &self.prefetcher, sender).await,
                (None, None) => self.generic_scan(sender).run().await,
            };
            self.prefetcher.mark_complete();
            result
        };
        let sending = async {
            output.write_all(vec![ScanEvent::Entry(root_entry(&self.root))]).await;
            while let Some(group) = events.next().await {
                if !output.write_all(group).await.is_empty() {
                    // The host reads no further: closing the channel ends the scan.
                    return events.close();
                }
            }
        };
        let (result, ()) = futures::join!(scanning, sending);
        result
    }

    fn generic_scan(&self, events: EventSender) -> Scan<'_> {
        Scan {
            backend: self.backend,
            own_times: self.own_times,
            prefetcher: &self.prefetcher,
            events,
        }
    }

    async fn acknowledge_all(self: Rc<Self>, mut acknowledged: StreamReader<String>) {
        loop {
            let (result, paths) = acknowledged.read(Vec::with_capacity(READ_ACKNOWLEDGED)).await;
            for path in &paths {
                self.prefetcher.acknowledge(path);
                if let Some(library) = &self.opener.google_photos {
                    library.acknowledge(path);
                }
                if let Some(takeout) = &self.takeout {
                    takeout.acknowledge(path);
                }
            }
            if !matches!(result, StreamResult::Complete(_)) {
                return;
            }
        }
    }

    /// Reads a file that the scan found.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn read(&self, path: &str) -> Result<Content, Failure> {
        if let Some(takeout) = &self.takeout {
            return takeout.read(path).await;
        }
        let shared =
            self.opener.google_photos.as_ref().and_then(|photos| photos.shared_download(path));
        let Some(download) = shared else {
            return self.read_path(path).await;
        };
        match download.plan_read().await {
            ReadPlan::Download(claim) => Ok(claim.tee(self.read_path(path).await?)),
            ReadPlan::Cached(cached) => {
                // A fetch of this path, if there is one, isn't needed.
                drop(self.prefetcher.take(path));
                self.prefetcher.fill();
                Ok(cached.content())
            }
        }
    }

    /// Reads the file at this very path, prefetched or now.
    async fn read_path(&self, path: &str) -> Result<Content, Failure> {
        let fetch = self.prefetcher.take(path);
        self.prefetcher.fill();
        let is_google_photos = self.backend.is_google_photos();
        if !is_google_photos && self.prefetcher.should_warm_up() {
            self.opener.pool.warm_up();
        }
        let read = match fetch {
            Some(fetch) => match fetch.await {
                Ok(Ok(content)) => Ok(content),
                Ok(Err(failure)) if is_final(&failure) => Err(failure),
                _ => self.open(path).await,
            },
            None => self.open(path).await,
        };
        match read {
            // Prefetched files may use the streams or the memory that this read needs.
            Err(failure)
                if failure.reason == Reason::RateLimited
                    && !is_google_photos
                    && self.prefetcher.drop_unopened() =>
            {
                self.open(path).await
            }
            read => read,
        }
    }

    async fn open(&self, path: &str) -> Result<Content, Failure> {
        self.opener.open(path, self.prefetcher.size(path)).await
    }
}
