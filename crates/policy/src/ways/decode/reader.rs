//! Reads maps by their [`Key`]s, as loosely as mihomo does: a number where text is wanted, digits where a number is.
//! Whatever cannot be read is a problem at its place and counts as absent.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tradewind_core::{Code, Secret, nearest};

use super::keys::{Effect, Key, find};
use crate::node::{Node, Place, Shortened, Value};
use crate::problem::{MOST_NOTES, Problem, Problems};
use crate::sensitive;

/// The longest time span in a section of mihomo's, in seconds: ten years.
const LONGEST_SECONDS: i64 = 315_360_000;
/// How many names a note gives as examples.
const MOST_EXAMPLES: usize = 3;

/// Takes values out of nodes, and puts down what is wrong and what has no effect.
pub(super) struct Reader<'a> {
    pub(super) problems: &'a mut Problems,
    said: Vec<Said>,
    /// Texts that came from a variable, with what was written in their place: only that may be shown.
    written: HashMap<Arc<str>, Arc<str>>,
}

/// Something that is said once, however often it stands in the document.
struct Said {
    message: String,
    place: Place,
    path: String,
    /// Those that it is about, as far as they are named.
    names: Vec<Arc<str>>,
    count: usize,
}

/// A map whose keys are read one by one.
#[derive(Clone)]
pub(super) struct Fields<'n> {
    pub(super) node: &'n Node,
    pub(super) path: String,
}

impl<'n> Fields<'n> {
    /// The value of `key`, unless it is absent, null, or a variable that could not be replaced.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.node.get(key).filter(|node| !node.is_null())
    }

    /// Whether `key` stands there at all, readable or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some_and(|node| !node.is_null() || node.is_broken())
    }

    /// Where the value of `key` is, or the map itself when it has none.
    pub(super) fn place(&self, key: &str) -> Place {
        self.node.get(key).map_or(self.node.place, |node| node.place)
    }

    /// The path of `key`.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(problems: &'a mut Problems) -> Self {
        Self { problems, said: Vec::new(), written: HashMap::new() }
    }

    /// A text as it may be shown: cut to a length, and as it was written when it came from a variable.
    pub(super) fn shown(&self, text: &str) -> String {
        Shortened(self.written.get(text).map_or(text, |written| written)).to_string()
    }

    /// Whether a text came from a variable.
    pub(super) fn is_from_outside(&self, text: &str) -> bool {
        self.written.contains_key(text)
    }

    /// A problem with a value that is not acceptable.
    pub(super) fn refuse(&mut self, place: Place, path: impl Into<String>, message: impl Into<String>, hint: &str) {
        self.refuse_as(Code::ConfigBadValue, place, path, message, hint);
    }

    pub(super) fn refuse_as(
        &mut self,
        code: Code,
        place: Place,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: &str,
    ) {
        let problem = Problem::new(code, place, path, message);
        self.problems.push(if hint.is_empty() { problem } else { problem.with_hint(hint) });
    }

    /// A problem with the value of `key`.
    pub(super) fn refuse_at(&mut self, fields: &Fields<'_>, key: &str, message: impl Into<String>, hint: &str) {
        self.refuse(fields.place(key), fields.path_of(key), message, hint);
    }

    /// A name that nothing has, with the nearest of those that something has.
    pub(super) fn unknown_name<'c>(
        &mut self,
        place: Place,
        path: impl Into<String>,
        message: String,
        wanted: &str,
        names: impl IntoIterator<Item = &'c str>,
    ) {
        let hint = if self.problems.is_full() { None } else { nearest(wanted, names) };
        let hint = hint.map(|name| format!("did you mean `{}`?", self.shown(name))).unwrap_or_default();
        self.refuse_as(Code::ConfigUnknownName, place, path, message, &hint);
    }

    /// Says something that blocks nothing, once for each message; `name` is an example of what it is about.
    pub(super) fn say(&mut self, place: Place, path: &str, message: impl Into<String>, name: Option<&Arc<str>>) {
        let message = message.into();
        if let Some(said) = self.said.iter_mut().find(|said| said.message == message) {
            said.count += 1;
            if said.names.len() < MOST_EXAMPLES {
                said.names.extend(name.cloned());
            }
            return;
        }
        if self.said.len() == MOST_NOTES {
            return;
        }
        let names = name.cloned().into_iter().collect();
        self.said.push(Said { message, place, path: path.to_owned(), names, count: 1 });
    }

    /// Hands over what was said, in the order of the file; returns the same as texts.
    pub(super) fn finish(self) -> Vec<String> {
        let mut texts = Vec::with_capacity(self.said.len());
        for Said { mut message, place, path, names, count } in self.said {
            if !names.is_empty() {
                let written = |name: &Arc<str>| Arc::clone(self.written.get(name).unwrap_or(name));
                let shown: Vec<String> = names.iter().map(|name| format!("`{}`", Shortened(&written(name)))).collect();
                let _ = write!(message, " ({}", shown.join(", "));
                if count > names.len() {
                    let _ = write!(message, " and {} more", count - names.len());
                }
                message.push(')');
            }
            texts.push(message.clone());
            self.problems.note(place, path, message);
        }
        texts
    }

    /// Begins to read the map at `path`: refuses keys that `keys` does not have, and says which have no effect.
    pub(super) fn map<'n>(&mut self, node: &'n Node, path: &str, keys: &'static [Key]) -> Option<Fields<'n>> {
        let fields = self.any_map(node, path)?;
        self.check_keys(&fields, keys, None);
        Some(fields)
    }

    /// Begins to read the map at `path`, whatever its keys are.
    pub(super) fn any_map<'n>(&mut self, node: &'n Node, path: &str) -> Option<Fields<'n>> {
        if node.is_broken() {
            return None;
        }
        if !matches!(node.value, Value::Map(_)) {
            self.wrong_kind(node, path, "a map");
            return None;
        }
        Some(Fields { node, path: path.to_owned() })
    }

    /// Refuses keys that `keys` does not have, and says which have no effect; `name` is whose they are.
    pub(super) fn check_keys(&mut self, fields: &Fields<'_>, keys: &'static [Key], name: Option<&Arc<str>>) {
        self.check_keys_but(fields, keys, name, &|_| false);
    }

    /// As [`Self::check_keys`], without the keys that `leave_out` names.
    pub(super) fn check_keys_but(
        &mut self,
        fields: &Fields<'_>,
        keys: &'static [Key],
        name: Option<&Arc<str>>,
        leave_out: &dyn Fn(&str) -> bool,
    ) {
        for entry in fields.node.entries().iter().filter(|entry| !leave_out(&entry.key)) {
            match find(keys, &entry.key) {
                Some(key) if key.effect == Effect::None && !is_off(&entry.value) => {
                    self.say(entry.key_place, &fields.path_of(&entry.key), without_effect(key), name);
                }
                Some(_) => {}
                None => self.unknown_key(fields, &entry.key, entry.key_place, keys),
            }
        }
    }

    fn unknown_key(&mut self, fields: &Fields<'_>, name: &str, place: Place, keys: &'static [Key]) {
        let names = keys.iter().filter(|key| key.effect == Effect::Read).map(|key| key.name);
        let near = if self.problems.is_full() { None } else { nearest(name, keys.iter().map(|key| key.name)) };
        let hint = match near {
            Some(right) => format!("did you mean `{right}`?"),
            None => format!("the keys here are {}", names.collect::<Vec<_>>().join(", ")),
        };
        let message = format!("unknown key `{}`", Shortened(name));
        self.refuse_as(Code::ConfigUnknownKey, place, fields.path_of(name), message, &hint);
    }

    fn wrong_kind(&mut self, node: &Node, path: &str, expected: &str) {
        if node.is_broken() {
            return; // its variable has a problem of its own
        }
        let found = if sensitive::is_secret_path(path) { node.kind().to_owned() } else { node.described() };
        self.refuse(node.place, path, format!("expected {expected}, found {found}"), "");
    }

    /// The text of a node; a number will do, when what was written can be told from it.
    pub(super) fn text_of(&mut self, node: &Node, path: &str) -> Option<Arc<str>> {
        let written = match &node.value {
            Value::String(text) => {
                if let Some(written) = &node.raw {
                    self.written.insert(Arc::clone(text), Arc::clone(written));
                }
                return Some(Arc::clone(text));
            }
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => {
                self.wrong_kind(node, path, "text");
                return None;
            }
        };
        // `007` and `1e3` have lost their form on the way, and a password must not be guessed.
        if written.len() == node.place.length as usize {
            return Some(Arc::from(written));
        }
        let message = format!("expected text, found {}", node.kind());
        self.refuse(node.place, path, message, "put it in quotes");
        None
    }

    pub(super) fn text(&mut self, fields: &Fields<'_>, key: &str) -> Option<Arc<str>> {
        let node = fields.get(key)?;
        self.text_of(node, &fields.path_of(key))
    }

    pub(super) fn secret(&mut self, fields: &Fields<'_>, key: &str) -> Option<Secret<String>> {
        self.text(fields, key).map(|text| Secret::new(text.as_ref().to_owned()))
    }

    /// True or false. YAML 1.1's `yes` and `on` count, as they do for mihomo, and so do 1 and 0.
    pub(super) fn flag_of(&mut self, node: &Node, path: &str) -> Option<bool> {
        match &node.value {
            Value::Bool(value) => return Some(*value),
            Value::Int(value @ (0 | 1)) => return Some(*value == 1),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "y" | "on" => return Some(true),
                "no" | "n" | "off" => return Some(false),
                // What came from a variable is text.
                "true" | "1" if node.raw.is_some() => return Some(true),
                "false" | "0" if node.raw.is_some() => return Some(false),
                _ => {}
            },
            _ => {}
        }
        self.wrong_kind(node, path, "true or false");
        None
    }

    pub(super) fn flag(&mut self, fields: &Fields<'_>, key: &str) -> Option<bool> {
        let node = fields.get(key)?;
        self.flag_of(node, &fields.path_of(key))
    }

    /// A whole number within `range`; digits in quotes will do.
    pub(super) fn whole_of(&mut self, node: &Node, path: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let number = match &node.value {
            Value::Int(number) => Some(*number),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                let expected = format!("a whole number from {} to {}", range.start(), range.end());
                self.wrong_kind(node, path, &expected);
                None
            }
        }
    }

    pub(super) fn whole(&mut self, fields: &Fields<'_>, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let node = fields.get(key)?;
        self.whole_of(node, &fields.path_of(key), range)
    }

    /// A port, not 0.
    pub(super) fn port(&mut self, fields: &Fields<'_>, key: &str) -> Option<u16> {
        self.whole(fields, key, 1..=65_535).and_then(|port| u16::try_from(port).ok())
    }

    /// A number of seconds; less than nothing is nothing.
    pub(super) fn seconds(&mut self, fields: &Fields<'_>, key: &str) -> Option<Duration> {
        let seconds = self.whole(fields, key, -1..=LONGEST_SECONDS)?;
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    /// A number of milliseconds, up to ten minutes.
    pub(super) fn millis(&mut self, fields: &Fields<'_>, key: &str) -> Option<Duration> {
        let millis = self.whole(fields, key, 0..=600_000)?;
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
    }

    /// The items of a list, each with its path.
    pub(super) fn items<'n>(&mut self, node: &'n Node, path: &str) -> Vec<(&'n Node, String)> {
        if !matches!(node.value, Value::List(_) | Value::Null) {
            self.wrong_kind(node, path, "a list");
        }
        node.items().iter().enumerate().map(|(index, item)| (item, format!("{path}[{index}]"))).collect()
    }

    /// A list of texts, each with its place and path.
    pub(super) fn placed_texts(&mut self, fields: &Fields<'_>, key: &str) -> Vec<(Arc<str>, Place, String)> {
        let Some(node) = fields.get(key) else { return Vec::new() };
        let mut texts = Vec::with_capacity(node.items().len());
        for (item, path) in self.items(node, &fields.path_of(key)) {
            if let Some(text) = self.text_of(item, &path) {
                texts.push((text, item.place, path));
            }
        }
        texts
    }

    pub(super) fn texts(&mut self, fields: &Fields<'_>, key: &str) -> Vec<Arc<str>> {
        self.placed_texts(fields, key).into_iter().map(|(text, ..)| text).collect()
    }

    /// One of `words`.
    pub(super) fn word<'w>(&mut self, fields: &Fields<'_>, key: &str, words: &[&'w str]) -> Option<&'w str> {
        let node = fields.get(key)?;
        let text = node.as_str().unwrap_or_default();
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Some(word);
        }
        let path = fields.path_of(key);
        self.wrong_kind(node, &path, &format!("one of {}", words.join(", ")));
        None
    }

    /// The keys and values of a map, with the path of each.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, path: &str) -> Vec<(&'n Arc<str>, Place, &'n Node, String)> {
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            self.wrong_kind(node, path, "a map");
        }
        let placed = |entry: &'n crate::node::Entry| {
            (&entry.key, entry.key_place, &entry.value, format!("{path}.{}", entry.key))
        };
        node.entries().iter().map(placed).collect()
    }
}

/// What is said of a key that is not read.
pub(super) fn without_effect(key: &Key) -> String {
    format!("`{}` has no effect: {}", key.name, key.about)
}

/// Whether a value says "not": then nothing is lost when its key has no effect.
pub(super) fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => {
            let off = |key: &str| matches!(node.get(key).map(|node| &node.value), Some(Value::Bool(false)));
            entries.is_empty() || off("enable") || off("enabled")
        }
        Value::Int(number) => *number == 0,
        Value::Bool(true) | Value::Float(_) => false,
    }
}
