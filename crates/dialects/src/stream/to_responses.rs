//! Writes the events of the responses API. Its last event repeats the whole answer, so all that is said is held, as it
//! stands in JSON.
//!
//! Runs of text are one message item with a part for each block; each block of thinking is a reasoning item with one
//! summary; each tool call is an item. Signatures of thinking have no place: nobody but their provider can use them.

use std::collections::BTreeMap;

use super::braces::Braces;
use super::{Event, Held};
use crate::answer::{
    AnswerContext, Echo, ResponseHead, Stop, Tokens, Untranslatable, answer_id, quote, write, write_response,
};

/// An item of the output.
#[derive(Debug)]
struct Item {
    id: String,
    kind: Kind,
    /// `None` until it is done.
    status: Option<&'static str>,
}

/// Texts are kept as they stand between the quotes of a JSON string.
#[derive(Debug)]
enum Kind {
    Message(Vec<Part>),
    Reasoning(Vec<u8>),
    Call { id: Vec<u8>, name: Vec<u8>, arguments: Vec<u8>, braces: Braces },
}

/// A part of a message.
#[derive(Debug)]
struct Part {
    words: &'static Words,
    text: Vec<u8>,
}

/// What the events of a kind of part are called.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    kind: &'static str,
    member: &'static str,
    event: &'static str,
    /// What else stands in a part, and in its events.
    part_extra: &'static str,
    event_extra: &'static str,
}

const TEXT: Words = Words {
    kind: "output_text",
    member: "text",
    event: "output_text",
    part_extra: ",\"annotations\":[],\"logprobs\":[]",
    event_extra: ",\"logprobs\":[]",
};
const REFUSAL: Words = Words { kind: "refusal", member: "refusal", event: "refusal", part_extra: "", event_extra: "" };

/// The writer.
#[derive(Debug)]
pub(crate) struct ResponsesWriter {
    context: AnswerContext,
    echo: Echo,
    id: String,
    model: String,
    sequence: u64,
    items: Vec<Item>,
    /// The items of the tool calls that are not done, by the calls' numbers.
    open_calls: BTreeMap<usize, usize>,
    /// Whether the last item is a message or reasoning that is not done.
    is_open: bool,
    /// Whether the block that was written last is complete.
    block_ended: bool,
    held: Held,
    stop: Option<Stop<'static>>,
    usage: Option<Tokens>,
}

impl ResponsesWriter {
    pub(crate) fn new(context: AnswerContext, limit: usize) -> Self {
        Self {
            echo: Echo::of(context.echo.as_deref()),
            context,
            id: String::new(),
            model: String::new(),
            sequence: 0,
            items: Vec::new(),
            open_calls: BTreeMap::new(),
            is_open: false,
            block_ended: false,
            held: Held::new(limit),
            stop: None,
            usage: None,
        }
    }

    pub(crate) fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        match event {
            Event::Start { id, model } => self.start(id, model, out),
            Event::Text(text) => self.part(&TEXT, text, out)?,
            Event::Refusal(text) => self.part(&REFUSAL, text, out)?,
            Event::Thinking(text) => self.thinking(text, out)?,
            Event::Signature(_) | Event::Redacted(_) => {}
            Event::Tool { call, id, name } => self.tool(call, id, name, out)?,
            Event::Arguments { call, piece } => self.arguments(call, piece, out)?,
            Event::BlockEnd => {
                self.block_ended = true;
                self.finish_calls(None, out);
            }
            Event::Stop(stop) => {
                self.close(stop.is_cut(), out);
                self.finish_calls(Some(&stop), out);
                self.stop = Some(stop.into_owned());
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End => {
                let response = self.response()?;
                let is_complete = self.stop.as_ref().is_some_and(|stop| stop.incomplete_reason().is_none());
                self.head(if is_complete { "response.completed" } else { "response.incomplete" }, out);
                out.extend_from_slice(b",\"response\":");
                out.extend_from_slice(&response);
                out.extend_from_slice(b"}\n\n");
            }
        }
        Ok(())
    }

    /// The whole `response`, once everything was said.
    pub(crate) fn response(&self) -> Result<Vec<u8>, Untranslatable> {
        let Some(stop) = &self.stop else {
            return Err(Untranslatable::new("the answer does not say why it stopped"));
        };
        let incomplete = stop.incomplete_reason();
        let status = if incomplete.is_none() { "completed" } else { "incomplete" };
        let mut output = Vec::with_capacity(1024);
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                output.push(b',');
            }
            item.write(&mut output);
        }
        let mut response = Vec::with_capacity(output.len() + 1024);
        write_response(&mut response, self.response_head(status, incomplete), &output, &self.echo);
        Ok(response)
    }

    fn response_head(&self, status: &'static str, incomplete: Option<&'static str>) -> ResponseHead<'_> {
        let Self { id, model, context, usage, .. } = self;
        ResponseHead { id, model, created: context.created, status, incomplete, usage: *usage }
    }

    fn start(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        self.id = answer_id(id, "resp_", &self.context).into_owned();
        self.model = model.to_owned();
        for name in ["response.created", "response.in_progress"] {
            self.head(name, out);
            out.extend_from_slice(b",\"response\":");
            write_response(out, self.response_head("in_progress", None), b"", &self.echo);
            out.extend_from_slice(b"}\n\n");
        }
    }

    /// Begins an event.
    fn head(&mut self, name: &str, out: &mut Vec<u8>) {
        let sequence = self.sequence;
        self.sequence += 1;
        write(out, format_args!("event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":{sequence}"));
    }

    /// Begins an event about item `index`.
    fn item_head(&mut self, name: &str, index: usize, out: &mut Vec<u8>) {
        self.head(name, out);
        out.extend_from_slice(b",\"item_id\":");
        quote(out, &self.items[index].id);
        write(out, format_args!(",\"output_index\":{index}"));
    }

    /// Adds an item; its id is made from the answer's.
    fn add(&mut self, prefix: &str, kind: Kind, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        self.held.add(size_of::<Item>())?;
        let index = self.items.len();
        let suffix = ["chatcmpl-", "msg_", "resp_"].iter().find_map(|prefix| self.id.strip_prefix(prefix));
        let id = format!("{prefix}{}_{index}", suffix.unwrap_or(&self.id));
        self.items.push(Item { id, kind, status: None });
        self.item_event("response.output_item.added", index, out);
        Ok(())
    }

    fn item_event(&mut self, name: &str, index: usize, out: &mut Vec<u8>) {
        self.head(name, out);
        write(out, format_args!(",\"output_index\":{index},\"item\":"));
        self.items[index].write(out);
        out.extend_from_slice(b"}\n\n");
    }

    /// A piece of text or of a refusal.
    fn part(&mut self, words: &'static Words, text: &str, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        if !(self.is_open && matches!(self.items.last(), Some(Item { kind: Kind::Message(_), .. }))) {
            self.close(false, out);
            self.add("msg_", Kind::Message(Vec::new()), out)?;
            self.is_open = true;
        }
        let index = self.items.len() - 1;
        let is_same = self.last_part().is_some_and(|(_, part)| *part.words == *words) && !self.block_ended;
        self.block_ended = false;
        if !is_same {
            self.finish_part(out);
            self.held.add(size_of::<Part>())?;
            if let Kind::Message(parts) = &mut self.items[index].kind {
                parts.push(Part { words, text: Vec::new() });
            }
            self.part_event("response.content_part.added", out);
        }
        let content_index = self.last_part().map_or(0, |(at, _)| at);
        self.head(if *words == TEXT { "response.output_text.delta" } else { "response.refusal.delta" }, out);
        out.extend_from_slice(b",\"item_id\":");
        quote(out, &self.items[index].id);
        write(out, format_args!(",\"output_index\":{index},\"content_index\":{content_index},\"delta\":"));
        let inside = quote(out, text);
        self.held.add(inside.len())?;
        if let Kind::Message(parts) = &mut self.items[index].kind
            && let Some(part) = parts.last_mut()
        {
            part.text.extend_from_slice(&out[inside]);
        }
        write(out, format_args!("{}}}\n\n", words.event_extra));
        Ok(())
    }

    /// The part of a message that was written last, with its number.
    fn last_part(&self) -> Option<(usize, &Part)> {
        match &self.items.last()?.kind {
            Kind::Message(parts) => parts.iter().enumerate().next_back(),
            _ => None,
        }
    }

    /// An event that shows the last part whole.
    fn part_event(&mut self, name: &str, out: &mut Vec<u8>) {
        self.item_head(name, self.items.len() - 1, out);
        if let Some((at, part)) = self.last_part() {
            write(out, format_args!(",\"content_index\":{at},\"part\":"));
            part.write(out);
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn finish_part(&mut self, out: &mut Vec<u8>) {
        let Some((_, part)) = self.last_part() else { return };
        let words = part.words;
        self.item_head(&format!("response.{}.done", words.event), self.items.len() - 1, out);
        if let Some((at, part)) = self.last_part() {
            write(out, format_args!(",\"content_index\":{at},\"{}\":\"", words.member));
            out.extend_from_slice(&part.text);
            write(out, format_args!("\"{}}}\n\n", words.event_extra));
        }
        self.part_event("response.content_part.done", out);
    }

    fn thinking(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        let is_same = self.is_open && !self.block_ended;
        if !(is_same && matches!(self.items.last(), Some(Item { kind: Kind::Reasoning(_), .. }))) {
            self.close(false, out);
            self.add("rs_", Kind::Reasoning(Vec::new()), out)?;
            self.is_open = true;
            self.item_head("response.reasoning_summary_part.added", self.items.len() - 1, out);
            out.extend_from_slice(b",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":\"\"}}\n\n");
        }
        self.block_ended = false;
        let index = self.items.len() - 1;
        self.item_head("response.reasoning_summary_text.delta", index, out);
        out.extend_from_slice(b",\"summary_index\":0,\"delta\":");
        let inside = quote(out, text);
        self.held.add(inside.len())?;
        if let Kind::Reasoning(known) = &mut self.items[index].kind {
            known.extend_from_slice(&out[inside]);
        }
        out.extend_from_slice(b"}\n\n");
        Ok(())
    }

    /// Finishes the message or reasoning that is open.
    fn close(&mut self, is_cut: bool, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        let index = self.items.len() - 1;
        if matches!(self.items[index].kind, Kind::Message(_)) {
            self.finish_part(out);
        } else {
            self.finish_summary(index, out);
        }
        self.items[index].status = Some(if is_cut { "incomplete" } else { "completed" });
        self.item_event("response.output_item.done", index, out);
    }

    fn finish_summary(&mut self, index: usize, out: &mut Vec<u8>) {
        let endings: [(&str, &[u8], &[u8]); 2] = [
            ("response.reasoning_summary_text.done", b"\"text\":\"", b"\"}\n\n"),
            ("response.reasoning_summary_part.done", b"\"part\":{\"type\":\"summary_text\",\"text\":\"", b"\"}}\n\n"),
        ];
        for (name, before, after) in endings {
            self.item_head(name, index, out);
            out.extend_from_slice(b",\"summary_index\":0,");
            out.extend_from_slice(before);
            if let Kind::Reasoning(text) = &self.items[index].kind {
                out.extend_from_slice(text);
            }
            out.extend_from_slice(after);
        }
    }

    fn tool(&mut self, call: usize, id: &str, name: &str, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        self.close(false, out);
        self.finish_calls(None, out);
        let [id, name] = [id, name].map(|text| {
            let mut quoted = Vec::with_capacity(text.len() + 2);
            quote(&mut quoted, text);
            quoted
        });
        self.held.add(id.len() + name.len())?;
        self.open_calls.insert(call, self.items.len());
        let kind = Kind::Call { id, name, arguments: Vec::new(), braces: Braces::default() };
        self.add("fc_", kind, out)
    }

    fn arguments(&mut self, call: usize, piece: &str, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        let Some(&index) = self.open_calls.get(&call) else {
            // It was complete before.
            return if piece.trim().is_empty() { Ok(()) } else { Err(crate::answer::not_an_object()) };
        };
        self.item_head("response.function_call_arguments.delta", index, out);
        out.extend_from_slice(b",\"delta\":");
        let inside = quote(out, piece);
        self.held.add(inside.len())?;
        if let Kind::Call { arguments, braces, .. } = &mut self.items[index].kind {
            braces.feed(piece)?;
            arguments.extend_from_slice(&out[inside]);
        }
        out.extend_from_slice(b"}\n\n");
        Ok(())
    }

    /// Finishes the calls whose arguments are complete, or all when the answer stopped.
    fn finish_calls(&mut self, stop: Option<&Stop<'_>>, out: &mut Vec<u8>) {
        let items = &self.items;
        let is_done = |index: usize| match &items[index].kind {
            Kind::Call { braces, .. } => stop.is_some() || braces.is_complete(),
            _ => false,
        };
        let done: Vec<usize> = self.open_calls.values().copied().filter(|index| is_done(*index)).collect();
        if done.is_empty() {
            return;
        }
        self.open_calls.retain(|_, index| !is_done(*index));
        let stop = stop.unwrap_or(&Stop::Tools);
        for index in done {
            let Item { kind: Kind::Call { arguments, braces, .. }, status, .. } = &mut self.items[index] else {
                continue;
            };
            let is_complete = braces.is_complete();
            if arguments.is_empty() && !stop.is_cut() {
                arguments.extend_from_slice(b"{}");
            }
            *status = Some(if stop.is_cut() && !is_complete { "incomplete" } else { "completed" });
            self.item_head("response.function_call_arguments.done", index, out);
            if let Kind::Call { name, arguments, .. } = &self.items[index].kind {
                out.extend_from_slice(b",\"name\":");
                out.extend_from_slice(name);
                out.extend_from_slice(b",\"arguments\":\"");
                out.extend_from_slice(arguments);
                out.extend_from_slice(b"\"}\n\n");
            }
            self.item_event("response.output_item.done", index, out);
        }
    }
}

impl Part {
    fn write(&self, out: &mut Vec<u8>) {
        let Words { kind, member, part_extra, .. } = self.words;
        write(out, format_args!("{{\"type\":\"{kind}\",\"{member}\":\""));
        out.extend_from_slice(&self.text);
        write(out, format_args!("\"{part_extra}}}"));
    }
}

impl Item {
    fn write(&self, out: &mut Vec<u8>) {
        let status = self.status.unwrap_or("in_progress");
        out.extend_from_slice(b"{\"id\":");
        quote(out, &self.id);
        match &self.kind {
            Kind::Message(parts) => {
                write(out, format_args!(",\"type\":\"message\",\"status\":\"{status}\",\"role\":\"assistant\""));
                out.extend_from_slice(b",\"content\":[");
                for (at, part) in parts.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    part.write(out);
                }
                out.push(b']');
            }
            Kind::Reasoning(text) => {
                out.extend_from_slice(b",\"type\":\"reasoning\",\"summary\":[");
                if self.status.is_some() {
                    out.extend_from_slice(b"{\"type\":\"summary_text\",\"text\":\"");
                    out.extend_from_slice(text);
                    out.extend_from_slice(b"\"}");
                }
                out.push(b']');
            }
            Kind::Call { id, name, arguments, .. } => {
                write(out, format_args!(",\"type\":\"function_call\",\"status\":\"{status}\",\"call_id\":"));
                out.extend_from_slice(id);
                out.extend_from_slice(b",\"name\":");
                out.extend_from_slice(name);
                out.extend_from_slice(b",\"arguments\":\"");
                out.extend_from_slice(arguments);
                out.push(b'"');
            }
        }
        out.push(b'}');
    }
}
