//! The JSON files of an export: one beside each photo, and one for each album.

use serde_json::{Value, json};

use super::languages::Language;
use super::library::{Album, Description, Photo, Place, Sidecar};
use fastrand::Rng;

/// The sidecar of a photo. `copy` is a number that differs between the copies of a sidecar, and
/// between exports: so do some of its fields.
pub fn of_photo(photo: &Photo, number: usize, language: Language, copy: u64) -> String {
    let formatted = language.names().formatted;
    let time = |seconds: i64| json!({ "timestamp": seconds.to_string(), "formatted": formatted });
    let place = json!({
        "latitude": 0.0, "longitude": 0.0, "altitude": 0.0, "latitudeSpan": 0.0, "longitudeSpan": 0.0
    });
    let mut sidecar = json!({
        "title": photo.title,
        "description": "",
        "imageViews": (copy % 1000).to_string(),
        "creationTime": time(photo.taken + 3600 + i64::try_from(copy % 7).unwrap()),
        "photoTakenTime": time(photo.taken),
        "geoData": place,
        "geoDataExif": place,
        "url": format!("https://photos.google.com/photo/{}", page(number)),
        "googlePhotosOrigin": origin(photo),
    });
    let fields = sidecar.as_object_mut().unwrap();
    for (flag, set) in [
        ("favorited", photo.favorite),
        ("archived", photo.place == Place::Archive),
        ("trashed", photo.place == Place::Trash),
    ] {
        if set {
            fields.insert(flag.to_owned(), Value::Bool(true));
        }
    }
    match photo.sidecar {
        Sidecar::WithoutTime => drop(fields.remove("photoTakenTime")),
        Sidecar::ZeroTime => drop(fields.insert("photoTakenTime".to_owned(), time(0))),
        _ => {}
    }
    let mut text = serde_json::to_string_pretty(&sidecar).unwrap();
    if photo.sidecar == Sidecar::Broken {
        text.truncate(text.len() / 2);
    }
    text
}

fn origin(photo: &Photo) -> Value {
    if photo.partner {
        return json!({ "fromPartnerSharing": {} });
    }
    json!({ "mobileUpload": { "deviceFolder": { "localFolderName": "" }, "deviceType": "ANDROID_PHONE" } })
}

/// The 44 characters of the page of a photo.
fn page(number: usize) -> String {
    let mut bytes = Rng::with_seed(number as u64 ^ 0x5eed);
    let text: String = (0..38)
        .map(|_| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[(bytes.u64(..) % 32) as usize]))
        .collect();
    format!("AF1Qip{text}")
}

/// The description of an album.
pub fn of_album(album: &Album, language: Language) -> String {
    let full = json!({
        "title": album.title,
        "description": "",
        "access": "protected",
        "date": { "timestamp": "1691302230", "formatted": language.names().formatted },
        "location": "",
        "geoData": { "latitude": 0.0, "longitude": 0.0, "altitude": 0.0 },
    });
    let described = match album.description {
        Description::Full => full,
        Description::TitleOnly => json!({ "title": album.title }),
        Description::AlbumData => json!({ "albumData": full }),
    };
    serde_json::to_string_pretty(&described).unwrap()
}
