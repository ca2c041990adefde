//! Plakar's plugin protocol: gRPC over one connection, which is one session. Only this
//! module knows gRPC and protobuf.
//!
//! - [`stdio`]: our stdin and stdout, which is that connection where Plakar starts us
//! - [`single_connection`]: a connection that never comes twice
//! - [`coalescing_stream`]: a connection that sends together what is written together
//! - [`session`]: what both kinds of plugin do first
//! - [`records`]: Plakar's records and our entries
//! - [`parts`]: what is lost of a part's own name
//! - [`importer`], [`exporter`]: the two services

mod coalescing_stream;
mod exporter;
mod importer;
mod parts;
mod records;
mod session;
mod single_connection;
pub mod stdio;

/// The messages and services, made from `proto/`.
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
use crate::session::open::Setting;
use coalescing_stream::Gathered;
use session::Opening;

/// HTTP/2 windows: Plakar reads one file at a time, as fast as it can.
const WINDOW: u32 = 4 << 20;

/// What Plakar speaks to us by.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<C: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for C {}

/// Serves Plakar over our stdin and stdout until it closes them.
pub async fn serve_stdio(role: Direction, setting: Setting) -> anyhow::Result<()> {
    Ok(serve(role, stdio::connection()?, setting).await?)
}

/// Serves Plakar until it closes the connection.
pub async fn serve(
    role: Direction,
    connection: impl Connection,
    setting: Setting,
) -> Result<(), tonic::transport::Error> {
    answer(role, connection, Opening::new(setting)).await
}

/// Tells Plakar over our stdin and stdout why it gets no session.
pub async fn refuse_stdio(role: Direction, why: Failure) -> anyhow::Result<()> {
    Ok(answer(role, stdio::connection()?, Opening::refused(why)).await?)
}

async fn answer(
    role: Direction,
    connection: impl Connection,
    opening: Opening,
) -> Result<(), tonic::transport::Error> {
    let (span, cut) = (opening.span(), opening.cut());
    let mut server = Server::builder()
        .trace_fn(move |_| span.clone())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(1 << 20);
    let router: Router = match role {
        Direction::Backup => server.add_service(importer::service(opening)),
        Direction::Restore => server.add_service(exporter::service(opening)),
    };
    router.serve_with_incoming(single_connection::only(Gathered::new(connection), cut)).await
}
