//! The OpenAI dialect: what its answers and stream events mean, and how errors are put in it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tradewind_core::{DecisionId, Fault, FaultKind, Usage};
use tradewind_dispatch::Finding;
use tradewind_door::Refusal;

use crate::ask::Operation;
use crate::loose::{Amount, Count, estimated_tokens, what_is_wrong};
use crate::meaning::Meaning;
use crate::tools::{ToolArguments, check_arguments};

/// The last event's data.
const DONE: &[u8] = b"[DONE]";

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default, borrow)]
    delta: Option<Message<'a>>,
    #[serde(default)]
    text: Option<Amount>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

/// A `message`, or the `delta` of one.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    content: Option<Amount>,
    #[serde(default)]
    refusal: Option<Amount>,
    #[serde(default, alias = "reasoning_content")]
    reasoning: Option<Amount>,
    #[serde(default)]
    audio: Option<Amount>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(default, borrow)]
    function_call: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(default)]
    index: u64,
    #[serde(default, borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(default, borrow)]
    arguments: Option<Cow<'a, str>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Counts {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Clone, Copy, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Count,
}

#[derive(Clone, Copy, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl Counts {
    /// The counts, when they make sense; embeddings have no completion tokens.
    fn usage(&self) -> Option<Usage> {
        let output = self.completion_tokens.0.map_or(Some(0), Usage::sane)?;
        Some(Usage {
            input: Usage::sane(self.prompt_tokens.0?)?,
            output,
            cached: self.prompt_tokens_details.and_then(|details| Usage::sane(details.cached_tokens.0?)).unwrap_or(0),
            reasoning: self
                .completion_tokens_details
                .and_then(|details| Usage::sane(details.reasoning_tokens.0?))
                .unwrap_or(0),
            estimated: false,
        })
    }
}

/// Reads the events of a chat completion or completion stream.
#[derive(Debug)]
pub(crate) struct ChatStream {
    tools: ToolArguments,
    usage: Option<Usage>,
    output_bytes: u64,
}

impl ChatStream {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { tools: ToolArguments::new(limit), usage: None, output_bytes: 0 }
    }

    pub(crate) fn event(&mut self, data: &[u8]) -> Result<Meaning, Fault> {
        if data.trim_ascii() == DONE {
            self.tools.finish_all()?;
            return Ok(Meaning::End);
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|error| {
            Fault::new(FaultKind::BadEvent, format!("an event of the stream is malformed: {}", what_is_wrong(&error)))
        })?;
        if chunk.error.is_some() {
            return Err(Fault::new(FaultKind::ErrorEvent, "the provider sent an error inside its stream"));
        }
        let Some(choices) = chunk.choices else {
            return Err(Fault::new(FaultKind::BadEvent, "an event of the stream has no choices"));
        };
        if let Some(counts) = chunk.usage {
            self.usage = counts.usage();
        }
        let mut meaning = Meaning::Preamble;
        for choice in choices {
            let said = choice.text.map_or(0, |text| text.0) + self.delta(choice.delta)?;
            if said > 0 || choice.finish_reason.is_some() {
                meaning = Meaning::Content;
            }
            match choice.finish_reason.as_deref() {
                None => {}
                Some("length" | "content_filter") => self.tools.forget(),
                Some(_) => self.tools.finish_all()?,
            }
        }
        Ok(meaning)
    }

    /// Takes note of a delta; returns how much it says.
    fn delta(&mut self, delta: Option<Message<'_>>) -> Result<usize, Fault> {
        let Some(delta) = delta else { return Ok(0) };
        let texts = [delta.content, delta.refusal, delta.reasoning, delta.audio];
        let mut said: usize = texts.iter().flatten().map(|amount| amount.0).sum();
        let mut bytes = said;
        for call in delta.tool_calls.into_iter().flatten() {
            said += 1;
            if let Some(arguments) = call.function.and_then(|function| function.arguments) {
                bytes += arguments.len();
                self.tools.add(call.index, &arguments)?;
            }
        }
        if let Some(function) = delta.function_call {
            said += 1;
            let arguments = function.arguments.unwrap_or_default();
            bytes += arguments.len();
            self.tools.add(u64::MAX, &arguments)?;
        }
        self.output_bytes += bytes as u64;
        Ok(said)
    }

    pub(crate) fn finding(&self, ignored: u32) -> Finding {
        Finding { usage: self.usage, estimated_output: estimated_tokens(self.output_bytes), ignored }
    }
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<WholeChoice<'a>>>,
    #[serde(default)]
    data: Option<Amount>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct WholeChoice<'a> {
    #[serde(default, borrow)]
    message: Option<Message<'a>>,
    #[serde(default)]
    text: Option<Amount>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

/// Checks a whole answer to `operation`.
pub(crate) fn check_whole(operation: Operation, body: &[u8]) -> Result<Finding, Fault> {
    let whole: Whole<'_> = parse_answer(body)?;
    if whole.error.is_some_and(|error| error.get() != "null") {
        return Err(Fault::new(FaultKind::ErrorEvent, "the answer is an error with the status 200"));
    }
    let mut bytes = 0;
    if operation == Operation::Embeddings {
        match whole.data {
            None => return Err(missing("data")),
            Some(Amount(0)) => return Err(Fault::new(FaultKind::EmptyAnswer, "the answer has no embedding in it")),
            Some(_) => {}
        }
    } else {
        let choices = whole.choices.ok_or_else(|| missing("choices"))?;
        if choices.is_empty() {
            return Err(Fault::new(FaultKind::EmptyAnswer, "the answer has no choice in it"));
        }
        for choice in choices {
            bytes += check_choice(operation, choice)?;
        }
    }
    Ok(Finding {
        usage: whole.usage.and_then(|counts| counts.usage()),
        estimated_output: estimated_tokens(bytes as u64),
        ignored: 0,
    })
}

/// Checks one choice; returns how many bytes it says.
fn check_choice(operation: Operation, choice: WholeChoice<'_>) -> Result<usize, Fault> {
    if operation == Operation::Completions {
        return choice.text.map(|text| text.0).ok_or_else(|| missing("choices[].text"));
    }
    let message = choice.message.ok_or_else(|| missing("choices[].message"))?;
    let cut = matches!(choice.finish_reason.as_deref(), Some("length" | "content_filter"));
    let mut bytes = message.content.map_or(0, |content| content.0);
    let calls = message.tool_calls.into_iter().flatten().filter_map(|call| call.function).chain(message.function_call);
    for function in calls {
        let arguments = function.arguments.unwrap_or_default();
        bytes += arguments.len();
        if !cut {
            check_arguments(&arguments)?;
        }
    }
    Ok(bytes)
}

/// Parses an answer that has to be a JSON object.
pub(crate) fn parse_answer<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    if body.trim_ascii().is_empty() {
        return Err(Fault::new(FaultKind::EmptyAnswer, "the answer has an empty body"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let what = what_is_wrong(&error);
        if error.is_data() {
            return Fault::new(FaultKind::BadShape, format!("the answer is not what the dialect says: {what}"));
        }
        Fault::new(FaultKind::BadJson, format!("the answer is not JSON, or was cut: {what}"))
    })
}

pub(crate) fn missing(field: &str) -> Fault {
    Fault::new(FaultKind::BadShape, format!("the answer has no `{field}`"))
}

/// The `type` that OpenAI's errors have for a status.
const fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The body of an error response.
pub(crate) fn error_body(refusal: &Refusal) -> String {
    let message = format!("{} ({})", refusal.message, refusal.code);
    let error = serde_json::json!({
        "message": message,
        "type": error_type(refusal.status),
        "param": refusal.field,
        "code": refusal.code.name(),
    });
    serde_json::json!({ "error": error }).to_string()
}

/// The event that ends a stream with an error.
pub(crate) fn error_event(fault: &Fault, id: DecisionId) -> String {
    let code = fault.kind.code();
    let message = format!("{}: {} ({code}, decision {id})", code.title(), fault.detail);
    let error = serde_json::json!({
        "message": message,
        "type": error_type(code.status()),
        "param": null,
        "code": code.name(),
    });
    format!("data: {}\n\n", serde_json::json!({ "error": error }))
}
