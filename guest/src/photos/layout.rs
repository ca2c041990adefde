//! Where a restore puts what: Google Photos takes files into albums, and into the
//! library by `upload`; every other view shows what is there.

use std::collections::{HashMap, HashSet};

use super::names;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::path::RemotePath;

/// The destination's root, and the titles that albums got.
#[derive(Default)]
pub struct Layout {
    /// Titles by the paths that albums have in the snapshot.
    titles: HashMap<String, String>,
    taken: HashSet<String>,
}

/// Where a file goes, below the destination's root.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    pub path: String,
    /// Whether it shows a photo that may be uploaded with another of its paths.
    pub view: bool,
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

impl Layout {
    /// Where a file of the snapshot goes.
    pub fn file(&mut self, root: &str, path: &RemotePath) -> Result<Target, Failure> {
        let name = names::plain(path.name());
        let upload = |view| Target { path: format!("upload/{name}"), view };
        let root = root.trim_matches('/');
        if root == "album" {
            let title = self.title(path.parent());
            return match title.is_empty() {
                true => Err(Failure::new(
                    Reason::Unsupported,
                    "a photo needs an album there: restore to rclone://album/NAME",
                )),
                false => Ok(Target { path: format!("{title}/{name}"), view: false }),
            };
        }
        if !root.is_empty() {
            let title = self.title(path.parent());
            let path = if title.is_empty() { name } else { format!("{title}/{name}") };
            return Ok(Target { path, view: false });
        }
        let (top, below) = path.parent().split_once('/').unwrap_or((path.parent(), ""));
        Ok(match (top, below) {
            ("media", "all") | ("feature", "favorites") => upload(true),
            ("media", dates) if dates.starts_with("by-") => upload(true),
            ("" | "upload", _) => upload(false),
            ("album" | "shared-album", album) if !album.is_empty() => {
                Target { path: format!("album/{}/{name}", self.title(album)), view: false }
            }
            _ => {
                Target { path: format!("album/{}/{name}", self.title(path.parent())), view: false }
            }
        })
    }

    /// The title of the album that had this path: without IDs, and with a number where
    /// another album has the title already.
    fn title(&mut self, path: &str) -> String {
        if let Some(title) = self.titles.get(path) {
            return title.clone();
        }
        let plain = path.split('/').map(names::plain).collect::<Vec<_>>().join("/");
        let numbered = (2..).map(|number| format!("{plain} ({number})"));
        let mut candidates = std::iter::once(plain.clone()).chain(numbered);
        let title = candidates.find(|title| !self.taken.contains(title)).unwrap_or(plain);
        self.taken.insert(title.clone());
        self.titles.insert(path.to_owned(), title.clone());
        title
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(layout: &mut Layout, root: &str, path: &str) -> (String, bool) {
        let target = layout.file(root, &RemotePath::parse(path).unwrap()).unwrap();
        (target.path, target.view)
    }

    #[test]
    fn albums_stay_albums_and_the_rest_of_the_library_is_uploaded() {
        let mut layout = Layout::default();
        for (path, expected, view) in [
            ("media/all/a.jpg", "upload/a.jpg", true),
            ("feature/favorites/a.jpg", "upload/a.jpg", true),
            ("media/by-year/2024/a.jpg", "upload/a.jpg", true),
            ("upload/a.jpg", "upload/a.jpg", false),
            ("album/Trip/a.jpg", "album/Trip/a.jpg", false),
            ("album/Trip/Day 1/a.jpg", "album/Trip/Day 1/a.jpg", false),
            ("shared-album/Trip/b.jpg", "album/Trip/b.jpg", false),
        ] {
            assert_eq!(target(&mut layout, "", path), (expected.to_owned(), view), "{path}");
        }
    }

    #[test]
    fn the_folders_of_a_plain_tree_become_albums() {
        let mut layout = Layout::default();
        assert_eq!(target(&mut layout, "", "a.jpg").0, "upload/a.jpg");
        assert_eq!(target(&mut layout, "", "2024/Summer/a.jpg").0, "album/2024/Summer/a.jpg");
        assert_eq!(target(&mut layout, "", "media/a.jpg").0, "album/media/a.jpg");
        assert_eq!(target(&mut layout, "album/Trip", "a.jpg").0, "a.jpg");
        assert_eq!(target(&mut layout, "album", "Trip/a.jpg").0, "Trip/a.jpg");
        assert!(layout.file("album", &RemotePath::parse("a.jpg").unwrap()).is_err());
    }

    #[test]
    fn ids_go_and_albums_of_one_title_stay_apart() {
        let mut layout = Layout::default();
        let [one, two] = ["a", "b"].map(|char| char.repeat(60));
        let path = |id: &str| format!("album/Trip {{{id}}}/IMG {{{id}}}.jpg");
        assert_eq!(target(&mut layout, "", &path(&one)).0, "album/Trip/IMG.jpg");
        assert_eq!(target(&mut layout, "", &path(&two)).0, "album/Trip (2)/IMG.jpg");
        assert_eq!(target(&mut layout, "", &path(&one)).0, "album/Trip/IMG.jpg");
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
