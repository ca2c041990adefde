//! Facts about rclone's backends, as one table.

use serde::Deserialize;

/// rclone's name of Google Photos.
pub const GOOGLE_PHOTOS: &str = "google photos";

/// The directory of Google Photos that is listed to find out whether it answers. Its root is
/// made up by rclone.
pub const GOOGLE_PHOTOS_PROBE_DIR: &str = "album";

/// Number of files that a backend without an entry of its own is asked for at the same time:
/// object stores, drives, and this machine.
pub const DEFAULT_STREAMS: usize = 64;

/// Facts about one backend.
#[derive(Debug, Clone, Copy)]
pub struct Backend {
    name: &'static str,
    /// Number of files that it is asked for, or given, at the same time. For each of these
    /// rclone may look up another one, so that there are up to twice as many connections.
    ///
    /// Measured with 300 small files to vsftpd, proftpd with TLS, sshd and smbd on one
    /// machine: more were slower on each, and 64 took 70 s where vsftpd accepts 50 connections.
    pub streams: usize,
    /// Whether a file that is longer than it was listed has been appended to. Elsewhere it is
    /// a different object.
    pub is_file_system: bool,
    /// Whether rclone never reports it as case-insensitive.
    pub is_case_sensitive: bool,
    /// Whether it has directories of its own, and at most one object of a name.
    pub has_directories: bool,
}

/// A backend without an entry.
const UNKNOWN: Backend = Backend {
    name: "",
    streams: DEFAULT_STREAMS,
    is_file_system: false,
    is_case_sensitive: false,
    has_directories: true,
};

/// A wrapper that rclone never reports as case-insensitive.
const WRAPPER: Backend = Backend { is_case_sensitive: true, ..UNKNOWN };

/// A case-sensitive object store.
const OBJECT_STORE: Backend =
    Backend { is_case_sensitive: true, has_directories: false, ..UNKNOWN };

const BACKENDS: &[Backend] = &[
    Backend { name: "alias", ..WRAPPER },
    Backend { name: "chunker", ..WRAPPER },
    Backend { name: "compress", ..WRAPPER },
    Backend { name: "crypt", ..WRAPPER },
    Backend { name: "azureblob", ..OBJECT_STORE },
    Backend { name: "b2", ..OBJECT_STORE },
    Backend { name: "drive", ..OBJECT_STORE },
    Backend { name: "google cloud storage", ..OBJECT_STORE },
    Backend { name: "s3", ..OBJECT_STORE },
    Backend { name: "swift", ..OBJECT_STORE },
    Backend { name: "oracleobjectstorage", has_directories: false, ..UNKNOWN },
    Backend { name: "qingstor", has_directories: false, ..UNKNOWN },
    Backend { name: "storj", has_directories: false, ..UNKNOWN },
    // One call takes this number (rclone's `batch_size` there).
    Backend { name: GOOGLE_PHOTOS, streams: 50, has_directories: false, ..UNKNOWN },
    // Many servers accept 8 or 10 connections of one address.
    Backend { name: "ftp", streams: 4, is_case_sensitive: true, ..UNKNOWN },
    // sshd drops some connections that log in while ten others do (`MaxStartups`).
    Backend { name: "sftp", streams: 8, is_file_system: true, is_case_sensitive: true, ..UNKNOWN },
    Backend { name: "smb", streams: 8, is_file_system: true, ..UNKNOWN },
    Backend { name: "webdav", streams: 16, is_case_sensitive: true, ..UNKNOWN },
    Backend { name: "hdfs", streams: 16, ..UNKNOWN },
    Backend { name: "http", streams: 16, ..UNKNOWN },
    Backend { name: "koofr", streams: 16, ..UNKNOWN },
    Backend { name: "seafile", streams: 16, ..UNKNOWN },
    Backend {
        name: "local",
        is_file_system: true,
        is_case_sensitive: cfg!(target_os = "linux"),
        ..UNKNOWN
    },
];

/// The facts about a backend, by rclone's name.
pub fn find(name: &str) -> Backend {
    BACKENDS.iter().find(|backend| backend.name == name).copied().unwrap_or(UNKNOWN)
}

/// The features of a remote, as `rclone backend features` prints them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BackendFeatures {
    /// Precision of modification times, in nanoseconds.
    precision: i64,
    features: FeatureFlags,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FeatureFlags {
    /// Objects appear whole or not at all.
    #[serde(default)]
    bucket_based: bool,
    /// Files are visible before they are complete.
    #[serde(default)]
    partial_uploads: bool,
    /// Directories exist without files.
    #[serde(default)]
    can_have_empty_directories: bool,
    /// Files can be renamed.
    #[serde(rename = "Move", default)]
    renames: bool,
    /// Names that differ only in case are the same.
    #[serde(default)]
    case_insensitive: bool,
}

/// The precision by which rclone reports that a backend stores no modification times: a
/// hundred years, in nanoseconds (`fs.ModTimeNotSupported`).
const NO_MOD_TIME_NANOS: i64 = 100 * 365 * 24 * 3600 * 1_000_000_000;

impl BackendFeatures {
    /// Whether names that differ only in case are the same.
    pub fn is_case_insensitive(&self) -> bool {
        self.features.case_insensitive
    }

    /// Whether objects appear whole or not at all.
    pub fn is_bucket_based(&self) -> bool {
        self.features.bucket_based
    }

    /// Whether files are visible before they are complete.
    pub fn shows_incomplete(&self) -> bool {
        self.features.partial_uploads
    }

    /// Whether directories exist without files.
    pub fn has_directories(&self) -> bool {
        self.features.can_have_empty_directories
    }

    /// Whether files can be renamed.
    pub fn renames(&self) -> bool {
        self.features.renames
    }

    /// Whether modification times are stored.
    pub fn stores_mod_times(&self) -> bool {
        self.precision < NO_MOD_TIME_NANOS
    }
}
