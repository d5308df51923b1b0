//! Reads the chunks of a chat completion.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{CallNumbers, Event, Held, Sink};
use crate::answer::{
    AnswerContext, CallParts, ChatCounts, ChatMessage, Lenient, Number, Stop, Untranslatable, call_id, thinking_of,
    too_many_calls,
};

/// The last event's data.
pub(super) const DONE: &[u8] = b"[DONE]";
/// The index under which a legacy `function_call` is kept.
pub(super) const LEGACY: u64 = u64::MAX;

#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(default, borrow)]
    id: Lenient<'a>,
    #[serde(default, borrow)]
    model: Lenient<'a>,
    #[serde(default, borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<ChatCounts>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Number,
    #[serde(default, borrow)]
    pub(super) delta: Option<ChatMessage<'a>>,
    #[serde(default, borrow)]
    pub(super) finish_reason: Lenient<'a>,
    #[serde(default, borrow)]
    stop_reason: Lenient<'a>,
    /// Not translated; what an answer is judged by.
    #[serde(default, borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
}

/// A tool call of the stream.
#[derive(Debug)]
struct Call {
    id: String,
    /// Its number among the calls that have begun. A call begins when its name is known.
    number: Option<usize>,
    /// Arguments that came before the name.
    early: String,
}

/// The reader.
#[derive(Debug)]
pub(super) struct ChatReader {
    context: AnswerContext,
    started: bool,
    numbers: CallNumbers,
    /// By their numbers.
    calls: Vec<Call>,
    /// How many calls have begun.
    begun: usize,
    /// Whether no words came since the last call began, and the white space that did.
    behind_call: bool,
    blank: String,
    /// The thinking block that the last piece belonged to.
    thinking: u64,
    held: Held,
}

impl ChatReader {
    pub(super) fn new(context: AnswerContext, limit: usize) -> Self {
        Self {
            context,
            started: false,
            numbers: CallNumbers::new(),
            calls: Vec::new(),
            begun: 0,
            behind_call: false,
            blank: String::new(),
            thinking: 0,
            held: Held::new(limit),
        }
    }

    pub(super) fn event(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        if data.trim_ascii() == DONE {
            self.start("", "", sink)?;
            if self.calls.iter().any(|call| call.number.is_none()) {
                return Err(Untranslatable::new("a tool call has no name"));
            }
            return sink(Event::End);
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data)
            .map_err(|error| Untranslatable::unreadable("an event of the stream", &error))?;
        for choice in chunk.choices.into_iter().flatten() {
            // Azure sends a chunk about its filters before the answer, without id and model, and without a choice.
            self.start(&chunk.id.0, &chunk.model.0, sink)?;
            self.choice(choice, sink)?;
        }
        match chunk.usage.and_then(|counts| counts.tokens()) {
            Some(tokens) => sink(Event::Usage(tokens)),
            None => Ok(()),
        }
    }

    fn start(&mut self, id: &str, model: &str, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        sink(Event::Start { id, model })
    }

    fn choice(&mut self, choice: Choice<'_>, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        if choice.index.0.unwrap_or(0) != 0 {
            return Err(Untranslatable::new("the answer has not exactly one choice"));
        }
        if let Some(mut delta) = choice.delta {
            delta.check()?;
            self.thinking(&mut delta, sink)?;
            self.text(&delta.content.text, sink)?;
            if !delta.refusal.0.is_empty() {
                sink(Event::Refusal(&delta.refusal.0))?;
            }
            for (place, call) in (0u64..).zip(delta.tool_calls.into_iter().flatten()) {
                let index = call.index.0.unwrap_or(place);
                self.call(index, call.parts()?, sink)?;
            }
            if let Some(function) = delta.function_call {
                self.call(LEGACY, (Lenient::default(), function), sink)?;
            }
        }
        if choice.finish_reason.0.is_empty() {
            return Ok(());
        }
        sink(Event::Stop(Stop::from_chat(&choice.finish_reason.0, choice.stop_reason.0, !self.calls.is_empty())?))
    }

    fn thinking(&mut self, delta: &mut ChatMessage<'_>, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        let text = thinking_of(delta);
        let Some(blocks) = delta.thinking_blocks.take().filter(|blocks| !blocks.is_empty()) else {
            return if text.is_empty() { Ok(()) } else { sink(Event::Thinking(&text)) };
        };
        // The blocks say the same as the text, and more.
        for block in blocks {
            if let Some(index) = block.index.0
                && std::mem::replace(&mut self.thinking, index) != index
            {
                sink(Event::BlockEnd)?;
            }
            if !block.thinking.0.is_empty() {
                sink(Event::Thinking(&block.thinking.0))?;
            }
            if !block.signature.0.is_empty() {
                sink(Event::Signature(&block.signature.0))?;
            }
            if !block.data.0.is_empty() {
                sink(Event::Redacted(&block.data.0))?;
            }
        }
        Ok(())
    }

    /// A piece of text. White space behind a tool call waits for words: alone it would be a block behind the call, and
    /// no provider takes such a message back.
    fn text(&mut self, text: &str, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.behind_call {
            return sink(Event::Text(text));
        }
        if text.trim().is_empty() {
            self.held.add(text.len())?;
            self.blank.push_str(text);
            return Ok(());
        }
        self.behind_call = false;
        let blank = std::mem::take(&mut self.blank);
        self.held.remove(blank.len());
        if blank.is_empty() { sink(Event::Text(text)) } else { sink(Event::Text(&(blank + text))) }
    }

    /// A piece of a tool call.
    fn call(&mut self, index: u64, (id, function): CallParts<'_>, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        let (id, name, piece) = (&*id.0, &*function.name.0, &*function.arguments.0);
        self.held.remove(self.numbers.bytes());
        let at = self.numbers.number(index, id, name, piece).ok_or_else(too_many_calls)?;
        self.held.add(self.numbers.bytes())?;
        if at == self.calls.len() {
            self.held.add(size_of::<Call>())?;
            self.calls.push(Call { id: String::new(), number: None, early: String::new() });
        }
        let call = &mut self.calls[at];
        if call.id.is_empty() && !id.is_empty() {
            self.held.add(id.len())?;
            call.id.push_str(id);
        }
        let number = match call.number {
            Some(number) => number,
            None if name.is_empty() => {
                self.held.add(piece.len())?;
                call.early.push_str(piece);
                return Ok(());
            }
            None => {
                let number = self.begun;
                self.begun += 1;
                call.number = Some(number);
                if call.id.is_empty() {
                    call.id = call_id(number, &self.context);
                }
                self.behind_call = true;
                self.held.remove(self.blank.len());
                self.blank.clear();
                sink(Event::Tool { call: number, id: &call.id, name })?;
                let early = std::mem::take(&mut call.early);
                self.held.remove(early.len());
                if !early.is_empty() {
                    sink(Event::Arguments { call: number, piece: &early })?;
                }
                number
            }
        };
        if piece.is_empty() { Ok(()) } else { sink(Event::Arguments { call: number, piece }) }
    }
}
