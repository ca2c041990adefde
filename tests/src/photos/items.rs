//! Items in the API: one by its id, and searched for.

use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::Google;
use super::answers::Refusal;
use super::filters::Filters;
use super::library::Item;
use super::{downloads, pages};

/// Number of items of a page by default, and at most.
const PAGE: (usize, usize) = (25, 100);

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Search {
    album_id: String,
    page_size: i64,
    page_token: String,
    filters: Option<Filters>,
    #[serde(rename = "orderBy")]
    _order_by: String,
}

/// `POST /v1/mediaItems:search`
pub fn search(google: &Google, body: &[u8]) -> Result<Value, Refusal> {
    let search: Search = super::api::parsed(body)?;
    let size = pages::size(search.page_size, PAGE.0, PAGE.1)?;
    let question = question(body);
    let after = pages::after(question, &search.page_token)?;
    let found = if search.album_id.is_empty() {
        let filters = search.filters.unwrap_or_default();
        filters.check()?;
        let seen = google.library.newest(after);
        let seen = seen.filter(|(_, item)| item.app_created && filters.take(item));
        let seen = seen.map(|(place, item)| ((item.created.unix_timestamp(), place), item));
        seen.take(size + 1).collect::<Vec<_>>()
    } else {
        if search.filters.is_some() {
            return Err(Refusal::invalid("albumId and filters can't be set together."));
        }
        google.faults.of_album(&search.album_id)?;
        let album = google.library.album(&search.album_id);
        let album = album.ok_or_else(|| Refusal::invalid("Invalid album ID."))?;
        let from = after.map_or(0, |(_, position)| position + 1);
        let seen = google.library.of_album(album, from).filter(|(_, item)| item.app_created);
        seen.map(|(position, item)| ((0, position), item)).take(size + 1).collect()
    };
    let mut answer = json!({});
    if !found.is_empty() {
        let page = found.iter().take(size);
        answer["mediaItems"] = page.map(|(_, item)| shown(google, item)).collect();
    }
    if found.len() > size {
        answer["nextPageToken"] = pages::token(question, found[size - 1].0).into();
    }
    Ok(answer)
}

/// The request without its page token.
fn question(body: &[u8]) -> u64 {
    let mut question: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(fields) = question.as_object_mut() {
        fields.remove("pageToken");
    }
    pages::question(&question.to_string())
}

/// `GET /v1/mediaItems/ID`
pub fn get(google: &Google, id: &str) -> Result<Value, Refusal> {
    let item = google.library.place(id).and_then(|place| google.library.item(place));
    match item.filter(|item| item.app_created && !item.vanished) {
        Some(item) => Ok(shown(google, item)),
        None => Err(Refusal::new(404, "Requested entity was not found.")),
    }
}

/// An item as the API shows it.
pub fn shown(google: &Google, item: &Item) -> Value {
    let mut metadata = json!({
        "creationTime": item.created.format(&Rfc3339).unwrap(),
        "width": "4032",
        "height": "3024",
    });
    if item.is_video() {
        metadata["video"] = json!({ "fps": 30, "status": "READY" });
    } else {
        metadata["photo"] = json!({ "cameraMake": "Plakbox", "cameraModel": "One" });
    }
    json!({
        "id": item.id,
        "productUrl": format!("https://photos.google.com/lr/photo/{}", item.id),
        "baseUrl": downloads::url(&item.id, google.settings.url_life),
        "mimeType": item.media_type,
        "mediaMetadata": metadata,
        "filename": item.name,
    })
}
