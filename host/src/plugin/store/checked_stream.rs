//! Distinguishes a stream that Plakar has ended from one that it has reset, as it does when it is
//! interrupted: tonic reports a reset with the reason CANCEL as an end, hyper one with NO_ERROR,
//! and an object that was cut off must not look complete.

use bytes::Bytes;
use hyper::body::Frame;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::codegen::{Body as HttpBody, Service};
use tonic::server::NamedService;

/// A service whose streams of requests fail unless the client has ended them.
#[derive(Clone)]
pub struct CheckedStreams<S>(pub S);

impl<S: NamedService> NamedService for CheckedStreams<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for CheckedStreams<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.0.call(request.map(|body| Body::new(CheckedBody(body))))
    }
}

/// The body of a request.
struct CheckedBody(Body);

impl HttpBody for CheckedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(context));
        // Only a frame with the flag END_STREAM ends a stream.
        let is_broken = match &frame {
            Some(frame) => frame.is_err(),
            None => !self.0.is_end_stream(),
        };
        let broken = || Some(Err(Status::aborted("plakar gave up sending it")));
        Poll::Ready(if is_broken { broken() } else { frame })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
