//! Views of rclone's tree that are listed. Every photo is in `media/all`, and again by year,
//! month and day: to list these would cost thousands of calls without finding anything new.

/// Listings of a library, each given by the directories that it leaves out, relative to the
/// remote's root.
#[derive(Debug, PartialEq, Eq)]
pub struct Views {
    /// Listing of albums and favourites, whose photos have other paths as well.
    pub albums: Option<Vec<&'static str>>,
    /// Listing that may be long, and is passed on as it arrives.
    pub library: Option<Vec<&'static str>>,
    /// Whether they show every photo of the account.
    pub has_all_photos: bool,
}

/// Views by date, whose photos are in `media/all`, too.
const DATE_VIEWS: [&str; 3] = ["media/by-year", "media/by-month", "media/by-day"];

/// Selects the listings of a path of the remote.
pub fn select(root: &str) -> Views {
    let root = root.trim_matches('/');
    let top = root.split('/').next().unwrap_or_default();
    match (root, top) {
        ("", _) => Views {
            albums: Some(vec!["media", "upload"]),
            library: Some(
                [&DATE_VIEWS[..], &["album", "shared-album", "feature", "upload"]].concat(),
            ),
            has_all_photos: true,
        },
        ("media", _) => Views {
            albums: None,
            library: Some(vec!["by-year", "by-month", "by-day"]),
            has_all_photos: true,
        },
        (_, "album" | "shared-album" | "feature") => {
            Views { albums: Some(Vec::new()), library: None, has_all_photos: false }
        }
        _ => Views { albums: None, library: Some(Vec::new()), has_all_photos: root == "media/all" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_views_are_listed_only_on_request() {
        let all = select("");
        let library = all.library.unwrap();
        assert!(DATE_VIEWS.iter().all(|date| library.contains(date)));
        assert!(all.albums.unwrap().contains(&"media"));
        assert_eq!(select("/media/").library, Some(vec!["by-year", "by-month", "by-day"]));
        let year = Views { albums: None, library: Some(Vec::new()), has_all_photos: false };
        assert_eq!(select("media/by-year/2024"), year);
    }

    #[test]
    fn one_album_is_listed_alone() {
        for root in ["album", "album/Trip/2024", "shared-album/x", "feature/favorites"] {
            let views = select(root);
            assert_eq!((views.albums, views.library), (Some(Vec::new()), None), "{root}");
        }
    }
}
