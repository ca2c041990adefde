//! Uploads: bytes become a token, and tokens become items.

use std::collections::HashMap;

use bytes::Bytes;
use hyper::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::answers::Refusal;
use super::ids::Ids;
use super::{Google, albums, items, media};

/// The most items of one `batchCreate`.
const BATCH: usize = 50;

const NOT_CREATED: &str = "Failed: There was an error while trying to create this media item.";
pub(super) const OVERLAP: &str = "Quota exceeded for quota 'concurrent write request' of service \
    'photoslibrary.googleapis.com'.";

/// Uploads that aren't items yet.
pub struct Uploads {
    ids: Ids,
    waiting: HashMap<String, (String, Bytes)>,
    /// Number of `batchCreate` calls in progress.
    pub committing: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BatchCreate {
    #[serde(default)]
    album_id: String,
    new_media_items: Vec<NewItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewItem {
    #[serde(default, rename = "description")]
    _description: String,
    simple_media_item: SimpleItem,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SimpleItem {
    upload_token: String,
    file_name: Option<String>,
}

impl Uploads {
    /// Starts without uploads.
    pub fn new(seed: u64) -> Self {
        Self { ids: Ids::new(seed ^ 0x0b10b), waiting: HashMap::new(), committing: 0 }
    }

    /// Uploads that never became items.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// `POST /v1/uploads`: gives the token.
pub fn upload(google: &mut Google, headers: &HeaderMap, body: Bytes) -> Result<String, Refusal> {
    let header =
        |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if header("x-goog-upload-protocol").as_deref() != Some("raw") {
        return Err(Refusal::invalid("The upload protocol must be raw."));
    }
    if body.is_empty() {
        return Err(Refusal::invalid("The upload is empty."));
    }
    *google.calls.uploads.entry(media::digest(&body)).or_default() += 1;
    let name = header("x-goog-upload-file-name").unwrap_or_default().into_owned();
    let token = google.uploads.ids.next("CAIS", 320);
    google.uploads.waiting.insert(token.clone(), (name, body));
    Ok(token)
}

/// `POST /v1/mediaItems:batchCreate`: gives the results, and whether all are good.
pub fn create(google: &mut Google, body: &[u8]) -> Result<(Value, bool), Refusal> {
    let batch: BatchCreate = super::api::parsed(body)?;
    google.calls.batches.push(batch.new_media_items.len());
    if !(1..=BATCH).contains(&batch.new_media_items.len()) {
        return Err(Refusal::invalid(format!("Request must have 1 to {BATCH} new media items.")));
    }
    if !batch.album_id.is_empty() {
        albums::writable(google, &batch.album_id, batch.new_media_items.len())?;
    }
    let mut all_good = true;
    let mut results = Vec::new();
    for NewItem { simple_media_item: new, .. } in batch.new_media_items {
        let token = new.upload_token.clone();
        results.push(match create_one(google, new) {
            Ok(place) => {
                if let Some(album) = google.library.album_mut(&batch.album_id) {
                    album.put(place);
                }
                let item = google.library.item(place).unwrap();
                let item = items::shown(google, item);
                json!({ "uploadToken": token, "status": { "message": "Success" }, "mediaItem": item })
            }
            Err((code, message)) => {
                all_good = false;
                json!({ "uploadToken": token, "status": { "code": code, "message": message } })
            }
        });
    }
    Ok((json!({ "newMediaItemResults": results }), all_good))
}

/// Makes an upload an item: the one that has its bytes already, or a new one.
fn create_one(google: &mut Google, new: SimpleItem) -> Result<usize, (i32, String)> {
    let not_created = || (3, NOT_CREATED.to_owned());
    let upload = google.uploads.waiting.remove(&new.upload_token);
    let (name, bytes) = upload.ok_or_else(not_created)?;
    let name = new.file_name.unwrap_or(name);
    if let Some((code, message)) = google.faults.of_upload(&name) {
        return Err((code, message.to_owned()));
    }
    let media_type = media::media_type(&bytes).ok_or_else(not_created)?;
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    Ok(google.library.add(&name, media_type, bytes, now))
}
