//! Listing of the directory of exports.

use futures::StreamExt;

use super::index::ListedArchive;
use crate::backends::{Backend, Feature};
use crate::bindings::exports::plakar::connector::importer::ScanEvent;
use crate::bindings::plakar::connector::rclone::ListOptions;
use crate::bindings::plakar::connector::types::Failure;
use crate::importer::events::EventSender;
use crate::importer::listing::{self, Listing, ListingConfig};
use crate::lsjson::Item;
use crate::path::{RemotePath, SnapshotRoot};
use crate::takeout::Problem;
use crate::takeout::exports::ListedFile;

/// Files of the directory of exports.
#[derive(Default)]
pub struct ExportDirectory {
    pub files: Vec<ListedFile>,
    /// Identities of the files, if the backend has any.
    identities: Vec<Option<u64>>,
    /// Paths that could not be listed.
    pub problems: Vec<Problem>,
}

impl ExportDirectory {
    /// Lists the remote, whose root in the snapshot is `root`.
    ///
    /// # Errors
    ///
    /// The listing is not complete.
    pub async fn list(backend: Backend, root: &SnapshotRoot) -> Result<Self, Failure> {
        let selection = ListOptions {
            hashes: backend.has_feature(Feature::FreeHashes),
            // The time of an upload shows as well that an archive was replaced.
            server_times: true,
            ..ListOptions::descendants("")
        };
        let config = ListingConfig {
            follows_links: backend.has_feature(Feature::FollowsLinks),
            keeps_retryable: false,
        };
        let (sender, errors) = EventSender::channel(root.clone());
        let Listing { mut items, end } = listing::start(selection, config, sender).await?;
        let mut directory = Self::default();
        let collecting = async {
            while let Some(group) = items.next().await {
                for item in group {
                    directory.add(item);
                }
            }
        };
        let (summary, (), errors) = futures::join!(end, collecting, errors.concat());
        summary?;
        let below = root.absolute("");
        for error in errors {
            if let ScanEvent::Error((path, failure)) = error {
                let path = path.strip_prefix(&below).unwrap_or(&path).to_owned();
                directory.problems.push(Problem { path, failure });
            }
        }
        Ok(directory)
    }

    fn add(&mut self, item: Item) {
        let size = u64::try_from(item.size()).ok();
        let Some(size) = size.filter(|_| !item.is_dir && RemotePath::parse(&item.path).is_ok())
        else {
            return;
        };
        self.identities.push(item.identity());
        let modified = item.modified().seconds;
        self.files.push(ListedFile { path: item.path, size, modified });
    }

    /// Returns the identity of a file.
    pub fn identity(&self, number: usize) -> Option<u64> {
        self.identities.get(number).copied().flatten()
    }

    /// Returns an archive among the files.
    ///
    /// # Errors
    ///
    /// Its path is invalid.
    pub fn archive(&self, number: usize) -> Result<ListedArchive, Failure> {
        let file = &self.files[number];
        let path = RemotePath::parse(&file.path)?;
        let version = format!("{} {:?}", file.modified, self.identity(number));
        Ok(ListedArchive { path, size: file.size, version })
    }
}
