//! Private directories and files: their modes, their owners, and atomic writes.

use rustix::fs::{Gid, Mode, OFlags, RawMode};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use crate::connector::{Failure, Reason};
use crate::kernel::UserIds;

/// Environment variable with the state directory, in place of the user's own one.
pub const STATE_ENV: &str = "PLAKBOX_STATE";

/// Mode of a directory that the processes of an owner may pass through.
const TRAVERSABLE_MODE: RawMode = 0o710;

/// Mode of a directory that the processes of an owner may list.
const LISTABLE_MODE: RawMode = 0o750;

/// Adds the path to an I/O error.
pub trait IoResultExt<T> {
    /// Turns an I/O error at `path` into a failure.
    ///
    /// # Errors
    ///
    /// The result is an error.
    fn at_path(self, path: &Path) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> IoResultExt<T> for Result<T, E> {
    fn at_path(self, path: &Path) -> Result<T, Failure> {
        self.map_err(|error| directory_failure(path, &error.into()))
    }
}

fn directory_failure(path: &Path, error: &io::Error) -> Failure {
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let (reason, help) = if is_full {
        (Reason::Unavailable, "make room there".to_owned())
    } else {
        (Reason::Internal, format!("make it writable, or set {STATE_ENV} to another one"))
    };
    let message = format!("the private directory `{}` can't be used: {error}", path.display());
    Failure::new(reason, message).with_help(help)
}

/// Creates a directory of mode 0700, or sets that mode.
///
/// # Errors
///
/// It can't be created.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let meta = fs::metadata(path)?;
    if meta.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Creates a private directory that the processes of an owner may pass through, and can't
/// change.
///
/// # Errors
///
/// It can't be created.
pub fn create_traversable_dir(path: &Path, owner: Option<UserIds>) -> io::Result<()> {
    create_shared_dir(path, owner, TRAVERSABLE_MODE)
}

/// Creates a private directory that the processes of an owner may list, and can't change.
///
/// # Errors
///
/// It can't be created.
pub fn create_listable_dir(path: &Path, owner: Option<UserIds>) -> io::Result<()> {
    create_shared_dir(path, owner, LISTABLE_MODE)
}

fn create_shared_dir(path: &Path, owner: Option<UserIds>, mode: RawMode) -> io::Result<()> {
    let Some(UserIds { gid, .. }) = owner else { return create_private_dir(path) };
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty())?;
    let (uid, group) = (rustix::process::geteuid(), Gid::from_raw(gid));
    rustix::fs::fchown(&opened, Some(uid), Some(group))?;
    Ok(rustix::fs::fchmod(&opened, Mode::from_raw_mode(mode))?)
}

/// Gives a directory to the user that the tenant's processes run as. A link in its place isn't
/// followed.
///
/// # Errors
///
/// This process may not change owners.
pub fn chown_to(path: &Path, owner: Option<UserIds>) -> io::Result<()> {
    match owner {
        Some(UserIds { uid, gid }) => std::os::unix::fs::lchown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// UserIds and mode of a new file. Without an owner it belongs to this process's user.
#[derive(Clone, Copy)]
pub struct FileAttributes {
    pub owner: Option<UserIds>,
    pub mode: u32,
}

/// Writes a file of mode 0600 atomically.
///
/// # Errors
///
/// It can't be written; the former file is unchanged then.
pub fn write_private_file(path: &Path, bytes: &[u8], owner: Option<UserIds>) -> io::Result<()> {
    let temporary = path.with_extension(format!("new{}", std::process::id()));
    let attributes = FileAttributes { owner, mode: 0o600 };
    atomic_write(path, &temporary, bytes, attributes, || Ok(true)).map(|_| ())
}

/// Replaces a file atomically, by way of `temporary` in the same directory. A file that is
/// left there is overwritten. `confirm` is called once the bytes are on the disk, and has the
/// last word; returns what it said.
///
/// # Errors
///
/// The file can't be written, or `confirm` fails; the former file is unchanged then.
pub fn atomic_write(
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
    attributes: FileAttributes,
    confirm: impl FnOnce() -> io::Result<bool>,
) -> io::Result<bool> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_new(temporary, bytes, attributes).and_then(|()| {
        if !confirm()? {
            return Ok(false);
        }
        fs::rename(temporary, path)?;
        Ok(true)
    });
    if !matches!(written, Ok(true)) {
        // Don't leave half a file on a full disk.
        let _ = fs::remove_file(temporary);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8], attributes: FileAttributes) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    let meta = file.metadata()?;
    if let Some(UserIds { uid, gid }) = attributes.owner
        && (uid, gid) != (meta.uid(), meta.gid())
    {
        fchown(&file, Some(uid), Some(gid))?;
    }
    file.write_all(bytes)?;
    if meta.mode() & 0o7777 != attributes.mode {
        file.set_permissions(fs::Permissions::from_mode(attributes.mode))?;
    }
    file.sync_all()
}

/// SHA-256 of bytes in hexadecimal.
pub fn hex_digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
