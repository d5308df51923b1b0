//! All ways out of one document, with their names.

use std::sync::Arc;

use fancy_regex::Regex;
use rustc_hash::{FxHashMap, FxHashSet};
use tradewind_egress::{OutboundError, Roots};
use tradewind_policy::ways::{self as policy, GroupKind, Members, Proxy, ProxyKind, SYSTEM, name_pattern};

use crate::group::Group;
use crate::memory::Memory;
use crate::node::{Member, Node};
use crate::provider::Provider;

/// What a group without members uses.
const COMPATIBLE: &str = "COMPATIBLE";
/// The group of everything, for the mode of the same name.
pub(crate) const GLOBAL: &str = "GLOBAL";
/// What goes on with the next rule.
pub(crate) const PASS: [&str; 2] = ["PASS", "PASS-RULE"];
/// Proxies that are always there, in mihomo's words.
const BUILT_IN: [(&str, ProxyKind); 6] = [
    ("DIRECT", ProxyKind::Direct),
    ("REJECT", ProxyKind::Reject),
    ("REJECT-DROP", ProxyKind::RejectDrop),
    (COMPATIBLE, ProxyKind::Direct),
    (PASS[0], ProxyKind::Direct),
    (PASS[1], ProxyKind::Direct),
];

/// All ways out of one document.
#[derive(Debug)]
pub struct WaySet {
    /// The document that they are made from.
    pub spec: Arc<policy::Ways>,
    /// Proxies: those that are always there, then the document's in its order.
    pub nodes: Vec<Arc<Node>>,
    /// Groups in the order of the document, `GLOBAL` last when the document has none.
    pub groups: Vec<Arc<Group>>,
    /// Lists from elsewhere, in the order of the document.
    pub providers: Vec<Arc<Provider>>,
    filters: Vec<Filters>,
    by_name: FxHashMap<Arc<str>, Member>,
}

/// Why a document's ways out cannot be used although they are well formed.
#[derive(Debug, thiserror::Error)]
pub enum WaysError {
    /// A proxy.
    #[error("proxy `{0}`: {1}")]
    Proxy(Arc<str>, OutboundError),
    /// A filter that is no pattern.
    #[error("group `{0}`: `{1}` is no pattern: {2}")]
    Filter(Arc<str>, String, String),
    /// The rules.
    #[error("rules: {0}")]
    Rules(String),
    /// A list of proxies.
    #[error("provider `{0}`: {1}")]
    Provider(Arc<str>, String),
}

/// The filters of a group.
#[derive(Debug)]
pub(crate) struct Filters {
    keep: Vec<Regex>,
    leave_out: Vec<Regex>,
    types: Vec<String>,
}

impl Filters {
    pub(crate) fn new(
        name: &Arc<str>,
        keep: &[String],
        leave_out: &[String],
        types: &[String],
    ) -> Result<Self, WaysError> {
        let compile = |patterns: &[String]| -> Result<Vec<Regex>, WaysError> {
            let compiled = patterns.iter().map(|pattern| {
                name_pattern(pattern).map_err(|error| WaysError::Filter(name.clone(), pattern.clone(), error))
            });
            compiled.collect()
        };
        Ok(Self {
            keep: compile(keep)?,
            leave_out: compile(leave_out)?,
            types: types.iter().map(|word| word.to_ascii_lowercase()).collect(),
        })
    }

    /// Whether `exclude-filter` and `exclude-type` let it stay.
    fn leaves(&self, name: &str, is_type: impl Fn(&str) -> bool) -> bool {
        !self.leave_out.iter().any(|pattern| pattern.is_match(name).unwrap_or(false))
            && !self.types.iter().any(|word| is_type(word))
    }

    /// What of `nodes` is a member, in order.
    pub(crate) fn members<'n>(&self, nodes: impl Iterator<Item = &'n Arc<Node>>) -> Vec<Arc<Node>> {
        let nodes: Vec<&Arc<Node>> = nodes.collect();
        let chosen = self.choose(nodes.iter().map(|node| (&**node.name(), &node.kind)));
        chosen.into_iter().map(|index| nodes[index].clone()).collect()
    }

    /// Which of these stay: in the order of the patterns of `filter` where there are any, each once.
    pub(crate) fn choose<'n>(&self, named: impl Iterator<Item = (&'n str, &'n ProxyKind)>) -> Vec<usize> {
        let left: Vec<(usize, &str)> = named
            .enumerate()
            .filter(|(_, (name, kind))| self.leaves(name, |word| kind.is_type(word)))
            .map(|(index, (name, _))| (index, name))
            .collect();
        if self.keep.is_empty() {
            return left.into_iter().map(|(index, _)| index).collect();
        }
        let mut chosen = Vec::new();
        let mut is_taken = vec![false; left.last().map_or(0, |(index, _)| index + 1)];
        for pattern in &self.keep {
            for (index, name) in &left {
                if !is_taken[*index] && pattern.is_match(*name).unwrap_or(false) {
                    is_taken[*index] = true;
                    chosen.push(*index);
                }
            }
        }
        chosen
    }
}

impl WaySet {
    /// Makes the ways of `spec`. What `memory` knows of the same names goes on.
    ///
    /// # Errors
    /// When a proxy, a filter or a list cannot be used.
    pub(crate) fn new(
        spec: Arc<policy::Ways>,
        memory: &Memory,
        roots: &Roots,
        providers: Vec<Arc<Provider>>,
    ) -> Result<Self, WaysError> {
        let built_in = BUILT_IN.iter().map(|(name, kind)| Proxy {
            name: Arc::from(*name),
            kind: kind.clone(),
            dialer: None,
            udp: true,
        });
        let mut nodes = Vec::new();
        for proxy in built_in.collect::<Vec<_>>().iter().chain(&spec.proxies) {
            nodes.push(node(proxy, None, memory, roots)?);
        }
        let mut by_name: FxHashMap<Arc<str>, Member> = FxHashMap::default();
        by_name.extend(nodes.iter().map(|node| (node.name().clone(), Member::Node(node.clone()))));
        // It stands in no group and in no list; `via` alone names it.
        let system = Node {
            outbound: memory.system(roots),
            health: Arc::default(),
            provider: None,
            dialer: None,
            kind: ProxyKind::Direct,
        };
        by_name.entry(Arc::from(SYSTEM)).or_insert_with(|| Member::Node(Arc::new(system)));
        let mut groups = Vec::new();
        let mut filters = Vec::new();
        let global = (!spec.groups.iter().any(|group| *group.name == *GLOBAL)).then(|| global(&spec));
        for group in spec.groups.iter().cloned().chain(global) {
            let Members { filter, exclude_filter, exclude_type, .. } = &group.members;
            filters.push(Filters::new(&group.name, filter, exclude_filter, exclude_type)?);
            let group = Arc::new(Group::new(group.clone(), memory.health(&group.name), memory.group(&group.name)));
            by_name.insert(group.name().clone(), Member::Group(group.clone()));
            groups.push(group);
        }
        let set = Self { spec, nodes, groups, providers, filters, by_name };
        set.fill();
        Ok(set)
    }

    /// The proxy or group of this name; those of lists are found in their lists only.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.by_name.get(name)
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        match self.by_name.get(name) {
            Some(Member::Group(group)) => Some(group),
            _ => None,
        }
    }

    /// The list of this name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| **provider.name() == *name)
    }

    /// Finds the members of all groups anew: after a start, and when a list has changed.
    pub(crate) fn fill(&self) {
        for (group, filters) in self.groups.iter().zip(&self.filters) {
            group.set_members(self.members_of(&group.spec, filters));
        }
        let mut settled = FxHashSet::default();
        for group in &self.groups {
            group.settle(&mut settled);
        }
    }

    fn members_of(&self, group: &policy::Group, filters: &Filters) -> Vec<Member> {
        let Members { proxies, all_proxies, empty_fallback, .. } = &group.members;
        let named = proxies.iter().filter_map(|name| self.by_name.get(name));
        let mut members: Vec<Member> =
            named.filter(|member| filters.leaves(member.name(), |word| member.is_type(word))).cloned().collect();
        if *all_proxies {
            let own = self.nodes.iter().skip(BUILT_IN.len());
            for node in filters.members(own) {
                if !members.iter().any(|member| member.name() == node.name()) {
                    members.push(Member::Node(node));
                }
            }
        }
        for provider in &self.providers {
            if group.members.uses(provider.name()) {
                members.extend(filters.members(provider.nodes().iter()).into_iter().map(Member::Node));
            }
        }
        let named = |provider: &&Arc<Provider>| group.members.uses(provider.name());
        let is_waiting = self.providers.iter().filter(named).any(|provider| provider.told().updated.is_none());
        // As long as a list has not come, what it will have is unknown, and nothing else is taken in its
        // place, unless the document says what.
        if members.is_empty() && (empty_fallback.is_some() || !is_waiting) {
            let fallback = empty_fallback.as_deref().unwrap_or(COMPATIBLE);
            members.extend(self.by_name.get(fallback).cloned());
        }
        members
    }
}

/// mihomo's name for a kind of group.
#[must_use]
pub const fn kind_name(kind: GroupKind) -> &'static str {
    match kind {
        GroupKind::Select => "Selector",
        GroupKind::UrlTest { .. } => "URLTest",
        GroupKind::Fallback => "Fallback",
        GroupKind::LoadBalance(_) => "LoadBalance",
    }
}

/// Makes one proxy.
///
/// # Errors
/// When it cannot be used.
pub(crate) fn node(
    proxy: &Proxy,
    provider: Option<Arc<str>>,
    memory: &Memory,
    roots: &Roots,
) -> Result<Arc<Node>, WaysError> {
    let outbound = memory.outbound(proxy, roots).map_err(|error| WaysError::Proxy(proxy.name.clone(), error))?;
    let health = match &provider {
        None => memory.health(&proxy.name),
        // Two lists may have proxies of the same name.
        Some(provider) => memory.health(&format!("{provider}\0{}", proxy.name)),
    };
    Ok(Arc::new(Node { outbound, health, provider, dialer: proxy.dialer.clone(), kind: proxy.kind.clone() }))
}

/// The group of everything.
fn global(spec: &policy::Ways) -> policy::Group {
    let proxies = ["DIRECT", "REJECT"].into_iter().map(Arc::from);
    let proxies = proxies
        .chain(spec.proxies.iter().map(|proxy| proxy.name.clone()))
        .chain(spec.groups.iter().map(|group| group.name.clone()));
    policy::Group {
        name: Arc::from(GLOBAL),
        kind: GroupKind::Select,
        members: Members { proxies: proxies.collect(), ..Members::default() },
        hidden: false,
        icon: String::new(),
        disable_udp: false,
        test_url: String::new(),
        interval: std::time::Duration::ZERO,
        lazy: true,
        timeout: std::time::Duration::from_secs(5),
        expected_status: "*".to_owned(),
        network_policy: None,
    }
}
