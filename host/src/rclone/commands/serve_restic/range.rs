//! Reads of a part of a file: a request with a range, whose answer has to be that range.

use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName};
use hyper::{Response, StatusCode};
use std::collections::VecDeque;

use super::{Reader, max_buffered_bytes, parse_path};
use crate::connector::{Content, Failure, Reason};

impl Reader {
    /// Reads exactly `length` bytes of a file below the reader's root, from `offset` on. An
    /// overload is retried here, where rclone has its connections.
    ///
    /// # Errors
    ///
    /// The path isn't below the root, the file can't be opened or ends before, or the backend
    /// can't read from the middle of a file.
    pub async fn read_range(
        &self,
        path: &str,
        offset: u64,
        length: u64,
    ) -> Result<Content, Failure> {
        let mut retry = self.session.concurrency().retry();
        loop {
            match self.open_range(path, offset, length).await {
                Ok(content) => return Ok(content),
                Err(failure) => self.before_retry(&mut retry, failure).await?,
            }
        }
    }

    async fn open_range(&self, path: &str, offset: u64, length: u64) -> Result<Content, Failure> {
        let path = parse_path(path)?;
        if self.session.remote().lacks_range_support() {
            return Err(Failure::new(
                Reason::Unsupported,
                format!("a part of `{path}` can't be read: web servers may ignore ranges"),
            )
            .with_help("copy the files to a remote of another kind first"));
        }
        let Some(end) = offset.checked_add(length) else { return Err(short(&path)) };
        if length == 0 {
            return Ok(Content::complete(VecDeque::new()));
        }
        let reserved = self.session.buffers().reserve(max_buffered_bytes(Some(length))).await?;
        let response = self.request(&path, Some(&format!("bytes={offset}-{}", end - 1))).await?;
        if !response.status().is_success() {
            return Err(self.refusal(&path, response.status()));
        }
        check_range(&response, &path, offset, length)?;
        // What the file has after the range doesn't belong to the content.
        let reader = Self { may_truncate: false, ..self.clone() };
        let content = reader.buffer_start(response.into_body(), path, Some(length)).await?;
        Ok(content.with_reservation(reserved))
    }
}

/// Checks that an answer has the range that was asked for.
///
/// Source: rclone's lib/http/serve/serve.go, which shortens a range at the end of the file.
fn check_range<T>(
    response: &Response<T>,
    path: &str,
    offset: u64,
    length: u64,
) -> Result<(), Failure> {
    let range = text(response.headers(), CONTENT_RANGE).and_then(parse_content_range);
    let is_partial = response.status() == StatusCode::PARTIAL_CONTENT;
    let range = range.filter(|(first, _)| is_partial && *first == offset);
    let Some((first, last)) = range else { return Err(not_a_range(path)) };
    let count = text(response.headers(), CONTENT_LENGTH).and_then(|text| text.parse().ok());
    if last.checked_sub(first) != Some(length - 1) || count != Some(length) {
        return Err(short(path));
    }
    Ok(())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The first and the last byte of a `Content-Range`.
fn parse_content_range(text: &str) -> Option<(u64, u64)> {
    let (range, _) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn not_a_range(path: &str) -> Failure {
    let message = format!("rclone's server didn't return the part of `{path}` that was asked for");
    Failure::new(Reason::Unsupported, message)
}

fn short(path: &str) -> Failure {
    let message = format!("`{path}` is shorter than it was listed");
    Failure::new(Reason::Corrupted, message).with_help("run the backup again")
}

#[cfg(test)]
mod tests {
    use hyper::Response;
    use std::fs;

    use super::*;
    use crate::rclone::objects::tests::{Place, bytes_of};
    use crate::rclone::remote_path::RemotePath;

    fn checked(status: u16, range: &str, count: &str) -> Result<(), Reason> {
        let answer = Response::builder().status(status).header(CONTENT_RANGE, range);
        let answer = answer.header(CONTENT_LENGTH, count).body(()).unwrap();
        check_range(&answer, "file", 10, 5).map_err(|failure| failure.reason)
    }

    #[test]
    fn only_the_range_that_was_asked_for_is_taken() {
        assert_eq!(checked(206, "bytes 10-14/100", "5"), Ok(()));
        assert_eq!(checked(206, "bytes 10-14/*", "5"), Ok(()));
        assert_eq!(checked(200, "bytes 10-14/100", "5"), Err(Reason::Unsupported));
        assert_eq!(checked(206, "bytes 0-14/100", "15"), Err(Reason::Unsupported));
        assert_eq!(checked(206, "10-14", "5"), Err(Reason::Unsupported));
        assert_eq!(checked(206, "bytes 10-12/13", "3"), Err(Reason::Corrupted));
        assert_eq!(checked(206, "bytes 10-14/100", "-5"), Err(Reason::Corrupted));
        assert_eq!(checked(206, "bytes 10-9/10", "0"), Err(Reason::Corrupted));
    }

    #[tokio::test]
    async fn a_part_of_a_file_is_exactly_what_was_asked_for() {
        let place = Place::new();
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|number| (number / 7) as u8).collect();
        fs::create_dir(place.store().join("data")).unwrap();
        for name in ["file", "data/file", "with space, (1).zip"] {
            fs::write(place.store().join(name), &bytes).unwrap();
        }
        let session = place.local_session().await;
        let root = RemotePath::parse_or_root("").unwrap();
        let reader = Reader::start(&session, root).await.unwrap();
        for (offset, length) in
            [(0, 1), (0, 5_000_000), (4_999_999, 1), (1_000_000, 3_000_000), (7, 1 << 20), (9, 0)]
        {
            let content = reader.read_range("file", offset, length).await.unwrap();
            let expected = &bytes[offset as usize..(offset + length) as usize];
            assert!(bytes_of(content).await == expected, "{length} from {offset}");
        }
        let content = reader.read_range("with space, (1).zip", 5, 7).await.unwrap();
        assert_eq!(bytes_of(content).await, bytes[5..12]);
        for (path, offset, length, reason) in [
            ("file", 4_999_999, 2, Reason::Corrupted),
            ("file", u64::MAX, 2, Reason::Corrupted),
            ("data/file", 0, 1, Reason::Unsupported),
            ("../file", 0, 1, Reason::Denied),
            ("missing", 0, 1, Reason::NotFound),
        ] {
            let failed = reader.read_range(path, offset, length).await.err().unwrap();
            assert_eq!(failed.reason, reason, "{path}: {}", failed.message);
        }
        for offset in [5_000_000, 6_000_000] {
            assert!(reader.read_range("file", offset, 1).await.is_err());
        }
        let content = reader.read_range("file", 1, 2).await.unwrap();
        assert_eq!(bytes_of(content).await, bytes[1..3], "the server still answers");
    }
}
