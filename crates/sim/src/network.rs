//! Addresses that cannot be reached, each in its own way: no such host, nobody listens, nobody answers.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

/// A host name that never resolves (RFC 2606 keeps `.invalid` free).
pub const UNRESOLVABLE_HOST: &str = "no-such-host.tradewind-sim.invalid";

/// A port on 127.0.0.1 that refuses connections as long as this lives: it is bound, and nobody listens on it.
#[derive(Debug)]
pub struct RefusedPort {
    address: SocketAddr,
    _bound: Socket,
}

impl RefusedPort {
    /// Binds a free port without listening.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn bind() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
        let address = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an IP address"))?;
        Ok(Self { address, _bound: socket })
    }

    /// The address that refuses.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A port of 127.0.0.1 where nobody listens now, for a program that is told its port: from 12,000 to 31,999, below those that
/// systems give to connections, so that none of them takes it before the program listens.
#[must_use]
pub fn free_port() -> u16 {
    let random = || RandomState::new().hash_one(());
    let port = || 12_000 + (random() % 20_000) as u16;
    loop {
        let port = port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A listener whose accept queue is full and that never accepts: on Linux the SYN of any further connection is dropped,
/// so that connecting hangs as it does behind a firewall that says nothing.
#[derive(Debug)]
pub struct BlackHole {
    listener: TcpListener,
    _queued: Vec<Socket>,
}

/// How long a connection that gets through takes on loopback at the very most.
const LOCAL_CONNECT: Duration = Duration::from_millis(250);

impl BlackHole {
    /// Listens with the smallest queue and fills it. Blocks for about a quarter of a second.
    ///
    /// # Errors
    /// When no port can be bound, or the queue does not fill up.
    pub fn bind() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
        socket.listen(0)?;
        let address = socket.local_addr()?;
        let mut queued = Vec::new();
        for _ in 0..64 {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            let connected = filler.connect_timeout(&address, LOCAL_CONNECT);
            queued.push(filler);
            if connected.is_err() {
                return Ok(Self { listener: socket.into(), _queued: queued });
            }
        }
        Err(io::Error::other("the accept queue of a listener does not fill up here"))
    }

    /// The address that never answers.
    ///
    /// # Errors
    /// When the system does not know the listener's address.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn a_refused_port_refuses_at_once() {
        let port = RefusedPort::bind().unwrap();
        let error = TcpStream::connect_timeout(&port.address(), Duration::from_secs(5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_black_hole_never_answers() {
        let hole = BlackHole::bind().unwrap();
        for _ in 0..3 {
            let error = TcpStream::connect_timeout(&hole.address().unwrap(), Duration::from_millis(400)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }
}
