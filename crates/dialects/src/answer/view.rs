//! What a whole answer says, for those who judge it: in `core`'s words, borrowed, whatever its wire format.
//!
//! Other than the readers for translation it lets pass what it has no words for (citations, audio, further choices, items
//! of tools that the provider runs): an answer that passes on unchanged may have all of that.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tradewind_core::{AnswerView, Finish, Probabilities, ToolCallView};

use super::loose::{Lenient, Said, append};
use super::{CALLS, Stop, Untranslatable, chat, messages, too_many_calls};
use crate::wire::Wire;

/// Reads what the whole answer `body` of wire format `wire` says. Of several choices it is the first one.
///
/// # Errors
/// When `body` is no JSON of that format's shape, or has more than 1024 tool calls.
pub fn view_answer(wire: Wire, body: &[u8]) -> Result<AnswerView<'_>, Untranslatable> {
    let view = match wire {
        Wire::Chat => chat_view(parse(body)?),
        Wire::Messages => messages_view(parse(body)?),
        Wire::Responses => responses_view(parse(body)?),
    };
    if view.tool_calls.len() > CALLS { Err(too_many_calls()) } else { Ok(view) }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Untranslatable> {
    serde_json::from_slice(body).map_err(|error| Untranslatable::unreadable("the answer", &error))
}

fn chat_view(whole: chat::Whole<'_>) -> AnswerView<'_> {
    let mut choices = whole.choices.unwrap_or_default();
    let mut view = AnswerView { choices: choices.len(), ..AnswerView::default() };
    if choices.is_empty() {
        return view;
    }
    let choice = choices.swap_remove(0);
    let message = choice.message.unwrap_or_default();
    view.text = message.content.text;
    view.refusal = message.refusal.0;
    let calls = message.tool_calls.into_iter().flatten().filter_map(|call| call.parts().ok());
    let calls = calls.map(|(_, function)| function).chain(message.function_call);
    view.tool_calls =
        calls.map(|function| ToolCallView { name: function.name.0, arguments: function.arguments.0 }).collect();
    view.finish = chat_finish(choice.finish_reason.0, !view.tool_calls.is_empty());
    view.probabilities = choice.logprobs.map(chat_probabilities).unwrap_or_default();
    view
}

fn messages_view(whole: messages::Whole<'_>) -> AnswerView<'_> {
    let mut view = AnswerView { choices: 1, ..AnswerView::default() };
    for block in whole.content.unwrap_or_default() {
        match &*block.kind.0 {
            "text" => append(&mut view.text, block.text.0),
            "tool_use" => {
                let arguments = Cow::Borrowed(block.input.map_or("", RawValue::get));
                view.tool_calls.push(ToolCallView { name: block.name.0, arguments });
            }
            _ => {}
        }
    }
    view.finish = messages_finish(whole.stop_reason.0);
    if view.finish == Some(Finish::ContentFilter) {
        view.refusal = whole.stop_details.map(|details| details.explanation.0).unwrap_or_default();
    }
    view
}

/// A response, whole or in the last event of its stream.
#[derive(Deserialize)]
pub(crate) struct Response<'a> {
    #[serde(default, borrow)]
    status: Lenient<'a>,
    #[serde(default, borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    #[serde(default, borrow)]
    output: Option<Vec<Item<'a>>>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(default, borrow)]
    reason: Lenient<'a>,
}

/// An item of a response's output.
#[derive(Deserialize)]
pub(crate) struct Item<'a> {
    #[serde(default, borrow, rename = "type")]
    pub(crate) kind: Lenient<'a>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(crate) name: Lenient<'a>,
    #[serde(default, borrow)]
    arguments: Lenient<'a>,
}

#[derive(Deserialize)]
struct ContentPart<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Lenient<'a>,
    #[serde(default, borrow)]
    text: Said<'a>,
    #[serde(default, borrow)]
    refusal: Said<'a>,
    #[serde(default, borrow)]
    logprobs: Option<&'a RawValue>,
}

fn responses_view(response: Response<'_>) -> AnswerView<'_> {
    let finish = response.finish();
    let mut view = AnswerView { choices: 1, finish, ..AnswerView::default() };
    for item in response.output.unwrap_or_default() {
        match (&*item.kind.0, item.content) {
            ("function_call", _) => {
                view.tool_calls.push(ToolCallView { name: item.name.0, arguments: item.arguments.0 });
            }
            // Reasoning has `content` of another kind, which is no part of what is visible.
            ("message", Some(content)) => {
                for part in serde_json::from_str::<Vec<ContentPart<'_>>>(content.get()).unwrap_or_default() {
                    match &*part.kind.0 {
                        "output_text" => append(&mut view.text, part.text.0),
                        "refusal" => append(&mut view.refusal, part.refusal.0),
                        _ => {}
                    }
                    view.probabilities.merge(part.logprobs.map(token_probabilities).unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    if view.finish == Some(Finish::Stop) && !view.tool_calls.is_empty() {
        view.finish = Some(Finish::ToolCalls);
    }
    view
}

impl Response<'_> {
    /// Why it stopped. Of a response that is complete it is not known here whether it calls tools.
    pub(crate) fn finish(&self) -> Option<Finish<'static>> {
        let reason = self.incomplete_details.as_ref().map_or("", |details| &*details.reason.0);
        match (&*self.status.0, reason) {
            ("completed", _) => Some(Finish::Stop),
            (_, "max_output_tokens") => Some(Finish::Length),
            (_, "content_filter") => Some(Finish::ContentFilter),
            (status, "") => other(Cow::Owned(status.to_owned())),
            (_, reason) => other(Cow::Owned(reason.to_owned())),
        }
    }
}

/// `finish_reason` of chat completions.
pub(crate) fn chat_finish(finish_reason: Cow<'_, str>, calls_tools: bool) -> Option<Finish<'_>> {
    match Stop::from_chat(&finish_reason, Cow::Borrowed(""), calls_tools) {
        Ok(stop) => Some(finish(&stop)),
        Err(_) => other(finish_reason),
    }
}

/// `stop_reason` of messages.
pub(crate) fn messages_finish(stop_reason: Cow<'_, str>) -> Option<Finish<'_>> {
    match Stop::from_messages(&stop_reason, Cow::Borrowed("")) {
        Ok(stop) => Some(finish(&stop)),
        Err(_) => other(stop_reason),
    }
}

const fn finish(stop: &Stop<'_>) -> Finish<'static> {
    match stop {
        Stop::End | Stop::Sequence(_) => Finish::Stop,
        Stop::Length | Stop::ContextWindow => Finish::Length,
        Stop::Tools => Finish::ToolCalls,
        Stop::Refusal => Finish::ContentFilter,
    }
}

fn other(name: Cow<'_, str>) -> Option<Finish<'_>> {
    match name.char_indices().nth(Finish::LONGEST) {
        _ if name.is_empty() => None,
        Some((end, _)) => Some(Finish::Other(Cow::Owned(name[..end].to_owned()))),
        None => Some(Finish::Other(name)),
    }
}

/// `logprobs` of a choice of chat completions, or of a chunk's choice.
pub(crate) fn chat_probabilities(logprobs: &RawValue) -> Probabilities {
    #[derive(Deserialize)]
    struct Logprobs<'a> {
        #[serde(default, borrow)]
        content: Option<&'a RawValue>,
        #[serde(default, borrow)]
        refusal: Option<&'a RawValue>,
    }
    let Ok(logprobs) = serde_json::from_str::<Logprobs<'_>>(logprobs.get()) else { return Probabilities::default() };
    let mut all = Probabilities::default();
    for tokens in [logprobs.content, logprobs.refusal].into_iter().flatten() {
        all.merge(token_probabilities(tokens));
    }
    all
}

/// A list of tokens with a `logprob` each; anything else is none.
pub(crate) fn token_probabilities(tokens: &RawValue) -> Probabilities {
    #[derive(Deserialize)]
    struct Token {
        logprob: f64,
    }
    let mut all = Probabilities::default();
    for token in serde_json::from_str::<Option<Vec<Token>>>(tokens.get()).ok().flatten().unwrap_or_default() {
        all.add(token.logprob);
    }
    all
}
