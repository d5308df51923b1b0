//! What a text or a request is made of, as far as it decides how many tokens it is.

use crate::request;
use crate::states::{Lexer, STATES, Tally};

/// What a text or a request is made of: counts of letters by their place in a word, of digits, marks, blanks and
/// characters of other scripts, and of what a request adds to them.
///
/// Made in one pass, in time that grows with the length; it holds no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// How often the automaton of `states.rs` reached each of its states, in the text that a model reads.
    pub(crate) text: [u32; STATES],
    /// The same for tool definitions and schemas of answers, counted as JSON.
    pub(crate) tool_text: [u32; STATES],
    /// Messages of the conversation.
    pub messages: u32,
    /// Tools that are defined.
    pub tools: u32,
    /// Pictures, documents and recordings.
    pub media: u32,
    /// What those cost at a usual size, in tokens.
    pub media_tokens: u64,
    /// Parts of messages that are pictures by what they are called, also those that lie at the provider.
    pub images: u32,
    /// Tokens that the caller sent as numbers in `prompt` or `input`.
    pub token_ids: u32,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            text: [0; STATES],
            tool_text: [0; STATES],
            messages: 0,
            tools: 0,
            media: 0,
            media_tokens: 0,
            images: 0,
            token_ids: 0,
        }
    }
}

impl Features {
    /// What `body`, the JSON of a request to a models API, asks a model to read.
    ///
    /// Counted are strings in `messages`, `input`, `prompt`, `system` and `instructions`, and the JSON of `tools`,
    /// `functions` and schemas of answers. Everything else of a request is its envelope and costs nothing. Of bytes
    /// that are no JSON it counts something; it never fails.
    #[must_use]
    pub fn of_request(body: &[u8]) -> Self {
        request::scan(body)
    }

    /// What a plain text is made of.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        let mut tally = Tally::new();
        let mut lexer = Lexer::START;
        lexer.take_text(&mut tally, text.as_bytes());
        Self { text: tally.counts(), ..Self::default() }
    }

    /// How often the automaton reached each of its states in the text: what weights are fitted on.
    #[must_use]
    pub fn states(&self) -> &[u32] {
        &self.text
    }
}
