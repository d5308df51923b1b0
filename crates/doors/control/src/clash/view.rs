//! A proxy or a group as dashboards see it, field by field in mihomo's order.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tradewind_policy::ways::{Group as GroupSpec, GroupKind};
use tradewind_ways::{Account, Group, Health, MOST_HISTORY, Member, Node, Tested, WaySet};

use super::time::go_time;

/// Groups within groups that are followed to say what a group can do.
const DEEPEST: usize = 32;
/// What a group without members uses.
const COMPATIBLE: &str = "COMPATIBLE";
/// What members are tested with when nothing is said, in a document of mihomo's.
const USUAL_URL: &str = "https://www.gstatic.com/generate_204";

/// A proxy or a group.
#[derive(Debug, Serialize)]
pub(crate) struct ProxyView {
    alive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<Vec<Arc<str>>>,
    #[serde(rename = "dialer-proxy")]
    dialer: Arc<str>,
    #[serde(rename = "emptyFallback", skip_serializing_if = "Option::is_none")]
    empty_fallback: Option<Arc<str>>,
    #[serde(rename = "expectedStatus", skip_serializing_if = "Option::is_none")]
    expected_status: Option<String>,
    extra: BTreeMap<Arc<str>, AccountView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<bool>,
    history: Vec<TestedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    interface: &'static str,
    mptcp: bool,
    name: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Arc<str>>,
    #[serde(rename = "provider-name")]
    provider: Arc<str>,
    #[serde(rename = "routing-mark")]
    routing_mark: u32,
    smux: bool,
    #[serde(rename = "testUrl", skip_serializing_if = "Option::is_none")]
    test_url: Option<String>,
    tfo: bool,
    #[serde(rename = "type")]
    type_name: String,
    udp: bool,
    uot: bool,
    xudp: bool,
}

#[derive(Debug, Serialize)]
struct AccountView {
    alive: bool,
    history: Vec<TestedView>,
}

#[derive(Debug, Serialize)]
struct TestedView {
    time: String,
    delay: u16,
}

impl From<&Tested> for TestedView {
    fn from(tested: &Tested) -> Self {
        Self { time: go_time(tested.at), delay: tested.delay }
    }
}

impl ProxyView {
    /// How `member` looks.
    pub(crate) fn of(set: &WaySet, member: &Member) -> Self {
        match member {
            Member::Node(node) => Self::node(node),
            Member::Group(group) => Self::group(set, group),
        }
    }

    fn bare(name: &Arc<str>, health: &Health, type_name: &str, udp: bool) -> Self {
        let accounts = health.accounts();
        Self {
            alive: health.was_answered(),
            all: None,
            dialer: Arc::from(""),
            empty_fallback: None,
            expected_status: None,
            history: latest(&accounts),
            extra: accounts.iter().map(|(url, account)| (url.clone(), account.into())).collect(),
            fixed: None,
            hidden: None,
            icon: None,
            id: None,
            interface: "",
            mptcp: false,
            name: name.clone(),
            now: None,
            provider: Arc::from(""),
            routing_mark: 0,
            smux: false,
            test_url: None,
            tfo: false,
            type_name: type_name.to_owned(),
            udp,
            uot: false,
            xudp: false,
        }
    }

    /// How a proxy looks. One of a type that is not built is never alive.
    pub(crate) fn node(node: &Node) -> Self {
        let outbound = &node.outbound;
        let name = outbound.name();
        // What is always there has types of its own in mihomo.
        let type_name = match &**name {
            COMPATIBLE => "Compatible",
            "PASS" => "Pass",
            "PASS-RULE" => "PassRule",
            _ => outbound.type_name(),
        };
        let mut view = Self::bare(name, &node.health, type_name, outbound.has_udp());
        view.alive &= outbound.is_built();
        view.dialer = node.dialer.clone().unwrap_or_else(|| Arc::from(""));
        view.provider = node.provider.clone().unwrap_or_else(|| Arc::from(""));
        let is_pass = matches!(type_name, "Pass" | "PassRule");
        view.id = Some(uuid(if is_pass { 0 } else { identity(outbound.id(), name) }));
        view
    }

    fn group(set: &WaySet, group: &Group) -> Self {
        let spec = &group.spec;
        let mut view =
            Self::bare(group.name(), &group.health, tradewind_ways::kind_name(spec.kind), udp(group, DEEPEST));
        view.all = Some(group.members().iter().map(|member| member.name().clone()).collect());
        let fallback = spec.members.empty_fallback.clone();
        view.empty_fallback = Some(fallback.unwrap_or_else(|| Arc::from(COMPATIBLE)));
        view.hidden = Some(spec.hidden);
        view.icon = Some(spec.icon.clone());
        view.test_url = Some(test_url(set, spec));
        if !matches!(spec.kind, GroupKind::Select) {
            view.expected_status = Some(spec.expected_status.clone());
        }
        if matches!(spec.kind, GroupKind::UrlTest { .. } | GroupKind::Fallback) {
            view.fixed = Some(group.state.chosen().unwrap_or_else(|| Arc::from("")));
        }
        if !matches!(spec.kind, GroupKind::LoadBalance(_)) {
            view.now = Some(group.now().map_or_else(|| Arc::from(""), |member| member.name().clone()));
        }
        view
    }
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self { alive: account.alive, history: account.history.iter().map(TestedView::from).collect() }
    }
}

/// The last tests with any URL, the oldest first.
fn latest(accounts: &[(Arc<str>, Account)]) -> Vec<TestedView> {
    let mut tests: Vec<&Tested> = accounts.iter().flat_map(|(_, account)| &account.history).collect();
    tests.sort_by_key(|tested| tested.at);
    let from = tests.len().saturating_sub(MOST_HISTORY);
    tests[from..].iter().copied().map(TestedView::from).collect()
}

/// Whether datagrams may go through what the group would pick now; a group that spreads load takes them.
fn udp(group: &Group, deep: usize) -> bool {
    if group.spec.disable_udp || deep == 0 {
        return false;
    }
    match group.now() {
        None => matches!(group.spec.kind, GroupKind::LoadBalance(_)),
        Some(Member::Node(node)) => node.outbound.has_udp(),
        Some(Member::Group(inner)) => udp(&inner, deep - 1),
    }
}

/// What a dashboard tests members with. In a `select` group for which the document says nothing this is the URL of the first
/// list that has one, or none: the dashboard then uses its own.
fn test_url(set: &WaySet, spec: &GroupSpec) -> String {
    if !matches!(spec.kind, GroupKind::Select) || spec.test_url != USUAL_URL {
        return spec.test_url.clone();
    }
    let members = &spec.members;
    let mut used = set
        .providers
        .iter()
        .filter(|list| members.all_providers || members.providers.iter().any(|name| *name == *list.name()));
    used.find_map(|list| list.health_check().map(|check| check.url.clone())).unwrap_or_default()
}

/// A number that stands for a proxy as long as nothing about it changes.
fn identity(id: u64, name: &str) -> u128 {
    // FNV-1a: the name only makes neighbours look different.
    let hashed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (u128::from(hashed) << 64) | u128::from(id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    // Version 4 and the variant of RFC 9562.
    (mixed & !(0xf << 76) & !(0xc << 60)) | (0x4 << 76) | (0x8 << 60)
}

/// The text form of RFC 9562.
pub(crate) fn uuid(number: u128) -> String {
    let hex = format!("{number:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Reads what [`uuid`] writes.
pub(crate) fn parse_uuid(text: &str) -> Option<u128> {
    if text.len() != 36 || !text.is_ascii() {
        return None;
    }
    let parts: Vec<&str> = text.split('-').collect();
    let is_uuid = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]);
    is_uuid.then(|| u128::from_str_radix(&parts.concat(), 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids() {
        assert_eq!(uuid(0), "00000000-0000-0000-0000-000000000000");
        let text = uuid(identity(7, "x"));
        assert!(text[14..].starts_with('4') && text[19..].starts_with(['8', '9', 'a', 'b']), "{text}");
        assert_eq!(parse_uuid(&text), Some(identity(7, "x")));
        assert_ne!(identity(7, "x"), identity(8, "x"));
        for wrong in [
            "",
            "zz",
            "00000000-0000-0000-0000-00000000000é",
            "000000000-000-0000-0000-000000000000",
            "+0000000-0000-0000-0000-000000000000-",
        ] {
            assert_eq!(parse_uuid(wrong), None, "{wrong}");
        }
    }
}
