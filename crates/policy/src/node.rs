//! The tree that a YAML document becomes: values with the place in the file where each was written.
//!
//! It knows nothing of YAML's syntax (see `yaml`) and nothing of what the values mean (see `decode`). Lists and maps
//! are shared, so that a copy of a node, which is what an alias is, costs a reference count.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Where something stands in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The line, from 1; 0 for something that is not in the file.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters to underline; what reaches over the end of the line is not drawn.
    pub length: u32,
}

/// One value of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
    /// What was written when there is a `${…}` in it: the only text of it that may be shown to anybody. The value is
    /// then text, or null when the variable could not be replaced.
    pub raw: Option<Arc<str>>,
}

/// The kinds of value, after YAML's core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// A list.
    List(Arc<Vec<Node>>),
    /// A map, in the order of the file; no key stands twice.
    Map(Arc<Vec<Entry>>),
}

/// One entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key as text.
    pub key: Arc<str>,
    /// Where the key stands.
    pub key_place: Place,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A node at `place`.
    #[must_use]
    pub const fn new(value: Value, place: Place) -> Self {
        Self { value, place, raw: None }
    }

    /// An empty map that is in no file.
    #[must_use]
    pub fn empty_map() -> Self {
        Self::new(Value::Map(Arc::default()), Place::default())
    }

    /// The entries when this is a map, otherwise none.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items when this is a list, otherwise none.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text when this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The entry of this key. Looks through the map from its beginning.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    /// The value of this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The node at `path`, written as problems show it: `models[0].targets[1].use`; the empty path is the node itself.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Self> {
        let path = path.strip_prefix('.').unwrap_or(path);
        if path.is_empty() {
            return Some(self);
        }
        if let Some(rest) = path.strip_prefix('[') {
            let (index, rest) = rest.split_once(']')?;
            return self.items().get(index.parse::<usize>().ok()?)?.find(rest);
        }
        let end = path.find(['.', '[']).unwrap_or(path.len());
        if let Some(child) = self.get(&path[..end]) {
            return child.find(&path[end..]);
        }
        // A key may itself hold a dot or a bracket, like the name of a header: then it must be the last step.
        self.get(path)
    }

    /// Whether this holds a variable that could not be replaced: its problem is known, and nothing is made of it.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.is_null() && self.raw.is_some()
    }

    /// What this is, in words, for an error message: shows short scalars, and never a value that came from outside.
    #[must_use]
    pub fn described(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::String(text) => format!("the text `{}`", Shortened(self.raw.as_deref().unwrap_or(text))),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// What this is without showing any of it: for values that may be secret.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::String(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Text cut to a length that fits an error message, with control characters made visible.
pub(crate) struct Shortened<'a>(pub(crate) &'a str);

const SHOWN_CHARACTERS: usize = 60;

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, character) in self.0.chars().enumerate() {
            if count == SHOWN_CHARACTERS {
                return f.write_str("…");
            }
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}
