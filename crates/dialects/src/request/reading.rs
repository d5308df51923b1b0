//! What the readers of all wires share: taking values of the right type, and saying what is in the way.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};

use super::json::{DEEPEST, Flaw, MOST_FIELDS, Object, Text, is_empty, is_too_deep};
use super::path::Path;
use crate::wire::{Obstacle, Wire};

/// At most so many hints are listed.
const MOST_DROPPED: usize = 32;

/// A value that says only what is so in any case is shorter than this.
const LONGEST_USUAL: usize = 256;

/// What reading a request needs to know, and what it finds out beside the question itself.
pub(super) struct Reading {
    /// The wire format that the question is for. Readers refuse what it cannot express, because they know the place;
    /// writers then cannot fail.
    pub(super) to: Wire,
    strict: bool,
    pub(super) dropped: Vec<String>,
}

type Result<T> = std::result::Result<T, Obstacle>;

/// The field is right in itself, and the other wire has nothing like it.
pub(super) fn cannot(path: Path<'_>, why: impl Into<Cow<'static, str>>) -> Obstacle {
    Obstacle { field: path.to_string(), why: why.into(), invalid: false }
}

/// The field is wrong in itself.
pub(super) fn wrong(path: Path<'_>, why: impl Into<Cow<'static, str>>) -> Obstacle {
    Obstacle { field: path.to_string(), why: why.into(), invalid: true }
}

impl Reading {
    pub(super) const fn new(to: Wire, strict: bool) -> Self {
        Self { to, strict, dropped: Vec::new() }
    }

    /// Leaves out a hint, and lists it.
    ///
    /// # Errors
    /// When hints count.
    pub(super) fn hint(&mut self, path: Path<'_>) -> Result<()> {
        if self.strict {
            return Err(cannot(
                path,
                format!("the {} format has nothing like it, and hints count here", self.to.name()),
            ));
        }
        if self.dropped.len() < MOST_DROPPED {
            self.dropped.push(path.to_string());
        }
        Ok(())
    }

    /// Leaves out a hint, unless it says nothing.
    pub(super) fn hint_unless_empty(&mut self, path: Path<'_>, value: &str) -> Result<()> {
        if is_empty(value) { Ok(()) } else { self.hint(path) }
    }

    /// Leaves out a hint, unless it says what is so in any case.
    pub(super) fn hint_unless(&mut self, path: Path<'_>, value: &str, usual: &[&str]) -> Result<()> {
        if usual.contains(&value) { Ok(()) } else { self.hint(path) }
    }

    /// Accepts a value only if it says what is so in any case. `usual` are JSON texts.
    pub(super) fn only(&self, path: Path<'_>, value: &str, usual: &[&str]) -> Result<()> {
        // White space within a value is the caller's choice: `["text"]` may come as `[ "text" ]`.
        let is_short = value.len() <= LONGEST_USUAL;
        let compact: String = value.split_ascii_whitespace().take_while(|_| is_short).collect();
        if usual.contains(&compact.as_str()) { Ok(()) } else { Err(self.inexpressible(path)) }
    }

    /// Accepts a number only if it is zero.
    pub(super) fn only_zero(&self, path: Path<'_>, value: &str) -> Result<()> {
        if number(path, value)? == 0.0 { Ok(()) } else { Err(self.inexpressible(path)) }
    }

    /// Accepts a list or an object only if nothing is in it.
    pub(super) fn only_empty(&self, path: Path<'_>, value: &str) -> Result<()> {
        if is_empty(value) { Ok(()) } else { Err(self.inexpressible(path)) }
    }

    /// The other wire has nothing like this field, or nobody knows what it means.
    pub(super) fn inexpressible(&self, path: Path<'_>) -> Obstacle {
        cannot(path, format!("the {} format cannot express it", self.to.name()))
    }

    /// Whether `text` is to be kept: Anthropic refuses texts that are empty or white space only.
    pub(super) fn keeps(&self, text: Text<'_>) -> bool {
        self.to != Wire::Messages || !text.is_blank()
    }
}

/// The object in `value`, each of its fields once.
pub(super) fn object<'a>(path: Path<'_>, value: &'a str) -> Result<Object<'a>> {
    let Ok(object) = serde_json::from_str::<Object<'a>>(value) else {
        return Err(wrong(path, "has to be an object"));
    };
    sound(path, object)
}

/// Hands each object of the list in `value` to `each`, one after the other, and says how many there are. They are never
/// all held: an object of two bytes would take a hundred.
pub(super) fn each_object<'a>(
    path: Path<'_>,
    value: &'a str,
    each: impl FnMut(Path<'_>, Object<'a>) -> Result<()>,
) -> Result<usize> {
    if !value.starts_with('[') {
        return Err(wrong(path, "has to be a list"));
    }
    let mut entries = Entries { path, each, count: 0, obstacle: None };
    let mut deserializer = serde_json::Deserializer::from_str(value);
    let is_read = deserializer.deserialize_seq(&mut entries).is_ok();
    match entries.obstacle {
        Some(obstacle) => Err(obstacle),
        None if is_read => Ok(entries.count),
        None => Err(wrong(path.index(entries.count), "has to be an object")),
    }
}

struct Entries<'p, F> {
    path: Path<'p>,
    each: F,
    count: usize,
    obstacle: Option<Obstacle>,
}

impl<'de, F: FnMut(Path<'_>, Object<'de>) -> Result<()>> Visitor<'de> for &mut Entries<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        while let Some(entry) = seq.next_element::<Object<'de>>()? {
            let path = self.path.index(self.count);
            if let Err(obstacle) = sound(path, entry).and_then(|entry| (self.each)(path, entry)) {
                self.obstacle = Some(obstacle);
                return Err(A::Error::custom("refused"));
            }
            self.count += 1;
        }
        Ok(())
    }
}

fn sound<'a>(path: Path<'_>, object: Object<'a>) -> Result<Object<'a>> {
    match &object.flaw {
        Some(flaw) => Err(flawed(path, flaw)),
        None => Ok(object),
    }
}

pub(super) fn flawed(path: Path<'_>, flaw: &Flaw<'_>) -> Obstacle {
    match flaw {
        Flaw::Duplicate(key) => wrong(path.key(key), "is there twice"),
        Flaw::TooManyFields => wrong(path, format!("has more than {MOST_FIELDS} fields")),
    }
}

/// The entries of the list in `value`, as JSON texts.
pub(super) fn list<'a>(path: Path<'_>, value: &'a str) -> Result<Vec<&'a str>> {
    let list: std::result::Result<Vec<&'a serde_json::value::RawValue>, _> = serde_json::from_str(value);
    let list = list.map_err(|_| wrong(path, "has to be a list"))?;
    Ok(list.into_iter().map(serde_json::value::RawValue::get).collect())
}

/// The string in `value`, as it stands there.
pub(super) fn text<'a>(path: Path<'_>, value: &'a str) -> Result<Text<'a>> {
    Text::of(value).ok_or_else(|| wrong(path, "has to be a text"))
}

/// The string in `value`, its escapes resolved.
pub(super) fn decoded<'a>(path: Path<'_>, value: &'a str) -> Result<Cow<'a, str>> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Decoded<'a>(#[serde(borrow)] Cow<'a, str>);
    text(path, value)?;
    match serde_json::from_str::<Decoded<'a>>(value) {
        Ok(Decoded(text)) => Ok(text),
        Err(_) => Err(wrong(path, "is not valid Unicode")),
    }
}

pub(super) fn boolean(path: Path<'_>, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(wrong(path, "has to be true or false")),
    }
}

/// The number in `value`.
pub(super) fn number(path: Path<'_>, value: &str) -> Result<f64> {
    let number = if value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) { value.parse().ok() } else { None };
    number.filter(|number: &f64| number.is_finite()).ok_or_else(|| wrong(path, "has to be a number"))
}

/// A whole number of at least 1.
pub(super) fn count(path: Path<'_>, value: &str) -> Result<u64> {
    match value.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(wrong(path, "has to be a whole number of at least 1")),
    }
}

/// A JSON object that is carried over unread.
pub(super) fn carried<'a>(path: Path<'_>, value: &'a str) -> Result<&'a str> {
    if !value.starts_with('{') {
        return Err(wrong(path, "has to be an object"));
    }
    if is_too_deep(value) {
        return Err(wrong(path, format!("is nested deeper than {DEEPEST} levels")));
    }
    Ok(value)
}
