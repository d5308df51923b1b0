//! Three-way merges: what one writer changed is put into what another has written meanwhile.

use std::collections::HashSet;
use std::fmt;

use super::ChangeError;
use super::diff::members;
use super::equal::{Numbers, equal};
use super::json::{trim, utf8};
use super::pointer::push;
use super::tree::{Budget, Halt, Node};

/// The most conflicts that are named.
pub const MAX_CONFLICTS: usize = 100;

/// The three contents of a merge.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// What both writers began with.
    pub base: &'a [u8],
    /// What is there: the other writer's.
    pub head: &'a [u8],
    /// What is to be written.
    pub new: &'a [u8],
    /// Bytes that the merged content may have.
    pub limit: usize,
}

/// Why there is no merged content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Both writers changed the same.
    #[error("both writers changed {0}")]
    Conflicts(Conflicts),
    /// One of the contents cannot be worked on, or the merged one cannot be kept.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// What both writers changed: JSON Pointers in order, at most [`MAX_CONFLICTS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflicts {
    /// The places.
    pub paths: Vec<String>,
    /// Whether there are more.
    pub more: bool,
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self.paths.iter().take(5).map(|path| format!("{path:?}")).collect();
        f.write_str(&named.join(", "))?;
        if self.more || self.paths.len() > named.len() { f.write_str(" and more") } else { Ok(()) }
    }
}

/// Makes one content out of two that were written on the same base. It is a pure function: of the same three contents it
/// makes the same fourth, and it is called again when the merged content loses its race.
pub trait Merger: Send + Sync {
    /// The merged content.
    ///
    /// # Errors
    /// [`MergeError`]; the write is then refused as if there were no merge.
    fn merge(&self, sides: Sides<'_>) -> Result<Vec<u8>, MergeError>;
}

/// Merges JSON where the writers changed different members, at any depth.
///
/// A member that one of them added, removed or changed, and the other left as it was, is as that one has it. A member that
/// both changed is a conflict, even where both made it the same: of two who count from 1 to 2, or who both take the same
/// job, one has to do it again. An array is one value: the same place need not hold the same thing in two arrays,
/// and nothing says which of two additions to its end comes first, so whoever adds to lists in turns appends instead. The
/// merged content is what is there, with what the writer changed put in: all else stays as it is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct DisjointJson;

impl Merger for DisjointJson {
    fn merge(&self, sides: Sides<'_>) -> Result<Vec<u8>, MergeError> {
        let text = |content| utf8(content, "the content").map(trim);
        let (base, head, new) = (text(sides.base)?, text(sides.head)?, text(sides.new)?);
        let mut walk = Walk { root: Node::Text(head), conflicts: Conflicts::default(), budget: Budget::new() };
        walk.step(Some(base), Some(head), Some(new), &mut Vec::new()).map_err(|halt| match halt {
            Halt::Error(error) => MergeError::Change(error),
            // Only an object with two members of one name could be in the way, and no step goes into such a one.
            Halt::Misfit(_) => MergeError::Change(ChangeError::TooMuchWork),
        })?;
        if !walk.conflicts.paths.is_empty() {
            walk.conflicts.paths.sort_unstable();
            return Err(MergeError::Conflicts(walk.conflicts));
        }
        let mut out = Vec::with_capacity(sides.head.len().min(sides.limit));
        walk.root.write(&mut out, sides.limit)?;
        Ok(out)
    }
}

struct Walk<'a> {
    root: Node<'a>,
    conflicts: Conflicts,
    budget: Budget,
}

impl<'a> Walk<'a> {
    /// Puts into `root` what `new` changed of `base` at `path`. `None` is a member that is not there. It goes no deeper than
    /// [`MAX_DEPTH`](super::MAX_DEPTH), since below that no two texts are equal and none is an object of all three.
    fn step(
        &mut self,
        base: Option<&'a str>,
        head: Option<&'a str>,
        new: Option<&'a str>,
        path: &mut Vec<String>,
    ) -> Result<(), Halt> {
        if base == new {
            return Ok(());
        }
        // Objects are gone into before they are compared: what is the same in them changes nothing.
        if let (Some(base), Some(head), Some(new)) = (base, head, new)
            && base != head
            && path.len() < super::MAX_DEPTH
            && let Some(base) = members(base, &mut self.budget)?
            && let Some(head) = members(head, &mut self.budget)?
            && let Some(new) = members(new, &mut self.budget)?
        {
            return self.objects(&base, &head, &new, path);
        }
        if self.same(base, new)? {
            return Ok(());
        }
        if self.same(base, head)? {
            return match new {
                Some(value) => self.root.add(path, Node::Text(value), &mut self.budget),
                None => self.root.remove(path, &mut self.budget).map(drop),
            };
        }
        self.conflict(path);
        Ok(())
    }

    fn objects(
        &mut self,
        base: &[(String, &'a str)],
        head: &[(String, &'a str)],
        new: &[(String, &'a str)],
        path: &mut Vec<String>,
    ) -> Result<(), Halt> {
        let mut sorted = [base, head, new].map(<[_]>::to_vec);
        for members in &mut sorted {
            members.sort_unstable();
        }
        let [base_by_name, head_by_name, new_by_name] = &sorted;
        let find = |members: &[(String, &'a str)], name: &str| {
            members.binary_search_by(|member| member.0.as_str().cmp(name)).ok().map(|place| members[place].1)
        };
        // Members are added in the order in which their writer has them. Those of `head` alone are its own additions.
        let mut seen = HashSet::new();
        for (name, _) in new.iter().chain(base) {
            if !seen.insert(name) {
                continue;
            }
            path.push(name.clone());
            let step = self.step(find(base_by_name, name), find(head_by_name, name), find(new_by_name, name), path);
            path.pop();
            step?;
        }
        Ok(())
    }

    fn same(&mut self, left: Option<&str>, right: Option<&str>) -> Result<bool, Halt> {
        match (left, right) {
            (Some(left), Some(right)) => equal(left, right, Numbers::AsWritten, &mut self.budget),
            (left, right) => Ok(left.is_none() && right.is_none()),
        }
    }

    fn conflict(&mut self, path: &[String]) {
        if self.conflicts.paths.len() == MAX_CONFLICTS {
            self.conflicts.more = true;
            return;
        }
        let mut pointer = String::new();
        for token in path {
            push(&mut pointer, token);
        }
        self.conflicts.paths.push(pointer);
    }
}
