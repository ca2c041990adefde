//! Plakar's plugin protocol: gRPC over one connection, which is one session. Only this
//! module knows gRPC and protobuf.
//!
//! - [`stdio`]: the standard streams, which are the connection where Plakar starts us
//! - [`single_connection`]: serves exactly one connection
//! - [`coalescing_stream`]: sends together what is written together
//! - [`session`]: what all kinds of plugin do first
//! - [`records`]: conversions between Plakar's records and our entries
//! - [`album`]: the title of an album that is backed up or restored alone
//! - [`file_location`]: warns of a location that is a file
//! - [`content_stream`]: sends a content in chunks
//! - [`importer`], [`exporter`], [`store`]: the three services

mod album;
mod coalescing_stream;
mod content_stream;
mod exporter;
mod file_location;
mod importer;
mod records;
mod session;
mod single_connection;
pub mod stdio;
mod store;

/// Messages and services, generated from `proto/`.
#[allow(clippy::all, clippy::pedantic)]
mod proto {
    pub mod plakar {
        pub mod connectors {
            tonic::include_proto!("plakar.connectors");
        }
        pub mod exporter {
            tonic::include_proto!("plakar.exporter");
        }
    }
    pub mod importer {
        tonic::include_proto!("importer");
    }
    pub mod store {
        tonic::include_proto!("store");
    }
    pub use plakar::{connectors, exporter};
}

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::connector::Failure;
use crate::direction::Direction;
use crate::session::SessionContext;
use coalescing_stream::CoalescingStream;
use session::PluginSession;
use store::StoreSession;

/// Size of the HTTP/2 windows: Plakar reads one file at a time, as fast as it can.
const WINDOW_BYTES: u32 = 4 << 20;
/// Size of the HTTP/2 window of each object that Plakar sends to a store.
const OBJECT_WINDOW_BYTES: u32 = 512 << 10;
/// Maximum number of calls of a store at the same time; Plakar starts further ones later.
const MAX_STORE_CALLS: u32 = 128;
/// Size of the HTTP/2 window of all objects: those that wait must not keep others from being
/// sent, of which a lock may be one.
const STORE_WINDOW_BYTES: u32 = (MAX_STORE_CALLS + 1) * OBJECT_WINDOW_BYTES;
/// Maximum size of an HTTP/2 frame.
const MAX_FRAME_BYTES: u32 = 1 << 20;

/// A connection to Plakar.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for C {}

/// Serves Plakar over stdin and stdout until it closes them, or `stop` is cancelled.
///
/// # Errors
///
/// Fails if stdin and stdout are not pipes, or the connection breaks.
pub async fn serve_stdio(
    role: Direction,
    context: SessionContext,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let session = PluginSession::new(context);
    Ok(serve_session(role, stdio::connection()?, session, Some(stop)).await?)
}

/// Serves Plakar until it closes the connection.
///
/// # Errors
///
/// Fails if the connection breaks.
pub async fn serve(
    role: Direction,
    connection: impl Connection,
    context: SessionContext,
) -> Result<(), tonic::transport::Error> {
    let session = PluginSession::new(context);
    let abort = session.abort_token();
    serve_session(role, connection, session, abort).await
}

/// Serves Plakar over stdin and stdout only to report why it gets no session.
///
/// # Errors
///
/// Fails if stdin and stdout are not pipes, or the connection breaks.
pub async fn refuse_stdio(role: Direction, reason: Failure) -> anyhow::Result<()> {
    Ok(serve_session(role, stdio::connection()?, PluginSession::refused(reason), None).await?)
}

async fn serve_session(
    role: Direction,
    connection: impl Connection,
    session: PluginSession,
    abort: Option<CancellationToken>,
) -> Result<(), tonic::transport::Error> {
    let span = session.span();
    let mut server = Server::builder()
        .trace_fn(move |_| span.clone())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES);
    let connection = single_connection::serve_once(CoalescingStream::new(connection), abort);
    match role {
        Direction::Backup => {
            let router = server.add_service(importer::service(session));
            router.serve_with_incoming(connection).await
        }
        Direction::Restore => {
            let router = server.add_service(exporter::service(session));
            router.serve_with_incoming(connection).await
        }
        Direction::Store => {
            let mut server = server
                .initial_stream_window_size(OBJECT_WINDOW_BYTES)
                .initial_connection_window_size(STORE_WINDOW_BYTES)
                .max_concurrent_streams(MAX_STORE_CALLS);
            let store = StoreSession::new(session);
            let router = server.add_service(store::service(store.clone()));
            let served = router.serve_with_incoming(connection).await;
            // Plakar may have gone away without closing the store. A failure was logged.
            let _ = store.finish().await;
            served
        }
    }
}
