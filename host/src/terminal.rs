//! Escapes untrusted text for terminals and logs: a terminal obeys control characters, and a
//! line break could forge a line of its own.

use std::borrow::Cow;
use std::io;
use std::ops::RangeInclusive;
use tracing_subscriber::fmt::MakeWriter;

/// Characters that are not control characters but are invisible or change how others are
/// shown: line and paragraph separators, directional marks, characters without a width.
const INVISIBLE: [RangeInclusive<char>; 10] = [
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

/// Whether a character must be escaped: a control character or an invisible one.
pub fn is_unsafe(char: char) -> bool {
    char.is_control() || INVISIBLE.iter().any(|range| range.contains(&char))
}

/// Returns the text as one line, with the escapes of Rust for unsafe characters.
pub fn escape(text: &str) -> Cow<'_, str> {
    replace_unsafe(text, |char, output| output.extend(char.escape_default()))
}

/// Returns the text of a JSON value, with JSON escapes for the unsafe characters that
/// `serde_json` doesn't escape.
pub fn escape_json(text: &str) -> Cow<'_, str> {
    replace_unsafe(text, |char, output| {
        for unit in char.encode_utf16(&mut [0; 2]) {
            output.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

fn replace_unsafe(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut output = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_unsafe(char) {
            escape(char, &mut output);
        } else {
            output.push(char);
        }
    }
    Cow::Owned(output)
}

/// Writer of a log to the standard error: each event becomes one line.
#[derive(Clone, Copy)]
pub struct LogLines {
    /// Function that escapes an event.
    pub escape: fn(&str) -> Cow<'_, str>,
}

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl io::Write for LogLines {
    /// Writes one event, which must be complete.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = format!("{}\n", (self.escape)(text.strip_suffix('\n').unwrap_or(&text)));
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
            assert_eq!(escape(text), shown);
        }
        for same in ["", "a b/ü 日本 'q' \"\\n\"", "e\u{301}", "👩\u{200d}👧", "नी\u{200c}"]
        {
            assert_eq!(escape(same), same);
        }
    }

    #[test]
    fn a_json_value_stays_what_it_is() {
        let value = serde_json::json!({ "path": "a\u{1b}\u{9b}\u{202e}\n\u{e0041}\"" });
        let text = serde_json::to_string(&value).unwrap();
        let escaped = escape_json(&text);
        assert!(!escaped.contains(is_unsafe), "{escaped:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }
}
