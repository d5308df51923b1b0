//! A list of proxies from elsewhere: read from a file or fetched, filtered, renamed, kept on disk for the next start.
//!
//! A list that cannot be read or fetched leaves the one before in place; what went wrong is told, and asked again later.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tradewind_core::UnixMillis;
use tradewind_policy::ways::{self as policy, Proxy, ProxyKind, ProxyProvider, Vehicle, parse_proxies};
use tradewind_runtime::Live;

use crate::node::Node;
use crate::set::{Filters, WaysError, node};
use crate::source::{Came, Source, Surroundings};

/// A list of proxies.
#[derive(Debug)]
pub struct Provider {
    /// As the document has it.
    pub spec: ProxyProvider,
    filters: Filters,
    nodes: Live<Vec<Arc<Node>>>,
    told: Mutex<Told>,
}

/// What is known of a list beside its members.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// When it was last read or fetched with success.
    pub updated: Option<UnixMillis>,
    /// What its server says of the subscription.
    pub subscription: Option<Subscription>,
    /// Why the last update failed, if it did.
    pub failed: Option<String>,
}

/// What a server says of a subscription, in the header `subscription-userinfo`: bytes, and seconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Bytes sent.
    pub upload: u64,
    /// Bytes received.
    pub download: u64,
    /// Bytes that are paid for.
    pub total: u64,
    /// When it ends; 0 for never.
    pub expire: u64,
}

impl Subscription {
    /// Reads `upload=1; download=2; total=3; expire=4`, in any order; what is not there is 0.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut read = Self::default();
        let mut any = false;
        for (key, value) in header.split(';').filter_map(|part| part.split_once('=')) {
            // Some servers send floats.
            let Ok(number) = value.trim().parse::<f64>() else { continue };
            let number = number as u64;
            match key.trim().to_ascii_lowercase().as_str() {
                "upload" => read.upload = number,
                "download" => read.download = number,
                "total" => read.total = number,
                "expire" => read.expire = number,
                _ => continue,
            }
            any = true;
        }
        any.then_some(read)
    }
}

impl Provider {
    /// A list without members yet.
    ///
    /// # Errors
    /// When a filter is no pattern.
    pub(crate) fn new(spec: ProxyProvider) -> Result<Self, WaysError> {
        let filters = Filters::new(&spec.name, &spec.filter, &spec.exclude_filter, &spec.exclude_type)?;
        Ok(Self { spec, filters, nodes: Live::new(Vec::new()), told: Mutex::default() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.spec.name
    }

    /// Its members.
    #[must_use]
    pub fn nodes(&self) -> Arc<Vec<Arc<Node>>> {
        self.nodes.get()
    }

    /// What is known of it beside its members.
    #[must_use]
    pub fn told(&self) -> Told {
        self.told.lock().clone()
    }

    const fn source(&self) -> Source<'_> {
        Source { vehicle: &self.spec.vehicle, shelf: "proxies", ending: "yaml" }
    }

    /// Takes what is on disk, or in the document. For a start: a list that was fetched before is there at once.
    ///
    /// # Errors
    /// What was wrong; a list to be fetched that was never fetched is no error.
    pub(crate) fn load(&self, around: &Surroundings<'_>) -> Result<(), String> {
        if let Vehicle::InlineProxies(proxies) = &self.spec.vehicle {
            return self.take(proxies, around.now, around);
        }
        self.source().load(around, |came| self.read(&came, around))
    }

    /// Fetches the list anew, or reads its file again.
    ///
    /// # Errors
    /// What went wrong; the members stay as they were.
    pub(crate) async fn update(&self, around: &Surroundings<'_>) -> Result<(), String> {
        let updated = if self.source().is_fetched() {
            self.source().update(around, |came| self.read(&came, around)).await
        } else {
            self.load(around)
        };
        self.told.lock().failed = updated.as_ref().err().cloned();
        updated
    }

    fn read(&self, came: &Came<'_>, around: &Surroundings<'_>) -> Result<(), String> {
        let text = std::str::from_utf8(came.bytes).map_err(|_| "it is not UTF-8")?;
        let list = parse_proxies(text).map_err(|error| error.to_string())?;
        self.take(&list.proxies, came.at, around)?;
        self.told.lock().subscription = came.subscription.and_then(Subscription::parse);
        Ok(())
    }

    /// Makes nodes of proxies, and puts them in place of those before.
    fn take(&self, proxies: &[Proxy], at: UnixMillis, around: &Surroundings<'_>) -> Result<(), String> {
        if proxies.is_empty() {
            return Err("there is no proxy in it".to_owned());
        }
        // By the names that the list has, as in mihomo: `override` comes after the filters.
        let chosen = self.filters.choose(proxies.iter().map(|proxy| (&*proxy.name, &proxy.kind)));
        let mut nodes = Vec::with_capacity(chosen.len());
        for index in chosen {
            let made = node(&self.renamed(&proxies[index]), Some(self.spec.name.clone()), around.memory, around.roots);
            nodes.push(made.map_err(|error| error.to_string())?);
        }
        self.nodes.swap(nodes);
        self.told.lock().updated = Some(at);
        Ok(())
    }

    /// A proxy as `override` wants it.
    fn renamed(&self, proxy: &Proxy) -> Proxy {
        let ProxyProvider { prefix, suffix, dialer, udp, skip_cert_verify, .. } = &self.spec;
        let mut proxy = proxy.clone();
        if !prefix.is_empty() || !suffix.is_empty() {
            proxy.name = format!("{prefix}{}{suffix}", proxy.name).into();
        }
        proxy.dialer = dialer.clone().or(proxy.dialer);
        proxy.udp = udp.unwrap_or(proxy.udp);
        if let Some(skip) = *skip_cert_verify {
            match &mut proxy.kind {
                ProxyKind::Http(http) => http.skip_cert_verify = skip,
                ProxyKind::Socks5(socks) => socks.skip_cert_verify = skip,
                _ => {}
            }
        }
        proxy
    }

    /// Why it should be read or fetched now, as [`Source::reason`] says.
    pub(crate) fn reason(&self, base: &Path, folder: &Path, now: UnixMillis) -> Option<u64> {
        let updated = self.told.lock().updated;
        self.source().reason(updated, base, folder, now)
    }

    /// mihomo's word for where it comes from.
    #[must_use]
    pub const fn vehicle_name(&self) -> &'static str {
        self.source().name()
    }

    /// How its members are tested.
    #[must_use]
    pub fn health_check(&self) -> Option<&policy::HealthCheck> {
        self.spec.health_check.as_ref().filter(|check| check.enable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_a_subscription() {
        let all = Subscription { upload: 1, download: 2, total: 3, expire: 4 };
        assert_eq!(Subscription::parse("upload=1; download=2; total=3; expire=4"), Some(all));
        assert_eq!(Subscription::parse("expire=4;total=3.0;Download=2;upload=1;x"), Some(all));
        assert_eq!(Subscription::parse("total=7"), Some(Subscription { total: 7, ..Subscription::default() }));
        for nothing in ["", "upload", "upload=x", "=;=", "x=1"] {
            assert_eq!(Subscription::parse(nothing), None, "{nothing}");
        }
        assert_eq!(Subscription::parse("total=-5").unwrap().total, 0);
    }
}
