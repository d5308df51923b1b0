//! Names to addresses, by the system's resolver, with a short cache for found and not found.
//!
//! The cache holds at most [`CAPACITY`] names; when it is full the expired ones go, and then the answer is simply not
//! kept. Configured resolvers come with the ways out.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::{Clock, Fault, FaultKind, Moment};

const FOUND_FOR: Duration = Duration::from_secs(30);
const NOT_FOUND_FOR: Duration = Duration::from_secs(1);
const CAPACITY: usize = 1024;

struct Entry {
    until: Moment,
    /// Empty when the name does not exist.
    addresses: Arc<[IpAddr]>,
}

pub(crate) struct Resolver {
    clock: Arc<dyn Clock>,
    cache: Mutex<HashMap<String, Entry>>,
}

impl Resolver {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, cache: Mutex::new(HashMap::new()) }
    }

    /// The addresses of `host`, the two families taking turns, so that a dead one costs one delay only.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let known = {
            let cache = self.cache.lock();
            cache.get(host).filter(|entry| entry.until > self.clock.now()).map(|entry| entry.addresses.clone())
        };
        let addresses = match known {
            Some(addresses) => addresses,
            None => self.look_up(host).await,
        };
        if addresses.is_empty() {
            let detail = format!("the host name {host} does not resolve");
            return Err(Fault::new(FaultKind::Dns, detail).before_sending());
        }
        Ok(addresses.iter().map(|address| SocketAddr::new(*address, port)).collect())
    }

    async fn look_up(&self, host: &str) -> Arc<[IpAddr]> {
        let found: Vec<IpAddr> = match tokio::net::lookup_host((host, 0)).await {
            Ok(addresses) => interleave(addresses.map(|address| address.ip())),
            Err(_) => Vec::new(),
        };
        let addresses: Arc<[IpAddr]> = found.into();
        let now = self.clock.now();
        let until = now + if addresses.is_empty() { NOT_FOUND_FOR } else { FOUND_FOR };
        let mut cache = self.cache.lock();
        if cache.len() >= CAPACITY {
            cache.retain(|_, entry| entry.until > now);
        }
        if cache.len() < CAPACITY {
            cache.insert(host.to_owned(), Entry { until, addresses: addresses.clone() });
        }
        addresses
    }
}

/// RFC 8305 §4: the families take turns, beginning with the one that the system put first.
fn interleave(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let all: Vec<IpAddr> = addresses.collect();
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
        let ordered = interleave(text.iter().map(|address| address.parse().unwrap()));
        let ordered: Vec<String> = ordered.iter().map(ToString::to_string).collect();
        assert_eq!(ordered, ["::1", "10.0.0.1", "::2", "::3"]);
    }
}
