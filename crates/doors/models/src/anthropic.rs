//! The Anthropic dialect: what its answers and stream events mean, and how errors are put in it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tradewind_core::{DecisionId, Fault, FaultKind, Usage};
use tradewind_dispatch::Finding;
use tradewind_door::Refusal;

use crate::ask::Operation;
use crate::loose::{Amount, Count, estimated_tokens, parse_event};
use crate::meaning::Meaning;
use crate::openai::{missing, parse_answer};
use crate::tools::ToolArguments;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: u64,
    #[serde(default, borrow)]
    delta: Option<Delta<'a>>,
    #[serde(default, borrow)]
    message: Option<Started<'a>>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Started<'a> {
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(default, borrow)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(default)]
    text: Option<Amount>,
    #[serde(default)]
    thinking: Option<Amount>,
    #[serde(default, borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Counts {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Count,
}

impl Counts {
    /// Takes over what a later event says anew.
    fn update(&mut self, later: Self) {
        let pairs = [
            (&mut self.input_tokens, later.input_tokens),
            (&mut self.output_tokens, later.output_tokens),
            (&mut self.cache_read_input_tokens, later.cache_read_input_tokens),
            (&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens),
        ];
        for (known, new) in pairs {
            if new.0.is_some() {
                *known = new;
            }
        }
        if later.output_tokens_details.is_some() {
            self.output_tokens_details = later.output_tokens_details;
        }
    }

    /// The counts, when they make sense. Anthropic's `input_tokens` leaves the cached ones out; ours has them in.
    fn usage(&self) -> Option<Usage> {
        let cached = self.cache_read_input_tokens.0.map_or(Some(0), Usage::sane)?;
        let written = self.cache_creation_input_tokens.0.map_or(Some(0), Usage::sane)?;
        Some(Usage {
            input: Usage::sane(self.input_tokens.0?)? + cached + written,
            output: Usage::sane(self.output_tokens.0?)?,
            cached,
            cache_written: written,
            reasoning: self
                .output_tokens_details
                .and_then(|details| Usage::sane(details.thinking_tokens.0?))
                .unwrap_or(0),
            estimated: false,
        })
    }
}

/// Reads the events of a messages stream.
#[derive(Debug)]
pub(crate) struct MessageStream {
    tools: ToolArguments,
    counts: Counts,
    /// Whether the counts are the last ones; those of `message_start` know nothing of the answer yet.
    has_last_counts: bool,
    started: bool,
    /// Whether there was any content, be it empty.
    has_content: bool,
    cut_at_limit: bool,
    output_bytes: u64,
    finish: Option<Cow<'static, str>>,
    id: Option<Box<str>>,
    model: Option<Box<str>>,
}

impl std::fmt::Debug for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.usage().fmt(f)
    }
}

impl MessageStream {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            tools: ToolArguments::new(limit),
            counts: Counts::default(),
            has_last_counts: false,
            started: false,
            has_content: false,
            cut_at_limit: false,
            output_bytes: 0,
            finish: None,
            id: None,
            model: None,
        }
    }

    pub(crate) fn event(&mut self, data: &[u8]) -> Result<Meaning, Fault> {
        let event: Event<'_> = parse_event(data)?;
        let kind = &*event.kind;
        if !self.started
            && matches!(
                kind,
                "content_block_start" | "content_block_delta" | "content_block_stop" | "message_delta" | "message_stop"
            )
        {
            let detail = format!("the stream has `{kind}` before `message_start`");
            return Err(Fault::new(FaultKind::BadEvent, detail));
        }
        match kind {
            "message_start" => {
                if self.started {
                    return Ok(Meaning::Duplicate);
                }
                self.started = true;
                let message = event.message.ok_or_else(|| bad_event("message"))?;
                self.counts.update(message.usage.unwrap_or_default());
                (self.id, self.model) = (message.id.map(Box::from), message.model.map(Box::from));
                Ok(Meaning::Preamble)
            }
            "content_block_start" => {
                self.has_content = true;
                Ok(Meaning::Preamble)
            }
            "ping" => Ok(Meaning::Preamble),
            "content_block_delta" => {
                let delta = event.delta.ok_or_else(|| bad_event("delta"))?;
                let texts = [delta.text, delta.thinking];
                self.output_bytes += texts.iter().flatten().map(|amount| amount.0 as u64).sum::<u64>();
                if let Some(piece) = delta.partial_json {
                    self.output_bytes += piece.len() as u64;
                    self.tools.add(event.index, &piece)?;
                }
                Ok(Meaning::Content)
            }
            // Whether the answer was cut at its limit is said later, in message_delta: arguments are checked there.
            "content_block_stop" => Ok(Meaning::Content),
            "message_delta" => {
                self.has_last_counts |= event.usage.is_some();
                self.counts.update(event.usage.unwrap_or_default());
                let reason = event.delta.and_then(|delta| delta.stop_reason);
                self.cut_at_limit |=
                    matches!(reason.as_deref(), Some("max_tokens" | "model_context_window_exceeded" | "refusal"));
                if self.cut_at_limit {
                    self.tools.forget();
                } else {
                    self.tools.finish_all()?;
                }
                let is_answer = self.has_content || may_be_empty(reason.as_deref());
                if let Some(reason) = reason {
                    self.finish = Some(known_reason(reason));
                }
                Ok(if is_answer { Meaning::Content } else { Meaning::Preamble })
            }
            "message_stop" => {
                self.tools.finish_all()?;
                Ok(Meaning::End)
            }
            "error" => Err(Fault::new(FaultKind::ErrorEvent, "the provider sent an error inside its stream")),
            // New kinds of events may be added (Anthropic's versioning policy); they are the caller's to understand.
            _ => Ok(Meaning::Preamble),
        }
    }

    pub(crate) fn finding(&self, ignored: u32) -> Finding {
        let estimated_output = estimated_tokens(self.output_bytes);
        let mut usage = self.counts.usage();
        if let Some(usage) = usage.as_mut().filter(|_| !self.has_last_counts) {
            usage.output = usage.output.max(estimated_output);
            usage.estimated = true;
        }
        let (finish, id, model) = (self.finish.clone(), self.id.clone(), self.model.clone());
        Finding { usage, estimated_output, ignored, finish, id, model, notes: Vec::new() }
    }
}

/// A stop reason without an allocation, when it is one of the usual ones.
fn known_reason(reason: Cow<'_, str>) -> Cow<'static, str> {
    const KNOWN: [&str; 6] = ["end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal", "pause_turn"];
    match KNOWN.iter().find(|known| **known == reason) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(reason.chars().take(40).collect()),
    }
}

/// Whether an answer that stopped for `reason` is one even without content: the model refused, was cut at its limit, or
/// paused. Ending a turn with nothing said is no answer.
fn may_be_empty(reason: Option<&str>) -> bool {
    !matches!(reason, None | Some("end_turn"))
}

fn bad_event(field: &str) -> Fault {
    Fault::new(FaultKind::BadEvent, format!("an event of the stream has no `{field}`"))
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(default, borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    content: Option<Vec<Block<'a>>>,
    #[serde(default, borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    text: Option<Amount>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
}

/// Checks a whole answer to `operation`.
pub(crate) fn check_whole(operation: Operation, body: &[u8]) -> Result<Finding, Fault> {
    let whole: Whole<'_> = parse_answer(body)?;
    if whole.kind.as_deref() == Some("error") {
        return Err(Fault::new(FaultKind::ErrorEvent, "the answer is an error with the status 200"));
    }
    if operation == Operation::CountTokens {
        // Counting is free: nothing was used.
        let usage = whole.input_tokens.0.map(|_| Usage::default()).ok_or_else(|| missing("input_tokens"))?;
        return Ok(Finding { usage: Some(usage), ..Finding::default() });
    }
    let content = whole.content.ok_or_else(|| missing("content"))?;
    if content.is_empty() && !may_be_empty(whole.stop_reason.as_deref()) {
        return Err(Fault::new(FaultKind::EmptyAnswer, "the answer has no content in it"));
    }
    let mut bytes = 0;
    for block in content {
        let input = block.input.map_or("", RawValue::get);
        if block.kind.as_deref() == Some("tool_use") && !input.starts_with('{') {
            let fault = Fault::new(FaultKind::BadToolCall, "the input of a tool call is not a JSON object");
            return Err(fault.with_usage(whole.usage.and_then(|counts| counts.usage())));
        }
        bytes += block.text.map_or(0, |text| text.0) + input.len();
    }
    Ok(Finding {
        usage: whole.usage.and_then(|counts| counts.usage()),
        estimated_output: estimated_tokens(bytes as u64),
        ignored: 0,
        finish: whole.stop_reason.map(known_reason),
        id: whole.id.map(Box::from),
        model: whole.model.map(Box::from),
        notes: Vec::new(),
    })
}

/// The `type` that Anthropic's errors have for a status.
const fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}

/// The body of an error response.
pub(crate) fn error_body(refusal: &Refusal) -> String {
    let field = refusal.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    let message = format!("{field}{} ({})", refusal.message, refusal.code);
    let error = serde_json::json!({
        "type": error_type(refusal.status),
        "message": message,
        "code": refusal.code.name(),
    });
    let id = refusal.decision.map(|id| id.to_string());
    serde_json::json!({ "type": "error", "error": error, "request_id": id }).to_string()
}

/// The event that ends a stream with an error.
pub(crate) fn error_event(fault: &Fault, id: DecisionId) -> String {
    let code = fault.kind.code();
    let message = format!("{}: {} ({code}, decision {id})", code.title(), fault.detail);
    let error = serde_json::json!({ "type": error_type(code.status()), "message": message, "code": code.name() });
    format!("event: error\ndata: {}\n\n", serde_json::json!({ "type": "error", "error": error }))
}
