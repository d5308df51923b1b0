//! A value that remembers where it was written, for names that refer to each other.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use tradewind_core::Code;

use crate::node::Place;
use crate::problem::Problem;

/// A value with its place and path in the document. Compares, hashes and serialises as the value alone.
///
/// Only the decoder of this crate can make one from outside; [`Spanned::unplaced`] is for values that are in no file.
#[derive(Clone, Debug, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands; line 0 when it is in no file.
    pub place: Place,
    /// Where it is in the document, `models[0].targets[1].use`.
    pub path: Box<str>,
    /// What was written, when that is not the value: the text with its `${…}`, or nothing for a secret.
    pub raw: Option<Box<str>>,
}

impl<T> Spanned<T> {
    /// A value that stands in no file.
    pub fn unplaced(value: T) -> Self {
        Self { value, place: Place::default(), path: Box::default(), raw: None }
    }

    /// A problem with this value.
    pub fn problem(&self, code: Code, message: impl Into<String>) -> Problem {
        Problem::new(code, self.place, self.path.to_string(), message)
    }
}

impl<T: fmt::Display> Spanned<T> {
    /// The value as it may be shown: what was written, if variables were replaced in it.
    pub fn shown(&self) -> String {
        self.raw.as_deref().map_or_else(|| self.value.to_string(), str::to_owned)
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: Hash> Hash for Spanned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The name by which the decoder knows that a place is wanted.
pub(crate) const SPANNED: &str = "$tradewind::Spanned";
/// Line, column, length, path, raw text, value.
pub(crate) const SPANNED_PARTS: usize = 6;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple_struct(SPANNED, SPANNED_PARTS, SpannedVisitor(PhantomData))
    }
}

struct SpannedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
    type Value = Spanned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
        fn part<'de, A: SeqAccess<'de>, P: Deserialize<'de>>(parts: &mut A) -> Result<P, A::Error> {
            parts.next_element()?.ok_or_else(|| A::Error::custom("a part of a placed value is missing"))
        }
        let place = Place { line: part(&mut parts)?, column: part(&mut parts)?, length: part(&mut parts)? };
        let path: String = part(&mut parts)?;
        let raw: Option<String> = part(&mut parts)?;
        let value = part(&mut parts)?;
        Ok(Spanned { value, place, path: path.into(), raw: raw.map(Into::into) })
    }
}
