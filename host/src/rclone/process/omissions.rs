//! What rclone leaves out of a listing, as far as its log tells: every line about an
//! object is accounted for, as an error of its path, as one of the whole run, or as
//! something that loses nothing.
//!
//! `omissions.toml` has what was decided for each sentence of the pinned rclone. One that
//! it doesn't have is judged by its level and its words.

use super::errors;
use super::stderr_log::{Level, Line};
use crate::connector::{Failure, Reason};

// `SENTENCES`, made from `omissions.toml` by build.rs.
include!(concat!(env!("OUT_DIR"), "/omissions.rs"));

/// Words by which a sentence that the table doesn't have is taken for an omission, in
/// lower case.
const KIND: [&str; 18] = [
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

/// How rclone says that a filter leaves an entry out. It has one of its own where the remote's
/// path is a file.
///
/// Source: rclone's fs/list/list.go, `NewFsSrc` in cmd/cmd.go.
const EXCLUDED: &str = "Excluded";

/// What a line means for a listing.
#[derive(Debug, PartialEq)]
pub enum Account {
    /// Nothing of the remote is lost.
    Nothing,
    /// What lies at this path is missing from the listing.
    Path(String, Failure),
    /// Something is missing, at a path that can't be told.
    Run(Failure),
}

/// What a line names as its object.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Object {
    /// A path of the listed remote.
    Path,
    /// A path that a wrapping remote shows under another name, or that belongs elsewhere.
    UpstreamPath,
    /// The first quoted word of the sentence is the path.
    Quoted,
    /// The remote itself, a fixed text, or nothing.
    Remote,
}

/// What was decided for a sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Decided {
    Path,
    Run,
    Nothing,
}

/// One sentence of the table.
struct Sentence {
    /// The directory and the name of the source file that logs it: `crypt/crypt.go`.
    file: &'static str,
    /// The texts between the verbs of the format string. The first is what a message begins
    /// with.
    parts: &'static [&'static str],
    /// The backend that logs it at the level of debugging, as its directory is called.
    quiet: Option<&'static str>,
    object: Object,
    decided: Decided,
    /// What a person can do.
    help: Option<&'static str>,
}

/// The most telling sentence that a message was made from: one may begin like a shorter one.
fn find(source: &str, message: &str) -> Option<&'static Sentence> {
    let file = source.rsplit_once(':').map_or(source, |(file, _)| file);
    let sentences = SENTENCES.iter();
    sentences
        .filter(|sentence| sentence.file == file && sentence.fits(message))
        .max_by_key(|sentence| sentence.parts.iter().map(|part| part.len()).sum::<usize>())
}

impl Sentence {
    fn fits(&self, message: &str) -> bool {
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

/// Whether a listing through one of these backends has to be logged at the level of
/// debugging, since one of them tells only there what it leaves out.
pub fn are_quiet<'a>(mut backends: impl Iterator<Item = &'a str>) -> bool {
    backends.any(|backend| {
        let directory = backend.replace(' ', "");
        SENTENCES.iter().any(|sentence| {
            sentence.quiet == Some(directory.as_str()) && sentence.decided != Decided::Nothing
        })
    })
}

/// What a line of a listing's log means for it; `is_filtered`: plakbox has given filters.
pub fn account(line: &Line, is_filtered: bool) -> Account {
    if line.message == EXCLUDED && !is_filtered {
        return at_path(line, Object::Path, None);
    }
    let source = line.source.as_deref().unwrap_or_default();
    match find(source, &line.message) {
        Some(Sentence { decided: Decided::Nothing, .. }) => Account::Nothing,
        Some(Sentence { decided: Decided::Run, help, .. }) => Account::Run(failure(line, *help)),
        Some(Sentence { decided: Decided::Path, object, help, .. }) => {
            at_path(line, *object, *help)
        }
        // What is about nothing is about the run, whose end tells of it.
        None if line.object.is_none() => Account::Nothing,
        None => unknown(line),
    }
}

/// What a sentence means that the table doesn't have.
fn unknown(line: &Line) -> Account {
    let lower = line.message.to_lowercase();
    let of_kind = KIND.iter().any(|word| lower.contains(word));
    match line.level {
        level if level.is_error() => at_path(line, Object::Path, None),
        Level::Notice | Level::Warning if of_kind || line.is_about_object() => {
            at_path(line, Object::Path, None)
        }
        Level::Debug | Level::Info if of_kind && line.is_about_object() => {
            at_path(line, Object::Path, None)
        }
        _ => Account::Nothing,
    }
}

/// The error of the path that a line is about, or of the run where it names none.
fn at_path(line: &Line, object: Object, help: Option<&str>) -> Account {
    let named = line.object.as_deref().unwrap_or_default();
    let failure = failure(line, help);
    let path = match object {
        Object::Quoted => quoted(&line.message),
        // Its directory has another name in the snapshot.
        Object::UpstreamPath => named.rsplit('/').next().map(str::to_owned),
        Object::Remote => None,
        _ if line.is_about_remote() => None,
        _ => Some(named.to_owned()),
    };
    match path.filter(|path| !path.is_empty()) {
        Some(path) if path == named || object == Object::Quoted => Account::Path(path, failure),
        Some(path) => {
            let message = format!("`{named}`: {}", failure.message);
            Account::Path(path, Failure { message, ..failure })
        }
        None => Account::Run(failure),
    }
}

fn failure(line: &Line, help: Option<&str>) -> Failure {
    let failure = errors::understand(&line.message);
    match help {
        Some(help) => Failure::new(failure.reason, format!("{}: {help}", line.message)),
        None if failure.reason == Reason::Internal => {
            Failure::new(Reason::Unsupported, format!("rclone leaves it out: {}", failure.message))
        }
        None => failure,
    }
}

/// The first word of a message that Go's `%q` has quoted.
fn quoted(message: &str) -> Option<String> {
    let start = message.find('"')?;
    let mut bytes = Vec::new();
    let mut chars = message[start + 1..].chars();
    loop {
        let char = match chars.next()? {
            '"' => return Some(String::from_utf8_lossy(&bytes).into_owned()),
            '\\' => match chars.next()? {
                'x' => {
                    bytes.push(u8::try_from(hexadecimal(&mut chars, 2)?).ok()?);
                    continue;
                }
                'u' => char::from_u32(hexadecimal(&mut chars, 4)?)?,
                'U' => char::from_u32(hexadecimal(&mut chars, 8)?)?,
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

fn hexadecimal(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let text: String = chars.by_ref().take(digits).collect();
    u32::from_str_radix(&text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: &str) -> Line {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_crypt_can_t_decrypt_is_an_error_of_its_name() {
        let said = line(
            r#"{"level":"notice","msg":"Skipping undecryptable file name: bad PKCS#7 padding - too long","object":"enc/dg4h","objectType":"string","source":"crypt/crypt.go:358"}"#,
        );
        let Account::Path(path, failure) = account(&said, false) else {
            panic!("{:?}", account(&said, false))
        };
        assert_eq!(path, "dg4h");
        assert!(failure.message.contains("`enc/dg4h`"), "{}", failure.message);
    }

    #[test]
    fn what_chunker_finds_in_pieces_is_an_error_of_the_file_it_names() {
        let said = line(
            r#"{"level":"debug","msg":"invalid chunks in object \"a/\\\"b\"","object":"Chunked 'x:'","objectType":"*chunker.Fs","source":"chunker/chunker.go:861"}"#,
        );
        assert!(matches!(account(&said, false), Account::Path(path, _) if path == "a/\"b"));
    }

    #[test]
    fn a_sentence_that_is_not_known_is_judged_by_its_level_and_its_words() {
        let said = |level: &str, message: &str, kind: &str| {
            let json = format!(
                r#"{{"level":"{level}","msg":"{message}","object":"a/b","objectType":"{kind}","source":"new/new.go:1"}}"#
            );
            account(&line(&json), true)
        };
        let path = |account| matches!(account, Account::Path(path, _) if path == "a/b");
        assert!(path(said("error", "hm", "string")));
        assert_eq!(said("debug", EXCLUDED, "string"), Account::Nothing);
        assert!(path(said("notice", "hm", "*new.Object")));
        assert!(path(said("notice", "Skipping odd thing", "string")));
        assert_eq!(said("notice", "hm", "string"), Account::Nothing);
        assert!(path(said("debug", "Skipping odd thing", "*new.Object")));
        assert_eq!(said("debug", "hm", "*new.Object"), Account::Nothing);
        assert_eq!(said("debug", "Skipping odd thing", "*new.Fs"), Account::Nothing);
        assert_eq!(said("notice", "hm", "*new.Fs"), Account::Nothing);
        assert!(matches!(said("notice", "Ignoring bad page", "*new.Fs"), Account::Run(_)));
        assert!(matches!(said("error", "hm", "*new.Fs"), Account::Run(_)));
    }

    #[test]
    fn a_message_is_found_by_what_surrounds_its_values() {
        let belongs = |message: &str| find("list/list.go:1", message).map(|it| it.decided);
        let said = r#"Entry doesn't belong in directory "x" (too short) - ignoring"#;
        assert_eq!(belongs(said), Some(Decided::Path));
        assert_eq!(belongs("Entry doesn't belong"), None);
        assert!(find("other/other.go:1", said).is_none());
    }

    #[test]
    fn backends_that_tell_at_the_level_of_debugging_alone_are_known() {
        for (backend, quiet) in [("http", true), ("chunker", true), ("local", false)] {
            assert_eq!(are_quiet([backend].into_iter()), quiet, "{backend}");
        }
    }

    #[test]
    fn quoted_words_are_as_they_were_before_go_quoted_them() {
        assert_eq!(
            quoted(r#"x "bad\xffname\u00e9\n\"" y"#).as_deref(),
            Some("bad\u{fffd}nameé\n\"")
        );
        assert_eq!(quoted("no word"), None);
        assert_eq!(quoted("an \"open one"), None);
    }
}
