//! The wire formats, and what crosses between their readers and writers.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use tradewind_core::Dialect;

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// OpenAI chat completions, `/v1/chat/completions`.
    Chat,
    /// Anthropic messages, `/v1/messages`.
    Messages,
    /// OpenAI responses, `/v1/responses`.
    Responses,
}

impl Wire {
    /// The dialect that it belongs to.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Responses => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
        }
    }

    /// The name that a person knows it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat completions",
            Self::Messages => "messages",
            Self::Responses => "responses",
        }
    }
}

/// The field of chat completions that bounds the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenLimit {
    /// `max_tokens`: what every compatible server understands.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`: what OpenAI itself wants for its newer models.
    MaxCompletionTokens,
}

/// How a request is to be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestOptions {
    /// Whether hints (`cache_control`, `user`, …) count as fields that have to be expressed.
    pub strict: bool,
    /// The field of chat completions that bounds the answer.
    pub token_limit: TokenLimit,
    /// The limit that is written towards messages, which demands one, when the caller set none.
    pub max_tokens: u32,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self { strict: false, token_limit: TokenLimit::default(), max_tokens: 4096 }
    }
}

/// A request in another wire format.
#[derive(Clone, Debug)]
pub struct TranslatedRequest {
    /// The body. The value of `model` is the caller's.
    pub body: Bytes,
    /// Where the value of `model` stands in it, its quotes included.
    pub model_at: Range<usize>,
    /// The hints that were left out, as paths of the caller's request (`messages[0].content[1].cache_control`); at most
    /// 32 are listed.
    pub dropped: Vec<String>,
}

/// Why a request cannot be put into another wire format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The field of the caller's request, as a path: `messages[2].content[0].image_url`. Empty when the request as a whole
    /// is meant. Keys that the caller made up are in it, cut at 64 characters, with `?` for all that is not printable ASCII.
    pub field: String,
    /// Why, for a person; never any of the caller's text.
    pub why: Cow<'static, str>,
    /// Whether the field is wrong in itself (an image that is none, a tool result without a call) and not only
    /// inexpressible.
    pub invalid: bool,
}
