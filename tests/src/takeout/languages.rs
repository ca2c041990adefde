//! Names that Google translates.
//!
//! Source: the table of localised names that immich-go (docs/misc/google-takeout.md),
//! GooglePhotosTakeoutHelper and PhotoMigrator agree on.

/// The language of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// French, with a no-break space in the folder of the service.
    French,
    /// German.
    German,
    /// Spanish.
    Spanish,
    /// Italian.
    Italian,
    /// Chinese, simplified.
    Chinese,
}

/// The names of one language.
pub struct Names {
    /// Folder of the service.
    pub service: &'static str,
    /// Year folder since the autumn of 2025, with `YYYY` for the year.
    pub year: &'static str,
    /// File with the description of an album.
    pub album: &'static str,
    /// Suffix of an edited copy.
    pub edited: &'static str,
    /// Folder of an album without a title.
    pub untitled: &'static str,
    /// Folder of archived photos.
    pub archive: &'static str,
    /// Folder of removed photos.
    pub trash: &'static str,
    /// Folder of videos that could not be processed.
    pub failed_videos: &'static str,
    /// A text that no program may parse.
    pub formatted: &'static str,
}

const ENGLISH: Names = Names {
    service: "Google Photos",
    year: "Photos from YYYY",
    album: "metadata.json",
    edited: "-edited",
    untitled: "Untitled",
    archive: "Archive",
    trash: "Trash",
    failed_videos: "Failed Videos",
    formatted: "Aug 6, 2023, 6:10:30\u{202f}AM UTC",
};

const FRENCH: Names = Names {
    service: "Google\u{a0}Photos",
    year: "Photos de YYYY",
    album: "métadonnées.json",
    edited: "-modifié",
    untitled: "Sans titre",
    archive: "Archives",
    trash: "Corbeille",
    failed_videos: "Vidéos en échec",
    formatted: "6 août 2023, 06:10:30 UTC",
};

const GERMAN: Names = Names {
    service: "Google Fotos",
    year: "Fotos von YYYY",
    album: "Metadaten.json",
    edited: "-bearbeitet",
    untitled: "Unbenannt",
    archive: "Archiv",
    trash: "Papierkorb",
    failed_videos: "Fehlgeschlagene Videos",
    formatted: "06.08.2023, 06:10:30 UTC",
};

const SPANISH: Names = Names {
    service: "Google Fotos",
    year: "Fotos de YYYY",
    album: "metadatos.json",
    edited: "-ha editado",
    untitled: "Sin título",
    archive: "Archivo",
    trash: "Papelera",
    failed_videos: "Vídeos con errores",
    formatted: "6 ago 2023, 6:10:30 UTC",
};

const ITALIAN: Names = Names {
    service: "Google Foto",
    year: "Foto da YYYY",
    album: "metadati.json",
    edited: "-modificato",
    untitled: "Senza titolo",
    archive: "Archivio",
    trash: "Cestino",
    failed_videos: "Video non riusciti",
    formatted: "6 ago 2023, 06:10:30 UTC",
};

const CHINESE: Names = Names {
    service: "Google 相册",
    year: "YYYY年的照片",
    album: "元数据.json",
    edited: "-编辑",
    untitled: "无标题",
    archive: "归档文件",
    trash: "回收站",
    failed_videos: "失败的视频",
    formatted: "2023年8月6日UTC 06:10:30",
};

impl Language {
    /// All languages.
    pub const ALL: [Self; 6] =
        [Self::English, Self::French, Self::German, Self::Spanish, Self::Italian, Self::Chinese];

    /// Returns the names of folders in the language.
    pub fn names(self) -> &'static Names {
        match self {
            Self::English => &ENGLISH,
            Self::French => &FRENCH,
            Self::German => &GERMAN,
            Self::Spanish => &SPANISH,
            Self::Italian => &ITALIAN,
            Self::Chinese => &CHINESE,
        }
    }

    /// The folder of a year; until the autumn of 2025 its name was English in all languages.
    pub fn year(self, year: i32, old: bool) -> String {
        let names = if old { Self::English } else { self }.names();
        names.year.replace("YYYY", &year.to_string())
    }
}
