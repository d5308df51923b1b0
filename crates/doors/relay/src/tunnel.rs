//! Passing bytes both ways between a caller and a way out.
//!
//! A connection that says nothing holds no buffer: bytes are read into one that all connections of a thread share, and
//! written on at once; only what the other side does not take at that moment is kept, in the connection's own, and nothing
//! more is read until it is gone. Much at once is moved by the kernel from socket to socket (`pipe.rs`). What a layer on the way holds back (TLS does) is sent when nothing more is there to read. An
//! end is passed on as an end of that direction alone (half-close).

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tradewind_egress::Stream;
use tradewind_ways::Open;

use crate::pipe::Pipe;

/// Bytes that are read at once.
const READ: usize = 64 * 1024;
/// So many reads in a row that fill the buffer, and the kernel moves what follows from socket to socket.
const BULK: u8 = 2;
/// When it moves fewer bytes at once, they are read again: two calls for a few bytes are no gain.
const WORTH: usize = 16 * 1024;
/// Reads in a row before others get their turn.
const IN_A_ROW: usize = 16;
/// How long the one side may say nothing after the other has ended.
pub(crate) const HALF_CLOSED: Duration = Duration::from_secs(300);

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Both sides have ended.
    Whole,
    /// Somebody asked to end it.
    Closed,
    /// One side ended, and the other said nothing more.
    Silent,
    /// The caller's connection broke.
    CallerBroke,
    /// The way out broke.
    WayBroke,
}

/// One direction.
#[derive(Debug, Default)]
struct Direction {
    kept: Vec<u8>,
    written: usize,
    state: State,
    /// The other side has taken bytes that it may not have sent yet.
    dirty: bool,
    /// Bytes passed on, since it was last asked.
    passed: u64,
    /// Reads in a row that filled the buffer.
    full: u8,
    /// Bytes that the kernel holds for the other side.
    pipe: Option<Pipe>,
}

/// An end of a tunnel.
pub(crate) trait End: AsyncRead + AsyncWrite + Unpin {
    /// The socket, when nothing is between.
    fn plain(&self) -> Option<&TcpStream>;
}

impl End for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl End for Stream {
    fn plain(&self) -> Option<&TcpStream> {
        self.as_tcp()
    }
}

impl<T> End for TokioIo<T>
where
    Self: AsyncRead + AsyncWrite + Unpin,
{
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

#[cfg(test)]
impl End for tokio::io::DuplexStream {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

#[cfg(test)]
impl<T> End for tokio::io::BufStream<T>
where
    Self: AsyncRead + AsyncWrite + Unpin,
{
    fn plain(&self) -> Option<&TcpStream> {
        None
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Ending,
    Ended,
    /// The reader broke after bytes that the other side is still to have.
    Broken,
}

/// Whose fault an error is.
enum Broke {
    Reader,
    Writer,
}

impl Direction {
    fn poll<R, W>(&mut self, reader: &mut R, writer: &mut W, context: &mut Context<'_>) -> Poll<Result<(), Broke>>
    where
        R: End,
        W: End,
    {
        let mut reads = 0;
        loop {
            while self.written < self.kept.len() {
                let written = ready!(Pin::new(&mut *writer).poll_write(context, &self.kept[self.written..]));
                match written {
                    Ok(count @ 1..) => {
                        self.dirty = true;
                        self.written += count;
                        self.passed += count as u64;
                    }
                    Ok(0) | Err(_) => return Poll::Ready(Err(Broke::Writer)),
                }
            }
            if !self.kept.is_empty() {
                // The memory goes as well: most connections need none for most of their life.
                (self.kept, self.written) = (Vec::new(), 0);
            }
            ready!(self.empty(writer, context))?;
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Broken => return Poll::Ready(Err(Broke::Reader)),
                State::Ending => {
                    // A peer that has gone already cannot be told.
                    let _ = ready!(Pin::new(&mut *writer).poll_shutdown(context));
                    self.state = State::Ended;
                }
                State::Open => {
                    if reads == IN_A_ROW {
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    reads += 1;
                    let step = match (reader.plain(), writer.plain()) {
                        (Some(from), Some(_)) if self.full >= BULK => self.fill(from, context),
                        _ => self.read(reader, writer, context),
                    };
                    match step {
                        Poll::Ready(read) => read?,
                        Poll::Pending => return self.flush(writer, context),
                    }
                }
            }
        }
    }

    /// Has the other side send what it has taken, now that there is nothing to read: more is to come, so it is never over.
    fn flush<W>(&mut self, writer: &mut W, context: &mut Context<'_>) -> Poll<Result<(), Broke>>
    where
        W: AsyncWrite + Unpin,
    {
        if self.dirty {
            let flushed = ready!(Pin::new(writer).poll_flush(context));
            self.dirty = false;
            if flushed.is_err() {
                return Poll::Ready(Err(Broke::Writer));
            }
        }
        Poll::Pending
    }

    /// Has the kernel take what has come.
    fn fill(&mut self, from: &TcpStream, context: &mut Context<'_>) -> Poll<Result<(), Broke>> {
        let Some(mut pipe) = Pipe::take() else {
            self.full = 0;
            return Poll::Ready(Ok(()));
        };
        let filled = pipe.poll_fill(from, context);
        if let Poll::Ready(Ok(Some(WORTH..))) = filled {
            // What has come in the meantime goes in the same piece.
            match pipe.fill_again(from) {
                Ok(Some(1..) | None) => {}
                Ok(Some(0)) => self.state = State::Ending,
                Err(_) => self.state = State::Broken,
            }
        }
        match filled {
            Poll::Ready(Ok(Some(1..))) => self.pipe = Some(pipe),
            _ => pipe.give_back(),
        }
        match ready!(filled) {
            Ok(Some(0)) => self.state = State::Ending,
            Ok(Some(WORTH..)) => {}
            Ok(_) => self.full = 0,
            Err(_) => return Poll::Ready(Err(Broke::Reader)),
        }
        Poll::Ready(Ok(()))
    }

    /// Has the other side take what the kernel holds for it.
    fn empty<W: End>(&mut self, writer: &W, context: &mut Context<'_>) -> Poll<Result<(), Broke>> {
        let (Some(pipe), Some(to)) = (&mut self.pipe, writer.plain()) else { return Poll::Ready(Ok(())) };
        while !pipe.is_empty() {
            match ready!(pipe.poll_empty(to, context)) {
                Ok(count @ 1..) => self.passed += count as u64,
                Ok(0) | Err(_) => return Poll::Ready(Err(Broke::Writer)),
            }
        }
        if let Some(pipe) = self.pipe.take() {
            pipe.give_back();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes as much of it as the other side takes.
    fn read<R, W>(&mut self, reader: &mut R, writer: &mut W, context: &mut Context<'_>) -> Poll<Result<(), Broke>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        SHARED.with_borrow_mut(|shared| {
            let mut buffer = ReadBuf::new(shared);
            match ready!(Pin::new(reader).poll_read(context, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => self.state = State::Ending,
                Ok(()) => {
                    let read = buffer.filled();
                    self.full = if read.len() == READ { self.full.saturating_add(1) } else { 0 };
                    let mut at = 0;
                    while at < read.len() {
                        match Pin::new(&mut *writer).poll_write(context, &read[at..]) {
                            Poll::Ready(Ok(count @ 1..)) => {
                                self.dirty = true;
                                at += count;
                            }
                            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Broke::Writer)),
                            Poll::Pending => {
                                self.kept.extend_from_slice(&read[at..]);
                                break;
                            }
                        }
                    }
                    self.passed += at as u64;
                }
                Err(_) => return Poll::Ready(Err(Broke::Reader)),
            }
            Poll::Ready(Ok(()))
        })
    }
}

/// Passes bytes both ways until both sides have ended, one has broken, or `open` is asked to end. `early` is what the caller
/// has said already.
pub(crate) async fn tunnel<C, W>(mut caller: C, early: Vec<u8>, mut way: W, open: &Open) -> Ended
where
    C: End,
    W: End,
{
    let (mut up, mut down) = (Direction { kept: early, ..Direction::default() }, Direction::default());
    let closed = open.connection().closed();
    tokio::pin!(closed);
    // Made when it is needed: most tunnels end on both sides at once.
    let mut silence: Option<Pin<Box<tokio::time::Sleep>>> = None;
    poll_fn(|context| {
        if closed.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ended::Closed);
        }
        let upwards = up.poll(&mut caller, &mut way, context);
        let downwards = down.poll(&mut way, &mut caller, context);
        let (sent, came) = (std::mem::take(&mut up.passed), std::mem::take(&mut down.passed));
        if sent > 0 {
            open.upload(sent);
        }
        if came > 0 {
            open.download(came);
        }
        match (upwards, downwards) {
            (Poll::Ready(Err(Broke::Reader)), _) | (_, Poll::Ready(Err(Broke::Writer))) => {
                Poll::Ready(Ended::CallerBroke)
            }
            (Poll::Ready(Err(Broke::Writer)), _) | (_, Poll::Ready(Err(Broke::Reader))) => Poll::Ready(Ended::WayBroke),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ended::Whole),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            (Poll::Ready(Ok(())), Poll::Pending) | (Poll::Pending, Poll::Ready(Ok(()))) => {
                if sent + came > 0 {
                    silence = None;
                }
                let sleep = silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(HALF_CLOSED)));
                sleep.as_mut().poll(context).map(|()| Ended::Silent)
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use smallvec::SmallVec;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream};
    use tradewind_core::UnixMillis;
    use tradewind_decide::rules::Meta;
    use tradewind_ways::{Begun, Connections};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn open() -> Open {
        let (meta, since, payload) = (Meta::default(), UnixMillis(0), Arc::from(""));
        Arc::new(Connections::default()).enter(Begun {
            meta,
            remote: None,
            since,
            chain: SmallVec::new(),
            rule: "",
            payload,
        })
    }

    #[tokio::test]
    async fn what_a_layer_holds_back_is_sent_when_there_is_nothing_more_to_read() {
        let open = open();
        let (mut caller, here) = tokio::io::duplex(1024);
        let (there, mut origin) = tokio::io::duplex(1024);
        // Both hold what is written to them until they are flushed, as TLS may.
        let passing = tunnel(BufStream::new(here), b"early ".to_vec(), BufStream::new(there), &open);
        let talking = async {
            let mut heard = [0; 10];
            caller.write_all(b"ping").await.unwrap();
            origin.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"early ping");
            origin.write_all(b"pong").await.unwrap();
            caller.read_exact(&mut heard[..4]).await.unwrap();
            assert_eq!(&heard[..4], b"pong");
            drop((caller, origin));
        };
        let (ended, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(passing, talking) }).await.unwrap();
        assert_eq!(ended, Ended::Whole);
        assert_eq!((open.connection().uploaded(), open.connection().downloaded()), (10, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_that_does_not_end_is_taken_up_again() {
        let open = open();
        let (mut caller, here) = tokio::io::duplex(1024);
        // The other side takes a few bytes at a time, so that a flush has to wait for it.
        let (there, mut origin) = tokio::io::duplex(3);
        let passing = tunnel(here, Vec::new(), BufStream::new(there), &open);
        let talking = async {
            caller.write_all(b"a longer question").await.unwrap();
            let mut heard = Vec::new();
            while heard.len() < 17 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                origin.read_buf(&mut heard).await.unwrap();
            }
            assert_eq!(heard, b"a longer question");
            open.connection().close();
        };
        let (ended, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(passing, talking) }).await.unwrap();
        assert_eq!(ended, Ended::Closed);
    }

    #[tokio::test]
    async fn early_bytes_that_nobody_takes_can_be_closed() {
        let open = open();
        let (_caller, here) = tokio::io::duplex(8);
        let (there, _origin) = tokio::io::duplex(8);
        let passing = tunnel(here, vec![0; 64], there, &open);
        let closing = async { open.connection().close() };
        let (ended, ()) = tokio::join!(passing, closing);
        assert_eq!(ended, Ended::Closed);
        assert!(open.connection().is_closed());
        assert_eq!(open.connection().uploaded(), 8);
    }
}
