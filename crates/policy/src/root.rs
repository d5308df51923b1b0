//! The whole document: which sections there are, who owns each, and which belong to parts that are not built.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use tradewind_core::{Code, nearest};

use crate::decode::{NotBuilt, decode, decode_list};
use crate::interpolate::{Lookup, interpolate};
use crate::node::{Entry, Node, Shortened, Value};
use crate::problem::{Problem, Problems};
use crate::shared::SHARED_SECTIONS;
use crate::yaml::parse_yaml;

/// Top-level keys that begin so are not looked at: a place for anchors.
pub(crate) const EXTENSION: &str = "x-";

/// One top-level key of the document, as its owner describes it.
#[derive(Clone, Copy, Debug)]
pub struct SectionInfo {
    /// The key, kebab-case.
    pub key: &'static str,
    /// What it is for, one sentence: stands in the schema.
    pub about: &'static str,
    /// Its JSON Schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Which keys of it (of its entries, when it is a list) change a decision, and so are part of the digest; `["*"]`
    /// for all of them.
    pub governed: &'static [&'static str],
    /// Keys and values in it that belong to parts which are not built.
    pub not_built: &'static [NotBuilt],
}

/// A parsed document, from which each owner decodes its own section.
#[derive(Clone, Debug)]
pub struct Root {
    node: Node,
    sections: Vec<SectionInfo>,
}

impl Root {
    /// Reads `text`, replaces its variables, and refuses top-level keys that are unknown or whose part is not built.
    ///
    /// `sections` are those of the doors; the shared ones are added. Keys that begin with `x-` are left out. The document is usable only if `problems` stays
    /// empty to the end; until then, decoding goes on with what could be read, to find as many problems as possible.
    pub fn parse(text: &str, lookup: Lookup<'_>, sections: &[SectionInfo], problems: &mut Problems) -> Self {
        let sections: Vec<SectionInfo> = SHARED_SECTIONS.iter().chain(sections).copied().collect();
        let Some(node) = parse_yaml(text, problems) else {
            return Self { node: Node::empty_map(), sections };
        };
        if !matches!(node.value, Value::Map(_)) {
            let message = format!("a configuration is a map of sections, found {}", node.described());
            problems.push(Problem::new(Code::ConfigUnreadable, node.place, "", message));
            return Self { node: Node::empty_map(), sections };
        }
        let mut known = Vec::new();
        for entry in node.entries().iter().filter(|entry| !entry.key.starts_with(EXTENSION)) {
            match refused(entry, &sections) {
                Some(problem) => problems.push(problem),
                None => known.push(Entry {
                    value: interpolate(&entry.value, &entry.key, lookup, problems),
                    key: Arc::clone(&entry.key),
                    key_place: entry.key_place,
                }),
            }
        }
        Self { node: Node { value: Value::Map(Arc::new(known)), ..node }, sections }
    }

    /// The document of no file: every section has its default.
    #[must_use]
    pub fn empty(sections: &[SectionInfo]) -> Self {
        Self { node: Node::empty_map(), sections: SHARED_SECTIONS.iter().chain(sections).copied().collect() }
    }

    /// The tree of the known sections, variables replaced.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// All sections that the document may have, the shared ones first.
    #[must_use]
    pub fn sections(&self) -> &[SectionInfo] {
        &self.sections
    }

    /// The section of this key, unless it is absent or null.
    #[must_use]
    pub fn section(&self, key: &str) -> Option<&Node> {
        self.node.get(key).filter(|node| !node.is_null())
    }

    /// Decodes a section that is one value; its default when it is absent or cannot be decoded.
    pub fn value<T: DeserializeOwned + Default>(&self, key: &str, problems: &mut Problems) -> T {
        let decoded = self.section(key).and_then(|node| decode(node, key, self.not_built(key), problems));
        decoded.unwrap_or_default()
    }

    /// Decodes a section that is a list, each entry on its own: entries that cannot be decoded are left out.
    pub fn list<T: DeserializeOwned>(&self, key: &str, problems: &mut Problems) -> Vec<T> {
        match self.section(key) {
            Some(node) => decode_list(node, key, self.not_built(key), problems),
            None => Vec::new(),
        }
    }

    /// The `name` of each entry of a list, also of those that cannot be decoded: a reference to such an entry is not
    /// one more mistake.
    pub fn names(&self, key: &str) -> impl Iterator<Item = &str> {
        let items = self.section(key).map_or(&[][..], Node::items);
        items.iter().filter_map(|item| item.get("name").and_then(Node::as_str))
    }

    /// A problem at the value of `path`, or at the nearest thing above it that is in the file.
    pub fn problem(&self, code: Code, path: &str, message: impl Into<String>) -> Problem {
        let mut above = path;
        loop {
            if let Some(node) = self.node.find(above) {
                return Problem::new(code, node.place, path, message);
            }
            above = above.rfind(['.', '[']).map_or("", |end| &above[..end]);
        }
    }

    /// A problem with the last key of `path` itself, not with its value.
    pub fn problem_with_key(&self, code: Code, path: &str, key: &str, message: impl Into<String>) -> Problem {
        let whole = format!("{path}.{key}");
        match self.node.find(path).and_then(|map| map.entry(key)) {
            Some(entry) => Problem::new(code, entry.key_place, whole, message),
            None => self.problem(code, &whole, message),
        }
    }

    fn not_built(&self, key: &str) -> &'static [NotBuilt] {
        self.sections.iter().find(|section| section.key == key).map_or(&[], |section| section.not_built)
    }
}

/// Why a top-level key is refused; `None` for a section that has an owner.
fn refused(entry: &Entry, sections: &[SectionInfo]) -> Option<Problem> {
    let key = &*entry.key;
    if sections.iter().any(|section| section.key == key) {
        return None;
    }
    let problem = |code, message| Some(Problem::new(code, entry.key_place, key, message));
    if let Some(part) = NOT_BUILT.iter().find(|part| part.key == key) {
        let message = format!("`{key}` ({}) is not built yet", part.what);
        return problem(Code::ConfigNotBuilt, message)
            .map(|problem| problem.with_hint("remove the section: nothing of it would take effect"));
    }
    let keys = sections.iter().map(|section| section.key);
    let hint = match nearest(key, keys.clone().chain(NOT_BUILT.iter().map(|part| part.key))) {
        Some(right) => format!("did you mean `{right}`?"),
        None => format!("the sections are {}", keys.collect::<Vec<_>>().join(", ")),
    };
    problem(Code::ConfigUnknownKey, format!("unknown key `{}`", Shortened(key))).map(|problem| problem.with_hint(hint))
}

/// Top-level keys of the design, and of mihomo, whose part is not built: refused by name, never ignored.
///
/// A section that a door brings wins over its line here, so that building a part does not begin with an error.
const NOT_BUILT: &[NotBuilt] = &[
    NotBuilt::key("store", "the state store"),
    NotBuilt::key("via", "a way out of this network"),
    NotBuilt::key("network-policy", "choosing by network"),
    NotBuilt::key("modules", "the modules door"),
    NotBuilt::key("tools", "the tools door"),
    NotBuilt::key("agents", "the agents door"),
    NotBuilt::key("relay", "the relay door"),
    NotBuilt::key("control", "the controller"),
    NotBuilt::key("record", "recording of bodies"),
    NotBuilt::key("budgets", "budgets"),
    NotBuilt::key("readiness", "readiness reports"),
    NotBuilt::key("rollout", "progressive delivery"),
    NotBuilt::key("ledger", "the ledger"),
    NotBuilt::key("proxies", "ways out through proxies"),
    NotBuilt::key("proxy-groups", "groups of proxies"),
    NotBuilt::key("proxy-providers", "lists of proxies from elsewhere"),
    NotBuilt::key("rules", "rules by destination"),
    NotBuilt::key("sub-rules", "rules by destination"),
    NotBuilt::key("rule-providers", "lists of rules from elsewhere"),
    NotBuilt::key("networks", "telling networks apart"),
    NotBuilt::key("mixed-port", "the relay door"),
    NotBuilt::key("port", "the relay door"),
    NotBuilt::key("socks-port", "the relay door"),
    NotBuilt::key("redir-port", "transparent proxying"),
    NotBuilt::key("tproxy-port", "transparent proxying"),
    NotBuilt::key("tun", "the TUN device"),
    NotBuilt::key("listeners", "further listeners"),
    NotBuilt::key("tunnels", "fixed tunnels"),
    NotBuilt::key("mode", "the mode of the relay door"),
    NotBuilt::key("allow-lan", "the relay door for other machines"),
    NotBuilt::key("bind-address", "the relay door for other machines"),
    NotBuilt::key("lan-allowed-ips", "the relay door for other machines"),
    NotBuilt::key("lan-disallowed-ips", "the relay door for other machines"),
    NotBuilt::key("authentication", "user names at the relay door"),
    NotBuilt::key("skip-auth-prefixes", "user names at the relay door"),
    NotBuilt::key("external-controller", "the controller API"),
    NotBuilt::key("external-controller-tls", "the controller API"),
    NotBuilt::key("external-controller-unix", "the controller API"),
    NotBuilt::key("external-controller-cors", "the controller API"),
    NotBuilt::key("external-ui", "a dashboard of your own"),
    NotBuilt::key("external-ui-name", "a dashboard of your own"),
    NotBuilt::key("external-ui-url", "a dashboard of your own"),
    NotBuilt::key("secret", "the controller API"),
    NotBuilt::key("hosts", "names of your own"),
    NotBuilt::key("dns", "a resolver of your own"),
    NotBuilt::key("profile", "remembering selections"),
    NotBuilt::key("sniffer", "sniffing of host names"),
    NotBuilt::key("experimental", "mihomo's experimental keys"),
    NotBuilt::key("ntp", "setting the clock"),
    NotBuilt::key("ipv6", "mihomo's switch for IPv6"),
    NotBuilt::key("log-level", "the log level in the file"),
    NotBuilt::key("interface-name", "binding to an interface"),
    NotBuilt::key("routing-mark", "marking of packets"),
    NotBuilt::key("unified-delay", "mihomo's way of measuring"),
    NotBuilt::key("tcp-concurrent", "mihomo's way of connecting"),
    NotBuilt::key("keep-alive-interval", "mihomo's TCP keep-alive"),
    NotBuilt::key("keep-alive-idle", "mihomo's TCP keep-alive"),
    NotBuilt::key("disable-keep-alive", "mihomo's TCP keep-alive"),
    NotBuilt::key("find-process-mode", "rules by process"),
    NotBuilt::key("global-client-fingerprint", "imitating a browser's TLS"),
    NotBuilt::key("geodata-mode", "rules by country"),
    NotBuilt::key("geodata-loader", "rules by country"),
    NotBuilt::key("geo-auto-update", "rules by country"),
    NotBuilt::key("geo-update-interval", "rules by country"),
    NotBuilt::key("geox-url", "rules by country"),
    NotBuilt::key("global-ua", "mihomo's user agent"),
    NotBuilt::key("etag-support", "mihomo's downloads"),
];
