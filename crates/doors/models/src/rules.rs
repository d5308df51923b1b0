//! The responder that is always there: answers by rule, without a model, and says so.
//!
//! Rules look at the caller's last message, at most its first 64 KiB. The first that fits answers, with what its text
//! takes from the call (`rules/template.rs`). An answer is marked by its target, `rules/NAME`, and by its model,
//! `tradewind/NAME`: it never pretends to be a model's.

mod rule;
mod template;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tradewind_core::{DecisionId, TargetId, UnixMillis};
use tradewind_dialects::{AnswerContext, StreamTranslator, Wire, translate_answer};
use tradewind_door::{Body, Response};

use crate::ask::{Ask, Operation};
use crate::loose::estimated_tokens;
use crate::section::{BUILT_IN_RESPONDER, Responder};

pub(crate) use self::rule::{BadRule, MOST_RULES};
use self::rule::{Fit, Rule};
use self::template::{Facts, Template};

/// What the built-in responder says. It never pretends to be a model.
const BUILT_IN_ANSWER: &str = "This answer comes from Tradewind's built-in rules, not from a model: no model provider \
could answer this call. Set OPENAI_API_KEY or ANTHROPIC_API_KEY, or start a local model server (Ollama, llama.cpp, \
vLLM or LM Studio on its usual port), or describe your providers in tradewind.yaml, and ask again.";

/// One responder.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    name: String,
    rules: Vec<Rule>,
    otherwise: Template,
}

/// The most of a question that is looked at, in bytes.
const LONGEST_QUESTION: usize = 64 * 1024;

impl Rules {
    pub(crate) fn built_in() -> Self {
        let otherwise = Template::plain(BUILT_IN_ANSWER);
        Self { name: BUILT_IN_RESPONDER.to_owned(), rules: Vec::new(), otherwise }
    }

    /// The responder of the document, which has been checked: what cannot be used has been refused by [`Self::flaws`].
    pub(crate) fn of(responder: &Responder) -> Self {
        let rules = responder.rules.iter().filter_map(|rule| Rule::of(rule).ok()).collect();
        let otherwise = Template::read(&responder.otherwise, &[]);
        let otherwise = otherwise.unwrap_or_else(|_| Template::plain(&responder.otherwise));
        Self { name: responder.name.value.clone(), rules, otherwise }
    }

    /// What is wrong with the rules of `responder`, with paths below it.
    pub(crate) fn flaws(responder: &Responder) -> Vec<BadRule> {
        let mut flaws = Vec::new();
        if responder.rules.len() > MOST_RULES {
            let message = format!("a responder has at most {MOST_RULES} rules");
            flaws.push(BadRule { path: "rules".to_owned(), message, hint: "the first that fits answers".into() });
            return flaws;
        }
        for (index, rule) in responder.rules.iter().enumerate() {
            if let Err(flaw) = Rule::of(rule) {
                flaws.push(BadRule { path: format!("rules[{index}].{}", flaw.path), ..flaw });
            }
        }
        if let Err(error) = Template::read(&responder.otherwise, &[]) {
            flaws.push(rule::bad_answer("otherwise", &error));
        }
        flaws
    }

    /// Whether it can answer `operation` at all: it makes texts, no vectors and no counts.
    pub(crate) fn answers(operation: Operation) -> bool {
        matches!(operation, Operation::Chat | Operation::Responses | Operation::Completions | Operation::Messages)
    }

    /// Its name as a target, for records and headers.
    pub(crate) fn target(&self) -> TargetId {
        TargetId::new(&format!("rules/{}", self.name))
    }

    fn answer(&self, facts: Facts<'_>) -> String {
        let lower = facts.question.to_lowercase();
        for rule in &self.rules {
            match rule.fit(facts.question, &lower) {
                Some(Fit::Words) => return rule.answer.fill(facts, None),
                Some(Fit::Pattern(captures)) => return rule.answer.fill(facts, Some(&captures)),
                None => {}
            }
        }
        self.otherwise.fill(facts, None)
    }

    /// Answers `ask`, whose question has about `input` tokens, in its own wire format.
    pub(crate) fn respond(&self, ask: &Ask, input: u64, id: DecisionId, at: UnixMillis) -> Response {
        let question = last_question(ask);
        let question = &question[..question.floor_char_boundary(LONGEST_QUESTION)];
        let text = &self.answer(Facts { model: &ask.model, at, question });
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
