//! The exporter's service: takes Plakar's restores, one record after the other.

use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};
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
use super::session::{Answer, Opening, told};
use super::{parts, records};
use crate::connector::{Content, Failure, Reason};
use crate::direction::Direction;
use crate::quota::buffers::Buffers;
use crate::quota::counters::Count;
use crate::sandbox::{Begun, Session};

/// How many chunks of a file may lie between Plakar and the component.
const CHUNKS: usize = 2;
/// How many outcomes may wait to be sent.
const OUTCOMES: usize = 256;

pub fn service(opening: Opening) -> ExporterServer<Service> {
    ExporterServer::new(Service { opening, albums: OnceLock::new() })
}

pub struct Service {
    opening: Opening,
    /// Where the destination takes albums of Google Photos.
    albums: OnceLock<&'static str>,
}

type Outgoing = mpsc::Sender<Result<ExportResponse, Status>>;

#[tonic::async_trait]
impl Exporter for Service {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let InitRequest { options, config, .. } = request.into_inner();
        let options = options.unwrap_or_default();
        let opened = self.opening.open(Direction::Restore, config, options.hostname, options.cwd);
        let Answer { origin, r#type, root, albums, .. } = opened.await?;
        albums.map(|albums| self.albums.set(albums));
        Ok(Response::new(InitResponse { origin, r#type, root, flags: 0 }))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let session = self.opening.session().await?;
        session.ping_exporter().await.map_err(|failure| told(&session, &failure))?;
        Ok(Response::new(PingResponse {}))
    }

    type ExportStream = ReceiverStream<Result<ExportResponse, Status>>;

    async fn export(
        &self,
        request: Request<Streaming<ExportRequest>>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let session = self.opening.session().await?;
        let (outcomes, sent) = mpsc::channel(OUTCOMES);
        let packets = Packets { stream: request.into_inner(), next: None };
        let albums = self.albums.get().copied();
        tokio::spawn(async move {
            if let Err(failure) = export(&session, packets, albums, &outcomes).await {
                // Plakar going away is told by the connection.
                let _ = outcomes.send(Err(told(&session, &failure))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(sent)))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        self.opening.close().await;
        Ok(Response::new(CloseResponse {}))
    }
}

/// Plakar's packets: each record, followed by its chunks where it has any.
struct Packets {
    stream: Streaming<ExportRequest>,
    next: Option<Record>,
}

impl Packets {
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

    async fn record(&mut self) -> Result<Option<Record>, Failure> {
        match self.packet().await? {
            None => Ok(None),
            Some(Packet::Record(record)) => Ok(Some(record)),
            Some(Packet::Chunk(_)) => Err(Failure::internal("plakar sent a chunk of no file")),
        }
    }

    /// Passes the chunks of the last record on until the empty one that ends them.
    /// A record or an end before that means that Plakar could not read the file.
    async fn chunks(
        &mut self,
        bytes: mpsc::Sender<Bytes>,
        buffers: &Arc<Buffers>,
    ) -> Result<(), Failure> {
        loop {
            match self.packet().await? {
                Some(Packet::Chunk(chunk)) if chunk.is_empty() => return Ok(()),
                Some(Packet::Chunk(chunk)) => {
                    // Whoever doesn't want the rest has its reason and says it; the
                    // chunks come all the same.
                    tokio::select! {
                        chunk = buffers.track(chunk) => drop(bytes.send(chunk).await),
                        () = bytes.closed() => {}
                    }
                }
                Some(Packet::Record(record)) => {
                    self.next = Some(record);
                    return Err(cut());
                }
                None => return Err(cut()),
            }
        }
    }
}

fn cut() -> Failure {
    Failure::new(
        Reason::Corrupted,
        "plakar could not read the whole file from its store: check it with `plakar check`",
    )
}

/// Starts a write for each record and reports what became of it, then finishes.
async fn export(
    session: &Session,
    mut packets: Packets,
    albums: Option<&str>,
    outcomes: &Outgoing,
) -> Result<(), Failure> {
    let mut writes = JoinSet::new();
    let mut tally = Tally::default();
    let mut broken = None;
    let mut place = String::new();
    loop {
        while let Some(written) = writes.try_join_next() {
            tally.count(written);
        }
        let record = match packets.record().await {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(failure) => return Err(failure),
        };
        let (start, end) = if record.has_reader {
            let (bytes, end, content) = Content::channel(CHUNKS);
            (Some(content), Some((bytes, end)))
        } else {
            (None, None)
        };
        if let Some(album) = parts::place(&record, albums) {
            place = album;
        }
        let begun = match records::check(&record.pathname).map(|()| records::entry(&record)) {
            Ok(Some(entry)) => Ok(session.write(parts::moved(entry, &place), start).await),
            Ok(None) => {
                let message = "rclone can only write files and directories";
                Err(Failure::new(Reason::Unsupported, message))
            }
            Err(failure) => Err(failure),
        };
        session.account().add(Count::Entries, 1);
        writes.spawn(write(begun, record, outcomes.clone()));
        if let Some((bytes, end)) = end {
            let result = packets.chunks(bytes, session.buffers()).await;
            broken = result.as_ref().err().cloned().or(broken);
            tell(end, result);
        }
    }
    let finished = session.finish().await;
    while let Some(written) = writes.join_next().await {
        tally.count(written);
    }
    finished?;
    if let Some(failure) = broken {
        return Err(failure);
    }
    tally.verdict()
}

fn tell(end: oneshot::Sender<Result<(), Failure>>, result: Result<(), Failure>) {
    // A write that gave up already knows more.
    let _ = end.send(result);
}

async fn write(
    begun: Result<Begun<()>, Failure>,
    record: Record,
    outcomes: Outgoing,
) -> Result<(), Failure> {
    let outcome = match begun {
        Ok(begun) => begun.answer().await,
        Err(failure) => Err(failure),
    };
    let result = Some(records::acknowledge(record, &outcome));
    let _ = outcomes.send(Ok(ExportResponse { result })).await;
    outcome
}

/// How many entries were written, and how many weren't.
#[derive(Default)]
struct Tally {
    entries: usize,
    failures: usize,
    first: Option<Failure>,
}

impl Tally {
    fn count(&mut self, written: Result<Result<(), Failure>, tokio::task::JoinError>) {
        self.entries += 1;
        let written = written.unwrap_or_else(|error| Err(Failure::internal(error.to_string())));
        if let Err(failure) = written {
            self.failures += 1;
            self.first.get_or_insert(failure);
        }
    }

    /// A restore that lacks an entry must not look like a whole one: Plakar ends
    /// well unless the stream fails.
    fn verdict(self) -> Result<(), Failure> {
        let Self { entries, failures, first } = self;
        match first {
            None => Ok(()),
            Some(first) => Err(Failure::new(
                first.reason,
                format!(
                    "{failures} of {entries} entries were not restored, one of them because: {}",
                    first.message
                ),
            )),
        }
    }
}
