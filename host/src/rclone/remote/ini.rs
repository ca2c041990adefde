//! The format of rclone.conf: parsed, serialized, and changed in single places.
//!
//! rclone reads a dialect of INI (goconfig): quotes around a value are removed, and `%(name)s` in a
//! value is replaced by another option.

use ini::{Ini, ParseOption};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub use crate::policy::Section;

/// The sections of a file, by name.
pub type Sections = BTreeMap<String, Section>;

/// The quotes that rclone removes, and the least length of a value with them.
const QUOTES: [(&str, usize); 2] = [("`", 2), ("\"\"\"", 6)];

/// The largest file that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Reads a file of the user's.
///
/// # Errors
///
/// It can't be read, or is too large.
pub fn read(file: &Path) -> io::Result<String> {
    read_limited(File::open(file)?)
}

/// Reads a file that rclone may have written. Links, devices and pipes aren't opened.
///
/// # Errors
///
/// It isn't a regular file, can't be read, or is too large.
pub fn read_untrusted(file: &Path) -> io::Result<String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it isn't a regular file"));
    }
    read_limited(opened)
}

/// Whether a file can never be a configuration, so that there is nothing to keep. Other errors may
/// be temporary.
pub fn is_unusable(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, InvalidData, InvalidInput, NotADirectory, NotFound};
    let kinds = [FileTooLarge, InvalidData, InvalidInput, NotADirectory, NotFound];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(libc::ELOOP)
}

fn read_limited(file: File) -> io::Result<String> {
    let mut text = String::new();
    let length = file.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_CONFIG_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// Parses a configuration.
///
/// # Errors
///
/// The number of the line that can't be parsed. The line itself may have a secret.
pub fn parse(text: &str) -> Result<Sections, usize> {
    let options =
        ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    // rclone has neither indentation nor lines that continue after a backslash.
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let text: String =
        lines.flat_map(|line| [line, if line.ends_with('\\') { " \n" } else { "\n" }]).collect();
    let all = Ini::load_from_str_opt(&text, options).map_err(|error| error.line)?;
    let mut sections = Sections::new();
    for (name, options) in &all {
        let Some(name) = name else { continue };
        let section = sections.entry(name.to_owned()).or_default();
        let options = options.iter().map(|(key, value)| (key.to_owned(), unquote(value)));
        section.extend(options);
    }
    Ok(sections)
}

/// Serializes a configuration.
pub fn serialize(sections: &Sections) -> String {
    let mut text = String::new();
    for (name, section) in sections {
        text += &format!("[{name}]\n");
        for (key, value) in section {
            text += &format!("{key} = {}\n", quote(value));
        }
    }
    text
}

/// Whether rclone would replace a part of this value.
pub fn has_variables(value: &str) -> bool {
    value.split_once("%(").is_some_and(|(_, after)| after.contains(")s"))
}

fn unquote(value: &str) -> String {
    let quote =
        QUOTES.iter().find(|(quote, least)| value.len() >= *least && value.starts_with(quote));
    let inner = quote.and_then(|(quote, _)| {
        let inner = &value[quote.len()..];
        inner.rfind(quote).map(|end| &inner[..end])
    });
    inner.unwrap_or(value).to_owned()
}

fn quote(value: &str) -> String {
    let bare = value.trim() == value && QUOTES.iter().all(|(quote, _)| !value.starts_with(quote));
    if bare { value.to_owned() } else { format!("`{value}`") }
}

/// Sets an option in the text of a configuration, at the end of its section if it is new. All other
/// bytes stay. `None` if there is no such section.
pub fn set_option(text: &str, section: &str, key: &str, value: &str) -> Option<String> {
    let mut inside = false;
    // The range of the value that applies, and the end of the section's last line.
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
        (Some(old), _) => (&text[..old.start], quote(value), &text[old.end..]),
        (None, Some(end)) => {
            let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
            let begin = if text[..end].ends_with('\n') { "" } else { line_end };
            (&text[..end], format!("{begin}{key} = {}{line_end}", quote(value)), &text[end..])
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
        assert_eq!(read_untrusted(&path("file")).unwrap(), "[a]\n");
        for name in ["link", "zero", "pipe", ".", "missing"] {
            assert!(read_untrusted(&path(name)).is_err(), "{name}");
        }
        assert!(read_untrusted(Path::new("/dev/null")).is_err());
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
            assert_eq!(parse(&serialize(&sections)).unwrap(), sections, "{value}");
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
        crate::random_inputs::check_property(prop::collection::vec(word, 0..24), |words| {
            let text = words.concat();
            let _ = set_option(&text, "a", "key", "value");
            let mut sections = match parse(&text) {
                Ok(sections) => sections,
                Err(line) => return assert!(line <= text.lines().count() + 1, "{text:?}: {line}"),
            };
            // What is refused is never serialized.
            sections.retain(|name, section| {
                crate::rclone::remote::user_config::check_name(name).is_ok()
                    && crate::policy::check_section(name, section).is_ok()
            });
            let written = serialize(&sections);
            assert_eq!(parse(&written).as_ref(), Ok(&sections), "{text:?}: {written:?}");
        });
    }

    #[test]
    fn one_value_is_changed_and_no_other_byte() {
        let text = "# mine\r\n[x]\nkey = 0\n\n [ a ] \n; token = no\n\ttoken=  {\"a\":1} \r\nlast \
                    : x\n\n\n# of b\n[b]\ntoken = {\"a\":1}";
        let changed = set_option(text, "a", "token", "new").unwrap();
        assert_eq!(changed, text.replacen("=  {\"a\":1} ", "=  new ", 1));
        let changed = set_option(text, "b", "token", "new").unwrap();
        assert_eq!(changed, text.replace("token = {\"a\":1}", "token = new"));
        let added = set_option(text, "a", "more", " x").unwrap();
        assert_eq!(added, text.replace("last : x\n", "last : x\nmore = ` x`\r\n"));
        assert_eq!(set_option("[a]", "a", "k", "v").unwrap(), "[a]\nk = v\n");
        assert_eq!(set_option("[a]\nk = \n[b]\n", "a", "k", "v").unwrap(), "[a]\nk = v\n[b]\n");
        assert_eq!(set_option("[a]\nk =\n[b]\n", "a", "k", "v").unwrap(), "[a]\nk =v\n[b]\n");
        assert_eq!(
            set_option("[a]\nk = 1\nk = 2\n", "a", "k", "v").unwrap(),
            "[a]\nk = 1\nk = v\n"
        );
        assert_eq!(set_option(text, "none", "k", "v"), None);
    }
}
