//! Which tool call a piece in a stream of chat completions belongs to. The index should say it, but servers differ: some
//! give all calls the index 0, some give every piece another id, some give no ids.
//!
//! A call begins with its name, so only a piece with a name can begin another call of the same index. Then the id tells
//! the two apart, and where one of them has none, the name, or that the arguments before are over and begin anew.

use std::collections::BTreeMap;

use crate::answer::CALLS;

/// Gives each tool call of a stream a number, from 0 in the order in which they come. Work for each piece grows with its
/// length alone, and at most [`CallNumbers::MOST`] calls are known.
#[derive(Debug, Default)]
pub struct CallNumbers {
    last: BTreeMap<u64, Last>,
    count: usize,
    bytes: usize,
}

/// The last call of an index.
#[derive(Debug, Default)]
struct Last {
    number: usize,
    id: String,
    /// Empty until it is known.
    name: String,
    /// Whether the arguments so far end with a brace.
    closed: bool,
}

impl CallNumbers {
    /// The most tool calls of one answer.
    pub const MOST: usize = CALLS;

    /// No calls yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: BTreeMap::new(), count: 0, bytes: 0 }
    }

    /// The number of the call that a piece belongs to; `None` when that would be one more than [`Self::MOST`]. What a
    /// piece does not say is empty. A piece without an index has its place in the list of its event for one.
    pub fn number(&mut self, index: u64, id: &str, name: &str, arguments: &str) -> Option<usize> {
        let known = self.last.get(&index);
        if known.is_none_or(|last| last.is_over(id, name, arguments)) {
            if self.count == Self::MOST {
                return None;
            }
            let held = known.map_or(0, Last::bytes);
            self.last.insert(index, Last { number: self.count, ..Last::default() });
            self.count += 1;
            self.bytes = self.bytes - held + size_of::<Last>();
        }
        let last = self.last.get_mut(&index)?;
        for (known, said) in [(&mut last.id, id), (&mut last.name, name)] {
            if known.is_empty() {
                known.push_str(said);
                self.bytes += said.len();
            }
        }
        if let Some(end) = arguments.trim_ascii_end().bytes().next_back() {
            last.closed = end == b'}';
        }
        Some(last.number)
    }

    /// How many bytes are held for the calls.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Last {
    /// Whether a piece that says this begins another call.
    fn is_over(&self, id: &str, name: &str, arguments: &str) -> bool {
        if name.is_empty() || self.name.is_empty() {
            return false;
        }
        if !id.is_empty() && !self.id.is_empty() {
            return id != self.id;
        }
        // No JSON has an object right behind another one.
        name != self.name || (self.closed && arguments.trim_ascii_start().starts_with('{'))
    }

    const fn bytes(&self) -> usize {
        size_of::<Self>() + self.id.len() + self.name.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_find_their_call() {
        for (pieces, numbers) in [
            // As it should be.
            (
                &[(0, "a", "f", ""), (0, "", "", "{"), (1, "b", "g", ""), (0, "", "", "}"), (1, "", "", "{}")][..],
                "00101",
            ),
            // All calls have the index 0 and ids of their own.
            (&[(0, "a", "f", "{}"), (0, "b", "f", "{"), (0, "b", "", "}"), (0, "b", "f", "")], "0111"),
            // Every piece has another id.
            (&[(0, "r1", "f", ""), (0, "r2", "", "{"), (0, "r3", "", "}")], "000"),
            // No ids at all.
            (&[(0, "", "f", "{}"), (0, "", "g", "{"), (0, "", "", "}")], "011"),
            (&[(0, "", "f", "{} "), (0, "", "f", " {\"a\":"), (0, "", "f", "{}"), (0, "", "f", "}")], "0111"),
            // The name comes late.
            (&[(7, "", "", "{"), (7, "a", "f", "}"), (7, "a", "f", "")], "000"),
        ] {
            let mut calls = CallNumbers::new();
            let said: String = pieces
                .iter()
                .map(|(index, id, name, piece)| calls.number(*index, id, name, piece).unwrap().to_string())
                .collect();
            assert_eq!(said, numbers, "{pieces:?}");
        }
    }

    #[test]
    fn calls_and_what_is_held_are_counted() {
        let mut calls = CallNumbers::new();
        for index in 0..CallNumbers::MOST {
            assert_eq!(calls.number(index as u64, "id", "name", "{}"), Some(index));
        }
        assert_eq!(calls.bytes(), CallNumbers::MOST * (size_of::<Last>() + 6));
        assert_eq!(calls.number(5, "", "", "{}"), Some(5));
        assert_eq!(calls.number(5, "other", "name", "{}"), None);
        assert_eq!(calls.number(u64::MAX, "id", "name", "{}"), None);
        let mut one = CallNumbers::new();
        for id in ["a", "b", "c"] {
            one.number(0, id, "f", "").unwrap();
        }
        assert_eq!(one.bytes(), size_of::<Last>() + 2, "an earlier call of the same index is forgotten");
    }
}
