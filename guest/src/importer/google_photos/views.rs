//! Which parts of rclone's tree are listed: every photo is in `media/all`, and again by
//! year, month and day, which would cost thousands of calls and show nothing new.

/// What is listed of a remote, and in how many listings. Directories that a listing
/// leaves out are relative to the session's root.
#[derive(Debug, PartialEq, Eq)]
pub struct Views {
    /// The listing of albums and favourites: photos that have another path as well.
    pub albums: Option<Vec<&'static str>>,
    /// The listing that may be long, and is passed on as it comes.
    pub library: Option<Vec<&'static str>>,
    /// Whether they hold every photo of the account.
    pub everything: bool,
}

/// What lies in each directory of dates lies in `media/all`, too.
const DATES: [&str; 3] = ["media/by-year", "media/by-month", "media/by-day"];

/// The views below this path of the remote.
pub fn below(root: &str) -> Views {
    let root = root.trim_matches('/');
    let top = root.split('/').next().unwrap_or_default();
    match (root, top) {
        ("", _) => Views {
            albums: Some(vec!["media", "upload"]),
            library: Some([&DATES[..], &["album", "shared-album", "feature", "upload"]].concat()),
            everything: true,
        },
        ("media", _) => Views {
            albums: None,
            library: Some(vec!["by-year", "by-month", "by-day"]),
            everything: true,
        },
        (_, "album" | "shared-album" | "feature") => {
            Views { albums: Some(Vec::new()), library: None, everything: false }
        }
        _ => Views { albums: None, library: Some(Vec::new()), everything: root == "media/all" },
    }
}

/// The directory that is listed to see whether Google answers: rclone knows the root by
/// heart, but not the albums.
pub fn probe(root: &str) -> &'static str {
    if root.trim_matches('/').is_empty() { "album" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_dates_are_listed_only_where_they_are_asked_for() {
        let all = below("");
        let library = all.library.unwrap();
        assert!(DATES.iter().all(|date| library.contains(date)));
        assert!(all.albums.unwrap().contains(&"media"));
        assert_eq!(below("/media/").library, Some(vec!["by-year", "by-month", "by-day"]));
        let year = Views { albums: None, library: Some(Vec::new()), everything: false };
        assert_eq!(below("media/by-year/2024"), year);
    }

    #[test]
    fn one_album_is_listed_alone() {
        for root in ["album", "album/Trip/2024", "shared-album/x", "feature/favorites"] {
            let views = below(root);
            assert_eq!((views.albums, views.library), (Some(Vec::new()), None), "{root}");
        }
    }
}
