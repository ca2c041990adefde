//! Objects that rclone leaves out of a listing, as far as its log shows them. Every record about an
//! object counts as an error of its path, as an error of the whole run, or as harmless.
//!
//! `omissions.toml` has a decision for each message of the pinned rclone. A message that isn't in
//! it is classified by its level and its words.

use super::errors;
use super::stderr_log::{LogLevel, LogRecord};
use crate::connector::{Failure, Reason};

// `SENTENCES`, made from `omissions.toml` by build.rs.
include!(concat!(env!("OUT_DIR"), "/omissions.rs"));

/// Words, in lower case, by which an unknown message counts as an omission.
const OMISSION_WORDS: [&str; 18] = [
    "ignor",
    "skip",
    "belong",
    "ancestor",
    "duplicate",
    "invalid",
    "decrypt",
    "missing",
    "not found",
    "can't",
    "couldn't",
    "failed",
    "dangling",
    "unsupported",
    "unreadable",
    "omit",
    "drop",
    "truncat",
];

/// rclone's message for an entry that a filter leaves out. rclone has a filter of its own if the
/// remote's path is a file.
///
/// Source: rclone's fs/list/list.go, `NewFsSrc` in cmd/cmd.go.
const EXCLUDED_MESSAGE: &str = "Excluded";

/// The meaning of a record for a listing.
#[derive(Debug, PartialEq)]
pub enum Omission {
    /// Nothing is missing.
    Nothing,
    /// The entry at this path is missing.
    Path(String, Failure),
    /// Something is missing at an unknown path.
    Run(Failure),
}

/// The object that a record names.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Object {
    /// A path of the listed remote.
    Path,
    /// A path that a wrapping remote shows under another name, or that belongs elsewhere.
    UpstreamPath,
    /// The path is the first quoted word of the message.
    Quoted,
    /// The remote itself, a fixed text, or nothing.
    Remote,
}

/// The decision for a message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Decision {
    Path,
    Run,
    Nothing,
}

/// One message of the table.
struct Sentence {
    /// The directory and the name of the source file that logs it: `crypt/crypt.go`.
    file: &'static str,
    /// The texts between the verbs of the format string. A message starts with the first one.
    parts: &'static [&'static str],
    /// The directory of the backend that logs it as a debug message.
    quiet: Option<&'static str>,
    object: Object,
    decision: Decision,
    /// The remedy.
    help: Option<&'static str>,
}

/// Finds the longest format that a message fits: one may be the start of another.
fn find_sentence(source: &str, message: &str) -> Option<&'static Sentence> {
    let file = source.rsplit_once(':').map_or(source, |(file, _)| file);
    let sentences = SENTENCES.iter();
    sentences
        .filter(|sentence| sentence.file == file && sentence.matches(message))
        .max_by_key(|sentence| sentence.parts.iter().map(|part| part.len()).sum::<usize>())
}

impl Sentence {
    fn matches(&self, message: &str) -> bool {
        let mut parts = self.parts.iter();
        let Some(mut rest) = parts.next().and_then(|first| message.strip_prefix(first)) else {
            return false;
        };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

/// Whether a listing through one of these backends needs debug messages, since a backend reports
/// its omissions only there.
pub fn need_debug_log<'a>(mut backends: impl Iterator<Item = &'a str>) -> bool {
    backends.any(|backend| {
        let directory = backend.replace(' ', "");
        SENTENCES.iter().any(|sentence| {
            sentence.quiet == Some(directory.as_str()) && sentence.decision != Decision::Nothing
        })
    })
}

/// Classifies a record of a listing's log. `is_filtered`: the listing has filters.
pub fn classify_record(line: &LogRecord, is_filtered: bool) -> Omission {
    if line.message == EXCLUDED_MESSAGE && !is_filtered {
        return at_path(line, Object::Path, None);
    }
    let source = line.source.as_deref().unwrap_or_default();
    match find_sentence(source, &line.message) {
        Some(Sentence { decision: Decision::Nothing, .. }) => Omission::Nothing,
        Some(Sentence { decision: Decision::Run, help, .. }) => Omission::Run(failure(line, *help)),
        Some(Sentence { decision: Decision::Path, object, help, .. }) => {
            at_path(line, *object, *help)
        }
        // A record without an object is about the run, whose end reports it.
        None if line.object.is_none() => Omission::Nothing,
        None => classify_unknown(line),
    }
}

/// Classifies a message that isn't in the table.
fn classify_unknown(line: &LogRecord) -> Omission {
    let lower = line.message.to_lowercase();
    let of_kind = OMISSION_WORDS.iter().any(|word| lower.contains(word));
    match line.level {
        level if level.is_error() => at_path(line, Object::Path, None),
        LogLevel::Notice | LogLevel::Warning if of_kind || line.is_about_object() => {
            at_path(line, Object::Path, None)
        }
        LogLevel::Debug | LogLevel::Info if of_kind && line.is_about_object() => {
            at_path(line, Object::Path, None)
        }
        _ => Omission::Nothing,
    }
}

/// The error of the path that a record is about, or of the run if it has none.
fn at_path(line: &LogRecord, object: Object, help: Option<&str>) -> Omission {
    let named = line.object.as_deref().unwrap_or_default();
    let failure = failure(line, help);
    let path = match object {
        Object::Quoted => unquote(&line.message),
        // Its directory has a different name in the snapshot.
        Object::UpstreamPath => named.rsplit('/').next().map(str::to_owned),
        Object::Remote => None,
        _ if line.is_about_remote() => None,
        _ => Some(named.to_owned()),
    };
    match path.filter(|path| !path.is_empty()) {
        Some(path) if path == named || object == Object::Quoted => Omission::Path(path, failure),
        Some(path) => Omission::Path(path, failure.with_context(format_args!("`{named}`"))),
        None => Omission::Run(failure),
    }
}

fn failure(line: &LogRecord, help: Option<&str>) -> Failure {
    let failure = errors::classify(&line.message);
    match help {
        Some(help) => Failure::new(failure.reason, &line.message).with_help(help),
        None if failure.reason == Reason::Internal => {
            Failure { reason: Reason::Unsupported, ..failure }.with_context("rclone leaves it out")
        }
        None => failure,
    }
}

/// The first word that Go's `%q` has quoted in a message, unquoted.
fn unquote(message: &str) -> Option<String> {
    let start = message.find('"')?;
    let mut bytes = Vec::new();
    let mut chars = message[start + 1..].chars();
    loop {
        let char = match chars.next()? {
            '"' => return Some(String::from_utf8_lossy(&bytes).into_owned()),
            '\\' => match chars.next()? {
                'x' => {
                    bytes.push(u8::try_from(parse_hex(&mut chars, 2)?).ok()?);
                    continue;
                }
                'u' => char::from_u32(parse_hex(&mut chars, 4)?)?,
                'U' => char::from_u32(parse_hex(&mut chars, 8)?)?,
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\x0b',
                char => char,
            },
            char => char,
        };
        bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn parse_hex(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let text: String = chars.by_ref().take(digits).collect();
    u32::from_str_radix(&text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: &str) -> LogRecord {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_crypt_can_t_decrypt_is_an_error_of_its_name() {
        let record = line(concat!(
            r#"{"level":"notice","msg":"Skipping undecryptable file name: bad PKCS#7 padding "#,
            r#"- too long","object":"enc/dg4h","objectType":"string","#,
            r#""source":"crypt/crypt.go:358"}"#,
        ));
        let Omission::Path(path, failure) = classify_record(&record, false) else {
            panic!("{:?}", classify_record(&record, false))
        };
        assert_eq!(path, "dg4h");
        assert!(failure.message.contains("`enc/dg4h`"), "{}", failure.message);
    }

    #[test]
    fn what_chunker_finds_in_pieces_is_an_error_of_the_file_it_names() {
        let record = line(concat!(
            r#"{"level":"debug","msg":"invalid chunks in object \"a/\\\"b\"","#,
            r#""object":"Chunked 'x:'","objectType":"*chunker.Fs","#,
            r#""source":"chunker/chunker.go:861"}"#,
        ));
        assert!(
            matches!(classify_record(&record, false), Omission::Path(path, _) if path == "a/\"b")
        );
    }

    #[test]
    fn a_sentence_that_is_not_known_is_judged_by_its_level_and_its_words() {
        let record = |level: &str, message: &str, kind: &str| {
            let json = format!(
                r#"{{"level":"{level}","msg":"{message}","object":"a/b","objectType":"{kind}","source":"new/n.go:1"}}"#
            );
            classify_record(&line(&json), true)
        };
        let path = |account| matches!(account, Omission::Path(path, _) if path == "a/b");
        assert!(path(record("error", "hm", "string")));
        assert_eq!(record("debug", EXCLUDED_MESSAGE, "string"), Omission::Nothing);
        assert!(path(record("notice", "hm", "*new.Object")));
        assert!(path(record("notice", "Skipping odd thing", "string")));
        assert_eq!(record("notice", "hm", "string"), Omission::Nothing);
        assert!(path(record("debug", "Skipping odd thing", "*new.Object")));
        assert_eq!(record("debug", "hm", "*new.Object"), Omission::Nothing);
        assert_eq!(record("debug", "Skipping odd thing", "*new.Fs"), Omission::Nothing);
        assert_eq!(record("notice", "hm", "*new.Fs"), Omission::Nothing);
        assert!(matches!(record("notice", "Ignoring bad page", "*new.Fs"), Omission::Run(_)));
        assert!(matches!(record("error", "hm", "*new.Fs"), Omission::Run(_)));
    }

    #[test]
    fn a_message_is_found_by_what_surrounds_its_values() {
        let belongs =
            |message: &str| find_sentence("list/list.go:1", message).map(|it| it.decision);
        let record = r#"Entry doesn't belong in directory "x" (too short) - ignoring"#;
        assert_eq!(belongs(record), Some(Decision::Path));
        assert_eq!(belongs("Entry doesn't belong"), None);
        assert!(find_sentence("other/other.go:1", record).is_none());
    }

    #[test]
    fn backends_that_tell_at_the_level_of_debugging_alone_are_known() {
        for (backend, quiet) in [("http", true), ("chunker", true), ("local", false)] {
            assert_eq!(need_debug_log([backend].into_iter()), quiet, "{backend}");
        }
    }

    #[test]
    fn quoted_words_are_as_they_were_before_go_quoted_them() {
        assert_eq!(
            unquote(r#"x "bad\xffname\u00e9\n\"" y"#).as_deref(),
            Some("bad\u{fffd}nameé\n\"")
        );
        assert_eq!(unquote("no word"), None);
        assert_eq!(unquote("an \"open one"), None);
    }
}
