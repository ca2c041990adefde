//! Listings come in pages; the token of the next one goes with the same question only.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::answers::Refusal;

/// The last position of a page: an item's creation time and place, or a place alone.
pub type Position = (i64, usize);

/// A question without its page token.
pub fn question(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The size of a page: what was asked for, or the default of none.
pub fn size(asked: i64, default: usize, most: usize) -> Result<usize, Refusal> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(size) if size <= most => Ok(size),
        _ => Err(Refusal::invalid(format!("Page size must be between 1 and {most}."))),
    }
}

/// The token of the page after this position.
pub fn token(question: u64, (time, place): Position) -> String {
    let numbers = [question, time.cast_unsigned(), place as u64];
    URL_SAFE_NO_PAD.encode(numbers.map(u64::to_be_bytes).concat())
}

/// Where a page begins: after nothing for an empty token.
pub fn after(question: u64, token: &str) -> Result<Option<Position>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let numbers: Vec<u64> = bytes
        .chunks_exact(8)
        .map(|number| u64::from_be_bytes(number.try_into().unwrap()))
        .collect();
    match numbers[..] {
        [asked, time, place] if asked == question => {
            Ok(Some((time.cast_signed(), usize::try_from(place).unwrap())))
        }
        _ => Err(Refusal::invalid("The page token is invalid, or of another request.")),
    }
}
