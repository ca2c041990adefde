//! Reads what `rclone lsjson` prints: a `[`, one JSON object a line, a `]`.

use serde::Deserialize;
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use std::hash::Hasher;

use crate::bindings::plakar::connector::types::{Kind, Metadata, Timestamp};

/// The longest line that is taken for an object. A path has at most some
/// kilobytes; whatever is longer comes from a program that has gone wrong.
const LONGEST_LINE: usize = 1 << 20;

/// Why a listing can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("rclone's listing has a line of more than {LONGEST_LINE} bytes")]
    EndlessLine,
    #[error("rclone's listing has a line that is no entry (`{line}`): {error}")]
    NoEntry { line: String, error: serde_json::Error },
    #[error("rclone's listing goes on after its end")]
    AfterEnd,
}

/// One object of the listing, as rclone prints it.
///
/// Source: `ListJSONItem` in rclone's fs/operations/lsjson.go.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Item {
    pub path: String,
    /// -1 where only reading tells.
    #[serde(default)]
    size: i64,
    /// RFC 3339, in any time zone; empty where the backend has none.
    #[serde(default)]
    mod_time: String,
    #[serde(default)]
    pub is_dir: bool,
    #[serde(default, rename = "ID")]
    id: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

impl Item {
    /// The backend's name of the object; empty where it has none.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its size as it was listed; -1 where only reading tells.
    pub fn size(&self) -> i64 {
        self.size
    }

    /// When it was made or changed last.
    pub fn modified(&self) -> Timestamp {
        parse_time(&self.mod_time)
    }

    /// What a snapshot keeps of it.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            kind: if self.is_dir { Kind::Directory } else { Kind::File },
            size: match self.is_dir {
                true => Some(0),
                false => u64::try_from(self.size).ok(),
            },
            permissions: if self.is_dir { 0o755 } else { 0o644 },
            modified: self.modified(),
            identity: if self.is_dir { None } else { self.identity() },
        }
    }

    /// A number that differs when another object lies behind the same path: made
    /// of the backend's ID and of the content hashes, as far as they were listed.
    pub fn identity(&self) -> Option<u64> {
        if self.id.is_empty() && self.hashes.is_empty() {
            return None;
        }
        let hashes = self.hashes.iter().flat_map(|(name, value)| [name, value]);
        Some(number([&self.id].into_iter().chain(hashes)))
    }
}

/// The identity of an object of which only its ID was listed.
pub fn identity(id: &str) -> u64 {
    number([id])
}

fn number(parts: impl IntoIterator<Item = impl AsRef<str>>) -> u64 {
    let mut hasher = SipHasher13::new();
    for part in parts {
        hasher.write(part.as_ref().as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

/// Unix time of an RFC 3339 text; the epoch where there is none, so that it is
/// at least the same at every backup.
fn parse_time(text: &str) -> Timestamp {
    let time = text.parse::<jiff::Timestamp>().unwrap_or_default();
    // Timestamps before the epoch count their nanoseconds backwards.
    let nanoseconds = time.as_nanosecond();
    Timestamp {
        seconds: i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or_default(),
        nanoseconds: u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}

/// Takes a listing in pieces of any size and gives its items.
#[derive(Default)]
pub struct Parser {
    /// The beginning of a line whose end hasn't come yet.
    partial: Vec<u8>,
    ended: bool,
}

impl Parser {
    /// Takes the end of the listing; says whether the closing bracket came. rclone
    /// ends the line of an item only when there is another, so without a bracket
    /// the last item is still to come.
    pub fn end(&mut self, each: impl FnMut(Item)) -> Result<bool, Malformed> {
        if !self.partial.is_empty() {
            self.feed(b"\n", each)?;
        }
        Ok(self.ended)
    }

    /// Takes the next bytes and hands each item that they complete to `each`.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Item)) -> Result<(), Malformed> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.partial.is_empty() {
                self.line(line, &mut each)?;
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole, &mut each)?;
            }
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LONGEST_LINE {
            return Err(Malformed::EndlessLine);
        }
        Ok(())
    }

    /// Takes one line. Remotes that list several others at once (combine) may have rclone
    /// print two objects on one line, and a comma on another.
    fn line(&mut self, line: &[u8], each: &mut impl FnMut(Item)) -> Result<(), Malformed> {
        if line.len() > LONGEST_LINE {
            return Err(Malformed::EndlessLine);
        }
        match line {
            b"" | b"[" | b"," => {}
            _ if self.ended => return Err(Malformed::AfterEnd),
            b"]" | b"[]" => self.ended = true,
            _ => {
                let objects = line.strip_suffix(b",").unwrap_or(line);
                for item in serde_json::Deserializer::from_slice(objects).into_iter() {
                    each(
                        item.map_err(|error| Malformed::NoEntry {
                            line: String::from_utf8_lossy(&objects[..objects.len().min(120)])
                                .into_owned(),
                            error,
                        })?,
                    );
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = concat!(
        "[\n",
        r#"{"Path":"a","Name":"a","Size":-1,"MimeType":"inode/directory","ModTime":"2000-01-01T00:00:00.000000000Z","IsDir":true},"#,
        "\n",
        r#"{"Path":"a/ü\n","Name":"ü\n","Size":3,"ModTime":"2001-02-03T05:05:06.000000007+01:00","IsDir":false,"ID":"x1"},"#,
        "\n",
        r#"{"Path":"b","Name":"b","Size":-1,"ModTime":"1969-12-31T23:59:59.5Z","IsDir":false}"#,
        "\n]\n"
    );

    fn parse(pieces: &[&[u8]]) -> (Vec<Item>, bool) {
        let mut parser = Parser::default();
        let mut items = Vec::new();
        for piece in pieces {
            parser.feed(piece, |item| items.push(item)).unwrap();
        }
        let complete = parser.end(|item| items.push(item)).unwrap();
        (items, complete)
    }

    #[test]
    fn a_listing_reads_the_same_wherever_it_is_cut() {
        let bytes = LISTING.as_bytes();
        for cut in 0..=bytes.len() {
            let (items, complete) = parse(&[&bytes[..cut], &bytes[cut..]]);
            let paths: Vec<_> = items.iter().map(|item| item.path.as_str()).collect();
            assert_eq!(paths, ["a", "a/ü\n", "b"], "cut at {cut}");
            assert!(complete, "cut at {cut}");
        }
    }

    #[test]
    fn a_listing_without_its_bracket_is_not_complete_and_keeps_its_last_item() {
        let broken = LISTING.strip_suffix("\n]\n").unwrap();
        let (items, complete) = parse(&[broken.as_bytes()]);
        assert_eq!((items.len(), complete), (3, false));
        let mut parser = Parser::default();
        parser.feed(&broken.as_bytes()[..broken.len() - 5], |_| ()).unwrap();
        assert!(matches!(parser.end(|_| ()), Err(Malformed::NoEntry { .. })));
    }

    #[test]
    fn a_listing_whose_lines_were_printed_at_the_same_time_keeps_every_item() {
        let mixed = b"[\n,\n{\"Path\":\"a\"}{\"Path\":\"b\"},\n{\"Path\":\"c\"}\n]\n";
        let (items, complete) = parse(&[mixed]);
        let paths: Vec<_> = items.iter().map(|item| item.path.as_str()).collect();
        assert_eq!((paths, complete), (vec!["a", "b", "c"], true));
    }

    #[test]
    fn metadata_keeps_nanoseconds_unknown_sizes_and_identity() {
        let (items, _) = parse(&[LISTING.as_bytes()]);
        let [directory, file, old] = [0, 1, 2].map(|at| items[at].metadata());
        assert!(matches!(directory.kind, Kind::Directory));
        assert_eq!((file.size, file.modified.seconds), (Some(3), 981_173_106));
        assert_eq!(file.modified.nanoseconds, 7);
        assert!(file.identity.is_some());
        assert_eq!((old.size, old.identity), (None, None));
        assert_eq!((old.modified.seconds, old.modified.nanoseconds), (-1, 500_000_000));
    }

    #[test]
    fn identity_tells_ids_and_hashes_apart() {
        let item = |id: &str, hashes: &[(&str, &str)]| Item {
            path: String::new(),
            size: 0,
            mod_time: String::new(),
            is_dir: false,
            id: id.into(),
            hashes: hashes.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        };
        let all = [
            item("1", &[]),
            item("2", &[]),
            item("1", &[("md5", "aa")]),
            item("", &[("md5", "aa")]),
            item("", &[("md5a", "a")]),
        ]
        .map(|item| item.identity().unwrap());
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one));
        }
    }

    #[test]
    fn whatever_is_listed_reads_the_same_in_any_pieces() {
        use proptest::prelude::*;
        let word = prop_oneof![
            4 => prop::sample::select(vec![
                "[\n", "]\n", ",\n", "\n", "{\"Path\":\"a\",\"Size\":-1}", "{\"Path\":\"b/\\u0000\",\"Size\":99999999999999999999}",
                "{\"Path\":\"c\",\"ModTime\":\"9999-99-99T00:00:00Z\",\"IsDir\":true,\"ID\":\"x\"}", "{", "}", "\"", "[]",
            ]).prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..40),
        ];
        let input = (prop::collection::vec(word, 0..16), 1_usize..50);
        crate::fuzzing::check_property(input, |(words, size)| {
            let bytes = words.concat();
            let read = |pieces: &[&[u8]]| {
                let mut parser = Parser::default();
                let mut paths = Vec::new();
                let fed = pieces.iter().try_for_each(|piece| {
                    parser.feed(piece, |item| {
                        item.metadata();
                        paths.push(item.path);
                    })
                });
                let end = fed.and_then(|()| parser.end(|item| paths.push(item.path)));
                (paths, end.map_err(|error| error.to_string()))
            };
            let whole = read(&[&bytes]);
            assert_eq!(whole, read(&bytes.chunks(size).collect::<Vec<_>>()));
        });
    }

    #[test]
    fn nonsense_is_an_error_and_not_an_entry() {
        let mut parser = Parser::default();
        assert!(matches!(parser.feed(b"[\nhello\n", |_| ()), Err(Malformed::NoEntry { .. })));
        let mut parser = Parser::default();
        let endless = vec![b'x'; LONGEST_LINE + 1];
        assert!(matches!(parser.feed(&endless, |_| ()), Err(Malformed::EndlessLine)));
        let mut parser = Parser::default();
        assert!(matches!(parser.feed(b"[\n]\n{}\n", |_| ()), Err(Malformed::AfterEnd)));
    }
}
