//! A stream that keeps the first bytes that came: what a handshake cannot read says best what speaks there.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that is kept, in bytes.
const MOST: usize = 512;

/// Anything that is read and written: a connection, or TLS over one.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The first bytes that came over a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct First(Arc<Mutex<Vec<u8>>>);

impl First {
    /// What came so far, at most 512 bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nothing panics while it holds this lock").clone()
    }
}

/// A stream whose first bytes are kept.
pub(crate) struct Noting<S> {
    stream: S,
    first: First,
}

impl<S> Noting<S> {
    pub(crate) fn new(stream: S) -> (Self, First) {
        let first = First::default();
        (Self { stream, first: first.clone() }, first)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noting<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let mut kept = self.first.0.lock().expect("nothing panics while it holds this lock");
        let room = MOST - kept.len();
        let fresh = &buf.filled()[before..];
        kept.extend_from_slice(&fresh[..fresh.len().min(room)]);
        drop(kept);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
