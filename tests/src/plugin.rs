//! Drives importer and exporter as Plakar does, without Plakar: hundreds of rounds in
//! the time of one backup.

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use tower::service_fn;

use crate::{TestEnv, tools};
use proto::importer::importer_client::ImporterClient;
use proto::importer::{ImportRequest, ImportResponse, InitRequest, OpenRequest, OpenResponse};
pub use proto::plakar::connectors::FileInfo;
pub use proto::plakar::connectors::Record;
pub use proto::plakar::connectors::Result as Acknowledgement;
use proto::plakar::exporter::export_request::Packet;
use proto::plakar::exporter::exporter_client::ExporterClient;
use proto::plakar::exporter::{ExportRequest, ExportResponse, InitRequest as ExporterInit};

#[allow(clippy::all)]
#[expect(missing_docs, reason = "generated code")]
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
}

/// A running importer.
pub struct Importer {
    client: ImporterClient<Channel>,
    /// The plugin, unless a service is spoken to without one.
    _child: Option<Child>,
}

/// A scan: records come, acknowledgements go.
pub struct Scan {
    records: Streaming<ImportResponse>,
    acknowledge: tokio::sync::mpsc::Sender<ImportRequest>,
}

impl Importer {
    /// Starts one for a configuration as Plakar passes it.
    pub async fn start(place: &TestEnv, config: &[(&str, &str)]) -> Result<Self, Status> {
        Self::start_with(place, config, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(
        place: &TestEnv,
        config: &[(&str, &str)],
        arguments: &[String],
    ) -> Result<Self, Status> {
        let mut command = place.command(tools::plakbox());
        command.arg("importer").args(arguments);
        Self::start_by(command, config).await
    }

    /// The same with more variables.
    pub async fn start_in(
        place: &TestEnv,
        config: &[(&str, &str)],
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Status> {
        let mut command = place.command(tools::plakbox());
        command.arg("importer").envs(variables);
        Self::start_by(command, config).await
    }

    /// A session of the service at this socket, without a plugin in between.
    pub async fn start_at(socket: &Path, config: &[(&str, &str)]) -> Result<Self, Status> {
        Connected::at(socket).await?.session(config).await
    }

    async fn start_by(command: Command, config: &[(&str, &str)]) -> Result<Self, Status> {
        Connected::by(command).await.session(config).await
    }

    /// Starts the scan.
    pub async fn scan(&mut self) -> Result<Scan, Status> {
        let (acknowledge, requests) = tokio::sync::mpsc::channel(16);
        let records = self.client.import(ReceiverStream::new(requests)).await?.into_inner();
        Ok(Scan { records, acknowledge })
    }

    /// Opens a file.
    pub async fn open(&self, path: &str) -> Result<Streaming<OpenResponse>, Status> {
        let record = Record { pathname: path.to_owned(), ..Record::default() };
        Ok(self.client.clone().open(OpenRequest { record: Some(record) }).await?.into_inner())
    }
}

/// A connection to an importer that has no session yet.
pub struct Connected {
    client: ImporterClient<Channel>,
    child: Option<Child>,
}

impl Connected {
    /// One that the service at this socket lets in.
    pub async fn at(socket: &Path) -> Result<Self, Status> {
        let mut stream = UnixStream::connect(socket).await.map_err(gone)?;
        greet(&mut stream).await?;
        Ok(Self { client: ImporterClient::new(channel(stream).await), child: None })
    }

    /// One to this plugin.
    pub async fn by(command: Command) -> Self {
        let (channel, child) = plugin(command).await;
        Self { client: ImporterClient::new(channel), child: Some(child) }
    }

    /// Asks for a session, which then has the plugin.
    pub async fn session(&mut self, config: &[(&str, &str)]) -> Result<Importer, Status> {
        let config = options(config);
        self.client.init(InitRequest { config, ..InitRequest::default() }).await?;
        Ok(Importer { client: self.client.clone(), _child: self.child.take() })
    }
}

/// A running exporter that takes records and chunks.
pub struct Exporter {
    packets: tokio::sync::mpsc::Sender<ExportRequest>,
    results: Streaming<ExportResponse>,
    _child: Child,
}

impl Exporter {
    /// Starts one for a configuration as Plakar passes it.
    pub async fn start(place: &TestEnv, config: &[(&str, &str)]) -> Result<Self, Status> {
        Self::start_with(place, config, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(
        place: &TestEnv,
        config: &[(&str, &str)],
        arguments: &[String],
    ) -> Result<Self, Status> {
        let mut command = place.command(tools::plakbox());
        command.arg("exporter").args(arguments);
        let (channel, child) = plugin(command).await;
        let mut client = ExporterClient::new(channel);
        let config = options(config);
        client.init(ExporterInit { config, ..ExporterInit::default() }).await?;
        let (packets, requests) = tokio::sync::mpsc::channel(4);
        let results = client.export(ReceiverStream::new(requests)).await?.into_inner();
        Ok(Self { packets, results, _child: child })
    }

    /// Where packets go, and where results come from: each at its own pace.
    pub fn split(self) -> (Packets, Results) {
        (Packets(self.packets), Results { stream: self.results, _child: self._child })
    }
}

/// The messages from Plakar to an exporter. Dropping it ends the restore.
pub struct Packets(tokio::sync::mpsc::Sender<ExportRequest>);

impl Packets {
    /// Sends a record.
    pub async fn record(&self, record: Record) {
        self.send(Packet::Record(record)).await;
    }

    /// A piece of the last record's content; an empty one ends it.
    pub async fn chunk(&self, bytes: Bytes) {
        self.send(Packet::Chunk(bytes)).await;
    }

    async fn send(&self, packet: Packet) {
        // An exporter that gave up says why by its results.
        let _ = self.0.send(ExportRequest { packet: Some(packet) }).await;
    }
}

/// The replies of an exporter. Dropping it kills the exporter.
pub struct Results {
    stream: Streaming<ExportResponse>,
    _child: Child,
}

impl Results {
    /// The next result; `None` when there are no more.
    pub async fn next(&mut self) -> Result<Option<Acknowledgement>, Status> {
        Ok(self.stream.message().await?.and_then(|response| response.result))
    }
}

/// The options that Plakar would pass of a remote that is a directory of this machine.
pub fn local(directory: &Path) -> [(&'static str, &str); 3] {
    let remote = directory.to_str().unwrap();
    [("location", "rclone://"), ("rclone_type", "alias"), ("rclone_remote", remote)]
}

/// Methods of a plugin, `importer` or `exporter`, each with a message as Plakar sends it.
pub fn methods(role: &str, config: &[(&str, &str)]) -> Vec<(&'static str, Vec<u8>)> {
    use prost::Message;
    let info = FileInfo { name: "a".into(), size: 5, mode: 0o644, ..FileInfo::default() };
    let record = Record {
        has_reader: true,
        pathname: "/a".into(),
        file_info: Some(info),
        ..Record::default()
    };
    let header = Some(record.clone());
    let config = options(config);
    if role == "importer" {
        let init = InitRequest { config, proto: "rclone".into(), ..InitRequest::default() };
        let result = Some(Acknowledgement { header, error: String::new() });
        return vec![
            ("/importer.Importer/Init", init.encode_to_vec()),
            ("/importer.Importer/Ping", Vec::new()),
            ("/importer.Importer/Import", ImportRequest { result }.encode_to_vec()),
            ("/importer.Importer/Open", OpenRequest { record: Some(record) }.encode_to_vec()),
            ("/importer.Importer/Close", Vec::new()),
        ];
    }
    let init = ExporterInit { config, proto: "rclone".into(), ..ExporterInit::default() };
    let packet = |packet| ExportRequest { packet: Some(packet) }.encode_to_vec();
    vec![
        ("/plakar.exporter.Exporter/Init", init.encode_to_vec()),
        ("/plakar.exporter.Exporter/Ping", Vec::new()),
        ("/plakar.exporter.Exporter/Export", packet(Packet::Record(record))),
        ("/plakar.exporter.Exporter/Export", packet(Packet::Chunk(Bytes::from_static(b"hello")))),
        ("/plakar.exporter.Exporter/Close", Vec::new()),
    ]
}

/// Starts the plugin, and connects to it by its pipes.
pub async fn plugin(command: Command) -> (Channel, Child) {
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let pipes = tokio::io::join(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    (channel(pipes).await, child)
}

/// A connection that gRPC is spoken over.
pub(crate) async fn channel(
    connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Channel {
    let mut connection = Some(TokioIo::new(connection));
    let connect = service_fn(move |_| {
        let connection = connection.take().ok_or(io::Error::other("there is one connection"));
        async move { connection }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(connect).await.unwrap()
}

/// Asks a service for the session of an importer, as `plakbox connect` does.
pub async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), Status> {
    let hello = br#"{"version":1,"role":"importer"}"#;
    let length = u16::try_from(hello.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], hello].concat()).await.map_err(gone)?;
    let mut answer = vec![0; usize::from(stream.read_u16().await.map_err(gone)?)];
    stream.read_exact(&mut answer).await.map_err(gone)?;
    let answer = String::from_utf8(answer).unwrap();
    if answer.contains("welcome") { Ok(()) } else { Err(Status::permission_denied(answer)) }
}

fn gone(error: io::Error) -> Status {
    Status::unavailable(error.to_string())
}

pub(crate) fn options(config: &[(&str, &str)]) -> HashMap<String, String> {
    config.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

impl Scan {
    /// The next record; `None` when there are no more.
    pub async fn next(&mut self) -> Result<Option<Record>, Status> {
        Ok(self.records.message().await?.and_then(|response| response.record))
    }

    /// Says that Plakar is done with a record.
    pub async fn acknowledge(&self, record: Record) {
        let result = Acknowledgement { header: Some(record), error: String::new() };
        self.acknowledge.send(ImportRequest { result: Some(result) }).await.unwrap();
    }
}

/// The next piece of a file; `None` at its end.
pub async fn piece(content: &mut Streaming<OpenResponse>) -> Result<Option<Bytes>, Status> {
    Ok(content.message().await?.map(|response| response.chunk))
}
