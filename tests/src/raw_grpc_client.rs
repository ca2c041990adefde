//! Messages of any bytes in sound frames of gRPC: what only a client that means no good sends.

use bytes::{Buf, BufMut, Bytes};
use std::process::Command;
use tokio::process::Child;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::plugin::plugin;

/// A connection to a plugin. Dropping it ends the plugin.
pub struct RawGrpcClient {
    channel: Channel,
    _child: Child,
}

impl RawGrpcClient {
    /// Starts a plugin, and connects to it.
    pub async fn start(command: Command) -> Self {
        let (channel, child) = plugin(command).await;
        Self { channel, _child: child }
    }

    /// Calls a method with these messages; gives how many came back.
    pub async fn call(&self, path: &'static str, messages: Vec<Bytes>) -> Result<usize, Status> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let messages = Request::new(tokio_stream::iter(messages));
        let path = PathAndQuery::from_static(path);
        let mut answers = client.streaming(messages, path, Untyped).await?.into_inner();
        let mut count = 0;
        while answers.message().await?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// Leaves messages as they are.
struct Untyped;

impl Codec for Untyped {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Untyped {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Untyped {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
