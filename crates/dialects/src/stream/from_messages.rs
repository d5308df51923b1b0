//! Reads the events of a messages stream.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Event, Held, Sink};
use crate::answer::{
    AnswerContext, Lenient, MessageBlock, MessageCounts, MessageStopDetails, Number, Part, Stop, Untranslatable,
    is_empty_object,
};

#[derive(Deserialize)]
pub(super) struct Wired<'a> {
    #[serde(default, borrow, rename = "type")]
    pub(super) kind: Lenient<'a>,
    #[serde(default)]
    pub(super) index: Number,
    #[serde(default, borrow)]
    message: Option<Started<'a>>,
    #[serde(default, borrow)]
    pub(super) content_block: Option<MessageBlock<'a>>,
    #[serde(default, borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(default)]
    usage: Option<MessageCounts>,
}

#[derive(Deserialize)]
struct Started<'a> {
    #[serde(default, borrow)]
    id: Lenient<'a>,
    #[serde(default, borrow)]
    model: Lenient<'a>,
    #[serde(default)]
    usage: Option<MessageCounts>,
}

#[derive(Deserialize)]
pub(super) struct Delta<'a> {
    #[serde(default, borrow, rename = "type")]
    pub(super) kind: Lenient<'a>,
    #[serde(default, borrow)]
    pub(super) text: Lenient<'a>,
    #[serde(default, borrow)]
    thinking: Lenient<'a>,
    #[serde(default, borrow)]
    signature: Lenient<'a>,
    #[serde(default, borrow)]
    pub(super) partial_json: Lenient<'a>,
    #[serde(default)]
    citation: Option<IgnoredAny>,
    #[serde(default, borrow)]
    pub(super) stop_reason: Lenient<'a>,
    #[serde(default, borrow)]
    stop_sequence: Lenient<'a>,
    #[serde(default, borrow)]
    pub(super) stop_details: Option<MessageStopDetails<'a>>,
}

/// The tool call whose block is open.
#[derive(Debug)]
struct OpenCall {
    index: u64,
    /// What stood in `input` at its beginning: the arguments, if no piece of them comes.
    input: String,
    has_pieces: bool,
}

/// The reader.
#[derive(Debug)]
pub(super) struct MessagesReader {
    context: AnswerContext,
    started: bool,
    open: Option<OpenCall>,
    /// Whether the last call has no arguments, or was cut off before them: what comes next tells.
    is_bare: bool,
    /// How many tool calls have begun.
    calls: usize,
    counts: MessageCounts,
    /// Whether the counts are the last ones; those of `message_start` know nothing of the answer yet.
    has_last_counts: bool,
    held: Held,
}

impl MessagesReader {
    pub(super) fn new(context: AnswerContext, limit: usize) -> Self {
        Self {
            context,
            started: false,
            open: None,
            is_bare: false,
            calls: 0,
            counts: MessageCounts::default(),
            has_last_counts: false,
            held: Held::new(limit),
        }
    }

    pub(super) fn event(&mut self, data: &[u8], sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        let event: Wired<'_> = serde_json::from_slice(data)
            .map_err(|error| Untranslatable::unreadable("an event of the stream", &error))?;
        let index = event.index.0.unwrap_or(0);
        match &*event.kind.0 {
            "message_start" => {
                let Some(message) = event.message else { return Ok(()) };
                self.counts.update(message.usage.unwrap_or_default());
                self.start(&message.id.0, &message.model.0, sink)
            }
            "content_block_start" => {
                self.start("", "", sink)?;
                self.close(sink)?;
                match event.content_block {
                    Some(block) => {
                        self.settle(false, sink)?;
                        self.block(index, block, sink)
                    }
                    None => Ok(()),
                }
            }
            "content_block_delta" => {
                self.start("", "", sink)?;
                match event.delta {
                    Some(delta) => self.delta(index, &delta, sink),
                    None => Ok(()),
                }
            }
            "content_block_stop" => {
                self.close(sink)?;
                sink(Event::BlockEnd)
            }
            "message_delta" => {
                self.has_last_counts |= event.usage.is_some();
                self.counts.update(event.usage.unwrap_or_default());
                self.start("", "", sink)?;
                self.close(sink)?;
                match event.delta {
                    Some(delta) if !delta.stop_reason.0.is_empty() => self.stop(delta, sink),
                    _ => Ok(()),
                }
            }
            "message_stop" => {
                self.start("", "", sink)?;
                self.close(sink)?;
                if let Some(tokens) = self.counts.tokens().filter(|_| self.has_last_counts) {
                    sink(Event::Usage(tokens))?;
                }
                sink(Event::End)
            }
            // `ping`, and kinds of events that may be added (Anthropic's versioning policy).
            _ => Ok(()),
        }
    }

    fn start(&mut self, id: &str, model: &str, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        sink(Event::Start { id, model })
    }

    fn block(&mut self, index: u64, block: MessageBlock<'_>, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        match block.part(self.calls, &self.context)? {
            None | Some(Part::Refusal(_)) => Ok(()),
            Some(Part::Text(text)) => sink(Event::Text(&text)),
            Some(Part::Thinking { text, signature }) => {
                if !text.is_empty() {
                    sink(Event::Thinking(&text))?;
                }
                if signature.is_empty() { Ok(()) } else { sink(Event::Signature(&signature)) }
            }
            Some(Part::Redacted(data)) => sink(Event::Redacted(&data)),
            Some(Part::Tool { id, name, arguments }) => {
                sink(Event::Tool { call: self.calls, id: &id, name: &name })?;
                self.calls += 1;
                self.held.add(arguments.len())?;
                self.open = Some(OpenCall { index, input: arguments.into_owned(), has_pieces: false });
                Ok(())
            }
        }
    }

    fn delta(&mut self, index: u64, delta: &Delta<'_>, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        let (text, event): (&Cow<'_, str>, fn(&str) -> Event<'_>) = match &*delta.kind.0 {
            "text_delta" => (&delta.text.0, |text| Event::Text(text)),
            "thinking_delta" => (&delta.thinking.0, |text| Event::Thinking(text)),
            "signature_delta" => (&delta.signature.0, |text| Event::Signature(text)),
            "input_json_delta" => return self.arguments(index, &delta.partial_json.0, sink),
            "citations_delta" if delta.citation.is_some() => {
                return Err(Untranslatable::new("the answer has citations"));
            }
            _ => return Err(Untranslatable::new("the answer has a piece of a kind that is not known")),
        };
        if text.is_empty() { Ok(()) } else { sink(event(text)) }
    }

    fn arguments(&mut self, index: u64, piece: &str, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        let Some(open) = self.open.as_mut().filter(|open| open.index == index) else {
            return Err(Untranslatable::new("a piece of a tool call belongs to no block that is open"));
        };
        if piece.is_empty() {
            return Ok(());
        }
        open.has_pieces = true;
        sink(Event::Arguments { call: self.calls - 1, piece })
    }

    /// Closes the tool call that is open. One without pieces has the arguments that stood at its beginning.
    fn close(&mut self, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.held.remove(open.input.len());
        if open.has_pieces {
            return Ok(());
        }
        self.is_bare = is_empty_object(&open.input);
        if self.is_bare { Ok(()) } else { sink(Event::Arguments { call: self.calls - 1, piece: &open.input }) }
    }

    /// A call without arguments that was not cut off before them has none.
    fn settle(&mut self, is_cut: bool, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        if !std::mem::take(&mut self.is_bare) || is_cut {
            return Ok(());
        }
        sink(Event::Arguments { call: self.calls - 1, piece: "{}" })?;
        sink(Event::BlockEnd)
    }

    fn stop(&mut self, delta: Delta<'_>, sink: &mut Sink<'_>) -> Result<(), Untranslatable> {
        let stop = Stop::from_messages(&delta.stop_reason.0, delta.stop_sequence.0)?;
        self.settle(stop.is_cut(), sink)?;
        let explanation = delta.stop_details.map(|details| details.explanation.0).unwrap_or_default();
        if stop == Stop::Refusal && !explanation.is_empty() {
            sink(Event::BlockEnd)?;
            sink(Event::Refusal(&explanation))?;
        }
        sink(Event::Stop(stop))
    }
}
