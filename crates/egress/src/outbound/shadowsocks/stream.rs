//! An encrypted stream over another one. It holds what has come and not yet been read, at most one frame, and what has been
//! encrypted and not yet been sent, at most one frame; both are given back when they are empty.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tradewind_core::UnixMillis;

use super::cipher::{RandomError, Secrets};
use super::frames::{Opener, Sealer};
use crate::{Destination, Io, Stream};

/// One read from below.
const READ: usize = 8 * 1024;

/// A stream through a Shadowsocks server.
pub(super) struct Encrypted {
    below: Stream,
    /// What messages call the server.
    label: Arc<str>,
    secrets: Arc<Secrets>,
    sealer: Sealer,
    opener: Opener,
    /// Of the server, not decrypted.
    incoming: BytesMut,
    /// Decrypted, not read.
    content: BytesMut,
    /// Encrypted, not sent.
    outgoing: BytesMut,
    /// When it was opened; what comes first is compared with that.
    opened: UnixMillis,
}

impl Encrypted {
    pub(super) fn new(
        below: Stream,
        label: &Arc<str>,
        secrets: &Arc<Secrets>,
        to: &Destination,
        now: UnixMillis,
    ) -> Result<Self, RandomError> {
        let (sealer, salt) = Sealer::new(secrets, to, now)?;
        Ok(Self {
            below,
            label: label.clone(),
            secrets: secrets.clone(),
            sealer,
            opener: Opener::new(secrets, salt),
            incoming: BytesMut::new(),
            content: BytesMut::new(),
            outgoing: BytesMut::new(),
            opened: now,
        })
    }

    /// Sends what has been encrypted.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let sent = ready!(Pin::new(&mut self.below).poll_write(context, &self.outgoing))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(sent);
        }
        self.outgoing = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Sends the beginning of the stream, where nothing has been written that would have taken it along.
    fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sealer.is_new() {
            self.sealer.seal(&[], &mut self.outgoing).map_err(io::Error::other)?;
        }
        self.poll_send(context)
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Whoever waits for the other side to speak first has written nothing.
        if this.sealer.is_new() {
            ready!(this.poll_begin(context))?;
            ready!(Pin::new(&mut this.below).poll_flush(context))?;
        }
        loop {
            if !this.content.is_empty() {
                let length = this.content.len().min(buffer.remaining());
                buffer.put_slice(&this.content.split_to(length));
                if this.content.is_empty() {
                    this.content = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            let taken = this.opener.take(&mut this.incoming, &this.secrets, this.opened);
            let taken = taken
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", this.label)))?;
            if let Some(content) = taken {
                this.content = content;
                continue;
            }
            if this.incoming.is_empty() {
                // A stream that waits holds no buffer.
                this.incoming = BytesMut::new();
            }
            // What could not be sent before may not wait for whoever only reads now.
            if !this.outgoing.is_empty()
                && let Poll::Ready(Err(error)) = this.poll_send(context)
            {
                return Poll::Ready(Err(error));
            }
            let mut bytes = [0; READ];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.below).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                if this.opener.may_end(&this.incoming) {
                    return Poll::Ready(Ok(()));
                }
                // A wrong password and a destination that cannot be reached look the same from here.
                let what = if this.opener.is_new(&this.incoming) {
                    "it closed the connection without a word: it did not reach the destination, or does not know the password"
                } else {
                    "it broke off"
                };
                let what = format!("{}: {what}", this.label);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
            }
            this.incoming.extend_from_slice(read.filled());
        }
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(context))?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let taken = this.sealer.seal(bytes, &mut this.outgoing).map_err(io::Error::other)?;
        // What cannot be sent now is sent by the next write or flush.
        match this.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_begin(context))?;
        Pin::new(&mut this.below).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_begin(context))?;
        Pin::new(&mut this.below).poll_shutdown(context)
    }
}

impl Io for Encrypted {
    fn socket(&self) -> Option<&TcpStream> {
        self.below.socket()
    }

    fn socket_mut(&mut self) -> Option<&mut TcpStream> {
        self.below.socket_mut()
    }
}
