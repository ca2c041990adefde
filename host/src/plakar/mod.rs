//! Plakar's plugin protocol: gRPC over our stdin and stdout, one connection, one
//! session. Only this module knows gRPC and protobuf.
//!
//! - [`stdio`]: the connection
//! - [`opening`]: what both kinds of plugin do first
//! - [`records`]: Plakar's records and our entries
//! - [`importer`], [`exporter`]: the two services

mod exporter;
mod importer;
mod opening;
mod records;
mod stdio;

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

use tonic::transport::Server;
use tonic::transport::server::Router;

use crate::opened::Setting;

/// HTTP/2 windows: Plakar reads one file at a time, as fast as it can.
const WINDOW: u32 = 4 << 20;

/// Which of the two plugins this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Importer,
    Exporter,
}

/// Serves Plakar until it closes the connection.
pub async fn serve(role: Role, setting: Setting) -> anyhow::Result<()> {
    let incoming = stdio::connection()?;
    let opening = opening::Opening::new(setting);
    let mut server = Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(1 << 20);
    let router: Router = match role {
        Role::Importer => server.add_service(importer::service(opening)),
        Role::Exporter => server.add_service(exporter::service(opening)),
    };
    router.serve_with_incoming(incoming).await?;
    Ok(())
}
