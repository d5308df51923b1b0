//! Well-formed answers, before any fault: the words, the whole JSON, the events of a stream.

use serde_json::{Value, json};
use tradewind_core::Dialect;

use crate::ask::{Ask, Endpoint, arguments};
use crate::{anthropic, openai, text};

/// Where in a stream an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before any content.
    Opening,
    /// Carries text or arguments.
    Content,
    /// Finish reason, usage, ends of blocks.
    Closing,
    /// `[DONE]` or `message_stop`.
    Terminal,
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Json(Value),
    /// Verbatim.
    Text(String),
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// The `event:` field, which OpenAI's streams lack.
    pub(crate) name: Option<&'static str>,
    pub(crate) data: Data,
    pub(crate) place: Place,
}

impl Event {
    pub(crate) fn json(name: Option<&'static str>, place: Place, data: Value) -> Self {
        Self { name, data: Data::Json(data), place }
    }

    /// The data as it stands on the line.
    pub(crate) fn data_text(&self) -> String {
        match &self.data {
            Data::Json(value) => value.to_string(),
            Data::Text(text) => text.clone(),
        }
    }
}

/// A call of a tool.
#[derive(Clone, Debug)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: String,
    /// Characters of the arguments in one event.
    pub(crate) piece: usize,
}

/// What is answered, in neither dialect yet.
#[derive(Clone, Debug)]
pub(crate) struct Composed {
    /// The sim's name.
    pub(crate) name: String,
    /// A number that stands in every id of the answer.
    pub(crate) serial: u64,
    pub(crate) model: String,
    pub(crate) tokens: Vec<String>,
    pub(crate) tool: Option<ToolCall>,
    /// Whether the answer stopped at the limit that the request set.
    pub(crate) limited: bool,
    pub(crate) input: u64,
    pub(crate) output: u64,
}

impl Composed {
    /// Composes the answer to `ask`.
    pub(crate) fn new(ask: &Ask, name: &str, seed: u64, answer_tokens: usize) -> Self {
        let serial = ask.seed(seed);
        let most = ask.most_tokens.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let tool = ask.tool.as_ref().map(|tool| ToolCall {
            name: tool.name.clone(),
            arguments: arguments(&tool.schema, 8).to_string(),
            piece: 7,
        });
        let tokens = if tool.is_some() { Vec::new() } else { text::tokens(name, serial, answer_tokens.min(most)) };
        let output = tool.as_ref().map_or(tokens.len(), |tool| 1 + tool.arguments.len() / 4) as u64;
        Self {
            name: name.to_owned(),
            serial,
            model: ask.model.clone(),
            tokens,
            limited: tool.is_none() && most < answer_tokens,
            tool,
            input: ask.prompt_tokens,
            output,
        }
    }

    /// The text of the answer.
    pub(crate) fn text(&self) -> String {
        self.tokens.concat()
    }

    /// `PREFIX-NAME-SERIAL`.
    pub(crate) fn id(&self, prefix: &str) -> String {
        format!("{prefix}-{}-{:016x}", self.name, self.serial)
    }

    /// The tool's arguments in the pieces that they are streamed in.
    pub(crate) fn argument_pieces(&self) -> Vec<String> {
        let Some(tool) = &self.tool else { return Vec::new() };
        let characters: Vec<char> = tool.arguments.chars().collect();
        characters.chunks(tool.piece.max(1)).map(|piece| piece.iter().collect()).collect()
    }

    /// The whole answer.
    pub(crate) fn whole(&self, endpoint: &Endpoint) -> Value {
        match endpoint {
            Endpoint::Messages => anthropic::whole(self),
            Endpoint::Completions => openai::whole_completion(self),
            _ => openai::whole_chat(self),
        }
    }

    /// The events of the stream.
    pub(crate) fn events(&self, endpoint: &Endpoint, include_usage: bool) -> Vec<Event> {
        match endpoint {
            Endpoint::Messages => anthropic::events(self),
            Endpoint::Completions => openai::completion_events(self, include_usage),
            _ => openai::chat_events(self, include_usage),
        }
    }
}

/// An error body as the dialect's provider writes it.
pub(crate) fn error_body(dialect: Dialect, status: u16, kind: &str, code: Option<&str>, message: &str) -> Value {
    match dialect {
        Dialect::OpenAi => {
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
        Dialect::Anthropic => {
            let kind = anthropic::error_type(status);
            json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_sim"})
        }
    }
}
