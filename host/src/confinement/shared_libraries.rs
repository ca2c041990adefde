//! The files that a program is loaded from: the loader and the libraries that it names, if it is
//! dynamically linked. Not their directories, which may have other programs.
//!
//! Only the usual directories are searched. A library that is found through `RUNPATH`,
//! `/etc/ld.so.conf` or a directory of the processor's features isn't: a program that needs one
//! doesn't start. rclone's own builds for Linux are statically linked.

use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::read::{ReadCache, ReadRef};
use object::{Endianness, elf};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Directories of libraries.
///
/// Source: ld.so(8), and the multiarch directories of Debian.
const LIBRARY_DIRECTORIES: [&str; 9] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
];

/// Prefix of the C library's name services, which it loads by itself.
const NSS_LIBRARY_PREFIX: &str = "libnss_";

/// The files that a program is loaded from.
#[derive(Debug, Default)]
pub struct LoadedFiles {
    /// The loader, which the kernel runs. `None` for a statically linked program.
    pub loader: Option<PathBuf>,
    pub libraries: BTreeSet<PathBuf>,
}

/// Finds the files that the program at `path` is loaded from. `None` if it isn't a binary, but a
/// script for instance.
///
/// # Errors
///
/// A file can't be read.
pub fn find(path: &Path) -> io::Result<Option<LoadedFiles>> {
    let Some(program) = dependencies(path)? else { return Ok(None) };
    let Some(loader) = program.loader else { return Ok(Some(LoadedFiles::default())) };
    let there = available_libraries();
    let mut libraries: BTreeSet<PathBuf> =
        ["/etc/ld.so.cache", "/etc/ld.so.preload"].map(PathBuf::from).into();
    let look_ups = there.keys().filter(|name| name.starts_with(NSS_LIBRARY_PREFIX)).cloned();
    let mut wanted: Vec<String> = program.libraries.into_iter().chain(look_ups).collect();
    let mut known = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !known.insert(name.clone()) {
            continue;
        }
        for path in there.get(&name).into_iter().flatten() {
            libraries.insert(path.clone());
            wanted.extend(dependencies(path)?.into_iter().flat_map(|library| library.libraries));
        }
    }
    Ok(Some(LoadedFiles { loader: Some(loader), libraries }))
}

/// The libraries of this machine, by their names.
fn available_libraries() -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for directory in LIBRARY_DIRECTORIES {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains(".so") {
                found.entry(name).or_default().push(entry.path());
            }
        }
    }
    found
}

/// The loader and libraries that one file names.
struct ElfDependencies {
    loader: Option<PathBuf>,
    libraries: Vec<String>,
}

/// The dependencies of a 64-bit ELF file; `None` for other files.
fn dependencies(path: &Path) -> io::Result<Option<ElfDependencies>> {
    // Only a small part of a large program is read.
    let data = ReadCache::new(File::open(path)?);
    Ok(read_dependencies(&data).ok())
}

fn read_dependencies<'data>(data: impl ReadRef<'data>) -> object::Result<ElfDependencies> {
    let header = elf::FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let mut needs = ElfDependencies { loader: None, libraries: Vec::new() };
    for segment in header.program_headers(endian, data)? {
        if let Some(loader) = segment.interpreter(endian, data)? {
            needs.loader = Some(PathBuf::from(String::from_utf8_lossy(loader).into_owned()));
        }
    }
    let sections = header.sections(endian, data)?;
    if let Some((dynamic, link)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, link)?;
        for entry in dynamic {
            if entry.tag(endian) == elf::DT_NEEDED {
                needs
                    .libraries
                    .push(String::from_utf8_lossy(entry.string(endian, strings)?).into_owned());
            }
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_libraries_are_found_and_no_directory() {
        let loaded = find(Path::new("/bin/sh")).unwrap().unwrap();
        let names: Vec<_> =
            loaded.libraries.iter().map(|path| path.display().to_string()).collect();
        assert!(names.iter().any(|name| name.contains("libc.")), "{names:?}");
        assert!(loaded.loader.is_some_and(|loader| loader.exists()));
        assert!(loaded.libraries.iter().all(|path| !path.is_dir()));
        assert!(find(Path::new("/etc/passwd")).unwrap().is_none());
    }
}
