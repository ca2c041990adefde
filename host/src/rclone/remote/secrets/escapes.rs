//! Secrets in the encodings in which messages show them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::ops::Range;

use super::MIN_SECRET_BYTES;

/// Matches a secret with any escapes in it at an offset of a text. Returns where it ends.
pub fn match_escaped(text: &[u8], at: usize, secret: &[u8]) -> Option<usize> {
    secret.iter().try_fold(at, |at, byte| Some(at + match_byte(text.get(at..)?, *byte)?))
}

/// The length of a byte at the start of a text, as Go, JSON, HTML or a URL writes it.
fn match_byte(text: &[u8], byte: u8) -> Option<usize> {
    let hex = |digits: Range<usize>| {
        let digits = std::str::from_utf8(text.get(digits)?).ok()?;
        u8::from_str_radix(digits, 16).ok()
    };
    match text {
        [b'%', ..] if hex(1..3) == Some(byte) => Some(3),
        [b'\\', b'x', ..] if hex(2..4) == Some(byte) => Some(4),
        [b'\\', b'u', b'0', b'0', ..] if hex(4..6) == Some(byte) => Some(6),
        [b'\\', next, ..] if *next == byte => Some(2),
        [b'&', ..] => match_entity(text, byte).or((byte == b'&').then_some(1)),
        [b'+', ..] if byte == b' ' => Some(1),
        [first, ..] if *first == byte => Some(1),
        _ => None,
    }
}

/// The length of a byte as an HTML entity.
fn match_entity(text: &[u8], byte: u8) -> Option<usize> {
    let named: &[&str] = match byte {
        b'&' => &["&amp;", "&#38;"],
        b'<' => &["&lt;", "&#60;"],
        b'>' => &["&gt;", "&#62;"],
        b'"' => &["&quot;", "&#34;"],
        b'\'' => &["&apos;", "&#39;"],
        b'+' => &["&#43;"],
        _ => &[],
    };
    named.iter().find(|name| text.starts_with(name.as_bytes())).map(|name| name.len())
}

/// A secret in base64, after `before` bytes of a group of three. The characters that depend on
/// the text around it are left out. In both alphabets.
pub fn base64_forms(secret: &[u8], before: usize) -> Vec<String> {
    let padded = [&b"\0\0"[..before], secret].concat();
    let of = |encoded: String| {
        let from = [0, 2, 3][before];
        let to = encoded.len() - usize::from(!padded.len().is_multiple_of(3));
        encoded.get(from..to).unwrap_or_default().to_owned()
    };
    let both = [of(STANDARD_NO_PAD.encode(&padded)), of(URL_SAFE_NO_PAD.encode(&padded))];
    BTreeSet::from(both).into_iter().filter(|it| it.len() >= MIN_SECRET_BYTES).collect()
}
