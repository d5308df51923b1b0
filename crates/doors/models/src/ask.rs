//! Reads a request as far as the gateway needs to, and leaves its bytes alone.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tradewind_core::{Code, Dialect};
use tradewind_door::Refusal;
use tradewind_policy as policy;

use crate::loose::{estimated_tokens, what_is_wrong};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI completions.
    Completions,
    /// OpenAI embeddings.
    Embeddings,
    /// Anthropic messages.
    Messages,
    /// Anthropic token counting.
    CountTokens,
    /// A path that the gateway does not know, passed through.
    Passthrough,
}

impl Operation {
    /// The operation behind `path`.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Self::Chat,
            "/v1/completions" => Self::Completions,
            "/v1/embeddings" => Self::Embeddings,
            "/v1/messages" => Self::Messages,
            "/v1/messages/count_tokens" => Self::CountTokens,
            _ => return None,
        })
    }

    /// The name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Passthrough => "passthrough",
        }
    }

    /// The dialect that it belongs to.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Completions | Self::Embeddings | Self::Passthrough => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
        }
    }

    /// The name that the configuration has for its path; `None` for what is passed through.
    pub(crate) const fn in_policy(self) -> Option<policy::Operation> {
        Some(match self {
            Self::Chat => policy::Operation::ChatCompletions,
            Self::Completions => policy::Operation::Completions,
            Self::Embeddings => policy::Operation::Embeddings,
            Self::Messages => policy::Operation::Messages,
            Self::CountTokens => policy::Operation::CountTokens,
            Self::Passthrough => return None,
        })
    }

    /// The field that holds the question.
    const fn question(self) -> &'static str {
        match self {
            Self::Completions => "prompt",
            Self::Embeddings => "input",
            _ => "messages",
        }
    }
}

/// The fields that the gateway reads. Everything else is the provider's business and passes unread.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    stream: Option<&'a RawValue>,
    #[serde(default, borrow)]
    messages: Option<&'a RawValue>,
    #[serde(default, borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
    #[serde(default, borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(default, borrow)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tools: Option<&'a RawValue>,
    #[serde(default, borrow)]
    store: Option<&'a RawValue>,
    #[serde(default, borrow)]
    web_search_options: Option<&'a RawValue>,
}

/// A request that can be decided upon.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is asked for.
    pub operation: Operation,
    /// The model as the caller named it.
    pub model: String,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// Whether it may be sent twice: it costs money, not effects.
    pub repeatable: bool,
    /// Estimated tokens of the question.
    pub estimated_input: u64,
    /// Estimated tokens of question and answer.
    pub estimated_total: u64,
    body: Bytes,
    /// Where the value of `model` stands in the body, its quotes included.
    model_at: std::ops::Range<usize>,
}

/// Expected answer tokens of a call that does not say how many it wants.
const USUAL_ANSWER: u64 = 500;
/// An announced maximum is rarely used up.
const LARGEST_EXPECTED_ANSWER: u64 = 4000;

impl Ask {
    /// Reads `body` as a request for `operation`.
    ///
    /// # Errors
    /// 400 when it is not JSON, or a field that the gateway needs is missing or has the wrong type.
    pub fn read(operation: Operation, body: Bytes) -> Result<Self, Refusal> {
        let envelope: Envelope<'_> = serde_json::from_slice(&body).map_err(|error| not_a_request(&error))?;
        // For serde a list of the fields' values would do, too.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Refusal::new(Code::BadField, "the request body has to be one JSON object"));
        }
        let Some(raw_model) = envelope.model else {
            return Err(bad_field("model", "name the model, as in \"model\": \"auto\"; GET /v1/models lists them"));
        };
        let model: String = field("model", "a text", raw_model)?;
        if model.is_empty() {
            return Err(bad_field("model", "is empty; GET /v1/models lists what there is"));
        }
        let stream = envelope.stream.map_or(Ok(None), |raw| field::<Option<bool>>("stream", "true or false", raw))?;
        let question = match operation {
            Operation::Completions => envelope.prompt,
            Operation::Embeddings => envelope.input,
            _ => envelope.messages,
        };
        let name = operation.question();
        let question = question.ok_or_else(|| bad_field(name, "is missing"))?.get();
        if name == "messages" && !question.starts_with('[') {
            return Err(bad_field(name, "has to be a list"));
        }
        let model_at = place_in(&body, raw_model.get());
        let estimated_input = estimated_tokens(body.len() as u64);
        let limit = [envelope.max_completion_tokens, envelope.max_tokens].into_iter().flatten();
        let answer = limit.filter_map(|raw| raw.get().parse::<u64>().ok()).next().unwrap_or(USUAL_ANSWER);
        let stores = envelope.store.is_some_and(|raw| raw.get() == "true");
        let repeatable = !stores && envelope.web_search_options.is_none() && !provider_runs_tools(envelope.tools);
        Ok(Self {
            operation,
            model,
            stream: stream.unwrap_or(false) && operation != Operation::Embeddings,
            repeatable,
            estimated_input,
            estimated_total: estimated_input + answer.min(LARGEST_EXPECTED_ANSWER),
            model_at,
            body,
        })
    }

    /// The body with the model's name replaced and every other byte as it came.
    #[must_use]
    pub fn body_for(&self, model: &str) -> Bytes {
        if model == self.model {
            return self.body.clone();
        }
        let quoted = serde_json::Value::from(model).to_string();
        let mut body = BytesMut::with_capacity(self.body.len() - self.model_at.len() + quoted.len());
        body.put_slice(&self.body[..self.model_at.start]);
        body.put_slice(quoted.as_bytes());
        body.put_slice(&self.body[self.model_at.end..]);
        body.freeze()
    }

    /// The bytes of the request, for the rules responder.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Where `part`, a slice of `whole`, stands in it.
fn place_in(whole: &[u8], part: &str) -> std::ops::Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// Whether the provider would run one of `tools` itself (web search, code execution): such a call has effects and is not
/// sent twice. OpenAI's `function` and `custom`, and Anthropic's tools of those types, of no type, or of the kinds that
/// the caller runs (bash, text editor, computer, memory), are the caller's own.
fn provider_runs_tools(tools: Option<&RawValue>) -> bool {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(default, borrow, rename = "type")]
        kind: Option<std::borrow::Cow<'a, str>>,
    }
    const CALLERS: [&str; 6] = ["function", "custom", "bash", "text_editor", "computer", "memory"];
    let Some(tools) = tools else { return false };
    // What cannot be read is the provider's to refuse; until then it is treated with care.
    let Ok(tools) = serde_json::from_str::<Option<Vec<Tool<'_>>>>(tools.get()) else { return true };
    tools.into_iter().flatten().any(|tool| match tool.kind.as_deref() {
        None => false,
        Some(kind) => !CALLERS
            .iter()
            .any(|callers| kind == *callers || kind.strip_prefix(callers).is_some_and(|rest| rest.starts_with('_'))),
    })
}

fn field<T: DeserializeOwned>(name: &'static str, wanted: &str, raw: &RawValue) -> Result<T, Refusal> {
    serde_json::from_str(raw.get()).map_err(|_| bad_field(name, &format!("has to be {wanted}")))
}

fn bad_field(name: &'static str, what: &str) -> Refusal {
    Refusal::new(Code::BadField, format!("the field `{name}`: {what}")).in_field(name)
}

fn not_a_request(error: &serde_json::Error) -> Refusal {
    let what = what_is_wrong(error);
    if error.is_data() {
        return Refusal::new(Code::BadField, format!("the request body has to be one JSON object: {what}"));
    }
    Refusal::new(Code::MalformedJson, format!("the request body is not valid JSON: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(operation: Operation, body: &str) -> Result<Ask, Refusal> {
        Ask::read(operation, Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn only_the_model_is_rewritten() {
        let body = r#"{ "zeta": [1, 2.50, 1e2], "model" : "assis\u0074ant","messages":[{"role":"user","content":"hé"}],"alpha":null}"#;
        let ask = read(Operation::Chat, body).unwrap();
        assert_eq!(ask.model, "assistant");
        let rewritten = ask.body_for("org/\"model\"");
        let expected = body.replace(r#""assis\u0074ant""#, r#""org/\"model\"""#);
        assert_eq!(rewritten, expected);
        assert_eq!(ask.body_for("assistant"), body);
    }

    #[test]
    fn a_nested_model_is_left_alone() {
        let body = r#"{"metadata":{"model":"inner"},"messages":[],"model":"outer"}"#;
        let ask = read(Operation::Chat, body).unwrap();
        assert_eq!(ask.body_for("x"), r#"{"metadata":{"model":"inner"},"messages":[],"model":"x"}"#);
    }

    #[test]
    fn bad_requests_name_the_field() {
        let table: [(&str, Code, Option<&str>); 11] = [
            ("{\"model\":", Code::MalformedJson, None),
            ("", Code::MalformedJson, None),
            ("{\"model\":\"a\"} x", Code::MalformedJson, None),
            ("[]", Code::BadField, None),
            ("{\"messages\":[]}", Code::BadField, Some("model")),
            ("{\"model\":7,\"messages\":[]}", Code::BadField, Some("model")),
            ("{\"model\":\"\",\"messages\":[]}", Code::BadField, Some("model")),
            ("{\"model\":\"a\",\"stream\":\"yes\",\"messages\":[]}", Code::BadField, Some("stream")),
            ("{\"model\":\"a\"}", Code::BadField, Some("messages")),
            ("{\"model\":\"a\",\"messages\":\"hi\"}", Code::BadField, Some("messages")),
            ("{\"model\":\"a\",\"model\":\"b\",\"messages\":[]}", Code::BadField, None),
        ];
        for (body, code, field) in table {
            let refusal = read(Operation::Chat, body).unwrap_err();
            assert_eq!((refusal.code, refusal.field), (code, field), "{body}: {}", refusal.message);
        }
    }

    #[test]
    fn calls_with_effects_are_not_repeatable() {
        let ask = |rest: &str| read(Operation::Chat, &format!("{{\"model\":\"a\",\"messages\":[]{rest}}}")).unwrap();
        assert!(ask("").repeatable);
        assert!(ask(r#","tools":[{"type":"function","function":{"name":"f"}}]"#).repeatable);
        assert!(ask(r#","tools":[{"name":"f","input_schema":{}},{"type":"bash_20250124","name":"bash"}]"#).repeatable);
        assert!(!ask(r#","tools":[{"type":"web_search_20250305","name":"web_search"}]"#).repeatable);
        assert!(!ask(r#","store":true"#).repeatable);
        assert!(ask(r#","store":false"#).repeatable);
        assert!(!ask(r#","web_search_options":{}"#).repeatable);
    }
}
