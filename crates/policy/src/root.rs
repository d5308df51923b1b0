//! The whole document: which sections there are, who owns each, and which belong to parts that are not built.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use tradewind_core::{Code, nearest};

use crate::decode::{NotBuilt, decode, decode_list};
use crate::interpolate::{Lookup, interpolate};
use crate::node::{Entry, Node, Place, Shortened, Value};
use crate::problem::{Problem, Problems};
use crate::shared::SHARED_SECTIONS;
use crate::ways;
use crate::yaml::parse_with_anchors;

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
    /// Top-level keys of mihomo that have no effect.
    without_effect: Vec<Entry>,
}

impl Root {
    /// Reads `text`, replaces its variables, and refuses top-level keys that are unknown or whose part is not built. Known
    /// keys of mihomo that have no effect are put aside, for [`crate::ways::Ways::decode`] to say so.
    ///
    /// `sections` are those of the doors; the shared ones are added. Keys that begin with `x-` are left out. The document is usable only if `problems` stays
    /// empty to the end; until then, decoding goes on with what could be read, to find as many problems as possible.
    pub fn parse(text: &str, lookup: Lookup<'_>, sections: &[SectionInfo], problems: &mut Problems) -> Self {
        let empty = Self::empty(sections);
        let Some((node, anchors)) = parse_with_anchors(text, problems) else { return empty };
        if !matches!(node.value, Value::Map(_)) {
            let message = format!("a configuration is a map of sections, found {}", node.described());
            problems.push(Problem::new(Code::ConfigUnreadable, node.place, "", message));
            return empty;
        }
        let (mut known, mut without_effect) = (Vec::new(), Vec::new());
        let holders = AnchorHolders::of(&node, anchors);
        for entry in node.entries().iter().filter(|entry| !entry.key.starts_with(EXTENSION)) {
            match kind_of(entry, &empty.sections, &holders, problems.is_full()) {
                EntryKind::Refused(problem) => problems.push(problem),
                EntryKind::WithoutEffect => without_effect.push(entry.clone()),
                EntryKind::Anchors => {}
                EntryKind::Section => known.push(Entry {
                    value: interpolate(&entry.value, &entry.key, lookup, problems),
                    key: Arc::clone(&entry.key),
                    key_place: entry.key_place,
                }),
            }
        }
        Self { node: Node { value: Value::Map(Arc::new(known)), ..node }, without_effect, ..empty }
    }

    /// The document of no file: every section has its default.
    #[must_use]
    pub fn empty(sections: &[SectionInfo]) -> Self {
        let sections = SHARED_SECTIONS.iter().chain(ways::SECTIONS).chain(sections).copied().collect();
        Self { node: Node::empty_map(), sections, without_effect: Vec::new() }
    }

    /// Top-level keys of mihomo that have no effect, as they stand in the file.
    #[must_use]
    pub fn without_effect(&self) -> &[Entry] {
        &self.without_effect
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

/// What a top-level entry is.
enum EntryKind {
    /// A section that has an owner.
    Section,
    /// A known key of mihomo that has no effect.
    WithoutEffect,
    /// A place for anchors.
    Anchors,
    /// Unknown, or not built.
    Refused(Problem),
}

/// `in_short`: whether no hint is wanted, since there are too many problems already.
fn kind_of(entry: &Entry, sections: &[SectionInfo], holders: &AnchorHolders, in_short: bool) -> EntryKind {
    let key = &*entry.key;
    if sections.iter().any(|section| section.key == key) {
        return EntryKind::Section;
    }
    if ways::is_idle(key) {
        return EntryKind::WithoutEffect;
    }
    let problem = |code, message| Problem::new(code, entry.key_place, key, message);
    if let Some(part) = NOT_BUILT.iter().find(|part| part.key == key) {
        let message = format!("`{key}` ({}) is not built yet", part.what);
        let hint = "remove the section: nothing of it would take effect";
        return EntryKind::Refused(problem(Code::ConfigNotBuilt, message).with_hint(hint));
    }
    let keys = sections.iter().map(|section| section.key);
    let known = keys.clone().chain(NOT_BUILT.iter().map(|part| part.key)).chain(ways::idle_names());
    let near = if in_short { None } else { nearest(key, known) };
    let hint = match near {
        Some(right) => format!("did you mean `{right}`?"),
        None if holders.holds(entry) => return EntryKind::Anchors,
        None => format!("the sections are {}", keys.collect::<Vec<_>>().join(", ")),
    };
    let problem = problem(Code::ConfigUnknownKey, format!("unknown key `{}`", Shortened(key)));
    EntryKind::Refused(problem.with_hint(hint))
}

/// Which top-level entries have anchors in them: people write `p: &p {type: http}` before what they merge it into.
struct AnchorHolders {
    /// The places of all anchors, in order.
    anchors: Vec<Place>,
    /// The places of all top-level keys, in order.
    keys: Vec<Place>,
}

impl AnchorHolders {
    fn of(root: &Node, anchors: Vec<Place>) -> Self {
        let mut keys: Vec<Place> = root.entries().iter().map(|entry| entry.key_place).collect();
        keys.sort_unstable();
        Self { anchors, keys }
    }

    /// Whether there is an anchor between this key and the next one.
    fn holds(&self, entry: &Entry) -> bool {
        let first = self.anchors.partition_point(|anchor| *anchor <= entry.key_place);
        let next = self.keys.partition_point(|key| *key <= entry.key_place);
        self.anchors.get(first).is_some_and(|anchor| self.keys.get(next).is_none_or(|key| anchor < key))
    }
}

/// Top-level keys whose part is not built: refused by name, never ignored.
///
/// A section that a door brings wins over its line here, so that building a part does not begin with an error.
const NOT_BUILT: &[NotBuilt] = &[
    NotBuilt::key("via", "a way out of this network"),
    NotBuilt::key("network-policy", "choosing by network"),
    NotBuilt::key("tools", "the tools door"),
    NotBuilt::key("agents", "the agents door"),
    NotBuilt::key("relay", "the relay door"),
    NotBuilt::key("control", "the controller"),
    NotBuilt::key("record", "recording of bodies"),
    NotBuilt::key("budgets", "budgets"),
    NotBuilt::key("readiness", "readiness reports"),
    NotBuilt::key("rollout", "progressive delivery"),
    NotBuilt::key("ledger", "the ledger"),
];
