//! Names of files in a folder of an export, and the parts that Google gives them: a stem, an
//! extension, and a number where several files of a folder have one name.

/// Longest part after the last dot that is an extension, in bytes, without the dot.
const MAX_EXTENSION_BYTES: usize = 5;

/// Most digits of a number in parentheses.
const MAX_NUMBER_DIGITS: usize = 6;

/// Words after the name of a file in the name of its sidecar since October 2024. They are cut
/// anywhere, even before the first letter.
const SIDECAR_WORDS: &str = "supplemental-metadata";

/// Ending of the names of sidecars, which is never cut.
const JSON: &str = ".json";

/// Extensions of videos, which can be parts of live photos.
const VIDEOS: [&str; 9] = [".mp4", ".mov", ".m4v", ".mp", ".3gp", ".avi", ".mkv", ".webm", ".mpg"];

/// Name without its number, and the number. The number 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Numbered<T> {
    pub name: T,
    pub number: u32,
}

/// Splits a name into its stem and its extension, which begins with the dot and may be empty.
pub fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.').filter(|dot| *dot > 0) {
        Some(dot) if is_extension(&name[dot + 1..]) => name.split_at(dot),
        _ => (name, ""),
    }
}

/// Reports whether the part of a name after a dot is an extension: short, and not a number.
fn is_extension(part: &str) -> bool {
    (1..=MAX_EXTENSION_BYTES).contains(&part.len())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && part.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Reports whether an extension is that of a video.
pub fn is_video(extension: &str) -> bool {
    VIDEOS.iter().any(|video| video.eq_ignore_ascii_case(extension))
}

/// Splits the number `(n)` off the end of a text.
pub fn split_number(text: &str) -> Option<Numbered<&str>> {
    let (name, digits) = text.strip_suffix(')')?.rsplit_once('(')?;
    let is_number = (1..=MAX_NUMBER_DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    (is_number && !name.is_empty()).then_some(Numbered { name, number })
}

/// Returns the ways to read the name of a photo: `IMG(1).jpg` is the second `IMG.jpg` of its
/// folder, or the only `IMG(1).jpg`.
pub fn media_readings(name: &str) -> Vec<Numbered<String>> {
    let (stem, extension) = split_extension(name);
    let mut readings = vec![Numbered { name: name.to_owned(), number: 0 }];
    if let Some(Numbered { name, number }) = split_number(stem) {
        readings.push(Numbered { name: [name, extension].concat(), number });
    }
    readings
}

/// Returns the ways to read the name of a sidecar, without `.json`. Google puts the number of
/// `IMG(1).jpg` at the end: `IMG.jpg.supplemental-metadata(1).json`.
pub fn sidecar_readings(name: &str) -> Vec<Numbered<&str>> {
    let mut readings = vec![Numbered { name, number: 0 }];
    readings.extend(split_number(name));
    readings
}

/// Returns the name of a sidecar without `.json`, or `None` for any other file.
pub fn strip_json(name: &str) -> Option<&str> {
    let at = name.len().checked_sub(JSON.len()).filter(|at| *at > 0)?;
    let ending = name.get(at..)?;
    ending.eq_ignore_ascii_case(JSON).then(|| &name[..at])
}

/// Splits the words of a sidecar, as far as they are there, off its name, which has neither
/// `.json` nor a number.
pub fn strip_sidecar_words(name: &str) -> Option<&str> {
    let (file, words) = name.rsplit_once('.')?;
    (SIDECAR_WORDS.starts_with(words) && !file.is_empty()).then_some(file)
}

/// Returns what the sidecar of a file is called where nothing is cut, without `.json` and number.
pub fn full_sidecar_name(file: &str) -> String {
    [file, ".", SIDECAR_WORDS].concat()
}

/// Reports whether a file is left by an operating system, and not by Google.
pub fn is_foreign(name: &str) -> bool {
    name.starts_with("._") || matches!(name, ".DS_Store" | "Thumbs.db" | "desktop.ini" | "")
}

/// Returns a text with `_` in the place of everything that is neither a letter nor a digit, as
/// Google's names of files have it for some of these characters.
pub fn comparable(text: &str) -> String {
    text.chars().map(|char| if char.is_alphanumeric() { char } else { '_' }).collect()
}

/// Returns the number of UTF-16 units of a text, in which Google counts the length of a name.
pub fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Returns the beginning of a text, up to a number of UTF-16 units.
pub fn utf16_prefix(text: &str, max: usize) -> &str {
    let mut length = 0;
    let end = text.char_indices().find(|(_, char)| {
        length += char.len_utf16();
        length > max
    });
    end.map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_short_and_not_a_number() {
        for (name, stem, extension) in [
            ("IMG.jpg", "IMG", ".jpg"),
            ("PXL.MP.jpg", "PXL.MP", ".jpg"),
            ("PXL.MP", "PXL", ".MP"),
            ("PXL.MP~2", "PXL.MP~2", ""),
            ("MVIMG", "MVIMG", ""),
            (".jpg", ".jpg", ""),
            ("v1.2", "v1.2", ""),
            ("Mr. Smith", "Mr. Smith", ""),
            ("27.06.12 - 1", "27.06.12 - 1", ""),
            ("x.", "x.", ""),
        ] {
            assert_eq!(split_extension(name), (stem, extension), "{name}");
        }
        assert!(is_video(".MP4") && is_video(".MP") && !is_video("") && !is_video(".jpg"));
    }

    #[test]
    fn a_number_is_in_parentheses_at_the_end() {
        assert_eq!(split_number("IMG(12)"), Some(Numbered { name: "IMG", number: 12 }));
        assert_eq!(split_number("a (2)"), Some(Numbered { name: "a ", number: 2 }));
        for none in ["IMG", "(1)", "IMG()", "IMG(0)", "IMG(x)", "IMG(1)a", "IMG(1234567)", ")"] {
            assert_eq!(split_number(none), None, "{none}");
        }
        let media = media_readings("IMG(1).jpg");
        assert_eq!(media[0], Numbered { name: "IMG(1).jpg".to_owned(), number: 0 });
        assert_eq!(media[1], Numbered { name: "IMG.jpg".to_owned(), number: 1 });
    }

    #[test]
    fn the_words_of_a_sidecar_may_be_cut_anywhere() {
        assert_eq!(strip_json("a.jpg.json"), Some("a.jpg"));
        assert_eq!(strip_json("a.jpg.JSON"), Some("a.jpg"));
        assert_eq!((strip_json(".json"), strip_json("é"), strip_json("a.jpg")), (None, None, None));
        for name in ["a.jpg.supplemental-metadata", "a.jpg.suppl", "a.jpg.s", "a.jpg."] {
            assert_eq!(strip_sidecar_words(name), Some("a.jpg"), "{name}");
        }
        for none in ["a.jpg", "a.jpg.supplement", "a.jpg.x", ".s"] {
            let stripped = strip_sidecar_words(none);
            assert_eq!(stripped.is_some(), none == "a.jpg.supplement", "{none}");
        }
    }

    #[test]
    fn lengths_are_those_of_utf_16() {
        assert_eq!((utf16_len("ab"), utf16_len("🎉é")), (2, 3));
        assert_eq!((utf16_prefix("a🎉b", 2), utf16_prefix("a🎉b", 3)), ("a", "a🎉"));
        assert_eq!(utf16_prefix("ab", 5), "ab");
        assert_eq!(comparable("21/12: é.jpg"), "21_12__é_jpg");
    }
}
