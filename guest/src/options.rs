//! What a user may set for the connector: keys of the source without the `rclone_`
//! prefix, each with a default that needs no thought.

use crate::bindings::plakar::connector::types::{Failure, Reason};

/// The connector's options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many bytes of files may be held that Plakar hasn't asked for yet.
    pub read_ahead: u64,
    /// How many files are read at the same time.
    pub streams: usize,
    /// How many processes read small files. Each paces its calls on its own, where
    /// rclone paces the backend.
    pub processes: usize,
    /// Whether files keep their own times where these cost a call each, or get the
    /// server's.
    pub own_times: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { read_ahead: 64 << 20, streams: 64, processes: 1, own_times: true }
    }
}

/// The memory of the component is 256 MiB: half of it may be read ahead.
const MOST_AHEAD: u64 = 128 << 20;
/// rclone's server takes at most 250 requests at a time.
const MOST_STREAMS: usize = 128;
/// Each process of rclone's takes some 60 MiB.
const MOST_PROCESSES: usize = 4;

impl Options {
    /// Takes what the user has set; `streams` is what the host takes for right.
    pub fn parse(said: &[(String, String)], streams: u32) -> Result<Self, Failure> {
        let streams = usize::try_from(streams).unwrap_or(MOST_STREAMS).clamp(1, MOST_STREAMS);
        let mut options = Self { streams, ..Self::default() };
        for (key, value) in said {
            match key.as_str() {
                "read_ahead" => {
                    options.read_ahead =
                        size(value).filter(|size| *size <= MOST_AHEAD).ok_or_else(|| {
                            wrong(key, value, "a size up to 128MiB, like 64MiB, or 0")
                        })?;
                }
                "streams" => options.streams = number(key, value, MOST_STREAMS)?,
                "processes" => options.processes = number(key, value, MOST_PROCESSES)?,
                "times" => {
                    options.own_times = match value.as_str() {
                        "own" => true,
                        "server" => false,
                        _ => return Err(wrong(key, value, "own or server")),
                    };
                }
                _ => {
                    return Err(Failure::new(
                        Reason::InvalidConfiguration,
                        format!(
                            "the rclone connector has no option `{key}`, only `read_ahead`, `streams`, `processes` and `times`: remove it"
                        ),
                    ));
                }
            }
        }
        Ok(options)
    }
}

fn wrong(key: &str, value: &str, expected: &str) -> Failure {
    let message = format!("`{value}` is no value for the option `{key}`: set it to {expected}");
    Failure::new(Reason::InvalidConfiguration, message)
}

fn number(key: &str, value: &str, most: usize) -> Result<usize, Failure> {
    let number = value.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| wrong(key, value, &format!("a number from 1 to {most}")))
}

/// Bytes in `65536`, `64KiB`, `64MiB` or `1GiB`.
fn size(text: &str) -> Option<u64> {
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
    fn options_are_taken_where_they_make_sense() {
        assert_eq!(Options::parse(&[], 64).unwrap(), Options::default());
        assert_eq!(Options::parse(&[], 4).unwrap().streams, 4);
        assert_eq!(parse("read_ahead", "1MiB").unwrap().read_ahead, 1 << 20);
        assert_eq!(parse("read_ahead", "0").unwrap().read_ahead, 0);
        assert_eq!(parse("streams", "8").unwrap().streams, 8);
        assert_eq!(parse("processes", "2").unwrap().processes, 2);
        assert!(!parse("times", "server").unwrap().own_times);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (key, value) in [
            ("read_ahead", "lots"),
            ("read_ahead", "1TiB"),
            ("read_ahead", "-1"),
            ("read_ahead", "99999999999999999999GiB"),
            ("streams", "0"),
            ("streams", "1000"),
            ("processes", "5"),
            ("times", "none"),
            ("reed_ahead", "1"),
        ] {
            let failure = parse(key, value).unwrap_err();
            assert!(failure.message.contains(&format!("`{key}`")), "{}", failure.message);
        }
    }
}
