//! UDP ASSOCIATE of SOCKS5 (RFC 1928 §7): datagrams in an envelope that says where they go.
//!
//! An association lives as long as its TCP connection. Each destination is decided about once, in a task that holds up no
//! other; destinations that take the same way share one socket along it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tradewind_core::{Fault, FaultKind, Moment};
use tradewind_decide::rules::Meta;
use tradewind_egress::{Datagrams, Destination, Host};
use tradewind_policy::ways::{InboundKind, Transport};
use tradewind_ways::Open;

use crate::relay::{CONNECT, Call, Came, Refused, Relay, WayKey};
use crate::socks5::{self, Reply, push_address};
use crate::tunnel::Ended;
use crate::user::Who;

/// Destinations of one association; the one that was silent for longest is forgotten for another.
pub(crate) const MOST_FLOWS: usize = 256;
/// Destinations of one association that are being decided about at once.
const MOST_OPENING: usize = 64;
/// Bytes of one association that wait for those decisions.
const MOST_WAITING: usize = 256 * 1024;
/// Ways of one association that are open at once.
const MOST_WAYS: usize = 16;
/// A destination that says nothing for so long is forgotten; as long is one not asked about again that may not be reached.
const SILENT: Duration = Duration::from_secs(60);
/// One that could not be reached is not tried again for so long.
const FAILED: Duration = Duration::from_secs(2);
/// How often is looked for what is to be forgotten.
const SWEEP: Duration = Duration::from_secs(5);
/// How long sending one datagram may hold up the others; its name may have to be resolved again.
const SENDING: Duration = Duration::from_secs(2);
/// The largest datagram with its envelope.
const LARGEST: usize = 65_535;

/// One destination.
struct Flow {
    way: WayKey,
    open: Open,
    call: Call,
    used: Moment,
}

/// One way of an association.
struct Opened {
    datagrams: Arc<Datagrams>,
    /// What waits for the next datagram along it.
    receiving: AbortHandle,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

/// Serves one association until its TCP connection ends.
pub(crate) async fn associate(mut stream: TcpStream, who: Who, relay: &Arc<Relay>, came: &Came) {
    let Ok(socket) = bind(&stream).await else {
        // Whoever has gone already needs no answer.
        let _ = socks5::reply(&mut stream, Reply::Failed, None).await;
        return;
    };
    let told = socks5::reply(&mut stream, Reply::Done, socket.local_addr().ok()).await;
    if told.is_err() {
        return;
    }
    let mut association = Association {
        relay: relay.clone(),
        came: came.clone(),
        who,
        socket: Arc::new(socket),
        peer: None,
        flows: FxHashMap::default(),
        opening: FxHashMap::default(),
        waiting: 0,
        refused: FxHashMap::default(),
        closed: FxHashMap::default(),
        ways: FxHashMap::default(),
        tasks: JoinSet::new(),
    };
    let mut nothing = [0; 64];
    let mut datagram = vec![0; LARGEST];
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            read = stream.read(&mut nothing) => match read {
                // The caller has no more use for the association.
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            },
            received = association.socket.recv_from(&mut datagram) => {
                let Ok((length, from)) = received else { continue };
                association.outwards(&datagram[..length], from).await;
            }
            Some(done) = association.tasks.join_next(), if !association.tasks.is_empty() => match done {
                Ok(Done::Received(received)) => association.inwards(received).await,
                Ok(Done::Begun(to, begun)) => association.begun(to, begun).await,
                // It was dropped with its way.
                Err(_) => {}
            },
            _ = sweep.tick() => association.sweep(),
        }
    }
    association.end();
}

/// A socket on the address that the caller has reached us at.
async fn bind(stream: &TcpStream) -> io::Result<UdpSocket> {
    UdpSocket::bind(SocketAddr::new(stream.local_addr()?.ip(), 0)).await
}

/// What the tasks of an association end with.
enum Done {
    Received(Received),
    Begun(Destination, Result<Box<Begun>, Refused>),
}

/// What came along a way.
struct Received {
    way: WayKey,
    datagrams: Arc<Datagrams>,
    buffer: Vec<u8>,
    from: io::Result<(usize, Destination)>,
}

/// A destination that has been decided about, and whose first datagram was sent.
struct Begun {
    call: Call,
    meta: Meta,
    datagrams: Arc<Datagrams>,
    sent: u64,
}

struct Association {
    relay: Arc<Relay>,
    came: Came,
    who: Who,
    socket: Arc<UdpSocket>,
    /// Where the caller sends from; the first datagram says so.
    peer: Option<SocketAddr>,
    flows: FxHashMap<Destination, Flow>,
    /// Destinations that are being decided about, with what waits to be sent there.
    opening: FxHashMap<Destination, Vec<Vec<u8>>>,
    /// Bytes that wait, over all of them.
    waiting: usize,
    /// Destinations that came to nothing, and until when they are not tried again.
    refused: FxHashMap<Destination, Moment>,
    /// Destinations whose flow somebody has ended, and when something came from there last: it has the socket still, which other
    /// flows use.
    closed: FxHashMap<Destination, Moment>,
    ways: FxHashMap<WayKey, Opened>,
    tasks: JoinSet<Done>,
}

impl Association {
    fn now(&self) -> Moment {
        self.relay.needs.ways.clock().now()
    }

    /// Sends on what the caller has sent. What is not understood, comes from elsewhere or cannot be sent is dropped, as
    /// datagrams are.
    async fn outwards(&mut self, datagram: &[u8], from: SocketAddr) {
        if from.ip().to_canonical() != self.came.from.ip().to_canonical() || self.peer.is_some_and(|peer| peer != from)
        {
            return;
        }
        self.peer = Some(from);
        let Some((to, payload)) = opened(datagram) else { return };
        if self.flows.get(&to).is_some_and(Flow::is_closed) {
            // What the caller says after that is decided about again.
            self.drop_flow(&to, Ended::Closed);
        }
        if self.flows.contains_key(&to) {
            self.send(&to, payload).await;
        } else if let Some(waiting) = self.opening.get_mut(&to) {
            if self.waiting + payload.len() <= MOST_WAITING {
                self.waiting += payload.len();
                waiting.push(payload.to_vec());
            }
        } else {
            self.begin(to, payload);
        }
    }

    /// Sends along the way of a flow that is known.
    async fn send(&mut self, to: &Destination, payload: &[u8]) {
        let now = self.now();
        let Some(flow) = self.flows.get_mut(to) else { return };
        let Some(opened) = self.ways.get(&flow.way) else { return };
        flow.used = now;
        match tokio::time::timeout(SENDING, opened.datagrams.send_to(to, payload)).await {
            Ok(Ok(())) => flow.open.upload(payload.len() as u64),
            Ok(Err(error)) => {
                if let Some(fault) = forbidden(&error) {
                    let refused = flow.call.refuse(fault);
                    self.flows.remove(to);
                    self.refuse(to.clone(), &refused);
                }
            }
            Err(_) => {}
        }
    }

    /// Has a destination that is new decided about, and a way opened for it, while the others go on.
    fn begin(&mut self, to: Destination, payload: &[u8]) {
        let now = self.now();
        if self.opening.len() >= MOST_OPENING || self.refused.get(&to).is_some_and(|until| now < *until) {
            return;
        }
        let ways = self.ways.iter().map(|(way, opened)| (*way, opened.datagrams.clone())).collect();
        let beginning =
            begin(self.relay.clone(), self.came.clone(), self.who.clone(), to.clone(), ways, payload.to_vec());
        self.opening.insert(to, Vec::new());
        self.tasks.spawn(beginning);
    }

    /// Enters a destination that has been decided about.
    async fn begun(&mut self, to: Destination, begun: Result<Box<Begun>, Refused>) {
        let waiting = self.opening.remove(&to).unwrap_or_default();
        self.waiting -= waiting.iter().map(Vec::len).sum::<usize>();
        let mut begun = match begun {
            Ok(begun) => begun,
            Err(refused) => return self.refuse(to, &refused),
        };
        let way = begun.call.way();
        if !self.ways.contains_key(&way) {
            if self.ways.len() >= MOST_WAYS {
                self.forget_unused_ways();
            }
            if self.ways.len() >= MOST_WAYS {
                let detail = format!("{to}: one association takes at most {MOST_WAYS} ways at once");
                let refused = begun.call.refuse(Fault::new(FaultKind::Busy, detail));
                return self.refuse(to, &refused);
            }
            let receiving = self.tasks.spawn(receive(way, begun.datagrams.clone(), vec![0; LARGEST]));
            self.ways.insert(way, Opened { datagrams: begun.datagrams, receiving });
        }
        if self.flows.len() >= MOST_FLOWS
            && let Some(oldest) = self.flows.iter().min_by_key(|(_, flow)| flow.used).map(|(to, _)| to.clone())
        {
            self.drop_flow(&oldest, Ended::Whole);
        }
        let open = begun.call.enter(begun.meta, to.host.ip());
        open.upload(begun.sent);
        let used = self.now();
        self.flows.insert(to.clone(), Flow { way, open, call: begun.call, used });
        for payload in waiting {
            self.send(&to, &payload).await;
        }
    }

    /// Keeps in mind that a destination came to nothing, so that not each datagram makes a decision, a record and a line.
    fn refuse(&mut self, to: Destination, refused: &Refused) {
        let lasting = if refused.fault.kind == FaultKind::WayRejected { SILENT } else { FAILED };
        let until = self.now() + lasting;
        keep(&mut self.refused, to, until);
    }

    /// Hands to the caller what came along a way, and waits for more of it.
    async fn inwards(&mut self, received: Received) {
        let Received { way, datagrams, buffer, from } = received;
        if !self.ways.get(&way).is_some_and(|opened| Arc::ptr_eq(&opened.datagrams, &datagrams)) {
            // It came along one that has been forgotten meanwhile.
            return;
        }
        let Ok((length, from)) = from else {
            // A way that is broken; a new one is opened for the next datagram.
            self.ways.remove(&way);
            self.drop_flows(Ended::WayBroke, |flow| flow.way == way);
            return;
        };
        self.drop_flows(Ended::Closed, Flow::is_closed);
        let is_for_some = self.flows.values().any(|flow| flow.way == way) || !self.opening.is_empty();
        if is_for_some && !self.is_late(&from) {
            self.hand_over(way, &from, &buffer[..length]).await;
        }
        if let Some(opened) = self.ways.get_mut(&way) {
            opened.receiving = self.tasks.spawn(receive(way, datagrams, buffer));
        }
    }

    /// Whether what comes from there is for a flow that was ended, or that never came about.
    fn is_late(&mut self, from: &Destination) -> bool {
        if self.flows.contains_key(from) || self.opening.contains_key(from) {
            return false;
        }
        let now = self.now();
        if let Some(last) = self.closed.get_mut(from) {
            *last = now;
            return true;
        }
        // Which address a name has is known along its way only: it is told by its port.
        let is_named = |to: &Destination| to.port == from.port && to.host.name().is_some();
        let mut named = self.closed.iter_mut().filter(|(to, _)| is_named(to));
        if let Some((_, last)) = named.next()
            && !self.flows.keys().chain(self.opening.keys()).any(is_named)
        {
            *last = now;
            return true;
        }
        self.refused.contains_key(from)
    }

    async fn hand_over(&mut self, way: WayKey, from: &Destination, payload: &[u8]) {
        let Some(peer) = self.peer else { return };
        if self.socket.send_to(&sealed(from, payload), peer).await.is_err() {
            return;
        }
        let now = self.now();
        let known = self.flows.contains_key(from);
        // An answer from another address than was asked, or to a name: it counts for some flow of the way.
        let flow = if known { self.flows.get_mut(from) } else { self.flows.values_mut().find(|flow| flow.way == way) };
        if let Some(flow) = flow {
            flow.used = now;
            flow.open.download(payload.len() as u64);
        }
    }

    /// Forgets what was closed or has said nothing for long.
    fn sweep(&mut self) {
        let now = self.now();
        self.drop_flows(Ended::Closed, Flow::is_closed);
        self.drop_flows(Ended::Whole, |flow| now.since(flow.used) >= SILENT);
        self.refused.retain(|_, until| now < *until);
        self.closed.retain(|_, last| now.since(*last) < SILENT);
        self.forget_unused_ways();
    }

    fn forget_unused_ways(&mut self) {
        let Self { flows, ways, .. } = self;
        ways.retain(|way, _| flows.values().any(|flow| flow.way == *way));
    }

    fn drop_flow(&mut self, to: &Destination, ended: Ended) {
        if let Some(mut flow) = self.flows.remove(to) {
            flow.call.ended(ended, &flow.open);
        }
    }

    fn drop_flows(&mut self, ended: Ended, is_meant: impl Fn(&Flow) -> bool) {
        let now = self.now();
        for (to, mut flow) in self.flows.extract_if(|_, flow| is_meant(flow)) {
            flow.call.ended(ended, &flow.open);
            if ended == Ended::Closed {
                keep(&mut self.closed, to, now);
            }
        }
    }

    fn end(mut self) {
        self.drop_flows(Ended::Closed, Flow::is_closed);
        self.drop_flows(Ended::Whole, |_| true);
    }
}

/// Keeps a destination in mind; the one with the earliest time makes room for it.
fn keep(kept: &mut FxHashMap<Destination, Moment>, to: Destination, at: Moment) {
    if kept.len() >= MOST_FLOWS
        && let Some(first) = kept.iter().min_by_key(|(_, at)| **at).map(|(to, _)| to.clone())
    {
        kept.remove(&first);
    }
    kept.insert(to, at);
}

impl Flow {
    /// Whether somebody has asked to end it.
    fn is_closed(&self) -> bool {
        self.open.connection().is_closed()
    }
}

async fn receive(way: WayKey, datagrams: Arc<Datagrams>, mut buffer: Vec<u8>) -> Done {
    let from = datagrams.recv_from(&mut buffer).await;
    Done::Received(Received { way, datagrams, buffer, from })
}

/// Decides about a destination, and sends the first datagram along one of `ways`, or along a new one.
async fn begin(
    relay: Arc<Relay>,
    came: Came,
    who: Who,
    to: Destination,
    ways: Vec<(WayKey, Arc<Datagrams>)>,
    first: Vec<u8>,
) -> Done {
    let beginning = async {
        let mut meta = Relay::meta(InboundKind::Socks5, Transport::Udp, &to, &came, &who);
        let mut call = relay.decide("udp", &mut meta, &to).await?;
        let way = call.way();
        let datagrams = match ways.into_iter().find(|(known, _)| *known == way) {
            Some((_, datagrams)) => datagrams,
            None => Arc::new(call.datagrams().await?),
        };
        let sent = match tokio::time::timeout(CONNECT, datagrams.send_to(&to, &first)).await {
            Ok(Ok(())) => first.len() as u64,
            Ok(Err(error)) => match forbidden(&error) {
                Some(fault) => return Err(call.refuse(fault)),
                None => 0,
            },
            Err(_) => 0,
        };
        Ok(Box::new(Begun { call, meta, datagrams, sent }))
    };
    let begun = beginning.await;
    Done::Begun(to, begun)
}

/// What forbids a destination, when that is why nothing was sent there.
fn forbidden(error: &io::Error) -> Option<Fault> {
    error.get_ref()?.downcast_ref::<Fault>().cloned()
}

/// Takes a datagram out of its envelope: two zeros, no fragment, where it goes. Fragments are not put together, which
/// RFC 1928 leaves open.
pub(crate) fn opened(datagram: &[u8]) -> Option<(Destination, &[u8])> {
    let rest = datagram.strip_prefix(&[0, 0, 0])?;
    let (kind, rest) = rest.split_first()?;
    let (host, rest) = match kind {
        1 => rest.split_first_chunk::<4>().map(|(octets, rest)| (Host::Ip(IpAddr::from(*octets)), rest))?,
        4 => rest.split_first_chunk::<16>().map(|(octets, rest)| (Host::Ip(IpAddr::from(*octets)), rest))?,
        3 => {
            let (length, rest) = rest.split_first()?;
            let (name, rest) = rest.split_at_checked(usize::from(*length))?;
            (socks5::host(name).ok()?, rest)
        }
        _ => return None,
    };
    let (port, payload) = rest.split_first_chunk::<2>()?;
    Some((Destination { host, port: u16::from_be_bytes(*port) }, payload))
}

/// Puts a datagram into its envelope.
pub(crate) fn sealed(from: &Destination, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(payload.len() + 24);
    datagram.extend([0, 0, 0]);
    match &from.host {
        Host::Ip(address) => push_address(&mut datagram, SocketAddr::new(*address, from.port)),
        Host::Name(name) => {
            let name = &name.as_bytes()[..name.len().min(255)];
            datagram.push(3);
            datagram.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            datagram.extend(name);
            datagram.extend(from.port.to_be_bytes());
        }
    }
    datagram.extend(payload);
    datagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_open_and_close() {
        for to in ["127.0.0.1", "2001:db8::1", "a.test"] {
            let to = Destination::new(to, 53);
            let sealed = sealed(&to, b"question");
            assert_eq!(opened(&sealed), Some((to, &b"question"[..])));
        }
        assert_eq!(opened(b"\0\0\0\x01\x7f\0\0\x01\0\x35").unwrap().1, b"");
    }

    #[test]
    fn what_is_no_envelope_is_dropped() {
        let whole = b"\0\0\0\x03\x06a.test\0\x35payload";
        for length in 0..13 {
            assert_eq!(opened(&whole[..length]), None);
        }
        for wrong in [
            &b"\0\0\x01\x01\x7f\0\0\x01\0\x35x"[..],
            b"\0\x01\0\x01\x7f\0\0\x01\0\x35",
            b"\0\0\0\x05\x7f\0\0\x01\0\x35",
            b"\0\0\0\x03\0\0\x35",
        ] {
            assert_eq!(opened(wrong), None);
        }
    }
}
