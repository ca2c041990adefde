//! The form of rclone.conf: taken apart, written, and changed in single places.
//!
//! rclone reads it with a dialect of INI of its own (goconfig): quotes around a value
//! are taken away, and in a value `%(name)s` is replaced by another one.

use ini::{Ini, ParseOption};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub use crate::policy::Section;

/// The sections of a file, by name.
pub type Sections = BTreeMap<String, Section>;

/// What rclone's reader takes for quotes, and how long a value with them is at least.
const QUOTES: [(&str, usize); 2] = [("`", 2), ("\"\"\"", 6)];

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The text of a file of the user's.
pub fn read(file: &Path) -> io::Result<String> {
    limited(File::open(file)?)
}

/// The text of a file that rclone may have put there: it isn't a link to another one, isn't
/// a device or a pipe that is waited for, and fits in memory.
pub fn read_of_rclone(file: &Path) -> io::Result<String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it isn't a regular file"));
    }
    limited(opened)
}

/// Whether what stands there can never be a configuration, and is nothing to keep: it may be
/// another time, where only reading it fails.
pub fn is_none(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, InvalidData, InvalidInput, NotADirectory, NotFound};
    let kinds = [FileTooLarge, InvalidData, InvalidInput, NotADirectory, NotFound];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(libc::ELOOP)
}

fn limited(file: File) -> io::Result<String> {
    let mut text = String::new();
    let length = file.take(LARGEST + 1).read_to_string(&mut text)?;
    if length as u64 > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// Takes a configuration apart, or gives the line that can't be: it may hold a secret.
pub fn parse(text: &str) -> Result<Sections, usize> {
    let options =
        ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    // rclone knows neither indentation nor lines that go on after a backslash.
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let text: String =
        lines.flat_map(|line| [line, if line.ends_with('\\') { " \n" } else { "\n" }]).collect();
    let all = Ini::load_from_str_opt(&text, options).map_err(|error| error.line)?;
    let mut sections = Sections::new();
    for (name, options) in &all {
        let Some(name) = name else { continue };
        let section = sections.entry(name.to_owned()).or_default();
        let options = options.iter().map(|(key, value)| (key.to_owned(), unquoted(value)));
        section.extend(options);
    }
    Ok(sections)
}

/// A configuration of these sections.
pub fn written(sections: &Sections) -> String {
    let mut text = String::new();
    for (name, section) in sections {
        text += &format!("[{name}]\n");
        for (key, value) in section {
            text += &format!("{key} = {}\n", quoted(value));
        }
    }
    text
}

/// Whether rclone would put something else in a part of this value.
pub fn has_variables(value: &str) -> bool {
    value.split_once("%(").is_some_and(|(_, after)| after.contains(")s"))
}

fn unquoted(value: &str) -> String {
    let quote =
        QUOTES.iter().find(|(quote, least)| value.len() >= *least && value.starts_with(quote));
    let inner = quote.and_then(|(quote, _)| {
        let inner = &value[quote.len()..];
        inner.rfind(quote).map(|end| &inner[..end])
    });
    inner.unwrap_or(value).to_owned()
}

fn quoted(value: &str) -> String {
    let bare = value.trim() == value && QUOTES.iter().all(|(quote, _)| !value.starts_with(quote));
    if bare { value.to_owned() } else { format!("`{value}`") }
}

/// The text with another value for an option, or with that option at the end of its
/// section if it has none. All other bytes stay. `None`: there is no such section.
pub fn with(text: &str, section: &str, key: &str, value: &str) -> Option<String> {
    let mut inside = false;
    // Where the value is that counts, and where the section's last line ends.
    let (mut old, mut end) = (None, None);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        let after = start + line.len();
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.trim() == section;
            end = if inside { Some(after) } else { end };
        } else if inside && !bare.is_empty() && !bare.starts_with(['#', ';']) {
            end = Some(after);
            if let Some(equals) = line.find(['=', ':'])
                && line[..equals].trim() == key
            {
                let right = &line[equals + 1..];
                let from = after - right.trim_start_matches([' ', '\t']).len();
                old = Some(from..from.max(start + line.trim_end().len()));
            }
        }
        start = after;
    }
    let (before, value, after) = match (old, end) {
        (Some(old), _) => (&text[..old.start], quoted(value), &text[old.end..]),
        (None, Some(end)) => {
            let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
            let begin = if text[..end].ends_with('\n') { "" } else { line_end };
            (&text[..end], format!("{begin}{key} = {}{line_end}", quoted(value)), &text[end..])
        }
        (None, None) => return None,
    };
    Some([before, &value, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_fits_in_memory() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file, b"[a]\ntype = s3\n").unwrap();
        assert_eq!(read(file.path()).unwrap(), "[a]\ntype = s3\n");
        file.as_file().set_len(2 << 30).unwrap();
        assert_eq!(read(file.path()).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn nothing_but_a_regular_file_is_read_of_what_rclone_may_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "[a]\n").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zero")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).unwrap();
        assert_eq!(read_of_rclone(&path("file")).unwrap(), "[a]\n");
        for name in ["link", "zero", "pipe", ".", "missing"] {
            assert!(read_of_rclone(&path(name)).is_err(), "{name}");
        }
        assert!(read_of_rclone(Path::new("/dev/null")).is_err());
    }

    fn value(text: &str) -> String {
        parse(text).unwrap()["a"]["key"].clone()
    }

    #[test]
    fn a_value_is_what_rclone_takes_it_for() {
        for (line, taken) in [
            ("key = x", "x"),
            ("  key: x  ", "x"),
            ("key = `x`", "x"),
            ("key = ` x`y `", " x`y "),
            ("key = \"\"\"`x` \"y\"\"\"\"", "`x` \"y\""),
            ("key = \"x\"", "\"x\""),
            ("key = `", "`"),
            ("key =", ""),
            ("key = C:\\dir\\", "C:\\dir\\"),
            ("key = x # y", "x # y"),
            ("key = {\"a\":\"b\\n\"}", "{\"a\":\"b\\n\"}"),
            ("key = first\nkey = last", "last"),
            ("[b]\nkey = other\n[a]\nkey = x", "x"),
        ] {
            let text = format!("\u{feff}# comment\n[a]\n  ; indented\n{line}\n[c]\nkey = c\n");
            assert_eq!(value(&text), taken, "{line}");
            assert_eq!(parse(&text).unwrap()["c"]["key"], "c", "{line}");
            assert_eq!(value(&text.replace('\n', "\r\n")), taken, "{line}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for value in ["x", "", " x ", "`x`", "`", "\"\"\"x\"\"\"", "x`", "\"x\"", "a=b:c#;[d]\\"] {
            let section = Section::from([("key".to_owned(), value.to_owned())]);
            let sections = Sections::from([("a b".to_owned(), section)]);
            assert_eq!(parse(&written(&sections)).unwrap(), sections, "{value}");
        }
        assert!(has_variables("x%(y)sz") && !has_variables("100 %)s (%"));
    }

    #[test]
    fn whatever_a_file_says_is_read_as_it_would_be_written() {
        use proptest::prelude::*;
        let words = [
            "[a]", "[a b]", "[", "]", "[]", "\n", "\r\n", " ", "\t", "key", "type", "=", ":", "`",
            "\"\"\"", "\"", "#", ";", "\\", "\u{feff}", "\0", "x", "%(x)s", "\u{85}", "\u{a0}",
        ];
        let word = prop_oneof![
            8 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
            1 => ".{0,6}",
        ];
        crate::fuzzing::check_property(prop::collection::vec(word, 0..24), |words| {
            let text = words.concat();
            let _ = with(&text, "a", "key", "value");
            let mut sections = match parse(&text) {
                Ok(sections) => sections,
                Err(line) => return assert!(line <= text.lines().count() + 1, "{text:?}: {line}"),
            };
            // What is refused is never written.
            sections.retain(|name, section| {
                crate::rclone::remote::user_config::check_name(name).is_ok()
                    && crate::policy::check_section(name, section).is_ok()
            });
            let written = written(&sections);
            assert_eq!(parse(&written).as_ref(), Ok(&sections), "{text:?}: {written:?}");
        });
    }

    #[test]
    fn one_value_is_changed_and_no_other_byte() {
        let text = "# mine\r\n[x]\nkey = 0\n\n [ a ] \n; token = no\n\ttoken=  {\"a\":1} \r\nlast : x\n\n\n# of b\n[b]\ntoken = {\"a\":1}";
        let changed = with(text, "a", "token", "new").unwrap();
        assert_eq!(changed, text.replacen("=  {\"a\":1} ", "=  new ", 1));
        let changed = with(text, "b", "token", "new").unwrap();
        assert_eq!(changed, text.replace("token = {\"a\":1}", "token = new"));
        let added = with(text, "a", "more", " x").unwrap();
        assert_eq!(added, text.replace("last : x\n", "last : x\nmore = ` x`\r\n"));
        assert_eq!(with("[a]", "a", "k", "v").unwrap(), "[a]\nk = v\n");
        assert_eq!(with("[a]\nk = \n[b]\n", "a", "k", "v").unwrap(), "[a]\nk = v\n[b]\n");
        assert_eq!(with("[a]\nk =\n[b]\n", "a", "k", "v").unwrap(), "[a]\nk =v\n[b]\n");
        assert_eq!(with("[a]\nk = 1\nk = 2\n", "a", "k", "v").unwrap(), "[a]\nk = 1\nk = v\n");
        assert_eq!(with(text, "none", "k", "v"), None);
    }
}
