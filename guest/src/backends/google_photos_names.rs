//! IDs that rclone puts into names of Google Photos: where several photos of a directory, or
//! several albums, share a name, rclone shows each of them as `name {ID}.jpg`.
//!
//! Source: `addID`, `addFileID` and `idRe` in rclone's backend/googlephotos.

/// Length of the shortest ID that rclone recognizes.
const MIN_ID_BYTES: usize = 55;

/// Name split into its ID and the rest.
#[derive(Debug, PartialEq, Eq)]
pub struct NameWithId<'a> {
    pub plain: String,
    pub id: &'a str,
}

/// Splits the ID off a name. Returns `None` for a name without an ID.
pub fn split_id(name: &str) -> Option<NameWithId<'_>> {
    let start = name.rfind('{')?;
    let length = name[start..].find('}')?;
    let id = &name[start + 1..start + length];
    let is_id_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if id.len() < MIN_ID_BYTES || !id.bytes().all(is_id_byte) {
        return None;
    }
    let before = &name[..start];
    let before = before.strip_suffix(' ').unwrap_or(before);
    Some(NameWithId { plain: [before, &name[start + length + 1..]].concat(), id })
}

/// Removes the ID from a name, unless the name has nothing else.
pub fn remove_id(name: &str) -> String {
    let plain = split_id(name).map(|name| name.plain).filter(|plain| !plain.is_empty());
    plain.unwrap_or_else(|| name.to_owned())
}

/// Puts an ID into a name, by which rclone finds a photo without listing its directory.
pub fn with_id(name: &str, id: &str) -> String {
    if split_id(name).is_some() {
        return name.to_owned();
    }
    let (stem, extension) = name.split_at(name.rfind('.').unwrap_or(name.len()));
    let space = if stem.is_empty() { "" } else { " " };
    format!("{stem}{space}{{{id}}}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_out_of_a_name_as_it_went_in() {
        let id = "A-_9".repeat(20);
        for name in ["IMG_1.jpg", "no extension", "two.dots.jpeg", ".hidden", "🎉 {x}.png"] {
            let named = with_id(name, &id);
            let expected = NameWithId { plain: name.into(), id: &id };
            assert_eq!(split_id(&named), Some(expected), "{named}");
            assert_eq!(with_id(&named, &id), named);
        }
        assert_eq!(remove_id(&format!("Trip {{{id}}}")), "Trip");
        assert_eq!(remove_id(&format!("{{{id}}}")), format!("{{{id}}}"));
    }

    #[test]
    fn other_braces_stay() {
        let short = "x".repeat(MIN_ID_BYTES - 1);
        let odd = "x ".repeat(MIN_ID_BYTES);
        for name in ["{}", "a {b}.jpg", "{", "}{", &format!("{{{short}}}"), &format!("{{{odd}}}")] {
            assert_eq!(split_id(name), None, "{name}");
            assert_eq!(remove_id(name), name);
        }
    }
}
