//! Derived files: edited photos, and the videos of live and motion photos. Google gives them no
//! sidecar, so they take that of their original.

use std::collections::HashMap;

use super::{Match, SidecarName};
use crate::takeout::file_names::{Numbered, is_video, media_readings, split_extension};

/// Maximum length of the word after an edited photo's name, in characters. It is in the user's
/// language and may be cut: `-edited`, `-ha editado`, `-edi`.
const MAX_EDIT_CHARS: usize = 20;

/// Originals by the stems of their names.
type Originals<'a> = HashMap<Numbered<String>, Vec<usize>>;

/// Original of a file, and what its name has more than the original's stem.
type Candidate = (usize, String);

/// Gives the files that have no sidecar that of their original, if there is only one.
pub fn derive(media: &[&str], sidecars: &[SidecarName<'_>], matches: &mut [Match]) {
    let originals = index(media, matches);
    for number in 0..media.len() {
        if matches[number] != Match::None {
            continue;
        }
        let mut candidates = candidates(media[number], &originals);
        let extension = split_extension(media[number]).1;
        let has_same_extension = |(original, _): &Candidate| {
            split_extension(media[*original]).1.eq_ignore_ascii_case(extension)
        };
        if candidates.iter().any(has_same_extension) {
            candidates.retain(has_same_extension);
        }
        candidates.retain(|(original, _)| *original != number);
        let sidecar_of = |original: usize| match matches[original] {
            Match::Direct(sidecar) => Some(sidecar),
            _ => None,
        };
        let Some((original, ending)) = candidates.first() else { continue };
        let Some(sidecar) = sidecar_of(*original) else { continue };
        let agrees = candidates.iter().all(|(other, _)| {
            let other = sidecar_of(*other).map(|other| sidecars[other].data);
            other.is_some_and(|other| other.taken == sidecars[sidecar].data.taken)
        });
        matches[number] = if agrees {
            Match::Derived { sidecar, ending: ending.clone() }
        } else {
            Match::Ambiguous
        };
    }
}

fn index<'a>(media: &[&str], matches: &[Match]) -> Originals<'a> {
    let mut originals: Originals<'a> = HashMap::new();
    for (number, name) in media.iter().enumerate() {
        if !matches!(matches[number], Match::Direct(_)) {
            continue;
        }
        for reading in media_readings(name) {
            let name = split_extension(&reading.name).0.to_owned();
            let key = Numbered { name, number: reading.number };
            originals.entry(key).or_default().push(number);
        }
    }
    originals
}

/// Returns the originals that a file may be derived from.
fn candidates(name: &str, originals: &Originals<'_>) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for Numbered { name, number } in media_readings(name) {
        let mut add = |stem: &str, ending: String| {
            let key = Numbered { name: stem.to_owned(), number };
            for original in originals.get(&key).into_iter().flatten() {
                if found.iter().all(|(other, _)| other != original) {
                    found.push((*original, ending.clone()));
                }
            }
        };
        let (stem, extension) = split_extension(&name);
        // `MVIMG` is the video of `MVIMG.jpg`, and `PXL.MP` that of `PXL.MP.jpg`.
        add(&name, String::new());
        if is_video(extension) {
            add(stem, extension.to_owned());
        }
        if let Some((original, word)) = stem.rsplit_once('-').filter(|(_, word)| is_edit(word)) {
            add(original, ["-", word, extension].concat());
        }
    }
    found
}

/// Reports whether a word may stand for an edit. Numbers after a dash are those of a camera.
fn is_edit(word: &str) -> bool {
    word.starts_with(char::is_alphabetic)
        && word.chars().count() <= MAX_EDIT_CHARS
        && !word.contains(char::is_numeric)
}
