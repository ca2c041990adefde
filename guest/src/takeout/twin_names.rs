//! Names of twins: photos of a directory that share a name. The oldest keeps it, the others have
//! the time at which they were taken in it, and their CRC-32 if that isn't enough. So a name
//! depends neither on Google's numbers nor on the order of an export.

use jiff::tz::Offset;

/// Form of the time in a name: digits where it has `0`.
const TIME_FORM: &[u8] = b"0000-00-00 00.00.00";

/// Number of hexadecimal digits of a CRC-32.
const CRC_DIGITS: usize = 8;

/// Puts a time, as Unix time, into a name, and a CRC-32 where one is needed.
pub fn with_time(name: &str, seconds: i64, crc32: Option<u32>) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let time = Offset::UTC.to_datetime(time);
    let (date, clock) = (time.date(), time.time());
    let mut mark = format!(
        "{:04}-{:02}-{:02} {:02}.{:02}.{:02}",
        date.year(),
        date.month(),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    );
    if let Some(crc32) = crc32 {
        mark.push_str(&format!(" {crc32:08x}"));
    }
    let (stem, extension) = name.split_at(name.rfind('.').unwrap_or(name.len()));
    let space = if stem.is_empty() { "" } else { " " };
    format!("{stem}{space}{{{mark}}}{extension}")
}

/// Takes a time out of a name that has one.
pub fn remove_time(name: &str) -> String {
    let plain = split(name).filter(|plain| !plain.is_empty());
    plain.unwrap_or_else(|| name.to_owned())
}

fn split(name: &str) -> Option<String> {
    let start = name.rfind('{')?;
    let length = name[start..].find('}')?;
    if !is_mark(&name.as_bytes()[start + 1..start + length]) {
        return None;
    }
    let before = &name[..start];
    let before = before.strip_suffix(' ').unwrap_or(before);
    Some([before, &name[start + length + 1..]].concat())
}

fn is_mark(text: &[u8]) -> bool {
    let (time, crc32) = text.split_at(TIME_FORM.len().min(text.len()));
    let is_time = time.len() == TIME_FORM.len()
        && TIME_FORM.iter().zip(time).all(|(form, byte)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == form,
        });
    let is_crc32 = match crc32 {
        [] => true,
        [b' ', digits @ ..] => {
            digits.len() == CRC_DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
        }
        _ => false,
    };
    is_time && is_crc32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_out_of_a_name_as_it_went_in() {
        assert_eq!(with_time("IMG.jpg", 1_691_302_230, None), "IMG {2023-08-06 06.10.30}.jpg");
        assert_eq!(
            with_time("a.b.jpg", -1, Some(0x1a2b)),
            "a.b {1969-12-31 23.59.59 00001a2b}.jpg"
        );
        for name in ["IMG.jpg", "no extension", ".hidden", "🎉 {x}.png", "IMG(1).jpg"] {
            for crc32 in [None, Some(7)] {
                assert_eq!(remove_time(&with_time(name, 0, crc32)), name);
            }
        }
        for seconds in [i64::MIN, i64::MAX, -62_135_596_800, 253_402_300_799] {
            assert_eq!(remove_time(&with_time("a", seconds, None)), "a");
        }
    }

    #[test]
    fn other_braces_stay() {
        for name in [
            "{}",
            "a {b}.jpg",
            "{2023-08-06 06.10.30}",
            "a {2023-08-06}.jpg",
            "a {2023-08-06 06.10.30 1a2b}.jpg",
            "a {2023-08-06 06.10.3x}.jpg",
            "a {2023-08-06 06.10.30x}.jpg",
        ] {
            assert_eq!(remove_time(name), name);
        }
    }
}
