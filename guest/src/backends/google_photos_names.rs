//! The IDs that rclone puts into names: where several photos of a directory, or several
//! albums, share a name, each of them is shown as `name {ID}.jpg`.
//!
//! Source: `addID`, `addFileID` and `idRe` in rclone's backend/googlephotos.

/// The shortest ID that rclone takes for one.
const SHORTEST_ID: usize = 55;

/// A name without its ID, and the ID.
#[derive(Debug, PartialEq, Eq)]
pub struct Named<'a> {
    pub plain: String,
    pub id: &'a str,
}

/// Takes the ID out of a name; `None` where there is none.
pub fn split(name: &str) -> Option<Named<'_>> {
    let start = name.rfind('{')?;
    let length = name[start..].find('}')?;
    let id = &name[start + 1..start + length];
    let is_of_ids = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if id.len() < SHORTEST_ID || !id.bytes().all(is_of_ids) {
        return None;
    }
    let before = &name[..start];
    let before = before.strip_suffix(' ').unwrap_or(before);
    Some(Named { plain: [before, &name[start + length + 1..]].concat(), id })
}

/// The name without an ID, unless it has nothing else.
pub fn plain(name: &str) -> String {
    let plain = split(name).map(|named| named.plain).filter(|plain| !plain.is_empty());
    plain.unwrap_or_else(|| name.to_owned())
}

/// The name with the ID, by which rclone finds a photo without listing where it lies.
pub fn with_id(name: &str, id: &str) -> String {
    if split(name).is_some() {
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
            assert_eq!(split(&named), Some(Named { plain: name.into(), id: &id }), "{named}");
            assert_eq!(with_id(&named, &id), named);
        }
        assert_eq!(plain(&format!("Trip {{{id}}}")), "Trip");
        assert_eq!(plain(&format!("{{{id}}}")), format!("{{{id}}}"));
    }

    #[test]
    fn braces_of_the_users_own_stay() {
        let short = "x".repeat(SHORTEST_ID - 1);
        let odd = "x ".repeat(SHORTEST_ID);
        for name in ["{}", "a {b}.jpg", "{", "}{", &format!("{{{short}}}"), &format!("{{{odd}}}")] {
            assert_eq!(split(name), None, "{name}");
            assert_eq!(plain(name), name);
        }
    }
}
