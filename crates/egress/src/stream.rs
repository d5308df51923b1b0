//! A connected stream, whatever it runs through. A plain socket stays one, so that the usual way costs nothing more.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connected stream.
pub enum Stream {
    /// A socket.
    Plain(TcpStream),
    /// TLS over a socket.
    Tls(Box<TlsStream<TcpStream>>),
    /// Through more than that.
    Other(Box<dyn Io>),
}

/// What a stream can be made of.
pub trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// The socket at the bottom; `None` when there is none.
    fn socket(&self) -> Option<&TcpStream>;

    /// The socket at the bottom, to be replaced by another descriptor of it.
    fn socket_mut(&mut self) -> Option<&mut TcpStream>;

    /// Whether the layer on top is TLS and HTTP/2 was agreed on.
    fn is_h2(&self) -> bool {
        false
    }
}

impl Stream {
    /// The socket itself, when nothing is between.
    #[must_use]
    pub const fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(_) | Self::Other(_) => None,
        }
    }

    /// The socket at the bottom, for its addresses and options.
    #[must_use]
    pub fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Other(stream) => stream.socket(),
        }
    }

    /// The socket at the bottom, to be replaced by another descriptor of it.
    pub(crate) fn socket_mut(&mut self) -> Option<&mut TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(stream) => Some(stream.get_mut().0),
            Self::Other(stream) => stream.socket_mut(),
        }
    }

    /// Whether HTTP/2 was agreed on.
    #[must_use]
    pub fn is_h2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            Self::Other(stream) => stream.is_h2(),
        }
    }

    /// The same stream, on which `bytes` are read first.
    #[must_use]
    pub fn after(self, bytes: Bytes) -> Self {
        if bytes.is_empty() { self } else { Self::Other(Box::new(Prefixed { bytes, stream: self })) }
    }

    /// Moves the socket to the runtime of the present thread, whatever runs over it: a second descriptor takes the place of
    /// the first. What the runtime before knew of it may be out of date, so the socket itself is asked whether it is quiet.
    ///
    /// # Errors
    /// When something has come, the end included, or the socket cannot be moved.
    pub(crate) fn adopt(&mut self) -> io::Result<()> {
        let Some(socket) = self.socket_mut() else { return Err(io::ErrorKind::Unsupported.into()) };
        match SockRef::from(&*socket).peek(&mut [MaybeUninit::uninit()]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
        let same = socket.as_fd().try_clone_to_owned()?;
        *socket = TcpStream::from_std(same.into())?;
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Other(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Other(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Other(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Other(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Other(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// TLS over a stream that is itself more than a socket.
impl Io for TlsStream<Stream> {
    fn socket(&self) -> Option<&TcpStream> {
        self.get_ref().0.socket()
    }

    fn socket_mut(&mut self) -> Option<&mut TcpStream> {
        self.get_mut().0.socket_mut()
    }

    fn is_h2(&self) -> bool {
        self.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

/// A stream of which some bytes have been read already.
struct Prefixed {
    bytes: Bytes,
    stream: Stream,
}

impl Io for Prefixed {
    fn socket(&self) -> Option<&TcpStream> {
        self.stream.socket()
    }

    fn socket_mut(&mut self) -> Option<&mut TcpStream> {
        self.stream.socket_mut()
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.bytes.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let length = this.bytes.len().min(buffer.remaining());
        buffer.put_slice(&this.bytes[..length]);
        this.bytes.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
