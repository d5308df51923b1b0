//! Whole answers: read into one neutral form, written in the caller's wire format.
//!
//! What is said (text, refusals, thinking, tool calls), why it stopped and what it used crosses over; what a provider
//! says about itself (`system_fingerprint`, `service_tier`, …) does not. Whether an answer is acceptable at all was
//! judged before; here it only has to be expressible, and nothing may panic.

mod chat;
mod echo;
mod json;
mod loose;
mod messages;
mod responses;
mod stop;
mod usage;
mod view;

use std::borrow::Cow;

use bytes::Bytes;

use crate::wire::Wire;

pub(crate) use chat::{CallParts, ChatMessage, thinking_of};
pub(crate) use echo::{Echo, ResponseHead, write_response};
pub(crate) use json::{quote, write};
pub(crate) use loose::{Lenient, Number};
pub(crate) use messages::{MessageBlock, MessageStopDetails, is_empty_object, no_usage, not_an_object, write_stop};
pub(crate) use stop::Stop;
pub(crate) use usage::{ChatCounts, MessageCounts, Tokens};
pub use view::view_answer;
pub(crate) use view::{Item, Response, chat_finish, chat_probabilities, messages_finish, token_probabilities};

/// The most tool calls of one answer.
pub(crate) const CALLS: usize = 1024;

/// What an answer needs that the provider's does not give.
#[derive(Clone, Debug)]
pub struct AnswerContext {
    /// The decision's id: ids that the provider does not give are made from it.
    pub id: String,
    /// When the answer was made, as the caller is told, in unix seconds.
    pub created: u64,
    /// Streams of chat completions: whether the caller asked for the usage.
    pub wants_usage: bool,
    /// The caller's Responses request, whose settings (tools, instructions, …) a Responses answer repeats.
    pub echo: Option<Bytes>,
}

/// Why an answer cannot be read, or not be put into the caller's wire format; never any of the answer's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Untranslatable(pub String);

impl Untranslatable {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// Something was no JSON, or had another shape. Only the place is named: serde's words show values.
    pub(crate) fn unreadable(what: &str, error: &serde_json::Error) -> Self {
        Self(format!("{what} cannot be read at line {} column {}", error.line(), error.column()))
    }
}

/// A whole answer, whatever its wire format.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    /// Empty when the provider gave none.
    pub(crate) id: Cow<'a, str>,
    pub(crate) model: Cow<'a, str>,
    pub(crate) parts: Vec<Part<'a>>,
    pub(crate) stop: Stop<'a>,
    pub(crate) usage: Option<Tokens>,
}

/// A part of what was said.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// Thinking, with the signature under which its provider takes it back; empty when there is none.
    Thinking {
        text: Cow<'a, str>,
        signature: Cow<'a, str>,
    },
    /// Thinking that only its provider can read.
    Redacted(Cow<'a, str>),
    Text(Cow<'a, str>),
    Refusal(Cow<'a, str>),
    /// A call of a tool. The arguments are JSON text as the provider wrote it, `{}` when there were none, and empty when
    /// the answer was cut off before them.
    Tool {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        arguments: Cow<'a, str>,
    },
}

/// Puts the whole answer `body` of wire format `from` into `to`.
///
/// # Errors
/// When the answer is unreadable, or says something that `to` has no words for.
pub fn translate_answer(from: Wire, to: Wire, body: &[u8], context: &AnswerContext) -> Result<Vec<u8>, Untranslatable> {
    let answer = match from {
        Wire::Chat => chat::read(body, context)?,
        Wire::Messages => messages::read(body, context)?,
        Wire::Responses => return Err(from_responses()),
    };
    match to {
        Wire::Chat => Ok(chat::render(&answer, context)),
        Wire::Messages => messages::render(&answer, context),
        Wire::Responses => responses::render(&answer, context),
    }
}

/// Providers' Responses answers pass unchanged to the callers that asked for them, and go to nobody else.
pub(crate) fn from_responses() -> Untranslatable {
    Untranslatable::new("answers of the responses API are not translated")
}

/// An answer with more tool calls than [`CALLS`].
pub(crate) fn too_many_calls() -> Untranslatable {
    Untranslatable::new(format!("the answer calls more than {CALLS} tools"))
}

/// The id of an answer: the provider's, or one made from the decision's.
pub(crate) fn answer_id<'a>(given: &'a str, prefix: &str, context: &AnswerContext) -> Cow<'a, str> {
    if given.is_empty() { Cow::Owned(format!("{prefix}{}", context.id)) } else { Cow::Borrowed(given) }
}

/// The id of tool call number `call`, when the provider gives none.
pub(crate) fn call_id(call: usize, context: &AnswerContext) -> String {
    format!("call_{}_{call}", context.id)
}
