//! Reads of objects: parts that are held in memory, and whole objects that are streamed.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Response, StatusCode};
use std::collections::VecDeque;
use std::sync::Arc;

use super::server::Server;
use super::{Objects, guard, lookup};
use crate::connector::{Content, Failure, Reason};
use crate::quota::buffers::BufferReservation;
use crate::rclone::remote_path::RemotePath;

/// Largest part that is fetched at once.
const MAX_EXTENT_BYTES: u64 = 8 << 20;

/// Smallest number of bytes that a part counts for.
const MIN_EXTENT_BYTES: u64 = 4 << 10;

/// Largest chunk of a content that is made of extents.
const MAX_CHUNK_BYTES: usize = 1 << 20;

/// Bytes that this program holds of a whole object while it isn't read: the HTTP/2 window and
/// the chunks of the channel.
const STREAM_BUFFER_BYTES: u64 = 4 << 20;

/// Number of chunks of a whole object that wait for their reader.
const MAX_QUEUED_CHUNKS: usize = 2;

/// A part of an object, held in memory. Cheap to clone.
#[derive(Clone)]
pub struct Extent {
    shared: Arc<Shared>,
}

struct Shared {
    /// The bytes, in memory of their own.
    bytes: Bytes,
    _reservation: BufferReservation,
}

impl Extent {
    /// The number of bytes.
    pub fn size(&self) -> u64 {
        self.shared.bytes.len() as u64
    }

    /// Makes a content of ranges of extents, one after the other.
    ///
    /// # Errors
    ///
    /// A range isn't completely in its extent.
    pub fn join(ranges: &[(Self, u64, u64)]) -> Result<Content, Failure> {
        let mut chunks = VecDeque::new();
        for (extent, offset, length) in ranges {
            let mut range = extent.slice(*offset, *length).ok_or_else(|| {
                let size = extent.size();
                Failure::internal(format!(
                    "{length} bytes from {offset} aren't in an extent of {size} bytes"
                ))
            })?;
            while !range.is_empty() {
                chunks.push_back(range.split_to(range.len().min(MAX_CHUNK_BYTES)));
            }
        }
        let extents: Vec<Self> = ranges.iter().map(|(extent, ..)| extent.clone()).collect();
        Ok(Content::complete(chunks).with_reservation(extents))
    }

    /// A range of the extent; `None` if it isn't completely in it.
    fn slice(&self, offset: u64, length: u64) -> Option<Bytes> {
        let end = offset.checked_add(length).filter(|end| *end <= self.size())?;
        let (offset, end) = (usize::try_from(offset).ok()?, usize::try_from(end).ok()?);
        Some(self.shared.bytes.slice(offset..end))
    }
}

/// Fetches a part of an object.
///
/// # Errors
///
/// The part is too large, the object doesn't exist, or it can't be read.
pub async fn fetch(
    objects: &Objects,
    path: &RemotePath,
    offset: u64,
    length: u64,
) -> Result<Extent, Failure> {
    if length > MAX_EXTENT_BYTES {
        return Err(Failure::internal(format!("an extent of {length} bytes is too large")));
    }
    let buffers = objects.session().buffers();
    let reserve = |length: u64| {
        let reservation = buffers.try_hold(length.max(MIN_EXTENT_BYTES));
        reservation.ok_or_else(|| buffers.full())
    };
    // The server would look up an object that may change once more than it is asked to.
    let is_begin = offset == 0 && length > 0;
    let (bytes, reservation) = if guard::may_change(path) && is_begin {
        let reservation = reserve(length)?;
        (fetch_begin(objects, path, length).await?, reservation)
    } else {
        let size = lookup::size(objects, path).await?.ok_or_else(|| not_found(path))?;
        let length = length.min(size.saturating_sub(offset));
        let reservation = reserve(length)?;
        let fetched = match length {
            // rclone would answer with a negative length where a part begins after the end.
            0 => Ok(Bytes::new()),
            _ => fetch_range(objects, path, offset, length).await,
        };
        let forget = |_: &Failure| {
            objects.sizes().remove(&**path);
        };
        (fetched.inspect_err(forget)?, reservation)
    };
    Ok(Extent { shared: Arc::new(Shared { bytes, _reservation: reservation }) })
}

/// Fetches exactly `length` bytes.
async fn fetch_range(
    objects: &Objects,
    path: &RemotePath,
    offset: u64,
    length: u64,
) -> Result<Bytes, Failure> {
    let server = objects.server_of(path).await?;
    let response = request_range(objects, &server, path, offset, length).await?;
    collect(&server, response.into_body(), length).await
}

/// Fetches the first `length` bytes, or all of a shorter object.
async fn fetch_begin(objects: &Objects, path: &RemotePath, length: u64) -> Result<Bytes, Failure> {
    let server = objects.server_of(path).await?;
    let response = request_range(objects, &server, path, 0, length).await?;
    let announced = response.headers().get("content-length");
    let announced = announced.and_then(|text| text.to_str().ok()?.parse().ok());
    let announced = announced.filter(|announced| *announced <= length).ok_or_else(|| {
        let message = format!("`{path}`: rclone didn't say how many bytes it sends");
        Failure::new(Reason::Unavailable, message)
    })?;
    collect(&server, response.into_body(), announced).await
}

/// Asks for a range of an object. The answer has it, or less where the object ends.
async fn request_range(
    objects: &Objects,
    server: &Server,
    path: &RemotePath,
    offset: u64,
    length: u64,
) -> Result<Response<Incoming>, Failure> {
    let range = format!("bytes={offset}-{}", offset + length - 1);
    let response = server.request(Method::GET, path, Some(range)).await?;
    check_found(objects, server, response, path).await
}

/// Collects a body of exactly `length` bytes.
async fn collect(server: &Server, mut body: Incoming, length: u64) -> Result<Bytes, Failure> {
    // A chunk of the connection may keep a much larger piece of memory.
    let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
    while let Some(chunk) = next_chunk(server, &mut body).await? {
        let count = (bytes.len() + chunk.len()) as u64;
        if count > length {
            return Err(short(count, length));
        }
        bytes.extend_from_slice(&chunk);
    }
    match bytes.len() as u64 {
        count if count == length => Ok(bytes.freeze()),
        count => Err(short(count, length)),
    }
}

/// Reads a whole object.
///
/// # Errors
///
/// The object doesn't exist, has a different size, or can't be read.
pub async fn read(
    objects: &Objects,
    path: &RemotePath,
    expected: Option<u64>,
) -> Result<Content, Failure> {
    let Some(size) = lookup::size(objects, path).await? else {
        return Err(not_found(path));
    };
    if expected.is_some_and(|expected| expected != size) {
        objects.sizes().remove(&**path);
        let message =
            format!("`{path}` has {size} bytes where {} were listed", expected.unwrap_or(0));
        return Err(Failure::new(Reason::Corrupted, message));
    }
    let reservation = objects.session().buffers().reserve(size.min(STREAM_BUFFER_BYTES)).await?;
    let server = objects.server_of(path).await?;
    let response = server.request(Method::GET, path, None).await?;
    let mut body = check_found(objects, &server, response, path).await?.into_body();
    let (writer, content) = Content::channel(MAX_QUEUED_CHUNKS);
    tokio::spawn(async move {
        let mut count = 0;
        let result = loop {
            let Ok(permit) = writer.bytes().reserve().await else { return };
            match next_chunk(&server, &mut body).await {
                Ok(Some(chunk)) => {
                    count += chunk.len() as u64;
                    permit.send(chunk);
                }
                Ok(None) if count == size => break Ok(()),
                Ok(None) => break Err(short(count, size)),
                Err(failure) => break Err(failure),
            }
        };
        writer.finish(result);
    });
    Ok(content.with_reservation(reservation))
}

/// Returns an answer that has the object, or a part of it.
async fn check_found(
    objects: &Objects,
    server: &Server,
    response: Response<Incoming>,
    path: &RemotePath,
) -> Result<Response<Incoming>, Failure> {
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
        status => {
            let failure = server.reason(path, status);
            objects.sizes().remove(&**path);
            // The server says 404 for every failure to open an object.
            match lookup::present_size(objects, path).await? {
                None => Err(not_found(path)),
                Some(_) if failure.reason == Reason::NotFound => {
                    Err(Failure { reason: Reason::Unavailable, ..failure })
                }
                Some(_) => Err(failure),
            }
        }
    }
}

/// The next bytes of a body; `None` at its end.
async fn next_chunk(server: &Server, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    loop {
        let waiting = server.process().activity().begin_wait();
        let frame = body.frame().await;
        drop(waiting);
        let Some(frame) = frame else { return Ok(None) };
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Err(server.broken(&error).await),
        };
        // Everything else is a trailer.
        if let Ok(chunk) = frame.into_data() {
            server.process().activity().record_answer();
            server.process().throttle(chunk.len()).await;
            return Ok(Some(chunk));
        }
    }
}

fn not_found(path: &RemotePath) -> Failure {
    Failure::new(Reason::NotFound, format!("`{path}` doesn't exist"))
}

fn short(count: u64, expected: u64) -> Failure {
    Failure::new(Reason::Unavailable, format!("{count} bytes came where {expected} were expected"))
}
