//! The OpenAI dialect: what its answers and stream events mean, and how errors are put in it.

mod whole;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;
use tradewind_core::{DecisionId, Fault, FaultKind, Usage};
use tradewind_dispatch::Finding;
use tradewind_door::Refusal;

use crate::loose::{Amount, Count, estimated_tokens, parse_event, what_is_wrong};
use crate::meaning::Meaning;
use crate::tools::ToolArguments;

use self::whole::answer_text;
pub(crate) use self::whole::check_whole;

/// The most choices of one answer: OpenAI gives up to 128.
const MOST_CHOICES: usize = 128;
/// The last event's data.
const DONE: &[u8] = b"[DONE]";

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
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
    #[serde(default)]
    reasoning: Option<Amount>,
    #[serde(default)]
    reasoning_content: Option<Amount>,
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
    index: Option<u64>,
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    arguments: Option<Cow<'a, str>>,
}

/// A finish reason without an allocation, when it is one of the usual ones.
fn known_reason(reason: Cow<'_, str>) -> Cow<'static, str> {
    const KNOWN: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "function_call"];
    match KNOWN.iter().find(|known| **known == reason) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(reason.chars().take(40).collect()),
    }
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
    #[serde(default)]
    cache_write_tokens: Count,
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
            cache_written: self
                .prompt_tokens_details
                .and_then(|details| Usage::sane(details.cache_write_tokens.0?))
                .unwrap_or(0),
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
    /// The tool calls of each choice: mostly there is one.
    tools: SmallVec<[(u64, ToolArguments); 1]>,
    limit: usize,
    usage: Option<Usage>,
    output_bytes: u64,
    finish: Option<Cow<'static, str>>,
    id: Option<Box<str>>,
    model: Option<Box<str>>,
}

impl ChatStream {
    pub(crate) fn new(limit: usize) -> Self {
        Self { tools: SmallVec::new(), limit, usage: None, output_bytes: 0, finish: None, id: None, model: None }
    }

    pub(crate) fn event(&mut self, data: &[u8]) -> Result<Meaning, Fault> {
        if data.trim_ascii() == DONE {
            self.tools.iter_mut().try_for_each(|(_, tools)| tools.finish_all())?;
            return Ok(Meaning::End);
        }
        let chunk: Chunk<'_> = parse_event(data)?;
        if chunk.error.is_some() {
            return Err(Fault::new(FaultKind::ErrorEvent, "the provider sent an error inside its stream"));
        }
        let Some(choices) = chunk.choices else {
            return Err(Fault::new(FaultKind::BadEvent, "an event of the stream has no choices"));
        };
        let mut meaning = Meaning::Preamble;
        if let Some(counts) = chunk.usage {
            self.usage = counts.usage();
            if choices.is_empty() {
                meaning = Meaning::Usage;
            }
        }
        if self.model.is_none() {
            (self.id, self.model) = (text(chunk.id), text(chunk.model));
        }
        for choice in choices {
            let number = choice.index;
            let said = choice.text.map_or(0, |text| text.0) + self.delta(number, choice.delta)?;
            if said > 0 || choice.finish_reason.is_some() {
                meaning = Meaning::Content;
            }
            match choice.finish_reason.as_deref() {
                None => continue,
                Some("length" | "content_filter" | "model_length" | "max_length") => self.tools(number)?.forget(),
                Some(_) => self.tools(number)?.finish_all()?,
            }
            self.finish = choice.finish_reason.map(known_reason);
        }
        Ok(meaning)
    }

    /// The tool calls of choice number `choice`.
    fn tools(&mut self, choice: u64) -> Result<&mut ToolArguments, Fault> {
        if let Some(place) = self.tools.iter().position(|(known, _)| *known == choice) {
            return Ok(&mut self.tools[place].1);
        }
        if self.tools.len() >= MOST_CHOICES {
            let detail = format!("the stream has more than {MOST_CHOICES} choices");
            return Err(Fault::new(FaultKind::TooLarge, detail));
        }
        self.tools.push((choice, ToolArguments::new(self.limit)));
        let last = self.tools.len() - 1;
        Ok(&mut self.tools[last].1)
    }

    /// Takes note of a delta of choice number `choice`; returns how much it says.
    fn delta(&mut self, choice: u64, delta: Option<Message<'_>>) -> Result<usize, Fault> {
        let Some(delta) = delta else { return Ok(0) };
        // Some servers give the reasoning under both names: what is said twice is said all the same.
        let texts = [delta.content, delta.refusal, delta.reasoning.or(delta.reasoning_content), delta.audio];
        let mut said: usize = texts.iter().flatten().map(|amount| amount.0).sum();
        let mut bytes = said;
        for (place, call) in (0..).zip(delta.tool_calls.into_iter().flatten()) {
            said += 1;
            let (name, arguments) = call.function.map_or((None, None), |function| (function.name, function.arguments));
            let [id, name, arguments] = [call.id, name, arguments].map(Option::unwrap_or_default);
            let number = self.tools(choice)?.call(call.index.unwrap_or(place), &id, &name, &arguments)?;
            if !arguments.is_empty() {
                bytes += arguments.len();
                self.tools(choice)?.add(number, &arguments)?;
            }
        }
        if let Some(function) = delta.function_call {
            said += 1;
            let arguments = function.arguments.unwrap_or_default();
            bytes += arguments.len();
            self.tools(choice)?.add(u64::MAX, &arguments)?;
        }
        self.output_bytes += bytes as u64;
        Ok(said)
    }

    pub(crate) fn finding(&self, ignored: u32) -> Finding {
        Finding {
            usage: self.usage,
            estimated_output: estimated_tokens(self.output_bytes),
            ignored,
            finish: self.finish.clone(),
            id: self.id.clone(),
            model: self.model.clone(),
            notes: Vec::new(),
        }
    }
}

/// A text that is kept; anything else is none.
fn text(raw: Option<&RawValue>) -> Option<Box<str>> {
    serde_json::from_str(raw?.get()).ok()
}

/// Parses an answer that has to be a JSON object.
pub(crate) fn parse_answer<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_str(answer_text(body)?).map_err(|error| {
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

/// The event that ends a stream of the Responses API with an error.
pub(crate) fn responses_error_event(fault: &Fault, id: DecisionId) -> String {
    let code = fault.kind.code();
    let message = format!("{}: {} ({code}, decision {id})", code.title(), fault.detail);
    let event = serde_json::json!({
        "type": "error",
        "code": code.name(),
        "message": message,
        "param": null,
        // Which number it has among the events is not known here; the official clients do not look.
        "sequence_number": 0,
    });
    format!("event: error\ndata: {event}\n\n")
}
