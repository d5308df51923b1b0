//! Tool-call arguments that come in pieces: they have to add up to JSON before the caller is told that they are complete.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use tradewind_core::{Fault, FaultKind};
use tradewind_dialects::CallNumbers;

/// The arguments of the tool calls of one answer. They are bounded by `limit` bytes altogether, ids and names included,
/// and by [`CallNumbers::MOST`] calls.
#[derive(Debug)]
pub(crate) struct ToolArguments {
    pieces: BTreeMap<u64, String>,
    numbers: CallNumbers,
    /// The bytes of `pieces`.
    held: usize,
    limit: usize,
}

impl ToolArguments {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { pieces: BTreeMap::new(), numbers: CallNumbers::new(), held: 0, limit }
    }

    /// The number of the call that a piece of a chat completion belongs to. What the piece does not say is empty.
    pub(crate) fn call(&mut self, index: u64, id: &str, name: &str, arguments: &str) -> Result<u64, Fault> {
        let number = self.numbers.number(index, id, name, arguments).ok_or_else(too_many)?;
        self.check_size()?;
        Ok(number as u64)
    }

    /// Adds a piece of the arguments of call `number`.
    pub(crate) fn add(&mut self, number: u64, piece: &str) -> Result<(), Fault> {
        /// What an entry takes besides its text.
        const ENTRY: usize = size_of::<(u64, String)>();
        let is_new = !self.pieces.contains_key(&number);
        if is_new && self.pieces.len() == CallNumbers::MOST {
            return Err(too_many());
        }
        self.held += piece.len() + if is_new { ENTRY } else { 0 };
        self.check_size()?;
        self.pieces.entry(number).or_default().push_str(piece);
        Ok(())
    }

    fn check_size(&self) -> Result<(), Fault> {
        if self.held + self.numbers.bytes() <= self.limit {
            return Ok(());
        }
        let detail = format!("the tool calls of one answer are larger than {} bytes", self.limit);
        Err(Fault::new(FaultKind::TooLarge, detail))
    }

    /// Checks all calls and forgets them.
    pub(crate) fn finish_all(&mut self) -> Result<(), Fault> {
        let pieces = std::mem::take(&mut self.pieces);
        self.forget();
        for text in pieces.values() {
            check_arguments(text)?;
        }
        Ok(())
    }

    /// Forgets all calls: the answer was cut at its token limit, and says so itself.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.limit);
    }
}

fn too_many() -> Fault {
    Fault::new(FaultKind::TooLarge, format!("one answer calls more than {} tools", CallNumbers::MOST))
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
        // What tells calls apart is tested where their numbers are given.
        for (id, name, piece) in [("a", "f", "{}"), ("b", "f", "{\"x\""), ("c", "", ":1}"), ("b", "", " ")] {
            let call = tools.call(0, id, name, piece).unwrap();
            tools.add(call, piece).unwrap();
        }
        assert_eq!(tools.finish_all(), Ok(()));
    }

    #[test]
    fn sizes_and_calls_are_bounded() {
        let too_large = |result: Result<(), Fault>| result.unwrap_err().kind == FaultKind::TooLarge;
        assert!(too_large(ToolArguments::new(40).add(0, "{\"a large one\"")));
        let long = "x".repeat(1000);
        assert!(too_large(ToolArguments::new(1000).call(0, &long, "f", "").map(drop)), "ids count");
        assert!(too_large(ToolArguments::new(1000).call(0, "a", &long, "").map(drop)), "names count");
        let mut tools = ToolArguments::new(1 << 24);
        for index in 0..CallNumbers::MOST as u64 {
            let call = tools.call(index, "", "f", "{}").unwrap();
            tools.add(call, "{}").unwrap();
        }
        assert!(too_large(tools.call(u64::MAX, "", "f", "{}").map(drop)));
        assert!(too_large(tools.add(u64::MAX, "{}")));
        tools.add(7, " ").unwrap();
        assert_eq!(tools.finish_all(), Ok(()));
        tools.call(u64::MAX, "", "f", "{}").unwrap();
    }

    /// Pieces as servers really send them: another id in each piece, no index, `null` as the index.
    #[test]
    fn pieces_of_a_stream_find_their_call() {
        let chunk = |calls: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{calls}]}}}}]}}"#);
        let finish = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;
        for (calls, fits) in [
            (
                &[
                    r#"{"index":0,"id":"r1","function":{"name":"f","arguments":""}}"#,
                    r#"{"index":0,"id":"r2","function":{"arguments":"{\"x\""}}"#,
                    r#"{"index":0,"id":"r3","function":{"name":null,"arguments":":1}"}}"#,
                ][..],
                true,
            ),
            (
                &[
                    r#"{"index":null,"function":{"name":"f","arguments":"{}"}},{"index":null,"function":{"name":"g","arguments":"{"}}"#,
                    r#"{"index":1,"function":{"arguments":"}"}}"#,
                    r#"{"function":{"name":"h","arguments":"{}"}}"#,
                ],
                true,
            ),
            (&[r#"{"index":0,"function":{"name":"f","arguments":"{"}}"#], false),
        ] {
            let mut stream = crate::openai::ChatStream::new(10_000);
            for calls in calls {
                stream.event(chunk(calls).as_bytes()).unwrap();
            }
            assert_eq!(stream.event(finish.as_bytes()).is_ok(), fits, "{calls:?}");
        }
    }
}
