//! Why an answer stopped, in the words of each wire format.

use std::borrow::Cow;

use super::Untranslatable;

/// Why an answer stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop<'a> {
    /// Everything was said.
    End,
    /// One of the caller's stop sequences came; empty when it is not known which.
    Sequence(Cow<'a, str>),
    /// The token limit of the call.
    Length,
    /// The model's context is full.
    ContextWindow,
    /// Tools are called.
    Tools,
    /// The provider, or the model, refused to go on.
    Refusal,
}

impl Stop<'_> {
    /// The same, owned.
    pub(crate) fn into_owned(self) -> Stop<'static> {
        match self {
            Self::Sequence(sequence) => Stop::Sequence(Cow::Owned(sequence.into_owned())),
            Self::End => Stop::End,
            Self::Length => Stop::Length,
            Self::ContextWindow => Stop::ContextWindow,
            Self::Tools => Stop::Tools,
            Self::Refusal => Stop::Refusal,
        }
    }

    /// Whether the answer was cut off in the middle of what it said.
    pub(crate) const fn is_cut(&self) -> bool {
        matches!(self, Self::Length | Self::ContextWindow | Self::Refusal)
    }

    /// `finish_reason` of chat completions.
    pub(crate) const fn finish_reason(&self) -> &'static str {
        match self {
            Self::End | Self::Sequence(_) => "stop",
            Self::Length | Self::ContextWindow => "length",
            Self::Tools => "tool_calls",
            Self::Refusal => "content_filter",
        }
    }

    /// The stop sequence that came, if it is known.
    pub(crate) fn sequence(&self) -> Option<&str> {
        match self {
            Self::Sequence(sequence) if !sequence.is_empty() => Some(sequence),
            _ => None,
        }
    }

    /// `stop_reason` of messages.
    pub(crate) const fn stop_reason(&self) -> &'static str {
        match self {
            Self::End => "end_turn",
            Self::Sequence(_) => "stop_sequence",
            Self::Length => "max_tokens",
            Self::ContextWindow => "model_context_window_exceeded",
            Self::Tools => "tool_use",
            Self::Refusal => "refusal",
        }
    }

    /// `incomplete_details.reason` of responses; `None` when the answer is complete.
    pub(crate) const fn incomplete_reason(&self) -> Option<&'static str> {
        match self {
            Self::End | Self::Sequence(_) | Self::Tools => None,
            Self::Length | Self::ContextWindow => Some("max_output_tokens"),
            Self::Refusal => Some("content_filter"),
        }
    }
}

impl<'a> Stop<'a> {
    /// Reads `finish_reason`. `sequence` is the choice's `stop_reason`, where vLLM and others name the stop sequence.
    /// Many servers say `stop` when tools are called, and some `tool_calls` when none are.
    pub(crate) fn from_chat(
        finish_reason: &str,
        sequence: Cow<'a, str>,
        calls_tools: bool,
    ) -> Result<Self, Untranslatable> {
        Ok(match finish_reason {
            // Together says `eos`, TGI `eos_token` and `stop_sequence`.
            "stop" | "eos" | "eos_token" | "stop_sequence" | "tool_calls" | "function_call" if calls_tools => {
                Self::Tools
            }
            "stop" | "eos" | "eos_token" | "stop_sequence" if !sequence.is_empty() => Self::Sequence(sequence),
            "stop" | "eos" | "eos_token" | "stop_sequence" => Self::End,
            // A client that is told of tools would look for a call.
            "tool_calls" | "function_call" => Self::End,
            // Mistral's context is full; others name the limit of the call.
            "length" | "model_length" | "max_length" => Self::Length,
            "content_filter" => Self::Refusal,
            "" => return Err(Untranslatable::new("the answer does not say why it stopped")),
            _ => return Err(Untranslatable::new("the answer stopped for a reason that is not known")),
        })
    }

    /// Reads `stop_reason` of messages.
    pub(crate) fn from_messages(stop_reason: &str, sequence: Cow<'a, str>) -> Result<Self, Untranslatable> {
        Ok(match stop_reason {
            "end_turn" => Self::End,
            "stop_sequence" => Self::Sequence(sequence),
            "max_tokens" => Self::Length,
            "model_context_window_exceeded" => Self::ContextWindow,
            "tool_use" => Self::Tools,
            "refusal" => Self::Refusal,
            "pause_turn" => return Err(Untranslatable::new("a paused turn (`pause_turn`) has no counterpart")),
            "" => return Err(Untranslatable::new("the answer does not say why it stopped")),
            _ => return Err(Untranslatable::new("the answer stopped for a reason that is not known")),
        })
    }
}
