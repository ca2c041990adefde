//! A location that is a file: rclone lists it as a directory with one file of the same name.

use crate::connector::{Entry, Kind};

/// A detector of locations that are files.
#[derive(Default)]
pub struct FileLocationDetector {
    /// The directory that has a file of its own name.
    directory: Option<String>,
    /// Whether the listing has any other file.
    has_others: bool,
}

impl FileLocationDetector {
    /// Observes an entry of the listing.
    pub fn observe(&mut self, entry: &Entry) {
        let parent = entry.path.rsplit_once('/').filter(|(parent, name)| {
            entry.metadata.kind == Kind::File && parent.rsplit('/').next() == Some(name)
        });
        match parent {
            Some((parent, _)) if self.directory.is_none() => {
                self.directory = Some(parent.to_owned());
            }
            _ => self.has_others |= entry.metadata.kind != Kind::Directory,
        }
    }

    /// Logs a warning if the root seems to be a file, at the end of its listing.
    pub fn warn(self, root: &str) {
        if let Some(path) = self.directory.filter(|path| path == root && !self.has_others) {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            tracing::warn!(
                "the location `{}` holds one file of the same name, as if it were that file; help: \
                 set the location to the directory `{parent}/` if it is one",
                path.escape_debug()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{Metadata, Timestamp};

    #[test]
    fn a_file_alone_in_a_directory_of_its_name_is_suspicious() {
        let metadata = |kind| Metadata {
            kind,
            size: None,
            permissions: 0,
            modified: Timestamp { seconds: 0, nanoseconds: 0 },
            identity: None,
        };
        let is_suspicious = |paths: &[&str]| {
            let mut detector = FileLocationDetector::default();
            for path in paths {
                let kind = if path.ends_with('/') { Kind::Directory } else { Kind::File };
                let path = path.trim_end_matches('/').to_owned();
                detector.observe(&Entry { path, metadata: metadata(kind), link_target: None });
            }
            detector.directory.is_some() && !detector.has_others
        };
        assert!(is_suspicious(&["/a/top/", "/a/top/top"]));
        assert!(!is_suspicious(&["/a/top/", "/a/top/top", "/a/top/other"]));
        assert!(!is_suspicious(&["/a/top/", "/a/top/x"]));
    }
}
