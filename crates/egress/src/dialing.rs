//! What opening a connection along a way needs from outside: names, the choice among groups, time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tradewind_core::{Fault, FaultKind};
use tradewind_policy::ways::{Proxy, ProxyKind};

use crate::connect::Progress;
use crate::resolve::Resolver;
use crate::{Destination, Outbound, Roots};

/// What a connection is opened with.
#[derive(Clone)]
pub struct Dialing {
    /// Names to addresses.
    pub resolver: Arc<Resolver>,
    /// Which proxy stands behind a name.
    pub chooser: Arc<dyn Chooser>,
    /// For the whole chain, from the first name that is resolved to the last proxy's answer.
    pub limit: Duration,
    /// What may not be reached without a proxy, whatever its name; `None` lets everything through.
    pub forbid: Option<Forbid>,
}

/// Why a destination may not be reached at this address, or `None` when it may. It is asked about the very addresses that are
/// then used, so that a name cannot mean one thing when it is checked and another one when it is dialled.
pub type Forbid = fn(&Destination, IpAddr) -> Option<Fault>;

/// Whether `to` may be reached at all of `addresses`: one that is forbidden speaks against the name itself.
pub(crate) fn permitted(forbid: Option<Forbid>, to: &Destination, addresses: &[SocketAddr]) -> Result<(), Fault> {
    let Some(forbid) = forbid else { return Ok(()) };
    addresses.iter().find_map(|address| forbid(to, address.ip())).map_or(Ok(()), Err)
}

/// Picks the way out by the name of a proxy or a group.
pub trait Chooser: Send + Sync {
    /// The way that `name` stands for at present.
    ///
    /// # Errors
    /// [`FaultKind::WayBroken`] when nothing has this name.
    fn choose(&self, name: &str, to: &Destination) -> Result<Chosen, Fault>;

    /// The proxy of the file at `server`, whose credentials a script may therefore use by naming it. Nobody else's.
    fn at(&self, server: &Destination) -> Option<Arc<Outbound>> {
        let _ = server;
        None
    }
}

/// A way out, and how it was come by.
#[derive(Clone)]
pub struct Chosen {
    /// The way.
    pub outbound: Arc<Outbound>,
    /// Its name first, then the groups that led to it, the outermost last.
    pub chain: SmallVec<[Arc<str>; 4]>,
}

/// The chooser of a document without ways out: there is `DIRECT`, and nothing else.
pub struct DirectOnly(Arc<Outbound>);

impl Default for DirectOnly {
    fn default() -> Self {
        let spec = Proxy { name: "DIRECT".into(), kind: ProxyKind::Direct, dialer: None, udp: true };
        Self(Arc::new(Outbound::new(&spec, &Roots::none()).expect("a direct way needs nothing")))
    }
}

impl Chooser for DirectOnly {
    fn choose(&self, name: &str, _: &Destination) -> Result<Chosen, Fault> {
        if name != &**self.0.name() {
            return Err(unknown(name));
        }
        Ok(Chosen { outbound: self.0.clone(), chain: SmallVec::from_elem(self.0.name().clone(), 1) })
    }
}

/// The fault of a way out that nothing has the name of.
pub(crate) fn unknown(name: &str) -> Fault {
    Fault::new(FaultKind::WayBroken, format!("no proxy and no group is called `{name}`")).before_sending()
}

/// One opening on its way through a chain.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) dialing: &'a Dialing,
    pub(crate) progress: &'a Progress,
    /// The proxy whose server is being dialled, as messages call it; `None` when it is the destination itself.
    pub(crate) proxy: Option<&'a Arc<str>>,
    pub(crate) links: Option<&'a Link<'a>>,
}

/// The ways that a chain has gone through, the last one first.
pub(crate) struct Link<'a> {
    pub(crate) way: &'a Outbound,
    pub(crate) before: Option<&'a Link<'a>>,
}

/// More proxies than this after one another are not gone through.
pub(crate) const LONGEST_CHAIN: usize = 8;

impl<'a> Way<'a> {
    /// Whether `next` may still be gone through after what came before.
    ///
    /// # Errors
    /// When the chain has been there already, or has become too long.
    pub(crate) fn may_pass(&self, next: &Outbound) -> Result<(), Fault> {
        let mut names: Vec<&str> = Vec::new();
        let mut link = self.links;
        let mut repeated = false;
        while let Some(Link { way, before }) = link {
            names.push(way.name());
            repeated |= way.id() == next.id();
            link = *before;
        }
        let what = match (repeated, names.len() >= LONGEST_CHAIN) {
            (false, false) => return Ok(()),
            (true, _) => "which leads back to itself".to_owned(),
            (false, true) => format!("which is longer than {LONGEST_CHAIN} proxies"),
        };
        names.reverse();
        names.push(next.name());
        let detail = format!("the chain of dialer-proxy is {}, {what}", names.join(" → "));
        Err(Fault::new(FaultKind::WayBroken, detail).before_sending())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;
    use tradewind_core::{Clock, Moment, UnixMillis};
    use tradewind_policy::ways::{Dns, SocksProxy};

    use super::*;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Moment {
            Moment::START
        }

        fn wall(&self) -> UnixMillis {
            UnixMillis(0)
        }
    }

    fn no_loopback(to: &Destination, address: IpAddr) -> Option<Fault> {
        address.is_loopback().then(|| Fault::new(FaultKind::WayRejected, format!("{to} is at {address}")))
    }

    fn way(kind: ProxyKind, dialer: Option<&str>) -> Outbound {
        let spec = Proxy { name: "way".into(), kind, dialer: dialer.map(Arc::from), udp: true };
        Outbound::new(&spec, &Roots::none()).unwrap()
    }

    /// Without what is on this machine, which `inside.test` is a name of.
    fn guarded() -> Dialing {
        let resolver = Resolver::new(Arc::new(Still));
        let addresses = vec![Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::LOCALHOST.into()];
        resolver.set(&Dns::default(), &[("inside.test".to_owned(), addresses)], &Roots::none());
        Dialing {
            resolver: Arc::new(resolver),
            chooser: Arc::new(DirectOnly::default()),
            limit: Duration::from_secs(10),
            forbid: Some(no_loopback),
        }
    }

    #[tokio::test]
    async fn what_is_forbidden_is_not_reached_directly_by_any_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (direct, dialing) = (way(ProxyKind::Direct, None), guarded());
        let datagrams = direct.datagrams(&dialing).await.unwrap();
        for host in ["127.0.0.1", "inside.test"] {
            let to = Destination::new(host, port);
            let fault = direct.connect(&to, &dialing).await.err().unwrap();
            assert_eq!(fault.kind, FaultKind::WayRejected, "{fault}");
            assert_eq!(fault.detail, format!("{to} is at 127.0.0.1"));
            assert_eq!(direct.connect_http(&to, &dialing).await.err().unwrap(), fault);
            let error = datagrams.send_to(&to, b"x").await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
            assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&fault));
        }
        let free = Dialing { forbid: None, ..dialing };
        assert!(direct.connect(&Destination::new("127.0.0.1", port), &free).await.is_ok());
    }

    #[tokio::test]
    async fn the_servers_of_proxies_are_not_meant() {
        for dialer in [None, Some("DIRECT")] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let socks = SocksProxy {
                server: "127.0.0.1".into(),
                port,
                username: None,
                password: None,
                tls: false,
                sni: None,
                skip_cert_verify: false,
            };
            let (proxy, dialing, to) =
                (way(ProxyKind::Socks5(socks), dialer), guarded(), Destination::new("127.0.0.1", 80));
            let accepted = async { drop(listener.accept().await.unwrap()) };
            // It hangs up, which is the proxy's fault and nobody's rule.
            let (connected, ()) = tokio::join!(proxy.connect(&to, &dialing), accepted);
            let fault = connected.err().unwrap();
            assert_ne!(fault.kind, FaultKind::WayRejected, "{fault}");
        }
    }
}
