//! The exporter's gRPC service: restores Plakar's records, one after the other.

use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::proto::connectors::Record;
use super::proto::exporter::export_request::Packet;
use super::proto::exporter::exporter_server::{Exporter, ExporterServer};
use super::proto::exporter::{
    CloseRequest, CloseResponse, ExportRequest, ExportResponse, InitRequest, InitResponse,
    PingRequest, PingResponse,
};
use super::session::{self, InitReply, PluginSession, count_failure};
use super::{album, records};
use crate::connector::{Content, Failure, Reason};
use crate::direction::Direction;
use crate::quota::buffers::Buffers;
use crate::quota::counters::Count;
use crate::sandbox::{PendingCall, Session};

/// Maximum number of chunks of a file that wait between Plakar and the component.
const CHUNKS_CAPACITY: usize = 2;
/// Maximum number of acknowledgements that wait to be sent.
const ACKNOWLEDGEMENTS_CAPACITY: usize = 256;

/// Makes the service of a session.
pub fn service(session: PluginSession) -> ExporterServer<Service> {
    ExporterServer::new(Service { session, album_directory: OnceLock::new() })
}

/// The service of one session.
pub struct Service {
    session: PluginSession,
    /// The directory of albums, if the destination is a library of Google Photos.
    album_directory: OnceLock<&'static str>,
}

type Outgoing = mpsc::Sender<Result<ExportResponse, Status>>;

#[tonic::async_trait]
impl Exporter for Service {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let InitRequest { options, config, .. } = request.into_inner();
        let options = options.unwrap_or_default();
        let request =
            session::InitRequest { config, hostname: options.hostname, directory: options.cwd };
        let opened = self.session.open(Direction::Restore, request);
        let InitReply { origin, r#type, root, album_directory, .. } = opened.await?;
        if let Some(directory) = album_directory {
            let _ = self.album_directory.set(directory);
        }
        Ok(Response::new(InitResponse { origin, r#type, root, flags: 0 }))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let session = self.session.session().await?;
        session.ping_exporter().await.map_err(|failure| count_failure(&session, &failure))?;
        Ok(Response::new(PingResponse {}))
    }

    type ExportStream = ReceiverStream<Result<ExportResponse, Status>>;

    async fn export(
        &self,
        request: Request<Streaming<ExportRequest>>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let session = self.session.session().await?;
        let (acknowledgements, sent) = mpsc::channel(ACKNOWLEDGEMENTS_CAPACITY);
        let packets = Packets { stream: request.into_inner(), next: None };
        let album_directory = self.album_directory.get().copied();
        tokio::spawn(async move {
            if let Err(failure) =
                export(&session, packets, album_directory, &acknowledgements).await
            {
                // If Plakar has gone away, the connection reports it.
                let _ = acknowledgements.send(Err(count_failure(&session, &failure))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(sent)))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        self.session.close().await;
        Ok(Response::new(CloseResponse {}))
    }
}

/// Plakar's packets: each record, followed by its chunks if it has any.
struct Packets {
    stream: Streaming<ExportRequest>,
    next: Option<Record>,
}

impl Packets {
    /// Receives the next packet; `None` at the end.
    async fn packet(&mut self) -> Result<Option<Packet>, Failure> {
        if let Some(record) = self.next.take() {
            return Ok(Some(Packet::Record(record)));
        }
        match self.stream.message().await {
            Ok(None) => Ok(None),
            Ok(Some(ExportRequest { packet: Some(packet) })) => Ok(Some(packet)),
            Ok(Some(ExportRequest { packet: None })) => {
                Err(Failure::internal("plakar sent neither a record nor a chunk"))
            }
            Err(error) => Err(Failure::new(Reason::Cancelled, error.message())),
        }
    }

    /// Receives the next record; `None` at the end.
    async fn record(&mut self) -> Result<Option<Record>, Failure> {
        match self.packet().await? {
            None => Ok(None),
            Some(Packet::Record(record)) => Ok(Some(record)),
            Some(Packet::Chunk(_)) => Err(Failure::internal("plakar sent a chunk without a file")),
        }
    }

    /// Passes on the chunks of the last record until the empty one that ends them. A record or
    /// an end before that means that Plakar could not read the file.
    async fn chunks(
        &mut self,
        bytes: &mpsc::Sender<Bytes>,
        buffers: &Arc<Buffers>,
    ) -> Result<(), Failure> {
        loop {
            match self.packet().await? {
                Some(Packet::Chunk(chunk)) if chunk.is_empty() => return Ok(()),
                Some(Packet::Chunk(chunk)) => {
                    // A component that doesn't want the rest reports the reason itself; the
                    // chunks have to be received all the same.
                    tokio::select! {
                        chunk = buffers.track(chunk) => drop(bytes.send(chunk).await),
                        () = bytes.closed() => {}
                    }
                }
                Some(Packet::Record(record)) => {
                    self.next = Some(record);
                    return Err(unreadable_file());
                }
                None => return Err(unreadable_file()),
            }
        }
    }
}

fn unreadable_file() -> Failure {
    Failure::new(Reason::Corrupted, "plakar could not read the whole file from its store")
        .with_help("check it with `plakar check`")
}

/// Starts a write for each record and acknowledges its result, then finishes.
async fn export(
    session: &Session,
    mut packets: Packets,
    album_directory: Option<&str>,
    acknowledgements: &Outgoing,
) -> Result<(), Failure> {
    let mut writes = JoinSet::new();
    let mut summary = RestoreSummary::default();
    let mut unread = None;
    let mut destination = String::new();
    loop {
        while let Some(written) = writes.try_join_next() {
            summary.count(written);
        }
        let record = match packets.record().await {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(failure) => return Err(failure),
        };
        let (content, writer) = if record.has_reader {
            let (writer, content) = Content::channel(CHUNKS_CAPACITY);
            (Some(content), Some(writer))
        } else {
            (None, None)
        };
        if let Some(album) = album::destination(&record, album_directory) {
            destination = album;
        }
        let entry = records::check_path(&record.pathname).and_then(|()| {
            records::to_entry(&record).ok_or_else(|| {
                let message = "rclone can only write files and directories";
                Failure::new(Reason::Unsupported, message)
            })
        });
        let started = match entry {
            Ok(entry) => Ok(session.write(album::relocate(entry, &destination), content).await),
            Err(failure) => {
                // The chunks that come are received and dropped.
                drop(content);
                Err(failure)
            }
        };
        session.account().add(Count::Entries, 1);
        writes.spawn(wait_write(started, record, acknowledgements.clone()));
        if let Some(writer) = writer {
            let result = packets.chunks(writer.bytes(), session.buffers()).await;
            unread = result.as_ref().err().cloned().or(unread);
            writer.finish(result);
        }
    }
    let finished = session.finish().await;
    while let Some(written) = writes.join_next().await {
        summary.count(written);
    }
    finished?;
    if let Some(failure) = unread {
        return Err(failure);
    }
    summary.into_result()
}

/// Waits for the result of a write, and acknowledges it.
async fn wait_write(
    started: Result<PendingCall<()>, Failure>,
    record: Record,
    acknowledgements: Outgoing,
) -> Result<(), Failure> {
    let outcome = match started {
        Ok(pending) => pending.wait().await,
        Err(failure) => Err(failure),
    };
    let result = Some(records::acknowledge(record, &outcome));
    let _ = acknowledgements.send(Ok(ExportResponse { result })).await;
    outcome
}

/// A summary of the entries that were written, and that failed.
#[derive(Default)]
struct RestoreSummary {
    entries: usize,
    failures: usize,
    first_failure: Option<Failure>,
}

impl RestoreSummary {
    /// Counts the result of a write.
    fn count(&mut self, written: Result<Result<(), Failure>, tokio::task::JoinError>) {
        self.entries += 1;
        let written = written.unwrap_or_else(|error| Err(Failure::internal(error.to_string())));
        if let Err(failure) = written {
            self.failures += 1;
            self.first_failure.get_or_insert(failure);
        }
    }

    /// Returns the result of the restore. One that lacks an entry must not look complete: Plakar
    /// ends well unless the stream fails.
    fn into_result(self) -> Result<(), Failure> {
        let Self { entries, failures, first_failure } = self;
        match first_failure {
            None => Ok(()),
            Some(first) => Err(first.with_context(format_args!(
                "{failures} of {entries} entries were not restored, one of them because"
            ))),
        }
    }
}
