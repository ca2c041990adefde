//! Cut names: Google cuts the names of files, and those of sidecars at another length. Then names
//! that differ share what is left of them, and the title, which is never cut, tells them apart.

use std::collections::BTreeSet;

use crate::takeout::file_names::{
    Numbered, comparable, full_sidecar_name, is_video, media_readings, sidecar_readings,
    split_extension, strip_sidecar_words, utf16_len, utf16_prefix,
};
use crate::takeout::sidecar::PhotoData;

/// Length, in UTF-16 units, at which Google cuts the name of a sidecar without `.json`.
///
/// Source: pull request 4956 of ente-io/ente, checked with some 46,000 sidecars by pull request
/// 449 of TheLastGimbus/GooglePhotosTakeoutHelper.
const CUT_LENGTH: usize = 46;

/// Maximum number of files or sidecars that share the beginning of their names and are told
/// apart by their titles.
const MAX_SHARED: usize = 1000;

/// Sidecar of a photo.
#[derive(Clone, Copy)]
pub struct SidecarName<'a> {
    /// Name without `.json`.
    pub stem: &'a str,
    pub data: &'a PhotoData,
}

/// Returns the part of a long name that isn't cut anywhere.
pub fn beginning(name: &str) -> &str {
    utf16_prefix(name, CUT_LENGTH)
}

/// Name of a file, without its number, in a form that titles can be compared with.
pub struct ComparableName {
    stem: String,
    extension: String,
    /// Whether the stem may be that of a longer title.
    may_be_cut: bool,
}

impl ComparableName {
    /// Creates it from a name without its number.
    pub fn new(name: &str) -> Self {
        let (stem, extension) = split_extension(name);
        let may_be_cut = utf16_len(stem) + 1 >= CUT_LENGTH;
        Self { stem: comparable(stem), extension: comparable(extension), may_be_cut }
    }

    /// Reports whether a file of this name may have a title, given in the same form.
    pub fn fits(&self, title: &str) -> bool {
        let rest = title.strip_prefix(&*self.stem);
        rest.is_some_and(|rest| rest.is_empty() || rest == self.extension || self.may_be_cut)
    }

    /// Returns the part of the name that a sidecar's name may have lost.
    fn key(&self) -> (&str, &str) {
        (&self.stem, if self.may_be_cut { "" } else { &self.extension })
    }
}

/// File whose sidecar may have a cut name.
pub struct CutMedia {
    number: usize,
    name: Numbered<String>,
    /// Name of its sidecar if nothing were cut.
    full: String,
    comparable: ComparableName,
}

impl CutMedia {
    /// Creates it from a file's number in its folder and its name.
    pub fn new((number, name): (usize, &str)) -> Self {
        let whole = Numbered { name: name.to_owned(), number: 0 };
        let name = media_readings(name).pop().unwrap_or(whole);
        let full = full_sidecar_name(&name.name);
        let comparable = ComparableName::new(&name.name);
        Self { number, name, full, comparable }
    }

    /// Returns the name of its sidecar after a cut.
    pub fn beginning(&self) -> &str {
        beginning(&self.full)
    }

    /// Reports whether the name of a sidecar is this one's, cut where Google cuts.
    fn is_cut_to(&self, stem: &str) -> bool {
        let rest = self.full.strip_prefix(stem).and_then(|rest| rest.chars().next());
        rest.is_some_and(|next| utf16_len(stem) + next.len_utf16() > CUT_LENGTH)
    }

    /// Reports whether the name of a sidecar is that of a file of which this one's is cut.
    fn is_cut_of(&self, stem: &str) -> bool {
        let file = strip_sidecar_words(stem).unwrap_or(stem);
        self.comparable.may_be_cut && self.comparable.fits(&comparable(file))
    }
}

/// Sidecar whose name may be cut.
pub struct CutSidecar<'a> {
    number: usize,
    pub name: Numbered<&'a str>,
    /// Title in the form in which it can be compared.
    title: Option<String>,
}

impl<'a> CutSidecar<'a> {
    /// Creates it from a sidecar and its number in the folder.
    pub fn new(number: usize, sidecar: &SidecarName<'a>) -> Self {
        let whole = Numbered { name: sidecar.stem, number: 0 };
        let name = sidecar_readings(sidecar.stem).pop().unwrap_or(whole);
        Self { number, name, title: sidecar.data.title.as_deref().map(comparable) }
    }
}

/// Files and sidecars whose names are the same after a cut, but for their numbers.
#[derive(Default)]
pub struct CutGroup<'a> {
    pub media: Vec<&'a CutMedia>,
    pub sidecars: Vec<CutSidecar<'a>>,
}

impl CutGroup<'_> {
    /// Returns the sidecars that fit each file, with the file's name without its number.
    pub fn candidates(&self) -> Vec<(usize, Vec<(usize, String)>)> {
        if self.media.len().max(self.sidecars.len()) > MAX_SHARED {
            return Vec::new();
        }
        let has_numbers = self.has_same_numbers();
        let mut all = Vec::new();
        for media in &self.media {
            let fitting = self.sidecars.iter().filter(|sidecar| {
                let title = sidecar.title.as_deref();
                (!has_numbers || sidecar.name.number == media.name.number)
                    && title.map_or(has_numbers, |title| media.comparable.fits(title))
                    && (media.is_cut_to(sidecar.name.name) || media.is_cut_of(sidecar.name.name))
            });
            let fitting = fitting.map(|sidecar| (sidecar.number, media.name.name.clone()));
            let candidates: Vec<_> = fitting.collect();
            if !candidates.is_empty() {
                all.push((media.number, candidates));
            }
        }
        all
    }

    /// Reports whether files and sidecars of the same number belong together: all files have the
    /// same name, so that Google numbered both for the same reason. An edited photo with a long
    /// name has a number, but no sidecar.
    fn has_same_numbers(&self) -> bool {
        let names: BTreeSet<_> = self.media.iter().map(|media| media.comparable.key()).collect();
        let photos =
            self.media.iter().filter(|media| !is_video(split_extension(&media.name.name).1));
        let numbers: BTreeSet<_> = photos.map(|media| media.name.number).collect();
        names.len() == 1 && (self.sidecars.len() == 1 || numbers.len() <= self.sidecars.len())
    }
}
