//! Whether a `network-policy` can be followed: keys that are networks, targets that are members.

use std::collections::HashMap;

use fancy_regex::Regex;
use tradewind_core::Code;

use super::groups::PlacedGroup;
use super::names::Names;
use super::patterns::name_pattern;
use super::reader::Reader;
use crate::node::{Node, Place, Shortened};
use crate::ways::{Group, Members, Proxy};

/// The key for all networks that are not named.
pub const DEFAULT_NETWORK: &str = "default";

/// Looks at the policies of all groups, and at networks that no policy names.
pub(super) fn check(
    reader: &mut Reader<'_>,
    names: &Names<'_>,
    proxies: &[&Proxy],
    groups: &[PlacedGroup],
    networks: Option<&Node>,
) {
    // Names as written, also of networks that could not be read: those have their own problem already.
    let named = networks.map(Node::items).unwrap_or_default().iter().filter_map(|network| network.get("name"));
    let known: HashMap<&str, &str> =
        named.filter_map(|name| name.as_str().map(|text| (text, name.raw.as_deref().unwrap_or(text)))).collect();
    let ways = Known {
        proxies: proxies.iter().map(|proxy| (&*proxy.name, *proxy)).collect(),
        groups: groups.iter().map(|placed| (&*placed.group.name, &placed.group)).collect(),
    };
    for (index, placed) in groups.iter().enumerate() {
        let Some(policy) = &placed.group.network_policy else { continue };
        let whose = format!("proxy group[{index}]: {}", reader.shown(&placed.group.name));
        let members = StaticMembers::of(&placed.group, &ways);
        for ((network, target), (key_place, place, path)) in policy.iter().zip(&placed.policy) {
            if !is_known(reader, &known, network, *key_place, path, &whose) {
                continue; // the key comes before the value
            }
            let has_providers = !placed.group.members.providers.is_empty() || placed.group.members.all_providers;
            if members.has(target) || (!names.is_target(target) && has_providers) {
                continue;
            }
            let message = format!("{whose}: network-policy: '{}' is not a member of the group", reader.shown(target));
            // A member that is excluded is not what was meant.
            let listed = placed.group.members.proxies.iter().map(|name| &**name).filter(|name| *name != &**target);
            reader.unknown_name(*place, path.clone(), message, target, listed);
        }
    }
}

/// Whether a key is a network or `default`.
fn is_known(
    reader: &mut Reader<'_>,
    known: &HashMap<&str, &str>,
    network: &str,
    place: Place,
    path: &str,
    whose: &str,
) -> bool {
    if network == DEFAULT_NETWORK || known.contains_key(network) {
        return true;
    }
    let message = format!("{whose}: network-policy: network '{}' is not defined", Shortened(network));
    let mut names: Vec<&str> = known.keys().copied().chain([DEFAULT_NETWORK]).collect();
    names.sort_unstable();
    let hint = match tradewind_core::nearest(network, names) {
        Some(near) => format!("did you mean `{}`?", Shortened(known.get(near).unwrap_or(&near))),
        None => "define it in `networks`".to_owned(),
    };
    reader.refuse_as(Code::ConfigUnknownName, place, path, message, &hint);
    false
}

/// What tells which members a group has before any provider is known.
struct StaticMembers<'a> {
    group: &'a Group,
    known: &'a Known<'a>,
    filter: Vec<Regex>,
    exclude: Vec<Regex>,
}

/// Proxies and groups by their names.
struct Known<'a> {
    proxies: HashMap<&'a str, &'a Proxy>,
    groups: HashMap<&'a str, &'a Group>,
}

impl<'a> StaticMembers<'a> {
    fn of(group: &'a Group, known: &'a Known<'a>) -> Self {
        let patterns = |texts: &[String]| texts.iter().filter_map(|text| name_pattern(text).ok()).collect();
        let Members { filter, exclude_filter, .. } = &group.members;
        Self { group, known, filter: patterns(filter), exclude: patterns(exclude_filter) }
    }

    /// Whether a name is that of a member. A filter is for what comes from elsewhere, what is excluded is so wherever it
    /// comes from.
    fn has(&self, name: &str) -> bool {
        let members = &self.group.members;
        let comes_in = members.all_proxies
            && self.known.proxies.contains_key(name)
            && (self.filter.is_empty() || fits(&self.filter, name));
        let is_there = comes_in || members.proxies.iter().any(|member| &**member == name);
        is_there && !fits(&self.exclude, name) && !members.exclude_type.iter().any(|word| self.is_type(name, word))
    }

    fn is_type(&self, name: &str, word: &str) -> bool {
        match (self.known.proxies.get(name), self.known.groups.get(name)) {
            (Some(proxy), _) => proxy.kind.is_type(word),
            (None, Some(group)) => group.kind.is_type(word),
            (None, None) => false,
        }
    }
}

fn fits(patterns: &[Regex], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.is_match(name).unwrap_or(false))
}
