//! Names of the archives of an export: `takeout-20260102T030405Z-001.zip`, since 2025 also
//! `takeout-20260102T030405Z-3-001.zip`. The time is the same in all parts of an export.

use crate::takeout::file_names::split_number;

/// Beginning of each name.
const PREFIX: &str = "takeout-";

/// Form of the time: digits where it has `0`.
const TIME_FORM: &[u8] = b"00000000T000000Z";

/// What the name of an archive says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveName {
    /// Time of the export as it is in the name, which sorts by age.
    pub time: String,
    /// Number between the time and the part's, which Google's archiver gives; 0 if it isn't there.
    pub series: u32,
    /// Number of the part, from 1.
    pub part: u32,
    /// Whether a browser or a file manager has added a number, as to a second download.
    pub is_copy: bool,
    pub format: ArchiveFormat,
}

/// Format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    Zip,
    /// A compressed tar file, which has no directory of its files.
    Tgz,
}

impl ArchiveFormat {
    /// Returns the format that the ending of a name stands for, and the name without it.
    pub fn split(name: &str) -> Option<(&str, Self)> {
        for (ending, format) in [(".zip", Self::Zip), (".tgz", Self::Tgz), (".tar.gz", Self::Tgz)] {
            let at = name.len().checked_sub(ending.len())?;
            if name.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(ending)) {
                return Some((&name[..at], format));
            }
        }
        None
    }
}

impl ArchiveName {
    /// Parses the name of an archive.
    pub fn parse(name: &str) -> Option<Self> {
        let (stem, format) = ArchiveFormat::split(name)?;
        Self::parse_stem(stem, format)
    }

    /// Parses the name of the directory into which an archive was unpacked.
    pub fn parse_directory(name: &str) -> Option<Self> {
        Self::parse_stem(name, ArchiveFormat::Zip)
    }

    /// Returns the name of another part of the same export.
    pub fn of_part(&self, part: u32) -> String {
        let Self { time, series, .. } = self;
        let ending = match self.format {
            ArchiveFormat::Zip => "zip",
            ArchiveFormat::Tgz => "tgz",
        };
        if *series == 0 {
            format!("{PREFIX}{time}-{part:03}.{ending}")
        } else {
            format!("{PREFIX}{time}-{series}-{part:03}.{ending}")
        }
    }

    /// Returns the name that all parts of the export share.
    pub fn export(&self) -> String {
        [PREFIX, &self.time].concat()
    }

    fn parse_stem(stem: &str, format: ArchiveFormat) -> Option<Self> {
        let head = stem.get(..PREFIX.len()).filter(|head| head.eq_ignore_ascii_case(PREFIX))?;
        let rest = &stem[head.len()..];
        let time = rest.get(..TIME_FORM.len()).filter(|time| is_time(time.as_bytes()))?;
        let numbers = &rest[time.len()..];
        let (numbers, is_copy) = match split_number(numbers) {
            Some(copy) => (copy.name.trim_end(), true),
            None => (numbers, false),
        };
        let numbers = numbers.strip_prefix('-')?;
        let (series, part) = numbers.split_once('-').unwrap_or(("0", numbers));
        let part = parse_number(part).filter(|part| *part > 0)?;
        let time = time.to_ascii_uppercase();
        Some(Self { time, series: parse_number(series)?, part, is_copy, format })
    }
}

fn is_time(text: &[u8]) -> bool {
    TIME_FORM.iter().zip(text).all(|(form, byte)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte.eq_ignore_ascii_case(form),
    })
}

/// Parses a number of at most six digits.
fn parse_number(text: &str) -> Option<u32> {
    let is_number = text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> (String, u32, u32, bool) {
        let name = ArchiveName::parse(name).unwrap();
        (name.time, name.series, name.part, name.is_copy)
    }

    #[test]
    fn a_name_has_a_time_and_the_number_of_its_part() {
        let time = "20260318T202441Z".to_owned();
        for (name, series, part, is_copy) in [
            ("takeout-20260318T202441Z-001.zip", 0, 1, false),
            ("takeout-20260318T202441Z-3-012.zip", 3, 12, false),
            ("takeout-20260318T202441Z-3-012 (1).zip", 3, 12, true),
            ("takeout-20260318T202441Z-001(2).ZIP", 0, 1, true),
            ("Takeout-20260318t202441z-1001.tar.gz", 0, 1001, false),
        ] {
            assert_eq!(parse(name), (time.clone(), series, part, is_copy), "{name}");
        }
        let name = ArchiveName::parse("takeout-20260318T202441Z-3-012.tgz").unwrap();
        assert_eq!(name.format, ArchiveFormat::Tgz);
        assert_eq!(name.of_part(7), "takeout-20260318T202441Z-3-007.tgz");
        assert_eq!(name.export(), "takeout-20260318T202441Z");
        let directory = ArchiveName::parse_directory("takeout-20260318T202441Z-002").unwrap();
        assert_eq!(directory.of_part(1), "takeout-20260318T202441Z-001.zip");
    }

    #[test]
    fn other_names_are_not_those_of_exports() {
        for name in [
            "takeout.zip",
            "takeout-2026-001.zip",
            "takeout-20260318T202441Z.zip",
            "takeout-20260318T202441Z-.zip",
            "takeout-20260318T202441Z-000.zip",
            "takeout-20260318T202441Z-1-2-3.zip",
            "takeout-20260318T202441Z-001.zip.part",
            "takeout-20260318T202441Z-99999999999.zip",
            "photos.zip",
            "zip",
            "é",
        ] {
            assert_eq!(ArchiveName::parse(name), None, "{name}");
        }
    }
}
