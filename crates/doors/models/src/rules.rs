//! The responder that is always there: answers by rule, without a model, and says so.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tradewind_core::{DecisionId, TargetId, UnixMillis};
use tradewind_dialects::{AnswerContext, StreamTranslator, Wire, translate_answer};
use tradewind_door::{Body, Response};

use crate::ask::{Ask, Operation};
use crate::loose::estimated_tokens;
use crate::section::{BUILT_IN_RESPONDER, Responder};

/// What the built-in responder says. It never pretends to be a model.
const BUILT_IN_ANSWER: &str = "This answer comes from Tradewind's built-in rules, not from a model: no model provider \
could answer this call. Set OPENAI_API_KEY or ANTHROPIC_API_KEY, or start a local model server (Ollama, llama.cpp, \
vLLM or LM Studio on its usual port), or describe your providers in tradewind.yaml, and ask again.";

/// One responder.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    name: String,
    rules: Vec<(Vec<String>, String)>,
    otherwise: String,
}

impl Rules {
    pub(crate) fn built_in() -> Self {
        let otherwise = BUILT_IN_ANSWER.to_owned();
        Self { name: BUILT_IN_RESPONDER.to_owned(), rules: Vec::new(), otherwise }
    }

    pub(crate) fn of(responder: &Responder) -> Self {
        let rules = responder
            .rules
            .iter()
            .map(|rule| (rule.contains.iter().map(|words| words.to_lowercase()).collect(), rule.answer.clone()));
        Self { name: responder.name.value.clone(), rules: rules.collect(), otherwise: responder.otherwise.clone() }
    }

    /// Whether it can answer `operation` at all: it makes texts, no vectors and no counts.
    pub(crate) fn answers(operation: Operation) -> bool {
        matches!(operation, Operation::Chat | Operation::Responses | Operation::Completions | Operation::Messages)
    }

    /// Its name as a target, for records and headers.
    pub(crate) fn target(&self) -> TargetId {
        TargetId::new(&format!("rules/{}", self.name))
    }

    fn answer(&self, question: &str) -> &str {
        let question = question.to_lowercase();
        let fits = |words: &Vec<String>| words.iter().any(|words| question.contains(words.as_str()));
        self.rules.iter().find(|(words, _)| fits(words)).map_or(&self.otherwise, |(_, answer)| answer)
    }

    /// Answers `ask`, whose question has about `input` tokens, in its own wire format.
    pub(crate) fn respond(&self, ask: &Ask, input: u64, id: DecisionId, at: UnixMillis) -> Response {
        let text = self.answer(&last_question(ask));
        let model = format!("tradewind/{}", self.name);
        let answer = Answer { text, model: &model, id: id.to_string(), created: at.0 / 1000, input, ask };
        match (ask.operation, ask.stream) {
            (Operation::Responses, false) => answer.response(),
            (Operation::Responses, true) => answer.response_events(),
            (Operation::Messages, false) => answer.json(answer.message(text, "end_turn")),
            (Operation::Messages, true) => answer.message_events(),
            (_, false) => answer.json(answer.completion()),
            (_, true) => Answer::events(answer.completion_events().concat()),
        }
    }
}

struct Answer<'a> {
    text: &'a str,
    model: &'a str,
    id: String,
    created: u64,
    input: u64,
    ask: &'a Ask,
}

impl Answer<'_> {
    fn tokens(&self) -> u64 {
        estimated_tokens(self.text.len() as u64)
    }

    fn json(&self, body: Value) -> Response {
        tradewind_door::json_response(200, body.to_string())
    }

    fn events(body: impl Into<Bytes>) -> Response {
        let mut response = Response::new(Body::whole(body.into()));
        let event_stream = http::HeaderValue::from_static("text/event-stream; charset=utf-8");
        response.headers_mut().insert(http::header::CONTENT_TYPE, event_stream);
        response
    }

    fn is_chat(&self) -> bool {
        self.ask.operation != Operation::Completions
    }

    /// What an answer of the Responses API has beyond a chat completion.
    fn context(&self) -> AnswerContext {
        AnswerContext {
            id: self.id.clone(),
            created: self.created,
            wants_usage: true,
            echo: Some(self.ask.body().clone()),
        }
    }

    /// A chat completion, put into the words of the Responses API.
    fn response(&self) -> Response {
        let chat = self.completion().to_string();
        match translate_answer(Wire::Chat, Wire::Responses, chat.as_bytes(), &self.context()) {
            Ok(body) => tradewind_door::json_response(200, body),
            // Not reached: the completion is our own. The plain completion is still an answer.
            Err(_) => tradewind_door::json_response(200, chat),
        }
    }

    fn response_events(&self) -> Response {
        let mut translator = StreamTranslator::new(Wire::Chat, Wire::Responses, self.context(), usize::MAX);
        let mut events = Vec::new();
        for event in self.completion_events() {
            let data = event.trim_end().strip_prefix("data: ").unwrap_or_default();
            if translator.event(data.as_bytes(), &mut events).is_err() {
                break; // not reached: the events are our own
            }
        }
        Self::events(events)
    }

    fn completion(&self) -> Value {
        let choice = if self.is_chat() {
            json!({"index": 0, "message": {"role": "assistant", "content": self.text, "refusal": null}, "logprobs": null, "finish_reason": "stop"})
        } else {
            json!({"index": 0, "text": self.text, "logprobs": null, "finish_reason": "stop"})
        };
        let (input, output) = (self.input, self.tokens());
        json!({
            "id": format!("chatcmpl-{}", self.id),
            "object": if self.is_chat() { "chat.completion" } else { "text_completion" },
            "created": self.created,
            "model": self.model,
            "choices": [choice],
            "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
        })
    }

    fn completion_events(&self) -> [String; 3] {
        let chunk = |choice: Value| {
            let object = if self.is_chat() { "chat.completion.chunk" } else { "text_completion" };
            let id = format!("chatcmpl-{}", self.id);
            let chunk =
                json!({"id": id, "object": object, "created": self.created, "model": self.model, "choices": [choice]});
            format!("data: {chunk}\n\n")
        };
        let (said, end) = if self.is_chat() {
            (
                json!({"index": 0, "delta": {"role": "assistant", "content": self.text}, "finish_reason": null}),
                json!({"index": 0, "delta": {}, "finish_reason": "stop"}),
            )
        } else {
            (
                json!({"index": 0, "text": self.text, "finish_reason": null}),
                json!({"index": 0, "text": "", "finish_reason": "stop"}),
            )
        };
        [chunk(said), chunk(end), "data: [DONE]\n\n".to_owned()]
    }

    fn message(&self, text: &str, stop_reason: impl Into<Value>) -> Value {
        let content = if text.is_empty() { json!([]) } else { json!([{"type": "text", "text": text}]) };
        json!({
            "id": format!("msg_{}", self.id),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason.into(),
            "stop_sequence": null,
            "usage": {"input_tokens": self.input, "output_tokens": self.tokens()},
        })
    }

    fn message_events(&self) -> Response {
        let events = [
            json!({"type": "message_start", "message": self.message("", Value::Null)}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": self.text}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": self.tokens()}}),
            json!({"type": "message_stop"}),
        ];
        let lines = events
            .iter()
            .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()));
        Self::events(lines.collect::<String>())
    }
}

/// The text of the caller's last message, as far as it can be found.
fn last_question(ask: &Ask) -> String {
    #[derive(Deserialize)]
    struct Question {
        #[serde(default)]
        messages: Vec<Value>,
        #[serde(default)]
        prompt: Value,
        #[serde(default)]
        input: Value,
    }
    let Ok(question) = serde_json::from_slice::<Question>(ask.body()) else { return String::new() };
    let messages = question.input.as_array().unwrap_or(&question.messages);
    let text = if question.input.is_null() { &question.prompt } else { &question.input };
    let content = messages.last().map_or(text, |message| &message["content"]);
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str().or(part.as_str())).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
