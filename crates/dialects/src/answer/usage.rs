//! Token counts in the words of each wire format. OpenAI's prompt tokens include cached ones, Anthropic's input tokens
//! leave them out.

use serde::Deserialize;

use super::json::write;
use super::loose::Number;

/// What an answer used, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// The whole question, cached parts included.
    pub(crate) input: u64,
    /// Of these, read from the provider's cache.
    pub(crate) cached: u64,
    /// Of these, written to it.
    pub(crate) written: u64,
    /// The whole answer, thinking included.
    pub(crate) output: u64,
    /// Of these, thinking, when the provider says so.
    pub(crate) reasoning: Option<u64>,
}

/// `usage` of chat completions.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct ChatCounts {
    #[serde(default)]
    prompt_tokens: Number,
    #[serde(default)]
    completion_tokens: Number,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Number,
    #[serde(default)]
    cache_write_tokens: Number,
    /// What LiteLLM and others call it.
    #[serde(default)]
    cache_creation_tokens: Number,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Number,
}

impl ChatCounts {
    /// The counts, if there are any.
    pub(crate) fn tokens(&self) -> Option<Tokens> {
        if self.prompt_tokens.0.is_none() && self.completion_tokens.0.is_none() {
            return None;
        }
        let prompt = self.prompt_tokens_details.unwrap_or_default();
        Some(Tokens {
            input: self.prompt_tokens.0.unwrap_or(0),
            cached: prompt.cached_tokens.0.unwrap_or(0),
            written: prompt.cache_write_tokens.0.or(prompt.cache_creation_tokens.0).unwrap_or(0),
            output: self.completion_tokens.0.unwrap_or(0),
            reasoning: self.completion_tokens_details.and_then(|details| details.reasoning_tokens.0),
        })
    }
}

/// `usage` of messages.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct MessageCounts {
    #[serde(default)]
    input_tokens: Number,
    #[serde(default)]
    cache_creation_input_tokens: Number,
    #[serde(default)]
    cache_read_input_tokens: Number,
    #[serde(default)]
    output_tokens: Number,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Number,
}

impl MessageCounts {
    /// Takes over what a later event says anew.
    pub(crate) fn update(&mut self, later: Self) {
        let pairs = [
            (&mut self.input_tokens, later.input_tokens),
            (&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens),
            (&mut self.cache_read_input_tokens, later.cache_read_input_tokens),
            (&mut self.output_tokens, later.output_tokens),
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

    /// The counts, if there are any.
    pub(crate) fn tokens(&self) -> Option<Tokens> {
        if self.input_tokens.0.is_none() && self.output_tokens.0.is_none() {
            return None;
        }
        let cached = self.cache_read_input_tokens.0.unwrap_or(0);
        let written = self.cache_creation_input_tokens.0.unwrap_or(0);
        Some(Tokens {
            input: self.input_tokens.0.unwrap_or(0).saturating_add(cached).saturating_add(written),
            cached,
            written,
            output: self.output_tokens.0.unwrap_or(0),
            reasoning: self.output_tokens_details.and_then(|details| details.thinking_tokens.0),
        })
    }
}

impl Tokens {
    fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Appends `usage` of chat completions.
    pub(crate) fn write_chat(&self, out: &mut Vec<u8>) {
        let Self { input, cached, written, output, .. } = self;
        write(
            out,
            format_args!(r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}"#, self.total()),
        );
        write(out, format_args!(r#","prompt_tokens_details":{{"cached_tokens":{cached}"#));
        if *written > 0 {
            write(out, format_args!(r#","cache_write_tokens":{written}"#));
        }
        out.push(b'}');
        if let Some(reasoning) = self.reasoning {
            write(out, format_args!(r#","completion_tokens_details":{{"reasoning_tokens":{reasoning}}}"#));
        }
        out.push(b'}');
    }

    /// Appends `usage` of messages.
    pub(crate) fn write_messages(&self, out: &mut Vec<u8>) {
        let Self { input, cached, written, output, reasoning } = self;
        let uncached = input.saturating_sub(*cached).saturating_sub(*written);
        write(out, format_args!(r#"{{"input_tokens":{uncached},"cache_creation_input_tokens":{written}"#));
        write(out, format_args!(r#","cache_read_input_tokens":{cached},"output_tokens":{output}"#));
        if let Some(reasoning) = reasoning {
            write(out, format_args!(r#","output_tokens_details":{{"thinking_tokens":{reasoning}}}"#));
        }
        out.push(b'}');
    }

    /// Appends `usage` of responses.
    pub(crate) fn write_responses(&self, out: &mut Vec<u8>) {
        let Self { input, cached, written, output, .. } = self;
        let reasoning = self.reasoning.unwrap_or(0);
        write(out, format_args!(r#"{{"input_tokens":{input},"input_tokens_details":{{"cached_tokens":{cached}"#));
        write(out, format_args!(r#","cache_write_tokens":{written}}},"output_tokens":{output}"#));
        write(out, format_args!(r#","output_tokens_details":{{"reasoning_tokens":{reasoning}}}"#));
        write(out, format_args!(r#","total_tokens":{}}}"#, self.total()));
    }
}
