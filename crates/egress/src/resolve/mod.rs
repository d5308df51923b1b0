//! Names to addresses: names of our own (`hosts`), then configured name servers, or the system where there are none, with a
//! cache for found and not found.
//!
//! The cache holds at most [`CAPACITY`] names; when it is full the expired ones go, and then the answer is simply not kept.
//! What name servers say is kept for as long as they say, up to [`LONGEST`]; the system does not say, so that its answers are
//! kept for [`FOUND_FOR`]. Of those who ask for the same name at once one asks, and the others wait for it.

mod hosts;
mod servers;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tradewind_core::{Clock, Fault, FaultKind, Moment, UnixMillis};
use tradewind_policy::ways::Dns;

use self::hosts::Hosts;
use self::servers::{Servers, ask_system};
use crate::{Host, Roots};

/// How long answers of the system are kept.
const FOUND_FOR: Duration = Duration::from_secs(30);
/// How long it is kept that a name does not resolve.
const NOT_FOUND_FOR: Duration = Duration::from_secs(1);
/// The longest that anything is kept.
const LONGEST: Duration = Duration::from_secs(3600);
/// Names that are kept.
const CAPACITY: usize = 4096;

/// The addresses, or why there are none.
type Found = Result<Arc<[IpAddr]>, Arc<str>>;

struct Entry {
    until: Moment,
    found: Found,
}

/// Resolves names. One for the whole process; a reload changes it in place.
pub struct Resolver {
    clock: Arc<dyn Clock>,
    settings: ArcSwap<Settings>,
    cache: Mutex<HashMap<Arc<str>, Entry>>,
    /// Who is being asked for, by name.
    asking: Mutex<HashMap<Arc<str>, Arc<OnceCell<Found>>>>,
}

#[derive(Default)]
struct Settings {
    hosts: Hosts,
    /// For all names; the system when it is empty.
    servers: Servers,
    /// For the names of proxies that those do not know.
    for_proxies: Servers,
    no_ipv6: bool,
}

impl Resolver {
    /// A resolver that asks the system.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, settings: ArcSwap::default(), cache: Mutex::default(), asking: Mutex::default() }
    }

    /// Resolves as the document says from now on; what is kept is forgotten. `hosts` are names of our own, which go before
    /// everything; `roots` are trusted for encrypted DNS.
    pub fn set(&self, dns: &Dns, hosts: &[(String, Vec<IpAddr>)], roots: &Roots) {
        let asked = |list: &[_]| {
            if dns.enable { Servers::new(list, &dns.default_nameservers, roots) } else { Servers::default() }
        };
        let settings = Settings {
            hosts: if dns.use_hosts { Hosts::new(hosts) } else { Hosts::default() },
            servers: asked(&dns.nameservers),
            for_proxies: asked(&dns.default_nameservers),
            no_ipv6: !dns.ipv6,
        };
        self.settings.store(Arc::new(settings));
        self.flush();
    }

    /// Forgets what is kept.
    pub fn flush(&self) {
        self.cache.lock().clear();
        // Who waits for an answer by the old settings gets it; nobody else joins them.
        self.asking.lock().clear();
    }

    /// The addresses of `name`, at least one, the two families taking turns, so that a dead one costs one delay only.
    ///
    /// # Errors
    /// [`FaultKind::Dns`] when there is none, with the reason.
    pub async fn look_up(&self, name: &str) -> Result<Arc<[IpAddr]>, Fault> {
        let settings = self.settings.load_full();
        self.found(name, &settings).await.map_err(|why| unresolved(name, &why))
    }

    /// The addresses of `host` with `port`. The name of a proxy is looked for with `default-nameserver` as well.
    pub(crate) async fn addresses(&self, host: &Host, port: u16, is_proxy: bool) -> Result<Vec<SocketAddr>, Fault> {
        let name = match host {
            Host::Ip(address) => return Ok(vec![SocketAddr::new(*address, port)]),
            Host::Name(name) => name,
        };
        let settings = self.settings.load_full();
        let mut found = self.found(name, &settings).await;
        if found.is_err()
            && is_proxy
            && !settings.for_proxies.is_empty()
            && let Ok((addresses, _)) = settings.for_proxies.ask(name).await
        {
            found = Ok(interleave(addresses).into());
        }
        let addresses = found.map_err(|why| unresolved(name, &why))?;
        Ok(addresses.iter().map(|address| SocketAddr::new(*address, port)).collect())
    }

    /// The clock that time is measured with.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The wall clock, for protocols that put it on the wire.
    pub(crate) fn wall(&self) -> UnixMillis {
        self.clock.wall()
    }

    async fn found(&self, name: &str, settings: &Arc<Settings>) -> Found {
        let lower;
        let bare = name.strip_suffix('.').unwrap_or(name);
        let name = if bare.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = bare.to_ascii_lowercase();
            &lower
        } else {
            bare
        };
        if let Some(addresses) = settings.hosts.find(name) {
            return Ok(addresses.clone());
        }
        let now = self.clock.now();
        if let Some(entry) = self.cache.lock().get(name).filter(|entry| entry.until > now) {
            return entry.found.clone();
        }
        let (key, cell) = {
            let mut asking = self.asking.lock();
            match asking.get_key_value(name) {
                Some((key, cell)) => (key.clone(), cell.clone()),
                None => {
                    let (key, cell): (Arc<str>, Arc<OnceCell<Found>>) = (name.into(), Arc::default());
                    asking.insert(key.clone(), cell.clone());
                    (key, cell)
                }
            }
        };
        let turn = Turn { resolver: self, key: &key, cell: &cell };
        // When whoever asks goes away, one of those who wait asks in its place.
        let found = cell.get_or_init(|| self.ask(&key, settings)).await.clone();
        drop(turn);
        found
    }

    async fn ask(&self, name: &Arc<str>, settings: &Arc<Settings>) -> Found {
        let answer = if settings.servers.is_empty() {
            ask_system(name).await.map(|addresses| (addresses, FOUND_FOR))
        } else {
            settings.servers.ask(name).await
        };
        let (found, keep): (Found, Duration) = match answer {
            Ok((mut addresses, keep)) => {
                if settings.no_ipv6 {
                    addresses.retain(IpAddr::is_ipv4);
                }
                if addresses.is_empty() {
                    (Err("it has no address that may be used".into()), NOT_FOUND_FOR)
                } else {
                    (Ok(interleave(addresses).into()), keep.min(LONGEST))
                }
            }
            Err(why) => (Err(why.into()), NOT_FOUND_FOR),
        };
        // An answer by settings that are no longer in force is not kept.
        if !keep.is_zero() && Arc::ptr_eq(&self.settings.load_full(), settings) {
            let now = self.clock.now();
            let mut cache = self.cache.lock();
            if cache.len() >= CAPACITY {
                cache.retain(|_, entry| entry.until > now);
            }
            if cache.len() < CAPACITY {
                cache.insert(name.clone(), Entry { until: now + keep, found: found.clone() });
            }
        }
        found
    }
}

/// Takes a name off the list of those that are asked for, once nobody waits for it any more.
struct Turn<'a> {
    resolver: &'a Resolver,
    key: &'a Arc<str>,
    cell: &'a Arc<OnceCell<Found>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut asking = self.resolver.asking.lock();
        let is_own = asking.get(self.key).is_some_and(|cell| Arc::ptr_eq(cell, self.cell));
        // Two: the table's, and that of whoever is dropping this.
        if is_own && (self.cell.initialized() || Arc::strong_count(self.cell) <= 2) {
            asking.remove(self.key);
        }
    }
}

fn unresolved(name: &str, why: &str) -> Fault {
    let detail = if why.is_empty() {
        format!("the host name {name} does not resolve")
    } else {
        format!("the host name {name} does not resolve: {why}")
    };
    Fault::new(FaultKind::Dns, detail).before_sending()
}

/// RFC 8305 §4: the families take turns, beginning with the one that came first.
fn interleave(all: Vec<IpAddr>) -> Vec<IpAddr> {
    let Some(first) = all.first().copied() else { return all };
    let (mut own, mut other): (Vec<IpAddr>, Vec<IpAddr>) =
        all.into_iter().partition(|address| address.is_ipv4() == first.is_ipv4());
    own.reverse();
    other.reverse();
    let mut ordered = Vec::with_capacity(own.len() + other.len());
    while !own.is_empty() || !other.is_empty() {
        ordered.extend(own.pop());
        ordered.extend(other.pop());
    }
    ordered.dedup();
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let text = ["::1", "::2", "::3", "10.0.0.1"];
        let ordered = interleave(text.iter().map(|address| address.parse().unwrap()).collect());
        let ordered: Vec<String> = ordered.iter().map(ToString::to_string).collect();
        assert_eq!(ordered, ["::1", "10.0.0.1", "::2", "::3"]);
    }
}
