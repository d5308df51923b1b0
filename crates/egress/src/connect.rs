//! Opening a connection: resolve, TCP with happy eyeballs (RFC 8305), TLS. One time limit over all three.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tradewind_core::{Fault, FaultKind};

use crate::Origin;
use crate::classify::{connect_fault, tls_fault};
use crate::resolve::Resolver;

/// RFC 8305 §5 recommends 250 ms between attempts.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// More addresses than this are not tried.
const ADDRESSES_TRIED: usize = 8;

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// A connected stream.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether the server chose HTTP/2.
    pub(crate) fn is_h2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Moves the socket to the runtime of the present thread, under TLS as well: a second descriptor takes the place of
    /// the first. What the runtime before knew of it may be out of date, so the socket itself is asked whether it is quiet.
    ///
    /// # Errors
    /// When something has come, the end included, or the socket cannot be moved.
    pub(crate) fn adopt(&mut self) -> io::Result<()> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        };
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

/// Opens a connection to `origin` within `limit`.
pub(crate) async fn connect(
    origin: &Origin,
    resolver: &Resolver,
    tls: Option<&Arc<ClientConfig>>,
    limit: Duration,
) -> Result<Stream, Fault> {
    let mut stage = FaultKind::Dns;
    let opening = async {
        let addresses = resolver.resolve(&origin.host, origin.port).await?;
        stage = FaultKind::ConnectTimeout;
        let tcp = connect_any(&addresses).await?;
        let _ = tcp.set_nodelay(true); // a socket that cannot do this still works, only slower
        let Some(tls) = tls else { return Ok(Stream::Plain(tcp)) };
        stage = FaultKind::TlsTimeout;
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| {
            Fault::new(FaultKind::Tls, format!("{} is not a name that TLS can verify", origin.host)).before_sending()
        })?;
        let stream = TlsConnector::from(tls.clone()).connect(name, tcp).await;
        stream.map(|stream| Stream::Tls(Box::new(stream))).map_err(|error| tls_fault(&error, &origin.to_string()))
    };
    // The future is dropped with its borrow of `stage` before that is read.
    let opened = tokio::time::timeout(limit, opening).await;
    opened.unwrap_or_else(|_| {
        let what = match stage {
            FaultKind::Dns => "the host name was not resolved",
            FaultKind::TlsTimeout => "the TLS handshake did not end",
            _ => "the connection was not accepted",
        };
        let detail = format!("{origin}: {what} within {}", tradewind_core::format_duration(limit));
        Err(Fault::new(stage, detail).before_sending())
    })
}

/// The first of `addresses` that accepts; each next one is started 250 ms after the last, or at once when all the
/// started ones have failed.
async fn connect_any(addresses: &[SocketAddr]) -> Result<TcpStream, Fault> {
    if let [only] = addresses {
        return TcpStream::connect(only).await.map_err(|error| connect_fault(&error, &only.to_string()));
    }
    let mut waiting = addresses.iter().take(ADDRESSES_TRIED);
    let mut trying: Vec<(SocketAddr, Connecting)> = Vec::new();
    let mut last_fault = Fault::new(FaultKind::Dns, "the host name has no address").before_sending();
    loop {
        if let Some(address) = waiting.next() {
            trying.push((*address, Box::pin(TcpStream::connect(*address))));
        }
        if trying.is_empty() {
            return Err(last_fault);
        }
        let first_done = poll_fn(|context| {
            for (index, (_, connecting)) in trying.iter_mut().enumerate() {
                if let Poll::Ready(result) = connecting.as_mut().poll(context) {
                    return Poll::Ready((index, result));
                }
            }
            Poll::Pending
        });
        let done = if waiting.len() > 0 {
            tokio::time::timeout(NEXT_ADDRESS_AFTER, first_done).await.ok()
        } else {
            Some(first_done.await)
        };
        match done {
            Some((_, Ok(stream))) => return Ok(stream),
            Some((index, Err(error))) => {
                let (address, _) = trying.swap_remove(index);
                last_fault = connect_fault(&error, &address.to_string());
            }
            None => {}
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
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
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
