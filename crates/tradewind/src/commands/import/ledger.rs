//! Keeps account of each setting of the old file: carried over, or left out with a reason. What nobody has asked for is
//! left out by itself, so that nothing can be forgotten silently.

use std::collections::BTreeSet;

use tradewind_policy::{Node, Value};

/// A setting that is not in the new file, or not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// Where it stands, such as `model_list[0].litellm_params.rpm`.
    pub(super) path: String,
    /// The line in the old file, from 1.
    pub(super) line: u32,
    pub(super) reason: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    left: Vec<Left>,
    carried: BTreeSet<String>,
}

impl Ledger {
    /// `path` is in the new file in full.
    pub(super) fn carry(&mut self, path: &str) {
        self.carried.insert(path.to_owned());
    }

    /// `path` is not in the new file as it was.
    pub(super) fn leave(&mut self, path: &str, node: &Node, reason: impl Into<String>) {
        self.left.push(Left { path: path.to_owned(), line: node.place.line, reason: reason.into() });
    }

    /// What was left out, in the order of the file.
    pub(super) fn left(&self) -> Vec<&Left> {
        let mut left: Vec<&Left> = self.left.iter().collect();
        left.sort_by_key(|left| left.line);
        left
    }

    /// Whether something was said about the setting at `path`, or about what it stands in.
    #[cfg(test)]
    pub(super) fn knows(&self, path: &str) -> bool {
        let covers =
            |known: &str| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.carried.iter().any(|known| covers(known)) || self.left.iter().any(|left| covers(&left.path))
    }
}

/// A map of the old file, whose entries are taken one by one.
pub(super) struct Fields<'a> {
    node: &'a Node,
    path: String,
    taken: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(node: &'a Node, path: impl Into<String>) -> Self {
        Self { node, path: path.into(), taken: Vec::new() }
    }

    /// The map itself, and where it stands.
    pub(super) fn own(&self) -> (&'a Node, &str) {
        (self.node, &self.path)
    }

    /// The path of an entry.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of an entry, without saying what becomes of it.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a Node> {
        let entry = self.node.entry(key)?;
        self.taken.push(&entry.key);
        Some(&entry.value).filter(|value| !value.is_null())
    }

    /// The value of an entry that `read` understands, and which is then carried over; one that it does not is left.
    pub(super) fn carry<T>(
        &mut self,
        ledger: &mut Ledger,
        key: &str,
        wanted: &str,
        read: impl Fn(&Node) -> Option<T>,
    ) -> Option<T> {
        let node = self.take(key)?;
        let value = read(node);
        match value {
            Some(_) => ledger.carry(&self.path(key)),
            None => ledger.leave(&self.path(key), node, format!("not {wanted}")),
        }
        value
    }

    /// Leaves out an entry, if it is there.
    pub(super) fn leave(&mut self, ledger: &mut Ledger, key: &str, reason: &str) {
        if let Some(node) = self.take(key) {
            ledger.leave(&self.path(key), node, reason);
        }
    }

    /// Leaves out whatever was not taken, each for the reason that `reason` gives its key.
    pub(super) fn leave_rest(self, ledger: &mut Ledger, reason: impl Fn(&str) -> &'static str) {
        if !matches!(self.node.value, Value::Map(_)) {
            return ledger.leave(&self.path, self.node, "not a map of settings");
        }
        for entry in self.node.entries() {
            if !self.taken.contains(&&*entry.key) {
                ledger.leave(&self.path(&entry.key), &entry.value, reason(&entry.key));
            } else if entry.value.is_null() {
                ledger.carry(&self.path(&entry.key));
            }
        }
    }
}

/// Text, also when it was written as a number.
pub(super) fn text(node: &Node) -> Option<String> {
    match &node.value {
        Value::String(text) => Some(text.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number that is not negative, also when it was written as text.
pub(super) fn number(node: &Node) -> Option<f64> {
    let number = match &node.value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// A whole number from 1 on.
pub(super) fn count(node: &Node) -> Option<u32> {
    let number = number(node)?;
    (number.fract() == 0.0 && number >= 1.0 && number <= f64::from(u32::MAX)).then_some(number as u32)
}
