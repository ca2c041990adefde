//! The model of an account: its photos and albums, apart from any export of them.

use time::OffsetDateTime;

use super::content::Content;

/// Seconds since 1970, UTC.
pub type Seconds = i64;

/// The photos and albums of an account.
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// Photos of the account.
    pub photos: Vec<Photo>,
    /// Albums of the account.
    pub albums: Vec<Album>,
}

/// A photo, with what belongs to it.
#[derive(Debug, Clone)]
pub struct Photo {
    /// Its name at Google, which need not be one of a file.
    pub title: String,
    /// Extension that Google adds to its file, as its title has none.
    pub added_extension: &'static str,
    /// Time at which it was taken.
    pub taken: Seconds,
    /// Bytes of the photo.
    pub content: Content,
    /// Where the photo is, other than in albums.
    pub place: Place,
    /// Whether it is a favourite.
    pub favorite: bool,
    /// Whether it is one of a partner.
    pub partner: bool,
    /// Copy that was edited in Google Photos.
    pub edited: Option<Content>,
    /// Video of a live photo (`.MP4`) or of a motion photo (no extension).
    pub video: Option<(&'static str, Content)>,
    /// What its sidecar is like.
    pub sidecar: Sidecar,
    /// When it was uploaded or changed last.
    pub changed: Seconds,
    /// Whether it has been deleted: exports that are made now lack it.
    pub deleted: bool,
}

/// Where a photo is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the folder of its year.
    Year,
    /// The archive.
    Archive,
    /// The trash.
    Trash,
    /// The videos that could not be processed.
    FailedVideos,
    /// In the folders of its albums only.
    Albums,
}

/// What an export has of a photo's sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sidecar {
    /// A complete one.
    Whole,
    /// None.
    Missing,
    /// Its JSON ends too early.
    Broken,
    /// One without the time at which the photo was taken.
    WithoutTime,
    /// Its time is `"0"`.
    ZeroTime,
    /// The photo itself is missing.
    WithoutMedia,
}

/// An album.
#[derive(Debug, Clone)]
pub struct Album {
    /// Empty for one without a title.
    pub title: String,
    /// Numbers of photos, each with what its folder has of it.
    pub members: Vec<(usize, Copy)>,
    /// What the JSON of the album is like.
    pub description: Description,
}

/// What the folder of an album has of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    /// The photo and its sidecar.
    Bytes,
    /// Its sidecar only; the photo is in the folder of its year.
    SidecarOnly,
}

/// What the JSON file of an album has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Description {
    /// All fields.
    Full,
    /// `{"title": ...}` only, as since 2025.
    TitleOnly,
    /// Everything in `albumData`, as in 2019 and 2020.
    AlbumData,
}

impl Photo {
    /// A photo in the folder of its year.
    pub fn new(title: &str, taken: Seconds, content: Content) -> Self {
        Self {
            title: title.to_owned(),
            added_extension: "",
            taken,
            content,
            place: Place::Year,
            favorite: false,
            partner: false,
            edited: None,
            video: None,
            sidecar: Sidecar::Whole,
            changed: 0,
            deleted: false,
        }
    }

    /// Its year: that of the folder which has it.
    pub fn year(&self) -> i32 {
        OffsetDateTime::from_unix_timestamp(self.taken).unwrap().year()
    }

    /// Whether its sidecar tells the time at which it was taken.
    pub fn has_time(&self) -> bool {
        matches!(self.sidecar, Sidecar::Whole | Sidecar::WithoutMedia)
    }

    /// The time that a snapshot has of it: without one of its own, the beginning of its year.
    pub fn time(&self) -> Seconds {
        if self.has_time() { self.taken } else { beginning_of(self.year()) }
    }
}

/// The first second of a year.
pub fn beginning_of(year: i32) -> Seconds {
    let date = time::Date::from_calendar_date(year, time::Month::January, 1).unwrap();
    date.midnight().assume_utc().unix_timestamp()
}

impl Library {
    /// Adds a photo; returns its number.
    pub fn add(&mut self, photo: Photo) -> usize {
        self.photos.push(photo);
        self.photos.len() - 1
    }

    /// Adds an album of photos, whose bytes are in its folder, too.
    pub fn album(&mut self, title: &str, photos: &[usize]) -> &mut Album {
        let members = photos.iter().map(|number| (*number, Copy::Bytes)).collect();
        self.albums.push(Album {
            title: title.to_owned(),
            members,
            description: Description::Full,
        });
        self.albums.last_mut().unwrap()
    }

    /// Photos as a telephone takes them: `count` of them over three years, whose names repeat
    /// after each hundred, one in ten with an edited copy, one in seven with a video, and an
    /// album for each fifty.
    pub fn filled(count: u64, size: usize) -> Self {
        let mut library = Self::default();
        for number in 0..count {
            let taken = 1_650_000_000 + Seconds::try_from(number * 90_000_000 / count).unwrap();
            let title = format!("IMG_{:04}.jpg", number % 100);
            let content = Content::Photo { number, size: size + (number % 13) as usize * 7 };
            let mut photo = Photo::new(&title, taken, content);
            photo.favorite = number % 9 == 0;
            if number % 10 == 3 {
                photo.edited = Some(Content::Photo { number: number + 1_000_000, size });
            }
            if number % 7 == 5 {
                photo.video = Some((".MP4", Content::Video { number, size }));
            }
            library.add(photo);
        }
        let all: Vec<usize> = (0..library.photos.len()).collect();
        for (number, photos) in all.chunks(50).enumerate() {
            let half: Vec<usize> = photos.iter().copied().step_by(2).collect();
            let album = library.album(&format!("Trip {number}"), &half);
            for (photo, copy) in &mut album.members {
                if *photo % 3 == 0 {
                    *copy = Copy::SidecarOnly;
                }
            }
        }
        library
    }
}
