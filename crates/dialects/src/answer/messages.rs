//! Whole answers of messages, and the blocks in them.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::json::{quote, write};
use super::loose::{Lenient, Said};
use super::stop::Stop;
use super::usage::{MessageCounts, Tokens};
use super::{Answer, AnswerContext, CALLS, Part, Untranslatable, answer_id, call_id, too_many_calls};

#[derive(Deserialize)]
pub(super) struct Whole<'a> {
    #[serde(default, borrow)]
    id: Lenient<'a>,
    #[serde(default, borrow)]
    model: Lenient<'a>,
    #[serde(default, borrow)]
    pub(super) content: Option<Vec<MessageBlock<'a>>>,
    #[serde(default, borrow)]
    pub(super) stop_reason: Lenient<'a>,
    #[serde(default, borrow)]
    stop_sequence: Lenient<'a>,
    #[serde(default, borrow)]
    pub(super) stop_details: Option<MessageStopDetails<'a>>,
    #[serde(default)]
    usage: Option<MessageCounts>,
}

/// More about a refusal.
#[derive(Debug, Deserialize)]
pub(crate) struct MessageStopDetails<'a> {
    #[serde(default, borrow)]
    pub(crate) explanation: Lenient<'a>,
}

/// A block of content, or the beginning of one in a stream.
#[derive(Debug, Deserialize)]
pub(crate) struct MessageBlock<'a> {
    #[serde(default, borrow, rename = "type")]
    pub(crate) kind: Lenient<'a>,
    #[serde(default, borrow)]
    pub(crate) text: Said<'a>,
    #[serde(default)]
    citations: Option<Vec<IgnoredAny>>,
    #[serde(default, borrow)]
    pub(crate) thinking: Said<'a>,
    #[serde(default, borrow)]
    pub(crate) signature: Said<'a>,
    #[serde(default, borrow)]
    pub(crate) data: Said<'a>,
    #[serde(default, borrow)]
    pub(crate) id: Lenient<'a>,
    #[serde(default, borrow)]
    pub(crate) name: Lenient<'a>,
    #[serde(default, borrow)]
    pub(crate) input: Option<&'a RawValue>,
}

impl<'a> MessageBlock<'a> {
    /// The part that it is; `call` is the number of the tool call, if it is one. `None` when there is nothing in it.
    pub(crate) fn part(self, call: usize, context: &AnswerContext) -> Result<Option<Part<'a>>, Untranslatable> {
        if self.citations.is_some_and(|citations| !citations.is_empty()) {
            return Err(Untranslatable::new("the answer has citations"));
        }
        Ok(match &*self.kind.0 {
            "text" => (!self.text.0.is_empty()).then_some(Part::Text(self.text.0)),
            "thinking" if self.thinking.0.is_empty() && self.signature.0.is_empty() => None,
            "thinking" => Some(Part::Thinking { text: self.thinking.0, signature: self.signature.0 }),
            "redacted_thinking" => Some(Part::Redacted(self.data.0)),
            "tool_use" => {
                if call == CALLS {
                    return Err(too_many_calls());
                }
                if self.name.0.is_empty() {
                    return Err(Untranslatable::new("a tool call has no name"));
                }
                let id = if self.id.0.is_empty() { Cow::Owned(call_id(call, context)) } else { self.id.0 };
                let arguments = Cow::Borrowed(self.input.map_or("{}", RawValue::get));
                Some(Part::Tool { id, name: self.name.0, arguments })
            }
            _ => {
                return Err(Untranslatable::new(
                    "the answer has a block that is neither text, thinking nor a tool call",
                ));
            }
        })
    }
}

pub(super) fn read<'a>(body: &'a [u8], context: &AnswerContext) -> Result<Answer<'a>, Untranslatable> {
    let whole: Whole<'a> =
        serde_json::from_slice(body).map_err(|error| Untranslatable::unreadable("the answer", &error))?;
    let mut parts = Vec::new();
    let mut calls = 0;
    for block in whole.content.unwrap_or_default() {
        let part = block.part(calls, context)?;
        calls += usize::from(matches!(part, Some(Part::Tool { .. })));
        parts.extend(part);
    }
    let stop = Stop::from_messages(&whole.stop_reason.0, whole.stop_sequence.0)?;
    if stop.is_cut()
        && let Some(Part::Tool { arguments, .. }) = parts.last_mut()
        && is_empty_object(arguments)
    {
        *arguments = Cow::Borrowed("");
    }
    let explanation = whole.stop_details.map(|details| details.explanation.0).unwrap_or_default();
    if stop == Stop::Refusal && !explanation.is_empty() {
        parts.push(Part::Refusal(explanation));
    }
    let usage = whole.usage.and_then(|counts| counts.tokens());
    Ok(Answer { id: whole.id.0, model: whole.model.0, parts, stop, usage })
}

pub(super) fn render(answer: &Answer<'_>, context: &AnswerContext) -> Result<Vec<u8>, Untranslatable> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"id\":");
    quote(&mut out, &answer_id(&answer.id, "msg_", context));
    out.extend_from_slice(b",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    quote(&mut out, &answer.model);
    out.extend_from_slice(b",\"content\":[");
    let has_text = answer.parts.iter().any(|part| matches!(part, Part::Text(_)));
    let mut explanation = None;
    let mut blocks = Vec::new();
    for part in &answer.parts {
        match part {
            Part::Refusal(text) if has_text => explanation = Some(&**text),
            _ => write_block(&mut blocks, part, &answer.stop)?,
        }
    }
    out.extend_from_slice(blocks.get(1..).unwrap_or_default());
    let refuses = answer.parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    out.extend_from_slice(b"],");
    write_stop(&mut out, &answer.stop, refuses, explanation);
    out.extend_from_slice(b",\"usage\":");
    answer.usage.unwrap_or_default().write_messages(&mut out);
    out.push(b'}');
    Ok(out)
}

/// Appends `stop_reason` and what belongs to it. An answer that `refuses` says so, even where its provider only says
/// that it came to its end.
pub(crate) fn write_stop(out: &mut Vec<u8>, stop: &Stop<'_>, refuses: bool, explanation: Option<&str>) {
    let stop = if refuses && *stop == Stop::End { &Stop::Refusal } else { stop };
    write(out, format_args!("\"stop_reason\":\"{}\",\"stop_sequence\":", stop.stop_reason()));
    match stop.sequence() {
        Some(sequence) => drop(quote(out, sequence)),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(explanation) = explanation {
        out.extend_from_slice(b",\"stop_details\":{\"type\":\"refusal\",\"category\":null,\"explanation\":");
        quote(out, explanation);
        out.push(b'}');
    }
}

/// Appends a block, with a comma before it.
fn write_block(out: &mut Vec<u8>, part: &Part<'_>, stop: &Stop<'_>) -> Result<(), Untranslatable> {
    match part {
        Part::Text(text) | Part::Refusal(text) => {
            out.extend_from_slice(b",{\"type\":\"text\",\"text\":");
            quote(out, text);
        }
        Part::Thinking { text, signature } => {
            out.extend_from_slice(b",{\"type\":\"thinking\",\"thinking\":");
            quote(out, text);
            out.extend_from_slice(b",\"signature\":");
            quote(out, signature);
        }
        Part::Redacted(data) => {
            out.extend_from_slice(b",{\"type\":\"redacted_thinking\",\"data\":");
            quote(out, data);
        }
        Part::Tool { id, name, arguments } => {
            let input = match serde_json::from_str::<&RawValue>(arguments) {
                Ok(input) if input.get().starts_with('{') => input.get(),
                // A call that was cut off cannot be carried out, and there is no JSON for half an object. That the answer
                // is incomplete is what its stop reason says.
                _ if stop.is_cut() => return Ok(()),
                _ => return Err(not_an_object()),
            };
            out.extend_from_slice(b",{\"type\":\"tool_use\",\"id\":");
            quote(out, id);
            out.extend_from_slice(b",\"name\":");
            quote(out, name);
            write(out, format_args!(",\"input\":{input}"));
        }
    }
    out.push(b'}');
    Ok(())
}

pub(crate) fn not_an_object() -> Untranslatable {
    Untranslatable::new("the arguments of a tool call are not one JSON object")
}

/// Whether an `input` is `{}`: also what stands there when the answer was cut off before the arguments of its last call.
pub(crate) fn is_empty_object(input: &str) -> bool {
    let inside = input.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| inside.trim_ascii().is_empty())
}

/// The usage that stands in `message_start`: nothing is known yet.
pub(crate) fn no_usage(out: &mut Vec<u8>) {
    Tokens::default().write_messages(out);
}
