//! Attempts to use much of a resource.

use std::fs::{self, File};
use std::io::{self, Write};
use std::time::Duration;

use super::call;

/// Tries something; returns `None` if it isn't of this kind.
pub fn attempt(what: &str, value: &str) -> io::Result<Option<String>> {
    let done = match what {
        "spin" => loop {
            std::hint::spin_loop();
        },
        "files" => files(),
        "shared" | "shared_released" => shared(what, value.parse().map_err(io::Error::other)?),
        "page_tables" => page_tables(value.parse().map_err(io::Error::other)?),
        "threads" => threads(value.parse().map_err(io::Error::other)?),
        "disk" | "disk_removed" | "disk_mapped" => {
            disk(what, value.parse().map_err(io::Error::other)?)
        }
        "inodes" => inodes(value.parse().map_err(io::Error::other)?),
        "wait" => {
            std::thread::sleep(Duration::from_secs(value.parse().map_err(io::Error::other)?));
            Ok(String::new())
        }
        "memory" => memory(value.parse().map_err(io::Error::other)?),
        "large_file" => large_file(value.parse().map_err(io::Error::other)?),
        _ => return Ok(None),
    };
    done.map(Some)
}

/// Opens files until there can be no more.
fn files() -> io::Result<String> {
    let mut held = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
        if held.len() > 100_000 {
            break;
        }
    }
    Ok(held.len().to_string())
}

/// Takes a number of MiB, if they can be had.
fn memory(mebibytes: usize) -> io::Result<String> {
    let mut held: Vec<u8> = Vec::new();
    held.try_reserve_exact(mebibytes << 20)
        .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    Ok(held.capacity().to_string())
}

/// Maps a number of MiB, and never unmaps them.
fn map(mebibytes: usize, protection: i32, flags: i32, file: i32) -> io::Result<*mut u8> {
    match unsafe { libc::mmap(std::ptr::null_mut(), mebibytes << 20, protection, flags, file, 0) } {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        mapped => Ok(mapped.cast()),
    }
}

/// Takes a number of MiB that others could share; released, they are mapped nowhere and there.
fn shared(what: &str, mebibytes: usize) -> io::Result<String> {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    let mapped = map(mebibytes, protection, flags, -1)?;
    unsafe {
        std::ptr::write_bytes(mapped, 7, mebibytes << 20);
        if what == "shared_released" {
            libc::madvise(mapped.cast(), mebibytes << 20, libc::MADV_DONTNEED);
        }
    }
    Ok(String::new())
}

/// Lets the kernel keep a number of MiB to map nothing at all.
fn page_tables(mebibytes: usize) -> io::Result<String> {
    // A page of a table maps 2 MiB, and takes 4 KiB.
    const MAPS: usize = 2 << 20;
    let pages = (mebibytes << 20) / 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let mapped = map(pages * (MAPS >> 20), libc::PROT_READ, flags, -1)?;
    unsafe { libc::madvise(mapped.cast(), pages * MAPS, libc::MADV_NOHUGEPAGE) };
    (0..pages).for_each(|at| {
        std::hint::black_box(unsafe { mapped.add(at * MAPS).read_volatile() });
    });
    Ok(String::new())
}

/// Starts a number of threads, or as many as there can be.
fn threads(count: usize) -> io::Result<String> {
    for at in 0..count {
        let thread = std::thread::Builder::new().stack_size(64 << 10);
        if thread.spawn(|| std::thread::sleep(Duration::from_secs(1000))).is_err() {
            return Ok(at.to_string());
        }
    }
    Ok(count.to_string())
}

/// Makes a number of files of 600 MiB, in turn in its directory and beside its configuration.
/// They may be removed, and held open or mapped.
fn disk(what: &str, count: usize) -> io::Result<String> {
    use std::os::fd::AsRawFd;
    let args: Vec<_> = std::env::args().collect();
    let at = args.iter().position(|arg| arg == "--config").unwrap_or_default();
    let kept = std::path::Path::new(&args[at + 1]).parent().unwrap_or(std::path::Path::new(""));
    for at in 0..count {
        let path = [std::path::Path::new(""), kept][at % 2].join(format!("large{at}"));
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        call(|| unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, 600 << 20) })?;
        if what != "disk" {
            fs::remove_file(&path)?;
        }
        if what == "disk_mapped" {
            map(1, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd())?;
        } else {
            std::mem::forget(file);
        }
    }
    Ok(String::new())
}

/// Makes a number of empty files.
fn inodes(count: usize) -> io::Result<String> {
    fs::create_dir("many")?;
    for at in 0..count {
        File::create(format!("many/{at}"))?;
    }
    Ok(String::new())
}

/// Writes a file of a number of MiB.
fn large_file(mebibytes: usize) -> io::Result<String> {
    // Told by an error instead.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let mut file = File::create("large")?;
    for _ in 0..mebibytes {
        file.write_all(&vec![0; 1 << 20])?;
    }
    Ok(String::new())
}
