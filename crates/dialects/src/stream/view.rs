//! What the events of a stream say, for those who judge it: in `core`'s words, whatever the wire format.
//!
//! Other than the readers for translation it holds nothing back and lets pass what it has no words for: a stream that
//! passes on unchanged may have citations, audio, or several choices, of which it is the first.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use tradewind_core::{Delta, Finish};

use super::CallNumbers;
use super::from_chat::{Chunk, DONE, LEGACY};
use super::from_messages::Wired;
use crate::answer::{
    CALLS, Item, Lenient, Number, Response, Untranslatable, chat_finish, chat_probabilities, is_empty_object,
    messages_finish, token_probabilities, too_many_calls,
};
use crate::wire::Wire;

/// Reads one stream.
#[derive(Debug)]
pub struct StreamView {
    wire: Wire,
    /// The calls of chat completions.
    numbers: CallNumbers,
    /// The calls of the other formats, by the index of their block or item.
    calls: BTreeMap<u64, Call>,
    /// Whether any tool has been called.
    calls_tools: bool,
}

#[derive(Debug)]
struct Call {
    number: usize,
    /// Whether its arguments have begun.
    has_arguments: bool,
}

/// What is told.
type Tell<'t> = dyn FnMut(Delta<'_>) + 't;

impl StreamView {
    /// A view of a stream of wire format `wire`.
    #[must_use]
    pub const fn new(wire: Wire) -> Self {
        Self { wire, numbers: CallNumbers::new(), calls: BTreeMap::new(), calls_tools: false }
    }

    /// Takes the data of one event (without `data:`; `[DONE]` says nothing) and tells what it says, piece by piece.
    ///
    /// # Errors
    /// When the event is no JSON of the format's shape, or there are more than 1024 tool calls. What was told before
    /// stays true; the rest of the stream can be read on.
    pub fn event(&mut self, data: &[u8], tell: &mut dyn FnMut(Delta<'_>)) -> Result<(), Untranslatable> {
        match self.wire {
            Wire::Chat if data.trim_ascii() == DONE => Ok(()),
            Wire::Chat => self.chat(parse(data)?, tell),
            Wire::Messages => self.messages(parse(data)?, tell),
            Wire::Responses => self.responses(parse(data)?, tell),
        }
    }

    fn chat(&mut self, chunk: Chunk<'_>, tell: &mut Tell<'_>) -> Result<(), Untranslatable> {
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index.0.unwrap_or(0) == 0) {
            let delta = choice.delta.unwrap_or_default();
            text(&delta.content.text, Delta::Text, tell);
            text(&delta.refusal.0, Delta::Refusal, tell);
            if let Some(logprobs) = choice.logprobs.map(chat_probabilities).filter(|found| found.tokens > 0) {
                tell(Delta::Probabilities(logprobs));
            }
            let calls = (0u64..).zip(delta.tool_calls.into_iter().flatten());
            let calls = calls.filter_map(|(place, call)| Some((call.index.0.unwrap_or(place), call.parts().ok()?)));
            let legacy = delta.function_call.map(|function| (LEGACY, (Lenient::default(), function)));
            for (index, (id, function)) in calls.chain(legacy) {
                let (name, piece) = (&*function.name.0, &*function.arguments.0);
                let call = self.numbers.number(index, &id.0, name, piece).ok_or_else(too_many_calls)?;
                self.calls_tools = true;
                text(name, |name| Delta::ToolCall { call, name }, tell);
                text(piece, |piece| Delta::Arguments { call, piece }, tell);
            }
            if let Some(finish) = chat_finish(choice.finish_reason.0, self.calls_tools) {
                tell(Delta::Finish(finish));
            }
        }
        Ok(())
    }

    fn messages(&mut self, event: Wired<'_>, tell: &mut Tell<'_>) -> Result<(), Untranslatable> {
        let index = event.index.0.unwrap_or(0);
        match (&*event.kind.0, event.content_block, event.delta) {
            ("content_block_start", Some(block), _) if &*block.kind.0 == "text" => {
                text(&block.text.0, Delta::Text, tell);
            }
            ("content_block_start", Some(block), _) if &*block.kind.0 == "tool_use" => {
                let call = self.begin(index)?;
                text(&block.name.0, |name| Delta::ToolCall { call, name }, tell);
                // An empty object stands there also when the arguments are to come in pieces.
                let input = block.input.map_or("", RawValue::get);
                if !is_empty_object(input) {
                    text(input, |piece| Delta::Arguments { call, piece }, tell);
                }
            }
            ("content_block_delta", _, Some(delta)) => match &*delta.kind.0 {
                "text_delta" => text(&delta.text.0, Delta::Text, tell),
                "input_json_delta" => {
                    if let Some(Call { number: call, .. }) = self.calls.get(&index) {
                        text(&delta.partial_json.0, |piece| Delta::Arguments { call: *call, piece }, tell);
                    }
                }
                _ => {}
            },
            ("message_delta", _, Some(delta)) => {
                let finish = messages_finish(delta.stop_reason.0);
                if let (Some(Finish::ContentFilter), Some(details)) = (&finish, delta.stop_details) {
                    text(&details.explanation.0, Delta::Refusal, tell);
                }
                if let Some(finish) = finish {
                    tell(Delta::Finish(finish));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn responses(&mut self, event: ResponseEvent<'_>, tell: &mut Tell<'_>) -> Result<(), Untranslatable> {
        let index = event.output_index.0.unwrap_or(0);
        match (&*event.kind.0, event.item, event.response) {
            ("response.output_text.delta", ..) => {
                text(&event.delta.0, Delta::Text, tell);
                if let Some(logprobs) = event.logprobs.map(token_probabilities).filter(|found| found.tokens > 0) {
                    tell(Delta::Probabilities(logprobs));
                }
            }
            ("response.refusal.delta", ..) => text(&event.delta.0, Delta::Refusal, tell),
            ("response.output_item.added", Some(item), _) if &*item.kind.0 == "function_call" => {
                let call = self.begin(index)?;
                text(&item.name.0, |name| Delta::ToolCall { call, name }, tell);
            }
            ("response.function_call_arguments.delta", ..) => {
                if let Some(call) = self.calls.get_mut(&index) {
                    call.has_arguments |= !event.delta.0.is_empty();
                    let call = call.number;
                    text(&event.delta.0, |piece| Delta::Arguments { call, piece }, tell);
                }
            }
            // Some servers give the arguments at the end only.
            ("response.function_call_arguments.done", ..) => {
                if let Some(call) = self.calls.get_mut(&index).filter(|call| !call.has_arguments) {
                    call.has_arguments = true;
                    let call = call.number;
                    text(&event.arguments.0, |piece| Delta::Arguments { call, piece }, tell);
                }
            }
            ("response.completed" | "response.incomplete" | "response.failed", _, Some(response)) => {
                match response.finish() {
                    Some(Finish::Stop) if self.calls_tools => tell(Delta::Finish(Finish::ToolCalls)),
                    Some(finish) => tell(Delta::Finish(finish)),
                    None => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The number of the call that begins with block or item `index`.
    fn begin(&mut self, index: u64) -> Result<usize, Untranslatable> {
        let number = self.calls.get(&index).map_or(self.calls.len(), |call| call.number);
        if number == CALLS {
            return Err(too_many_calls());
        }
        self.calls_tools = true;
        self.calls.insert(index, Call { number, has_arguments: false });
        Ok(number)
    }
}

fn parse<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, Untranslatable> {
    serde_json::from_slice(data).map_err(|error| Untranslatable::unreadable("an event of the stream", &error))
}

/// Tells a piece, unless it is empty.
fn text<'p>(piece: &'p str, delta: impl FnOnce(&'p str) -> Delta<'p>, tell: &mut Tell<'_>) {
    if !piece.is_empty() {
        tell(delta(piece));
    }
}

/// An event of a response's stream.
#[derive(Deserialize)]
struct ResponseEvent<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Lenient<'a>,
    #[serde(default)]
    output_index: Number,
    #[serde(default, borrow)]
    delta: Lenient<'a>,
    #[serde(default, borrow)]
    arguments: Lenient<'a>,
    #[serde(default, borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(default, borrow)]
    item: Option<Item<'a>>,
    #[serde(default, borrow)]
    response: Option<Response<'a>>,
}
