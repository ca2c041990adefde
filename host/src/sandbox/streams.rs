//! Streams between host and component: what the host has is lowered, what the component has is
//! lifted.

use bytes::Bytes;
use std::any::{Any, TypeId};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{PollSendError, PollSender};
use wasmtime::component::{
    Destination, FutureConsumer, FutureReader, Lift, Lower, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

use super::engine::HostState;
use crate::connector::{Chunks, Content, Failure, wait_end};

/// Maximum number of chunks that wait between a component and their reader.
const CHANNEL_CAPACITY: usize = 4;
/// Maximum size of such a chunk.
const MAX_CHUNK_BYTES: usize = 256 << 10;
/// Maximum size of all of them.
const MAX_CHANNEL_BYTES: u64 = CHANNEL_CAPACITY as u64 * MAX_CHUNK_BYTES as u64;
/// Maximum number of items that are lifted or lowered at once.
const MAX_ITEMS: usize = 1024;

type End = core::result::Result<(), Failure>;

/// Lowers bytes.
pub fn lower_chunks(
    mut store: impl AsContextMut<Data = HostState>,
    bytes: impl Into<Chunks>,
) -> Result<StreamReader<u8>> {
    StreamReader::new(&mut store, BytesProducer { bytes: bytes.into() })
}

/// Lowers the end of a content.
pub fn lower_end(
    mut store: impl AsContextMut<Data = HostState>,
    end: oneshot::Receiver<End>,
) -> Result<FutureReader<End>> {
    FutureReader::new(&mut store, async move { wasmtime::error::Ok(wait_end(end).await) })
}

/// Lowers a content.
pub fn lower_content(
    mut store: impl AsContextMut<Data = HostState>,
    content: Content,
) -> Result<(StreamReader<u8>, FutureReader<End>)> {
    let bytes = lower_chunks(&mut store, content.bytes)?;
    Ok((bytes, lower_end(&mut store, content.end)?))
}

/// Lifts a content. Bytes that the component only passes on don't go through its memory: the
/// stream that the host had lowered comes back as it was.
pub fn lift_content(
    mut store: impl AsContextMut<Data = HostState>,
    (bytes, end): (StreamReader<u8>, FutureReader<End>),
) -> Result<Content> {
    let bytes = match bytes.try_into::<BytesProducer>(&mut store) {
        Ok(BytesProducer { bytes }) => bytes,
        Err(stream) => {
            let buffers = store.as_context_mut().data().rclone.buffers().clone();
            let Some(reservation) = buffers.try_reserve(MAX_CHANNEL_BYTES) else {
                return Ok(Content::from_failure(buffers.exhausted()));
            };
            let (sender, bytes) = mpsc::channel(CHANNEL_CAPACITY);
            stream.pipe(&mut store, ChannelConsumer::<u8, Bytes>::new(sender))?;
            Chunks::from(bytes).with_reservation(reservation)
        }
    };
    Ok(Content { bytes, end: lift_end(store, end)? })
}

/// Lifts the end of a content.
pub fn lift_end(
    store: impl AsContextMut<Data = HostState>,
    end: FutureReader<End>,
) -> Result<oneshot::Receiver<End>> {
    let (sender, receiver) = oneshot::channel();
    end.pipe(store, OneshotConsumer { sender: Some(sender) })?;
    Ok(receiver)
}

/// Lowers items.
pub fn lower_items<T: Lower + Lift + Send + Sync + 'static>(
    mut store: impl AsContextMut<Data = HostState>,
    items: mpsc::Receiver<T>,
) -> Result<StreamReader<T>> {
    StreamReader::new(&mut store, ItemsProducer { items })
}

/// Lifts items, many at a time.
pub fn lift_items<T: Lift + Send + 'static>(
    store: impl AsContextMut<Data = HostState>,
    stream: StreamReader<T>,
) -> Result<mpsc::Receiver<Vec<T>>> {
    let (sender, items) = mpsc::channel(CHANNEL_CAPACITY);
    stream.pipe(store, ChannelConsumer::<T, Vec<T>>::new(sender))?;
    Ok(items)
}

/// Produces the bytes of a stream that the component reads.
struct BytesProducer {
    bytes: Chunks,
}

impl StreamProducer<HostState> for BytesProducer {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, HostState>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        store.data_mut().limits.note_progress();
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        loop {
            return match self.bytes.poll_recv(cx) {
                // A stream must not be completed without an item.
                Poll::Ready(Some(bytes)) if bytes.is_empty() => continue,
                Poll::Ready(Some(bytes)) => {
                    destination.set_buffer(bytes);
                    Poll::Ready(Ok(StreamResult::Completed))
                }
                Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => Poll::Pending,
            };
        }
    }

    fn try_into(
        me: Pin<Box<Self>>,
        ty: TypeId,
    ) -> core::result::Result<Box<dyn Any>, Pin<Box<Self>>> {
        if ty != TypeId::of::<Self>() {
            return Err(me);
        }
        let me: Box<Self> = Pin::into_inner(me);
        Ok(me)
    }
}

/// Produces the items of a stream that the component reads.
struct ItemsProducer<T> {
    items: mpsc::Receiver<T>,
}

impl<T: Lower + Lift + Send + Sync + 'static> StreamProducer<HostState> for ItemsProducer<T> {
    type Item = T;
    type Buffer = VecBuffer<T>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, HostState>,
        mut destination: Destination<'a, T, VecBuffer<T>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        store.data_mut().limits.note_progress();
        let room = match destination.remaining(store.as_context_mut()) {
            Some(0) => return Poll::Ready(Ok(StreamResult::Completed)),
            room => room.unwrap_or(MAX_ITEMS).min(MAX_ITEMS),
        };
        let mut batch = Vec::new();
        match self.items.poll_recv_many(cx, &mut batch, room) {
            Poll::Ready(0) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(_) => {
                destination.set_buffer(batch.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Sends what a component writes into a channel, in batches of type `P`.
struct ChannelConsumer<T, P: Send + 'static> {
    batches: PollSender<P>,
    item: std::marker::PhantomData<fn() -> T>,
}

impl<T, P: Send + 'static> ChannelConsumer<T, P> {
    fn new(batches: mpsc::Sender<P>) -> Self {
        Self { batches: PollSender::new(batches), item: std::marker::PhantomData }
    }

    /// Waits for room for one batch; returns the result of the stream where there is none.
    fn poll_reserve(&mut self, cx: &mut Context<'_>, finish: bool) -> Poll<Option<StreamResult>> {
        match self.batches.poll_reserve(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(None),
            Poll::Ready(Err(_)) => Poll::Ready(Some(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Some(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Returns the result of the stream after a batch was sent.
    fn stream_result(
        result: core::result::Result<(), PollSendError<P>>,
    ) -> Poll<Result<StreamResult>> {
        Poll::Ready(Ok(match result {
            Ok(()) => StreamResult::Completed,
            Err(_) => StreamResult::Dropped,
        }))
    }
}

impl StreamConsumer<HostState> for ChannelConsumer<u8, Bytes> {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<HostState>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        store.data_mut().limits.note_progress();
        if let Some(result) = ready!(self.poll_reserve(cx, finish)) {
            return Poll::Ready(Ok(result));
        }
        let mut source = source.as_direct(store);
        let remaining = source.remaining();
        let bytes = Bytes::copy_from_slice(&remaining[..remaining.len().min(MAX_CHUNK_BYTES)]);
        if bytes.is_empty() {
            self.batches.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        source.mark_read(bytes.len());
        Self::stream_result(self.batches.send_item(bytes))
    }
}

impl<T: Lift + Send + 'static> StreamConsumer<HostState> for ChannelConsumer<T, Vec<T>> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<HostState>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        store.data_mut().limits.note_progress();
        if let Some(result) = ready!(self.poll_reserve(cx, finish)) {
            return Poll::Ready(Ok(result));
        }
        let count = source.remaining(store.as_context_mut()).min(MAX_ITEMS);
        if count == 0 {
            self.batches.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut items = Vec::with_capacity(count);
        source.read(store, &mut items)?;
        Self::stream_result(self.batches.send_item(items))
    }
}

/// Sends the end of a content that a component writes.
struct OneshotConsumer {
    sender: Option<oneshot::Sender<End>>,
}

impl FutureConsumer<HostState> for OneshotConsumer {
    type Item = End;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<HostState>,
        mut source: Source<'_, End>,
        _: bool,
    ) -> Poll<Result<()>> {
        store.data_mut().limits.note_progress();
        let mut end = None;
        source.read(store, &mut end)?;
        if let (Some(end), Some(sender)) = (end, self.sender.take()) {
            // The receiver may have been dropped.
            let _ = sender.send(end);
        }
        Poll::Ready(Ok(()))
    }
}
