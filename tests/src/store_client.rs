//! Drives a store as Plakar does, without Plakar.

use bytes::Bytes;
pub use h2::Reason;
use h2::client::SendRequest;
use prost::Message;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::Join;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use crate::plugin::{channel, options};
use crate::{TestEnv, tools};
use proto::get_request::Range;
use proto::store_client::StoreClient as Client;
use proto::{
    CloseRequest, CreateRequest, DeleteRequest, GetRequest, InitRequest, ListRequest, ListResponse,
    ModeRequest, OpenRequest, PingRequest, PutRequest, SizeRequest,
};

#[allow(clippy::all)]
mod proto {
    tonic::include_proto!("store");
}

/// The number of packfiles, as a kind of objects.
pub const PACKFILE: i32 = 1;
/// The number of states, as a kind.
pub const STATE: i32 = 2;
/// The number of locks, as a kind.
pub const LOCK: i32 = 3;
/// The number of states with error correction, as a kind.
pub const ECC_STATE: i32 = 5;

/// A running store. Dropping it kills the plugin.
pub struct StoreClient {
    client: Client<Channel>,
    child: Child,
    /// Passes the bytes between the two.
    relay: JoinHandle<()>,
}

/// An object on its way to the store. Dropping the chunks ends it.
pub struct Upload {
    /// The chunks that are sent.
    pub chunks: mpsc::Sender<PutRequest>,
    /// The result, when it has ended.
    pub result: JoinHandle<Result<i64, Status>>,
}

/// The name of an object that begins with this number.
pub fn name(number: u8) -> Bytes {
    let mut name = [0xab; 32];
    name[0] = number;
    Bytes::copy_from_slice(&name)
}

/// The same as the remote shows it.
pub fn shown(number: u8) -> String {
    name(number).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The path of an object in a store that was made by us.
pub fn path(store: &Path, kind: i32, number: u8) -> std::path::PathBuf {
    let directory = ["packfiles", "states", "locks"][usize::try_from(kind).unwrap() - 1];
    store.join(directory).join(shown(number))
}

impl StoreClient {
    /// Starts one for a configuration as Plakar passes it.
    pub async fn start(place: &TestEnv, config: &[(&str, &str)]) -> Result<Self, Status> {
        let mut command = place.command(tools::plakbox());
        command.arg("storage");
        Self::start_by(command, config).await
    }

    /// The same by a prepared command.
    pub async fn start_by(command: Command, config: &[(&str, &str)]) -> Result<Self, Status> {
        let (mut pipes, child) = spawn(command);
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let relay = tokio::spawn(async move {
            let _ = tokio::io::copy_bidirectional(&mut far, &mut pipes).await;
        });
        let mut client = Client::new(channel(near).await);
        client.init(InitRequest { proto: "rclone".into(), config: options(config) }).await?;
        Ok(Self { client, child, relay })
    }

    /// The same, with a store that is created.
    pub async fn create_in(place: &TestEnv, config: &[(&str, &str)]) -> Self {
        let mut store = Self::start(place, config).await.unwrap();
        store.create(b"configuration").await.unwrap();
        store
    }

    /// The process ID of the plugin.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Creates a store.
    pub async fn create(&mut self, configuration: &[u8]) -> Result<(), Status> {
        let config = Bytes::copy_from_slice(configuration);
        self.client.create(CreateRequest { config }).await.map(drop)
    }

    /// Opens the store. Returns its configuration.
    pub async fn open(&mut self) -> Result<Bytes, Status> {
        Ok(self.client.open(OpenRequest {}).await?.into_inner().config)
    }

    /// Reaches the remote.
    pub async fn ping(&mut self) -> Result<(), Status> {
        self.client.ping(PingRequest {}).await.map(drop)
    }

    /// Returns what the store can be used for.
    pub async fn mode(&mut self) -> Result<i32, Status> {
        Ok(self.client.mode(ModeRequest {}).await?.into_inner().mode)
    }

    /// Returns the number of bytes of all objects.
    pub async fn size(&mut self) -> Result<i64, Status> {
        Ok(self.client.size(SizeRequest {}).await?.into_inner().size)
    }

    /// The names of the objects of a kind, sorted.
    pub async fn list(&mut self, kind: i32) -> Result<Vec<Bytes>, Status> {
        let mut names = self.client.list(ListRequest { r#type: kind }).await?.into_inner().macs;
        names.sort();
        Ok(names)
    }

    /// A message with a part of an object.
    pub fn chunk(chunk: Bytes) -> PutRequest {
        PutRequest { chunk, ..PutRequest::default() }
    }

    /// Begins an object: the test sends its chunks.
    pub async fn begin(&self, kind: i32, mac: Bytes) -> Upload {
        let (chunks, requests) = mpsc::channel(1);
        let mut client = self.client.clone();
        let result = tokio::spawn(async move {
            Ok(client.put(ReceiverStream::new(requests)).await?.into_inner().bytes_written)
        });
        let first = PutRequest { mac, r#type: kind, chunk: Bytes::new() };
        chunks.send(first).await.unwrap();
        Upload { chunks, result }
    }

    /// Uploads an object.
    pub async fn put(&self, kind: i32, mac: Bytes, bytes: &[u8]) -> Result<i64, Status> {
        let upload = self.begin(kind, mac).await;
        for chunk in bytes.chunks(1 << 20) {
            upload.send(chunk).await;
        }
        upload.end().await
    }

    /// An object, or a part of it: an offset and a length.
    pub async fn get(
        &self,
        kind: i32,
        mac: Bytes,
        range: Option<(u64, u32)>,
    ) -> Result<Vec<u8>, Status> {
        let range = range.map(|(offset, length)| Range { offset, length });
        let mut client = self.client.clone();
        let mut stream = client.get(GetRequest { mac, r#type: kind, range }).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(message) = stream.message().await? {
            assert!(message.chunk.len() <= 1 << 20, "a chunk has {} bytes", message.chunk.len());
            bytes.extend_from_slice(&message.chunk);
        }
        Ok(bytes)
    }

    /// Removes an object.
    pub async fn delete(&mut self, kind: i32, mac: Bytes) -> Result<(), Status> {
        self.client.delete(DeleteRequest { mac, r#type: kind }).await.map(drop)
    }

    /// Ends the session.
    pub async fn close(&mut self) -> Result<(), Status> {
        self.client.close(CloseRequest {}).await.map(drop)
    }

    /// Cuts the connection, whatever is under way, and waits until the plugin has ended.
    pub async fn cut(mut self) {
        self.relay.abort();
        self.ended().await;
    }

    /// Waits until the plugin has ended, with the connection open.
    pub async fn ended(&mut self) {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        ended.expect("the plugin doesn't end").unwrap();
    }
}

impl Upload {
    /// Sends a chunk.
    pub async fn send(&self, bytes: &[u8]) {
        let request = StoreClient::chunk(Bytes::copy_from_slice(bytes));
        // A store that ended the call early is noticed by its result.
        let _ = self.chunks.send(request).await;
    }

    /// Ends the object, and waits for its result.
    pub async fn end(self) -> Result<i64, Status> {
        drop(self.chunks);
        self.result.await.unwrap()
    }

    /// Gives the call up, without ending its stream.
    pub async fn give_up(self) {
        let Self { chunks, result } = self;
        result.abort();
        let _ = result.await;
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(chunks);
        });
    }
}

/// Starts a plugin, and returns its pipes.
fn spawn(command: Command) -> (Join<ChildStdout, ChildStdin>, Child) {
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    (tokio::io::join(child.stdout.take().unwrap(), child.stdin.take().unwrap()), child)
}

/// Frames of HTTP/2, of which a reset can be one at any moment.
pub struct Frames {
    requests: SendRequest<Bytes>,
    _child: Child,
}

impl Frames {
    /// Connects to the plugin, and opens its session.
    pub async fn start_by(command: Command, config: &[(&str, &str)]) -> Self {
        let (pipes, child) = spawn(command);
        let (requests, connection) = h2::client::handshake(pipes).await.unwrap();
        tokio::spawn(connection);
        let frames = Self { requests, _child: child };
        let init = InitRequest { proto: "rclone".into(), config: options(config) };
        frames.call("Init", &[init.encode_to_vec()], None).await;
        frames
    }

    /// Sends these messages of a call, and resets its stream for this reason or else ends it.
    pub async fn call(&self, method: &str, messages: &[Vec<u8>], reset: Option<Reason>) {
        let request = http::Request::post(format!("http://localhost/store.Store/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, mut stream) = requests.send_request(request, false).unwrap();
        for message in messages {
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let frame = [&[0][..], &length, message].concat();
            stream.send_data(frame.into(), false).unwrap();
        }
        match reset {
            None => {
                stream.send_data(Bytes::new(), true).unwrap();
                response.await.unwrap();
            }
            Some(reason) => {
                // What was sent before it has to arrive.
                tokio::time::sleep(Duration::from_millis(100)).await;
                stream.send_reset(reason);
                let _ = response.await;
            }
        }
    }

    /// Sends an object, and resets its stream instead of ending it.
    pub async fn reset(&self, kind: i32, mac: Bytes, bytes: &[u8], reason: Reason) {
        let first = PutRequest { mac, r#type: kind, chunk: Bytes::new() };
        let chunk = StoreClient::chunk(Bytes::copy_from_slice(bytes));
        let messages = [first.encode_to_vec(), chunk.encode_to_vec()];
        self.call("Put", &messages, Some(reason)).await;
    }

    /// Sends an object, and ends it.
    pub async fn put(&self, kind: i32, mac: Bytes, bytes: &[u8]) {
        let first = PutRequest { mac, r#type: kind, chunk: Bytes::copy_from_slice(bytes) };
        self.call("Put", &[first.encode_to_vec()], None).await;
    }

    /// The names of the objects of a kind, as the answer has them.
    pub async fn list(&self, kind: i32) -> Vec<Bytes> {
        let request = http::Request::post("http://localhost/store.Store/List")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, mut stream) = requests.send_request(request, false).unwrap();
        let message = ListRequest { r#type: kind }.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        stream.send_data([&[0][..], &length, &message].concat().into(), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut answer = Vec::new();
        while let Some(bytes) = body.data().await {
            answer.extend_from_slice(&bytes.unwrap());
        }
        ListResponse::decode(&answer[5..]).unwrap().macs
    }
}
