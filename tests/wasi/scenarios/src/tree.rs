//! Trees: generated, written to a directory, and read from it.

use fastrand::Rng;
use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970 and nanoseconds past them.
pub type Time = (u64, u32);

/// File or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Relative path, with `/` between names.
    pub path: String,
    /// Contents of a file; `None` for a directory.
    pub bytes: Option<Vec<u8>>,
    /// Modification time.
    pub modified: Time,
}

/// Creates a file of this size. Its bytes depend on its path.
pub fn file(path: &str, size: usize) -> Node {
    let seed = number(path);
    Node { path: path.to_owned(), bytes: Some(bytes(seed, size)), modified: time(seed) }
}

/// Creates a directory.
pub fn directory(path: &str) -> Node {
    Node { path: path.to_owned(), bytes: None, modified: time(number(path)) }
}

/// Generates bytes, which are the same in every run. More bytes of a seed begin with fewer of it.
pub fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Returns the hash of a path (FNV-1a).
fn number(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Returns a time with nanoseconds that depends on a number.
fn time(number: u64) -> Time {
    (1_000_000_000 + number % 500_000_000, u32::try_from(number % 999_999_937).unwrap())
}

/// Names that programs often handle wrongly. All are valid on Linux.
pub const DIFFICULT_NAMES: [&str; 28] = [
    "two words",
    " leading",
    "trailing ",
    "it's",
    "say \"x\"",
    "back\\slash",
    "{braces}",
    "[a]*?",
    "-dash",
    "--flag",
    ".hidden",
    "..two",
    "percent%20",
    "a%2fb",
    "#hash",
    "colon:x",
    "semi;colon",
    "dollar$(x)`y`",
    "plus+equals=",
    "~tilde",
    "<b>&amp;",
    "line\u{2028}separator",
    "ünïcödé",
    "e\u{301}",
    "\u{1f600}\u{1f469}\u{200d}\u{1f467}",
    "日本語",
    "remote:path",
    "data",
];

/// Names that rclone shows differently for a disk, and unchanged for a remote without the rules
/// of a disk.
pub const CONTROL_NAMES: [&str; 4] = ["tab\there", "new\nline", "ab␊cd", "del\u{7f}"];

/// Writes nodes below a directory, which is created. Directories get their times last, after
/// their contents.
pub fn lay(root: &Path, nodes: &[Node]) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for node in nodes {
        put(root, node)?;
    }
    let mut directories: Vec<_> = nodes.iter().filter(|node| node.bytes.is_none()).collect();
    directories.sort_by_key(|node| std::cmp::Reverse(node.path.len()));
    directories.iter().try_for_each(|node| touch(&root.join(&node.path), node.modified))
}

/// Writes one node below a directory, and creates the directories above it.
pub fn put(root: &Path, node: &Node) -> io::Result<()> {
    let path = root.join(&node.path);
    let Some(bytes) = &node.bytes else {
        return fs::create_dir_all(path);
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, bytes)?;
    touch(&path, node.modified)
}

/// Sets the modification time of a file.
pub fn touch(path: &Path, (seconds, nanoseconds): Time) -> io::Result<()> {
    let modified = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    File::open(path)?.set_times(FileTimes::new().set_modified(modified))
}

/// Reads everything below a directory, by path.
pub fn show(root: &Path) -> io::Result<BTreeMap<String, Node>> {
    let mut shown = BTreeMap::new();
    let mut left = vec![String::new()];
    while let Some(directory) = left.pop() {
        for Listed { path, size, modified } in entries(root, &directory)? {
            let bytes = size.map(|_| fs::read(root.join(&path))).transpose()?;
            if bytes.is_none() {
                left.push(path.clone());
            }
            shown.insert(path.clone(), Node { path, bytes, modified });
        }
    }
    Ok(shown)
}

/// File or directory without its bytes.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Path below the root.
    pub path: String,
    /// Size of a file; `None` for a directory.
    pub size: Option<u64>,
    /// Modification time.
    pub modified: Time,
}

/// Lists the children of a directory below `root`, by name.
pub fn entries(root: &Path, directory: &str) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for found in fs::read_dir(root.join(directory))? {
        let name = found?.file_name().into_string().unwrap();
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        listed.push(entry(root, &path)?);
    }
    listed.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(listed)
}

/// Returns one file or directory below `root`.
pub fn entry(root: &Path, path: &str) -> io::Result<Listed> {
    let meta = fs::metadata(root.join(path))?;
    let size = (!meta.is_dir()).then_some(meta.len());
    Ok(Listed { path: path.to_owned(), size, modified: since_1970(meta.modified()?) })
}

/// Converts a time.
pub fn since_1970(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_nanos())
}
