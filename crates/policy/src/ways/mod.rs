//! The ways out of this network, as the document has them: proxies, groups of them, rules, networks, and where callers
//! come in. Names and meaning are mihomo's; what is ours beyond them is said at its field.
//!
//! The types are here; [`Ways::decode`] and what it is made of are in `decode`, the grammar of rules and of networks beside
//! their types.

pub mod address;
mod controller;
mod decode;
mod dns;
mod group;
mod inbound;
mod network;
mod provider;
mod proxy;
mod rule;

pub use controller::{Controller, Cors};
pub use decode::{
    DEEPEST_GROUPS, DEFAULT_NETWORK, LARGEST_LIST, LONGEST_CHAIN, LONGEST_NAME_PATTERN, ListError, MOST_GROUPS,
    MOST_LINES, MOST_PROXIES, MOST_RULES, ProxyList, name_pattern, parse_payload, parse_proxies,
};
pub(crate) use decode::{SECTIONS, idle_names, is_idle};
pub use dns::{Dns, Nameserver};
pub use group::{Balance, Group, GroupKind, Members};
pub use inbound::{Inbound, Mode, User};
pub use network::{Block, Match, Network, decode_networks};
pub use provider::{HealthCheck, ProxyProvider, RuleBehavior, RuleFormat, RuleProvider, Vehicle};
pub use proxy::{HttpProxy, PacProxy, Proxy, ProxyAuth, ProxyKind, ShadowsocksProxy, SocksProxy, Unreachable};
pub use rule::{
    AddressSuffix, Cidr, Condition, InboundKind, InboundKinds, KnownNames, LONGEST_DOMAIN, LONGEST_PATTERN,
    LONGEST_RULE, MOST_CONDITIONS, MOST_NESTING, MOST_RANGES, MOST_SUB_RULES, ParseCidrError, Pattern, Ranges, Rule,
    RuleError, RuleKind, Rules, Transport, Wildcard, to_ascii,
};

/// The ways out that are always there, and that no proxy or group may be called. `COMPATIBLE` goes direct; `PASS` is for
/// rules: it leaves the decision to the rules behind.
pub const BUILT_IN: [&str; 6] = ["DIRECT", "REJECT", "REJECT-DROP", "COMPATIBLE", "PASS", "PASS-RULE"];
/// The group of everything, which is there unless the document has one of its own by that name.
pub const GLOBAL: &str = "GLOBAL";
/// What `via` says to follow the system's proxy settings.
pub const SYSTEM: &str = "system";

/// Everything about ways out.
#[derive(Clone, Debug, PartialEq)]
pub struct Ways {
    /// Where callers of the relay come in.
    pub inbound: Inbound,
    /// Whether the rules are asked.
    pub mode: Mode,
    /// Ways out, in the order of the file.
    pub proxies: Vec<Proxy>,
    /// Lists of them from elsewhere.
    pub proxy_providers: Vec<ProxyProvider>,
    /// Groups, in the order of the file.
    pub groups: Vec<Group>,
    /// Which way for which destination.
    pub rules: Rules,
    /// Lists of rules from elsewhere.
    pub rule_providers: Vec<RuleProvider>,
    /// How networks are told apart; `None` without the section.
    pub networks: Option<Vec<Network>>,
    /// How names are resolved.
    pub dns: Dns,
    /// Names of our own: `hosts`.
    pub hosts: Vec<(String, Vec<std::net::IpAddr>)>,
    /// The controller API.
    pub controller: Option<Controller>,
    /// `profile.store-selected`, true by default.
    pub store_selected: bool,
    /// `profile.sample-network`, true by default: whether the gateway looks at the network itself.
    pub sample_network: bool,
    /// Known keys of mihomo that have no effect here, each with what is therefore not done: said once at a start.
    pub without_effect: Vec<String>,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            inbound: Inbound::default(),
            mode: Mode::default(),
            proxies: Vec::new(),
            proxy_providers: Vec::new(),
            groups: Vec::new(),
            rules: Rules::default(),
            rule_providers: Vec::new(),
            networks: None,
            dns: Dns::default(),
            hosts: Vec::new(),
            controller: None,
            store_selected: true,
            sample_network: true,
            without_effect: Vec::new(),
        }
    }
}

impl Ways {
    /// Files that the document names, each with its path in the document. Relative ones are below the directory of the
    /// configuration.
    pub fn files(&self) -> impl Iterator<Item = (String, &str)> {
        fn path_of(vehicle: &Vehicle) -> Option<&str> {
            match vehicle {
                Vehicle::File { path } => Some(path),
                Vehicle::Http { path, .. } => path.as_deref(),
                Vehicle::InlineProxies(_) | Vehicle::InlineRules(_) => None,
            }
        }
        let proxies = self.proxy_providers.iter().map(|one| ("proxy-providers", &one.name, &one.vehicle));
        let rules = self.rule_providers.iter().map(|one| ("rule-providers", &one.name, &one.vehicle));
        let of_lists = proxies.chain(rules).filter_map(|(section, name, vehicle)| {
            path_of(vehicle).map(|path| (format!("{section}.{name}.path"), path))
        });
        let ui = self.controller.as_ref().and_then(|controller| controller.ui.as_deref());
        of_lists.chain(ui.map(|path| ("external-ui".to_owned(), path)))
    }

    /// Whether a proxy, a group, or something built in has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        name == GLOBAL
            || BUILT_IN.contains(&name)
            || self.proxies.iter().any(|proxy| &*proxy.name == name)
            || self.groups.iter().any(|group| &*group.name == name)
    }
}
