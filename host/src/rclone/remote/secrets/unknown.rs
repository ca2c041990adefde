//! Secrets that aren't in the configuration, as a token that rclone has refreshed. They are
//! recognised by their position.

use std::ops::Range;

/// Words that are followed by a secret.
const SECRET_MARKERS: [&str; 9] = [
    "bearer",
    "basic",
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "password",
    "x-amz-signature",
    "sig",
];

/// The shortest value after such a word that counts as a secret.
pub const MIN_UNKNOWN_SECRET_BYTES: usize = 8;

/// Marks secrets by their position: a user and password in a URL, and the values after certain
/// words.
pub fn mark_unknown(text: &str, mark: &mut impl FnMut(Range<usize>)) {
    let is_end = |char: char| char.is_whitespace() || "/?#\"`<>\\".contains(char);
    for (at, scheme) in text.match_indices("://") {
        let begin = at + scheme.len();
        let rest = &text[begin..];
        let authority = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        if let Some(end) = authority.rfind('@') {
            mark(begin..begin + end);
        }
    }
    let lower = text.to_ascii_lowercase();
    for word in SECRET_MARKERS {
        for (at, _) in lower.match_indices(word) {
            let is_part = |char: char| char.is_alphanumeric() || char == '_';
            if lower[..at].ends_with(is_part) {
                continue;
            }
            let rest = &text[at + word.len()..];
            let value = rest.trim_start_matches([' ', '"', '\'', '\\', ':', '=']);
            let between = &rest[..rest.len() - value.len()];
            let is_scheme = matches!(word, "bearer" | "basic");
            if between.is_empty() || !is_scheme && !between.contains([':', '=']) {
                continue;
            }
            let is_value = |char: char| char.is_ascii_alphanumeric() || "-._~+/=%".contains(char);
            let length = value.find(|char| !is_value(char)).unwrap_or(value.len());
            // Ordinary words follow these words, too. Tokens have other characters in them.
            let is_lower = |byte: u8| byte.is_ascii_lowercase() || b".-_".contains(&byte);
            let is_word = is_scheme && value[..length].bytes().all(is_lower);
            if length >= MIN_UNKNOWN_SECRET_BYTES && !is_word {
                let begin = text.len() - value.len();
                mark(begin..begin + length);
            }
        }
    }
}
