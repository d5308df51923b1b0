//! Tool-call arguments that come in pieces: they have to add up to JSON before the caller is told that they are complete.

use serde::de::IgnoredAny;
use tradewind_core::{Fault, FaultKind};

/// The arguments of the tool calls of one answer, by their index. Bounded by `limit` bytes altogether.
#[derive(Debug)]
pub(crate) struct ToolArguments {
    pieces: Vec<(u64, String)>,
    held: usize,
    limit: usize,
}

impl ToolArguments {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { pieces: Vec::new(), held: 0, limit }
    }

    /// Adds a piece of the arguments of call `index`.
    pub(crate) fn add(&mut self, index: u64, piece: &str) -> Result<(), Fault> {
        self.held += piece.len();
        if self.held > self.limit {
            let detail = format!("the tool-call arguments of one answer are larger than {} bytes", self.limit);
            return Err(Fault::new(FaultKind::TooLarge, detail));
        }
        match self.pieces.iter_mut().find(|(known, _)| *known == index) {
            Some((_, text)) => text.push_str(piece),
            None => self.pieces.push((index, piece.to_owned())),
        }
        Ok(())
    }

    /// Checks all calls and forgets them.
    pub(crate) fn finish_all(&mut self) -> Result<(), Fault> {
        self.held = 0;
        for (_, text) in std::mem::take(&mut self.pieces) {
            check_arguments(&text)?;
        }
        Ok(())
    }

    /// Forgets all calls: the answer was cut at its token limit, and says so itself.
    pub(crate) fn forget(&mut self) {
        self.held = 0;
        self.pieces.clear();
    }
}

/// Whether the arguments of one call are JSON. None at all are fine: a tool may have no parameters.
pub(crate) fn check_arguments(text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() || serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Ok(());
    }
    Err(Fault::new(FaultKind::BadToolCall, "the arguments of a tool call do not add up to JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_for_each_call() {
        let mut tools = ToolArguments::new(1000);
        for (index, piece) in [(0, "{\"a\""), (1, "{}"), (0, ":1}"), (2, "")] {
            tools.add(index, piece).unwrap();
        }
        assert_eq!(tools.finish_all(), Ok(()));
        tools.add(0, "{\"a\":").unwrap();
        assert_eq!(tools.finish_all().unwrap_err().kind, FaultKind::BadToolCall);
        assert_eq!(tools.finish_all(), Ok(()));
        assert_eq!(ToolArguments::new(3).add(0, "{\"a\"").unwrap_err().kind, FaultKind::TooLarge);
    }
}
