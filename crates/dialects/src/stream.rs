//! Streams: one event of the provider's wire format in, zero or more events of the caller's out.
//!
//! A reader turns each event into neutral ones, a writer turns those into the caller's. Both keep what the formats need:
//! which block is open, the pieces of a tool call that cannot be passed on yet, and for the responses API the whole
//! answer, which its last event repeats. All of that together is bounded.

mod braces;
mod calls;
mod from_chat;
mod from_messages;
mod to_chat;
mod to_messages;
mod to_responses;
mod view;

use crate::answer::{AnswerContext, Stop, Tokens, Untranslatable, from_responses};
use crate::wire::Wire;

pub use calls::CallNumbers;
use from_chat::ChatReader;
use from_messages::MessagesReader;
use to_chat::ChatWriter;
use to_messages::MessagesWriter;
pub(crate) use to_responses::ResponsesWriter;
pub use view::StreamView;

/// What an event of a stream says, whatever its wire format.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event<'a> {
    /// The answer begins. Ids and models that are not known are empty.
    Start {
        id: &'a str,
        model: &'a str,
    },
    /// Pieces of what is said; never empty.
    Text(&'a str),
    Refusal(&'a str),
    Thinking(&'a str),
    /// The signature of the thinking before it, or a piece of the signature.
    Signature(&'a str),
    /// A whole block of thinking that only its provider can read.
    Redacted(&'a str),
    /// Tool call number `call` begins; calls are numbered from 0 in the order in which they begin.
    Tool {
        call: usize,
        id: &'a str,
        name: &'a str,
    },
    /// A piece of the arguments of call number `call`; never empty.
    Arguments {
        call: usize,
        piece: &'a str,
    },
    /// What was said last is complete: whatever comes next is another block.
    BlockEnd,
    /// Why the answer stopped.
    Stop(Stop<'a>),
    /// What it used, as far as it is known; a later count takes the place of an earlier one.
    Usage(Tokens),
    /// The end of the stream.
    End,
}

/// Translates one stream.
#[derive(Debug)]
pub struct StreamTranslator {
    reader: Reader,
    writer: Writer,
    ended: bool,
}

#[derive(Debug)]
enum Reader {
    Chat(ChatReader),
    Messages(MessagesReader),
    Responses,
}

#[derive(Debug)]
enum Writer {
    Chat(ChatWriter),
    Messages(MessagesWriter),
    Responses(ResponsesWriter),
}

impl StreamTranslator {
    /// A translator from the wire format `from` to `to` that holds back at most `limit` bytes.
    #[must_use]
    pub fn new(from: Wire, to: Wire, context: AnswerContext, limit: usize) -> Self {
        let reader = match from {
            Wire::Chat => Reader::Chat(ChatReader::new(context.clone(), limit)),
            Wire::Messages => Reader::Messages(MessagesReader::new(context.clone(), limit)),
            Wire::Responses => Reader::Responses,
        };
        let writer = match to {
            Wire::Chat => Writer::Chat(ChatWriter::new(context)),
            Wire::Messages => Writer::Messages(MessagesWriter::new(context, limit)),
            Wire::Responses => Writer::Responses(ResponsesWriter::new(context, limit)),
        };
        Self { reader, writer, ended: false }
    }

    /// Takes the data of one event (without `data:`; `[DONE]` at the end of chat completions) and appends complete events
    /// of the caller's wire format to `out`. What comes after the end is ignored.
    ///
    /// # Errors
    /// When the event is unreadable or says something that the caller's wire format has no words for, or when more than
    /// the limit would have to be held. Nothing is appended then, and the stream cannot be continued.
    pub fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        let Self { reader, writer, ended } = self;
        if *ended {
            return Ok(());
        }
        let before = out.len();
        let mut sink = |event: Event<'_>| {
            *ended |= event == Event::End;
            match writer {
                Writer::Chat(writer) => writer.event(event, out),
                Writer::Messages(writer) => writer.event(event, out),
                Writer::Responses(writer) => writer.event(event, out),
            }
        };
        let result = match reader {
            Reader::Chat(reader) => reader.event(data, &mut sink),
            Reader::Messages(reader) => reader.event(data, &mut sink),
            Reader::Responses => Err(from_responses()),
        };
        if result.is_err() {
            out.truncate(before);
        }
        result
    }
}

/// What a reader gives its events to.
type Sink<'s> = dyn FnMut(Event<'_>) -> Result<(), Untranslatable> + 's;

/// Counts the bytes that are held.
#[derive(Debug)]
struct Held {
    bytes: usize,
    limit: usize,
}

impl Held {
    const fn new(limit: usize) -> Self {
        Self { bytes: 0, limit }
    }

    fn add(&mut self, bytes: usize) -> Result<(), Untranslatable> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= self.limit {
            return Ok(());
        }
        Err(Untranslatable::new(format!("more than {} bytes of the answer would have to be held back", self.limit)))
    }

    fn remove(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
