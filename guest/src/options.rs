//! Options that a user may set for the connector: keys of the source without the `rclone_`
//! prefix.

use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::takeout::library::Selection;

/// Options of the connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Maximum number of bytes held of files that Plakar hasn't opened yet.
    pub read_ahead_bytes: u64,
    /// Maximum number of files read at the same time.
    pub streams: usize,
    /// Number of processes that read small files. Where rclone paces the calls to a
    /// backend, each process does so on its own.
    pub processes: usize,
    /// Whether to look up the modification times of files where these cost a call each. If
    /// not, files get the times at which the server received them.
    pub own_times: bool,
    /// Exports of Google Takeout that are backed up as a library; `None` if files are backed up
    /// as they are.
    pub takeout: Option<Selection>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            read_ahead_bytes: 64 << 20,
            streams: 64,
            processes: 1,
            own_times: true,
            takeout: None,
        }
    }
}

/// Maximum of `read_ahead`: half of the component's memory, which is 256 MiB.
const MAX_READ_AHEAD_BYTES: u64 = 128 << 20;

/// Maximum of `streams`. rclone's server accepts at most 250 requests at a time.
const MAX_STREAMS: usize = 128;

/// Maximum of `processes`. Each rclone process needs some 60 MiB of memory.
const MAX_PROCESSES: usize = 4;

impl Options {
    /// Parses the user's options. `streams` is the host's default for the backend.
    ///
    /// # Errors
    ///
    /// An option is unknown, or its value is invalid.
    pub fn parse(pairs: &[(String, String)], streams: u32) -> Result<Self, Failure> {
        let streams = usize::try_from(streams).unwrap_or(MAX_STREAMS).clamp(1, MAX_STREAMS);
        let mut options = Self { streams, ..Self::default() };
        let (mut has_takeout, mut exports) = (false, None);
        for (key, value) in pairs {
            match key.as_str() {
                "view" => {
                    has_takeout = match value.as_str() {
                        "files" => false,
                        "takeout" => true,
                        _ => return Err(invalid(key, value, "files or takeout")),
                    };
                }
                "exports" => {
                    exports = match value.as_str() {
                        "all" => Some(Selection::All),
                        "newest" => Some(Selection::Newest),
                        _ => return Err(invalid(key, value, "all or newest")),
                    };
                }
                "read_ahead" => options.read_ahead_bytes = parse_read_ahead(key, value)?,
                "streams" => options.streams = parse_count(key, value, MAX_STREAMS)?,
                "processes" => options.processes = parse_count(key, value, MAX_PROCESSES)?,
                "times" => {
                    options.own_times = match value.as_str() {
                        "own" => true,
                        "server" => false,
                        _ => return Err(invalid(key, value, "own or server")),
                    };
                }
                _ => {
                    return Err(Failure::new(
                        Reason::InvalidConfiguration,
                        format!(
                            "the rclone connector has no option `{key}`, only `read_ahead`, \
                             `streams`, `processes`, `times`, `view` and `exports`"
                        ),
                    )
                    .with_help("remove it"));
                }
            }
        }
        if exports.is_some() && !has_takeout {
            let message = "the option `exports` has no meaning without `view=takeout`";
            return Err(Failure::new(Reason::InvalidConfiguration, message)
                .with_help("remove it, or set `view` to takeout"));
        }
        options.takeout = has_takeout.then(|| exports.unwrap_or(Selection::All));
        Ok(options)
    }
}

/// Options of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Whether a store without objects becomes one whose objects are in subdirectories, as those
    /// of Plakar's own connectors are.
    pub nested: bool,
    /// Maximum number of objects uploaded at the same time.
    pub uploads: usize,
    /// Maximum number of bytes held of objects, those that may be read next included.
    pub read_ahead_bytes: u64,
    /// Maximum number of reads at the same time.
    pub streams: usize,
}

/// Default of `uploads`, where the backend serves more files concurrently.
const DEFAULT_UPLOADS: usize = 8;

/// Maximum of `uploads`.
const MAX_UPLOADS: usize = 32;

impl StoreOptions {
    /// Parses the user's options. `streams` is the host's default for the backend.
    ///
    /// # Errors
    ///
    /// An option is unknown, or its value is invalid.
    pub fn parse(pairs: &[(String, String)], streams: u32) -> Result<Self, Failure> {
        let streams = usize::try_from(streams).unwrap_or(MAX_STREAMS).clamp(1, MAX_STREAMS);
        let read_ahead_bytes = Options::default().read_ahead_bytes;
        let mut options = Self { nested: false, uploads: 0, read_ahead_bytes, streams };
        for (key, value) in pairs {
            match key.as_str() {
                "layout" => {
                    options.nested = match value.as_str() {
                        "flat" => false,
                        "nested" => true,
                        _ => return Err(invalid(key, value, "flat or nested")),
                    };
                }
                "uploads" => options.uploads = parse_count(key, value, MAX_UPLOADS)?,
                "read_ahead" => options.read_ahead_bytes = parse_read_ahead(key, value)?,
                "streams" => options.streams = parse_count(key, value, MAX_STREAMS)?,
                _ => {
                    let message = format!(
                        "the rclone connector has no option `{key}` for stores, only `layout`, \
                         `uploads`, `read_ahead` and `streams`"
                    );
                    let failure = Failure::new(Reason::InvalidConfiguration, message);
                    return Err(failure.with_help("remove the option"));
                }
            }
        }
        if options.uploads == 0 {
            // One stream is left for locks.
            options.uploads = DEFAULT_UPLOADS.min(options.streams - 1).max(1);
        }
        Ok(options)
    }
}

fn invalid(key: &str, value: &str, expected: &str) -> Failure {
    let message = format!("`{value}` is not a value of the option `{key}`");
    Failure::new(Reason::InvalidConfiguration, message)
        .with_help(format!("set `{key}` to {expected}"))
}

fn parse_read_ahead(key: &str, value: &str) -> Result<u64, Failure> {
    parse_size(value)
        .filter(|size| *size <= MAX_READ_AHEAD_BYTES)
        .ok_or_else(|| invalid(key, value, "a size up to 128MiB, like 64MiB, or 0"))
}

fn parse_count(key: &str, value: &str, max: usize) -> Result<usize, Failure> {
    let count = value.parse().ok().filter(|count| (1..=max).contains(count));
    count.ok_or_else(|| invalid(key, value, &format!("a number from 1 to {max}")))
}

/// Parses a number of bytes: `65536`, `64KiB`, `64MiB` or `1GiB`.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(key: &str, value: &str) -> Result<Options, Failure> {
        Options::parse(&[(key.to_owned(), value.to_owned())], 64)
    }

    #[test]
    fn valid_options_are_parsed() {
        assert_eq!(Options::parse(&[], 64).unwrap(), Options::default());
        assert_eq!(Options::parse(&[], 4).unwrap().streams, 4);
        assert_eq!(parse("read_ahead", "1MiB").unwrap().read_ahead_bytes, 1 << 20);
        assert_eq!(parse("read_ahead", "0").unwrap().read_ahead_bytes, 0);
        assert_eq!(parse("streams", "8").unwrap().streams, 8);
        assert_eq!(parse("processes", "2").unwrap().processes, 2);
        assert!(!parse("times", "server").unwrap().own_times);
        assert_eq!(parse("view", "files").unwrap(), Options::default());
        assert_eq!(parse("view", "takeout").unwrap().takeout, Some(Selection::All));
    }

    #[test]
    fn exports_are_selected_in_the_view_of_takeout_alone() {
        let parse = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> =
                pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            Options::parse(&pairs, 64).map(|options| options.takeout)
        };
        let view = ("view", "takeout");
        assert_eq!(parse(&[("exports", "newest"), view]).unwrap(), Some(Selection::Newest));
        assert_eq!(parse(&[view, ("exports", "all")]).unwrap(), Some(Selection::All));
        for view in [&[][..], &[("view", "files")]] {
            let failure = parse(&[view, &[("exports", "all")]].concat()).unwrap_err();
            assert!(failure.message.contains("`view=takeout`"), "{}", failure.message);
        }
    }

    #[test]
    fn options_of_stores_are_their_own() {
        let parse =
            |key: &str, value: &str| StoreOptions::parse(&[(key.to_owned(), value.to_owned())], 64);
        assert!(parse("layout", "nested").unwrap().nested);
        assert_eq!(parse("layout", "flat").unwrap(), StoreOptions::parse(&[], 64).unwrap());
        assert_eq!(parse("uploads", "32").unwrap().uploads, 32);
        assert_eq!(parse("streams", "64").unwrap().uploads, DEFAULT_UPLOADS);
        assert_eq!(parse("streams", "3").unwrap().uploads, 2);
        assert_eq!(parse("streams", "1").unwrap().uploads, 1);
        assert_eq!(parse("read_ahead", "128MiB").unwrap().read_ahead_bytes, 128 << 20);
        assert_eq!(parse("streams", "3").unwrap().streams, 3);
        for (key, value) in [
            ("layout", "deep"),
            ("uploads", "0"),
            ("uploads", "33"),
            ("read_ahead", "129MiB"),
            ("times", "own"),
            ("processes", "1"),
        ] {
            let failure = parse(key, value).unwrap_err();
            assert!(failure.message.contains(&format!("`{key}`")), "{}", failure.message);
        }
    }

    #[test]
    fn invalid_options_are_rejected_by_name() {
        for (key, value) in [
            ("read_ahead", "lots"),
            ("read_ahead", "1TiB"),
            ("read_ahead", "-1"),
            ("read_ahead", "99999999999999999999GiB"),
            ("streams", "0"),
            ("streams", "1000"),
            ("processes", "5"),
            ("times", "none"),
            ("view", "photos"),
            ("exports", "oldest"),
            ("reed_ahead", "1"),
        ] {
            let failure = parse(key, value).unwrap_err();
            assert!(failure.message.contains(&format!("`{key}`")), "{}", failure.message);
        }
    }
}
