//! Datagrams along a way out.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tradewind_core::{Fault, FaultKind};

use crate::Destination;
use crate::dialing::{Forbid, permitted};
use crate::outbound::{Association, Session};
use crate::resolve::Resolver;

/// The longest datagram that is received, with all that is put around it.
pub(crate) const LONGEST_DATAGRAM: usize = 65_535;

/// A way for datagrams. Sending and receiving may go on at the same time; only one at a time receives.
pub struct Datagrams(Inner);

enum Inner {
    Direct(Direct),
    Socks(Box<Association>),
    Shadowsocks(Box<Session>),
}

impl Datagrams {
    pub(crate) async fn direct(resolver: Arc<Resolver>, forbid: Option<Forbid>) -> Result<Self, Fault> {
        let bound = |address: IpAddr| UdpSocket::bind(SocketAddr::new(address, 0));
        let (v4, v6) = (bound(Ipv4Addr::UNSPECIFIED.into()).await, bound(Ipv6Addr::UNSPECIFIED.into()).await);
        match (v4, v6) {
            (Err(error), Err(_)) => Err(socket_fault(&error)),
            (v4, v6) => Ok(Self(Inner::Direct(Direct { v4: v4.ok(), v6: v6.ok(), resolver, forbid }))),
        }
    }

    pub(crate) fn socks(association: Association) -> Self {
        Self(Inner::Socks(Box::new(association)))
    }

    pub(crate) fn shadowsocks(session: Session) -> Self {
        Self(Inner::Shadowsocks(Box::new(session)))
    }

    /// Sends `payload` to `to`.
    ///
    /// # Errors
    /// When `to` does not resolve, the datagram is too long, or the way is no longer there. Where `to` is forbidden, the kind is
    /// [`io::ErrorKind::PermissionDenied`] and a [`Fault`] is inside.
    pub async fn send_to(&self, to: &Destination, payload: &[u8]) -> io::Result<()> {
        match &self.0 {
            Inner::Direct(direct) => direct.send_to(to, payload).await,
            Inner::Socks(association) => association.send_to(to, payload).await,
            Inner::Shadowsocks(session) => session.send_to(to, payload).await,
        }
    }

    /// The next datagram: its length, at most that of `payload`, beyond which it is cut, and who sent it.
    ///
    /// # Errors
    /// When the way is no longer there.
    pub async fn recv_from(&self, payload: &mut [u8]) -> io::Result<(usize, Destination)> {
        match &self.0 {
            Inner::Direct(direct) => direct.recv_from(payload).await,
            Inner::Socks(association) => association.recv_from(payload).await,
            Inner::Shadowsocks(session) => session.recv_from(payload).await,
        }
    }
}

/// What a chain of datagrams can hold of itself.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

impl Datagrams {
    fn boxed_send<'a>(&'a self, to: &'a Destination, payload: &'a [u8]) -> Boxed<'a, ()> {
        Box::pin(self.send_to(to, payload))
    }

    fn boxed_recv<'a>(&'a self, payload: &'a mut [u8]) -> Boxed<'a, (usize, Destination)> {
        Box::pin(self.recv_from(payload))
    }
}

/// Without a proxy.
struct Direct {
    /// At least one of both is there.
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    resolver: Arc<Resolver>,
    forbid: Option<Forbid>,
}

impl Direct {
    async fn send_to(&self, to: &Destination, payload: &[u8]) -> io::Result<()> {
        let addresses = self.resolver.addresses(&to.host, to.port, false).await;
        let addresses = addresses.map_err(|fault| io::Error::other(fault.detail))?;
        permitted(self.forbid, to, &addresses)
            .map_err(|fault| io::Error::new(io::ErrorKind::PermissionDenied, fault))?;
        let socket = |address: &SocketAddr| if address.is_ipv4() { self.v4.as_ref() } else { self.v6.as_ref() };
        let way = addresses.iter().find_map(|address| socket(address).map(|socket| (socket, address)));
        let Some((socket, address)) = way else { return Err(io::ErrorKind::AddrNotAvailable.into()) };
        socket.send_to(payload, address).await.map(drop)
    }

    async fn recv_from(&self, payload: &mut [u8]) -> io::Result<(usize, Destination)> {
        loop {
            let ready = match (&self.v4, &self.v6) {
                (Some(v4), Some(v6)) => tokio::select! {
                    ready = v4.readable() => ready.map(|()| v4)?,
                    ready = v6.readable() => ready.map(|()| v6)?,
                },
                (v4, v6) => {
                    let socket = v4.as_ref().or(v6.as_ref()).ok_or(io::ErrorKind::NotConnected)?;
                    socket.readable().await?;
                    socket
                }
            };
            match ready.try_recv_from(payload) {
                Ok((length, from)) => return Ok((length, from.into())),
                // A destination that refuses says so on the socket that all destinations share.
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether the socket can still be used after `error`.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

/// What the datagrams of a proxy's own protocol run over, to and from its server alone.
pub(crate) enum Carrier {
    Socket(UdpSocket),
    Over(Box<Datagrams>, Destination),
}

impl Carrier {
    /// A socket towards `server`: what others send to it is not received.
    pub(crate) async fn open(server: &Destination, resolver: &Resolver) -> Result<Self, Fault> {
        let addresses = resolver.addresses(&server.host, server.port, true).await?;
        let mut last = None;
        for address in addresses {
            let own: IpAddr =
                if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let opened = async {
                let socket = UdpSocket::bind(SocketAddr::new(own, 0)).await?;
                socket.connect(address).await?;
                Ok(socket)
            };
            match opened.await {
                Ok(socket) => return Ok(Self::Socket(socket)),
                Err(error) => last = Some(error),
            }
        }
        Err(socket_fault(&last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())))
    }

    /// Through another way.
    pub(crate) fn over(datagrams: Datagrams, server: Destination) -> Self {
        Self::Over(Box::new(datagrams), server)
    }

    pub(crate) async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self {
            Self::Socket(socket) => match socket.send(datagram).await {
                Err(error) if is_passing(&error) => Ok(()),
                sent => sent.map(drop),
            },
            Self::Over(datagrams, server) => datagrams.boxed_send(server, datagram).await,
        }
    }

    pub(crate) async fn recv(&self, datagram: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => loop {
                match socket.recv(datagram).await {
                    Err(error) if is_passing(&error) => {}
                    received => return received,
                }
            },
            Self::Over(datagrams, _) => datagrams.boxed_recv(datagram).await.map(|(length, _)| length),
        }
    }
}

fn socket_fault(error: &io::Error) -> Fault {
    Fault::new(FaultKind::Reset, format!("no socket for datagrams: {error}")).before_sending()
}
