//! What a component keeps for later sessions of one remote and root, in `caches/`: a directory
//! for each, in which each key has a file. A file ends with the SHA-256 of its key and bytes, so
//! one that isn't as it was written counts as missing.

use bytes::{Bytes, BytesMut};
use sha2::digest::Output;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc};

use super::files::{IoResultExt, create_private_dir, hex_digest};
use super::layout::CACHES_DIR;
use crate::connector::{Content, Failure, Reason, wait_end};

/// Longest key.
const MAX_KEY_BYTES: usize = 4096;

/// Largest number of bytes under one key.
const MAX_ENTRY_BYTES: u64 = 16 << 20;

/// Largest number of bytes of one cache.
const MAX_CACHE_BYTES: u64 = 64 << 20;

/// Number of bytes that an entry counts for at least. It bounds the number of files.
const MIN_ENTRY_BYTES: u64 = 64 << 10;

/// Largest number of caches in a state directory: those of other remotes and roots are removed,
/// the one that was used the longest ago first.
const MAX_CACHES: usize = 16;

/// Number of bytes of a checksum.
const DIGEST_BYTES: u64 = 32;

/// Number of bytes that are read from a file at once.
const PIECE_BYTES: usize = 256 << 10;

/// Number of pieces that wait for their reader.
const MAX_QUEUED_PIECES: usize = 2;

/// Number of bytes of a recalled content that this program holds at most.
pub const MAX_BUFFERED_BYTES: u64 = (MAX_QUEUED_PIECES as u64 + 1) * PIECE_BYTES as u64;

/// Prefix of the names of files that aren't complete.
const TEMPORARY_PREFIX: &str = "new-";

/// The cache of one remote and root. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

struct Shared {
    directory: PathBuf,
    /// Names of the files that this session has used, which it doesn't remove. Held during a
    /// call, so that there is one at a time.
    used: Mutex<HashSet<String>>,
}

/// A file that is removed unless it is put in its place.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Cache {
    /// Makes the cache of what `identity` names: a remote and a root. Nothing is created yet.
    pub fn new(state_root: &Path, identity: &str) -> Self {
        let directory = state_root.join(CACHES_DIR).join(hex_digest(identity.as_bytes()));
        Self { shared: Arc::new(Shared { directory, used: Mutex::default() }) }
    }

    /// Returns what was kept under a key. Anything that is wrong with it makes it missing.
    pub async fn recall(&self, key: &str) -> Option<Content> {
        let mut used = self.shared.used.lock().await;
        let name = file_name(key).ok()?;
        let (path, digest) = (self.shared.directory.join(&name), start_digest(key));
        let opened = tokio::task::spawn_blocking(move || open_checked(&path, digest));
        let (file, size) = opened.await.ok()?.ok()?;
        used.insert(name);
        drop(used);
        let (writer, content) = Content::channel(MAX_QUEUED_PIECES);
        tokio::spawn(async move {
            let sent = send(tokio::fs::File::from_std(file).take(size), writer.bytes()).await;
            writer.finish(sent.map_err(|error| Failure::internal(error.to_string())));
        });
        Some(content)
    }

    /// Keeps a content under a key.
    ///
    /// # Errors
    ///
    /// The content fails or is too large, there isn't enough room, or the files can't be written.
    pub async fn remember(&self, key: &str, mut content: Content) -> Result<(), Failure> {
        let mut used = self.shared.used.lock().await;
        let name = file_name(key)?;
        let directory = &self.shared.directory;
        create_cache_dir(directory).at_path(directory)?;
        let temporary = Temporary(directory.join(format!("{TEMPORARY_PREFIX}{name}")));
        let mut file = tokio::fs::File::from_std(create_new(&temporary.0).at_path(directory)?);
        let mut digest = start_digest(key);
        let mut size = 0;
        while let Some(chunk) = content.bytes.recv().await {
            size += chunk.len() as u64;
            if size > MAX_ENTRY_BYTES {
                let message = format!("more than {MAX_ENTRY_BYTES} bytes aren't kept in the cache");
                return Err(Failure::new(Reason::Unsupported, message));
            }
            digest.update(&chunk);
            file.write_all(&chunk).await.at_path(directory)?;
        }
        wait_end(content.end).await?;
        file.write_all(&digest.finalize()).await.at_path(directory)?;
        file.flush().await.at_path(directory)?;
        make_room(directory, &name, size, &used)?;
        fs::rename(&temporary.0, directory.join(&name)).at_path(directory)?;
        used.insert(name);
        Ok(())
    }
}

/// The name of a key's file.
fn file_name(key: &str) -> Result<String, Failure> {
    if key.len() > MAX_KEY_BYTES {
        let message = format!("a key of the cache has {} bytes", key.len());
        return Err(Failure::new(Reason::Unsupported, message));
    }
    Ok(hex_digest(key.as_bytes()))
}

fn start_digest(key: &str) -> Sha256 {
    Sha256::new().chain_update((key.len() as u64).to_le_bytes()).chain_update(key)
}

/// Creates the directory of a cache. If it is a new one, others are removed that are too many.
fn create_cache_dir(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(caches) = directory.parent() {
        create_private_dir(caches)?;
        let mut found: Vec<(SystemTime, PathBuf)> = fs::read_dir(caches)?
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        found.sort();
        for (_, oldest) in found.iter().take((found.len() + 1).saturating_sub(MAX_CACHES)) {
            let _ = fs::remove_dir_all(oldest);
        }
    }
    create_private_dir(directory)
}

fn create_new(path: &Path) -> io::Result<File> {
    // One that a killed session left.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
}

/// Opens a file, checks it and notes that it was used. Returns it at its beginning, and its size
/// without the checksum.
fn open_checked(path: &Path, mut digest: Sha256) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let size = file.metadata()?.len().checked_sub(DIGEST_BYTES);
    let size = size.filter(|size| *size <= MAX_ENTRY_BYTES);
    let size = size.ok_or(io::ErrorKind::InvalidData)?;
    io::copy(&mut Read::take(&mut file, size), &mut digest)?;
    let mut expected = Output::<Sha256>::default();
    Read::read_exact(&mut file, &mut expected)?;
    if digest.finalize() != expected {
        return Err(io::ErrorKind::InvalidData.into());
    }
    file.rewind()?;
    let now = SystemTime::now();
    file.set_modified(now)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.set_modified(now)?;
    }
    Ok((file, size))
}

/// Sends bytes until they end, or aren't taken any more.
async fn send(
    mut source: impl AsyncRead + Unpin,
    receiver: &mpsc::Sender<Bytes>,
) -> io::Result<()> {
    loop {
        let Ok(permit) = receiver.reserve().await else { return Ok(()) };
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        if source.read_buf(&mut piece).await? == 0 {
            return Ok(());
        }
        permit.send(piece.freeze());
    }
}

/// Removes the files that were used the longest ago, until there is room for one of `size` bytes
/// in the place of `name`.
fn make_room(
    directory: &Path,
    name: &str,
    size: u64,
    used: &HashSet<String>,
) -> Result<(), Failure> {
    let mut kept = size.max(MIN_ENTRY_BYTES);
    let mut unused = Vec::new();
    for entry in fs::read_dir(directory).at_path(directory)?.flatten() {
        let (other, Ok(meta)) = (entry.file_name(), entry.metadata()) else { continue };
        let other = other.to_string_lossy();
        if other == name || other.strip_prefix(TEMPORARY_PREFIX) == Some(name) {
            continue;
        }
        let size = meta.len().saturating_sub(DIGEST_BYTES).max(MIN_ENTRY_BYTES);
        kept += size;
        if !used.contains(&*other) {
            unused.push((meta.modified().ok(), size, entry.path()));
        }
    }
    unused.sort();
    for (_, size, path) in unused {
        if kept <= MAX_CACHE_BYTES {
            break;
        }
        let _ = fs::remove_file(path);
        kept -= size;
    }
    if kept <= MAX_CACHE_BYTES {
        return Ok(());
    }
    let message = format!("this session keeps all of the {MAX_CACHE_BYTES} bytes of the cache");
    Err(Failure::new(Reason::RateLimited, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: &[u8]) -> Content {
        Content::complete([Bytes::copy_from_slice(bytes)].into())
    }

    async fn recalled(cache: &Cache, key: &str) -> Option<Vec<u8>> {
        let mut content = cache.recall(key).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = content.bytes.recv().await {
            bytes.extend_from_slice(&chunk);
        }
        content.join().await.unwrap();
        Some(bytes)
    }

    #[tokio::test]
    async fn what_a_session_keeps_is_there_for_the_next_one_of_the_same_remote() {
        let state = tempfile::tempdir().unwrap();
        let first = Cache::new(state.path(), "one");
        let large = vec![7; MAX_ENTRY_BYTES as usize];
        first.remember("large", content(&large)).await.unwrap();
        first.remember("key", content(b"old")).await.unwrap();
        first.remember("key", content(b"new")).await.unwrap();
        first.remember("empty", content(b"")).await.unwrap();
        let next = Cache::new(state.path(), "one");
        assert_eq!(recalled(&next, "key").await.unwrap(), b"new");
        assert_eq!(recalled(&next, "empty").await.unwrap(), b"");
        assert_eq!(recalled(&next, "large").await.unwrap(), large);
        assert!(recalled(&next, "missing").await.is_none());
        assert!(recalled(&Cache::new(state.path(), "two"), "key").await.is_none());
    }

    #[tokio::test]
    async fn what_fails_or_is_too_large_is_not_kept_and_leaves_nothing() {
        let state = tempfile::tempdir().unwrap();
        let cache = Cache::new(state.path(), "one");
        let large = vec![7; MAX_ENTRY_BYTES as usize + 1];
        assert!(cache.remember("key", content(&large)).await.is_err());
        assert!(cache.remember("key", Content::from_failure(Failure::cancelled())).await.is_err());
        assert!(cache.remember(&"k".repeat(MAX_KEY_BYTES + 1), content(b"")).await.is_err());
        assert!(recalled(&cache, "key").await.is_none());
        assert_eq!(fs::read_dir(&cache.shared.directory).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_file_that_was_changed_cut_or_moved_counts_as_missing() {
        let state = tempfile::tempdir().unwrap();
        let cache = Cache::new(state.path(), "one");
        cache.remember("key", content(b"0123456789")).await.unwrap();
        let path = cache.shared.directory.join(file_name("key").unwrap());
        let bytes = fs::read(&path).unwrap();
        fs::copy(&path, cache.shared.directory.join(file_name("other").unwrap())).unwrap();
        assert!(recalled(&cache, "other").await.is_none());
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(recalled(&cache, "key").await.is_none(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(recalled(&cache, "key").await.is_none(), "{at}");
        }
        fs::write(&path, bytes).unwrap();
        assert_eq!(recalled(&cache, "key").await.unwrap(), b"0123456789");
    }

    #[tokio::test]
    async fn what_was_not_used_for_longest_makes_room_and_what_this_session_uses_stays() {
        let state = tempfile::tempdir().unwrap();
        let large = vec![7; MAX_ENTRY_BYTES as usize - 1];
        let first = Cache::new(state.path(), "one");
        for key in ["1", "2", "3", "4"] {
            first.remember(key, content(&large)).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let next = Cache::new(state.path(), "one");
        assert!(recalled(&next, "1").await.is_some());
        for key in ["5", "6", "7"] {
            next.remember(key, content(&large)).await.unwrap();
        }
        assert!(next.remember("8", content(&large)).await.is_err());
        for (key, is_kept) in [("1", true), ("2", false), ("4", false), ("5", true), ("7", true)] {
            assert_eq!(recalled(&next, key).await.is_some(), is_kept, "{key}");
        }
        next.remember("5", content(b"smaller")).await.unwrap();
    }

    #[tokio::test]
    async fn the_number_of_entries_and_of_caches_is_bounded() {
        let state = tempfile::tempdir().unwrap();
        let count = |path: &Path| fs::read_dir(path).unwrap().count();
        for number in 0..MAX_CACHES + 3 {
            let cache = Cache::new(state.path(), &number.to_string());
            cache.remember("key", content(b"x")).await.unwrap();
        }
        assert_eq!(count(&state.path().join(CACHES_DIR)), MAX_CACHES);
        let cache = Cache::new(state.path(), "many");
        let mut kept = 0;
        while cache.remember(&kept.to_string(), content(b"x")).await.is_ok() {
            kept += 1;
        }
        assert_eq!(kept as u64, MAX_CACHE_BYTES / MIN_ENTRY_BYTES);
        assert_eq!(count(&cache.shared.directory), kept);
    }
}
