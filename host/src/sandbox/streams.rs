//! Bytes and items across the border between host and component.

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

use super::engine::Cell;
use crate::connector::{Content, Failure, Pieces};

/// How many pieces of bytes may lie between a component and whoever takes them.
const PIECES: usize = 4;
/// How large one of them is at most, and all of them together.
const PIECE: usize = 256 << 10;
const HELD: u64 = PIECES as u64 * PIECE as u64;
/// How many items are taken from a component at once.
const ITEMS: usize = 1024;

type End = core::result::Result<(), Failure>;

/// Gives the component bytes that come from the host.
pub fn bytes_in(
    mut store: impl AsContextMut<Data = Cell>,
    bytes: impl Into<Pieces>,
) -> Result<StreamReader<u8>> {
    StreamReader::new(&mut store, Arriving { bytes: bytes.into() })
}

/// Gives the component an end that the host will know.
pub fn end_in(
    mut store: impl AsContextMut<Data = Cell>,
    end: oneshot::Receiver<End>,
) -> Result<FutureReader<End>> {
    FutureReader::new(&mut store, async move { wasmtime::error::Ok(Content::ended(end).await) })
}

/// Gives the component a content of the host's.
pub fn content_in(
    mut store: impl AsContextMut<Data = Cell>,
    content: Content,
) -> Result<(StreamReader<u8>, FutureReader<End>)> {
    let bytes = bytes_in(&mut store, content.bytes)?;
    Ok((bytes, end_in(&mut store, content.end)?))
}

/// Takes a content from the component. Bytes that it only passes on don't go
/// through its memory: the stream that the host gave it comes back as it was.
pub fn content_out(
    mut store: impl AsContextMut<Data = Cell>,
    (bytes, end): (StreamReader<u8>, FutureReader<End>),
) -> Result<Content> {
    let bytes = match bytes.try_into::<Arriving>(&mut store) {
        Ok(Arriving { bytes }) => bytes,
        Err(stream) => {
            let buffers = store.as_context_mut().data().rclone.buffers().clone();
            let Some(aside) = buffers.try_reserve(HELD) else {
                return Ok(Content::failed(buffers.exhausted()));
            };
            let (sender, bytes) = mpsc::channel(PIECES);
            stream.pipe(&mut store, Leaving::<u8, Bytes>::new(sender))?;
            Pieces::from(bytes).with(aside)
        }
    };
    Ok(Content { bytes, end: end_out(store, end)? })
}

/// Takes an end from the component.
pub fn end_out(
    store: impl AsContextMut<Data = Cell>,
    end: FutureReader<End>,
) -> Result<oneshot::Receiver<End>> {
    let (told, receiver) = oneshot::channel();
    end.pipe(store, Telling { told: Some(told) })?;
    Ok(receiver)
}

/// Gives the component items that come from the host.
pub fn items_in<T: Lower + Lift + Send + Sync + 'static>(
    mut store: impl AsContextMut<Data = Cell>,
    items: mpsc::Receiver<T>,
) -> Result<StreamReader<T>> {
    StreamReader::new(&mut store, ArrivingItems { items })
}

/// Takes items from the component, many at a time.
pub fn items_out<T: Lift + Send + 'static>(
    store: impl AsContextMut<Data = Cell>,
    stream: StreamReader<T>,
) -> Result<mpsc::Receiver<Vec<T>>> {
    let (sender, items) = mpsc::channel(PIECES);
    stream.pipe(store, Leaving::<T, Vec<T>>::new(sender))?;
    Ok(items)
}

struct Arriving {
    bytes: Pieces,
}

impl StreamProducer<Cell> for Arriving {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, Cell>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        store.data_mut().limits.progress();
        if destination.remaining(store.as_context_mut()) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        loop {
            return match self.bytes.poll_recv(cx) {
                // Nothing is no item, and a stream may only be told of items.
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

struct ArrivingItems<T> {
    items: mpsc::Receiver<T>,
}

impl<T: Lower + Lift + Send + Sync + 'static> StreamProducer<Cell> for ArrivingItems<T> {
    type Item = T;
    type Buffer = VecBuffer<T>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, Cell>,
        mut destination: Destination<'a, T, VecBuffer<T>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        store.data_mut().limits.progress();
        let room = match destination.remaining(store.as_context_mut()) {
            Some(0) => return Poll::Ready(Ok(StreamResult::Completed)),
            room => room.unwrap_or(ITEMS).min(ITEMS),
        };
        let mut some = Vec::new();
        match self.items.poll_recv_many(cx, &mut some, room) {
            Poll::Ready(0) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(_) => {
                destination.set_buffer(some.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Takes what a component writes, in pieces of type `P`.
struct Leaving<T, P: Send + 'static> {
    pieces: PollSender<P>,
    item: std::marker::PhantomData<fn() -> T>,
}

impl<T, P: Send + 'static> Leaving<T, P> {
    fn new(pieces: mpsc::Sender<P>) -> Self {
        Self { pieces: PollSender::new(pieces), item: std::marker::PhantomData }
    }

    /// Waits for room for one piece; says what to answer where there is none.
    fn poll_room(&mut self, cx: &mut Context<'_>, finish: bool) -> Poll<Option<StreamResult>> {
        match self.pieces.poll_reserve(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(None),
            Poll::Ready(Err(_)) => Poll::Ready(Some(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Some(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn sent(result: core::result::Result<(), PollSendError<P>>) -> Poll<Result<StreamResult>> {
        Poll::Ready(Ok(match result {
            Ok(()) => StreamResult::Completed,
            Err(_) => StreamResult::Dropped,
        }))
    }
}

impl StreamConsumer<Cell> for Leaving<u8, Bytes> {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<Cell>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        store.data_mut().limits.progress();
        if let Some(result) = ready!(self.poll_room(cx, finish)) {
            return Poll::Ready(Ok(result));
        }
        let mut source = source.as_direct(store);
        let remaining = source.remaining();
        let bytes = Bytes::copy_from_slice(&remaining[..remaining.len().min(PIECE)]);
        if bytes.is_empty() {
            self.pieces.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        source.mark_read(bytes.len());
        Self::sent(self.pieces.send_item(bytes))
    }
}

impl<T: Lift + Send + 'static> StreamConsumer<Cell> for Leaving<T, Vec<T>> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<Cell>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        store.data_mut().limits.progress();
        if let Some(result) = ready!(self.poll_room(cx, finish)) {
            return Poll::Ready(Ok(result));
        }
        let count = source.remaining(store.as_context_mut()).min(ITEMS);
        if count == 0 {
            self.pieces.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut items = Vec::with_capacity(count);
        source.read(store, &mut items)?;
        Self::sent(self.pieces.send_item(items))
    }
}

/// Tells the end that a component writes.
struct Telling {
    told: Option<oneshot::Sender<End>>,
}

impl FutureConsumer<Cell> for Telling {
    type Item = End;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<Cell>,
        mut source: Source<'_, End>,
        _: bool,
    ) -> Poll<Result<()>> {
        store.data_mut().limits.progress();
        let mut end = None;
        source.read(store, &mut end)?;
        if let (Some(end), Some(told)) = (end, self.told.take()) {
            // Nobody waiting for it any more is fine.
            let _ = told.send(end);
        }
        Poll::Ready(Ok(()))
    }
}
