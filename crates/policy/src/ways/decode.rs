//! From the document to [`Ways`]: every section about ways out, with names that refer to each other looked at in the
//! end. Messages are mihomo's where it has one, so that what people find about them fits.

mod chains;
mod controller;
mod dns;
mod groups;
mod idle;
mod inbound;
mod keys;
mod lists;
mod names;
mod network_policy;
mod patterns;
mod providers;
mod proxies;
mod reader;
mod rules;
mod sections;
mod status;

use std::collections::HashSet;
use std::sync::Arc;

pub use self::chains::{DEEPEST_GROUPS, LONGEST_CHAIN};
pub(crate) use self::idle::{is_idle, names as idle_names};
pub use self::lists::{ListError, MOST_LINES, MOST_PROXIES, ProxyList, parse_payload, parse_proxies};
use self::names::{Names, PlacedProxy};
pub use self::network_policy::DEFAULT_NETWORK;
pub use self::patterns::{LONGEST_PATTERN as LONGEST_NAME_PATTERN, name_pattern};
pub use self::providers::LARGEST_LIST;
use self::reader::{Fields, Reader};
pub use self::rules::MOST_RULES;
pub(crate) use self::sections::SECTIONS;
use super::{RuleProvider, Vehicle, Ways, decode_networks};
use crate::node::{Node, Shortened};
use crate::problem::Problems;
use crate::root::Root;

/// The most groups.
pub const MOST_GROUPS: usize = 10_000;

impl Ways {
    /// Decodes all sections about ways out. What has no effect is among the notes of `problems`; the result may be used
    /// only when there are no problems in the end.
    #[must_use]
    pub fn decode(root: &Root, problems: &mut Problems) -> Self {
        let networks = decode_networks(root.section("networks"), problems);
        let top = Fields { node: root.node(), path: String::new() };
        let mut reader = Reader::new(problems);
        let names = Names::of(&top);
        let proxies = proxies(&mut reader, &top);
        let groups = groups(&mut reader, &top);
        let providers = proxy_providers(&mut reader, &top);
        let rule_providers = rule_providers(&mut reader, &top, &names);

        names::unique(&mut reader, &proxies, &groups);
        names::known(&mut reader, &names, &proxies, &groups, &providers);
        if chains::group_loops(&mut reader, &groups) {
            chains::dialer_chains(&mut reader, &proxies, &groups, &providers);
        }
        for placed in &providers {
            if let Vehicle::Http { via, .. } = &placed.provider.vehicle {
                names::via(&mut reader, &names, via.as_ref(), &placed.via);
            }
        }
        let plain: Vec<_> = proxies.iter().map(|placed| &placed.proxy).collect();
        network_policy::check(&mut reader, &names, &plain, &groups, top.get("networks"));
        say_orphans(&mut reader, &top, &groups);
        let lists: HashSet<&str> = root
            .section("rule-providers")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|entry| &*entry.key)
            .collect();
        let rules = rules::decode(&mut reader, &top, &names, &lists);
        let inbound = inbound::decode(&mut reader, &top);
        let mode = inbound::mode(&mut reader, &top);
        let dns = dns::decode(&mut reader, &top);
        let hosts = dns::hosts(&mut reader, &top);
        let controller = controller::decode(&mut reader, &top);
        let profile = top.get("profile").and_then(|node| reader.map(node, "profile", sections::PROFILE_KEYS));
        let mut flag = |key| profile.as_ref().and_then(|profile| reader.flag(profile, key)).unwrap_or(true);
        let (store_selected, sample_network) = (flag("store-selected"), flag("sample-network"));
        idle::say(&mut reader, root.without_effect());
        Self {
            inbound,
            mode,
            proxies: proxies.into_iter().map(|placed| placed.proxy).collect(),
            proxy_providers: providers.into_iter().map(|placed| placed.provider).collect(),
            groups: groups.into_iter().map(|placed| placed.group).collect(),
            rules,
            rule_providers,
            networks,
            dns,
            hosts,
            controller,
            store_selected,
            sample_network,
            without_effect: reader.finish(),
        }
    }
}

/// At most so many of a list; the rest is refused as a whole.
fn bounded(reader: &mut Reader<'_>, key: &str, node: &Node, what: &str, most: usize) {
    if node.items().len() > most {
        reader.refuse(node.place, key, format!("there are more than {most} {what}"), "");
    }
}

fn proxies<'n>(reader: &mut Reader<'_>, top: &Fields<'n>) -> Vec<PlacedProxy<'n>> {
    let Some(node) = top.get("proxies") else { return Vec::new() };
    bounded(reader, "proxies", node, "proxies", MOST_PROXIES);
    let items = reader.items(node, "proxies").into_iter().take(MOST_PROXIES).enumerate();
    let mut list = Vec::with_capacity(node.items().len());
    for (index, (node, path)) in items {
        if let Some(proxy) = proxies::proxy(reader, node, &path, index) {
            list.push(PlacedProxy { proxy, node, path });
        }
    }
    list
}

fn groups(reader: &mut Reader<'_>, top: &Fields<'_>) -> Vec<groups::PlacedGroup> {
    let Some(node) = top.get("proxy-groups") else { return Vec::new() };
    bounded(reader, "proxy-groups", node, "groups", MOST_GROUPS);
    let items = reader.items(node, "proxy-groups").into_iter().take(MOST_GROUPS).enumerate();
    let mut list = Vec::with_capacity(node.items().len());
    for (index, (node, path)) in items {
        list.extend(groups::group(reader, node, &path, index));
    }
    list
}

fn proxy_providers(reader: &mut Reader<'_>, top: &Fields<'_>) -> Vec<providers::PlacedProvider> {
    let Some(node) = top.get("proxy-providers") else { return Vec::new() };
    let mut list = Vec::with_capacity(node.entries().len());
    for (name, place, node, path) in reader.entries(node, "proxy-providers") {
        list.extend(providers::proxy_provider(reader, name, place, node, &path));
    }
    list
}

fn rule_providers(reader: &mut Reader<'_>, top: &Fields<'_>, names: &Names<'_>) -> Vec<RuleProvider> {
    let Some(node) = top.get("rule-providers") else { return Vec::new() };
    let mut list = Vec::with_capacity(node.entries().len());
    for (name, _, node, path) in reader.entries(node, "rule-providers") {
        let Some((provider, place)) = providers::rule_provider(reader, name, node, &path) else { continue };
        if let Vehicle::Http { via, .. } = &provider.vehicle {
            names::via(reader, names, via.as_ref(), &place);
        }
        list.push(provider);
    }
    list
}

/// Says which networks no policy names: of proxies here, or of models.
fn say_orphans(reader: &mut Reader<'_>, top: &Fields<'_>, groups: &[groups::PlacedGroup]) {
    let Some(networks) = top.get("networks") else { return };
    let models = top.get("models").map(Node::items).unwrap_or_default();
    let of_models = models.iter().filter_map(|model| model.get("network-policy")).flat_map(Node::entries);
    let of_groups = groups.iter().filter_map(|placed| placed.group.network_policy.as_ref()).flatten();
    let used: HashSet<&str> =
        of_groups.map(|(network, _)| &**network).chain(of_models.map(|entry| &*entry.key)).collect();
    for (index, network) in networks.items().iter().enumerate() {
        let Some(node) = network.get("name") else { continue };
        let name = node.as_str().unwrap_or_default();
        if !name.is_empty() && !used.contains(name) {
            let shown = Shortened(node.raw.as_deref().unwrap_or(name));
            let message = format!("no `network-policy` names the network `{shown}`");
            reader.say(node.place, &format!("networks[{index}].name"), message, None::<&Arc<str>>);
        }
    }
}
