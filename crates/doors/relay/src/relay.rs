//! The relay: what all its protocols share. Which way a connection takes, the entry in the table while it lives, and the
//! record when it has ended.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tradewind_core::{Code, DecisionId, DecisionIds, Fault, FaultKind, Moment, UnixMillis};
use tradewind_decide::rules::Meta;
use tradewind_egress::{Datagrams, Destination, Dialing, Forbid, Host, HttpHop, Spawner, Stream};
use tradewind_policy::ways::{Inbound, InboundKind, Transport, to_ascii};
use tradewind_runtime::Live;
use tradewind_telemetry::{Outcome, Record, Sinks, Way};
use tradewind_ways::{Begun, Decided, FindProcess, Level, Open, Ways};

use crate::tunnel::{End, Ended, tunnel};
use crate::user::{Users, Who};

/// How long opening a connection may take, over all proxies of a chain.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// The largest name that is kept in a record.
const NAME_KEPT: usize = 200;

/// What the relay needs from the rest of the process.
pub struct Needs {
    /// The ways out.
    pub ways: Ways,
    /// Where records go.
    pub sinks: Arc<Sinks>,
    /// The source of decision ids.
    pub ids: Arc<DecisionIds>,
    /// Starts tasks.
    pub spawner: Spawner,
    /// Finds the process that owns a socket of this machine.
    pub find_process: FindProcess,
}

/// The relay door.
pub struct Relay {
    pub(crate) needs: Needs,
    pub(crate) users: Live<Users>,
    /// The digest of the policy that is in force.
    policy: Live<Arc<str>>,
}

/// Where a caller came in.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) from: SocketAddr,
    pub(crate) listener: Arc<str>,
    /// The address of ours that it has reached.
    pub(crate) at: Option<IpAddr>,
    pub(crate) port: u16,
}

impl Relay {
    /// A relay for callers as `inbound` says.
    #[must_use]
    pub fn new(inbound: &Inbound, policy: &str, needs: Needs) -> Self {
        Self { needs, users: Live::new(Users::new(inbound)), policy: Live::new(policy.into()) }
    }

    /// Puts another document in place; connections that are open stay.
    pub fn reload(&self, inbound: &Inbound, policy: &str) {
        self.users.swap(Users::new(inbound));
        self.policy.swap(policy.into());
    }

    /// What rules know of a call.
    pub(crate) fn meta(kind: InboundKind, network: Transport, to: &Destination, came: &Came, who: &Who) -> Meta {
        let (host, destination) = match &to.host {
            Host::Ip(ip) => (None, Some(ip.to_canonical())),
            Host::Name(name) => (Some(rule_name(name)), None),
        };
        Meta {
            network,
            inbound: kind,
            inbound_name: came.listener.clone(),
            inbound_ip: came.at,
            inbound_port: came.port,
            inbound_user: who.name.clone(),
            host,
            destination,
            destination_port: to.port,
            source: came.from.ip().to_canonical(),
            source_port: came.from.port(),
            ..Meta::default()
        }
    }

    /// Decides about a call: which way, and whether it may be gone at all.
    ///
    /// # Errors
    /// With the record of the refusal already made.
    pub(crate) async fn decide(
        self: &Arc<Self>,
        operation: &'static str,
        meta: &mut Meta,
        to: &Destination,
    ) -> Result<Call, Refused> {
        let clock = self.needs.ways.clock();
        let (at, arrived) = (clock.wall(), clock.now());
        let id = self.needs.ids.next(at);
        let asked: String = to.to_string().chars().take(NAME_KEPT).collect();
        let begun = Box::new(Asked {
            id,
            at,
            operation,
            to: asked.into(),
            key: meta.inbound_user.clone(),
            network: self.needs.ways.network_name(),
            policy: self.policy.get().as_ref().clone(),
            first_byte: None,
        });
        let mut call = Call { relay: self.clone(), asked: Some(begun), arrived, decided: None };
        let decided = match self.needs.ways.decide(meta, &self.needs.find_process).await {
            Ok(decided) => decided,
            Err(fault) => return Err(call.refuse(fault)),
        };
        call.decided = Some(decided);
        Ok(call)
    }
}

/// A name as rules compare it: lower case, in its ASCII form, without the dot at the end.
fn rule_name(name: &Arc<str>) -> Arc<str> {
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if name.bytes().all(is_plain) && !name.ends_with('.') {
        return name.clone();
    }
    Arc::from(&*to_ascii(name.trim_end_matches('.')))
}

/// Whether a rule names this destination and nothing else, so that it may be reached whatever its address: a whole host name,
/// or one address at which a cloud's metadata is.
fn names(decided: &Decided) -> bool {
    decided.ruling.as_ref().is_some_and(|ruling| match ruling.type_name {
        "Domain" => true,
        "IPCIDR" => ruling.payload.rsplit_once('/').is_some_and(|(address, length)| {
            let whole = if address.contains(':') { "128" } else { "32" };
            length == whole && address.parse().is_ok_and(is_metadata)
        }),
        _ => false,
    })
}

/// Why nobody is led to a cloud's metadata unless a rule names it. Whatever goes through a proxy ends in another network.
fn forbid_metadata(to: &Destination, address: IpAddr) -> Option<Fault> {
    is_metadata(address).then(|| {
        let address = address.to_canonical();
        let (rule, length) = if address.is_ipv4() { ("IP-CIDR", 32) } else { ("IP-CIDR6", 128) };
        let detail = format!(
            "{to} is the cloud's own service for this machine ({address}), which gives out its credentials; a rule that \
             names it, like {rule},{address}/{length},DIRECT, lets it through"
        );
        Fault::new(FaultKind::WayRejected, detail).before_sending()
    })
}

/// Addresses at which clouds give a machine its credentials: AWS, Azure, Google, Oracle and others at 169.254.169.254 (AWS
/// for containers at .170.2 and .170.23), AWS over IPv6, Alibaba, Azure's wire server.
fn is_metadata(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => [
            Ipv4Addr::new(169, 254, 169, 254),
            Ipv4Addr::new(169, 254, 170, 2),
            Ipv4Addr::new(169, 254, 170, 23),
            Ipv4Addr::new(100, 100, 100, 200),
            Ipv4Addr::new(168, 63, 129, 16),
        ]
        .contains(&address),
        IpAddr::V6(address) => [
            Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
            Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
            Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
        ]
        .contains(&address),
    }
}

/// A tunnel that stands, to be driven to its end.
pub(crate) type Passing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A call under way. Its record is closed exactly once, also when it is dropped.
pub(crate) struct Call {
    relay: Arc<Relay>,
    /// Until the record is made.
    asked: Option<Box<Asked>>,
    arrived: Moment,
    decided: Option<Decided>,
}

/// What the record will say of the beginning. The record itself is made at the end: it is ten times as large, and a tunnel may
/// be open for days.
struct Asked {
    id: DecisionId,
    at: UnixMillis,
    operation: &'static str,
    to: Arc<str>,
    key: Option<Arc<str>>,
    network: Option<Arc<str>>,
    policy: Arc<str>,
    first_byte: Option<Duration>,
}

/// What connections have to have in common for one to be used in place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WayKey {
    /// The number of the way.
    id: u64,
    /// What may not be reached along it differs.
    guarded: bool,
}

/// Why a call came to nothing.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) id: DecisionId,
    pub(crate) fault: Fault,
}

impl Refused {
    /// The code that stands for it.
    pub(crate) const fn code(&self) -> Code {
        self.fault.kind.code()
    }
}

impl Call {
    fn asked(&self) -> &Asked {
        self.asked.as_ref().expect("it is taken only when the call is closed")
    }

    /// The id under which the decision can be looked up.
    pub(crate) fn id(&self) -> DecisionId {
        self.asked().id
    }

    fn decided(&self) -> &Decided {
        self.decided.as_ref().expect("a call that goes on was decided about")
    }

    /// Which way it takes; connections along another one are not used in its place.
    pub(crate) fn way(&self) -> WayKey {
        let decided = self.decided();
        WayKey { id: decided.chosen.outbound.id(), guarded: !names(decided) }
    }

    /// What messages call the proxy that the way leads through.
    pub(crate) fn way_label(&self) -> String {
        let outbound = &self.decided().chosen.outbound;
        match outbound.server() {
            Some(server) => format!("the proxy `{}` ({server})", outbound.name()),
            None => format!("the proxy `{}`", outbound.name()),
        }
    }

    fn dialing(&self) -> Dialing {
        let forbid = self.way().guarded.then_some(forbid_metadata as Forbid);
        Dialing { forbid, ..self.relay.needs.ways.dialing(CONNECT) }
    }

    /// Opens a stream to `to`.
    ///
    /// # Errors
    /// With the record of the failure already made.
    pub(crate) async fn connect(&mut self, to: &Destination) -> Result<Stream, Refused> {
        let dialing = self.dialing();
        let connected = self.decided().chosen.outbound.connect(to, &dialing).await;
        connected.map_err(|fault| self.refuse(fault))
    }

    /// Opens a way for plain HTTP requests to `to`.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(crate) async fn connect_http(&mut self, to: &Destination) -> Result<HttpHop, Refused> {
        let dialing = self.dialing();
        let connected = self.decided().chosen.outbound.connect_http(to, &dialing).await;
        connected.map_err(|fault| self.refuse(fault))
    }

    /// Opens a way for datagrams.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub(crate) async fn datagrams(&mut self) -> Result<Datagrams, Refused> {
        let dialing = self.dialing();
        let opened = self.decided().chosen.outbound.datagrams(&dialing).await;
        opened.map_err(|fault| self.refuse(fault))
    }

    /// Enters the connection in the table.
    pub(crate) fn enter(&mut self, meta: Meta, remote: Option<IpAddr>) -> Open {
        let ways = &self.relay.needs.ways;
        let now = ways.clock().now();
        let since = ways.clock().wall();
        let arrived = self.arrived;
        let decided = self.decided.as_ref().expect("a call that goes on was decided about");
        let (rule, payload) = decided
            .ruling
            .as_ref()
            .map_or_else(|| ("", Arc::from("")), |ruling| (ruling.type_name, ruling.payload.clone()));
        let chain = decided.chosen.chain.clone();
        ways.logs().tell(Level::Info, since, || line(&meta, decided));
        let open = ways.connections().enter(Begun { meta, remote, since, chain, rule, payload });
        if let Some(asked) = &mut self.asked {
            asked.first_byte = Some(now.since(arrived));
        }
        open
    }

    /// Passes bytes both ways to the end, and makes the record of it. `early` is what the caller has said already.
    ///
    /// What is needed only to open it, `meta` among it, is no part of the future that lives as long as the tunnel.
    pub(crate) fn pass<C>(mut self, caller: C, early: Vec<u8>, way: Stream, meta: Meta) -> Passing
    where
        C: End + Send + 'static,
    {
        let remote = way.as_tcp().and_then(|socket| socket.peer_addr().ok()).map(|address| address.ip());
        let open = self.enter(meta, remote);
        Box::pin(async move {
            let ended = tunnel(caller, early, way, &open).await;
            self.ended(ended, &open);
        })
    }

    /// Makes the record of a connection that has ended.
    pub(crate) fn ended(&mut self, ended: Ended, open: &Open) {
        let (outcome, fault) = match ended {
            Ended::Whole | Ended::CallerBroke => (Outcome::Ok, None),
            Ended::Closed => (Outcome::Cancelled, None),
            Ended::Silent => (Outcome::Partial, Some(FaultKind::IdleTimeout)),
            Ended::WayBroke => (Outcome::Partial, Some(FaultKind::Reset)),
        };
        let connection = open.connection();
        let note = format!("{} bytes sent, {} received", connection.uploaded(), connection.downloaded());
        self.close(outcome, fault, None, Some(note.into()));
    }

    /// Makes the record of a request that was answered with `status`.
    pub(crate) fn answered(&mut self, status: u16, whole: bool) {
        let (outcome, fault) = if whole { (Outcome::Ok, None) } else { (Outcome::Partial, Some(FaultKind::Cut)) };
        self.close(outcome, fault, None, Some(format!("status {status}").into()));
    }

    /// Makes the record of a call that came to nothing.
    pub(crate) fn refuse(&mut self, fault: Fault) -> Refused {
        let id = self.id();
        let at = self.relay.needs.ways.clock().wall();
        let asked = self.asked().to.clone();
        self.relay.needs.ways.logs().tell(Level::Warning, at, || format!("[Relay] {asked}: {fault}"));
        let rejected = matches!(fault.kind, FaultKind::WayRejected | FaultKind::Rejected);
        let outcome = if rejected { Outcome::Rejected } else { Outcome::Failed };
        self.close(outcome, Some(fault.kind), Some(fault.to_string().into()), None);
        Refused { id, fault }
    }

    fn close(
        &mut self,
        outcome: Outcome,
        fault: Option<FaultKind>,
        detail: Option<Cow<'static, str>>,
        note: Option<Cow<'static, str>>,
    ) {
        let Some(asked) = self.asked.take() else { return };
        let Asked { id, at, operation, to, key, network, policy, first_byte } = *asked;
        let mut record = Record::boxed(id, at, "relay", operation, policy);
        record.model = to;
        record.key = key;
        record.network = network;
        record.first_byte = first_byte;
        record.way = self.decided.as_ref().map(|decided| {
            Box::new(Way {
                chain: decided.chosen.chain.iter().cloned().collect(),
                rule: decided.ruling.as_ref().map(|ruling| (ruling.type_name, ruling.payload.clone())),
            })
        });
        record.detail = detail;
        record.outcome = outcome;
        record.fault = fault;
        record.status = fault.map_or(200, |fault| fault.code().status());
        record.notes.extend(note);
        record.elapsed = self.relay.needs.ways.clock().now().since(self.arrived);
        self.relay.needs.sinks.finish(record);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.close(Outcome::ClientGone, None, None, None);
    }
}

/// What is said of a connection that begins, in mihomo's words.
fn line(meta: &Meta, decided: &Decided) -> String {
    let network = if meta.network == Transport::Tcp { "TCP" } else { "UDP" };
    let from = SocketAddr::new(meta.source, meta.source_port);
    let to = meta.host.clone().map_or_else(
        || meta.destination.map_or_else(String::new, |ip| Host::Ip(ip).to_string()),
        |host| host.to_string(),
    );
    let to = Destination::new(&to, meta.destination_port);
    let chain: Vec<&str> = decided.chosen.chain.iter().rev().map(|name| &**name).collect();
    let way = match &*chain {
        [group @ .., proxy] if !group.is_empty() => format!("{}[{proxy}]", group.join(" --> ")),
        _ => chain.concat(),
    };
    match &decided.ruling {
        None => format!("[{network}] {from} --> {to} using {way}"),
        Some(ruling) if ruling.payload.is_empty() => {
            format!("[{network}] {from} --> {to} match {} using {way}", ruling.type_name)
        }
        Some(ruling) => {
            format!("[{network}] {from} --> {to} match {}({}) using {way}", ruling.type_name, ruling.payload)
        }
    }
}

/// Whether a socket is worth keeping alive: both ends of a relay may be silent for long.
pub(crate) fn keep_alive(stream: &TcpStream) {
    let keeping =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(15));
    // Slower to notice a dead peer without, but it works.
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keeping);
    let _ = stream.set_nodelay(true);
}

#[cfg(test)]
mod tests {
    use tradewind_egress::{Chooser as _, DirectOnly};
    use tradewind_ways::Ruling;

    use super::*;

    #[test]
    fn metadata_addresses_are_known_in_every_spelling() {
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"] {
            assert!(is_metadata(address.parse().unwrap()), "{address}");
        }
        for address in ["169.254.169.253", "10.0.0.1", "fd00:ec2::1", "::1"] {
            assert!(!is_metadata(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn only_a_rule_about_the_destination_alone_lets_it_through() {
        let outbound = DirectOnly::default();
        let by = |type_name, payload: &str| {
            let chosen = outbound.choose("DIRECT", &Destination::new("a.test", 80)).unwrap();
            let ruling = Ruling { index: 0, type_name, payload: payload.into(), target: "DIRECT".into() };
            names(&Decided { chosen, ruling: Some(ruling) })
        };
        for (type_name, payload) in
            [("Domain", "metadata.google.internal"), ("IPCIDR", "169.254.169.254/32"), ("IPCIDR", "fd00:ec2::254/128")]
        {
            assert!(by(type_name, payload), "{type_name},{payload}");
        }
        for (type_name, payload) in [
            ("DomainSuffix", "google.internal"),
            ("IPCIDR", "169.254.0.0/16"),
            ("IPCIDR", "169.254.169.254/31"),
            ("IPCIDR", "10.0.0.1/32"),
            ("IPCIDR", "fd00:ec2::254/32"),
            ("SrcIPCIDR", "169.254.169.254/32"),
            ("Match", ""),
        ] {
            assert!(!by(type_name, payload), "{type_name},{payload}");
        }
    }

    #[test]
    fn the_words_name_a_rule_that_would_do() {
        let to = Destination::new("a.test", 80);
        let said = |address: &str| forbid_metadata(&to, address.parse().unwrap());
        let fault = said("::ffff:169.254.169.254").unwrap();
        assert_eq!((fault.kind, fault.never_sent), (FaultKind::WayRejected, true));
        assert!(fault.detail.contains("IP-CIDR,169.254.169.254/32,DIRECT"), "{fault}");
        assert!(said("fd00:ec2::254").unwrap().detail.contains("IP-CIDR6,fd00:ec2::254/128,DIRECT"));
        assert_eq!(said("10.0.0.1"), None);
    }
}
