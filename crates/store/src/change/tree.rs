//! A document that is expanded where a pointer goes through it, and text everywhere else.

use std::borrow::Cow;
use std::collections::HashSet;

use super::json::{Reader, read_string};
use super::pointer::index;
use super::{ChangeError, Misfit};

/// How much is done for one change. A unit is a byte that is read, about 0.4 ns: in all that is a fifth of a second, or 16 MiB
/// gone through thirty times.
const MAX_WORK: usize = 1 << 29;

/// What it costs to look at the name of a member, which lies anywhere in the text.
const LOOK: usize = 48;

/// What it costs to move a part by one place.
const MOVE: usize = 16;

/// The most parts of arrays and objects that are expanded for one change: 64 to 100 bytes of memory each.
const MAX_PARTS: usize = 1 << 20;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// As it is written, without white space around it.
    Text(&'a str),
    /// An array that a pointer went through.
    Array(Vec<Item<'a>>, &'a str),
    /// An object that a pointer went through.
    Object(Vec<Member<'a>>, &'a str),
}

/// An element of an array.
#[derive(Clone, Debug)]
pub(super) struct Item<'a> {
    lead: &'a str,
    value: Node<'a>,
}

/// A member of an object.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    lead: &'a str,
    /// With the quotes.
    name: Cow<'a, str>,
    colon: &'a str,
    value: Node<'a>,
}

/// What may still be done for a patch.
#[derive(Debug)]
pub(super) struct Budget {
    work: usize,
    parts: usize,
}

/// Why a step in a document was not taken.
#[derive(Debug)]
pub(super) enum Halt {
    Misfit(Misfit),
    Error(ChangeError),
}

impl From<Misfit> for Halt {
    fn from(misfit: Misfit) -> Self {
        Self::Misfit(misfit)
    }
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self { work: MAX_WORK, parts: MAX_PARTS }
    }

    /// So many bytes are read.
    pub(super) fn work(&mut self, units: usize) -> Result<(), Halt> {
        self.work = self.work.checked_sub(units).ok_or(Halt::Error(ChangeError::TooMuchWork))?;
        Ok(())
    }

    /// One more part is expanded.
    pub(super) fn part(&mut self) -> Result<(), Halt> {
        self.parts = self.parts.checked_sub(1).ok_or(Halt::Error(ChangeError::TooMuchWork))?;
        Ok(())
    }
}

impl<'a> Node<'a> {
    /// Makes an array or object out of its text; a scalar stays one.
    fn expand(&mut self, budget: &mut Budget) -> Result<(), Halt> {
        let Self::Text(text) = *self else { return Ok(()) };
        let Some(mut reader) = Reader::new(text) else { return Ok(()) };
        budget.work(text.len())?;
        let (mut items, mut members) = (Vec::new(), Vec::new());
        let tail = loop {
            match reader.next() {
                Err(tail) => break tail,
                Ok(part) => {
                    budget.part()?;
                    let (lead, value) = (part.lead, Self::Text(part.value));
                    match part.name {
                        None => items.push(Item { lead, value }),
                        Some((name, colon)) => members.push(Member { lead, name: Cow::Borrowed(name), colon, value }),
                    }
                }
            }
        };
        if text.starts_with('[') {
            *self = Self::Array(items, tail);
            return Ok(());
        }
        let mut names = HashSet::with_capacity(members.len());
        if !members.iter().all(|member| names.insert(read_string(&member.name))) {
            return Err(Misfit::Ambiguous.into());
        }
        drop(names);
        *self = Self::Object(members, tail);
        Ok(())
    }

    /// The value that `tokens` lead to.
    pub(super) fn find(&mut self, tokens: &[String], budget: &mut Budget) -> Result<&mut Self, Halt> {
        let mut node = self;
        for token in tokens {
            node.expand(budget)?;
            node = match node {
                Self::Text(_) => return Err(Misfit::Nothing.into()),
                Self::Array(items, _) => {
                    let place = index(token).ok_or(Misfit::Index)?;
                    &mut items.get_mut(place).ok_or(Misfit::Index)?.value
                }
                Self::Object(members, _) => {
                    let place = place(members, token, budget)?.ok_or(Misfit::Nothing)?;
                    &mut members[place].value
                }
            };
        }
        Ok(node)
    }

    /// Puts a value there: a member, new or in the place of another; an element before the one that is there, or behind the
    /// last one; or the whole document.
    pub(super) fn add(&mut self, tokens: &[String], value: Self, budget: &mut Budget) -> Result<(), Halt> {
        let Some((last, parents)) = tokens.split_last() else {
            *self = value;
            return Ok(());
        };
        let parent = self.find(parents, budget)?;
        parent.expand(budget)?;
        match parent {
            Self::Text(_) => Err(Misfit::Nothing.into()),
            Self::Array(items, _) => {
                let at = if last == "-" { items.len() } else { index(last).ok_or(Misfit::Index)? };
                if at > items.len() {
                    return Err(Misfit::Index.into());
                }
                budget.part()?;
                budget.work((items.len() - at) * MOVE)?;
                // White space as its neighbour has it, so that a document with one element a line stays so.
                let lead = items.get(at.min(items.len().saturating_sub(1))).map_or("", |item| item.lead);
                items.insert(at, Item { lead, value });
                Ok(())
            }
            Self::Object(members, _) => {
                if let Some(place) = place(members, last, budget)? {
                    members[place].value = value;
                    return Ok(());
                }
                budget.part()?;
                let (lead, colon) = members.last().map_or(("", ":"), |member| (member.lead, member.colon));
                members.push(Member { lead, name: Cow::Owned(super::json::write_string(last)), colon, value });
                Ok(())
            }
        }
    }

    /// Takes the value away that `tokens` lead to.
    pub(super) fn remove(&mut self, tokens: &[String], budget: &mut Budget) -> Result<Self, Halt> {
        let (last, parents) = tokens.split_last().ok_or(Misfit::Root)?;
        let parent = self.find(parents, budget)?;
        parent.expand(budget)?;
        match parent {
            Self::Text(_) => Err(Misfit::Nothing.into()),
            Self::Array(items, _) => {
                let at = index(last).filter(|at| *at < items.len()).ok_or(Misfit::Index)?;
                budget.work((items.len() - at) * MOVE)?;
                Ok(items.remove(at).value)
            }
            Self::Object(members, _) => {
                let at = place(members, last, budget)?.ok_or(Misfit::Nothing)?;
                budget.work((members.len() - at) * MOVE)?;
                Ok(members.remove(at).value)
            }
        }
    }

    /// A copy of it; what is expanded counts again.
    pub(super) fn copy(&self, budget: &mut Budget) -> Result<Self, Halt> {
        self.count(budget)?;
        Ok(self.clone())
    }

    fn count(&self, budget: &mut Budget) -> Result<(), Halt> {
        match self {
            Self::Text(_) => Ok(()),
            Self::Array(items, _) => {
                items.iter().try_for_each(|item| budget.part().and_then(|()| item.value.count(budget)))
            }
            Self::Object(members, _) => {
                members.iter().try_for_each(|member| budget.part().and_then(|()| member.value.count(budget)))
            }
        }
    }

    /// Writes it behind `out`, which then has at most `limit` bytes.
    pub(super) fn write(&self, out: &mut Vec<u8>, limit: usize) -> Result<(), ChangeError> {
        let mut put = |text: &str| -> Result<(), ChangeError> {
            if text.len() > limit.saturating_sub(out.len()) {
                return Err(ChangeError::TooLarge { limit });
            }
            out.extend_from_slice(text.as_bytes());
            Ok(())
        };
        self.pieces(&mut put)
    }

    /// Bytes that it takes when it is written.
    pub(super) fn size(&self) -> usize {
        let mut size = 0;
        let counted = self.pieces(&mut |text| {
            size += text.len();
            Ok(())
        });
        counted.map_or(usize::MAX, |()| size)
    }

    fn pieces(&self, put: &mut dyn FnMut(&str) -> Result<(), ChangeError>) -> Result<(), ChangeError> {
        match self {
            Self::Text(text) => put(text),
            Self::Array(items, tail) => {
                put("[")?;
                for (count, item) in items.iter().enumerate() {
                    put(if count == 0 { "" } else { "," })?;
                    put(item.lead)?;
                    item.value.pieces(put)?;
                }
                put(tail)?;
                put("]")
            }
            Self::Object(members, tail) => {
                put("{")?;
                for (count, member) in members.iter().enumerate() {
                    put(if count == 0 { "" } else { "," })?;
                    put(member.lead)?;
                    put(&member.name)?;
                    put(member.colon)?;
                    member.value.pieces(put)?;
                }
                put(tail)?;
                put("}")
            }
        }
    }

    /// How deep arrays and objects are nested in it.
    pub(super) fn depth(&self, budget: &mut Budget) -> Result<usize, Halt> {
        let mut deepest = 0;
        match self {
            Self::Text(text) => {
                budget.work(text.len())?;
                return Ok(super::json::depth(text));
            }
            Self::Array(items, _) => {
                for item in items {
                    deepest = deepest.max(item.value.depth(budget)?);
                }
            }
            Self::Object(members, _) => {
                for member in members {
                    deepest = deepest.max(member.value.depth(budget)?);
                }
            }
        }
        Ok(deepest + 1)
    }
}

/// The place of the member of this name.
fn place(members: &[Member<'_>], name: &str, budget: &mut Budget) -> Result<Option<usize>, Halt> {
    budget.work(members.len() * LOOK)?;
    Ok(members.iter().position(|member| {
        let literal = member.name.as_bytes();
        // Most names are written without a backslash, and those are compared as they are.
        let plain = literal.get(1..literal.len().saturating_sub(1));
        plain == Some(name.as_bytes()) && !name.contains('\\') || *read_string(&member.name) == *name.as_bytes()
    }))
}
