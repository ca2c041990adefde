//! Names of objects: Plakar's MACs, as rclone's paths have them, and the directories of the kinds.

use crate::bindings::exports::plakar::connector::store::{Mac, ObjectKind};

/// Path of the store's configuration.
pub const CONFIG: &str = "CONFIG";

/// Number of hexadecimal digits of a name.
const DIGITS: usize = 64;

/// Number of digits of one of the four numbers of a [`Mac`].
const DIGITS_OF_A_NUMBER: usize = DIGITS / 4;

/// Object of the store.
pub type ObjectName = (ObjectKind, Mac);

/// All kinds of objects.
pub const KINDS: [ObjectKind; 3] = [ObjectKind::Packfile, ObjectKind::State, ObjectKind::Lock];

impl ObjectKind {
    /// Returns the directory that has the objects of this kind.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Packfile => "packfiles",
            Self::State => "states",
            Self::Lock => "locks",
        }
    }

    /// Returns what users call an object of this kind.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Packfile => "packfile",
            Self::State => "state",
            Self::Lock => "lock",
        }
    }
}

/// Formats a name as 64 lower-case hexadecimal digits.
pub fn to_hex((first, second, third, fourth): Mac) -> String {
    format!("{first:016x}{second:016x}{third:016x}{fourth:016x}")
}

/// Parses 64 lower-case hexadecimal digits. Returns `None` for any other text.
pub fn from_hex(text: &str) -> Option<Mac> {
    let is_valid = text.len() == DIGITS && text.bytes().all(is_hex_digit);
    if !is_valid {
        return None;
    }
    let number = |index: usize| {
        let digits = text.get(index * DIGITS_OF_A_NUMBER..(index + 1) * DIGITS_OF_A_NUMBER)?;
        u64::from_str_radix(digits, 16).ok()
    };
    Some((number(0)?, number(1)?, number(2)?, number(3)?))
}

/// Reports whether a byte is a lower-case hexadecimal digit.
pub fn is_hex_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";

    #[test]
    fn a_name_has_its_first_byte_first() {
        let name = from_hex(HEX).unwrap();
        assert_eq!(name.0, 0x0011_2233_4455_6677);
        assert_eq!(name.3, 0xfedc_ba98_7654_3210);
        assert_eq!(to_hex(name), HEX);
        assert_eq!(to_hex((0, 0, 0, 1)), format!("{:0>64}", 1));
    }

    #[test]
    fn other_texts_are_no_names() {
        for text in ["", &HEX[1..], &HEX.to_uppercase(), &HEX.replace('0', "+"), &format!("{HEX}0")]
        {
            assert_eq!(from_hex(text), None, "{text}");
        }
        // As many bytes, but not as many digits.
        assert_eq!(from_hex(&format!("{}é", &HEX[2..])), None);
    }
}
