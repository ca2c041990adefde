//! What a program is loaded from: the loader and the libraries that it names, if it is
//! linked to any. Not their directories, where other programs may lie.

use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::read::{ReadCache, ReadRef};
use object::{Endianness, elf};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Where libraries are, beside the directories that the loader's cache names.
///
/// Source: ld.so(8), and the multiarch directories of Debian.
const DIRECTORIES: [&str; 9] = [
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

/// How the C library's ways to look up names are called: it loads them by itself.
const LOOK_UPS: &str = "libnss_";

/// What a program is loaded from.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The loader, which the kernel runs; none for a program that is linked to nothing.
    pub loader: Option<PathBuf>,
    pub libraries: BTreeSet<PathBuf>,
}

/// What the program at `path` is loaded from; none if it is no program but a script, say.
pub fn of(path: &Path) -> io::Result<Option<Loaded>> {
    let Some(program) = needs(path)? else { return Ok(None) };
    let Some(loader) = program.loader else { return Ok(Some(Loaded::default())) };
    let there = available();
    let mut libraries: BTreeSet<PathBuf> =
        ["/etc/ld.so.cache", "/etc/ld.so.preload"].map(PathBuf::from).into();
    let look_ups = there.keys().filter(|name| name.starts_with(LOOK_UPS)).cloned();
    let mut wanted: Vec<String> = program.libraries.into_iter().chain(look_ups).collect();
    let mut known = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !known.insert(name.clone()) {
            continue;
        }
        for path in there.get(&name).into_iter().flatten() {
            libraries.insert(path.clone());
            wanted.extend(needs(path)?.into_iter().flat_map(|library| library.libraries));
        }
    }
    Ok(Some(Loaded { loader: Some(loader), libraries }))
}

/// The libraries of this machine by their names.
fn available() -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for directory in DIRECTORIES {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains(".so") {
                found.entry(name).or_default().push(entry.path());
            }
        }
    }
    found
}

/// What one file names.
struct Needs {
    loader: Option<PathBuf>,
    libraries: Vec<String>,
}

/// What an ELF file of 64 bits names; nothing if it is none.
fn needs(path: &Path) -> io::Result<Option<Needs>> {
    // Of a large program little is looked at.
    let data = ReadCache::new(File::open(path)?);
    Ok(read(&data).ok())
}

fn read<'data>(data: impl ReadRef<'data>) -> object::Result<Needs> {
    let header = elf::FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let mut needs = Needs { loader: None, libraries: Vec::new() };
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
        let loaded = of(Path::new("/bin/sh")).unwrap().unwrap();
        let names: Vec<_> =
            loaded.libraries.iter().map(|path| path.display().to_string()).collect();
        assert!(names.iter().any(|name| name.contains("libc.")), "{names:?}");
        assert!(loaded.loader.is_some_and(|loader| loader.exists()));
        assert!(loaded.libraries.iter().all(|path| !path.is_dir()));
        assert!(of(Path::new("/etc/passwd")).unwrap().is_none());
    }
}
