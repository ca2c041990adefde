//! Plakar's plugin protocol: gRPC over one connection, which is one session. Only this
//! module knows gRPC and protobuf.
//!
//! - [`stdio`]: the standard streams, which are the connection where Plakar starts us
//! - [`single_connection`]: serves exactly one connection
//! - [`coalescing_stream`]: sends together what is written together
//! - [`session`]: what both kinds of plugin do first
//! - [`records`]: conversions between Plakar's records and our entries
//! - [`album`]: the title of an album that is backed up or restored alone
//! - [`file_location`]: warns of a location that is a file
//! - [`importer`], [`exporter`]: the two services

mod album;
mod coalescing_stream;
mod exporter;
mod file_location;
mod importer;
mod records;
mod session;
mod single_connection;
pub mod stdio;

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
    pub use plakar::{connectors, exporter};
}

use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::Server;
use tonic::transport::server::Router;

use crate::connector::Failure;
use crate::direction::Direction;
use crate::session::SessionContext;
use coalescing_stream::CoalescingStream;
use session::PluginSession;

/// Size of the HTTP/2 windows: Plakar reads one file at a time, as fast as it can.
const WINDOW_BYTES: u32 = 4 << 20;
/// Maximum size of an HTTP/2 frame.
const MAX_FRAME_BYTES: u32 = 1 << 20;

/// A connection to Plakar.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for C {}

/// Serves Plakar over stdin and stdout until it closes them.
///
/// # Errors
///
/// Fails if stdin and stdout are not pipes, or the connection breaks.
pub async fn serve_stdio(role: Direction, context: SessionContext) -> anyhow::Result<()> {
    Ok(serve(role, stdio::connection()?, context).await?)
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
    serve_session(role, connection, PluginSession::new(context)).await
}

/// Serves Plakar over stdin and stdout only to report why it gets no session.
///
/// # Errors
///
/// Fails if stdin and stdout are not pipes, or the connection breaks.
pub async fn refuse_stdio(role: Direction, reason: Failure) -> anyhow::Result<()> {
    Ok(serve_session(role, stdio::connection()?, PluginSession::refused(reason)).await?)
}

async fn serve_session(
    role: Direction,
    connection: impl Connection,
    session: PluginSession,
) -> Result<(), tonic::transport::Error> {
    let (span, abort) = (session.span(), session.abort_token());
    let mut server = Server::builder()
        .trace_fn(move |_| span.clone())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES);
    let router: Router = match role {
        Direction::Backup => server.add_service(importer::service(session)),
        Direction::Restore => server.add_service(exporter::service(session)),
    };
    let connection = CoalescingStream::new(connection);
    router.serve_with_incoming(single_connection::serve_once(connection, abort)).await
}
