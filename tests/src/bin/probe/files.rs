//! Attempts on files and directories.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;

use super::{call, configuration};

/// Tries something; returns `None` if it isn't of this kind.
pub fn attempt(what: &str, value: &str) -> io::Result<Option<String>> {
    let done = match what {
        "read" => File::open(value)?.read(&mut [0; 16]).map(|_| String::new()),
        "list" => fs::read_dir(value).map(|entries| entries.count().to_string()),
        "write" => fs::write(value, "probe").map(|()| String::new()),
        // Files that lie beside the directory of the configuration, and that itself.
        "beside" => fs::write(configuration().with_file_name("..").join(value), "{}")
            .map(|()| String::new()),
        "grow" => {
            let file = File::options().write(true).truncate(true).open(configuration())?;
            file.set_len(value.parse().map_err(io::Error::other)?).map(|()| String::new())
        }
        "make" => fs::create_dir(value).map(|()| String::new()),
        "remove" => fs::remove_file(value).map(|()| String::new()),
        "link" => std::os::unix::fs::symlink("/etc/passwd", "link")
            .and_then(|()| File::open("link")?.read(&mut [0; 16]))
            .map(|_| String::new()),
        "mode" => {
            fs::set_permissions(value, fs::Permissions::from_mode(0o777)).map(|()| String::new())
        }
        "owner" | "link_owner" | "times" | "attribute" => of_file(what, value),
        "descriptor" => {
            let number = value.parse().map_err(io::Error::other)?;
            call(|| unsafe { libc::read(number, [0_u8; 1].as_mut_ptr().cast(), 1) as i32 })
        }
        "hard_link" => fs::hard_link(value, "hard").map(|()| String::new()),
        "pipe" => call(|| unsafe { libc::mkfifo(c"pipe".as_ptr(), 0o600) }),
        "rename" => {
            let (from, to) = value.split_once(' ').unwrap_or_default();
            fs::rename(from, to).map(|()| String::new())
        }
        // A directory where its configuration was.
        "replace" => fs::remove_file(configuration())
            .and_then(|()| fs::create_dir(configuration()))
            .map(|()| String::new()),
        "watch" => call(|| unsafe {
            let path = std::ffi::CString::new(value).unwrap();
            let watch = libc::inotify_init1(0);
            libc::inotify_add_watch(watch, path.as_ptr(), libc::IN_ALL_EVENTS)
        }),
        "see_attribute" => call(|| unsafe {
            let path = std::ffi::CString::new(value).unwrap();
            let mut bytes = [0_u8; 64];
            libc::getxattr(path.as_ptr(), c"user.secret".as_ptr(), bytes.as_mut_ptr().cast(), 64)
                as i32
        }),
        "see_attributes" => call(|| unsafe {
            let path = std::ffi::CString::new(value).unwrap();
            libc::listxattr(path.as_ptr(), std::ptr::null_mut(), 0) as i32
        }),
        "see_link" => fs::read_link(value).map(|_| String::new()),
        "unreadable" => call(|| unsafe { libc::mkdir(c"unreadable".as_ptr(), 0o300) }),
        _ => return Ok(None),
    };
    done.map(Some)
}

/// Changes what Landlock has no right for.
fn of_file(what: &str, path: &str) -> io::Result<String> {
    let path = std::ffi::CString::new(path)?;
    let us = unsafe { libc::getuid() };
    call(|| unsafe {
        match what {
            "owner" => libc::chown(path.as_ptr(), us, libc::gid_t::MAX),
            "link_owner" => libc::lchown(path.as_ptr(), us, libc::gid_t::MAX),
            "times" => libc::utimensat(libc::AT_FDCWD, path.as_ptr(), std::ptr::null(), 0),
            _ => {
                let (name, value) = (c"user.probe".as_ptr(), c"x".as_ptr().cast());
                libc::setxattr(path.as_ptr(), name, value, 1, 0)
            }
        }
    })
}
