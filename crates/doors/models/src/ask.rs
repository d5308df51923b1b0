//! Reads a request as far as the gateway needs to, and leaves its bytes alone.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use smallvec::SmallVec;
use tradewind_core::{Code, Dialect};
use tradewind_dialects::Wire;
use tradewind_door::Refusal;
use tradewind_policy as policy;
use tradewind_tokens::Features;

use crate::envelope::{Envelope, Field};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI responses.
    Responses,
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
            "/v1/responses" => Self::Responses,
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
            Self::Responses => "responses",
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
            Self::Chat | Self::Responses | Self::Completions | Self::Embeddings | Self::Passthrough => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
        }
    }

    /// The wire format that it is asked in, where there are others to translate it to.
    pub(crate) const fn wire(self) -> Option<Wire> {
        match self {
            Self::Chat => Some(Wire::Chat),
            Self::Responses => Some(Wire::Responses),
            Self::Messages => Some(Wire::Messages),
            Self::Completions | Self::Embeddings | Self::CountTokens | Self::Passthrough => None,
        }
    }

    /// The name that the configuration has for its path; `None` for what is passed through.
    pub(crate) const fn in_policy(self) -> Option<policy::Operation> {
        Some(match self {
            Self::Chat => policy::Operation::ChatCompletions,
            Self::Responses => policy::Operation::Responses,
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
            Self::Embeddings | Self::Responses => "input",
            _ => "messages",
        }
    }
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
    /// What the question looks like, for estimates of its tokens.
    pub features: Arc<Features>,
    /// The tokens that the answer is expected to have.
    pub expected_answer: u64,
    /// The tokens that the answers may have altogether, if the caller says so.
    pub largest_answer: Option<u64>,
    /// The tokens that one answer may have, if the caller says so.
    pub longest_answer: Option<u64>,
    /// Whether the caller wants to see the token counts of a stream (`stream_options.include_usage`).
    pub wants_usage: bool,
    /// The response that this one goes on from, as the caller named it.
    pub previous: Option<String>,
    /// What a target has to be able to do for it.
    pub demands: Demands,
    body: Bytes,
    /// Where the value of `model` stands in the body, its quotes included.
    model_at: Range<usize>,
    /// Where the value of `stream_options` stands.
    stream_options_at: Option<Range<usize>>,
    /// Where the value of `previous_response_id` stands.
    previous_at: Option<Range<usize>>,
    /// Where the values of `user` and `metadata` stand.
    user_at: Option<Range<usize>>,
    metadata_at: Option<Range<usize>>,
}

/// What a target has to be able to do for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// Take images.
    pub images: bool,
    /// Take tools.
    pub tools: bool,
    /// Take a JSON Schema for its answer.
    pub json_schema: bool,
}

/// What is changed in a body on its way to a provider of the same wire format. Every other byte goes on as it came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes<'a> {
    /// The model's name there.
    pub(crate) model: &'a str,
    /// Whether the provider is asked to count the tokens of the stream.
    pub(crate) ask_usage: bool,
    /// The provider's own id of the previous response.
    pub(crate) previous: Option<&'a str>,
}

/// Longer names of models are no names. A name of the configuration has at most 128 bytes.
const LONGEST_NAME: usize = 256;
/// Expected answer tokens of a call that does not say how many it wants.
const USUAL_ANSWER: u64 = 500;
/// The answer tokens that are held back from a budget for a call that sets no limit to its answer, where the target's own
/// limit is not configured.
pub(crate) const ASSUMED_ANSWER: u64 = 4096;
/// An announced maximum is rarely used up.
const LARGEST_EXPECTED_ANSWER: u64 = 4000;

impl Ask {
    /// Reads `body` as a request for `operation`.
    ///
    /// # Errors
    /// 400 when it is not JSON, or a field that the gateway needs is missing or has the wrong type.
    pub fn read(operation: Operation, body: Bytes) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(&body)
            .map_err(|_| Refusal::new(Code::MalformedJson, "the request body is not valid UTF-8"))?;
        let envelope = Envelope::read(text)?;
        let Some(raw_model) = envelope.get(Field::Model) else {
            return Err(bad_field("model", "name the model, as in \"model\": \"auto\"; GET /v1/models lists them"));
        };
        let model: String = field("model", "a text", raw_model)?;
        if model.is_empty() {
            return Err(bad_field("model", "is empty; GET /v1/models lists what there is"));
        }
        if model.len() > LONGEST_NAME {
            return Err(bad_field("model", "is longer than 256 bytes; GET /v1/models lists what there is"));
        }
        let stream = envelope.get(Field::Stream).map_or(Ok(false), |raw| field("stream", "true or false", raw))?;
        let question = match operation {
            Operation::Completions => Field::Prompt,
            Operation::Embeddings | Operation::Responses => Field::Input,
            _ => Field::Messages,
        };
        let name = operation.question();
        let question = envelope.get(question).ok_or_else(|| bad_field(name, "is missing"))?;
        if name == "messages" && !question.starts_with('[') {
            return Err(bad_field(name, "has to be a list"));
        }
        let longest_answer = longest_answer(operation, &envelope)?;
        let largest_answer = largest_answer(operation, longest_answer, &envelope)?;
        let previous = envelope.get(Field::PreviousResponseId);
        if operation == Operation::Responses && envelope.is_true(Field::Background) {
            return Err(bad_field("background", "is not passed on: nobody here could ask for the answer later"));
        }
        let has_effects = envelope.is_true(Field::Store)
            || envelope.is_given(Field::WebSearchOptions)
            || envelope.is_given(Field::Conversation)
            || envelope.is_filled(Field::McpServers)
            || provider_runs_tools(envelope.get(Field::Tools));
        let options: Option<StreamOptions> = envelope
            .get(Field::StreamOptions)
            .map(|raw| field::<StreamOptions>("stream_options", "an object", raw))
            .transpose()?;
        let features = Features::of_request(&body);
        let demands = Demands {
            images: features.images > 0,
            tools: envelope.is_filled(Field::Tools)
                || (operation == Operation::Chat && envelope.is_filled(Field::Functions)),
            json_schema: asks_for_schema(&envelope),
        };
        Ok(Self {
            operation,
            model,
            demands,
            stream: stream && !matches!(operation, Operation::Embeddings | Operation::CountTokens),
            repeatable: !has_effects,
            features: Arc::new(features),
            expected_answer: largest_answer.unwrap_or(USUAL_ANSWER).min(LARGEST_EXPECTED_ANSWER),
            largest_answer,
            longest_answer,
            wants_usage: options.is_some_and(|options| options.include_usage == Some(true)),
            previous: previous.map(|raw| field("previous_response_id", "a text", raw)).transpose()?,
            model_at: place_in(&body, raw_model),
            stream_options_at: envelope.even_null(Field::StreamOptions).map(|raw| place_in(&body, raw)),
            previous_at: previous.map(|raw| place_in(&body, raw)),
            user_at: envelope.get(Field::User).map(|raw| place_in(&body, raw)),
            metadata_at: envelope.get(Field::Metadata).map(|raw| place_in(&body, raw)),
            body,
        })
    }

    /// The body for a provider of the same wire format that knows the model as `model`.
    #[must_use]
    pub fn body_for(&self, model: &str) -> Bytes {
        self.body_with(&Changes { model, ..Changes::default() })
    }

    /// [`Self::body_for`], with what else is to be changed.
    pub(crate) fn body_with(&self, changes: &Changes<'_>) -> Bytes {
        let mut edits: SmallVec<[(Range<usize>, String); 3]> = SmallVec::new();
        if changes.model != self.model {
            edits.push((self.model_at.clone(), quoted(changes.model)));
        }
        if let (Some(previous), Some(at)) = (changes.previous, &self.previous_at) {
            edits.push((at.clone(), quoted(previous)));
        }
        if changes.ask_usage && !self.wants_usage {
            edits.push(self.asking_usage());
        }
        if edits.is_empty() {
            return self.body.clone();
        }
        edits.sort_unstable_by_key(|(at, _)| at.start);
        let longer: usize = edits.iter().map(|(_, text)| text.len()).sum();
        let mut body = BytesMut::with_capacity(self.body.len() + longer);
        let mut from = 0;
        for (at, text) in &edits {
            body.put_slice(&self.body[from..at.start]);
            body.put_slice(text.as_bytes());
            from = at.end;
        }
        body.put_slice(&self.body[from..]);
        body.freeze()
    }

    /// The edit that asks for the token counts of a stream.
    fn asking_usage(&self) -> (Range<usize>, String) {
        let Some(at) = &self.stream_options_at else {
            // Behind the brace that opens the object; there is a field after it, since `model` is one.
            let start = self.body.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace + 1);
            return (start..start, "\"stream_options\":{\"include_usage\":true},".to_owned());
        };
        let mut options: Map<String, Value> = serde_json::from_slice(&self.body[at.clone()]).unwrap_or_default();
        options.insert("include_usage".to_owned(), Value::Bool(true));
        (at.clone(), Value::Object(options).to_string())
    }

    /// Whom the caller speaks for, if it says so in a field that is a text: `user`, or `metadata.user_id`. Read from the
    /// body each time, since few calls need it.
    pub(crate) fn session(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Metadata {
            #[serde(default)]
            user_id: Option<String>,
        }
        let user = self.user_at.clone().and_then(|at| serde_json::from_slice(&self.body[at]).ok());
        user.or_else(|| serde_json::from_slice::<Metadata>(&self.body[self.metadata_at.clone()?]).ok()?.user_id)
    }

    /// The bytes of the request, for the rules responder.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// The tokens that one answer may have, if the request says so: the largest of the limits that the operation has.
fn longest_answer(operation: Operation, envelope: &Envelope<'_>) -> Result<Option<u64>, Refusal> {
    let limits: &[(&'static str, Field)] = match operation {
        Operation::Chat => &[("max_completion_tokens", Field::MaxCompletionTokens), ("max_tokens", Field::MaxTokens)],
        Operation::Completions | Operation::Messages => &[("max_tokens", Field::MaxTokens)],
        Operation::Responses => &[("max_output_tokens", Field::MaxOutputTokens)],
        Operation::Embeddings | Operation::CountTokens | Operation::Passthrough => &[],
    };
    let mut longest = None;
    for (name, place) in limits {
        if let Some(raw) = envelope.get(*place) {
            longest = longest.max(Some(field::<u64>(name, "a whole number", raw)?));
        }
    }
    Ok(longest)
}

/// The tokens that the answers may have altogether, if the request says so: the limit of one, `longest`, for each of those
/// that are asked for.
fn largest_answer(operation: Operation, longest: Option<u64>, envelope: &Envelope<'_>) -> Result<Option<u64>, Refusal> {
    let mut answers = 1;
    if matches!(operation, Operation::Chat | Operation::Completions) {
        for (name, place) in [("n", Field::N), ("best_of", Field::BestOf)] {
            if let Some(raw) = envelope.get(place) {
                answers = answers.max(field::<u64>(name, "a whole number", raw)?);
            }
        }
    }
    if operation == Operation::Completions
        && let Some(prompts) = envelope.get(Field::Prompt).and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw).ok())
        // A list of numbers is one prompt, in tokens.
        && prompts.first().is_some_and(|first| first.get().starts_with(['"', '[']))
    {
        answers = answers.saturating_mul(prompts.len() as u64);
    }
    // Several answers without a limit are several times what is assumed of one.
    let several = (answers > 1).then(|| answers.saturating_mul(ASSUMED_ANSWER));
    Ok(longest.map(|limit| limit.saturating_mul(answers)).or(several))
}

/// Where `part`, a slice of `whole`, stands in it.
fn place_in(whole: &[u8], part: &str) -> std::ops::Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// Whether the provider would run one of `tools` itself (web search, code execution): such a call has effects and is not
/// sent twice. OpenAI's `function` and `custom`, and Anthropic's tools of those types, of no type, or of the kinds that
/// the caller runs (bash, text editor, computer, memory), are the caller's own.
fn provider_runs_tools(tools: Option<&str>) -> bool {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(default, borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
    }
    const CALLERS: [&str; 6] = ["function", "custom", "bash", "text_editor", "computer", "memory"];
    let Some(tools) = tools else { return false };
    // What cannot be read is the provider's to refuse; until then it is treated with care.
    let Ok(tools) = serde_json::from_str::<Option<Vec<Tool<'_>>>>(tools) else { return true };
    tools.into_iter().flatten().any(|tool| match tool.kind.as_deref() {
        None => false,
        Some(kind) => !CALLERS
            .iter()
            .any(|callers| kind == *callers || kind.strip_prefix(callers).is_some_and(|rest| rest.starts_with('_'))),
    })
}

/// Whether the answer has to follow a JSON Schema: `type` says so, of the field itself or of `format` in it.
fn asks_for_schema(envelope: &Envelope<'_>) -> bool {
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(default, borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(default, borrow)]
        format: Option<&'a RawValue>,
    }
    fn is_schema(value: &str) -> bool {
        // What is no object is the provider's to refuse, and what is an odd one is treated with care.
        value.starts_with('{')
            && serde_json::from_str::<Format<'_>>(value).map_or(true, |format| {
                format.kind.is_some_and(|kind| kind == "json_schema")
                    || format.format.is_some_and(|inner| is_schema(inner.get()))
            })
    }
    let fields = [Field::ResponseFormat, Field::Text, Field::OutputFormat, Field::OutputConfig];
    fields.into_iter().filter_map(|field| envelope.get(field)).any(is_schema)
}

fn field<T: DeserializeOwned>(name: &'static str, wanted: &str, raw: &str) -> Result<T, Refusal> {
    serde_json::from_str(raw).map_err(|_| bad_field(name, &format!("has to be {wanted}")))
}

fn bad_field(name: &'static str, what: &str) -> Refusal {
    Refusal::new(Code::BadField, format!("the field `{name}`: {what}")).in_field(name)
}

#[cfg(test)]
mod tests;
