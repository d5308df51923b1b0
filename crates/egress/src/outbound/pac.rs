//! A way that a script or the system's settings pick: its steps are tried in order. Credentials go to proxies of the document
//! alone: a proxy that only the script names is used without any.

use std::sync::Arc;

use tradewind_core::{Fault, FaultKind};
use tradewind_policy::ways::{HttpProxy, Proxy, ProxyKind, SocksProxy};

use super::{HttpHop, Outbound};
use crate::connect::bounded;
use crate::dialing::{Link, Way};
use crate::pac::{Pac, PacStep};
use crate::system::{PickedWay, System};
use crate::{Destination, Roots, Stream};

/// The most steps of one answer that are tried.
const STEPS: usize = 8;
/// The port of plain HTTP.
const PLAIN: u16 = 80;

/// What is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A stream to the destination.
    Stream,
    /// A way for a plain HTTP request.
    Http,
}

impl Wanted {
    /// Whether a script is asked about an https URL. What else goes through a tunnel is like it.
    pub(super) fn is_tls(self, to: &Destination) -> bool {
        self == Self::Stream && to.port != PLAIN
    }
}

/// Opens a way along the first step of the script's answer that works.
pub(super) async fn connect(
    script: &Pac,
    own: &Outbound,
    to: &Destination,
    wanted: Wanted,
    way: Way<'_>,
) -> Result<HttpHop, Fault> {
    way.progress.at(FaultKind::WayScript, Some(own.label()), "the script did not answer");
    let said = script.find(to, wanted.is_tls(to), way.dialing).await?;
    let link = Link { way: own, before: way.links };
    let way = Way { links: Some(&link), ..way };
    let count = said.steps.len().min(STEPS);
    // Each has its share of the time, so that one that does not answer leaves some for the next.
    let share = way.dialing.limit / u32::try_from(count.max(1)).expect("a few steps");
    let mut faults: Vec<Fault> = Vec::new();
    for (index, step) in said.steps.iter().take(count).enumerate() {
        let outbound = outbound(step, script.roots(), way);
        let opening = open(&outbound, to, wanted, way);
        let opened = if index + 1 < count { bounded(share, to, way.progress, opening).await } else { opening.await };
        let fault = match opened {
            Ok(hop) => {
                script.worked(step);
                return Ok(hop);
            }
            Err(fault) => fault,
        };
        // A proxy that answers with a no has answered: browsers take that for an answer, too.
        let has_answered = fault.status.is_some();
        if !has_answered && matches!(fault.kind, FaultKind::ProxyUnreachable | FaultKind::ProxyFailed) {
            script.failed(step, way.dialing.resolver.now());
        }
        faults.push(fault);
        if has_answered {
            break;
        }
    }
    let Some(last) = faults.pop() else {
        return Err(
            Fault::new(FaultKind::WayScript, format!("{}: the script names no way", own.label())).before_sending()
        );
    };
    let before: String = faults.iter().map(|fault| format!("; before it: {}", fault.detail)).collect();
    Err(Fault { detail: format!("{}{before} ({})", last.detail, said.why).into(), ..last })
}

/// Opens a way as the system's settings say.
pub(super) async fn follow(
    system: &System,
    own: &Outbound,
    to: &Destination,
    wanted: Wanted,
    way: Way<'_>,
) -> Result<HttpHop, Fault> {
    way.progress.at(FaultKind::WayScript, Some(own.label()), "they could not be read");
    let picked = system.pick(to, wanted.is_tls(to), way.dialing).await?;
    match picked.way {
        PickedWay::Script(script) => connect(&script, own, to, wanted, way).await,
        PickedWay::One(outbound) => {
            let link = Link { way: own, before: way.links };
            let opened = open(&outbound, to, wanted, Way { links: Some(&link), ..way }).await;
            opened.map_err(|fault| Fault { detail: format!("{} ({})", fault.detail, picked.why).into(), ..fault })
        }
    }
}

/// Opens a way along one outbound.
pub(super) async fn open(
    outbound: &Outbound,
    to: &Destination,
    wanted: Wanted,
    way: Way<'_>,
) -> Result<HttpHop, Fault> {
    match wanted {
        Wanted::Stream => outbound.dial(to, way).await.map(HttpHop::Origin),
        Wanted::Http => outbound.dial_http(to, way).await,
    }
}

/// The stream of what was opened as [`Wanted::Stream`].
pub(super) fn stream(hop: HttpHop) -> Stream {
    match hop {
        HttpHop::Origin(stream) | HttpHop::Proxy { stream, .. } => stream,
    }
}

/// The proxy of the document at that place, or one without credentials.
fn outbound(step: &PacStep, roots: &Roots, way: Way<'_>) -> Arc<Outbound> {
    let (kind, server) = match step {
        PacStep::Direct => (ProxyKind::Direct, None),
        PacStep::Http(server) => (http(server, false), Some(server)),
        PacStep::Https(server) => (http(server, true), Some(server)),
        PacStep::Socks(server) => (socks(server), Some(server)),
    };
    if let Some(server) = server
        && let Some(known) = way.dialing.chooser.at(server)
    {
        return known;
    }
    let name = server.map_or_else(|| "DIRECT".to_owned(), ToString::to_string);
    let spec = Proxy { name: name.into(), kind, dialer: None, udp: false };
    // A name that TLS cannot verify is refused where it is used.
    Arc::new(Outbound::new(&spec, roots).unwrap_or_else(|_| {
        let kind = ProxyKind::NotBuilt("TLS to a proxy without a host name".into());
        Outbound::new(&Proxy { kind, ..spec }, &Roots::none()).expect("a way that is not built needs nothing")
    }))
}

/// An HTTP proxy without a login.
pub(super) fn http(server: &Destination, tls: bool) -> ProxyKind {
    ProxyKind::Http(HttpProxy {
        server: server.host.to_string().into(),
        port: server.port,
        username: None,
        password: None,
        auth: Vec::new(),
        spn: None,
        tls,
        sni: None,
        skip_cert_verify: false,
        headers: Vec::new(),
    })
}

/// A SOCKS5 proxy without a login.
pub(super) fn socks(server: &Destination) -> ProxyKind {
    ProxyKind::Socks5(SocksProxy {
        server: server.host.to_string().into(),
        port: server.port,
        username: None,
        password: None,
        tls: false,
        sni: None,
        skip_cert_verify: false,
    })
}
