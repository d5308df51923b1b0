//! Puts a conversation together turn by turn, and checks that it is one.

use std::borrow::Cow;

use super::calls::Calls;
use super::functions::tool_name;
use super::json::Text;
use super::path::Path;
use super::question::{Call, CallResult, Content, Part, Question, Turn};
use super::reading::{Reading, cannot, decoded, wrong};
use crate::wire::{Obstacle, Wire};

/// The conversation so far.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    system: Vec<Text<'a>>,
    turns: Vec<Turn<'a>>,
    calls: Calls<'a>,
}

type Result<T> = std::result::Result<T, Obstacle>;

impl<'a> Conversation<'a> {
    /// Instructions, which stand at `path`.
    pub(super) fn system(&mut self, reading: &Reading, path: Path<'_>, texts: Vec<Text<'a>>) -> Result<()> {
        let texts = texts.into_iter().filter(|text| reading.keeps(*text));
        if self.turns.is_empty() {
            self.system.extend(texts);
        } else if reading.to == Wire::Chat {
            self.calls.settle()?;
            self.turns.push(Turn::System(texts.collect()));
        } else {
            return Err(cannot(path, "comes after the conversation has begun, where messages takes no instructions"));
        }
        Ok(())
    }

    /// What the user says, at `path`.
    pub(super) fn user(&mut self, reading: &Reading, path: Path<'_>, content: Content<'a>) -> Result<()> {
        self.calls.settle()?;
        let content = kept(reading, content);
        if matches!(&content, Content::Parts(parts) if parts.is_empty()) {
            return Err(cannot(path.key("content"), "has nothing in it that could be said"));
        }
        match (self.turns.last_mut(), content) {
            (Some(Turn::Results { after, .. }), Content::Plain(text)) if after.is_empty() => {
                after.push(Part::Text(text))
            }
            (Some(Turn::Results { after, .. }), Content::Parts(parts)) if after.is_empty() => *after = parts,
            (_, content) => self.turns.push(Turn::User(content)),
        }
        Ok(())
    }

    /// The model speaks: its calls have to come after this.
    pub(super) fn settle(&self) -> Result<()> {
        self.calls.settle()
    }

    /// What the model said. It may be nothing, when all that it did was to think.
    pub(super) fn assistant(&mut self, reading: &Reading, content: Content<'a>) {
        let said = match kept(reading, content) {
            Content::Parts(parts) if parts.is_empty() => match reading.to {
                // Anthropic refuses a turn in which nothing is said.
                Wire::Messages => return,
                Wire::Chat | Wire::Responses => Content::Plain(Text("")),
            },
            said => said,
        };
        self.turns.push(Turn::Assistant(said));
    }

    /// What the model said in the turn that is going on, or in a new one if none is.
    pub(super) fn more_of_assistant(&mut self, reading: &Reading, content: Content<'a>) {
        let Some(Turn::Assistant(said)) = self.turns.last_mut() else { return self.assistant(reading, content) };
        let mut parts = match said {
            // The empty text stands for a turn in which nothing was said.
            Content::Plain(Text("")) => Vec::new(),
            Content::Plain(text) => vec![Part::Text(*text)],
            Content::Parts(parts) => std::mem::take(parts),
        };
        match kept(reading, content) {
            Content::Plain(text) => parts.push(Part::Text(text)),
            Content::Parts(more) => parts.extend(more),
        }
        *said = Content::Parts(parts);
    }

    /// A tool call of the model, whose `id` and `name` are JSON texts.
    pub(super) fn call(
        &mut self,
        reading: &Reading,
        path: Path<'_>,
        field: [&str; 2],
        call: RawCall<'a>,
    ) -> Result<Call<'a>> {
        let [id_field, name_field] = field;
        let id = call.id.ok_or_else(|| wrong(path.key(id_field), "is missing"))?;
        let name = call.name.ok_or_else(|| wrong(path.key(name_field), "is missing"))?;
        let id = decoded(path.key(id_field), id)?;
        let name = tool_name(reading.to, path.key(name_field), name)?;
        let id = self.calls.call(path.key(id_field), id, name.clone())?;
        Ok(Call { id, name, input: call.input })
    }

    /// The result of a tool call: `id` is a JSON text that stands at `path`. `name` is the tool's, where results repeat it.
    pub(super) fn result(
        &mut self,
        path: Path<'_>,
        id: &'a str,
        name: Option<(Path<'_>, &'a str)>,
        content: Content<'a>,
        is_error: bool,
    ) -> Result<()> {
        let call = self.calls.result(path, &decoded(path, id)?)?;
        if let Some((path, name)) = name
            && decoded(path, name)? != self.calls.name(call)
        {
            return Err(wrong(path, "is not the name of the tool that was called"));
        }
        let result = CallResult { call, content, is_error };
        match self.turns.last_mut() {
            Some(Turn::Results { results, .. }) => results.push(result),
            _ => self.turns.push(Turn::Results { results: vec![result], after: Vec::new() }),
        }
        Ok(())
    }

    /// Ends the conversation, which is the list at `list` with `count` messages, and hands it to `question`.
    pub(super) fn finish(
        self,
        reading: &Reading,
        list: Path<'_>,
        count: usize,
        question: &mut Question<'a>,
    ) -> Result<()> {
        self.calls.settle()?;
        match self.turns.last() {
            None => return Err(cannot(list, "needs a message of the user")),
            Some(Turn::Assistant(_)) => {
                let why = "ends with the model's own words, which one dialect continues and the other does not";
                return Err(cannot(list.index(count.saturating_sub(1)), why));
            }
            Some(_) => {}
        }
        question.system.extend(self.system);
        question.turns = self.turns;
        // What the model says behind its calls: chat completions has one place for text and one for calls, and results
        // have to follow the calls of messages at once.
        for turn in &mut question.turns {
            if let Turn::Assistant(Content::Parts(parts)) = turn {
                parts.sort_by_key(|part| matches!(part, Part::Call(_)));
            }
        }
        question.call_ids = self.calls.ids_for(reading.to);
        Ok(())
    }
}

/// A tool call as it was read: JSON texts, and its input.
pub(super) struct RawCall<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) input: Cow<'a, str>,
}

/// `content` without texts that the other wire refuses.
fn kept<'a>(reading: &Reading, content: Content<'a>) -> Content<'a> {
    match content {
        Content::Plain(text) if reading.keeps(text) => content,
        Content::Plain(_) => Content::Parts(Vec::new()),
        Content::Parts(mut parts) => {
            parts.retain(|part| !matches!(part, Part::Text(text) if !reading.keeps(*text)));
            Content::Parts(parts)
        }
    }
}
