//! From nodes to types, through serde: every error has the place and path of the innermost node it concerns.
//!
//! Serde stops at the first error, a person wants all of them. So an error is put among the [`Problems`] where it
//! arises, its node is marked as bad, and the value is decoded once more without the bad nodes, until it can be decoded
//! or nothing new turns up. What comes out of a document with problems is therefore incomplete, and good only for
//! finding more problems. Untagged enums and `flatten`, which try and retry, must not be used in a section.

mod access;
mod error;
mod path;

use std::cell::RefCell;
use std::collections::HashSet;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use tradewind_core::Code;

use self::access::{Entries, Items, SpannedParts, unknown_key};
use self::error::{Failure, Loose};
use self::path::Path;
use crate::node::{Node, Value};
use crate::problem::{Problem, Problems};
use crate::scalar::resolve;
use crate::sensitive;
use crate::spanned::SPANNED;

/// A key, or a value of a key, whose part is not built: refused by name wherever it stands in its section.
#[derive(Clone, Copy, Debug)]
pub struct NotBuilt {
    /// The key.
    pub key: &'static str,
    /// The one value of `key` that is meant; `None` for the key itself.
    pub value: Option<&'static str>,
    /// What it is, in a few words: `the way out of a provider`.
    pub what: &'static str,
}

impl NotBuilt {
    /// The key `key`, which would be `what`.
    #[must_use]
    pub const fn key(key: &'static str, what: &'static str) -> Self {
        Self { key, value: None, what }
    }

    /// The value `value` of the key `key`, which would be `what`.
    #[must_use]
    pub const fn value(key: &'static str, value: &'static str, what: &'static str) -> Self {
        Self { key, value: Some(value), what }
    }
}

/// Decodes the node at `path` as a `T`, with what is wrong in `problems`: then what could be decoded, with defaults in
/// place of the rest, or `None`.
pub fn decode<T: DeserializeOwned>(
    node: &Node,
    path: &str,
    not_built: &'static [NotBuilt],
    problems: &mut Problems,
) -> Option<T> {
    Context::with(problems, not_built, |context| decode_best(Cursor { node, path: Path::start(path), context }))
}

/// Decodes each item of the list at `path` on its own, as [`decode`] does. Items that cannot be decoded are left out;
/// null counts as an empty list.
pub fn decode_list<T: DeserializeOwned>(
    node: &Node,
    path: &str,
    not_built: &'static [NotBuilt],
    problems: &mut Problems,
) -> Vec<T> {
    if !matches!(node.value, Value::List(_) | Value::Null) {
        let message = format!("expected a list, found {}", node.described());
        problems.push(Problem::new(Code::ConfigBadValue, node.place, path, message));
    }
    let start = Path::start(path);
    Context::with(problems, not_built, |context| {
        let mut decoded = Vec::with_capacity(node.items().len());
        for (index, item) in node.items().iter().enumerate() {
            decoded.extend(decode_best(Cursor { node: item, path: start.index(index), context }));
        }
        decoded
    })
}

/// Decodes as much of a value as can be decoded.
fn decode_best<T: DeserializeOwned>(cursor: Cursor<'_>) -> Option<T> {
    for _ in 0..MOST_PASSES {
        let bad = cursor.context.bad.borrow().len();
        if let Ok(value) = T::deserialize(cursor) {
            return Some(value);
        }
        let found_more = cursor.context.bad.borrow().len() > bad;
        if !found_more || cursor.context.is_bad(cursor.node) {
            return None;
        }
    }
    None
}

/// How often a value is decoded again without what was bad in it. More problems than that in one entry of a list are
/// for the next run.
const MOST_PASSES: usize = 32;

/// What all cursors of one decoding share.
struct Context {
    problems: RefCell<Problems>,
    /// The addresses of nodes that were found to be bad: nothing moves while a document is decoded.
    bad: RefCell<HashSet<usize>>,
    not_built: &'static [NotBuilt],
}

impl Context {
    /// Takes the problems over for as long as `work` needs them.
    fn with<T>(problems: &mut Problems, not_built: &'static [NotBuilt], work: impl FnOnce(&Self) -> T) -> T {
        let context = Self { problems: RefCell::new(std::mem::take(problems)), bad: RefCell::default(), not_built };
        let done = work(&context);
        *problems = context.problems.into_inner();
        done
    }

    /// Puts a problem down, and marks what has it.
    fn report(&self, node: &Node, problem: Problem) {
        self.problems.borrow_mut().push(problem);
        self.mark(node);
    }

    fn mark(&self, node: &Node) {
        self.bad.borrow_mut().insert(std::ptr::from_ref(node).addr());
    }

    /// Whether this has a problem already, here or in an earlier stage.
    fn is_bad(&self, node: &Node) -> bool {
        node.is_broken() || self.bad.borrow().contains(&std::ptr::from_ref(node).addr())
    }

    /// Whether `key`, or its value `value`, belongs to a part that is not built.
    fn not_built(&self, key: &str, value: Option<&str>) -> Option<&'static NotBuilt> {
        self.not_built.iter().find(|part| part.key == key && part.value == value)
    }
}

/// A node on its way to a type.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    node: &'a Node,
    path: Path<'a>,
    context: &'a Context,
}

impl<'a> Cursor<'a> {
    /// Gives an error that has no place yet this node's, and puts it down.
    fn placed<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| {
            if let Failure::Loose(loose) = failure {
                self.report(loose);
            }
            Failure::Reported
        })
    }

    fn report(&self, loose: Loose) {
        if let Loose::Missing { field } = loose
            && self.node.get(field).is_some_and(|value| self.context.is_bad(value))
        {
            // It is there, and its problem is known.
            return self.context.mark(self.node);
        }
        let path = self.path.to_string();
        let hidden = sensitive::is_secret_path(&path);
        let problem = self.refused_value(&path).unwrap_or_else(|| loose.at(self.node, path, hidden));
        self.context.report(self.node, problem);
    }

    /// The problem with a value that names a part which is not built.
    fn refused_value(&self, path: &str) -> Option<Problem> {
        let text = self.node.as_str()?;
        let part = self.context.not_built(self.path.last_key()?, Some(text))?;
        let message = format!("`{}: {}` ({}) is not built yet", part.key, part.value.unwrap_or_default(), part.what);
        let problem = Problem::new(Code::ConfigNotBuilt, self.node.place, path, message);
        Some(problem.with_hint("choose another value, or remove the entry"))
    }

    fn wrong_kind<T>(&self, expected: &str) -> Result<T, Failure> {
        self.placed(Err(Failure::wrong_type(expected)))
    }

    fn visit_map<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Failure> {
        self.placed(visitor.visit_map(Entries::of(self, None)))
    }

    /// A number or truth value: text that came from a variable is read as what is wanted.
    fn visit_scalar<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.node.raw.is_some()
            && let Some(text) = self.node.as_str()
        {
            return match resolve(text) {
                Value::String(_) | Value::Null => self.deserialize_any(visitor),
                value => self.placed(visit_plain(&value, visitor)),
            };
        }
        self.deserialize_any(visitor)
    }

    /// A whole number, for which `2.0` will do.
    fn visit_whole<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value {
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                self.placed(visitor.visit_i64(number as i64))
            }
            _ => self.visit_scalar(visitor),
        }
    }
}

fn visit_plain<'de, V: Visitor<'de>>(value: &Value, visitor: V) -> Result<V::Value, Failure> {
    match value {
        Value::Bool(value) => visitor.visit_bool(*value),
        Value::Int(value) => match u64::try_from(*value) {
            Ok(value) => visitor.visit_u64(value),
            Err(_) => visitor.visit_i64(*value),
        },
        Value::Float(value) => visitor.visit_f64(*value),
        Value::String(text) => visitor.visit_str(text),
        Value::Null | Value::List(_) | Value::Map(_) => visitor.visit_unit(),
    }
}

macro_rules! forward {
    ($($method:ident => $to:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            self.$to(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Cursor<'_> {
    type Error = Failure;

    forward! {
        deserialize_bool => visit_scalar;
        deserialize_i8 => visit_whole;
        deserialize_i16 => visit_whole;
        deserialize_i32 => visit_whole;
        deserialize_i64 => visit_whole;
        deserialize_u8 => visit_whole;
        deserialize_u16 => visit_whole;
        deserialize_u32 => visit_whole;
        deserialize_u64 => visit_whole;
        deserialize_f32 => visit_scalar;
        deserialize_f64 => visit_scalar;
        deserialize_char => deserialize_any;
        deserialize_str => deserialize_any;
        deserialize_string => deserialize_any;
        deserialize_bytes => deserialize_any;
        deserialize_byte_buf => deserialize_any;
        deserialize_unit => deserialize_any;
        deserialize_identifier => deserialize_any;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::List(_) => self.placed(visitor.visit_seq(Items::of(&self))),
            Value::Map(_) => self.visit_map(visitor),
            value => self.placed(visit_plain(value, visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.node.is_null() { self.placed(visitor.visit_none()) } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        self.placed(visitor.visit_newtype_struct(self))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value {
            Value::List(_) | Value::Null => self.placed(visitor.visit_seq(Items::of(&self))),
            _ => self.wrong_kind("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name == SPANNED {
            return self.placed(visitor.visit_seq(SpannedParts::of(self)));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.node.value {
            Value::Map(_) | Value::Null => self.visit_map(visitor),
            _ => self.wrong_kind("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if !matches!(self.node.value, Value::Map(_) | Value::Null) {
            let few: Vec<String> = fields.iter().take(6).map(|field| format!("`{field}`")).collect();
            let more = if fields.len() > few.len() { ", …" } else { "" };
            return self.wrong_kind(&format!("a map with the keys {}{more}", few.join(", ")));
        }
        for entry in self.node.entries() {
            if !fields.contains(&&*entry.key) && !self.context.is_bad(&entry.value) {
                self.context.report(&entry.value, unknown_key(entry, fields, self.path, self.context));
            }
        }
        self.placed(visitor.visit_map(Entries::of(&self, Some(fields))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::String(text) => self.placed(visitor.visit_enum(StrDeserializer::new(text))),
            _ => self.placed(Err(Failure::wrong_variant(variants))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }
}
