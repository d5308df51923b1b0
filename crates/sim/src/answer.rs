//! Well-formed answers, before any fault: the words, the whole JSON, the events of a stream.

use serde_json::{Value, json};
use tradewind_core::Dialect;

use crate::ask::{Ask, Endpoint, arguments};
use crate::scripted::{Finish, ScriptedAnswer, ScriptedUsage, Thinking};
use crate::{anthropic, openai, responses, text};

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
    /// The `event:` field, which the streams of chat completions lack.
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
    /// `None`: made by the dialect, as its provider does.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) arguments: String,
    /// Characters of the arguments in one event.
    pub(crate) piece: usize,
}

impl ToolCall {
    /// The arguments in the pieces that they are streamed in.
    pub(crate) fn pieces(&self) -> Vec<String> {
        pieces(&self.arguments, self.piece)
    }
}

/// What is answered, in no dialect yet.
#[derive(Clone, Debug)]
pub(crate) struct Composed {
    /// The sim's name.
    pub(crate) name: String,
    /// A number that stands in every id of the answer.
    pub(crate) serial: u64,
    pub(crate) model: String,
    pub(crate) thinking: Option<Thinking>,
    /// The text, as it is cut for a stream.
    pub(crate) tokens: Vec<String>,
    pub(crate) refusal: Option<String>,
    pub(crate) calls: Vec<ToolCall>,
    /// Whether the pieces of several calls come by turns, where the dialect allows that.
    pub(crate) interleave: bool,
    pub(crate) finish: Finish,
    /// Of each token of the text, in percent.
    pub(crate) probability: Option<u8>,
    pub(crate) usage: ScriptedUsage,
}

impl Composed {
    /// Composes the answer to `ask`: what was scripted for its model, or made up.
    pub(crate) fn new(ask: &Ask, name: &str, seed: u64, answer_tokens: usize, script: Option<&ScriptedAnswer>) -> Self {
        match script {
            Some(script) => Self::scripted(ask, name, seed, script),
            None => Self::made_up(ask, name, seed, answer_tokens),
        }
    }

    fn made_up(ask: &Ask, name: &str, seed: u64, answer_tokens: usize) -> Self {
        let serial = ask.seed(seed);
        let most = ask.most_tokens.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let call = ask.tool.as_ref().map(|tool| ToolCall {
            id: None,
            name: tool.name.clone(),
            arguments: arguments(&tool.schema, 8).to_string(),
            piece: 7,
        });
        let tokens = if call.is_some() { Vec::new() } else { text::tokens(name, serial, answer_tokens.min(most)) };
        let output = call.as_ref().map_or(tokens.len(), |call| 1 + call.arguments.len() / 4) as u64;
        let finish = match call {
            Some(_) => Finish::ToolCalls,
            None if most < answer_tokens => Finish::Length,
            None => Finish::Stop,
        };
        Self {
            name: name.to_owned(),
            serial,
            model: ask.model.clone(),
            thinking: None,
            tokens,
            refusal: None,
            calls: call.into_iter().collect(),
            interleave: false,
            finish,
            probability: None,
            usage: ScriptedUsage { input: ask.prompt_tokens, output, ..ScriptedUsage::default() },
        }
    }

    fn scripted(ask: &Ask, name: &str, seed: u64, script: &ScriptedAnswer) -> Self {
        let calls = script.tool_calls.iter().map(|call| ToolCall {
            id: Some(call.id.clone()),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
            piece: script.piece,
        });
        let tokens = match &script.chunks {
            Some(chunks) => chunks.clone(),
            None => pieces(script.text.as_deref().unwrap_or_default(), script.piece),
        };
        Self {
            name: name.to_owned(),
            serial: ask.seed(seed),
            model: ask.model.clone(),
            thinking: script.thinking.clone(),
            tokens,
            refusal: script.refusal.clone(),
            calls: calls.collect(),
            interleave: script.interleave,
            finish: script.finish.clone(),
            probability: script.probability,
            usage: script.usage,
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

    /// The id of a call: the scripted one, or one made up.
    pub(crate) fn call_id(&self, call: &ToolCall, prefix: &str) -> String {
        call.id.clone().unwrap_or_else(|| self.id(prefix))
    }

    /// The whole answer.
    pub(crate) fn whole(&self, ask: &Ask) -> Value {
        match ask.endpoint {
            Endpoint::Messages => anthropic::whole(self),
            Endpoint::Completions => openai::whole_completion(self),
            Endpoint::Responses => responses::whole(self, &ask.body),
            _ => openai::whole_chat(self),
        }
    }

    /// The events of the stream.
    pub(crate) fn events(&self, ask: &Ask) -> Vec<Event> {
        match ask.endpoint {
            Endpoint::Messages => anthropic::events(self),
            Endpoint::Completions => openai::completion_events(self, ask.include_usage),
            Endpoint::Responses => responses::events(self, &ask.body),
            _ => openai::chat_events(self, ask.include_usage),
        }
    }
}

/// Cuts a text into pieces of so many characters.
pub(crate) fn pieces(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(size.max(1)).map(|piece| piece.iter().collect()).collect()
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
