//! A connection that sends together what is written at about the same time: an answer's
//! head, body and end wake Plakar once instead of three times.

use bytes::{Buf, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What waits at most to be sent with more, in bytes. Larger pieces aren't worth a copy.
const MOST: usize = 64 << 10;
/// How often all other tasks may go on before what waits is sent: an answer passes
/// through several. A lap in which none has anything to do costs next to nothing.
const LAPS: u32 = 12;
/// How long that may take, where one of them computes.
const PATIENCE: Duration = Duration::from_millis(1);

/// Gathers what is written until it is flushed, and others had their turn.
pub struct Gathered<C> {
    connection: C,
    waiting: BytesMut,
    laps: u32,
    /// When the first lap began.
    since: Option<Instant>,
}

impl<C> Gathered<C> {
    pub fn new(connection: C) -> Self {
        Self { connection, waiting: BytesMut::with_capacity(MOST), laps: 0, since: None }
    }
}

impl<C: AsyncWrite + Unpin> Gathered<C> {
    /// Sends all that waits.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let sent = Pin::new(&mut self.connection).poll_write(context, &self.waiting);
            match ready!(sent)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.waiting.advance(sent),
            }
        }
        (self.laps, self.since) = (0, None);
        Poll::Ready(Ok(()))
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Gathered<C> {
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
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let size: usize = pieces.iter().map(|piece| piece.len()).sum();
        if this.waiting.len() + size <= MOST {
            pieces.iter().for_each(|piece| this.waiting.extend_from_slice(piece));
            return Poll::Ready(Ok(size));
        }
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.connection).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let wait = !this.waiting.is_empty() && this.laps < LAPS;
        if wait && this.since.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
            this.laps += 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Gathered<C> {
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

    /// Takes a few bytes at a time and remembers how many each write had.
    #[derive(Default)]
    struct Slow {
        sizes: Vec<usize>,
        bytes: Vec<u8>,
        most: usize,
        busy: bool,
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.busy = !self.busy;
            if self.busy && self.most < MOST {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = &bytes[..bytes.len().min(self.most)];
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
    async fn what_tasks_write_one_after_the_other_is_sent_at_once() {
        let slow = Slow { most: usize::MAX, ..Slow::default() };
        let gathered = std::sync::Arc::new(tokio::sync::Mutex::new(Gathered::new(slow)));
        let write = async |bytes: &[u8]| gathered.lock().await.write_all(bytes).await;
        let flush = std::future::poll_fn(|context| {
            let Ok(mut gathered) = gathered.try_lock() else { return Poll::Pending };
            Pin::new(&mut *gathered).poll_flush(context)
        });
        write(b"head ").await.unwrap();
        let (flushed, written) = futures::join!(flush, async {
            tokio::task::yield_now().await;
            write(b"body ").await?;
            write(b"end").await
        });
        flushed.unwrap();
        written.unwrap();
        let gathered = gathered.lock().await;
        assert_eq!(gathered.connection.bytes, b"head body end");
        assert_eq!(gathered.connection.sizes, [13]);
    }

    #[tokio::test]
    async fn what_is_written_doesn_t_wait_for_a_task_that_computes() {
        let mut gathered = Gathered::new(Slow { most: usize::MAX, ..Slow::default() });
        gathered.write_all(b"now").await.unwrap();
        let mut turns = 0;
        let computes = std::future::poll_fn(|context| {
            std::thread::sleep(PATIENCE);
            turns += 1;
            context.waker().wake_by_ref();
            if turns == LAPS { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            biased;
            () = computes => panic!("it waited for all of it"),
            flushed = gathered.flush() => flushed.unwrap(),
        }
        assert_eq!(gathered.connection.bytes, b"now");
    }

    #[tokio::test]
    async fn small_and_large_pieces_stay_in_order_where_little_is_taken_at_a_time() {
        let mut gathered = Gathered::new(Slow { most: 1000, ..Slow::default() });
        let all = pattern(3 * MOST);
        let mut rest = &all[..];
        for size in [1, 10, MOST - 11, 1, MOST + 5, 100] {
            let (piece, next) = rest.split_at(size);
            gathered.write_all(piece).await.unwrap();
            rest = next;
        }
        gathered.write_all(rest).await.unwrap();
        gathered.flush().await.unwrap();
        assert!(gathered.connection.bytes == all);
    }

    #[tokio::test]
    async fn what_waits_is_sent_before_the_connection_is_closed() {
        let (ours, mut theirs) = duplex(16);
        let all = pattern(1000);
        let written = async {
            let mut gathered = Gathered::new(ours);
            gathered.write_all(&all).await.unwrap();
            gathered.shutdown().await.unwrap();
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
        let mut gathered = Gathered::new(ours);
        gathered.write_all(b"nobody hears this").await.unwrap();
        assert!(gathered.flush().await.is_err());
    }
}
