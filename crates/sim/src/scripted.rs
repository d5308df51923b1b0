//! Answers that a test has written down: what a model says, in no dialect; each endpoint renders it in its own. Registered
//! for a model's name in Rust ([`crate::Sim::script`]) or by `PUT /sim/answers/MODEL` with this type as JSON.

use serde::{Deserialize, Serialize};

/// What a model answers, whatever it is asked and in whichever dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptedAnswer {
    /// The text. `None`, or empty: no text.
    pub text: Option<String>,
    /// The text as a stream cuts it; what a whole answer holds is their concatenation. Goes before `text`.
    pub chunks: Option<Vec<String>>,
    /// Characters in one event of text, thinking, refusal or arguments.
    pub piece: usize,
    /// What is thought before anything is said.
    pub thinking: Option<Thinking>,
    /// Calls of tools, behind the text.
    pub tool_calls: Vec<ScriptedCall>,
    /// Chat streams only: the pieces of several calls come by turns.
    pub interleave: bool,
    /// What is said in place of an answer.
    pub refusal: Option<String>,
    /// Why it ends.
    pub finish: Finish,
    /// Chat only: the probability that each token of the text is said to have, in percent. `None`: no `logprobs`.
    pub probability: Option<u8>,
    /// What is reported and charged.
    pub usage: ScriptedUsage,
}

impl Default for ScriptedAnswer {
    fn default() -> Self {
        Self {
            text: None,
            chunks: None,
            piece: 7,
            thinking: None,
            tool_calls: Vec::new(),
            interleave: false,
            refusal: None,
            finish: Finish::default(),
            probability: None,
            usage: ScriptedUsage::default(),
        }
    }
}

impl ScriptedAnswer {
    /// An answer that says `text` and stops.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::default() }
    }
}

/// Thinking that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thinking {
    /// What is thought.
    pub text: String,
    /// Only Messages has a place for it.
    #[serde(default)]
    pub signature: String,
}

/// One call of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCall {
    /// As it stands on the wire.
    pub id: String,
    /// Of the tool.
    pub name: String,
    /// JSON text. Chat and Responses carry it as it is, Messages as the value that it denotes (streams: as it is).
    pub arguments: String,
}

/// Why an answer ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model has said all.
    #[default]
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// This stop sequence was met. Chat: `stop`, with the sequence in the choice's `stop_reason`, as vLLM has it.
    StopSequence(String),
    /// The model or its filter refuses. Chat: `stop` with a refusal text (as OpenAI has it), `content_filter` without.
    Refusal,
}

/// Tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptedUsage {
    /// All of the prompt, cached or not.
    pub input: u64,
    /// All that was generated, reasoning included.
    pub output: u64,
    /// Of `input`, read from a cache.
    pub cached: u64,
    /// Of `input`, written to a cache.
    pub cache_creation: u64,
    /// Of `output`, reasoning.
    pub reasoning: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_json_is_read() {
        let text = r#"{"text": "a", "tool_calls": [{"id": "c", "name": "n", "arguments": "{}"}], "piece": 1,
            "finish": {"stop_sequence": "END"}, "usage": {"input": 3, "cached": 1}}"#;
        let answer: ScriptedAnswer = serde_json::from_str(text).unwrap();
        assert_eq!(answer.finish, Finish::StopSequence("END".to_owned()));
        assert_eq!((answer.usage.input, answer.usage.cached, answer.piece), (3, 1, 1));
        let finish: ScriptedAnswer = serde_json::from_str(r#"{"finish": "tool_calls"}"#).unwrap();
        assert_eq!(finish.finish, Finish::ToolCalls);
        assert!(serde_json::from_str::<ScriptedAnswer>(r#"{"txt": "a"}"#).is_err());
    }
}
