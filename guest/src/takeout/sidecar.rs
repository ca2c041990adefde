//! Sidecars: the JSON files that say of a photo when it was taken, and of a folder that it is an
//! album. What kind a file is shows its contents, since its name is in the user's language.

use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use siphasher::sip::SipHasher13;

/// Maximum size of a sidecar, in bytes. Those of albums with many comments are the largest.
pub const MAX_SIDECAR_BYTES: u64 = 1 << 20;

/// Times that a snapshot can hold: the years 1 to 9999, as Unix time.
///
/// Source: `Timestamp` in google/protobuf/timestamp.proto.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Contents of a JSON file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sidecar {
    Photo(PhotoData),
    /// An album with its title, which may be empty.
    Album(String),
    /// JSON that is neither.
    Other,
    /// Not JSON.
    Broken(String),
}

/// What a sidecar says of its photo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoData {
    /// Name with which the photo was uploaded.
    pub title: Option<Box<str>>,
    /// Unix time at which it was taken.
    pub taken: Option<i64>,
    /// Hash of the address of its page at Google.
    pub url: Option<u64>,
    pub is_favorite: bool,
    pub is_archived: bool,
    pub is_trashed: bool,
}

impl PhotoData {
    /// Reports whether another sidecar says the same.
    pub fn agrees(&self, other: &Self) -> bool {
        let Self { title, taken, url: _, is_favorite, is_archived, is_trashed } = other;
        self.title == *title
            && self.taken == *taken
            && self.is_favorite == *is_favorite
            && self.is_archived == *is_archived
            && self.is_trashed == *is_trashed
    }
}

/// The fields that are read. Values of another type than Google's count as missing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields {
    #[serde(deserialize_with = "lenient")]
    title: Lenient<String>,
    #[serde(deserialize_with = "lenient")]
    photo_taken_time: Lenient<Time>,
    #[serde(deserialize_with = "lenient")]
    url: Lenient<String>,
    #[serde(deserialize_with = "lenient")]
    favorited: Lenient<bool>,
    #[serde(deserialize_with = "lenient")]
    archived: Lenient<bool>,
    #[serde(deserialize_with = "lenient")]
    trashed: Lenient<bool>,
    #[serde(deserialize_with = "lenient")]
    album_data: Lenient<AlbumData>,
}

/// Field that may be missing, or have a value of another type.
#[derive(Default)]
enum Lenient<T> {
    #[default]
    Missing,
    Unusable,
    Value(T),
}

#[derive(Deserialize)]
struct Time {
    #[serde(default)]
    timestamp: Value,
}

/// Album as Google described it in 2019 and 2020.
#[derive(Deserialize)]
struct AlbumData {
    #[serde(default)]
    title: String,
}

impl<T> Lenient<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Missing | Self::Unusable => None,
        }
    }

    fn is_present(&self) -> bool {
        !matches!(self, Self::Missing)
    }
}

/// Value of the type that is expected, or any other.
#[derive(Deserialize)]
#[serde(untagged)]
enum Either<T> {
    Expected(T),
    Other(IgnoredAny),
}

fn lenient<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Lenient<T>, D::Error> {
    Ok(match Either::deserialize(deserializer)? {
        Either::Expected(value) => Lenient::Value(value),
        Either::Other(IgnoredAny) => Lenient::Unusable,
    })
}

impl Sidecar {
    /// Parses a JSON file.
    pub fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if !matches!(bytes.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{')) {
            return match serde_json::from_slice::<IgnoredAny>(bytes) {
                Ok(IgnoredAny) => Self::Other,
                Err(error) => Self::Broken(error.to_string()),
            };
        }
        match serde_json::from_slice::<Fields>(bytes) {
            Ok(fields) => fields.into(),
            Err(error) => Self::Broken(error.to_string()),
        }
    }
}

impl From<Fields> for Sidecar {
    fn from(fields: Fields) -> Self {
        let is_photo = fields.photo_taken_time.is_present() || fields.url.is_present();
        let is_album = fields.album_data.is_present() || fields.title.is_present();
        if !is_photo {
            let title = fields.album_data.value().map(|album| album.title);
            let title = title.or(fields.title.value());
            return if is_album { Self::Album(title.unwrap_or_default()) } else { Self::Other };
        }
        let is_set = |flag: Lenient<bool>| flag.value().unwrap_or_default();
        Self::Photo(PhotoData {
            title: fields.title.value().filter(|title| !title.is_empty()).map(Into::into),
            taken: fields.photo_taken_time.value().and_then(|time| parse_time(&time.timestamp)),
            url: fields.url.value().filter(|url| !url.is_empty()).map(|url| hash(&url)),
            is_favorite: is_set(fields.favorited),
            is_archived: is_set(fields.archived),
            is_trashed: is_set(fields.trashed),
        })
    }
}

/// Parses a time. Google writes 0 if it has none.
fn parse_time(timestamp: &Value) -> Option<i64> {
    let seconds = match timestamp {
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_i64(),
    };
    seconds.filter(|seconds| *seconds != 0 && TIMES.contains(seconds))
}

fn hash(text: &str) -> u64 {
    SipHasher13::new().hash(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_inputs::check_property;
    use proptest::prelude::{any, prop};

    fn photo(json: &str) -> PhotoData {
        match Sidecar::parse(json.as_bytes()) {
            Sidecar::Photo(data) => data,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_sidecar_with_a_time_or_a_page_is_that_of_a_photo() {
        let data = photo(
            r#"{"title":"IMG.jpg","description":"","imageViews":"3",
            "creationTime":{"timestamp":"1700000000","formatted":"x"},
            "photoTakenTime":{"timestamp":"1691302230","formatted":"06.08.2023, 06:10:30 UTC"},
            "geoData":{"latitude":0.0},"people":[{"name":"A"}],
            "url":"https://photos.google.com/photo/AF1Qip","favorited":true,"archived":true}"#,
        );
        assert_eq!(data.title.as_deref(), Some("IMG.jpg"));
        assert_eq!(data.taken, Some(1_691_302_230));
        assert!(data.url.is_some() && data.is_favorite && data.is_archived && !data.is_trashed);
        assert_eq!(photo(r#"{"url":"x"}"#).taken, None);
        assert!(photo(r#"{"url":"x","trashed":true}"#).is_trashed);
    }

    #[test]
    fn times_are_unix_seconds_and_may_be_missing() {
        let taken = |value: &str| photo(&format!(r#"{{"photoTakenTime":{value}}}"#)).taken;
        assert_eq!(taken(r#"{"timestamp":"-86400"}"#), Some(-86_400));
        assert_eq!(taken(r#"{"timestamp":12}"#), Some(12));
        for none in [
            "null",
            "5",
            "{}",
            r#"{"timestamp":"0"}"#,
            r#"{"timestamp":""}"#,
            r#"{"timestamp":"yesterday"}"#,
            r#"{"timestamp":"99999999999999999999"}"#,
            r#"{"timestamp":"253402300800"}"#,
            r#"{"timestamp":[]}"#,
        ] {
            assert_eq!(taken(none), None, "{none}");
        }
    }

    #[test]
    fn values_of_other_types_count_as_missing() {
        let data = photo(r#"{"title":5,"url":{},"favorited":"yes","archived":1,"trashed":null}"#);
        assert_eq!(data, PhotoData::default());
    }

    #[test]
    fn albums_have_a_title_or_album_data_alone() {
        let album = |json: &str| match Sidecar::parse(json.as_bytes()) {
            Sidecar::Album(title) => Some(title),
            _ => None,
        };
        assert_eq!(album(r#"{"title":"Basement Office"}"#).as_deref(), Some("Basement Office"));
        assert_eq!(album(r#"{"title":"","enrichments":[{"x":1}]}"#).as_deref(), Some(""));
        assert_eq!(album(r#"{"albumData":{"title":"Trip","access":""}}"#).as_deref(), Some("Trip"));
        assert_eq!(album("\u{feff}{\"title\":\"BOM\"}").as_deref(), Some("BOM"));
        assert_eq!(album(r#"{"title":"x","photoTakenTime":{"timestamp":"1"}}"#), None);
    }

    #[test]
    fn other_json_and_broken_files_are_neither() {
        for other in ["{}", "[]", "5", r#"[{"title":"x"}]"#, r#"{"printSubscriptions":[]}"#] {
            assert_eq!(Sidecar::parse(other.as_bytes()), Sidecar::Other, "{other}");
        }
        for broken in [&b""[..], b"{", b"{\"title\":\"\xff\"}", b"{\"title\":\"x\"} x", b"[1"] {
            assert!(matches!(Sidecar::parse(broken), Sidecar::Broken(_)));
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(Sidecar::parse(deep.as_bytes()), Sidecar::Broken(_)));
        let deep = [r#"{"x":"#, &deep].concat();
        assert!(matches!(Sidecar::parse(deep.as_bytes()), Sidecar::Broken(_)));
    }

    #[test]
    fn whatever_a_sidecar_holds_it_has_a_kind() {
        let words = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"title\"",
            "\"photoTakenTime\"",
            "\"timestamp\"",
            "\"url\"",
            "\"albumData\"",
            "\"-5\"",
            "1e999",
            "null",
            "true",
            "\"\\ud800\"",
            " ",
        ]);
        check_property(prop::collection::vec(words, 0..40), |words| {
            Sidecar::parse(words.concat().as_bytes());
        });
        check_property(prop::collection::vec(any::<u8>(), 0..200), |bytes| {
            Sidecar::parse(&bytes);
        });
    }
}
