//! What is a name in a directory, and nothing else.

/// Whether it is a name in a directory, for rclone as well: it writes names that a backend
/// can't have in wide characters, and takes these for what they stand for where a backend,
/// or its option `encoding`, leaves dots and slashes alone (rclone's lib/encoder).
pub fn is_name(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|char| *char != '\u{201b}')
        .map(|char| match char {
            '\u{ff0e}' => '.',
            // What some servers take for a slash.
            '\u{ff0f}' | '\\' | '\u{ff3c}' => '/',
            char => char,
        })
        .collect();
    !name.is_empty() && plain.split('/').all(|part| !matches!(part, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_dots_and_slashes_lead_nowhere() {
        for bad in [
            "",
            ".",
            "..",
            "．．",
            "．",
            "‛．．",
            "．‛．",
            "／../x",
            "．．／x",
            "..／．．",
            "a／．",
            "x\\..\\..\\y",
            "x＼..",
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
        for good in ["a", "a／b", "a\\b", "．hidden", "a．．", "．．．", "／", "-a", "..."]
        {
            assert!(is_name(good), "{good:?}");
        }
    }
}
