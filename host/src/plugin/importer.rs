//! The importer's gRPC service: records and contents for Plakar's backups.

use futures::{FutureExt, Stream};
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::album;
use super::content_stream::{CHUNKS_CAPACITY, send_content, wait_end};
use super::file_location::FileLocationDetector;
use super::proto::importer::importer_server::{Importer, ImporterServer};
use super::proto::importer::{
    CloseRequest, CloseResponse, ImportRequest, ImportResponse, InitRequest, InitResponse,
    OpenRequest, OpenResponse, PingRequest, PingResponse,
};
use super::records;
use super::session::{self, InitReply, PluginSession, count_failure};
use crate::connector::{Failure, Reason};
use crate::direction::Direction;
use crate::quota::counters::Count;
use crate::sandbox::ScanEvent;
use crate::sandbox::{Scan, Session};

/// Plakar's flags of a location (kloset's location.Flags): the listing comes once,
/// so that it isn't made a second time only to show a progress bar, and snapshots
/// of several remotes aren't merged.
const STREAM: u32 = 1 << 2;
const NEED_ACKNOWLEDGEMENTS: u32 = 1 << 3;
const NO_MERGE: u32 = 1 << 4;

/// Time that an acknowledgement waits for others, which wake the component together.
const ACK_DEBOUNCE: Duration = Duration::from_millis(5);
/// Maximum number of records that wait to be sent.
const RECORDS_CAPACITY: usize = 256;

/// Makes the service of a session.
pub fn service(session: PluginSession) -> ImporterServer<Service> {
    ImporterServer::new(Service { session, root: OnceLock::new() })
}

/// The service of one session.
pub struct Service {
    session: PluginSession,
    root: OnceLock<BackupRoot>,
}

/// The root of a backup.
#[derive(Clone, Default)]
struct BackupRoot {
    path: String,
    device: u64,
    is_album: bool,
}

type Sent<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl Importer for Service {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let InitRequest { options, config, .. } = request.into_inner();
        let options = options.unwrap_or_default();
        let request =
            session::InitRequest { config, hostname: options.hostname, directory: options.cwd };
        let opened = self.session.open(Direction::Backup, request);
        let InitReply { origin, r#type, root, device, is_album, .. } = opened.await?;
        let _ = self.root.set(BackupRoot { path: root.clone(), device, is_album });
        let flags = STREAM | NEED_ACKNOWLEDGEMENTS | NO_MERGE;
        Ok(Response::new(InitResponse { origin, r#type, root, flags }))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let session = self.session.session().await?;
        session.ping_importer().await.map_err(|failure| count_failure(&session, &failure))?;
        Ok(Response::new(PingResponse {}))
    }

    type ImportStream = Sent<ImportResponse>;

    async fn import(
        &self,
        request: Request<Streaming<ImportRequest>>,
    ) -> Result<Response<Self::ImportStream>, Status> {
        let session = self.session.session().await?;
        let root = self.root.get().cloned().unwrap_or_default();
        let scan = session.scan().await.map_err(|failure| count_failure(&session, &failure))?;
        let (records, sent) = mpsc::channel(RECORDS_CAPACITY);
        let requests = request.into_inner();
        tokio::spawn(async move {
            if let Err(failure) = import(&session, scan, root, requests, &records).await {
                // If Plakar has gone away, the connection reports it.
                let _ = records.send(Err(count_failure(&session, &failure))).await;
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
        let session = self.session.session().await?;
        let content = session.read(record.pathname).await;
        let mut content = content.map_err(|failure| count_failure(&session, &failure))?;
        if let Some(chunk) = content.bytes.take_single() {
            // A complete content needs no task that waits for more.
            wait_end(&session, content)
                .await
                .map_err(|failure| count_failure(&session, &failure))?;
            let response = (!chunk.is_empty()).then_some(Ok(OpenResponse { chunk }));
            return Ok(Response::new(Box::pin(tokio_stream::iter(response))));
        }
        let (chunks, sent) = mpsc::channel(CHUNKS_CAPACITY);
        tokio::spawn(send_content(session, content, chunks, |chunk| OpenResponse { chunk }));
        Ok(Response::new(Box::pin(ReceiverStream::new(sent))))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        self.session.close().await;
        Ok(Response::new(CloseResponse {}))
    }
}

/// Sends records until the listing ends, and passes on Plakar's acknowledgements until Plakar
/// has no more.
async fn import(
    session: &Session,
    mut scan: Scan,
    root: BackupRoot,
    requests: Streaming<ImportRequest>,
    records: &mpsc::Sender<Result<ImportResponse, Status>>,
) -> Result<(), Failure> {
    let acknowledgements = tokio::spawn(pass_acknowledgements(requests, scan.acknowledged));
    let mut detector = FileLocationDetector::default();
    while let Some(events) = scan.found.recv().await {
        session.account().add(Count::Entries, events.len() as u64);
        for event in events {
            let record = match event {
                ScanEvent::Entry(mut entry) => {
                    detector.observe(&entry);
                    if root.is_album && entry.path == root.path {
                        album::mark_root(&mut entry, root.device);
                    }
                    records::check_path(&entry.path).map_err(invalid_entry)?;
                    match records::check_time(entry.metadata.modified) {
                        Ok(()) => records::from_entry(entry, root.device),
                        Err(failure) => records::from_failure(entry.path, &failure),
                    }
                }
                ScanEvent::Error((path, failure)) => {
                    session.account().record_failure(&failure);
                    records::from_failure(records::reportable_path(path), &failure)
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
    detector.warn(&root.path);
    let finished = ImportResponse { record: None, finished: true };
    if records.send(Ok(finished)).await.is_ok() {
        let _ = acknowledgements.await;
    }
    Ok(())
}

/// Passes on the paths of records that Plakar has acknowledged without an error.
async fn pass_acknowledgements(
    mut requests: Streaming<ImportRequest>,
    acknowledged: mpsc::Sender<String>,
) {
    while let Ok(Some(request)) = requests.message().await {
        tokio::time::sleep(ACK_DEBOUNCE).await;
        let mut next = Some(request);
        while let Some(request) = next {
            let header = request.result.and_then(|result| result.header);
            if let Some(record) = header
                && record.error.is_empty()
            {
                // A component that doesn't need them may close the stream.
                let _ = acknowledged.send(record.pathname).await;
            }
            next = match requests.message().now_or_never() {
                Some(Ok(request)) => request,
                Some(Err(_)) => return,
                None => None,
            };
        }
    }
}

/// Makes the failure that ends the session of a connector whose entry no snapshot can hold.
fn invalid_entry(failure: Failure) -> Failure {
    Failure { reason: Reason::Internal, ..failure }
        .with_context("the connector reported an invalid entry")
}
