//! Accepts callers of the relay.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tradewind_core::FaultKind;
use tradewind_policy::ways::{Inbound, InboundKind, Transport};
use tradewind_runtime::{Stage, Supervisor};

use crate::datagrams::associate;
use crate::detect::{Spoken, Takes, spoken};
use crate::http::serve_http;
use crate::relay::{Came, Passing, Relay, keep_alive};
use crate::socks5::{Command, Reply};
use crate::user::Who;
use crate::{socks4, socks5};

/// Connections that one port serves at once; one more is closed at once.
pub const MOST_CONNECTIONS: usize = 65_536;
/// How long a caller may take to say what it wants.
pub(crate) const GREETING: Duration = Duration::from_secs(30);
/// After a failed accept the next one waits for this long, so that some descriptors can be closed.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(50);

/// A port of the relay.
pub struct Port {
    /// What it takes.
    pub takes: Takes,
    /// Where it listens.
    pub address: SocketAddr,
    listener: TcpListener,
}

/// What a document wants to listen on.
#[must_use]
pub fn wanted(inbound: &Inbound) -> Vec<(Takes, SocketAddr)> {
    let host = match (inbound.allow_lan, inbound.bind_address) {
        (false, _) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (true, Some(address)) => address,
        // Both families, where the system has both.
        (true, None) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let ports = [(Takes::All, inbound.mixed_port), (Takes::Http, inbound.port), (Takes::Socks, inbound.socks_port)];
    ports.into_iter().filter_map(|(takes, port)| Some((takes, SocketAddr::new(host, port?)))).collect()
}

impl Port {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When the system does not give it.
    pub fn open(takes: Takes, address: SocketAddr) -> io::Result<Self> {
        let bound = match std::net::TcpListener::bind(address) {
            // A machine without IPv6.
            Err(_) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))?
            }
            bound => bound?,
        };
        bound.set_nonblocking(true)?;
        let listener = TcpListener::from_std(bound)?;
        Ok(Self { takes, address: listener.local_addr()?, listener })
    }

    /// The address of ours that a caller has reached. Only where a port listens on all of them has the system to be asked.
    fn reached(&self, stream: &TcpStream) -> Option<IpAddr> {
        let own = Some(self.address.ip()).filter(|own| !own.is_unspecified());
        own.or_else(|| stream.local_addr().ok().map(|at| at.ip())).map(|at| at.to_canonical())
    }

    /// Serves callers until the process stops or the task is dropped.
    pub async fn serve(self, relay: Arc<Relay>, supervisor: Supervisor) {
        let open = Arc::new(AtomicUsize::new(0));
        let stages = supervisor.stages().clone();
        let listener: Arc<str> = match self.takes {
            Takes::All => "DEFAULT-MIXED",
            Takes::Http => "DEFAULT-HTTP",
            Takes::Socks => "DEFAULT-SOCKS",
        }
        .into();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stages.reached(Stage::Draining) => return,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted) {
                        tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
                    }
                    continue;
                }
            };
            if !relay.users.look().may_come(from.ip()) || open.load(Ordering::Relaxed) >= MOST_CONNECTIONS {
                continue;
            }
            open.fetch_add(1, Ordering::Relaxed);
            let counted = Counted(open.clone());
            let at = self.reached(&stream);
            let came = Came { from, listener: listener.clone(), at, port: self.address.port() };
            let (relay, stages, takes) = (relay.clone(), stages.clone(), self.takes);
            // A socket that cannot be handed over is as good as closed.
            let _ = supervisor.serve(stream, async move |stream| {
                let _counted = counted;
                keep_alive(&stream);
                tokio::select! {
                    biased;
                    () = stages.reached(Stage::Over) => {}
                    () = serve_one(stream, takes, &relay, &came) => {}
                }
            });
        }
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one caller. What goes wrong has been told to the caller and recorded where that is possible; a connection on which
/// nothing was understood is just closed.
async fn serve_one(stream: TcpStream, takes: Takes, relay: &Arc<Relay>, came: &Came) {
    let Ok(Ok(Some(spoken))) = tokio::time::timeout(GREETING, spoken(&stream, takes)).await else { return };
    // Each is a future of its own, and gone when the tunnel stands: that carries nothing of how it was asked for.
    let passing = match spoken {
        Spoken::Socks5 => Box::pin(serve_socks5(stream, relay, came)).await,
        Spoken::Socks4 => Box::pin(serve_socks4(stream, relay, came)).await,
        Spoken::Http => Box::pin(serve_http(stream, relay, came)).await,
    };
    if let Some(passing) = passing {
        passing.await;
    }
}

async fn serve_socks5(mut stream: TcpStream, relay: &Arc<Relay>, came: &Came) -> Option<Passing> {
    let users = relay.users.get();
    let greeting = socks5::accept(&mut stream, &users, came.from);
    let Ok(Ok(asked)) = tokio::time::timeout(GREETING, greeting).await else { return None };
    if asked.command == Command::Associate {
        Box::pin(associate(stream, asked.who, relay, came)).await;
        return None;
    }
    let mut meta = Relay::meta(InboundKind::Socks5, Transport::Tcp, &asked.to, came, &asked.who);
    let connected = async {
        let mut call = relay.decide("socks5", &mut meta, &asked.to).await?;
        let way = call.connect(&asked.to).await?;
        Ok((call, way))
    };
    match connected.await {
        Ok((call, way)) => {
            let bound = way.as_tcp().and_then(|socket| socket.local_addr().ok());
            socks5::reply(&mut stream, Reply::Done, bound).await.ok()?;
            Some(call.pass(stream, Vec::new(), way, meta))
        }
        Err(refused) => {
            let refused: crate::relay::Refused = refused;
            let told = match refused.fault.kind {
                FaultKind::WayRejected => Reply::NotAllowed,
                FaultKind::Dns => Reply::HostUnreachable,
                FaultKind::ConnectRefused => Reply::Refused,
                _ => Reply::Failed,
            };
            // Whoever has gone already needs no answer.
            let _ = socks5::reply(&mut stream, told, None).await;
            None
        }
    }
}

async fn serve_socks4(mut stream: TcpStream, relay: &Arc<Relay>, came: &Came) -> Option<Passing> {
    let needs_password = relay.users.look().needed(came.from.ip());
    let greeting = socks4::accept(&mut stream, needs_password);
    let Ok(Ok(to)) = tokio::time::timeout(GREETING, greeting).await else { return None };
    let mut meta = Relay::meta(InboundKind::Socks4, Transport::Tcp, &to, came, &Who::default());
    let connected = async {
        let mut call = relay.decide("socks4", &mut meta, &to).await?;
        let way = call.connect(&to).await?;
        Ok::<_, crate::relay::Refused>((call, way))
    };
    let connected = connected.await;
    // Whoever has gone already needs no answer; the record says so when the call is dropped.
    socks4::reply(&mut stream, connected.is_ok()).await.ok()?;
    let (call, way) = connected.ok()?;
    Some(call.pass(stream, Vec::new(), way, meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_come_in_only_when_they_may() {
        let inbound = Inbound { mixed_port: Some(7890), socks_port: Some(1080), ..Inbound::default() };
        let addresses =
            |inbound: &Inbound| wanted(inbound).into_iter().map(|(_, at)| at.to_string()).collect::<Vec<_>>();
        assert_eq!(addresses(&inbound), ["127.0.0.1:7890", "127.0.0.1:1080"]);
        let bound = Inbound { bind_address: Some("10.0.0.1".parse().unwrap()), ..inbound.clone() };
        assert_eq!(addresses(&bound), ["127.0.0.1:7890", "127.0.0.1:1080"], "without allow-lan");
        assert_eq!(addresses(&Inbound { allow_lan: true, ..bound }), ["10.0.0.1:7890", "10.0.0.1:1080"]);
        assert_eq!(addresses(&Inbound { allow_lan: true, ..inbound }), ["[::]:7890", "[::]:1080"]);
        assert!(wanted(&Inbound::default()).is_empty());
    }
}
