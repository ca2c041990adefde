//! Bytes on their way out, complete: in memory, or in a file without a name.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Objects;
use super::server::Body;
use super::space::DiskReservation;
use crate::connector::{self, Content, Failure, Reason};
use crate::quota::buffers::BufferReservation;

/// Largest parcel that is held in memory.
const MAX_MEMORY_BYTES: u64 = 1 << 20;

/// Size of the pieces in which a file is read.
const PIECE_BYTES: u64 = 256 << 10;

/// Number of pieces of a parcel that wait for their reader.
const MAX_QUEUED_PIECES: usize = 2;

/// Complete bytes. Cheap to clone.
#[derive(Clone)]
pub struct Parcel {
    pub(super) objects: Objects,
    shared: Arc<Shared>,
}

struct Shared {
    size: u64,
    bytes: Storage,
}

enum Storage {
    Memory(Bytes, #[expect(dead_code, reason = "it is held, not read")] Option<BufferReservation>),
    Disk(Spool),
}

/// A file without a name, and its space on disk.
struct Spool {
    file: Arc<File>,
    size: u64,
    reservation: DiskReservation,
    directory: PathBuf,
}

impl Spool {
    async fn create(objects: &Objects) -> Result<Self, Failure> {
        let reservation = objects.shared.space.reserve().await?;
        let scratch = objects.session().scratch();
        let file = Arc::new(scratch.unnamed_file()?);
        Ok(Self { file, size: 0, reservation, directory: scratch.state_root().to_owned() })
    }

    /// Appends bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        let (file, offset, length) = (self.file.clone(), self.size, bytes.len() as u64);
        self.reservation.grow(length).await?;
        // A disk may be slow.
        let written = tokio::task::spawn_blocking(move || file.write_all_at(&bytes, offset));
        self.size += length;
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(disk_failure(&self.directory, &error)),
            Err(_) => Err(Failure::cancelled()),
        }
    }

    fn read(&self, offset: u64) -> io::Result<Bytes> {
        let mut piece = BytesMut::zeroed(usize::try_from(PIECE_BYTES).unwrap_or(1 << 18));
        let count = self.file.read_at(&mut piece, offset)?;
        piece.truncate(count);
        Ok(piece.freeze())
    }
}

fn disk_failure(directory: &Path, error: &io::Error) -> Failure {
    let directory = directory.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let message = format!("there is no space left on the disk of `{directory}`");
            Failure::new(Reason::Unavailable, message)
        }
        _ => Failure::internal(format!("an upload can't be kept in `{directory}`: {error}")),
    }
    .with_help("make room there, or set PLAKBOX_STATE to a directory on another disk")
}

impl Parcel {
    /// Receives a content to its end.
    ///
    /// # Errors
    ///
    /// The content fails, or there is no room for it.
    pub async fn receive(objects: Objects, mut content: Content) -> Result<Self, Failure> {
        // Without room in memory, everything goes to the disk.
        let mut reservation = objects.session().buffers().try_hold(MAX_MEMORY_BYTES);
        let max_memory = reservation.as_ref().map_or(0, |_| MAX_MEMORY_BYTES);
        let mut memory = BytesMut::new();
        let mut spool = None;
        let mut size = 0;
        while let Some(chunk) = content.bytes.recv().await {
            size += chunk.len() as u64;
            if size > max_memory && spool.is_none() {
                let mut new = Spool::create(&objects).await?;
                new.write(memory.split().freeze()).await?;
                spool = Some(new);
                reservation = None;
            }
            match &mut spool {
                Some(spool) => spool.write(chunk).await?,
                None => memory.extend_from_slice(&chunk),
            }
        }
        connector::wait_end(content.end).await?;
        let bytes = match spool {
            Some(mut spool) => {
                spool.reservation.complete();
                Storage::Disk(spool)
            }
            None => Storage::Memory(memory.freeze(), reservation),
        };
        Ok(Self { objects, shared: Arc::new(Shared { size, bytes }) })
    }

    /// The number of bytes.
    pub fn size(&self) -> u64 {
        self.shared.size
    }

    /// The parcel's bytes as a content.
    pub fn read(&self) -> Content {
        let (writer, content) = Content::channel(MAX_QUEUED_PIECES);
        let parcel = self.clone();
        tokio::spawn(async move {
            let mut pieces = Box::pin(parcel.pieces());
            while let Some(piece) = pieces.next().await {
                let piece = match piece {
                    Ok(piece) => piece,
                    Err(error) => {
                        let message = format!("an upload can't be read again: {error}");
                        return writer.finish(Err(Failure::internal(message)));
                    }
                };
                if writer.bytes().send(piece).await.is_err() {
                    return;
                }
            }
            writer.finish(Ok(()));
        });
        content
    }

    /// The parcel as the body of a request.
    pub fn body(&self) -> Body {
        match &self.shared.bytes {
            Storage::Memory(bytes, _) => {
                Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync()
            }
            Storage::Disk(_) => {
                StreamBody::new(self.clone().pieces().map(|piece| piece.map(Frame::data)))
                    .boxed_unsync()
            }
        }
    }

    fn pieces(&self) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + use<> {
        let parcel = self.clone();
        futures::stream::unfold(0, move |offset| {
            let parcel = parcel.clone();
            async move {
                if offset >= parcel.size() {
                    return None;
                }
                let piece = match &parcel.shared.bytes {
                    Storage::Memory(bytes, _) => Ok(bytes.clone()),
                    Storage::Disk(spool) => spool.read(offset),
                };
                parcel.objects.session().quota().throttle(PIECE_BYTES as usize).await;
                match piece {
                    Ok(piece) if piece.is_empty() => {
                        Some((Err(io::ErrorKind::UnexpectedEof.into()), u64::MAX))
                    }
                    Ok(piece) => {
                        let next = offset + piece.len() as u64;
                        Some((Ok(piece), next))
                    }
                    Err(error) => Some((Err(error), u64::MAX)),
                }
            }
        })
    }
}
