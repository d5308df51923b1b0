//! The steps of opening a connection, each with a word for where it broke: resolve, TCP with happy eyeballs (RFC 8305), TLS.
//! One time limit lies over all of them, see [`bounded`].

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tradewind_core::{Fault, FaultKind};

use crate::classify::{connect_fault, tls_fault};
use crate::dialing::{Forbid, Way, permitted};
use crate::resolve::Resolver;
use crate::{Destination, Host, Http2, Roots, Stream};

/// RFC 8305 §5 recommends 250 ms between attempts.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// More addresses than this are not tried.
const ADDRESSES_TRIED: usize = 8;

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// How far an opening has come: what is said when its time is over.
pub(crate) struct Progress(Mutex<Step>);

#[derive(Clone)]
struct Step {
    kind: FaultKind,
    /// The proxy that it is about; the destination itself otherwise.
    proxy: Option<Arc<str>>,
    what: &'static str,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Step { kind: FaultKind::Dns, proxy: None, what: "the host name was not resolved" }))
    }

    /// Goes on to a step towards the destination, or, where `proxy` is given, towards or with that proxy. `kind` and `what`
    /// are the fault's, should the time end here.
    pub(crate) fn at(&self, kind: FaultKind, proxy: Option<&Arc<str>>, what: &'static str) {
        *self.0.lock() = Step { kind, proxy: proxy.cloned(), what };
    }
}

/// Gives `opening` no longer than `limit`; what is under way then is said in the fault. `name` is the destination's.
pub(crate) async fn bounded<T>(
    limit: Duration,
    name: &(dyn fmt::Display + Sync),
    progress: &Progress,
    opening: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, opening).await {
        Ok(opened) => opened,
        Err(_) => {
            let Step { kind, proxy, what } = progress.0.lock().clone();
            let within = tradewind_core::format_duration(limit);
            let detail = match proxy {
                None => format!("{name}: {what} within {within}"),
                Some(proxy) => format!("{name}: {proxy}: {what} within {within}"),
            };
            Err(Fault::new(kind, detail).before_sending())
        }
    }
}

/// Opens a socket to `to`. `proxy` is the name of the proxy that is there, for messages: its names are resolved by the
/// resolvers for servers as well, and its faults are the way's, not the destination's.
pub(crate) async fn tcp(
    to: &Destination,
    resolver: &Resolver,
    progress: &Progress,
    proxy: Option<&Arc<str>>,
) -> Result<TcpStream, Fault> {
    socket(to, resolver, progress, proxy, None).await
}

/// Opens a socket to `to` without a proxy: where it is the destination itself, only if that is not forbidden.
pub(crate) async fn direct(to: &Destination, way: Way<'_>) -> Result<TcpStream, Fault> {
    let Way { dialing, progress, proxy, .. } = way;
    let forbid = dialing.forbid.filter(|_| proxy.is_none());
    socket(to, &dialing.resolver, progress, proxy, forbid).await
}

async fn socket(
    to: &Destination,
    resolver: &Resolver,
    progress: &Progress,
    proxy: Option<&Arc<str>>,
    forbid: Option<Forbid>,
) -> Result<TcpStream, Fault> {
    let kind = |own: FaultKind| if proxy.is_some() { FaultKind::ProxyUnreachable } else { own };
    let opening = async {
        progress.at(kind(FaultKind::Dns), proxy, "the host name was not resolved");
        let addresses = resolver.addresses(&to.host, to.port, proxy.is_some()).await?;
        permitted(forbid, to, &addresses)?;
        progress.at(kind(FaultKind::ConnectTimeout), proxy, "the connection was not accepted");
        connect_any(&addresses).await
    };
    let stream = opening.await.map_err(|fault| on_the_way(fault, proxy))?;
    let _ = stream.set_nodelay(true); // a socket that cannot do this still works, only slower
    Ok(stream)
}

/// The fault of a step towards `proxy`, where there is one.
pub(crate) fn on_the_way(fault: Fault, proxy: Option<&Arc<str>>) -> Fault {
    match proxy {
        None => fault,
        Some(proxy) => Fault::new(FaultKind::ProxyUnreachable, format!("{proxy}: {}", fault.detail)).before_sending(),
    }
}

/// Speaks TLS with `name` over `stream`; `whom` is what messages call it.
pub(crate) async fn tls(
    stream: Stream,
    name: &str,
    config: &Arc<ClientConfig>,
    whom: &(dyn fmt::Display + Sync),
) -> Result<Stream, Fault> {
    let server = ServerName::try_from(name.to_owned()).map_err(|_| {
        Fault::new(FaultKind::Tls, format!("{name} is not a name that TLS can verify")).before_sending()
    })?;
    let connector = TlsConnector::from(config.clone());
    let secured = match stream {
        Stream::Plain(socket) => connector.connect(server, socket).await.map(|stream| Stream::Tls(Box::new(stream))),
        over => connector.connect(server, over).await.map(|stream| Stream::Other(Box::new(stream))),
    };
    secured.map_err(|error| tls_fault(&error, &whom.to_string()))
}

/// Speaks TLS with `host` over `stream`, as a client of HTTP/1.1 that trusts `roots`.
///
/// # Errors
/// When the handshake or the certificate is not acceptable.
pub async fn secure(stream: Stream, host: &Host, roots: &Roots) -> Result<Stream, Fault> {
    tls(stream, &host.to_string(), &roots.client(Http2::Never), host).await
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
