//! Tests of the whole model, from the files of exports to the paths of a snapshot.
//!
//! - [`names`]: names of files and sidecars
//! - [`places`]: albums, years and other places
//! - [`versions`]: several exports of a library

mod names;
mod places;
mod versions;

use crate::random_inputs::check_property;
use crate::takeout::folders::{Catalogue, ExportFile, SidecarCandidates};
use crate::takeout::library::{Library, Selection};
use crate::takeout::photos::ExportPhotos;
use crate::takeout::places::Places;
use crate::takeout::sidecar::Sidecar;
use crate::takeout::snapshot::Snapshot;
use crate::takeout::{FileInfo, FileSource};
use proptest::prelude::prop;
use siphasher::sip::SipHasher13;

/// File of an export: its path below the folder of Google Photos, and its contents.
type File = (String, String);

/// Result of a test: paths with what they have, and the numbers of the summary.
struct Outcome {
    files: Vec<(String, i64, String)>,
    directories: Vec<String>,
    summary: crate::takeout::library::Summary,
    problems: Vec<String>,
}

fn file(path: &str, contents: &str) -> File {
    (path.to_owned(), contents.to_owned())
}

/// Makes a sidecar.
fn json(path: &str, title: &str, taken: i64, rest: &str) -> File {
    let time = format!(r#""photoTakenTime":{{"timestamp":"{taken}","formatted":"x"}}"#);
    (format!("{path}.json"), format!(r#"{{"title":"{title}",{time}{rest}}}"#))
}

/// Makes a photo and its sidecar in a folder.
fn photo(folder: &str, name: &str, taken: i64) -> Vec<File> {
    let path = format!("{folder}/{name}");
    let sidecar = json(&format!("{path}.supplemental-metadata"), name, taken, "");
    vec![file(&path, &format!("bytes of {name} {taken}")), sidecar]
}

fn album(folder: &str, title: &str) -> File {
    file(&format!("{folder}/metadata.json"), &format!(r#"{{"title":"{title}"}}"#))
}

fn export_photos(files: &[File], number: usize, places: &mut Places) -> ExportPhotos {
    let path = |path: &str| format!("Takeout/Google Photos/{path}");
    let paths: Vec<_> = files.iter().map(|(name, _)| path(name)).collect();
    let mut candidates = SidecarCandidates::default();
    candidates.add(paths.iter().map(|path| &**path));
    let mut catalogue = Catalogue::default();
    for (entry, (path, (_, contents))) in (0..).zip(paths.into_iter().zip(files)) {
        let source = FileSource::Entry { archive: u32::try_from(number).unwrap(), entry };
        let crc32 = SipHasher13::new().hash(contents.as_bytes()) & 0xffff_ffff;
        let crc32 = Some(u32::try_from(crc32).unwrap());
        let size = contents.len() as u64;
        let is_sidecar = candidates.contains(&path, size);
        let info = FileInfo { size, crc32, source };
        let contents = is_sidecar.then(|| Sidecar::parse(contents.as_bytes()));
        catalogue.add(ExportFile { path, info, contents });
    }
    ExportPhotos::find(catalogue.photo_folders(), number, "takeout-x", places)
}

/// Makes a snapshot of exports, the newest of which is the first.
fn snapshot_of(exports: &[(Vec<File>, bool)], selection: Selection) -> Outcome {
    let mut places = Places::default();
    let mut library = Library::new(selection);
    for (number, (files, is_complete)) in exports.iter().enumerate() {
        let photos = export_photos(files, number, &mut places);
        library.add(photos, number, *is_complete, &places);
    }
    let mut library = library.finish();
    let summary = library.summary;
    let problems = std::mem::take(&mut library.problems);
    let snapshot = Snapshot::new(library, places);
    let mut files = Vec::new();
    for file in &snapshot.files {
        let FileSource::Entry { archive, entry } = file.info.source else { continue };
        let contents = &exports[archive as usize].0[entry as usize].1;
        files.extend(snapshot.paths(file).map(|path| (path, file.modified, contents.clone())));
    }
    files.sort();
    Outcome {
        files,
        directories: snapshot.directories.into_iter().collect(),
        summary,
        problems: problems.into_iter().map(|problem| problem.path).collect(),
    }
}

fn snapshot(files: Vec<File>) -> Outcome {
    snapshot_of(&[(files, true)], Selection::All)
}

impl Outcome {
    /// Paths of photos.
    fn paths(&self) -> Vec<&str> {
        let paths = self.files.iter().map(|(path, _, _)| &**path);
        paths.filter(|path| !path.starts_with("sidecar/")).collect()
    }

    /// Paths of photos with their times.
    fn times(&self) -> Vec<(&str, i64)> {
        let paths = self.files.iter().map(|(path, time, _)| (&**path, *time));
        paths.filter(|(path, _)| !path.starts_with("sidecar/")).collect()
    }

    fn contents(&self, path: &str) -> &str {
        let found = self.files.iter().find(|(other, _, _)| other == path);
        found.map_or("", |(_, _, contents)| contents)
    }
}

const YEAR: &str = "Photos from 2023";

#[test]
fn whatever_names_an_export_has_each_file_has_a_path_of_its_own() {
    let names = prop::sample::select(vec![
        "A",
        "A(1)",
        "A-edited",
        "A-edited(1)",
        ".jpg",
        ".MP4",
        ".json",
        ".jpg.json",
        "/",
        "..",
        ".supplemental-metadata",
        "(1)",
        "n".repeat(47).leak(),
        "🎉",
        " ",
        "metadata.json",
        "",
    ]);
    let contents = prop::sample::select(vec![
        "x",
        "y",
        "{",
        r#"{"title":"A.jpg","photoTakenTime":{"timestamp":"5"}}"#,
        r#"{"title":"../a"}"#,
        r#"{"title":"A.jpg","photoTakenTime":{},"trashed":true}"#,
    ]);
    let folder = prop::sample::select(vec![YEAR, "Trip", "2022", "x/y", ""]);
    let path = (folder, prop::collection::vec(names, 1..4));
    let files = prop::collection::vec((path, contents), 0..30);
    check_property(prop::collection::vec(files, 1..3), |exports| {
        let exports: Vec<(Vec<File>, bool)> = exports
            .into_iter()
            .map(|files| {
                let named = files.into_iter().map(|((folder, name), contents)| {
                    file(&format!("{folder}/{}", name.concat()), contents)
                });
                (named.collect(), true)
            })
            .collect();
        let found = snapshot_of(&exports, Selection::All);
        for pair in found.files.windows(2) {
            assert_ne!(pair[0].0, pair[1].0);
        }
        for (path, _, _) in &found.files {
            assert!(crate::path::RemotePath::parse(path).is_ok(), "{path:?}");
            assert!(!found.directories.contains(path), "{path:?}");
        }
    });
}
