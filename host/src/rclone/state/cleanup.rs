//! Removal of private configurations that aren't in use and won't be needed.

use std::fs;
use std::io;
use std::path::Path;

use super::State;
use super::baseline;
use super::files::{chown_to, create_private_dir, create_traversable_dir, hex_digest};
use super::layout::{
    BASELINE_FILE, CONFIG_FILE, OLD_CONFIG_PREFIX, PRISTINE_FILE, WRITABLE_DIR, config_file,
};
use super::lock::try_lock_dir;
use crate::rclone::remote::ini;

/// Cleans up the directories of all remotes. The caller holds the lock of the state.
pub fn sweep_remotes(state: &State) {
    for directory in state.remote_dirs() {
        let _ = cleanup(state, &directory);
    }
}

/// Removes the directory of a remote, unless it is in use or has changes of rclone's that
/// nothing else has. Then it only removes the files that rclone left half written.
///
/// # Errors
///
/// The changes can't be written back, or the directory can't be read.
pub fn cleanup(state: &State, directory: &Path) -> io::Result<()> {
    let Ok(Some(_lock)) = try_lock_dir(directory) else { return Ok(()) };
    migrate_layout(state, directory)?;
    restore_backup(&directory.join(WRITABLE_DIR));
    let is_saved = if directory.join(BASELINE_FILE).exists() {
        baseline::write_back_copy(state, directory)
    } else {
        is_pristine(directory)
    };
    if let Ok(true) = is_saved {
        let _ = fs::remove_dir_all(directory);
        return Ok(());
    }
    for entry in fs::read_dir(directory.join(WRITABLE_DIR))?.flatten() {
        if entry.file_name() != CONFIG_FILE {
            let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
        }
    }
    is_saved.map(|_| ())
}

/// Moves an imported remote's configuration to the writable directory from where it was before
/// there was one: it may have the only copy of a refreshed token.
fn migrate_layout(state: &State, directory: &Path) -> io::Result<()> {
    let former = directory.join(CONFIG_FILE);
    let is_file = fs::symlink_metadata(&former).is_ok_and(|meta| meta.is_file());
    if !is_file || directory.join(BASELINE_FILE).exists() {
        return Ok(());
    }
    create_traversable_dir(directory, state.owner())?;
    create_private_dir(&directory.join(WRITABLE_DIR))?;
    fs::rename(former, config_file(directory))?;
    chown_to(&directory.join(WRITABLE_DIR), state.owner())
}

/// Whether there is nothing to keep: rclone has changed nothing, or has put something in the
/// configuration's place that isn't one.
fn is_pristine(directory: &Path) -> io::Result<bool> {
    let pristine = fs::read_to_string(directory.join(PRISTINE_FILE)).unwrap_or_default();
    match ini::read_untrusted(&config_file(directory)) {
        Err(error) if ini::is_unusable(&error) => Ok(true),
        config => Ok(hex_digest(config?.as_bytes()) == pristine),
    }
}

/// Restores the configuration where rclone was killed between moving it away and putting the
/// new one in its place. The new one is complete by then, and is taken before the old one.
fn restore_backup(directory: &Path) {
    if fs::symlink_metadata(directory.join(CONFIG_FILE)).is_ok() {
        return;
    }
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let meta = entry.metadata().ok()?;
            let is_config = name.starts_with(CONFIG_FILE) && meta.is_file() && meta.len() > 0;
            let is_new = !name.starts_with(OLD_CONFIG_PREFIX);
            is_config.then(|| ((is_new, meta.modified().ok()), entry.path()))
        })
        .collect();
    found.sort();
    if let Some((_, newest)) = found.pop() {
        let _ = fs::rename(newest, directory.join(CONFIG_FILE));
    }
}
