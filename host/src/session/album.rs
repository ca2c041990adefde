//! Albums of Google Photos: which remotes are one, and where a remote takes them.

use crate::connector::Remote;
use crate::rclone::backends;

/// Returns the directory of albums in a remote of Google Photos that takes them, relative to
/// its location.
pub fn album_directory(remote: &Remote) -> Option<&'static str> {
    if remote.backend != backends::GOOGLE_PHOTOS {
        return None;
    }
    match remote.root.trim_matches('/') {
        "" => Some("/album/"),
        "album" => Some("/"),
        _ => None,
    }
}

/// Returns whether this remote is one album.
pub fn is_album(remote: &Remote) -> bool {
    let path = remote.root.trim_matches('/');
    let below = path.strip_prefix("album/").or(path.strip_prefix("shared-album/"));
    remote.backend == backends::GOOGLE_PHOTOS && below.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(backend: &str, root: &str) -> Remote {
        Remote {
            backend: backend.to_owned(),
            root: root.to_owned(),
            options: Vec::new(),
            streams: 1,
        }
    }

    #[test]
    fn albums_are_known_by_the_backend_and_the_path() {
        for (backend, root, directory, is_one) in [
            (backends::GOOGLE_PHOTOS, "/", Some("/album/"), false),
            (backends::GOOGLE_PHOTOS, "album", Some("/"), false),
            (backends::GOOGLE_PHOTOS, "upload", None, false),
            (backends::GOOGLE_PHOTOS, "/album/Trip/", None, true),
            ("s3", "", None, false),
            ("s3", "album/a", None, false),
        ] {
            let remote = remote(backend, root);
            assert_eq!(album_directory(&remote), directory, "{backend} {root}");
            assert_eq!(is_album(&remote), is_one, "{backend} {root}");
        }
    }
}
