//! Matching of the files of a folder to their sidecars, by name. The rules go from the strictest
//! to the loosest, and none of them chooses between two: what fits several sidecars gets none.
//!
//! - [`cut_names`]: names that Google has cut
//! - [`derived`]: edited photos, and the videos of others

mod cut_names;
mod derived;

use std::collections::HashMap;
use std::hash::Hash;

use super::file_names::{
    Numbered, comparable, is_video, media_readings, sidecar_readings, split_extension,
    strip_sidecar_words,
};
use cut_names::{ComparableName, CutGroup, CutMedia, CutSidecar, beginning};

pub use cut_names::SidecarName;

/// Sidecar of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// No sidecar fits.
    None,
    /// Several fit, or the one that fits is also that of another file.
    Ambiguous,
    /// The sidecar with this number is its own.
    Direct(usize),
    /// The sidecar is that of its original. A name for it is the original's without the
    /// extension, and the ending.
    Derived { sidecar: usize, ending: String },
}

/// Files and sidecars of a folder. The sidecars are in the order of their names.
pub struct Matcher<'a> {
    media: &'a [&'a str],
    sidecars: &'a [SidecarName<'a>],
    matches: Vec<Match>,
    /// Whether a sidecar is that of a file, or says the same as one that is.
    is_used: Vec<bool>,
}

/// Sidecar that fits a file, and the file's name in the reading that it fits.
pub type Candidate = (usize, String);

impl<'a> Matcher<'a> {
    /// Matches files to sidecars. Returns a match for each file, and whether each sidecar is that
    /// of a file.
    pub fn run(media: &'a [&'a str], sidecars: &'a [SidecarName<'a>]) -> (Vec<Match>, Vec<bool>) {
        let matches = vec![Match::None; media.len()];
        let mut matcher = Self { media, sidecars, matches, is_used: vec![false; sidecars.len()] };
        matcher.match_exact();
        matcher.match_cut();
        matcher.match_without_extension();
        derived::derive(media, sidecars, &mut matcher.matches);
        (matcher.matches, matcher.is_used)
    }

    /// Matches `IMG(1).jpg` to `IMG.jpg(1)`, `IMG.jpg.supplemental-metadata(1)` and, where an
    /// export left the number in its place, `IMG(1).jpg` and `IMG(1).jpg.supplemental-metadata`.
    fn match_exact(&mut self) {
        let index = self.names_of_files();
        let candidates = self.candidates(|reading| {
            let key = Numbered { name: &*reading.name, number: reading.number };
            index.get(&key).cloned().unwrap_or_default()
        });
        self.assign(candidates, false);
    }

    /// Matches the names of sidecars that Google has cut. Where several names share what is left
    /// of them, numbers count only if they can't be those of different names.
    fn match_cut(&mut self) {
        let mut groups: HashMap<&str, CutGroup<'_>> = HashMap::new();
        let media: Vec<_> = self.open_media().map(CutMedia::new).collect();
        for media in &media {
            groups.entry(media.beginning()).or_default().media.push(media);
        }
        for (number, sidecar) in self.unused_sidecars() {
            let sidecar = CutSidecar::new(number, sidecar);
            if let Some(group) = groups.get_mut(beginning(sidecar.name.name)) {
                group.sidecars.push(sidecar);
            }
        }
        let mut candidates = Vec::new();
        for group in groups.into_values() {
            candidates.extend(group.candidates());
        }
        self.assign(candidates, true);
    }

    /// Matches files whose title had no extension, which Google added: `NAME` to `NAME.jpg`.
    fn match_without_extension(&mut self) {
        let index = self.names_of_files();
        let candidates = self.candidates(|reading| {
            let (stem, extension) = split_extension(&reading.name);
            let key = Numbered { name: stem, number: reading.number };
            let found = index.get(&key).filter(|_| !extension.is_empty());
            let found = found.into_iter().flatten().copied();
            let title = |number: &usize| self.sidecars[*number].data.title.as_deref();
            found.filter(|it| title(it).is_none_or(|it| fits(it, &reading.name))).collect()
        });
        self.assign(candidates, true);
    }

    /// Returns the sidecars by the names of the files that they may be of.
    fn names_of_files(&self) -> HashMap<Numbered<&'a str>, Vec<usize>> {
        let mut index = HashMap::new();
        for (number, sidecar) in self.unused_sidecars() {
            for reading in sidecar_readings(sidecar.stem) {
                push(&mut index, reading, number);
                if let Some(name) = strip_sidecar_words(reading.name) {
                    push(&mut index, Numbered { name, ..reading }, number);
                }
            }
        }
        index
    }

    fn unused_sidecars(&self) -> impl Iterator<Item = (usize, &'a SidecarName<'a>)> {
        let sidecars = self.sidecars.iter().enumerate();
        sidecars.filter(|(number, _)| !self.is_used[*number])
    }

    fn open_media(&self) -> impl Iterator<Item = (usize, &'a str)> {
        let media = self.media.iter().enumerate();
        let open = media.filter(|(number, _)| self.matches[*number] == Match::None);
        open.map(|(number, name)| (number, *name))
    }

    /// Returns the sidecars that fit each file without a match, in one of its readings.
    fn candidates(
        &self,
        fitting: impl Fn(&Numbered<String>) -> Vec<usize>,
    ) -> Vec<(usize, Vec<Candidate>)> {
        let mut all = Vec::new();
        for (number, name) in self.open_media() {
            let mut candidates: Vec<Candidate> = Vec::new();
            for reading in media_readings(name) {
                for sidecar in fitting(&reading) {
                    if candidates.iter().all(|(other, _)| *other != sidecar) {
                        candidates.push((sidecar, reading.name.clone()));
                    }
                }
            }
            if !candidates.is_empty() {
                all.push((number, candidates));
            }
        }
        all
    }

    /// Matches the files that fit a single sidecar, if it fits no other file. Of a photo and its
    /// video, the photo is matched if `prefers_photos`: the video then shares its sidecar.
    fn assign(&mut self, candidates: Vec<(usize, Vec<Candidate>)>, prefers_photos: bool) {
        let mut claims: HashMap<usize, Vec<Candidate>> = HashMap::new();
        for (media, candidates) in candidates {
            match self.narrow(candidates) {
                Some((sidecar, name)) => push(&mut claims, sidecar, (media, name)),
                None => self.matches[media] = Match::Ambiguous,
            }
        }
        for (sidecar, mut claimants) in claims {
            if claimants.len() > 1 {
                let title = self.sidecars[sidecar].data.title.as_deref();
                retain_any(&mut claimants, |(_, name)| title.is_some_and(|it| fits(it, name)));
            }
            if claimants.len() > 1 && prefers_photos {
                retain_any(&mut claimants, |(media, _)| {
                    !is_video(split_extension(self.media[*media]).1)
                });
            }
            if let [(media, _)] = claimants[..] {
                self.set(media, sidecar);
                continue;
            }
            for (media, _) in claimants {
                self.matches[media] = Match::Ambiguous;
            }
        }
    }

    /// Chooses the sidecar of a file if all that fit say the same, or if the title tells them
    /// apart.
    fn narrow(&self, mut candidates: Vec<Candidate>) -> Option<Candidate> {
        if !self.agree(&candidates) {
            retain_any(&mut candidates, |(sidecar, name)| {
                let title = self.sidecars[*sidecar].data.title.as_deref();
                title.is_some_and(|title| fits(title, name))
            });
        }
        let is_decided = self.agree(&candidates);
        candidates.into_iter().next().filter(|_| is_decided)
    }

    fn agree(&self, candidates: &[Candidate]) -> bool {
        let mut data = candidates.iter().map(|(sidecar, _)| self.sidecars[*sidecar].data);
        let first = data.next();
        data.all(|other| first.is_some_and(|first| first.agrees(other)))
    }

    fn set(&mut self, media: usize, sidecar: usize) {
        self.matches[media] = Match::Direct(sidecar);
        self.is_used[sidecar] = true;
        let SidecarName { stem, data } = self.sidecars[sidecar];
        // The same sidecar may be there twice: they are in the order of their names.
        let is_twin = |other: &SidecarName<'_>| other.stem == stem && other.data.agrees(data);
        let before = self.sidecars[..sidecar].iter().rev().take_while(|it| is_twin(it)).count();
        let after = self.sidecars[sidecar..].iter().take_while(|it| is_twin(it)).count();
        self.is_used[sidecar - before..sidecar + after].fill(true);
    }
}

/// Keeps the elements that fit, if there are any.
fn retain_any<T>(elements: &mut Vec<T>, fits: impl Fn(&T) -> bool) {
    if elements.iter().any(&fits) {
        elements.retain(fits);
    }
}

fn push<K: Eq + Hash, V>(index: &mut HashMap<K, Vec<V>>, key: K, value: V) {
    index.entry(key).or_default().push(value);
}

/// Reports whether a file with this name, without its number, may have this title.
fn fits(title: &str, name: &str) -> bool {
    ComparableName::new(name).fits(&comparable(title))
}
