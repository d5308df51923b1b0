//! JSON Patch (RFC 6902): a list of operations, all of which are carried out or none.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::equal::{Numbers, equal};
use super::json::{Reader, checked, depth, lead, trim, utf8};
use super::pointer::Pointer;
use super::tree::{Budget, Halt, Node};
use super::{ChangeError, MAX_DEPTH, Misfit};
use crate::settings::MAX_VALUE;

/// The most operations that a patch may have.
pub const MAX_OPERATIONS: usize = 10_000;

/// The most bytes of an array or object that was gone through that are written for a `test` of it, 32 MiB: twice the longest
/// value, as more comes of it only by copying it into itself.
const MAX_TESTED: usize = 2 * MAX_VALUE as usize;

/// A patch that was read; values stay text.
#[derive(Clone, Debug)]
pub struct Patch<'a> {
    operations: Vec<Operation<'a>>,
}

#[derive(Clone, Debug)]
struct Operation<'a> {
    path: Pointer,
    does: Does<'a>,
}

#[derive(Clone, Debug)]
enum Does<'a> {
    Add(&'a str),
    Remove,
    Replace(&'a str),
    Move(Pointer),
    Copy(Pointer),
    Test(&'a str),
}

impl Does<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Remove => "remove",
            Self::Replace(_) => "replace",
            Self::Move(_) => "move",
            Self::Copy(_) => "copy",
            Self::Test(_) => "test",
        }
    }
}

/// An operation as it is written. Members that it does not know are passed over, RFC 6902, section 4.
#[derive(Deserialize)]
struct Written<'a> {
    op: String,
    path: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default, borrow, deserialize_with = "present")]
    value: Option<&'a RawValue>,
}

/// A value that is there, `null` too.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Patch<'a> {
    /// Reads a patch of at most [`MAX_OPERATIONS`] operations.
    ///
    /// # Errors
    /// [`ChangeError::NotJson`], [`ChangeError::TooDeep`], [`ChangeError::NotPatch`], [`ChangeError::TooManyOperations`].
    pub fn parse(patch: &'a [u8]) -> Result<Self, ChangeError> {
        let text = trim(checked(patch, "the patch")?);
        let not_patch = || ChangeError::NotPatch("it is not an array of operations".to_owned());
        let mut reader = Reader::new(text).filter(|_| text.starts_with('[')).ok_or_else(not_patch)?;
        let mut operations = Vec::new();
        while let Ok(part) = reader.next() {
            if operations.len() == MAX_OPERATIONS {
                return Err(ChangeError::TooManyOperations);
            }
            let operation = Operation::parse(part.value)
                .map_err(|why| ChangeError::NotPatch(format!("operation {}: {why}", operations.len())))?;
            operations.push(operation);
        }
        Ok(Self { operations })
    }

    /// How many operations it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Whether it has a `test`: it is then meant for no other content than one that passes.
    #[must_use]
    pub fn has_test(&self) -> bool {
        self.operations.iter().any(|operation| matches!(operation.does, Does::Test(_)))
    }

    /// A JSON array of what it adds, when all that it does is to add at the end of the document: then the document, if it is an
    /// array, need not be gone through.
    #[must_use]
    pub fn additions(&self) -> Option<String> {
        let added = |operation: &Operation<'a>| match operation.does {
            Does::Add(value) if operation.path.as_str() == "/-" => Some(value),
            _ => None,
        };
        let added = self.operations.iter().map(added).collect::<Option<Vec<_>>>()?;
        Some(format!("[{}]", added.join(",")))
    }

    /// `document` with all operations carried out; at most `limit` bytes. What no operation touches stays as it is written.
    ///
    /// # Errors
    /// [`ChangeError::Operation`] names the first that does not fit; [`ChangeError::TooLarge`], [`ChangeError::TooDeep`],
    /// [`ChangeError::TooMuchWork`]; [`ChangeError::NotJson`] when `document` is not even text.
    pub fn apply(&self, document: &[u8], limit: usize) -> Result<Vec<u8>, ChangeError> {
        let document = utf8(document, "the content")?;
        let text = trim(document);
        let mut root = Node::Text(text);
        let mut budget = Budget::new();
        for (number, operation) in self.operations.iter().enumerate() {
            operation.apply(&mut root, &mut budget).map_err(|(pointer, halt)| match halt {
                Halt::Error(error) => error,
                Halt::Misfit(why) => ChangeError::Operation {
                    operation: number,
                    op: operation.does.name(),
                    path: pointer.as_str().to_owned(),
                    why,
                },
            })?;
        }
        let lead = lead(document).len();
        let mut out = Vec::with_capacity(document.len().min(limit));
        out.extend_from_slice(&document.as_bytes()[..lead]);
        root.write(&mut out, limit)?;
        out.extend_from_slice(&document.as_bytes()[lead + text.len()..]);
        if out.len() > limit {
            return Err(ChangeError::TooLarge { limit });
        }
        Ok(out)
    }
}

impl<'a> Operation<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        if !text.starts_with('{') {
            return Err("not an object".to_owned());
        }
        let written: Written<'a> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let value = || written.value.map(|value| trim(value.get())).ok_or_else(|| "`value` is missing".to_owned());
        let from = || Pointer::parse(written.from.clone().ok_or_else(|| "`from` is missing".to_owned())?);
        let does = match written.op.as_str() {
            "add" => Does::Add(value()?),
            "remove" => Does::Remove,
            "replace" => Does::Replace(value()?),
            "move" => Does::Move(from()?),
            "copy" => Does::Copy(from()?),
            "test" => Does::Test(value()?),
            other => return Err(format!("there is no operation {other:?}")),
        };
        Ok(Self { path: Pointer::parse(written.path)?, does })
    }

    /// Carries it out, or says which of its pointers does not fit.
    fn apply<'p>(&'p self, root: &mut Node<'a>, budget: &mut Budget) -> Result<(), (&'p Pointer, Halt)> {
        let path = self.path.tokens();
        let here = |halt| (&self.path, halt);
        match &self.does {
            Does::Add(value) => {
                fits(path, depth(value)).map_err(here)?;
                root.add(path, Node::Text(value), budget).map_err(here)
            }
            Does::Remove => root.remove(path, budget).map(drop).map_err(here),
            Does::Replace(value) => {
                fits(path, depth(value)).map_err(here)?;
                *root.find(path, budget).map_err(here)? = Node::Text(value);
                Ok(())
            }
            Does::Move(from) => {
                if self.path.is_inside(from) {
                    return Err(here(Misfit::IntoItself.into()));
                }
                let found = root.find(from.tokens(), budget).map_err(|halt| (from, halt))?;
                if self.path == *from {
                    return Ok(());
                }
                let deep = found.depth(budget).map_err(|halt| (from, halt))?;
                fits(path, deep).map_err(here)?;
                let value = root.remove(from.tokens(), budget).map_err(|halt| (from, halt))?;
                root.add(path, value, budget).map_err(here)
            }
            Does::Copy(from) => {
                let found = root.find(from.tokens(), budget).map_err(|halt| (from, halt))?;
                let deep = found.depth(budget).map_err(|halt| (from, halt))?;
                fits(path, deep).map_err(here)?;
                let value = found.copy(budget).map_err(|halt| (from, halt))?;
                root.add(path, value, budget).map_err(here)
            }
            Does::Test(value) => {
                let found = root.find(path, budget).map_err(here)?;
                let is_same = match found {
                    Node::Text(text) => equal(text, value, Numbers::ByValue, budget).map_err(here)?,
                    expanded => {
                        let size = expanded.size();
                        budget.work(size).map_err(here)?;
                        if size > MAX_TESTED {
                            return Err(here(Halt::Error(ChangeError::TooMuchWork)));
                        }
                        let mut text = Vec::with_capacity(size);
                        let whole = expanded.write(&mut text, size);
                        whole.map_err(|error| here(Halt::Error(error)))?;
                        let text = String::from_utf8_lossy(&text);
                        equal(&text, value, Numbers::ByValue, budget).map_err(here)?
                    }
                };
                if is_same { Ok(()) } else { Err(here(Misfit::Test.into())) }
            }
        }
    }
}

/// Whether a value that is nested so deep may stand at this place.
fn fits(path: &[String], deep: usize) -> Result<(), Halt> {
    if path.len() + deep > MAX_DEPTH { Err(Halt::Error(ChangeError::TooDeep)) } else { Ok(()) }
}
