//! Items' bytes, by URLs that expire. A request with such a URL needs no token.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, RANGE};
use hyper::{HeaderMap, Method};

use super::Google;
use super::answers::{self, Answer, Refusal};
use super::ids;
use super::library::Item;

/// Host of the downloads.
pub const HOST: &str = "lh3.googleusercontent.com";

/// A number in a URL: sixteen hexadecimal digits.
const NUMBER: usize = 16;

/// The URL of an item's bytes, from now on for so long.
pub fn url(id: &str, life: Duration) -> String {
    let expiry = now() + u64::try_from(life.as_millis()).unwrap();
    format!("https://{HOST}/lr/{id}{expiry:016x}{:016x}", seal(id, expiry))
}

/// Answers a request for bytes.
pub fn answer(google: &mut Google, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
    google.downloaded += 1;
    if google.downloaded > google.settings.download_quota {
        return Refusal::new(429, "Rate-limited: too many requests.").page();
    }
    match find(google, method, path) {
        Ok((item, original)) if original => send(google, method, &item, headers),
        // Without `=d` or `=dv` there is a small picture to be had, not the item.
        Ok(_) => answers::typed(200, "image/jpeg", Bytes::from_static(b"\xff\xd8\xffpreview")),
        Err(refusal) => refusal.page(),
    }
}

/// The item that a URL means, and whether its own bytes are asked for.
fn find(google: &mut Google, method: &Method, path: &str) -> Result<(Item, bool), Refusal> {
    let missing = || Refusal::new(404, "The requested URL was not found on this server.");
    if method != Method::GET && method != Method::HEAD {
        return Err(Refusal::new(405, "The request method is inappropriate for the URL."));
    }
    let path = path.strip_prefix("/lr/").ok_or_else(missing)?;
    let (path, suffix) = path.split_once('=').unwrap_or((path, ""));
    if !path.is_ascii() || path.len() != ids::ITEM + 2 * NUMBER {
        return Err(missing());
    }
    let (id, numbers) = path.split_at(ids::ITEM);
    let number = |text| u64::from_str_radix(text, 16).unwrap_or_default();
    let (expiry, given) = (number(&numbers[..NUMBER]), number(&numbers[NUMBER..]));
    if given != seal(id, expiry) || expiry < now() {
        let denied = "Your client does not have permission to get this URL from this server.";
        return Err(Refusal::new(403, denied));
    }
    let item = google.library.place(id).and_then(|place| google.library.item(place));
    let item = item.filter(|item| !item.vanished).ok_or_else(missing)?;
    let original = suffix == if item.is_video() { "dv" } else { "d" };
    Ok((item.clone(), original))
}

fn send(google: &mut Google, method: &Method, item: &Item, headers: &HeaderMap) -> Answer {
    let (size, media_type) = (item.bytes.len(), item.media_type);
    if method == Method::HEAD {
        let mut answer = answers::typed(200, media_type, Bytes::new());
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
        return answer;
    }
    *google.calls.downloads.entry(item.id.clone()).or_default() += 1;
    let (status, start, end) = match range(headers, size) {
        Some((start, end)) => (206, start, end),
        None => (200, 0, size),
    };
    let bytes = item.bytes.slice(start..end);
    let mut answer = match google.faults.of_download(&item.id) {
        Some(after) => answers::broken(status, media_type, bytes.slice(..after.min(bytes.len()))),
        None if google.settings.sized => answers::typed(status, media_type, bytes),
        None => answers::streamed(status, media_type, bytes),
    };
    if status == 206 {
        let range = format!("bytes {start}-{}/{size}", end - 1);
        answer.headers_mut().insert(CONTENT_RANGE, range.try_into().unwrap());
    }
    answer
}

/// The part that is asked for, if it can be had.
fn range(headers: &HeaderMap, size: usize) -> Option<(usize, usize)> {
    let range = headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (start, end) = range.split_once('-')?;
    let start: usize = start.parse().ok()?;
    let end = match end {
        "" => size,
        end => size.min(end.parse::<usize>().ok()? + 1),
    };
    (start < end).then_some((start, end))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// Keeps an expiry from being changed.
fn seal(id: &str, expiry: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (id, expiry).hash(&mut hasher);
    hasher.finish()
}
