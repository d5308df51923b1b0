//! `proxy-groups`: each group on its own. What its names refer to is looked at in `names`.

use std::sync::Arc;
use std::time::Duration;

use tradewind_core::nearest;

use super::keys::{Key, Kind};
use super::patterns;
use super::proxies;
use super::reader::{Fields, Reader};
use super::status;
use crate::node::{Node, Place, Shortened};
use crate::ways::{Balance, Group, GroupKind, Members};

/// What members are tested with when nothing is said.
pub(super) const TEST_URL: &str = "https://www.gstatic.com/generate_204";
/// How often, in the groups that choose by it, when nothing is said.
const INTERVAL: Duration = Duration::from_secs(300);
/// How long a test may take when nothing is said.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

const BALANCES: [(&str, Balance); 3] = [
    ("consistent-hashing", Balance::ConsistentHashing),
    ("round-robin", Balance::RoundRobin),
    ("sticky-sessions", Balance::StickySessions),
];

/// A group with the places of its names.
pub(super) struct PlacedGroup {
    pub(super) group: Group,
    pub(super) name_place: Place,
    pub(super) path: String,
    /// One for each of `members.proxies`.
    pub(super) proxies: Vec<(Place, String)>,
    /// One for each of `members.providers`.
    pub(super) providers: Vec<(Place, String)>,
    pub(super) empty_fallback: (Place, String),
    /// For each entry of `network_policy`: the place of its key, of its value, and the path of both.
    pub(super) policy: Vec<(Place, Place, String)>,
}

/// Reads the group at `path`, the one with this `index` in its list.
pub(super) fn group(reader: &mut Reader<'_>, node: &Node, path: &str, index: usize) -> Option<PlacedGroup> {
    let fields = reader.any_map(node, path)?;
    let name = proxies::name(reader, &fields, &format!("proxy group {index}"));
    reader.check_keys(&fields, GROUP_KEYS, name.as_ref());
    let whose = format!("proxy group[{index}]");
    let kind = kind(reader, &fields, &whose);
    let listed = reader.placed_texts(&fields, "proxies");
    let used = reader.placed_texts(&fields, "use");
    let all = reader.flag(&fields, "include-all").unwrap_or(false);
    let members = Members {
        proxies: listed.iter().map(|(name, ..)| Arc::clone(name)).collect(),
        providers: used.iter().map(|(name, ..)| Arc::clone(name)).collect(),
        all_proxies: reader.flag(&fields, "include-all-proxies").unwrap_or(false) || all,
        all_providers: reader.flag(&fields, "include-all-providers").unwrap_or(false) || all,
        filter: patterns::read(reader, &fields, "filter"),
        exclude_filter: patterns::read(reader, &fields, "exclude-filter"),
        exclude_type: patterns::types(reader, &fields),
        empty_fallback: reader.text(&fields, "empty-fallback").filter(|name| !name.is_empty()),
    };
    let has_policy = node.entry("network-policy");
    let (mut network_policy, mut policy) = (None, Vec::new());
    if let Some(entry) = has_policy {
        if matches!(kind, Some(GroupKind::Select)) {
            (network_policy, policy) = self::network_policy(reader, &entry.value, &fields.path_of("network-policy"));
        } else if kind.is_some() {
            let message = format!("{whose}: `network-policy` is for groups of type `select`");
            reader.refuse(entry.key_place, fields.path_of("network-policy"), message, "remove it, or change the type");
        }
    }
    let interval = reader.seconds(&fields, "interval");
    let timeout = reader.millis(&fields, "timeout").filter(|timeout| !timeout.is_zero());
    let group = Group {
        name: name?,
        kind: kind?,
        members,
        hidden: reader.flag(&fields, "hidden").unwrap_or(false),
        icon: reader.text(&fields, "icon").map_or_else(String::new, |icon| icon.as_ref().to_owned()),
        disable_udp: reader.flag(&fields, "disable-udp").unwrap_or(false),
        test_url: status::url(reader, &fields, "url").unwrap_or_else(|| TEST_URL.to_owned()),
        interval: match (kind?, interval) {
            (GroupKind::Select, interval) => interval.unwrap_or_default(),
            // As in mihomo, these groups are never without tests.
            (_, interval) => interval.filter(|interval| !interval.is_zero()).unwrap_or(INTERVAL),
        },
        lazy: reader.flag(&fields, "lazy").unwrap_or(true),
        timeout: timeout.unwrap_or(TIMEOUT),
        expected_status: status::expected(reader, &fields, &whose),
        network_policy,
    };
    let placed =
        |texts: Vec<(Arc<str>, Place, String)>| texts.into_iter().map(|(_, place, path)| (place, path)).collect();
    Some(PlacedGroup {
        group,
        name_place: fields.place("name"),
        proxies: placed(listed),
        providers: placed(used),
        empty_fallback: (fields.place("empty-fallback"), fields.path_of("empty-fallback")),
        policy,
        path: fields.path,
    })
}

fn kind(reader: &mut Reader<'_>, fields: &Fields<'_>, whose: &str) -> Option<GroupKind> {
    if !fields.has("type") {
        reader.refuse(fields.node.place, &fields.path, format!("{whose}: unset fields: type"), "");
        return None;
    }
    let node = fields.get("type")?;
    let tolerance = reader.whole(fields, "tolerance", 0..=65_535).and_then(|value| u16::try_from(value).ok());
    let balance = balance(reader, fields, whose);
    match node.as_str().unwrap_or_default() {
        "select" => Some(GroupKind::Select),
        "url-test" => Some(GroupKind::UrlTest { tolerance: tolerance.unwrap_or(0) }),
        "fallback" => Some(GroupKind::Fallback),
        "load-balance" => Some(GroupKind::LoadBalance(balance?)),
        "relay" => {
            let message = format!("{whose}: unsupported type: groups of type `relay` were removed");
            reader.refuse_at(fields, "type", message, "use dialer-proxy instead: a proxy names the one before it");
            None
        }
        other => {
            let known = ["select", "url-test", "fallback", "load-balance"];
            let hint = match nearest(other, known) {
                Some(right) => format!("did you mean `{right}`?"),
                None => format!("the types are {}", known.join(", ")),
            };
            let shown = node.raw.as_deref().unwrap_or(other);
            reader.refuse_at(fields, "type", format!("{whose}: unsupported type: {}", Shortened(shown)), &hint);
            None
        }
    }
}

/// The strategy; `None` when it is none.
fn balance(reader: &mut Reader<'_>, fields: &Fields<'_>, whose: &str) -> Option<Balance> {
    let Some(node) = fields.get("strategy") else { return Some(Balance::default()) };
    let text = node.as_str().unwrap_or_default();
    let found = BALANCES.iter().find(|(name, _)| *name == text).map(|(_, balance)| *balance);
    if found.is_none() {
        let shown = node.raw.as_deref().unwrap_or(text);
        let hint = format!("one of {}", BALANCES.map(|(name, _)| name).join(", "));
        reader.refuse_at(fields, "strategy", format!("{whose}: unsupported strategy: {}", Shortened(shown)), &hint);
    }
    found
}

type Policy = Vec<(Arc<str>, Arc<str>)>;

/// The keys and targets of a `network-policy`, each with its places; what they refer to is looked at later.
fn network_policy(reader: &mut Reader<'_>, node: &Node, path: &str) -> (Option<Policy>, Vec<(Place, Place, String)>) {
    if node.is_broken() {
        return (None, Vec::new());
    }
    if node.is_null() || node.entries().is_empty() && reader.any_map(node, path).is_some() {
        let hint = "write the name of a network, or default, and the member to use there";
        reader.refuse(node.place, path, "`network-policy` is empty", hint);
        return (None, Vec::new());
    }
    let (mut policy, mut places) = (Vec::new(), Vec::new());
    for (network, key_place, value, path) in reader.entries(node, path) {
        if let Some(target) = reader.text_of(value, &path) {
            policy.push((Arc::clone(network), target));
            places.push((key_place, value.place, path));
        }
    }
    (Some(policy), places)
}

/// The keys of a group.
pub(super) const GROUP_KEYS: &[Key] = &[
    Key::new("name", Kind::Text, "Its name, unique among proxies and groups."),
    Key::new("type", Kind::Word(&["select", "url-test", "fallback", "load-balance"]), "How it picks."),
    Key::new("proxies", Kind::Texts, "Its members: proxies and groups, in order."),
    Key::new("use", Kind::Texts, "Providers of `proxy-providers` whose proxies are members, too."),
    Key::new("include-all", Kind::Flag, "Whether all proxies and all providers are members."),
    Key::new("include-all-proxies", Kind::Flag, "Whether all of `proxies` are members."),
    Key::new("include-all-providers", Kind::Flag, "Whether all of `proxy-providers` are used."),
    Key::new(
        "filter",
        Kind::Text,
        "Regular expressions, separated by backticks, of which one has to fit the name of a member from elsewhere.",
    ),
    Key::new("exclude-filter", Kind::Text, "Regular expressions; whose name fits one is no member."),
    Key::new("exclude-type", Kind::Text, "Types, separated by `|`, that are no members: `http|ss`."),
    Key::new(
        "empty-fallback",
        Kind::Text,
        "What a group without members uses; `COMPATIBLE`, which goes direct, when absent.",
    ),
    Key::new("url", Kind::Text, "What members are tested with; `https://www.gstatic.com/generate_204` when absent."),
    Key::new(
        "interval",
        Kind::Whole(315_360_000),
        "Seconds between two tests; 300 when absent, and none for `select`.",
    ),
    Key::new("lazy", Kind::Flag, "Whether members are tested only while the group is used; true when absent."),
    Key::new("timeout", Kind::Whole(600_000), "How long a test may take in milliseconds; 5000 when absent."),
    Key::new(
        "expected-status",
        Kind::Text,
        "Statuses that count as alive: `*`, `204`, `200/204`, `200-299`; `*` when absent.",
    ),
    Key::new("tolerance", Kind::Whole(65_535), "`url-test`: by how many milliseconds another member has to be faster."),
    Key::new(
        "strategy",
        Kind::Word(&["consistent-hashing", "round-robin", "sticky-sessions"]),
        "`load-balance`: how members take turns; `consistent-hashing` when absent.",
    ),
    Key::new(
        "network-policy",
        Kind::TextMap,
        "`select`: for the name of a network, or `default`, the member to use there.",
    ),
    Key::new("disable-udp", Kind::Flag, "Whether no datagrams go through it."),
    Key::new("hidden", Kind::Flag, "Whether dashboards leave it out."),
    Key::new("icon", Kind::Text, "A picture for dashboards."),
    Key::idle("max-failed-times", "members are tested at their interval alone"),
    Key::idle("interface-name", "connections are not bound to an interface"),
    Key::idle("routing-mark", "packets are not marked"),
    Key::idle("dialer-proxy", "groups have no `dialer-proxy`, their members have"),
    Key::idle("skip-cert-verify", "each proxy says so itself"),
    Key::idle("udp", "each proxy says so itself"),
];
