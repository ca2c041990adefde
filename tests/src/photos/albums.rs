//! Albums in the API: listed, created, filled.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Google;
use super::answers::Refusal;
use super::library::Album;
use super::{downloads, oauth, pages};

/// Number of albums of a page by default, and at most.
const PAGE: (usize, usize) = (20, 50);
/// The most items of one change, and of one album.
const CHANGES: usize = 50;
const ITEMS: usize = 20_000;
/// The longest title, in characters.
const TITLE: usize = 500;

/// `GET /v1/albums` and `GET /v1/sharedAlbums`
pub fn list(
    google: &Google,
    shared: bool,
    query: &HashMap<String, String>,
) -> Result<Value, Refusal> {
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    let asked = match field("pageSize") {
        "" => 0,
        text => text.parse().map_err(|_| Refusal::invalid("Invalid value at 'page_size'."))?,
    };
    let size = pages::size(asked, PAGE.0, PAGE.1)?;
    let question = pages::question(&format!("{shared} {size}"));
    let after = pages::after(question, field("pageToken"))?;
    let from = after.map_or(0, |(_, place)| place + 1);
    let albums = google.library.albums().iter().enumerate().skip(from);
    let found: Vec<_> = albums.filter(|(_, album)| album.shared == shared).take(size + 1).collect();
    let mut answer = json!({});
    if !found.is_empty() {
        let name = if shared { "sharedAlbums" } else { "albums" };
        answer[name] = found.iter().take(size).map(|(_, album)| shown(google, album)).collect();
    }
    if found.len() > size {
        answer["nextPageToken"] = pages::token(question, (0, found[size - 1].0)).into();
    }
    Ok(answer)
}

/// `POST /v1/albums`
pub fn create(google: &mut Google, body: &[u8]) -> Result<Value, Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Create {
        album: New,
    }
    #[derive(Deserialize)]
    struct New {
        title: String,
    }
    let Create { album: New { title } } = super::api::parsed(body)?;
    match title.chars().count() {
        1..=TITLE => {}
        0 => return Err(Refusal::invalid("Request must have an album title.")),
        _ => return Err(Refusal::invalid("Request had an album title that is too long.")),
    }
    let place = google.library.add_album(&title, false);
    Ok(shown(google, &google.library.albums()[place]))
}

/// `POST /v1/albums/ID:batchAddMediaItems` and `:batchRemoveMediaItems`
pub fn change(google: &mut Google, id: &str, adds: bool, body: &[u8]) -> Result<Value, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Change {
        media_item_ids: Vec<String>,
    }
    let Change { media_item_ids: ids } = super::api::parsed(body)?;
    if ids.is_empty() || ids.len() > CHANGES {
        return Err(Refusal::invalid(format!("Request must have 1 to {CHANGES} media item ids.")));
    }
    let mut places = Vec::new();
    for id in &ids {
        let place = google.library.place(id);
        let place = place.filter(|place| {
            google.library.item(*place).is_some_and(|item| item.app_created && !item.vanished)
        });
        let invalid = || Refusal::invalid("Request contains an invalid media item id.");
        places.push(place.ok_or_else(invalid)?);
    }
    writable(google, id, if adds { places.len() } else { 0 })?;
    let album = google.library.album_mut(id).unwrap();
    for place in places {
        if adds {
            album.put(place);
        } else {
            album.take_out(place);
        }
    }
    Ok(json!({}))
}

/// Whether so many more items may go into an album.
pub fn writable(google: &Google, id: &str, more: usize) -> Result<(), Refusal> {
    match google.library.album(id) {
        None => Err(Refusal::invalid("Invalid album ID.")),
        Some(album) if album.shared => {
            Err(Refusal::new(403, "No permission to add media items to this album."))
        }
        Some(album) if album.items.len() + more > ITEMS => {
            Err(Refusal::invalid(format!("An album holds at most {ITEMS} media items.")))
        }
        Some(_) => Ok(()),
    }
}

/// An album as the API shows it. What is empty isn't there.
fn shown(google: &Google, album: &Album) -> Value {
    let mut value = json!({
        "id": album.id,
        "title": album.title,
        "productUrl": format!("https://photos.google.com/lr/album/{}", album.id),
    });
    // Google tells what the granted scopes allow, not only whose the album is.
    if !album.shared && google.settings.scopes.contains(&oauth::APPEND) {
        value["isWriteable"] = true.into();
    }
    if album.shared {
        value["shareInfo"] = json!({ "isJoined": true, "isOwned": false });
    }
    if !album.items.is_empty() {
        value["mediaItemsCount"] = album.items.len().to_string().into();
    }
    if let Some((_, cover)) = google.library.of_album(album, 0).next() {
        value["coverPhotoBaseUrl"] = downloads::url(&cover.id, google.settings.url_life).into();
        value["coverPhotoMediaItemId"] = cover.id.clone().into();
    }
    value
}
