//! Receives an object from Plakar. Its stream is received to the end in any case: Plakar doesn't
//! show the failure of a call whose stream it couldn't end.

use bytes::Bytes;
use tokio::sync::mpsc;
use tonic::Streaming;

use super::finish::Uploads;
use super::{check_writable, names};
use crate::connector::{Content, Failure, Reason};
use crate::plugin::proto::store::PutRequest;
use crate::sandbox::Session;

/// Maximum number of chunks of an object that wait for the component.
const CHUNKS_CAPACITY: usize = 2;

/// Receives an object, and returns its size when the store has it. Only a stream that Plakar
/// has ended makes an object.
///
/// # Errors
///
/// Fails if Plakar's stream breaks, or the component's function fails.
pub async fn put(
    session: &Session,
    mut stream: Streaming<PutRequest>,
    uploads: &Uploads,
) -> Result<u64, Failure> {
    let receiving = uploads.receiving.read().await;
    let first = next(&mut stream, uploads).await?;
    let first = first.ok_or_else(|| Failure::internal("plakar sent no name of an object"))?;
    let checked = check_writable(session)
        .and_then(|()| Ok((names::kind(first.r#type)?, names::from_bytes(&first.mac)?)));
    let (kind, name) = match checked {
        Ok(checked) => checked,
        Err(failure) => {
            while next(&mut stream, uploads).await?.is_some() {}
            return Err(failure);
        }
    };
    let (writer, content) = Content::channel(CHUNKS_CAPACITY);
    let pending = session.put_object(kind, name, content).await;
    pass_on(session, first.chunk, writer.bytes()).await;
    let end = loop {
        match next(&mut stream, uploads).await {
            Ok(Some(PutRequest { chunk, .. })) => pass_on(session, chunk, writer.bytes()).await,
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    writer.finish(end.clone());
    drop(receiving);
    end?;
    pending.wait().await
}

/// Receives the next message; `None` at the end.
async fn next(
    stream: &mut Streaming<PutRequest>,
    uploads: &Uploads,
) -> Result<Option<PutRequest>, Failure> {
    let broken = |message: &str| Failure::new(Reason::Cancelled, message);
    tokio::select! {
        message = stream.message() => message.map_err(|error| broken(error.message())),
        () = uploads.closing.cancelled() => Err(broken("plakar closed the store")),
    }
}

/// Passes a chunk on. A component that doesn't want the rest reports the reason itself.
async fn pass_on(session: &Session, chunk: Bytes, bytes: &mpsc::Sender<Bytes>) {
    if chunk.is_empty() {
        return;
    }
    let passed_on = async {
        let chunk = session.buffers().track(chunk).await;
        // It closes the channel when it doesn't want the rest.
        let _ = bytes.send(chunk).await;
    };
    tokio::select! {
        () = passed_on => {}
        () = bytes.closed() => {}
    }
}
