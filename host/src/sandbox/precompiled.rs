//! Code that was compiled ahead, in a file next to its component (`.cwasm`).
//!
//! wasmtime runs such code as it is, so it is as good as this program: it is loaded only from
//! a file that only root and the user who runs it may write, and only if it was compiled from
//! the very component next to it. The file ends with a mark and the component's
//! SHA-256.

use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::kernel;

/// The mark before the digest.
const MARK: &[u8; 16] = b"plakbox ahead 1\n";

/// Length of a digest.
const DIGEST_BYTES: usize = 32;

/// The reason why precompiled code isn't used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("it can't be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it isn't a regular file")]
    NotRegularFile,
    #[error("user {0} owns it, who is neither root nor the one who runs this program")]
    Owner(u32),
    #[error("others than its owner may write it; help: run `chmod go-w` on it")]
    Writable,
    #[error("it wasn't compiled from the component next to it; help: run `plakbox compile` again")]
    OtherComponent,
    #[error("a different version of this program compiled it: {0:#}")]
    Version(wasmtime::Error),
}

/// Appends the mark and the digest of the component that the code was compiled from.
pub fn append_digest(mut code: Vec<u8>, component: &[u8]) -> Vec<u8> {
    code.extend(MARK);
    code.extend(Sha256::digest(component));
    code
}

/// Loads the code at `path` if it is that of the component.
///
/// # Errors
///
/// Fails if the file can't be read or trusted, or has other code.
pub fn load(engine: &Engine, path: &Path, component: &[u8]) -> Result<Component, LoadError> {
    // The file that is checked is the one that is run, even if it is replaced meanwhile.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    check(&file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let code = strip_digest(&bytes, component).ok_or(LoadError::OtherComponent)?;
    // SAFETY: only root and our own user, who could change this program as well, can have
    // written the file, and `append_digest` marked it as that of this component.
    unsafe { Component::deserialize(engine, code) }.map_err(LoadError::Version)
}

/// Checks that only root and our own user may write the file.
fn check(file: &File) -> Result<(), LoadError> {
    let meta = file.metadata()?;
    let us = rustix::process::geteuid().as_raw();
    if !meta.is_file() {
        return Err(LoadError::NotRegularFile);
    }
    let owner = kernel::owner(file)?;
    if ![0, us].contains(&owner.uid) {
        return Err(LoadError::Owner(owner.uid));
    }
    // Many systems give each user a group of that one alone, with the same number.
    let own_group = owner.gid == us && rustix::process::getegid().as_raw() == us;
    let others = if own_group { 0o002 } else { 0o022 };
    if meta.mode() & others != 0 { Err(LoadError::Writable) } else { Ok(()) }
}

/// Returns the code if it was compiled from this component.
fn strip_digest<'a>(bytes: &'a [u8], component: &[u8]) -> Option<&'a [u8]> {
    let (rest, digest) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
    let code = rest.strip_suffix(MARK)?;
    (digest[..] == Sha256::digest(component)[..]).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn code_belongs_to_the_component_that_it_was_compiled_from() {
        let signed = append_digest(b"code".to_vec(), b"component");
        assert_eq!(strip_digest(&signed, b"component"), Some(&b"code"[..]));
        assert_eq!(strip_digest(&signed, b"another"), None);
        assert_eq!(strip_digest(b"code", b"component"), None);
        assert_eq!(strip_digest(&signed[1..], b"component"), Some(&b"ode"[..]));
        assert_eq!(strip_digest(&[], b""), None);
    }

    #[test]
    fn a_file_that_others_may_write_is_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.cwasm");
        fs::write(&path, "x").unwrap();
        for (mode, fits) in [(0o644, true), (0o600, true), (0o646, false), (0o666, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check(&File::open(&path).unwrap()).is_ok(), fits, "{mode:o}");
        }
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            std::os::unix::fs::chown(&path, Some(3001), None).unwrap();
            let refused = check(&File::open(&path).unwrap()).unwrap_err();
            assert!(matches!(refused, LoadError::Owner(3001)), "{refused}");
        }
        assert!(check(&File::open(directory.path()).unwrap()).is_err());
    }
}
