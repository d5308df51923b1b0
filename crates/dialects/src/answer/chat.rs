//! Whole answers of chat completions, and the message in them, which streams give in pieces of the same shape.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::json::{quote, write};
use super::loose::{Content, Lenient, Said};
use super::stop::Stop;
use super::usage::ChatCounts;
use super::{Answer, AnswerContext, CALLS, Part, Untranslatable, answer_id, call_id, too_many_calls};

#[derive(Deserialize)]
pub(super) struct Whole<'a> {
    #[serde(default, borrow)]
    id: Lenient<'a>,
    #[serde(default, borrow)]
    model: Lenient<'a>,
    #[serde(default, borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<ChatCounts>,
}

#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default, borrow)]
    pub(super) message: Option<ChatMessage<'a>>,
    #[serde(default, borrow)]
    pub(super) finish_reason: Lenient<'a>,
    #[serde(default, borrow)]
    stop_reason: Lenient<'a>,
    /// Not translated; what an answer is judged by.
    #[serde(default, borrow)]
    pub(super) logprobs: Option<&'a RawValue>,
}

/// A `message`, or the `delta` of one.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ChatMessage<'a> {
    #[serde(default, borrow)]
    pub(crate) content: Content<'a>,
    #[serde(default, borrow)]
    pub(crate) refusal: Said<'a>,
    #[serde(default, borrow)]
    reasoning_content: Said<'a>,
    #[serde(default, borrow)]
    reasoning: Lenient<'a>,
    #[serde(default, borrow)]
    pub(crate) thinking_blocks: Option<Vec<ThinkingBlock<'a>>>,
    #[serde(default, borrow)]
    pub(crate) tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(default, borrow)]
    pub(crate) function_call: Option<Function<'a>>,
    #[serde(default)]
    audio: Option<IgnoredAny>,
    #[serde(default)]
    annotations: Option<Vec<IgnoredAny>>,
}

/// An entry of `thinking_blocks`, LiteLLM's name for Anthropic's blocks; in a stream, a piece of one.
#[derive(Debug, Deserialize)]
pub(crate) struct ThinkingBlock<'a> {
    #[serde(default)]
    pub(crate) index: super::Number,
    #[serde(default, borrow)]
    pub(crate) thinking: Said<'a>,
    #[serde(default, borrow)]
    pub(crate) signature: Said<'a>,
    #[serde(default, borrow)]
    pub(crate) data: Said<'a>,
}

/// An entry of `tool_calls`; in a stream, a piece of one.
#[derive(Debug, Deserialize)]
pub(crate) struct ToolCall<'a> {
    #[serde(default)]
    pub(crate) index: super::Number,
    #[serde(default, borrow)]
    pub(crate) id: Lenient<'a>,
    #[serde(default, borrow, rename = "type")]
    kind: Lenient<'a>,
    #[serde(default, borrow)]
    function: Option<Function<'a>>,
}

/// The function of a tool call, or a legacy `function_call`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Function<'a> {
    #[serde(default, borrow)]
    pub(crate) name: Lenient<'a>,
    #[serde(default, borrow)]
    pub(crate) arguments: Said<'a>,
}

/// What a tool call, or a piece of one, says.
pub(crate) type CallParts<'a> = (Lenient<'a>, Function<'a>);

impl<'a> ToolCall<'a> {
    /// Id and function.
    pub(crate) fn parts(self) -> Result<CallParts<'a>, Untranslatable> {
        if !matches!(&*self.kind.0, "" | "function") {
            return Err(Untranslatable::new("the answer calls a tool that is not a function"));
        }
        Ok((self.id, self.function.unwrap_or_default()))
    }
}

impl ChatMessage<'_> {
    /// Whether there is nothing in it that no other wire format can say.
    pub(crate) fn check(&self) -> Result<(), Untranslatable> {
        if self.audio.is_some() {
            return Err(Untranslatable::new("the answer has audio in it"));
        }
        if self.annotations.as_ref().is_some_and(|annotations| !annotations.is_empty()) {
            return Err(Untranslatable::new("the answer has annotations"));
        }
        Ok(())
    }
}

/// The thinking of `message` as text: `reasoning_content`, what newer servers call `reasoning`, or parts of the content.
pub(crate) fn thinking_of<'a>(message: &mut ChatMessage<'a>) -> Cow<'a, str> {
    let names = [&mut message.reasoning_content.0, &mut message.reasoning.0, &mut message.content.thinking];
    names.into_iter().find(|text| !text.is_empty()).map(std::mem::take).unwrap_or_default()
}

pub(super) fn read<'a>(body: &'a [u8], context: &AnswerContext) -> Result<Answer<'a>, Untranslatable> {
    let whole: Whole<'a> =
        serde_json::from_slice(body).map_err(|error| Untranslatable::unreadable("the answer", &error))?;
    let mut choices = whole.choices.unwrap_or_default().into_iter();
    let (Some(choice), None) = (choices.next(), choices.next()) else {
        return Err(Untranslatable::new("the answer has not exactly one choice"));
    };
    let mut message = choice.message.unwrap_or_default();
    message.check()?;
    let mut parts = Vec::new();
    read_thinking(&mut message, &mut parts);
    if !message.content.text.is_empty() {
        parts.push(Part::Text(message.content.text));
    }
    if !message.refusal.0.is_empty() {
        parts.push(Part::Refusal(message.refusal.0));
    }
    let calls_tools =
        message.function_call.is_some() || message.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty());
    let stop = Stop::from_chat(&choice.finish_reason.0, choice.stop_reason.0, calls_tools)?;
    let legacy = message.function_call.map(|function| Ok((Lenient::default(), function)));
    let calls = message.tool_calls.into_iter().flatten().map(ToolCall::parts).chain(legacy);
    for (call, parts_of_call) in calls.enumerate() {
        let (id, function) = parts_of_call?;
        if call == CALLS {
            return Err(too_many_calls());
        }
        if function.name.0.is_empty() {
            return Err(Untranslatable::new("a tool call has no name"));
        }
        let id = if id.0.is_empty() { Cow::Owned(call_id(call, context)) } else { id.0 };
        let arguments = function.arguments.0;
        // A call that was cut off before its arguments is not a call without arguments.
        let has_none = arguments.trim().is_empty() && !stop.is_cut();
        let arguments = if has_none { Cow::Borrowed("{}") } else { arguments };
        parts.push(Part::Tool { id, name: function.name.0, arguments });
    }
    let usage = whole.usage.and_then(|counts| counts.tokens());
    Ok(Answer { id: whole.id.0, model: whole.model.0, parts, stop, usage })
}

fn read_thinking<'a>(message: &mut ChatMessage<'a>, parts: &mut Vec<Part<'a>>) {
    let text = thinking_of(message);
    let blocks = message.thinking_blocks.take().unwrap_or_default();
    if blocks.is_empty() && !text.is_empty() {
        parts.push(Part::Thinking { text, signature: Cow::Borrowed("") });
    }
    for block in blocks {
        if !block.data.0.is_empty() {
            parts.push(Part::Redacted(block.data.0));
        } else if !block.thinking.0.is_empty() || !block.signature.0.is_empty() {
            parts.push(Part::Thinking { text: block.thinking.0, signature: block.signature.0 });
        }
    }
}

pub(super) fn render(answer: &Answer<'_>, context: &AnswerContext) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(b"{\"id\":");
    quote(&mut out, &answer_id(&answer.id, "chatcmpl-", context));
    write(&mut out, format_args!(",\"object\":\"chat.completion\",\"created\":{},\"model\":", context.created));
    quote(&mut out, &answer.model);
    out.extend_from_slice(b",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"");
    write_texts(&mut out, answer);
    write_thinking(&mut out, &answer.parts);
    write_calls(&mut out, &answer.parts);
    write(&mut out, format_args!("}},\"logprobs\":null,\"finish_reason\":\"{}\"", answer.stop.finish_reason()));
    if let Some(sequence) = answer.stop.sequence() {
        out.extend_from_slice(b",\"stop_reason\":");
        quote(&mut out, sequence);
    }
    out.extend_from_slice(b"}]");
    if let Some(usage) = &answer.usage {
        out.extend_from_slice(b",\"usage\":");
        usage.write_chat(&mut out);
    }
    out.push(b'}');
    out
}

/// Content and refusal. What a provider said before it stopped for a refusal is the refusal, unless it explains itself.
fn write_texts(out: &mut Vec<u8>, answer: &Answer<'_>) {
    let (mut content, mut refusal) = (String::new(), String::new());
    for part in &answer.parts {
        match part {
            Part::Text(text) => content.push_str(text),
            Part::Refusal(text) => refusal.push_str(text),
            _ => {}
        }
    }
    if answer.stop == Stop::Refusal && refusal.is_empty() {
        std::mem::swap(&mut content, &mut refusal);
    }
    for (name, text) in [("content", content), ("refusal", refusal)] {
        write(out, format_args!(",\"{name}\":"));
        if text.is_empty() {
            out.extend_from_slice(b"null");
        } else {
            quote(out, &text);
        }
    }
}

/// Thinking as text, and as blocks if there is anything in them that has to come back unchanged.
fn write_thinking(out: &mut Vec<u8>, parts: &[Part<'_>]) {
    let mut joined = String::new();
    let mut blocks = Vec::new();
    let mut is_signed = false;
    for part in parts {
        let start = blocks.len();
        match part {
            Part::Thinking { text, signature } => {
                joined.push_str(text);
                is_signed |= !signature.is_empty();
                blocks.extend_from_slice(b",{\"type\":\"thinking\",\"thinking\":");
                quote(&mut blocks, text);
                blocks.extend_from_slice(b",\"signature\":");
                quote(&mut blocks, signature);
            }
            Part::Redacted(data) => {
                is_signed = true;
                blocks.extend_from_slice(b",{\"type\":\"redacted_thinking\",\"data\":");
                quote(&mut blocks, data);
            }
            _ => {}
        }
        if blocks.len() > start {
            blocks.push(b'}');
        }
    }
    if !joined.is_empty() {
        out.extend_from_slice(b",\"reasoning_content\":");
        quote(out, &joined);
    }
    if is_signed {
        out.extend_from_slice(b",\"thinking_blocks\":[");
        out.extend_from_slice(&blocks[1..]);
        out.push(b']');
    }
}

fn write_calls(out: &mut Vec<u8>, parts: &[Part<'_>]) {
    let mut is_first = true;
    for part in parts {
        let Part::Tool { id, name, arguments } = part else { continue };
        out.extend_from_slice(if is_first { b",\"tool_calls\":[{\"id\":" } else { b",{\"id\":" });
        is_first = false;
        quote(out, id);
        out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
        quote(out, name);
        out.extend_from_slice(b",\"arguments\":");
        quote(out, arguments);
        out.extend_from_slice(b"}}");
    }
    if !is_first {
        out.push(b']');
    }
}
