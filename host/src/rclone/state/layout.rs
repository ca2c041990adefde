//! Names of the files and directories below the state directory.

use std::path::{Path, PathBuf};

/// Directories of remotes, by the digest of their configuration.
pub const REMOTES_DIR: &str = "remotes";

/// Directories of sessions.
pub const SESSIONS_DIR: &str = "sessions";

/// Fingerprints that remotes had before a token was refreshed.
pub const ALIASES_DIR: &str = "identities";

/// An empty file for each notice that was shown.
pub const NOTICES_DIR: &str = "told";

/// Directories whose locks are the session slots of a user.
pub const SLOTS_DIR: &str = "slots";

/// Notes about the locks that sessions have put into stores.
pub const STORE_LOCKS_DIR: &str = "store-locks";

/// What components keep for later sessions, by remote and root.
pub const CACHES_DIR: &str = "caches";

/// The version of the rclone that was used last.
pub const VERSION_FILE: &str = "rclone-version";

/// The lock file of a directory.
pub const LOCK_FILE: &str = "lock";

/// The directory that rclone may write to, of a session or a remote.
pub const WRITABLE_DIR: &str = "own";

/// The directory of a session that rclone reads batches and path lists from.
pub const INPUT_DIR: &str = "input";

/// The configuration in the writable directory of a remote.
pub const CONFIG_FILE: &str = "rclone.conf";

/// Prefix of the name, before digits, that rclone moves a configuration to before it replaces
/// it. What it writes in its place is named [`CONFIG_FILE`] and digits.
pub const OLD_CONFIG_PREFIX: &str = "rclone.conf.old";

/// The digest of an imported configuration as it was first written.
pub const PRISTINE_FILE: &str = "pristine";

/// The baseline of a copy of the user's rclone.conf.
pub const BASELINE_FILE: &str = "started.json";

/// The lock of the process that refreshes a token. It is outside the writable directory, so
/// that rclone can't hold it.
pub const REFRESH_LOCK_FILE: &str = "refreshing";

/// The configuration in the directory of a remote.
pub fn config_file(directory: &Path) -> PathBuf {
    directory.join(WRITABLE_DIR).join(CONFIG_FILE)
}
