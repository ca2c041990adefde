//! The store's gRPC service: the objects of a Kloset store.
//!
//! - [`names`]: the names and kinds of objects in Plakar's messages
//! - [`transfer`]: receives an object from Plakar
//! - [`checked_stream`]: notices streams that Plakar didn't end
//! - [`finish`]: the end of a session, which removes its locks

mod checked_stream;
mod finish;
mod names;
mod transfer;

use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::content_stream::{CHUNKS_CAPACITY, send_content};
use super::proto::store::store_server::{Store, StoreServer};
use super::proto::store::{
    CloseRequest, CloseResponse, CreateRequest, CreateResponse, DeleteRequest, DeleteResponse,
    GetRequest, GetResponse, InitRequest, InitResponse, ListRequest, ListResponse, ModeRequest,
    ModeResponse, OpenRequest, OpenResponse, PingRequest, PingResponse, PutRequest, PutResponse,
    SizeRequest, SizeResponse,
};
use super::session::{self, InitReply, count_failure};
use crate::connector::{Failure, Reason};
use crate::direction::Direction;
use crate::quota::counters::Count;
use crate::sandbox::{Range, Session};
use crate::session::store::StorePlace;
use checked_stream::CheckedStreams;
pub use finish::StoreSession;

/// Plakar's modes of a store (kloset's storage.Mode).
const WRITE: i32 = 1 << 1;
const READ: i32 = 1 << 2;

/// The start of the keys that are Plakar's own secrets: the passphrase of the repository, and
/// the command that prints it.
const PASSPHRASE: &str = "passphrase";

/// Makes the service of a session.
pub fn service(store: Arc<StoreSession>) -> CheckedStreams<StoreServer<Service>> {
    CheckedStreams(StoreServer::new(Service { store, place: OnceLock::new() }))
}

/// The service of one session.
pub struct Service {
    store: Arc<StoreSession>,
    /// The place of the store.
    place: OnceLock<StorePlace>,
}

impl Service {
    /// Returns the open session.
    async fn session(&self) -> Result<Session, Status> {
        self.store.plugin().session().await
    }

    /// Adds where it was looked to the failure of a store that doesn't exist.
    fn locate(&self, failure: Failure) -> Failure {
        match self.place.get() {
            Some(place) if failure.reason == Reason::NotFound => place.not_found(),
            _ => failure,
        }
    }
}

/// Checks that the policy lets the store be written.
///
/// # Errors
///
/// The store may only be read.
fn check_writable(session: &Session) -> Result<(), Failure> {
    if session.is_writable() {
        return Ok(());
    }
    let failure = Failure::denied("the policy lets the store be read only");
    Err(failure.with_help("ask the author of the policy"))
}

#[tonic::async_trait]
impl Store for Service {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let InitRequest { mut config, .. } = request.into_inner();
        config.retain(|key, _| !key.to_ascii_lowercase().starts_with(PASSPHRASE));
        let location = config.get("location").cloned().unwrap_or_default();
        let plugin = self.store.plugin();
        // Plakar tells neither its machine nor its directory.
        let (hostname, directory) = (String::new(), plugin.own_directory());
        let request = session::InitRequest { config, hostname, directory };
        let opened = plugin.open(Direction::Store, request).await?;
        let InitReply { origin, r#type, root, backend, path, .. } = opened;
        let _ = self.place.set(StorePlace { location, backend, path });
        Ok(Response::new(InitResponse { origin, r#type, root, flags: 0 }))
    }

    async fn create(
        &self,
        request: Request<CreateRequest>,
    ) -> Result<Response<CreateResponse>, Status> {
        let session = self.session().await?;
        let configuration = request.into_inner().config.to_vec();
        let created = async {
            check_writable(&session)?;
            session.create_store(configuration).await
        };
        created.await.map_err(|failure| count_failure(&session, &failure))?;
        Ok(Response::new(CreateResponse {}))
    }

    async fn open(&self, _: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
        let session = self.session().await?;
        let configuration = session.store_configuration().await;
        let configuration =
            configuration.map_err(|failure| count_failure(&session, &self.locate(failure)))?;
        Ok(Response::new(OpenResponse { config: configuration.into() }))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let session = self.session().await?;
        session.ping_store().await.map_err(|failure| count_failure(&session, &failure))?;
        Ok(Response::new(PingResponse {}))
    }

    async fn mode(&self, _: Request<ModeRequest>) -> Result<Response<ModeResponse>, Status> {
        let is_writable = self.session().await?.is_writable();
        let mode = if is_writable { WRITE | READ } else { READ };
        Ok(Response::new(ModeResponse { mode }))
    }

    async fn size(&self, _: Request<SizeRequest>) -> Result<Response<SizeResponse>, Status> {
        let session = self.session().await?;
        let size = session.store_size().await;
        let size = size.map_err(|failure| count_failure(&session, &failure))?;
        Ok(Response::new(SizeResponse { size: i64::try_from(size).unwrap_or(i64::MAX) }))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let session = self.session().await?;
        let listed = async {
            let kind = names::kind(request.into_inner().r#type)?;
            session.list_objects(kind).await
        };
        let listed = listed.await.map_err(|failure| count_failure(&session, &failure))?;
        Ok(Response::new(ListResponse { macs: names::to_bytes(&listed) }))
    }

    async fn put(
        &self,
        request: Request<Streaming<PutRequest>>,
    ) -> Result<Response<PutResponse>, Status> {
        let session = self.session().await?;
        session.account().add(Count::Entries, 1);
        let put = transfer::put(&session, request.into_inner(), self.store.uploads()).await;
        let bytes = put.map_err(|failure| count_failure(&session, &failure))?;
        let bytes_written = i64::try_from(bytes).unwrap_or(i64::MAX);
        Ok(Response::new(PutResponse { bytes_written }))
    }

    type GetStream = ReceiverStream<Result<GetResponse, Status>>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Self::GetStream>, Status> {
        let session = self.session().await?;
        let GetRequest { mac, r#type, range } = request.into_inner();
        let content = async {
            let (kind, name) = (names::kind(r#type)?, names::from_bytes(&mac)?);
            let range =
                range.map(|range| Range { offset: range.offset, length: range.length.into() });
            session.get_object(kind, name, range).await
        };
        let content = content.await.map_err(|failure| count_failure(&session, &failure))?;
        session.account().add(Count::Entries, 1);
        let (chunks, sent) = mpsc::channel(CHUNKS_CAPACITY);
        let message = |chunk: Bytes| GetResponse { chunk };
        tokio::spawn(send_content(session, content, chunks, message));
        Ok(Response::new(ReceiverStream::new(sent)))
    }

    async fn delete(
        &self,
        request: Request<DeleteRequest>,
    ) -> Result<Response<DeleteResponse>, Status> {
        let session = self.session().await?;
        let DeleteRequest { mac, r#type } = request.into_inner();
        let deleted = async {
            let (kind, name) = (names::kind(r#type)?, names::from_bytes(&mac)?);
            check_writable(&session)?;
            session.delete_object(kind, name).await
        };
        deleted.await.map_err(|failure| count_failure(&session, &failure))?;
        Ok(Response::new(DeleteResponse {}))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        self.store.finish().await.map_err(|failure| session::status(&failure))?;
        Ok(Response::new(CloseResponse {}))
    }
}
