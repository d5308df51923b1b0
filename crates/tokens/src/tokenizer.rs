//! OpenAI's own tokenizers, by `tiktoken-rs`, loaded when the first count asks for them.
//!
//! Measured, release build: `tiktoken-rs` 0.12 adds 7 MB to the binary, loads `o200k_base` in 58 ms into 46 MiB and
//! counts 25 to 40 MB/s; `bpe-openai` 0.3 adds 49 MB, loads in 31 ms into 66 MiB and counts 60 to 100 MB/s. A gateway
//! that idles within 60 MiB can afford neither for each call, so these count only where somebody asks for a count, and
//! there the smaller one is fast enough. Its regular expressions backtrack and give up with a panic on a million
//! blanks: it is given pieces of 16 KiB, which costs one token a piece at most.

use std::sync::OnceLock;

use serde_json::Value;
use tiktoken_rs::CoreBPE;

use crate::family::Family;
use crate::features::Features;
use crate::media;
use crate::request::{Frame, Mode, field, member};

/// Larger bodies are not counted.
const LARGEST_BODY: usize = 64 * 1024;
/// Bytes that the tokenizer is given at once.
const PIECE: usize = 16 * 1024;

pub(crate) struct Tokenizers {
    o200k: OnceLock<CoreBPE>,
    cl100k: OnceLock<CoreBPE>,
}

impl Tokenizers {
    pub(crate) const fn new() -> Self {
        Self { o200k: OnceLock::new(), cl100k: OnceLock::new() }
    }

    /// Tokens of the request in `body`; `None` when there is no tokenizer for the family, or the body is too large or
    /// no JSON object.
    pub(crate) fn count_request(&self, family: Family, body: &[u8]) -> Option<u64> {
        let known = matches!(family, Family::O200k | Family::Cl100k);
        if !known || body.len() > LARGEST_BODY {
            return None;
        }
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return None };
        let tokenizer = self.tokenizer(family)?;
        let texts: u64 = fields.iter().map(|(name, value)| count(tokenizer, value, field(name.as_bytes()))).sum();
        let around = Features::of_request(body);
        let frame = family.frame(around.messages, around.tools).round() as u64;
        Some(texts + frame + around.media_tokens + u64::from(around.token_ids))
    }

    fn tokenizer(&self, family: Family) -> Option<&CoreBPE> {
        const WHOLE: &str = "the vocabulary is part of this program";
        match family {
            Family::O200k => Some(self.o200k.get_or_init(|| tiktoken_rs::o200k_base().expect(WHOLE))),
            Family::Cl100k => Some(self.cl100k.get_or_init(|| tiktoken_rs::cl100k_base().expect(WHOLE))),
            _ => None,
        }
    }

    /// Tokens of a plain text.
    #[cfg(test)]
    pub(crate) fn count_text(&self, family: Family, text: &str) -> Option<u64> {
        self.tokenizer(family).map(|tokenizer| count_text(tokenizer, text))
    }
}

/// Tokens of the texts in `value`. It is at most as deep as `serde_json` reads: 128.
fn count(tokenizer: &CoreBPE, value: &Value, frame: Frame) -> u64 {
    match (frame.mode, value) {
        (Mode::Skip, _) => 0,
        (Mode::Json, value) => count_text(tokenizer, &value.to_string()),
        (Mode::Url | Mode::Data, Value::String(text))
            if media::cost(text.as_bytes(), frame.mode == Mode::Url).is_some() =>
        {
            0
        }
        (_, Value::String(text)) => count_text(tokenizer, text),
        (_, Value::Array(items)) => items.iter().map(|item| count(tokenizer, item, frame)).sum(),
        (_, Value::Object(members)) => {
            members.iter().map(|(name, value)| count(tokenizer, value, member(name.as_bytes(), frame))).sum()
        }
        (_, Value::Null | Value::Bool(_) | Value::Number(_)) => 0,
    }
}

fn count_text(tokenizer: &CoreBPE, mut text: &str) -> u64 {
    let mut tokens = 0;
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE));
        tokens += tokenizer.count_ordinary(piece) as u64;
        text = rest;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_have_their_known_counts() {
        let tokenizers = Tokenizers::new();
        // From the examples of tiktoken's own documentation and tests.
        assert_eq!(tokenizers.count_text(Family::Cl100k, "tiktoken is great!"), Some(6));
        assert_eq!(tokenizers.count_text(Family::O200k, "hello world"), Some(2));
        assert_eq!(tokenizers.count_text(Family::Cl100k, ""), Some(0));
    }

    #[test]
    fn a_chat_is_its_texts_and_their_frame() {
        let tokenizers = Tokenizers::new();
        // "hello world" is two tokens; a message is framed by four, the answer begins with three.
        let body = br#"{"model":"gpt-4o","user":"someone","messages":[{"role":"user","content":"hello world"}]}"#;
        assert_eq!(tokenizers.count_request(Family::O200k, body), Some(2 + 4 + 3));
        assert_eq!(tokenizers.count_request(Family::Claude, body), None);
        assert_eq!(tokenizers.count_request(Family::O200k, b"[]"), None);
        assert_eq!(tokenizers.count_request(Family::O200k, b"\xff"), None);
        assert_eq!(tokenizers.count_request(Family::O200k, &vec![b' '; LARGEST_BODY + 1]), None);
    }

    #[test]
    fn texts_on_which_its_expressions_backtrack_are_counted() {
        let tokenizers = Tokenizers::new();
        for text in
            [" ".repeat(1 << 20) + "x", "\n \t".repeat(100_000), "\u{301}".repeat(100_000), "人".repeat(100_000)]
        {
            assert!(tokenizers.count_text(Family::O200k, &text).is_some_and(|tokens| tokens > 0));
        }
    }

    #[test]
    fn the_count_and_the_estimate_read_the_same_texts() {
        let tokenizers = Tokenizers::new();
        let model = crate::Estimator::new().model("gpt-4o");
        let text = "Tradewind stands between your agents and the model providers, and decides who answers. ".repeat(8);
        let bodies = [
            format!(
                r#"{{"messages":[{{"role":"system","content":"{text}"}},{{"role":"user","content":[{{"type":"text","text":"{text}"}},{{"type":"image_url","image_url":{{"url":"https://example.com/a.png"}}}}]}}]}}"#
            ),
            format!(
                r#"{{"system":"{text}","messages":[{{"role":"user","content":"{text}"}}],"tools":[{{"name":"f","description":"{text}","input_schema":{{"type":"object","properties":{{"path":{{"type":"string"}}}}}}}}]}}"#
            ),
            format!(
                r#"{{"instructions":"{text}","input":[{{"role":"user","content":[{{"type":"input_text","text":"{text}"}}]}},{{"type":"function_call_output","call_id":"call_1","output":"{text}"}}]}}"#
            ),
        ];
        for body in bodies {
            let counted = tokenizers.count_request(Family::O200k, body.as_bytes()).unwrap();
            let estimated = model.estimate(&Features::of_request(body.as_bytes())).tokens;
            assert!((estimated as f64 / counted as f64 - 1.0).abs() < 0.1, "{estimated} {counted}: {body}");
        }
    }
}
