//! Destinations of a restore: Google Photos accepts files in albums, and in the library through
//! `upload`. All other views are read-only.

use crate::backends::google_photos_names::remove_id;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::path::{RemotePath, join};
use crate::takeout::marks::Mark;
use crate::takeout::twin_names::remove_time;

/// Destination of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// The library. A view shows a photo that may be uploaded with another of its paths.
    Library { is_view: bool },
    /// The album with this path in the snapshot, below the directory of albums. The empty path
    /// is that of the album that is the root.
    Album(&'a str),
    /// None: Google Photos is not to have the file again.
    Nowhere,
}

/// Checks that a root accepts files.
///
/// # Errors
///
/// The root accepts no files.
pub fn check_root(root: &str) -> Result<(), Failure> {
    let root = root.trim_matches('/');
    if matches!(root.split('/').next(), Some("" | "album" | "upload")) {
        return Ok(());
    }
    Err(Failure::new(Reason::Unsupported, format!("Google Photos takes no files at `{root}`"))
        .with_help("restore to rclone://, rclone://upload or rclone://album/NAME"))
}

/// Returns the directory of albums, relative to the root.
pub fn albums_directory(root: &str) -> &'static str {
    if root.trim_matches('/').is_empty() { "album" } else { "" }
}

/// Returns the destination of a file of the snapshot.
///
/// # Errors
///
/// The root accepts files in albums only, and the file is in none.
pub fn destination<'a>(
    root: &str,
    path: &'a RemotePath,
    mark: Option<Mark>,
) -> Result<Destination<'a>, Failure> {
    match mark {
        Some(Mark::LeftOut) => return Ok(Destination::Nowhere),
        Some(Mark::Archive) if root.trim_matches('/').is_empty() => {
            return Ok(Destination::Library { is_view: true });
        }
        _ => {}
    }
    match (root.trim_matches('/'), path.parent()) {
        ("", parent) => Ok(below_root(parent)),
        ("album", "") => Err(Failure::new(Reason::Unsupported, "a photo needs an album there")
            .with_help("restore to rclone://album/NAME")),
        (root, _) if root.split('/').next() == Some("upload") => {
            Ok(Destination::Library { is_view: true })
        }
        (_, album) => Ok(Destination::Album(album)),
    }
}

/// Returns the path of the album that a directory of the snapshot is, as in
/// [`Destination::Album`]. Returns `None` for a directory that is not an album, or that is shared
/// by others.
pub fn album_path<'a>(root: &str, directory: &'a RemotePath) -> Option<&'a str> {
    match root.trim_matches('/') {
        "" => match (directory.as_str().split_once('/'), below_root(directory.as_str())) {
            (Some(("shared-album", _)), _) => None,
            // The restore may be of a directory of the snapshot.
            (_, Destination::Album(album)) => Some(album),
            (_, Destination::Library { .. } | Destination::Nowhere) => None,
        },
        root => (root.split('/').next() == Some("album")).then_some(directory.as_str()),
    }
}

/// Returns the destination of the files of a directory, if the root is that of the remote.
fn below_root(directory: &str) -> Destination<'_> {
    let (top, rest) = directory.split_once('/').unwrap_or((directory, ""));
    match (top, rest) {
        ("media", "all") | ("feature", "favorites") => Destination::Library { is_view: true },
        ("media", dates) if dates.starts_with("by-") => Destination::Library { is_view: true },
        ("" | "upload", _) => Destination::Library { is_view: false },
        ("album" | "shared-album", album) if !album.is_empty() => Destination::Album(album),
        _ => Destination::Album(directory),
    }
}

/// Returns the path of a file below the root. `title` is that of its album.
pub fn target_path(root: &str, title: Option<&str>, path: &RemotePath) -> String {
    let directory = match title {
        Some(title) => join(albums_directory(root), title),
        None if root.trim_matches('/').is_empty() => "upload".to_owned(),
        None => String::new(),
    };
    join(&directory, &plain_name(path.name()))
}

/// Returns the name with which a photo was uploaded, without what tells it apart from others.
fn plain_name(name: &str) -> String {
    remove_time(&remove_id(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the target of a file, without any album at the destination.
    fn target(root: &str, path: &str) -> (String, bool) {
        let path = RemotePath::parse(path).unwrap();
        match destination(root, &path, None).unwrap() {
            Destination::Library { is_view } => (target_path(root, None, &path), is_view),
            Destination::Album(album) => (target_path(root, Some(album), &path), false),
            Destination::Nowhere => (String::new(), false),
        }
    }

    #[test]
    fn marked_directories_are_left_out_and_others_of_their_names_are_albums() {
        let path = RemotePath::parse("trash/a.jpg").unwrap();
        for root in ["", "upload", "album"] {
            let left_out = destination(root, &path, Some(Mark::LeftOut)).unwrap();
            assert_eq!(left_out, Destination::Nowhere);
        }
        assert_eq!(target("", "trash/a.jpg").0, "album/trash/a.jpg");
        let path = RemotePath::parse("archive/a.jpg").unwrap();
        let archived = destination("", &path, Some(Mark::Archive)).unwrap();
        assert_eq!(archived, Destination::Library { is_view: true });
        assert_eq!(target("", "archive/a.jpg").0, "album/archive/a.jpg");
    }

    #[test]
    fn albums_stay_albums_and_the_rest_of_the_library_is_uploaded() {
        for (path, expected, view) in [
            ("media/all/a.jpg", "upload/a.jpg", true),
            ("feature/favorites/a.jpg", "upload/a.jpg", true),
            ("media/by-year/2024/a.jpg", "upload/a.jpg", true),
            ("upload/a.jpg", "upload/a.jpg", false),
            ("album/Trip/a.jpg", "album/Trip/a.jpg", false),
            ("album/Trip/Day 1/a.jpg", "album/Trip/Day 1/a.jpg", false),
            ("shared-album/Trip/b.jpg", "album/Trip/b.jpg", false),
        ] {
            assert_eq!(target("", path), (expected.to_owned(), view), "{path}");
        }
    }

    #[test]
    fn the_folders_of_a_plain_tree_become_albums() {
        assert_eq!(target("", "a.jpg").0, "upload/a.jpg");
        assert_eq!(target("", "2024/Summer/a.jpg").0, "album/2024/Summer/a.jpg");
        assert_eq!(target("", "media/a.jpg").0, "album/media/a.jpg");
        assert_eq!(target("/album/Trip", "a.jpg").0, "a.jpg");
        assert_eq!(target("/album", "Trip/a.jpg").0, "Trip/a.jpg");
        assert_eq!(target("/upload", "2024/a.jpg"), ("a.jpg".to_owned(), true));
        assert!(destination("/album", &RemotePath::parse("a.jpg").unwrap(), None).is_err());
    }

    #[test]
    fn directories_are_albums_if_their_files_go_into_an_own_album() {
        let album = |root, path| {
            let path = RemotePath::parse(path).unwrap();
            album_path(root, &path).map(str::to_owned)
        };
        assert_eq!(album("", "album/2024/Trip").as_deref(), Some("2024/Trip"));
        assert_eq!(album("", "Trip").as_deref(), Some("Trip"), "`/album` alone is restored");
        assert_eq!(album("album", "Trip").as_deref(), Some("Trip"));
        for none in ["media/all", "feature/favorites", "upload/x", "shared-album/Trip"] {
            assert_eq!(album("", none), None, "{none}");
        }
        assert_eq!(album("upload", "Trip"), None);
    }

    #[test]
    fn ids_are_removed() {
        let name = format!("IMG {{{}}}.jpg", "a".repeat(60));
        assert_eq!(target("", &format!("album/Trip/{name}")).0, "album/Trip/IMG.jpg");
        assert_eq!(target("", &format!("media/all/{name}")).0, "upload/IMG.jpg");
        let name = "IMG {2023-08-06 06.10.30 1a2b3c4d}.jpg";
        assert_eq!(target("", &format!("media/by-year/2023/{name}")).0, "upload/IMG.jpg");
    }

    #[test]
    fn only_roots_that_accept_files_are_valid() {
        for root in ["", "/", "album", "album/Trip", "upload"] {
            assert!(check_root(root).is_ok(), "{root}");
        }
        for root in ["media/all", "shared-album/Trip", "feature/favorites", "albums"] {
            assert!(check_root(root).is_err(), "{root}");
        }
    }
}
