//! The importer's service: records and contents for Plakar's backups.

use bytes::BytesMut;
use futures::{FutureExt, Stream};
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::parts::{self, Suspicion};
use super::proto::importer::importer_server::{Importer, ImporterServer};
use super::proto::importer::{
    CloseRequest, CloseResponse, ImportRequest, ImportResponse, InitRequest, InitResponse,
    OpenRequest, OpenResponse, PingRequest, PingResponse,
};
use super::records;
use super::session::{Answer, Opening, told};
use crate::connector::bindings::exports::plakar::connector::importer::Discovery;
use crate::connector::{Content, Failure};
use crate::direction::Direction;
use crate::quota::counters::Count;
use crate::sandbox::{Scan, Session};

/// Plakar's flags of a location (kloset's location.Flags): the listing comes once,
/// so that it isn't made a second time only to show a progress bar, and snapshots
/// of several remotes aren't merged.
const STREAM: u32 = 1 << 2;
const NEED_ACKNOWLEDGEMENTS: u32 = 1 << 3;
const NO_MERGE: u32 = 1 << 4;

/// The largest chunk of a file that Plakar is sent.
const CHUNK: usize = 1 << 20;
/// How long acknowledgements wait for each other.
const TOGETHER: Duration = Duration::from_millis(5);
/// How many records may wait to be sent.
const RECORDS: usize = 256;

pub fn service(opening: Opening) -> ImporterServer<Service> {
    ImporterServer::new(Service { opening, part: OnceLock::new() })
}

pub struct Service {
    opening: Opening,
    part: OnceLock<Part>,
}

/// What is known of the part of a remote that is backed up.
#[derive(Clone, Default)]
struct Part {
    root: String,
    device: u64,
    is_album: bool,
}

type Sent<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl Importer for Service {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let InitRequest { options, config, .. } = request.into_inner();
        let options = options.unwrap_or_default();
        let opened = self.opening.open(Direction::Backup, config, options.hostname, options.cwd);
        let Answer { origin, r#type, root, device, is_album, .. } = opened.await?;
        let _ = self.part.set(Part { root: root.clone(), device, is_album });
        let flags = STREAM | NEED_ACKNOWLEDGEMENTS | NO_MERGE;
        Ok(Response::new(InitResponse { origin, r#type, root, flags }))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let session = self.opening.session().await?;
        session.ping_importer().await.map_err(|failure| told(&session, &failure))?;
        Ok(Response::new(PingResponse {}))
    }

    type ImportStream = Sent<ImportResponse>;

    async fn import(
        &self,
        request: Request<Streaming<ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        let session = self.opening.session().await?;
        let part = self.part.get().cloned().unwrap_or_default();
        let scan = session.scan().await.map_err(|failure| told(&session, &failure))?;
        let (records, sent) = mpsc::channel(RECORDS);
        let results = request.into_inner();
        tokio::spawn(async move {
            if let Err(failure) = import(&session, scan, part, results, &records).await {
                // Plakar going away is told by the connection.
                let _ = records.send(Err(told(&session, &failure))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(sent)))
    }

    type OpenStream = Pin<Box<dyn Stream<Item = Result<OpenResponse, Status>> + Send>>;

    async fn open(
        &self,
        request: Request<OpenRequest>,
    ) -> Result<Response<Self::OpenStream>, Status> {
        let record = request.into_inner().record.unwrap_or_default();
        if record.is_xattr {
            return Err(Status::unimplemented("rclone has no extended attributes"));
        }
        let session = self.opening.session().await?;
        let content = session.read(record.pathname).await;
        let mut content = content.map_err(|failure| told(&session, &failure))?;
        if let Some(whole) = content.bytes.whole() {
            // What is here needs no task that waits for more.
            ended(&session, content).await.map_err(|failure| told(&session, &failure))?;
            let whole = (!whole.is_empty()).then_some(Ok(OpenResponse { chunk: whole }));
            return Ok(Response::new(Box::pin(tokio_stream::iter(whole))));
        }
        let (chunks, sent) = mpsc::channel(2);
        tokio::spawn(pass_on(session, content, chunks));
        Ok(Response::new(Box::pin(ReceiverStream::new(sent))))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        self.opening.close().await;
        Ok(Response::new(CloseResponse {}))
    }
}

/// Sends records until the listing ends, and passes on Plakar's acknowledgements
/// until Plakar has no more.
async fn import(
    session: &Session,
    mut scan: Scan,
    part: Part,
    mut results: Streaming<ImportRequest>,
    records: &mpsc::Sender<Result<ImportResponse, Status>>,
) -> Result<(), Failure> {
    let settled = scan.settled;
    let acknowledged = tokio::spawn(async move {
        while let Ok(Some(request)) = results.message().await {
            // Several at once wake the component once.
            tokio::time::sleep(TOGETHER).await;
            let mut next = Some(request);
            while let Some(request) = next {
                let header = request.result.and_then(|result| result.header);
                if let Some(record) = header
                    && record.error.is_empty()
                {
                    // A component that doesn't care for them may close the stream.
                    let _ = settled.send(record.pathname).await;
                }
                next = match results.message().now_or_never() {
                    Some(Ok(request)) => request,
                    Some(Err(_)) => return,
                    None => None,
                };
            }
        }
    });
    let mut suspicion = Suspicion::default();
    while let Some(some) = scan.found.recv().await {
        session.account().add(Count::Entries, some.len() as u64);
        for discovery in some {
            let record = match discovery {
                Discovery::Found(mut entry) => {
                    suspicion.look(&entry);
                    if part.is_album && entry.path == part.root {
                        parts::mark(&mut entry, part.device);
                    }
                    records::check(&entry.path).map_err(impossible)?;
                    match records::check_moment(entry.metadata.modified) {
                        Ok(()) => records::record(entry, part.device),
                        Err(failure) => records::error(entry.path, &failure),
                    }
                }
                Discovery::Failed((path, failure)) => {
                    session.account().record_failure(&failure);
                    records::error(records::reportable(path), &failure)
                }
            };
            let response = ImportResponse { record: Some(record), finished: false };
            if records.send(Ok(response)).await.is_err() {
                return Err(Failure::cancelled());
            }
        }
    }
    match scan.end.await {
        Ok(end) => end?,
        Err(_) => return Err(session.fault().await),
    }
    suspicion.tell(&part.root);
    let finished = ImportResponse { record: None, finished: true };
    if records.send(Ok(finished)).await.is_ok() {
        let _ = acknowledged.await;
    }
    Ok(())
}

/// What ends the session of a connector that found what no snapshot can hold.
fn impossible(failure: Failure) -> Failure {
    Failure::internal(format!("the connector came upon what it can't have: {}", failure.message))
}

/// Sends a content in chunks, and its failure, if it is one, instead of its end.
async fn pass_on(
    session: Session,
    mut content: Content,
    chunks: mpsc::Sender<Result<OpenResponse, Status>>,
) {
    while let Some(mut piece) = content.bytes.recv().await {
        // Each message costs Plakar more than the copy of a small piece.
        if let Some(next) = content.bytes.ready() {
            let mut together = BytesMut::from(piece);
            together.extend_from_slice(&next);
            while together.len() < CHUNK
                && let Some(next) = content.bytes.ready()
            {
                together.extend_from_slice(&next);
            }
            piece = together.freeze();
        }
        while !piece.is_empty() {
            let chunk = piece.split_to(piece.len().min(CHUNK));
            if chunks.send(Ok(OpenResponse { chunk })).await.is_err() {
                return;
            }
        }
    }
    if let Err(failure) = ended(&session, content).await {
        let _ = chunks.send(Err(told(&session, &failure))).await;
    }
}

/// How a content ended whose bytes were taken.
async fn ended(session: &Session, content: Content) -> Result<(), Failure> {
    match content.end.await {
        Ok(end) => end,
        Err(_) => Err(session.fault().await),
    }
}
