//! Where a restore puts what: Google Photos takes files into albums, and into the
//! library by `upload`; every other view shows what is there.

use crate::backends::google_photos_names as names;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::path::RemotePath;

/// Where a file goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Into the library. `view`: it shows a photo that may be uploaded with another of
    /// its paths.
    Library { view: bool },
    /// Into the album that has this path in the snapshot, below where albums lie; an
    /// empty one is the album that is restored to.
    Album(&'a str),
}

/// Refuses a root that takes no files.
pub fn check(root: &str) -> Result<(), Failure> {
    let root = root.trim_matches('/');
    if matches!(root.split('/').next(), Some("" | "album" | "upload")) {
        return Ok(());
    }
    Err(Failure::new(
        Reason::Unsupported,
        format!(
            "Google Photos takes no files at `{root}`: restore to rclone://, rclone://upload or rclone://album/NAME"
        ),
    ))
}

/// Where albums lie below the destination's root.
pub fn albums(root: &str) -> &'static str {
    if root.trim_matches('/').is_empty() { "album" } else { "" }
}

/// Where a file of the snapshot goes.
pub fn place<'a>(root: &str, path: &'a RemotePath) -> Result<Place<'a>, Failure> {
    match (root.trim_matches('/'), path.parent()) {
        ("", parent) => Ok(below(parent)),
        ("album", "") => Err(Failure::new(
            Reason::Unsupported,
            "a photo needs an album there: restore to rclone://album/NAME",
        )),
        (root, _) if root.split('/').next() == Some("upload") => Ok(Place::Library { view: true }),
        (_, album) => Ok(Place::Album(album)),
    }
}

/// The album that a directory of the snapshot is, as [`Place::Album`] names it; `None`
/// where others share it or it is none.
pub fn album<'a>(root: &str, directory: &'a RemotePath) -> Option<&'a str> {
    match root.trim_matches('/') {
        "" => match (directory.as_str().split_once('/'), below(directory.as_str())) {
            (Some(("shared-album", _)), _) | (_, Place::Library { .. }) => None,
            // What is restored may begin in a directory of the snapshot.
            (_, Place::Album(album)) => Some(album),
        },
        root => (root.split('/').next() == Some("album")).then_some(directory.as_str()),
    }
}

/// Where the files of a directory of the snapshot go, where everything is restored.
fn below(directory: &str) -> Place<'_> {
    let (top, rest) = directory.split_once('/').unwrap_or((directory, ""));
    match (top, rest) {
        ("media", "all") | ("feature", "favorites") => Place::Library { view: true },
        ("media", dates) if dates.starts_with("by-") => Place::Library { view: true },
        ("" | "upload", _) => Place::Library { view: false },
        ("album" | "shared-album", album) if !album.is_empty() => Place::Album(album),
        _ => Place::Album(directory),
    }
}

/// The file's path below the destination's root, once the album's title is known.
pub fn target(root: &str, title: Option<&str>, path: &RemotePath) -> String {
    let whole = root.trim_matches('/').is_empty();
    let directories = match title {
        None if whole => ["upload", ""],
        None => ["", ""],
        Some(title) => [albums(root), title],
    };
    let directories = directories.into_iter().filter(|directory| !directory.is_empty());
    directories.map(|directory| format!("{directory}/")).collect::<String>()
        + &names::plain(path.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a file goes, were there no album yet.
    fn shown(root: &str, path: &str) -> (String, bool) {
        let path = RemotePath::parse(path).unwrap();
        match place(root, &path).unwrap() {
            Place::Library { view } => (target(root, None, &path), view),
            Place::Album(album) => (target(root, Some(album), &path), false),
        }
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
            assert_eq!(shown("", path), (expected.to_owned(), view), "{path}");
        }
    }

    #[test]
    fn the_folders_of_a_plain_tree_become_albums() {
        assert_eq!(shown("", "a.jpg").0, "upload/a.jpg");
        assert_eq!(shown("", "2024/Summer/a.jpg").0, "album/2024/Summer/a.jpg");
        assert_eq!(shown("", "media/a.jpg").0, "album/media/a.jpg");
        assert_eq!(shown("/album/Trip", "a.jpg").0, "a.jpg");
        assert_eq!(shown("/album", "Trip/a.jpg").0, "Trip/a.jpg");
        assert_eq!(shown("/upload", "2024/a.jpg"), ("a.jpg".to_owned(), true));
        assert!(place("/album", &RemotePath::parse("a.jpg").unwrap()).is_err());
    }

    #[test]
    fn directories_are_albums_where_their_files_would_go_into_one_of_our_own() {
        let album = |root, path| {
            let path = RemotePath::parse(path).unwrap();
            album(root, &path).map(str::to_owned)
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
    fn ids_go() {
        let name = format!("IMG {{{}}}.jpg", "a".repeat(60));
        assert_eq!(shown("", &format!("album/Trip/{name}")).0, "album/Trip/IMG.jpg");
        assert_eq!(shown("", &format!("media/all/{name}")).0, "upload/IMG.jpg");
    }

    #[test]
    fn only_places_that_take_files_are_destinations() {
        for root in ["", "/", "album", "album/Trip", "upload"] {
            assert!(check(root).is_ok(), "{root}");
        }
        for root in ["media/all", "shared-album/Trip", "feature/favorites", "albums"] {
            assert!(check(root).is_err(), "{root}");
        }
    }
}
