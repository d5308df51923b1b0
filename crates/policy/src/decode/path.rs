//! The way from the document to a node, as a chain on the stack: text is made of it only when there is a problem.

use std::fmt;

/// A path, `models[0].targets[1].use`.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    parent: Option<&'a Self>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Start(&'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The path that is written `text`.
    pub(super) const fn start(text: &'a str) -> Self {
        Self { parent: None, step: Step::Start(text) }
    }

    /// The value of `key` below this.
    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Key(key) }
    }

    /// The item `index` below this.
    pub(super) const fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }

    /// The nearest key on the way up.
    pub(super) fn last_key(&self) -> Option<&str> {
        match (self.step, self.parent) {
            (Step::Key(key), _) => Some(key),
            (Step::Index(_), Some(parent)) => parent.last_key(),
            (Step::Start(text), _) => text.rsplit('.').next(),
            (Step::Index(_), None) => None,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Start(text) => f.write_str(text),
            Step::Key(key) if self.parent.is_some_and(Path::is_empty) => f.write_str(key),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl Path<'_> {
    fn is_empty(&self) -> bool {
        matches!(self.step, Step::Start(""))
    }
}
