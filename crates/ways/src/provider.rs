//! A list of proxies from elsewhere: read from a file or fetched, filtered, renamed, kept on disk for the next start.
//!
//! A list that cannot be read or fetched leaves the one before in place; what went wrong is told, and asked again later.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::UnixMillis;
use tradewind_egress::Roots;
use tradewind_policy::ways::{self as policy, Proxy, ProxyKind, ProxyProvider, Vehicle, parse_proxies};
use tradewind_runtime::{Live, files};

use crate::fetch::{Fetched, Fetcher};
use crate::memory::Memory;
use crate::node::Node;
use crate::set::{Filters, WaysError, node};

/// The largest list that is read or fetched.
pub const LARGEST_LIST: u64 = 16 * 1024 * 1024;

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

/// What updating a list needs.
pub(crate) struct Surroundings<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) roots: &'a Roots,
    /// What relative paths are relative to.
    pub(crate) base: &'a Path,
    /// Where fetched lists are kept that have no path of their own.
    pub(crate) folder: &'a Path,
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) now: UnixMillis,
}

impl Provider {
    /// A list without members yet, or with those of `before`.
    ///
    /// # Errors
    /// When a filter is no pattern.
    pub(crate) fn new(spec: ProxyProvider, before: Option<&Self>) -> Result<Self, WaysError> {
        let filters = Filters::new(&spec.name, &spec.filter, &spec.exclude_filter, &spec.exclude_type)?;
        let (nodes, told) =
            before.map(|before| (before.nodes.get().to_vec(), before.told.lock().clone())).unwrap_or_default();
        Ok(Self { spec, filters, nodes: Live::new(nodes), told: Mutex::new(told) })
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

    /// The file that it is read from, or kept in.
    pub(crate) fn file(&self, base: &Path, folder: &Path) -> Option<PathBuf> {
        match &self.spec.vehicle {
            Vehicle::File { path } => Some(base.join(files::expand_home(path))),
            Vehicle::Http { path: Some(path), .. } => Some(base.join(files::expand_home(path))),
            Vehicle::Http { url, .. } => {
                let key = crate::pick::key_of(&[url.as_bytes()]);
                Some(folder.join("proxies").join(format!("{key:016x}.yaml")))
            }
            Vehicle::InlineProxies(_) | Vehicle::InlineRules(_) => None,
        }
    }

    /// Takes what is on disk, or in the document. For a start: a list that was fetched before is there at once.
    ///
    /// # Errors
    /// What was wrong; a list to be fetched that was never fetched is no error.
    pub(crate) fn load(&self, around: &Surroundings<'_>) -> Result<(), String> {
        let proxies = match &self.spec.vehicle {
            Vehicle::InlineProxies(proxies) => proxies.clone(),
            _ => {
                let Some(path) = self.file(around.base, around.folder) else { return Ok(()) };
                match files::read_text(&path, LARGEST_LIST) {
                    Ok(text) => {
                        let proxies = read(&text).map_err(|error| format!("{}: {error}", path.display()))?;
                        self.take(&proxies, around)?;
                        // What was fetched before the start is as old as its file.
                        if matches!(self.spec.vehicle, Vehicle::Http { .. }) {
                            self.told.lock().updated = files::modified(&path);
                        }
                        return Ok(());
                    }
                    Err(error)
                        if error.kind() == std::io::ErrorKind::NotFound
                            && matches!(self.spec.vehicle, Vehicle::Http { .. }) =>
                    {
                        return Ok(());
                    }
                    Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
                }
            }
        };
        self.take(&proxies, around)
    }

    /// Fetches the list anew, or reads its file again.
    ///
    /// # Errors
    /// What went wrong; the members stay as they were.
    pub(crate) async fn update(&self, around: &Surroundings<'_>) -> Result<(), String> {
        let updated = match &self.spec.vehicle {
            Vehicle::Http { url, via, headers, size_limit, .. } => {
                let limit = if *size_limit == 0 { LARGEST_LIST } else { (*size_limit).min(LARGEST_LIST) };
                self.fetch(url, via.as_ref(), headers, limit, around).await
            }
            _ => self.load(around),
        };
        self.told.lock().failed = updated.as_ref().err().cloned();
        updated
    }

    async fn fetch(
        &self,
        url: &str,
        via: Option<&Arc<str>>,
        headers: &[(String, String)],
        limit: u64,
        around: &Surroundings<'_>,
    ) -> Result<(), String> {
        let Fetched { body, subscription } = around.fetcher.get(url, via, headers, limit).await?;
        let text = String::from_utf8(body).map_err(|_| format!("{url}: what came is not UTF-8"))?;
        self.take(&read(&text).map_err(|error| format!("{url}: {error}"))?, around)?;
        self.told.lock().subscription = subscription.as_deref().and_then(Subscription::parse);
        if let Some(path) = self.file(around.base, around.folder) {
            let kept = path
                .parent()
                .map_or(Ok(()), files::make_private_dir)
                .and_then(|()| files::replace_private(&path, &text));
            kept.map_err(|error| format!("fetched and in use, but {} cannot be written: {error}", path.display()))?;
        }
        Ok(())
    }

    /// Makes nodes of proxies, and puts them in place of those before.
    fn take(&self, proxies: &[Proxy], around: &Surroundings<'_>) -> Result<(), String> {
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
        self.told.lock().updated = Some(around.now);
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

    /// Whether it should be read or fetched now: a file that has changed since, what was never fetched, and what was
    /// fetched longer ago than its interval.
    pub(crate) fn is_stale(&self, base: &Path, folder: &Path, now: UnixMillis) -> bool {
        let updated = self.told.lock().updated;
        match &self.spec.vehicle {
            Vehicle::Http { interval, .. } => match updated {
                None => true,
                Some(at) => !interval.is_zero() && Duration::from_millis(now.0.saturating_sub(at.0)) >= *interval,
            },
            Vehicle::File { .. } => {
                let changed = self.file(base, folder).and_then(|path| files::modified(&path));
                changed.is_some_and(|changed| updated.is_none_or(|updated| changed > updated))
            }
            Vehicle::InlineProxies(_) | Vehicle::InlineRules(_) => false,
        }
    }

    /// mihomo's word for where it comes from.
    #[must_use]
    pub fn vehicle_name(&self) -> &'static str {
        match self.spec.vehicle {
            Vehicle::File { .. } => "File",
            Vehicle::Http { .. } => "HTTP",
            Vehicle::InlineProxies(_) | Vehicle::InlineRules(_) => "Inline",
        }
    }

    /// How its members are tested.
    #[must_use]
    pub fn health_check(&self) -> Option<&policy::HealthCheck> {
        self.spec.health_check.as_ref().filter(|check| check.enable)
    }
}

fn read(text: &str) -> Result<Vec<Proxy>, String> {
    parse_proxies(text).map(|list| list.proxies).map_err(|error| error.to_string())
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
