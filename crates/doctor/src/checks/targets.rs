//! Which hosts the go command would ask with these settings.

use crate::settings::{Gosumdb, Needed, Source};
use crate::{Url, World};

/// The URLs that the go command may ask, each host and scheme once: module proxies in their order, the checksum database,
/// and the hosts of modules that are fetched from their origin.
#[must_use]
pub(crate) fn targets(world: &World) -> Vec<Url> {
    let settings = &world.settings;
    let mut targets: Vec<Url> = settings.proxies().into_iter().map(|(url, _)| url.bare()).collect();
    if let Ok(Gosumdb::Database { name, url, .. }) = &settings.gosumdb {
        let direct = Url::parse(&format!("https://{name}")).ok();
        targets.extend(url.as_deref().cloned().or(direct));
    }
    targets.extend(direct_modules(world, true).iter().filter_map(|module| origin_of(&module.path)));
    let mut seen = Vec::new();
    targets.retain(|url| {
        let key = (url.scheme.clone(), url.host.clone(), url.port);
        let is_new = !url.host.is_empty() && !seen.contains(&key);
        seen.push(key);
        is_new
    });
    targets
}

/// Where a module comes from when no proxy is asked: its first element is a host, if it has a dot.
#[must_use]
pub(crate) fn origin_of(module: &str) -> Option<Url> {
    let host = module.split('/').next().filter(|host| host.contains('.'))?;
    Url::parse(&format!("https://{host}")).ok()
}

/// The missing modules that no proxy is asked for. With `perhaps` also those that `direct` at the end of GOPROXY is left
/// for, should no proxy have them.
#[must_use]
pub(crate) fn direct_modules(world: &World, perhaps: bool) -> Vec<Needed> {
    let settings = &world.settings;
    let entries = settings.goproxy.as_deref().unwrap_or_default();
    let only_direct = matches!(entries.first().map(|entry| &entry.source), Some(Source::Direct));
    let ends_direct = matches!(entries.last().map(|entry| &entry.source), Some(Source::Direct));
    let mut missing = settings.missing();
    missing
        .retain(|needed| only_direct || (perhaps && ends_direct) || settings.no_proxy.covering(&needed.path).is_some());
    missing
}

/// Whether the go command has anything to fetch: a module that is not in the cache, or, without a project, whatever it will
/// be asked for.
#[must_use]
pub(crate) fn has_to_fetch(world: &World) -> bool {
    world.settings.project.is_none() || !world.settings.missing().is_empty()
}
