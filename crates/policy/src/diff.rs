//! What changed from one document to another, path by path, without showing a secret.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::Serialize;

use crate::node::{Node, Shortened, Value};
use crate::root::Root;
use crate::sensitive;

/// One difference between two documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// There is something that was not there before.
    Added {
        /// Where: `models[assistant].timeouts.idle`. An entry with a name stands under its name, not its index.
        path: String,
        /// What is there now; `[secret]` for a secret, in short for a list or map.
        value: String,
    },
    /// Something is gone.
    Removed {
        /// Where.
        path: String,
        /// What was there.
        value: String,
    },
    /// Something is another.
    Changed {
        /// Where.
        path: String,
        /// What was there.
        from: String,
        /// What is there now.
        to: String,
    },
}

impl Change {
    /// Where the difference is.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Added { path, .. } | Self::Removed { path, .. } | Self::Changed { path, .. } => path,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { path, value } => write!(f, "+ {path}: {value}"),
            Self::Removed { path, value } => write!(f, "- {path}: {value}"),
            Self::Changed { path, from, to } => write!(f, "~ {path}: {from} -> {to}"),
        }
    }
}

/// The differences from `old` to `new`, in the order of their keys. Empty when nothing that counts is different.
#[must_use]
pub fn diff(old: &Root, new: &Root) -> Vec<Change> {
    let mut changes = Vec::new();
    compare_maps(old.node(), new.node(), "", false, &mut changes);
    changes
}

fn compare(old: &Node, new: &Node, path: &str, secret: bool, changes: &mut Vec<Change>) {
    match (&old.value, &new.value) {
        (Value::Map(_), Value::Map(_)) => compare_maps(old, new, path, secret, changes),
        (Value::List(old_items), Value::List(new_items)) => match (by_name(old_items), by_name(new_items)) {
            (Some(old_names), Some(new_names)) => {
                compare_named(&old_names, &new_names, path, secret, changes);
            }
            _ => compare_by_index(old_items, new_items, path, secret, changes),
        },
        (old_value, new_value) if old_value == new_value => {}
        _ => changes.push(Change::Changed { path: path.to_owned(), from: shown(old, secret), to: shown(new, secret) }),
    }
}

fn compare_maps(old: &Node, new: &Node, path: &str, secret: bool, changes: &mut Vec<Change>) {
    let old_keys: HashMap<&str, &Node> = old.entries().iter().map(|entry| (&*entry.key, &entry.value)).collect();
    let new_keys: HashMap<&str, &Node> = new.entries().iter().map(|entry| (&*entry.key, &entry.value)).collect();
    let keys: BTreeSet<&str> = old_keys.keys().chain(new_keys.keys()).copied().collect();
    let dot = if path.is_empty() { "" } else { "." };
    for key in keys {
        let (old, new) = (old_keys.get(key).copied(), new_keys.get(key).copied());
        let path = format!("{path}{dot}{key}");
        let is_login =
            |node: Option<&Node>| node.and_then(Node::as_str).is_some_and(|text| sensitive::is_login(key, text));
        let named_so =
            sensitive::is_secret_key(key) || sensitive::is_subscription(&path) || sensitive::is_of_state(&path);
        let secret = secret || named_so || is_login(old) || is_login(new);
        one(old, new, path, secret, changes);
    }
}

/// The items by their `name`, when each has one of its own.
fn by_name(items: &[Node]) -> Option<Vec<(&str, &Node)>> {
    let mut seen = BTreeSet::new();
    items
        .iter()
        .map(|item| {
            let name = item.get("name")?.as_str()?;
            seen.insert(name).then_some((name, item))
        })
        .collect()
}

fn compare_named(old: &[(&str, &Node)], new: &[(&str, &Node)], path: &str, secret: bool, changes: &mut Vec<Change>) {
    let old_names: HashMap<&str, &Node> = old.iter().copied().collect();
    let new_names: HashMap<&str, &Node> = new.iter().copied().collect();
    let names: BTreeSet<&str> = old_names.keys().chain(new_names.keys()).copied().collect();
    for name in names {
        let path = format!("{path}[{}]", Shortened(name));
        one(old_names.get(name).copied(), new_names.get(name).copied(), path, secret, changes);
    }
    // The order of those that stayed may matter, as the order of providers does for a passed path.
    let stayed = |list: &[(&str, &Node)], other: &HashMap<&str, &Node>| -> Vec<String> {
        list.iter().map(|(name, _)| *name).filter(|name| other.contains_key(name)).map(str::to_owned).collect()
    };
    let (from, to) = (stayed(old, &new_names), stayed(new, &old_names));
    if from != to {
        changes.push(Change::Changed {
            path: path.to_owned(),
            from: format!("the order {}", Shortened(&from.join(", "))),
            to: format!("the order {}", Shortened(&to.join(", "))),
        });
    }
}

fn compare_by_index(old: &[Node], new: &[Node], path: &str, secret: bool, changes: &mut Vec<Change>) {
    for index in 0..old.len().max(new.len()) {
        one(old.get(index), new.get(index), format!("{path}[{index}]"), secret, changes);
    }
}

fn one(old: Option<&Node>, new: Option<&Node>, path: String, secret: bool, changes: &mut Vec<Change>) {
    // Null counts as absent, as it does in decoding.
    match (old.filter(|node| !node.is_null()), new.filter(|node| !node.is_null())) {
        (Some(old), Some(new)) => compare(old, new, &path, secret, changes),
        (None, Some(new)) => changes.push(Change::Added { value: shown(new, secret), path }),
        (Some(old), None) => changes.push(Change::Removed { value: shown(old, secret), path }),
        (None, None) => {}
    }
}

fn shown(node: &Node, secret: bool) -> String {
    match &node.value {
        _ if secret => "[secret]".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::String(text) => Shortened(node.raw.as_deref().unwrap_or(text)).to_string(),
        Value::List(items) => match items.len() {
            1 => "a list of 1".to_owned(),
            count => format!("a list of {count}"),
        },
        Value::Map(entries) => {
            let keys: Vec<&str> = entries.iter().map(|entry| &*entry.key).collect();
            format!("{{{}}}", Shortened(&keys.join(", ")))
        }
    }
}
