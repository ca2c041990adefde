//! What others wrote, as it may be shown: a terminal obeys some characters, and a reader takes
//! a line break for the end of what somebody said.

use std::borrow::Cow;
use std::io;
use std::ops::RangeInclusive;
use tracing_subscriber::fmt::MakeWriter;

/// Characters beside those of control that change how others are shown, or aren't seen: the
/// ends of lines and paragraphs, what turns the direction of writing, what takes no room.
const UNSEEN: [RangeInclusive<char>; 10] = [
    '\u{61c}'..='\u{61c}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200b}',
    '\u{200e}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Whether a character does something other than being seen.
pub fn is_obeyed(char: char) -> bool {
    char.is_control() || UNSEEN.iter().any(|range| range.contains(&char))
}

/// The text in one line, with the escapes of Rust for what would be obeyed.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |char, plain| plain.extend(char.escape_default()))
}

/// The text of one JSON value, with its own escapes: those that `serde_json` leaves out.
pub fn plain_json(text: &str) -> Cow<'_, str> {
    escaped(text, |char, plain| {
        for unit in char.encode_utf16(&mut [0; 2]) {
            plain.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match is_obeyed(char) {
            true => escape(char, &mut plain),
            false => plain.push(char),
        }
    }
    Cow::Owned(plain)
}

/// The standard error for a log, of which each event is one line.
#[derive(Clone, Copy)]
pub struct LogLines {
    /// How an event is made plain.
    pub plain: fn(&str) -> Cow<'_, str>,
}

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl io::Write for LogLines {
    /// Writes one event, which comes whole.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = format!("{}\n", (self.plain)(text.strip_suffix('\n').unwrap_or(&text)));
        io::stderr().write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_seen_and_nothing_else_is_changed() {
        for (text, shown) in [
            ("\u{1b}]0;title\u{7}\u{1b}[2J", r"\u{1b}]0;title\u{7}\u{1b}[2J"),
            ("a\r\nb\tc\0", r"a\r\nb\tc\u{0}"),
            ("\u{9b}31m\u{7f}\u{85}", r"\u{9b}31m\u{7f}\u{85}"),
            ("\u{202e}gpj.exe\u{2066}\u{2069}\u{200f}", r"\u{202e}gpj.exe\u{2066}\u{2069}\u{200f}"),
            ("\u{2028}\u{2029}\u{feff}\u{e0041}", r"\u{2028}\u{2029}\u{feff}\u{e0041}"),
        ] {
            assert_eq!(plain(text), shown);
        }
        for same in ["", "a b/ü 日本 'q' \"\\n\"", "e\u{301}", "👩\u{200d}👧", "नी\u{200c}"]
        {
            assert_eq!(plain(same), same);
        }
    }

    #[test]
    fn a_json_value_stays_what_it_is() {
        let value = serde_json::json!({ "path": "a\u{1b}\u{9b}\u{202e}\n\u{e0041}\"" });
        let text = serde_json::to_string(&value).unwrap();
        let plain = plain_json(&text);
        assert!(!plain.contains(is_obeyed), "{plain:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).unwrap(), value);
    }
}
