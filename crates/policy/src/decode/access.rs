//! The parts of a list, a map and a [`crate::Spanned`], handed to serde one by one.

use std::sync::Arc;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use tradewind_core::{Code, nearest};

use super::error::Failure;
use super::path::Path;
use super::{Context, Cursor};
use crate::node::{Entry, Node, Shortened, Value};
use crate::problem::Problem;
use crate::spanned::SPANNED_PARTS;

/// The problem with a key that a struct does not have.
pub(super) fn unknown_key(entry: &Entry, fields: &[&str], path: Path<'_>, context: &Context) -> Problem {
    let key = &*entry.key;
    let path = path.key(key).to_string();
    if let Some(part) = context.not_built(key, None) {
        let message = format!("`{key}` ({}) is not built yet", part.what);
        return Problem::new(Code::ConfigNotBuilt, entry.key_place, path, message).with_hint("remove the key");
    }
    let message = format!("unknown key `{}`", Shortened(key));
    let problem = Problem::new(Code::ConfigUnknownKey, entry.key_place, path, message);
    problem.with_hint(match nearest(key, fields.iter().copied()) {
        Some(right) => format!("did you mean `{right}`?"),
        None => format!("the keys here are {}", fields.join(", ")),
    })
}

/// The items of a list that are not bad.
pub(super) struct Items<'a> {
    items: &'a [Node],
    next: usize,
    path: Path<'a>,
    context: &'a Context,
}

impl<'a> Items<'a> {
    pub(super) fn of(cursor: &Cursor<'a>) -> Self {
        Self { items: cursor.node.items(), next: 0, path: cursor.path, context: cursor.context }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        while let Some(node) = self.items.get(self.next) {
            let path = self.path.index(self.next);
            self.next += 1;
            if !self.context.is_bad(node) {
                let cursor = Cursor { node, path, context: self.context };
                return cursor.placed(seed.deserialize(cursor)).map(Some);
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

/// The entries of a map that are not bad; for a struct only those that it has and that are not null, which counts as
/// absent.
pub(super) struct Entries<'a> {
    entries: &'a [Entry],
    next: usize,
    fields: Option<&'static [&'static str]>,
    path: Path<'a>,
    context: &'a Context,
}

impl<'a> Entries<'a> {
    pub(super) fn of(cursor: &Cursor<'a>, fields: Option<&'static [&'static str]>) -> Self {
        Self { entries: cursor.node.entries(), next: 0, fields, path: cursor.path, context: cursor.context }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        while let Some(entry) = self.entries.get(self.next) {
            let is_other = |fields: &[&str]| entry.value.is_null() || !fields.contains(&&*entry.key);
            if self.fields.is_some_and(is_other) || self.context.is_bad(&entry.value) {
                self.next += 1;
                continue;
            }
            let key: StrDeserializer<'_, Failure> = (*entry.key).into_deserializer();
            return seed.deserialize(key).map(Some).map_err(|failure| {
                if let Failure::Loose(loose) = failure {
                    let node = Node::new(Value::String(Arc::clone(&entry.key)), entry.key_place);
                    self.context.report(&entry.value, loose.at(&node, self.path.key(&entry.key).to_string(), false));
                }
                Failure::Reported
            });
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let entry = self.entries.get(self.next).expect("serde asks for a value only after its key");
        self.next += 1;
        let cursor = Cursor { node: &entry.value, path: self.path.key(&entry.key), context: self.context };
        cursor.placed(seed.deserialize(cursor))
    }
}

/// The parts of a [`crate::Spanned`].
pub(super) struct SpannedParts<'a> {
    cursor: Cursor<'a>,
    next: usize,
}

impl<'a> SpannedParts<'a> {
    pub(super) const fn of(cursor: Cursor<'a>) -> Self {
        Self { cursor, next: 0 }
    }
}

impl<'de> SeqAccess<'de> for SpannedParts<'_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let node = self.cursor.node;
        let part = self.next;
        self.next += 1;
        match part {
            0 => seed.deserialize(node.place.line.into_deserializer()).map(Some),
            1 => seed.deserialize(node.place.column.into_deserializer()).map(Some),
            2 => seed.deserialize(node.place.length.into_deserializer()).map(Some),
            3 => seed.deserialize(self.cursor.path.to_string().into_deserializer()).map(Some),
            4 => seed.deserialize(RawText(node.raw.as_deref())).map(Some),
            5 => seed.deserialize(self.cursor).map(Some),
            SPANNED_PARTS.. => Ok(None),
        }
    }
}

struct RawText<'a>(Option<&'a str>);

impl<'de> Deserializer<'de> for RawText<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0 {
            Some(text) => visitor.visit_some(text.into_deserializer()),
            None => visitor.visit_none(),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
