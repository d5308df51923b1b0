//! Where a field stands in the caller's request, written out only when somebody has to be told.

use std::fmt::{self, Write as _};

/// A key longer than this is cut in paths.
const LONGEST_KEY: usize = 64;

/// The place of a value: `messages[2].content[0].text`. A chain of borrowed steps, so that going down costs nothing.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) const ROOT: Self = Self { parent: None, step: Step::Root };

    pub(super) const fn key(&'p self, key: &'p str) -> Self {
        Self { parent: Some(self), step: Step::Key(key) }
    }

    pub(super) const fn index(&'p self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => {
                if self.parent.is_some_and(|parent| !matches!(parent.step, Step::Root)) {
                    f.write_char('.')?;
                }
                // A key may be anything that the caller likes; paths go into headers and records.
                key.chars().take(LONGEST_KEY).try_for_each(|c| f.write_char(if c.is_ascii_graphic() { c } else { '?' }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_one_would_in_code() {
        let messages = Path::ROOT.key("messages");
        let message = messages.index(2);
        let content = message.key("content");
        assert_eq!(content.index(0).key("text").to_string(), "messages[2].content[0].text");
        assert_eq!(Path::ROOT.to_string(), "");
        assert_eq!(Path::ROOT.key("schlüssel\n").to_string(), "schl?ssel?");
        assert_eq!(Path::ROOT.key(&"k".repeat(1000)).to_string().len(), LONGEST_KEY);
    }
}
