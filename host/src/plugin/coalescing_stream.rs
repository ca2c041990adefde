//! A connection whose flush is delayed to coalesce HTTP/2 frames: a reply's HEADERS, DATA and
//! trailers wake Plakar once instead of three times.

use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Maximum number of bytes that wait to be sent with others. Larger writes aren't worth a copy.
const MAX_BUFFERED_BYTES: usize = 64 << 10;
/// Number of times that a flush yields to all other tasks: a reply passes through several of them. A yield
/// at which none has anything to do costs next to nothing.
const MAX_YIELDS: u32 = 12;
/// Time limit of these yields, for tasks that compute.
const MAX_COALESCE_DELAY: Duration = Duration::from_millis(1);

/// A connection that buffers small writes until it is flushed and other tasks had their turn.
pub struct CoalescingStream<C> {
    connection: C,
    buffer: BytesMut,
    yields: u32,
    /// The time of the first yield since the buffer was sent.
    since: Option<Instant>,
}

impl<C> CoalescingStream<C> {
    /// Makes a coalescing connection of this one.
    pub fn new(connection: C) -> Self {
        let buffer = BytesMut::with_capacity(MAX_BUFFERED_BYTES);
        Self { connection, buffer, yields: 0, since: None }
    }

    /// Yields to other tasks while there is something to send: pending, and woken by itself,
    /// until the yields or their time are used up.
    fn poll_yield(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.buffer.is_empty() || self.yields >= MAX_YIELDS {
            return Poll::Ready(());
        }
        if self.since.get_or_insert_with(Instant::now).elapsed() >= MAX_COALESCE_DELAY {
            return Poll::Ready(());
        }
        self.yields += 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: AsyncWrite + Unpin> CoalescingStream<C> {
    /// Sends the buffer.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            let sent = Pin::new(&mut self.connection).poll_write(context, &self.buffer);
            match ready!(sent)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.buffer.advance(sent),
            }
        }
        (self.yields, self.since) = (0, None);
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for CoalescingStream<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let size: usize = slices.iter().map(|slice| slice.len()).sum();
        if this.buffer.len() + size <= MAX_BUFFERED_BYTES {
            for slice in slices {
                this.buffer.extend_from_slice(slice);
            }
            return Poll::Ready(Ok(size));
        }
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.connection).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_yield(context));
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for CoalescingStream<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// A connection that takes a few bytes at a time and records the size of each write.
    #[derive(Default)]
    struct Slow {
        sizes: Vec<usize>,
        bytes: Vec<u8>,
        max_write: usize,
        busy: bool,
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.busy = !self.busy;
            if self.busy && self.max_write < MAX_BUFFERED_BYTES {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = &bytes[..bytes.len().min(self.max_write)];
            self.sizes.push(taken.len());
            self.bytes.extend_from_slice(taken);
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn pattern(size: usize) -> Vec<u8> {
        (0..size).map(|index| (index % 251) as u8).collect()
    }

    #[tokio::test]
    async fn writes_of_several_tasks_are_sent_at_once() {
        let slow = Slow { max_write: usize::MAX, ..Slow::default() };
        let stream = std::sync::Arc::new(tokio::sync::Mutex::new(CoalescingStream::new(slow)));
        let write = async |bytes: &[u8]| stream.lock().await.write_all(bytes).await;
        let flush = std::future::poll_fn(|context| {
            let Ok(mut stream) = stream.try_lock() else { return Poll::Pending };
            Pin::new(&mut *stream).poll_flush(context)
        });
        write(b"head ").await.unwrap();
        let (flushed, written) = futures::join!(flush, async {
            tokio::task::yield_now().await;
            write(b"body ").await?;
            write(b"end").await
        });
        flushed.unwrap();
        written.unwrap();
        let stream = stream.lock().await;
        assert_eq!(stream.connection.bytes, b"head body end");
        assert_eq!(stream.connection.sizes, [13]);
    }

    #[tokio::test]
    async fn a_flush_doesn_t_wait_for_a_task_that_computes() {
        let mut stream = CoalescingStream::new(Slow { max_write: usize::MAX, ..Slow::default() });
        stream.write_all(b"now").await.unwrap();
        let mut polls = 0;
        let computes = std::future::poll_fn(|context| {
            std::thread::sleep(MAX_COALESCE_DELAY);
            polls += 1;
            context.waker().wake_by_ref();
            if polls == MAX_YIELDS { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            biased;
            () = computes => panic!("it waited for the whole computation"),
            flushed = stream.flush() => flushed.unwrap(),
        }
        assert_eq!(stream.connection.bytes, b"now");
    }

    #[tokio::test]
    async fn small_and_large_writes_stay_in_order_over_a_slow_connection() {
        let mut stream = CoalescingStream::new(Slow { max_write: 1000, ..Slow::default() });
        let all = pattern(3 * MAX_BUFFERED_BYTES);
        let mut rest = &all[..];
        for size in [1, 10, MAX_BUFFERED_BYTES - 11, 1, MAX_BUFFERED_BYTES + 5, 100] {
            let (chunk, next) = rest.split_at(size);
            stream.write_all(chunk).await.unwrap();
            rest = next;
        }
        stream.write_all(rest).await.unwrap();
        stream.flush().await.unwrap();
        assert!(stream.connection.bytes == all);
    }

    #[tokio::test]
    async fn the_buffer_is_sent_before_the_connection_is_closed() {
        let (ours, mut theirs) = duplex(16);
        let all = pattern(1000);
        let written = async {
            let mut stream = CoalescingStream::new(ours);
            stream.write_all(&all).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let (_, count) = futures::join!(written, theirs.read_to_end(&mut read));
        assert_eq!(count.unwrap(), 1000);
        assert!(read == all);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error() {
        let (ours, theirs) = duplex(16);
        drop(theirs);
        let mut stream = CoalescingStream::new(ours);
        stream.write_all(b"lost").await.unwrap();
        assert!(stream.flush().await.is_err());
    }
}
