//! Reads `networks`, and refuses what no context could fulfil or what would fit every one.
//!
//! By hand and not through serde: the keys of a block stand beside its combinators, each is a text or a list of texts,
//! and what is refused depends on the key.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tradewind_core::{Code, nearest};

use super::{Block, Match, Network};
use crate::node::{Entry, Node, Place, Shortened, Value};
use crate::problem::{Problem, Problems};
use crate::ways::address::{self, BadAddress, IFACE_TYPES};

/// The keys of a network.
const NETWORK_KEYS: [&str; 2] = ["name", "match"];
/// The keys of a block.
const BLOCK_KEYS: [&str; 11] =
    ["name", "iface-type", "ssid", "bssid", "gateway-ip", "gateway-mac", "subnets", "dns-suffix", "any", "all", "not"];
/// Names that mean something else: `default` in a policy, `<none>` in what is kept of a group.
const RESERVED: [&str; 2] = ["default", "<none>"];

/// Reads the section `networks`. `None` without one, or when it is null; what could not be read is left out, with the
/// reason among the problems.
pub fn decode_networks(section: Option<&Node>, problems: &mut Problems) -> Option<Vec<Network>> {
    let section = section.filter(|section| !section.is_null())?;
    let Value::List(items) = &section.value else {
        let message = format!("expected a list, found {}", section.described());
        problems
            .push(bad(section.place, "networks", message).with_hint("such as [{name: office, match: {ssid: corp}}]"));
        return Some(Vec::new());
    };
    let mut names = HashMap::new();
    let mut networks = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        networks.extend(network(item, &format!("networks[{index}]"), &mut names, problems));
    }
    Some(networks)
}

fn bad(place: Place, path: &str, message: impl Into<String>) -> Problem {
    Problem::new(Code::ConfigBadValue, place, path, message)
}

/// `names`: those that are there already, with the line of each.
fn network(node: &Node, path: &str, names: &mut HashMap<Arc<str>, u32>, problems: &mut Problems) -> Option<Network> {
    let entries = map(node, path, problems)?;
    for entry in entries.iter().filter(|entry| !NETWORK_KEYS.contains(&&*entry.key)) {
        problems.push(unknown_key(entry, path, &NETWORK_KEYS));
    }
    let name = name(node, path, names, problems);
    let matches = match node.get("match") {
        Some(matches) => block(matches, &format!("{path}.match"), problems),
        None => {
            problems.push(bad(node.place, path, "`match` is missing"));
            None
        }
    };
    Some(Network { name: name?, matches: matches? })
}

fn name(node: &Node, path: &str, names: &mut HashMap<Arc<str>, u32>, problems: &mut Problems) -> Option<Arc<str>> {
    let Some(given) = node.get("name") else {
        problems.push(bad(node.place, path, "`name` is missing"));
        return None;
    };
    let name = text(given, &format!("{path}.name"), problems)?;
    let shown = Shortened(given.raw.as_deref().unwrap_or(&name)).to_string();
    let mut refuse = |message: String, hint: String| {
        problems.push(bad(given.place, &format!("{path}.name"), message).with_hint(hint));
        None
    };
    if RESERVED.contains(&&*name) {
        return refuse(format!("no network may be named `{shown}`"), "give it another name".to_owned());
    }
    if let Some(line) = names.get(&name) {
        let hint = format!("give it another name; the first is on line {line}");
        return refuse(format!("a network named `{shown}` is there already"), hint);
    }
    names.insert(Arc::clone(&name), given.place.line);
    Some(name)
}

/// Text that is not empty.
fn text(node: &Node, path: &str, problems: &mut Problems) -> Option<Arc<str>> {
    if node.is_broken() {
        return None;
    }
    match &node.value {
        Value::String(text) if text.is_empty() => {
            problems.push(bad(node.place, path, "the text is empty"));
            None
        }
        Value::String(text) => Some(Arc::clone(text)),
        _ => {
            let problem = bad(node.place, path, format!("expected text, found {}", node.described()));
            let is_scalar = matches!(node.value, Value::Int(_) | Value::Float(_) | Value::Bool(_));
            problems.push(if is_scalar { problem.with_hint("put it in quotes") } else { problem });
            None
        }
    }
}

fn map<'a>(node: &'a Node, path: &str, problems: &mut Problems) -> Option<&'a [Entry]> {
    if node.is_broken() {
        return None;
    }
    if matches!(node.value, Value::Map(_)) {
        return Some(node.entries());
    }
    problems.push(bad(node.place, path, format!("expected a map, found {}", node.described())));
    None
}

fn unknown_key(entry: &Entry, path: &str, known: &[&str]) -> Problem {
    let message = format!("unknown key `{}`", Shortened(&entry.key));
    let problem = Problem::new(Code::ConfigUnknownKey, entry.key_place, format!("{path}.{}", entry.key), message);
    problem.with_hint(match nearest(&entry.key, known.iter().copied()) {
        Some(right) => format!("did you mean `{right}`?"),
        None => format!("the keys here are {}", known.join(", ")),
    })
}

/// One block. `None` when any of it is refused: a block of which a part is left out would fit more than was meant.
fn block(node: &Node, path: &str, problems: &mut Problems) -> Option<Match> {
    let entries = map(node, path, problems)?;
    if entries.is_empty() {
        let problem = bad(node.place, path, "the block is empty: it would fit every network");
        problems.push(problem.with_hint(format!("ask for something, by {}", BLOCK_KEYS.join(", "))));
        return None;
    }
    let mut read = Match::default();
    let mut is_good = true;
    for entry in entries {
        let path = format!("{path}.{}", entry.key);
        is_good &= key(&mut read, entry, &path, problems).is_some();
    }
    is_good.then_some(read)
}

/// Reads one key into the block.
fn key(read: &mut Match, entry: &Entry, path: &str, problems: &mut Problems) -> Option<()> {
    let node = &entry.value;
    let Match { interface: Block { name, iface_type, ssid, bssid, gateway_ip, gateway_mac, subnets }, .. } = read;
    let same = |text: &str| Ok(text.to_owned());
    match &*entry.key {
        "name" => *name = values(node, path, problems, same)?,
        "iface-type" => *iface_type = values(node, path, problems, known_type)?,
        "ssid" => *ssid = values(node, path, problems, same)?,
        "bssid" => *bssid = values(node, path, problems, of_address(address::parse_mac))?,
        "gateway-ip" => *gateway_ip = values(node, path, problems, of_address(address_or_range))?,
        "gateway-mac" => *gateway_mac = values(node, path, problems, of_address(address::parse_mac))?,
        "subnets" => *subnets = values(node, path, problems, of_address(address::parse_prefix))?,
        "dns-suffix" => read.dns_suffix = values(node, path, problems, |text| Ok(address::lower(text)))?,
        "any" => read.any = Some(blocks(node, path, problems)?),
        "all" => read.all = Some(blocks(node, path, problems)?),
        "not" => read.not = Some(Box::new(block(node, path, problems)?)),
        "metered" => {
            let message = "no network can be told by `metered`: hosts may say it, but nothing is matched by it";
            problems
                .push(Problem::new(Code::ConfigUnknownKey, entry.key_place, path, message).with_hint("remove the key"));
            return None;
        }
        _ => {
            let above = path.strip_suffix(&format!(".{}", entry.key)).unwrap_or(path);
            problems.push(unknown_key(entry, above, &BLOCK_KEYS));
            return None;
        }
    }
    Some(())
}

/// The items of `any` and `all`.
fn blocks(node: &Node, path: &str, problems: &mut Problems) -> Option<Vec<Match>> {
    if node.is_broken() {
        return None;
    }
    let Value::List(items) = &node.value else {
        problems.push(bad(node.place, path, format!("expected a list of blocks, found {}", node.described())));
        return None;
    };
    if items.is_empty() {
        problems.push(bad(node.place, path, "no block is in this list"));
        return None;
    }
    let read: Vec<Option<Match>> =
        items.iter().enumerate().map(|(index, item)| block(item, &format!("{path}[{index}]"), problems)).collect();
    read.into_iter().collect()
}

/// A text, or a list of texts, each read by `parse`.
fn values<T>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let mut one = |node: &Node, path: &str| {
        let text = text(node, path, problems)?;
        let parsed = parse(&text).map_err(|why| {
            problems.push(bad(node.place, path, format!("{} is {why}", node.described())));
        });
        parsed.ok()
    };
    match &node.value {
        Value::List(items) if items.is_empty() => {
            problems.push(bad(node.place, path, "nothing is in this list"));
            None
        }
        Value::List(items) => {
            let read: Vec<Option<T>> =
                items.iter().enumerate().map(|(index, item)| one(item, &format!("{path}[{index}]"))).collect();
            read.into_iter().collect()
        }
        _ => one(node, path).map(|value| vec![value]),
    }
}

fn known_type(text: &str) -> Result<String, String> {
    let lower = address::lower(text);
    if IFACE_TYPES.contains(&&*lower) { Ok(lower) } else { Err(format!("not one of {}", IFACE_TYPES.join(", "))) }
}

fn of_address<T>(parse: impl Fn(&str) -> Result<T, BadAddress>) -> impl Fn(&str) -> Result<T, String> {
    move |text| parse(text).map_err(|why| why.to_string())
}

/// A range, or an address as the range of just itself.
fn address_or_range(text: &str) -> Result<(IpAddr, u8), BadAddress> {
    if text.contains('/') {
        return address::parse_prefix(text);
    }
    address::parse_ip(text).map(|address| (address, address::bits(address)))
}

#[cfg(test)]
mod tests;
