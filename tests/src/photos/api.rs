//! The Photos Library API: what a call must bring, and which room answers it.

use std::sync::MutexGuard;

use bytes::Bytes;
use hyper::Method;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answers::{Answer, Refusal, json, text};
use super::calls::Call;
use super::{Google, Shared, albums, items, oauth, uploads};

/// Host of the API.
pub const HOST: &str = "photoslibrary.googleapis.com";

const DAY_IS_OVER: &str = "Quota exceeded for quota metric 'All requests' and limit 'All requests \
    per day' of service 'photoslibrary.googleapis.com' for consumer \
    'project_number:202264815644'.";

/// Returns the kind of a call, and the id in its path.
pub fn kind<'a>(method: &Method, path: &'a str) -> (Call, &'a str) {
    let reads = method == Method::GET;
    let writes = method == Method::POST;
    match path.strip_prefix("/v1/").unwrap_or_default() {
        "albums" if reads => (Call::Albums, ""),
        "sharedAlbums" if reads => (Call::SharedAlbums, ""),
        "mediaItems:search" if writes => (Call::Search, ""),
        "albums" if writes => (Call::CreateAlbum, ""),
        "mediaItems:batchCreate" if writes => (Call::BatchCreate, ""),
        "uploads" if writes => (Call::Upload, ""),
        rest => match rest.split_once('/') {
            Some(("mediaItems", id)) if reads => (Call::Get, id),
            Some(("albums", rest)) if writes => match rest.split_once(':') {
                Some((id, "batchAddMediaItems")) => (Call::AddToAlbum, id),
                Some((id, "batchRemoveMediaItems")) => (Call::RemoveFromAlbum, id),
                _ => (Call::Unknown, ""),
            },
            _ => (Call::Unknown, ""),
        },
    }
}

/// Answers a call whose kind is known and noted.
pub async fn answer(shared: &Shared, call: Call, request: &Parts, body: Bytes) -> Answer {
    if let Err(refusal) = admit(&mut shared.lock().unwrap(), call, request) {
        return refusal.json();
    }
    if call == Call::BatchCreate {
        return commit(shared, &body).await;
    }
    let google = shared.lock().unwrap();
    match call {
        Call::Upload => upload(google, request, body),
        _ => run(google, call, request, &body).map(|value| json(200, &value)),
    }
    .unwrap_or_else(|refusal| refusal.json())
}

/// Whether a call may be made: its token, its scope, the day's quota.
fn admit(google: &mut Google, call: Call, request: &Parts) -> Result<(), Refusal> {
    let authorization = request.headers.get(AUTHORIZATION);
    google.grants.check(authorization.and_then(|value| value.to_str().ok()))?;
    google.used += 1;
    if google.used > google.settings.quota {
        return Err(Refusal::new(429, DAY_IS_OVER));
    }
    let scope = match call {
        Call::CreateAlbum | Call::BatchCreate | Call::Upload => oauth::APPEND,
        Call::AddToAlbum | Call::RemoveFromAlbum => oauth::EDIT,
        _ => oauth::READ,
    };
    let ended = call == Call::SharedAlbums && !google.settings.sharing;
    if ended || !google.settings.scopes.contains(&scope) {
        return Err(Refusal::new(403, "Request had insufficient authentication scopes."));
    }
    Ok(())
}

fn run(
    mut google: MutexGuard<'_, Google>,
    call: Call,
    request: &Parts,
    body: &[u8],
) -> Result<Value, Refusal> {
    let google = &mut *google;
    let (_, id) = kind(&request.method, request.uri.path());
    let query = oauth::fields(request.uri.query().unwrap_or_default().as_bytes());
    match call {
        Call::Albums => albums::list(google, false, &query),
        Call::SharedAlbums => albums::list(google, true, &query),
        Call::Search => items::search(google, body),
        Call::Get => items::get(google, id),
        Call::CreateAlbum => albums::create(google, body),
        Call::AddToAlbum => albums::change(google, id, true, body),
        Call::RemoveFromAlbum => albums::change(google, id, false, body),
        _ => Err(Refusal::new(404, "Requested entity was not found.")),
    }
}

fn upload(
    mut google: MutexGuard<'_, Google>,
    request: &Parts,
    body: Bytes,
) -> Result<Answer, Refusal> {
    uploads::upload(&mut google, &request.headers, body).map(text)
}

/// Commits a batch, unless another one of the account is being committed.
async fn commit(shared: &Shared, body: &[u8]) -> Answer {
    let takes = {
        let google = &mut *shared.lock().unwrap();
        let at_once = google.uploads.committing + 1;
        google.calls.batches_at_once = google.calls.batches_at_once.max(at_once);
        if at_once > 1 {
            return Refusal::new(429, uploads::OVERLAP).json();
        }
        google.uploads.committing = at_once;
        google.settings.commit
    };
    tokio::time::sleep(takes).await;
    let google = &mut *shared.lock().unwrap();
    google.uploads.committing -= 1;
    match uploads::create(google, body) {
        Ok((results, true)) => json(200, &results),
        // Multi-Status: some of them failed.
        Ok((results, false)) => json(207, &results),
        Err(refusal) => refusal.json(),
    }
}

/// A request's body; what Google doesn't know is refused.
pub fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))
}
