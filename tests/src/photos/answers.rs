//! Answers in Google's shapes: JSON, its errors, plain text, pages, and bytes.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// A reply with a body of any kind.
pub type Answer = Response<BoxBody<Bytes, io::Error>>;

/// Why a call is refused.
#[derive(Debug)]
pub struct Refusal {
    /// Its HTTP status.
    pub status: u16,
    /// Its message.
    pub message: String,
}

impl Refusal {
    /// Creates a refusal.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The request is invalid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// As the API says it.
    pub fn json(&self) -> Answer {
        let error = json!({ "code": self.status, "message": self.message, "status": self.name() });
        json(self.status, &json!({ "error": error }))
    }

    /// As the servers of the bytes say it: a page for a person, or an image that says no.
    pub fn page(&self) -> Answer {
        if self.status == 404 {
            return typed(404, "image/png", Bytes::from_static(b"\x89PNG\r\n\x1a\n"));
        }
        let status = StatusCode::from_u16(self.status).unwrap();
        let page = format!(
            "<!DOCTYPE html><html lang=en><title>Error {0} ({1})!!1</title>\
             <p><b>{0}.</b> <ins>That\u{2019}s an error.</ins><p>{2} <ins>That\u{2019}s all we \
             know.</ins>",
            self.status,
            status.canonical_reason().unwrap_or_default(),
            self.message,
        );
        typed(self.status, "text/html; charset=UTF-8", page.into())
    }

    /// The name that Google's APIs give to a status.
    fn name(&self) -> &'static str {
        match self.status {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            409 => "ABORTED",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            _ => "INTERNAL",
        }
    }
}

/// Creates a reply with JSON.
pub fn json(status: u16, value: &Value) -> Answer {
    typed(status, "application/json; charset=UTF-8", value.to_string().into())
}

/// Creates a reply with text.
pub fn text(text: String) -> Answer {
    typed(200, "text/plain", text.into())
}

/// A body whose length is told.
pub fn typed(status: u16, kind: &'static str, body: Bytes) -> Answer {
    answer(status, kind, Full::new(body).map_err(|never| match never {}).boxed())
}

/// A body that comes piece by piece, its length untold.
pub fn streamed(status: u16, kind: &'static str, body: Bytes) -> Answer {
    let pieces = (0..body.len()).step_by(64 << 10).map(move |start| {
        let end = body.len().min(start + (64 << 10));
        Ok(Frame::data(body.slice(start..end)))
    });
    let body = StreamBody::new(tokio_stream::iter(pieces.collect::<Vec<_>>()));
    answer(status, kind, BodyExt::boxed(body))
}

/// A body that breaks off after these bytes.
pub fn broken(status: u16, kind: &'static str, body: Bytes) -> Answer {
    let (sender, pieces) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let _ = sender.send(Ok(Frame::data(body))).await;
        // The bytes are to arrive: an error at once would throw them away.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let _ = sender.send(Err(io::Error::other("broken off"))).await;
    });
    let pieces = tokio_stream::wrappers::ReceiverStream::new(pieces);
    answer(status, kind, BodyExt::boxed(StreamBody::new(pieces)))
}

fn answer(status: u16, kind: &'static str, body: BoxBody<Bytes, io::Error>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status.try_into().unwrap();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
