//! Writes the events of a messages stream, in which one block is open at a time.
//!
//! Chat completions may interleave the pieces of parallel tool calls. What cannot be written while another call's
//! arguments are incomplete is held until they are complete, or until the answer stops.

use std::collections::{BTreeMap, VecDeque};

use super::braces::Braces;
use super::{Event, Held};
use crate::answer::{
    AnswerContext, Stop, Tokens, Untranslatable, answer_id, no_usage, not_an_object, quote, write, write_stop,
};

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Call(usize),
}

/// A block that waits until the one that is open is complete.
#[derive(Debug)]
struct Waiting {
    kind: Kind,
    /// Id and name of a tool call.
    id: String,
    name: String,
    said: String,
}

/// The writer.
#[derive(Debug)]
pub(super) struct MessagesWriter {
    context: AnswerContext,
    /// The index of the block that is open, or of the next one.
    index: usize,
    open: Option<Kind>,
    /// The arguments of the tool call that is open.
    braces: Braces,
    waiting: VecDeque<Waiting>,
    /// Where the calls among them stand, counted from the first block that ever waited.
    waiting_calls: BTreeMap<usize, usize>,
    /// How many blocks wait no longer.
    released: usize,
    held: Held,
    has_text: bool,
    refuses: bool,
    /// A refusal beside text that was said.
    explanation: String,
    stop: Option<Stop<'static>>,
    usage: Option<Tokens>,
}

impl MessagesWriter {
    pub(super) fn new(context: AnswerContext, limit: usize) -> Self {
        Self {
            context,
            index: 0,
            open: None,
            braces: Braces::default(),
            waiting: VecDeque::new(),
            waiting_calls: BTreeMap::new(),
            released: 0,
            held: Held::new(limit),
            has_text: false,
            refuses: false,
            explanation: String::new(),
            stop: None,
            usage: None,
        }
    }

    pub(super) fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        match event {
            Event::Start { id, model } => self.start(id, model, out),
            Event::Text(text) => {
                self.has_text = true;
                self.said(Kind::Text, text, out)?;
            }
            Event::Thinking(text) => self.said(Kind::Thinking, text, out)?,
            Event::Refusal(text) => {
                self.refuses = true;
                if self.has_text {
                    self.held.add(text.len())?;
                    self.explanation.push_str(text);
                } else {
                    self.said(Kind::Text, text, out)?;
                }
            }
            Event::Signature(signature) => self.signature(signature, out),
            Event::Redacted(data) => self.redacted(data, out),
            Event::Tool { call, id, name } => self.tool(call, id, name, out)?,
            Event::Arguments { call, piece } => self.arguments(call, piece, out)?,
            Event::BlockEnd => {
                if !matches!(self.open, Some(Kind::Call(_))) {
                    self.close(out);
                }
            }
            Event::Stop(stop) => self.stop(stop.into_owned(), out)?,
            Event::Usage(usage) => self.usage = Some(usage),
            Event::End => self.end(out)?,
        }
        Ok(())
    }

    fn start(&self, id: &str, model: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":");
        quote(out, &answer_id(id, "msg_", &self.context));
        out.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
        quote(out, model);
        out.extend_from_slice(b",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
        no_usage(out);
        out.extend_from_slice(b"}}\n\n");
    }

    /// Whether a tool call is open whose arguments are not complete: then every other block has to wait.
    fn is_in_a_call(&self) -> bool {
        matches!(self.open, Some(Kind::Call(_))) && !self.braces.is_complete()
    }

    /// A piece of text or thinking.
    fn said(&mut self, kind: Kind, text: &str, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        if self.open != Some(kind) {
            if self.is_in_a_call() {
                self.held.add(text.len())?;
                match self.waiting.back_mut().filter(|last| last.kind == kind) {
                    Some(last) => last.said.push_str(text),
                    None => self.wait(kind, "", "", text)?,
                }
                return Ok(());
            }
            self.open(kind, "", "", out);
        }
        self.delta(text, out);
        Ok(())
    }

    fn wait(&mut self, kind: Kind, id: &str, name: &str, said: &str) -> Result<(), Untranslatable> {
        self.held.add(size_of::<Waiting>() + id.len() + name.len())?;
        if let Kind::Call(call) = kind {
            self.waiting_calls.insert(call, self.released + self.waiting.len());
        }
        self.waiting.push_back(Waiting { kind, id: id.to_owned(), name: name.to_owned(), said: said.to_owned() });
        Ok(())
    }

    /// The signature of the thinking before it. It comes before any tool call, or with thinking that is not shown.
    fn signature(&mut self, signature: &str, out: &mut Vec<u8>) {
        if self.open != Some(Kind::Thinking) {
            self.open(Kind::Thinking, "", "", out);
        }
        self.delta_of("signature_delta", "signature", signature, out);
    }

    fn redacted(&mut self, data: &str, out: &mut Vec<u8>) {
        self.close(out);
        self.open_head(out);
        out.extend_from_slice(b"{\"type\":\"redacted_thinking\",\"data\":");
        quote(out, data);
        out.extend_from_slice(b"}}\n\n");
        self.close_head(out);
    }

    fn tool(&mut self, call: usize, id: &str, name: &str, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        if self.is_in_a_call() {
            return self.wait(Kind::Call(call), id, name, "");
        }
        self.open(Kind::Call(call), id, name, out);
        Ok(())
    }

    fn arguments(&mut self, call: usize, piece: &str, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        let kind = Kind::Call(call);
        if self.open == Some(kind) {
            self.braces.feed(piece)?;
            self.delta(piece, out);
            while !self.waiting.is_empty() && !self.is_in_a_call() {
                self.release(out)?;
            }
            return Ok(());
        }
        let place = self.waiting_calls.get(&call).map(|place| place - self.released);
        if let Some(waiting) = place.and_then(|place| self.waiting.get_mut(place)) {
            self.held.add(piece.len())?;
            waiting.said.push_str(piece);
            return Ok(());
        }
        // Its block is closed, since its arguments were complete.
        if piece.trim().is_empty() { Ok(()) } else { Err(not_an_object()) }
    }

    /// Writes the first block that waits; it stays open.
    fn release(&mut self, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        let Some(waiting) = self.waiting.pop_front() else { return Ok(()) };
        self.released += 1;
        if let Kind::Call(call) = waiting.kind {
            self.waiting_calls.remove(&call);
        }
        self.held.remove(size_of::<Waiting>() + waiting.id.len() + waiting.name.len() + waiting.said.len());
        self.open(waiting.kind, &waiting.id, &waiting.name, out);
        if waiting.said.is_empty() {
            return Ok(());
        }
        if matches!(waiting.kind, Kind::Call(_)) {
            self.braces.feed(&waiting.said)?;
        }
        self.delta(&waiting.said, out);
        Ok(())
    }

    fn stop(&mut self, stop: Stop<'static>, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        loop {
            if self.braces.is_cut() && !stop.is_cut() {
                return Err(not_an_object());
            }
            if self.waiting.is_empty() {
                break;
            }
            self.release(out)?;
        }
        self.close(out);
        self.stop = Some(stop);
        Ok(())
    }

    fn end(&self, out: &mut Vec<u8>) -> Result<(), Untranslatable> {
        let Some(stop) = &self.stop else {
            return Err(Untranslatable::new("the answer does not say why it stopped"));
        };
        out.extend_from_slice(b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
        let explanation = Some(&*self.explanation).filter(|text| !text.is_empty());
        write_stop(out, stop, self.refuses, explanation);
        out.extend_from_slice(b"},\"usage\":");
        self.usage.unwrap_or_default().write_messages(out);
        out.extend_from_slice(b"}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        Ok(())
    }

    /// Closes the block that is open, and opens one of `kind`.
    fn open(&mut self, kind: Kind, id: &str, name: &str, out: &mut Vec<u8>) {
        self.close(out);
        self.open_head(out);
        match kind {
            Kind::Text => out.extend_from_slice(b"{\"type\":\"text\",\"text\":\"\"}}\n\n"),
            Kind::Thinking => {
                out.extend_from_slice(b"{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n");
            }
            Kind::Call(_) => {
                out.extend_from_slice(b"{\"type\":\"tool_use\",\"id\":");
                quote(out, id);
                out.extend_from_slice(b",\"name\":");
                quote(out, name);
                out.extend_from_slice(b",\"input\":{}}}\n\n");
            }
        }
        self.open = Some(kind);
    }

    fn open_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":");
        write(out, format_args!("{},\"content_block\":", self.index));
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            self.close_head(out);
        }
        self.braces = Braces::default();
    }

    fn close_head(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
        write(out, format_args!("{}}}\n\n", self.index));
        self.index += 1;
    }

    /// A piece of the block that is open.
    fn delta(&self, piece: &str, out: &mut Vec<u8>) {
        match self.open {
            None => {}
            Some(Kind::Text) => self.delta_of("text_delta", "text", piece, out),
            Some(Kind::Thinking) => self.delta_of("thinking_delta", "thinking", piece, out),
            Some(Kind::Call(_)) => self.delta_of("input_json_delta", "partial_json", piece, out),
        }
    }

    fn delta_of(&self, kind: &str, name: &str, piece: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
        write(out, format_args!("{},\"delta\":{{\"type\":\"{kind}\",\"{name}\":", self.index));
        quote(out, piece);
        out.extend_from_slice(b"}}\n\n");
    }
}
