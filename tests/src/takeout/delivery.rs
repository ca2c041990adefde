//! Exports as they arrive in a directory: archives, an unpacked directory, or `.tgz`.

use std::fs;
use std::path::{Path, PathBuf};

use super::export::{Export, File};
use super::library::Library;
use super::zip_writer::{EntryFault, Placed, ZipStyle, ZipWriter};

/// An archive that was written.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Path of the archive.
    pub path: PathBuf,
    /// Entries of the archive, and where they are in it.
    pub entries: Vec<Placed>,
}

impl Archive {
    /// Returns the name of the archive.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// Returns the size of the archive in bytes.
    pub fn size(&self) -> u64 {
        self.path.metadata().unwrap().len()
    }

    /// Number of bytes of the sidecars and albums' descriptions, as entries.
    pub fn json_bytes(&self) -> u64 {
        let entries = self.entries.iter().filter(|entry| entry.name.ends_with(".json"));
        entries.map(|entry| entry.end - entry.start).sum()
    }
}

/// Writes an export as archives.
pub fn zips(directory: &Path, export: &Export, library: &Library, style: ZipStyle) -> Vec<Archive> {
    zips_with(directory, export, library, style, |_| None)
}

/// The same with faults of entries.
pub fn zips_with(
    directory: &Path,
    export: &Export,
    library: &Library,
    style: ZipStyle,
    fault: impl Fn(&File) -> Option<EntryFault>,
) -> Vec<Archive> {
    fs::create_dir_all(directory).unwrap();
    let parts = export.parts(library);
    let numbered = parts.into_iter().zip(1..);
    let written = numbered
        .map(|(files, number)| zip(&directory.join(export.archive(number)), &files, style, &fault));
    written.collect()
}

/// Writes one archive of these files.
pub fn zip(
    path: &Path,
    files: &[File],
    style: ZipStyle,
    fault: impl Fn(&File) -> Option<EntryFault>,
) -> Archive {
    let mut writer = ZipWriter::create(path, style).unwrap();
    for file in files {
        writer.add(&file.path, &file.content, fault(file)).unwrap();
    }
    Archive { path: path.to_owned(), entries: writer.finish().unwrap() }
}

/// Writes an export as a directory, as it is after it was unpacked.
pub fn unpacked(directory: &Path, export: &Export, library: &Library) {
    unpacked_as(directory, export, library, str::to_owned);
}

/// The same with the names as a system changes them.
pub fn unpacked_as(
    directory: &Path,
    export: &Export,
    library: &Library,
    name: impl Fn(&str) -> String,
) {
    for file in export.files(library) {
        let path = directory.join(name(&file.path));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.content.bytes()).unwrap();
    }
}

/// Writes an export as one `.tgz` with the system's tar.
pub fn tgz(directory: &Path, export: &Export, library: &Library) -> PathBuf {
    let unpacking = tempfile::tempdir().unwrap();
    unpacked(unpacking.path(), export, library);
    fs::create_dir_all(directory).unwrap();
    let path = directory.join(export.archive(1)).with_extension("tgz");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-czf").arg(&path).arg("-C").arg(unpacking.path()).arg("Takeout");
    assert!(tar.status().unwrap().success());
    path
}
