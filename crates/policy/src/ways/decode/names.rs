//! Names that refer to each other: who has which, and whether everything that is named is there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tradewind_core::nearest;

use super::groups::PlacedGroup;
use super::providers::PlacedProvider;
use super::reader::{Fields, Reader};
use crate::node::{Node, Place};
use crate::ways::{BUILT_IN, GLOBAL, Proxy};

/// Every name of the document, also of entries that could not be read: a reference to one of those is no further
/// mistake.
pub(super) struct Names<'n> {
    pub(super) proxies: HashSet<&'n str>,
    pub(super) groups: HashSet<&'n str>,
    pub(super) providers: HashSet<&'n str>,
}

impl<'n> Names<'n> {
    pub(super) fn of(top: &Fields<'n>) -> Self {
        let named = |key: &str| {
            let items = top.get(key).map(Node::items).unwrap_or_default();
            items.iter().filter_map(|item| item.get("name").and_then(Node::as_str)).collect()
        };
        let providers = top.get("proxy-providers").map(Node::entries).unwrap_or_default();
        Self {
            proxies: named("proxies"),
            groups: named("proxy-groups"),
            providers: providers.iter().map(|entry| &*entry.key).collect(),
        }
    }

    /// Whether a group may have this member.
    pub(super) fn is_member(&self, name: &str) -> bool {
        BUILT_IN.contains(&name) || self.proxies.contains(name) || self.groups.contains(name)
    }

    /// Whether a rule, a `dialer-proxy` or a `via` may lead there.
    pub(super) fn is_target(&self, name: &str) -> bool {
        name == GLOBAL || self.is_member(name)
    }

    /// "Did you mean", when that is still worth working out.
    pub(super) fn near(&self, name: &str, reader: &Reader<'_>) -> String {
        if reader.problems.is_full() {
            return String::new();
        }
        // In one order, whatever that of the tables is. `GLOBAL` is near to nothing else.
        let mut all: Vec<&str> = self.groups.iter().chain(&self.proxies).copied().chain(BUILT_IN).collect();
        all.sort_unstable();
        nearest(name, all).map(|name| format!("did you mean `{}`?", reader.shown(name))).unwrap_or_default()
    }

    /// A problem with a name that nothing has.
    pub(super) fn missing(&self, reader: &mut Reader<'_>, (place, path): (Place, &str), message: String, name: &str) {
        let hint = self.near(name, reader);
        let code = tradewind_core::Code::ConfigUnknownName;
        reader.refuse_as(code, place, path, message, &hint);
    }
}

/// A proxy of `proxies`, or of an inline provider, with its place.
pub(super) struct PlacedProxy<'n> {
    pub(super) proxy: Proxy,
    pub(super) node: &'n Node,
    pub(super) path: String,
}

impl PlacedProxy<'_> {
    fn place(&self, key: &str) -> Place {
        self.node.get(key).map_or(self.node.place, |node| node.place)
    }
}

/// Names that stand twice, or are taken.
pub(super) fn unique(reader: &mut Reader<'_>, proxies: &[PlacedProxy<'_>], groups: &[PlacedGroup]) {
    let mut seen: HashMap<Arc<str>, u32> = HashMap::with_capacity(proxies.len() + groups.len());
    let hint_for = |line: Option<u32>| match line {
        Some(line) => format!("give it another name; the first is on line {line}"),
        None => "give it another name: this one is built in".to_owned(),
    };
    for placed in proxies {
        let name = &placed.proxy.name;
        let line = seen.insert(Arc::clone(name), placed.place("name").line);
        // A group may take the place of `GLOBAL`, a proxy would be hidden by it.
        if line.is_some() || BUILT_IN.contains(&&**name) || &**name == GLOBAL {
            let message = format!("proxy {} is the duplicate name", reader.shown(name));
            let path = format!("{}.name", placed.path);
            reader.refuse(placed.place("name"), path, message, &hint_for(line));
        }
    }
    let mut groups_seen: HashMap<Arc<str>, u32> = HashMap::with_capacity(groups.len());
    for placed in groups {
        let name = &placed.group.name;
        let group = groups_seen.insert(Arc::clone(name), placed.name_place.line);
        let proxy = seen.get(name).copied();
        let message = if group.is_some() {
            format!("ProxyGroup {}: duplicate group name", reader.shown(name))
        } else if proxy.is_some() || BUILT_IN.contains(&&**name) {
            format!("proxy group {}: the duplicate name", reader.shown(name))
        } else {
            continue;
        };
        let path = format!("{}.name", placed.path);
        reader.refuse(placed.name_place, path, message, &hint_for(group.or(proxy)));
    }
}

/// What groups and proxies name.
pub(super) fn known(
    reader: &mut Reader<'_>,
    names: &Names<'_>,
    proxies: &[PlacedProxy<'_>],
    groups: &[PlacedGroup],
    providers: &[PlacedProvider],
) {
    for (index, placed) in groups.iter().enumerate() {
        let group = &placed.group;
        let whose = format!("proxy group[{index}]: {}", reader.shown(&group.name));
        let members = &group.members;
        let has_all = members.all_proxies || (members.all_providers && !names.providers.is_empty());
        if members.proxies.is_empty() && members.providers.is_empty() && !has_all {
            let hint = "name members under `proxies`, or providers under `use`";
            reader.refuse(placed.name_place, placed.path.clone(), format!("{whose}: `use` or `proxies` missing"), hint);
        }
        for (name, (place, path)) in members.proxies.iter().zip(&placed.proxies) {
            if !names.is_member(name) {
                let message = format!("{whose}: '{}' not found", reader.shown(name));
                names.missing(reader, (*place, path), message, name);
            }
        }
        for (name, (place, path)) in members.providers.iter().zip(&placed.providers) {
            if !names.providers.contains(&**name) {
                let message = format!("{whose}: '{}' not found", reader.shown(name));
                let known = names.providers.iter().copied();
                reader.unknown_name(*place, path.clone(), message, name, known);
            }
        }
        let (place, path) = &placed.empty_fallback;
        if let Some(name) = &members.empty_fallback
            && (!names.is_member(name) || names.groups.contains(&**name))
        {
            let message = format!("{whose}: empty fallback proxy '{}' not found", reader.shown(name));
            reader.refuse(*place, path.clone(), message, "a proxy of `proxies`, DIRECT, or REJECT");
        }
    }
    for placed in proxies {
        if let Some(dialer) = &placed.proxy.dialer
            && !names.is_target(dialer)
        {
            let name = reader.shown(&placed.proxy.name);
            let message = format!("proxy [{name}] dialer-proxy [{}] not found", reader.shown(dialer));
            let path = format!("{}.dialer-proxy", placed.path);
            names.missing(reader, (placed.place("dialer-proxy"), &path), message, dialer);
        }
    }
    for placed in providers {
        let name = reader.shown(&placed.provider.name);
        let dialer = placed.provider.dialer.as_ref();
        if let Some(dialer) = dialer.filter(|dialer| !names.is_target(dialer)) {
            let message = format!("provider [{name}] dialer-proxy [{}] not found", reader.shown(dialer));
            names.missing(reader, (placed.dialer.0, &placed.dialer.1), message, dialer);
        }
        for (name, dialer, place, path) in &placed.inline_dialers {
            if !names.is_target(dialer) {
                let message =
                    format!("proxy [{}] dialer-proxy [{}] not found", reader.shown(name), reader.shown(dialer));
                names.missing(reader, (*place, path), message, dialer);
            }
        }
    }
}

/// The `proxy` that a provider is fetched through.
pub(super) fn via(reader: &mut Reader<'_>, names: &Names<'_>, via: Option<&Arc<str>>, (place, path): &(Place, String)) {
    if let Some(name) = via.filter(|name| !names.is_target(name)) {
        names.missing(reader, (*place, path), format!("proxy [{}] not found", reader.shown(name)), name);
    }
}
