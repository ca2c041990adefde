//! Removes from rclone's errors what helps no user.

/// Prefixes that rclone adds to errors.
const WRAPPINGS: [&str; 12] = [
    "--files-from failed to read file: ",
    "Failed to copy: ",
    "Failed to open: ",
    "Failed to rcat: ",
    "error listing: ",
    "error in ListJSON: ",
    "Post request put error: ",
    "error reading source directory: ",
    "failed to commit batch: ",
    "batch upload failed: ",
    "upload failed: ",
    "Failed: ",
];

/// Number of characters of a page's title that are shown.
const MAX_TITLE_CHARS: usize = 200;

/// Start and end of parts of an error that are irrelevant, or give advice that doesn't apply since
/// rclone knows an imported remote by a made-up name. A part without an end extends to the end of
/// the error.
const NOISE: [(&str, Option<&str>); 7] = [
    (" - try refreshing", Some(":\"")),
    (" - manually refresh", Some(":\"")),
    (" - please run \"rclone config reconnect", Some(":\"")),
    (": if you're using your own client id/secret", None),
    (" Expected OAuth 2 access token", Some("devconsole-project.")),
    ("<!DOCTYPE html>", Some("know.</ins>")),
    (" of service 'photoslibrary.googleapis.com'", Some("'.")),
];

/// Removes prefixes and irrelevant parts from an error.
pub fn strip_noise(error: &str) -> String {
    let mut plain = error;
    if plain.starts_with("Attempt ")
        && let Some((_, rest)) = plain.split_once(" errors and: ")
    {
        plain = rest;
    }
    if plain.starts_with("Failed to ")
        && let Some((_, rest)) = plain.split_once("last error was: ")
    {
        plain = rest;
    }
    if plain.starts_with("low level retry ")
        && let Some((_, rest)) = plain.split_once("(error ")
    {
        plain = rest.strip_suffix(')').unwrap_or(rest);
    }
    while let Some(rest) = WRAPPINGS.iter().find_map(|wrapping| plain.strip_prefix(wrapping)) {
        plain = rest;
    }
    // The call that needed the token is irrelevant.
    if let Some((_, rest)) = plain.split_once("couldn't fetch token: ") {
        plain = rest;
    }
    let plain = NOISE.iter().fold(plain.to_owned(), |text, (start, end)| cut(text, start, *end));
    let plain = without_page(without_repetition(without_calls(plain)));
    plain.trim().trim_end_matches(['?', '.']).to_owned()
}

/// Removes the part of a text from `start` to `end`.
fn cut(mut text: String, start: &str, end: Option<&str>) -> String {
    let Some(at) = text.find(start) else { return text };
    let from = at + start.len();
    let to = match end {
        Some(end) => text[from..].find(end).map(|to| from + to + end.len()),
        None => Some(text.len()),
    };
    if let Some(to) = to {
        text.replace_range(at..to, "");
    }
    text
}

/// Removes calls to Google, like `Get "https://...": `, which are long and always the same. For
/// other servers the address may be the cause.
fn without_calls(mut text: String) -> String {
    while let Some(at) =
        ["Get \"https://", "Post \"https://"].iter().find_map(|call| text.find(call))
    {
        let Some(end) = text[at..].find("\": ") else { break };
        if !text[at..at + end].contains(".googleapis.com/") {
            break;
        }
        text.replace_range(at..at + end + "\": ".len(), "");
    }
    text
}

/// Removes the second number of `(429 429 Too Many Requests)`, as Google's errors come through
/// rclone.
fn without_repetition(mut text: String) -> String {
    let repeated = text.match_indices('(').map(|(at, _)| at + 1).find(|at| {
        let status = text.get(*at..at + 3).filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
        status.is_some_and(|status| text[at + 3..].starts_with(&format!(" {status} ")))
    });
    if let Some(at) = repeated {
        text.replace_range(at..at + 4, "");
    }
    text
}

/// Replaces a page that a server has sent with an error by its title.
fn without_page(mut text: String) -> String {
    // It has the same length as the text.
    let lower = text.to_ascii_lowercase();
    let begins = ["<!doctype html", "<html"].iter().filter_map(|begin| lower.find(begin)).min();
    let Some(at) = begins else { return text };
    let end = lower[at..].rfind("</html>").map_or(text.len(), |end| at + end + "</html>".len());
    let title = lower[at..].find("<title>").zip(lower[at..].find("</title>"));
    let title = title.and_then(|(from, to)| text.get(at + from + "<title>".len()..at + to));
    let title = title.unwrap_or_default().trim().chars().take(MAX_TITLE_CHARS).collect::<String>();
    text.replace_range(at..end, &title);
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_matches([':', ' ']).to_owned()
}

/// Whether a word occurs in a text. A number must not be part of a longer one.
pub fn contains_word(text: &str, word: &str) -> bool {
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.contains(word);
    }
    text.split(|char: char| !char.is_ascii_alphanumeric()).any(|token| token == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_cut_and_addresses_that_may_be_wrong_are_not() {
        for (error, shown) in [
            (
                concat!(
                    r#"couldn't list files: Post "https://photoslibrary.googleapis.com/v1/mediaIt"#,
                    r#"ems:search": couldn't fetch token: invalid_grant: maybe token expired? - "#,
                    r#"try refreshing with "rclone config reconnect remote:""#,
                ),
                "invalid_grant: maybe token expired",
            ),
            (
                concat!(
                    r#"failed to configure google photos: empty token found - please run "rclone "#,
                    r#"config reconnect remote:""#,
                ),
                "failed to configure google photos: empty token found",
            ),
            (
                concat!(
                    r#"couldn't list albums: Get "https://photoslibrary.googleapis.com/v1/albums?"#,
                    r#"pageSize=50": dial tcp: lookup photoslibrary.googleapis.com: no such host"#,
                ),
                "couldn't list albums: dial tcp: lookup photoslibrary.googleapis.com: no such host",
            ),
            (
                r#"Get "https://dav.example.com/": dial tcp: no such host"#,
                r#"Get "https://dav.example.com/": dial tcp: no such host"#,
            ),
            (
                "low level retry 1/10 (error Request was refused. (429 RESOURCE_EXHAUSTED))",
                "Request was refused. (429 RESOURCE_EXHAUSTED)",
            ),
            (
                "Failed to copy: failed to commit batch: batch upload failed: upload failed: \
                 Failed: There was an error while trying to create this media item. (3)",
                "There was an error while trying to create this media item. (3)",
            ),
        ] {
            assert_eq!(strip_noise(error), shown);
        }
    }
}
