//! Directories full of files, made by code and compared byte by byte.

use fastrand::Rng;
use scenarios::tree::{CONTROL_NAMES, DIFFICULT_NAMES};
use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Random bytes.
pub fn random_bytes(random: &mut Rng, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    random.fill(&mut bytes);
    bytes
}

/// Bytes that are the same for a seed at every run.
pub fn seeded_bytes(seed: u64, count: usize) -> Vec<u8> {
    random_bytes(&mut Rng::with_seed(seed), count)
}

/// A time with nanoseconds, a different one for each number.
pub fn time(number: u64) -> SystemTime {
    UNIX_EPOCH
        + Duration::new(
            1_000_000_000 + number * 1000,
            u32::try_from(number % 1000).unwrap() * 1_000_003,
        )
}

/// Writes a file with this time, and the directories above it.
pub fn file(path: &Path, bytes: &[u8], modified: SystemTime) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
}

/// Names that programs stumble over. Each is fine on Linux.
pub fn difficult_names() -> Vec<String> {
    let names = DIFFICULT_NAMES.into_iter().chain(CONTROL_NAMES).map(str::to_owned);
    names.chain(["l".repeat(255)]).collect()
}

/// Fills a directory with `count` files: small ones of many sizes and times, empty
/// ones, empty directories, deep ones, difficult names where `difficult`.
pub fn grow(root: &Path, count: u64, difficult: bool) {
    let mut random = Rng::with_seed(count);
    for number in 0..count {
        let size = match number % 10 {
            0 => 0,
            1 => 60_000,
            _ => random.usize(..5000),
        };
        let path = root.join(format!("dir {}/sub{}/file {number}.bin", number % 7, number % 11));
        file(&path, &random_bytes(&mut random, size), time(number));
    }
    let deep = (0..20).fold(root.to_owned(), |path, level| path.join(format!("level{level}")));
    file(&deep.join("deepest"), b"deep", time(1));
    fs::create_dir_all(root.join("empty/inside")).unwrap();
    // The two that rclone's restic server would mix up.
    file(&root.join("data/abcd"), b"direct", time(2));
    file(&root.join("data/ab/abcd"), b"below", time(3));
    if difficult {
        for (number, name) in difficult_names().into_iter().enumerate() {
            let bytes = random_bytes(&mut random, number * 10);
            file(&root.join("names").join(&name), &bytes, time(number as u64));
            file(&root.join("dirs").join(&name).join("x"), name.as_bytes(), time(number as u64));
        }
    }
    set_directory_times(root);
}

/// Gives every directory below the root a time that depends on its path.
fn set_directory_times(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            set_directory_times(&entry.path());
            let number = entry.file_name().len() as u64 * 37;
            let times = FileTimes::new().set_modified(time(number));
            File::open(entry.path()).unwrap().set_times(times).unwrap();
        }
    }
}

/// The parts of a tree that must be the same after it was restored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Names and bytes, and where the remote has no directories, no empty ones.
    Files,
    /// And the times of files.
    FileTimes,
    /// And directories, empty or not, with their times.
    Everything,
}

type Shown = BTreeMap<String, (Option<SystemTime>, Option<u64>)>;

fn show(root: &Path, keep: Keep) -> Shown {
    let mut shown = Shown::new();
    collect(root, root, keep, &mut shown);
    shown
}

fn collect(root: &Path, directory: &Path, keep: Keep, shown: &mut Shown) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            if keep == Keep::Everything {
                shown.insert(name, (meta.modified().ok(), None));
            }
            collect(root, &path, keep, shown);
        } else {
            let modified = (keep != Keep::Files).then(|| meta.modified().unwrap());
            shown.insert(name, (modified, Some(meta.len())));
        }
    }
}

/// The two trees must be the same.
#[track_caller]
pub fn assert_same(one: &Path, other: &Path, keep: Keep) {
    let (left, right) = (show(one, keep), show(other, keep));
    for (name, here) in &left {
        match right.get(name) {
            None => panic!("{name:?} is missing"),
            Some(there) => assert_eq!(here, there, "{name:?} differs"),
        }
        if here.1.is_some() {
            assert!(same_bytes(&one.join(name), &other.join(name)), "{name:?} has other bytes");
        }
    }
    for name in right.keys() {
        assert!(left.contains_key(name), "{name:?} is too many");
    }
}

fn same_bytes(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (File::open(one).unwrap(), File::open(other).unwrap());
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = one.read(&mut left).unwrap();
        if other.read_exact(&mut right[..count]).is_err() || left[..count] != right[..count] {
            return false;
        }
        if count == 0 {
            return other.read(&mut right).unwrap() == 0;
        }
    }
}

/// Runs something while two paths are exchanged for each other as fast as that goes.
pub fn exchanged(one: &Path, other: &Path, run: impl FnOnce()) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering};
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
            }
        });
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        done.store(true, Ordering::Relaxed);
        ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}
