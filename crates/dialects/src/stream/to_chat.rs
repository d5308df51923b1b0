//! Writes the chunks of a chat completion. Nothing is held: the format lets parallel tool calls be interleaved.

use super::Event;
use crate::answer::{AnswerContext, Stop, Tokens, Untranslatable, answer_id, quote, write};

/// The writer.
#[derive(Debug)]
pub(super) struct ChatWriter {
    context: AnswerContext,
    /// What every chunk begins with, up to its delta.
    head: Vec<u8>,
    /// How much of it comes before `choices`.
    before_choices: usize,
    /// The number of the thinking block that is being written, and whether anything of it is.
    thinking: usize,
    in_thinking: bool,
    stop: Option<Stop<'static>>,
    usage: Option<Tokens>,
}

impl ChatWriter {
    pub(super) const fn new(context: AnswerContext) -> Self {
        Self { context, head: Vec::new(), before_choices: 0, thinking: 0, in_thinking: false, stop: None, usage: None }
    }

    pub(super) fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        if self.in_thinking && !matches!(event, Event::Thinking(_) | Event::Signature(_)) {
            self.in_thinking = false;
            self.thinking += 1;
        }
        match event {
            Event::Start { id, model } => {
                self.start(id, model);
                self.delta(out, |out| out.extend_from_slice(b"\"role\":\"assistant\""));
            }
            Event::Text(text) => self.delta(out, |out| {
                out.extend_from_slice(b"\"content\":");
                quote(out, text);
            }),
            Event::Refusal(text) => self.delta(out, |out| {
                out.extend_from_slice(b"\"refusal\":");
                quote(out, text);
            }),
            Event::Thinking(text) => {
                self.in_thinking = true;
                self.delta(out, |out| {
                    out.extend_from_slice(b"\"reasoning_content\":");
                    let inside = quote(out, text);
                    write(
                        out,
                        format_args!(",\"thinking_blocks\":[{{\"index\":{},\"type\":\"thinking\"", self.thinking),
                    );
                    out.extend_from_slice(b",\"thinking\":");
                    out.extend_from_within(inside.start - 1..inside.end + 1);
                    out.extend_from_slice(b"}]");
                });
            }
            Event::Signature(signature) => {
                self.in_thinking = true;
                // With the text, be it empty, so that a client that only joins pieces has a whole block.
                self.block(out, "\"type\":\"thinking\",\"thinking\":\"\",\"signature\"", signature);
            }
            Event::Redacted(data) => {
                self.block(out, "\"type\":\"redacted_thinking\",\"data\"", data);
                self.thinking += 1;
            }
            Event::Tool { call, id, name } => {
                self.delta(out, |out| {
                    write(out, format_args!("\"tool_calls\":[{{\"index\":{call},\"id\":"));
                    quote(out, id);
                    out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
                    quote(out, name);
                    out.extend_from_slice(b",\"arguments\":\"\"}}]");
                });
            }
            Event::Arguments { call, piece } => self.delta(out, |out| {
                write(out, format_args!("\"tool_calls\":[{{\"index\":{call},\"function\":{{\"arguments\":"));
                quote(out, piece);
                out.extend_from_slice(b"}}]");
            }),
            Event::BlockEnd => {}
            Event::Stop(stop) => self.stop = Some(stop.into_owned()),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End => self.end(out)?,
        }
        Ok(())
    }

    fn start(&mut self, id: &str, model: &str) {
        let head = &mut self.head;
        head.extend_from_slice(b"data: {\"id\":");
        quote(head, &answer_id(id, "chatcmpl-", &self.context));
        write(head, format_args!(",\"object\":\"chat.completion.chunk\",\"created\":{}", self.context.created));
        head.extend_from_slice(b",\"model\":");
        quote(head, model);
        self.before_choices = head.len();
        head.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":{");
    }

    /// Appends a chunk with a delta whose members `members` writes.
    fn delta(&self, out: &mut Vec<u8>, members: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.head);
        members(out);
        out.extend_from_slice(b"},\"finish_reason\":null}]}\n\n");
    }

    /// Appends a chunk with one member of a thinking block.
    fn block(&self, out: &mut Vec<u8>, name: &str, value: &str) {
        self.delta(out, |out| {
            write(out, format_args!("\"thinking_blocks\":[{{\"index\":{},{name}:", self.thinking));
            quote(out, value);
            out.extend_from_slice(b"}]");
        });
    }

    fn end(&self, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        let Some(stop) = &self.stop else {
            return Err(Untranslatable::new("the answer does not say why it stopped"));
        };
        out.extend_from_slice(&self.head);
        write(out, format_args!("}},\"finish_reason\":\"{}\"", stop.finish_reason()));
        if let Some(sequence) = stop.sequence() {
            out.extend_from_slice(b",\"stop_reason\":");
            quote(out, sequence);
        }
        out.extend_from_slice(b"}]}\n\n");
        if let Some(usage) = self.usage.filter(|_| self.context.wants_usage) {
            out.extend_from_slice(&self.head[..self.before_choices]);
            out.extend_from_slice(b",\"choices\":[],\"usage\":");
            usage.write_chat(out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        Ok(())
    }
}
