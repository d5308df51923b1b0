//! The text of an answer with its placeholders: `{{model}}`, `{{time}}`, `{{question}}`, and what a pattern has captured,
//! `{{1}}` or `{{name}}`. `\{{` stands for two braces.
//!
//! A text is taken apart once, when the configuration is read, and what is unknown is refused there. What is put in is
//! never looked through again, so a caller cannot write placeholders; and nothing but the call itself is ever put in.

use std::fmt;

use regex::Captures;
use tradewind_core::{UnixMillis, nearest};

/// What is put in for `{{question}}` or a capture has at most so many characters; more is cut, with `…` at its end.
pub(crate) const LONGEST_INSERT: usize = 500;
/// The longest text of an answer, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;
/// The placeholders that every answer may have.
const WORDS: [&str; 3] = ["model", "time", "question"];

/// The text of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Model,
    Time,
    Question,
    Capture(String),
}

/// Why a text is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadTemplate {
    /// `{{` without `}}`.
    Open,
    /// A placeholder that nothing is known for, and the nearest that there is.
    Unknown(String, Option<String>),
    /// Over [`LONGEST_TEXT`].
    TooLong,
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("a placeholder is not closed: `}}` is missing"),
            Self::Unknown(name, _) => write!(f, "unknown placeholder `{{{{{name}}}}}`"),
            Self::TooLong => write!(f, "an answer has at most {LONGEST_TEXT} bytes"),
        }
    }
}

/// What is known when an answer is given.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The model as the caller named it.
    pub(crate) model: &'a str,
    pub(crate) at: UnixMillis,
    pub(crate) question: &'a str,
}

impl Template {
    /// Takes `text` apart; `captures` are the names and numbers that patterns give.
    pub(crate) fn read(text: &str, captures: &[String]) -> Result<Self, BadTemplate> {
        if text.len() > LONGEST_TEXT {
            return Err(BadTemplate::TooLong);
        }
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            if let Some(before) = rest[..at].strip_suffix('\\') {
                plain.push_str(before);
                plain.push_str("{{");
                rest = &rest[at + 2..];
                continue;
            }
            plain.push_str(&rest[..at]);
            let inner = &rest[at + 2..];
            let end = inner.find("}}").ok_or(BadTemplate::Open)?;
            let piece = match inner[..end].trim() {
                "model" => Piece::Model,
                "time" => Piece::Time,
                "question" => Piece::Question,
                name if captures.iter().any(|known| known == name) => Piece::Capture(name.to_owned()),
                name => {
                    let known = WORDS.into_iter().chain(captures.iter().map(String::as_str));
                    let right = nearest(name, known).map(str::to_owned);
                    return Err(BadTemplate::Unknown(name.chars().take(60).collect(), right));
                }
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
            rest = &inner[end + 2..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// A text without placeholders.
    pub(crate) fn plain(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }

    /// Whether it holds something that only a pattern gives.
    pub(crate) fn first_capture(&self) -> Option<&str> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Capture(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The answer. What a pattern has not captured is empty.
    pub(crate) fn fill(&self, facts: Facts<'_>, captures: Option<&Captures<'_>>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Model => push_short(&mut text, facts.model),
                Piece::Time => text.push_str(&facts.at.rfc3339()),
                Piece::Question => push_short(&mut text, facts.question.trim()),
                Piece::Capture(name) => {
                    let captured = captures.and_then(|captures| match name.parse() {
                        Ok(number) => captures.get(number),
                        Err(_) => captures.name(name),
                    });
                    push_short(&mut text, captured.map_or("", |captured| captured.as_str()));
                }
            }
        }
        text
    }
}

/// Adds at most [`LONGEST_INSERT`] characters of `insert`.
fn push_short(text: &mut String, insert: &str) {
    match insert.char_indices().nth(LONGEST_INSERT) {
        None => text.push_str(insert),
        Some((end, _)) => {
            text.push_str(&insert[..end]);
            text.push('…');
        }
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn fill(text: &str, question: &str) -> String {
        let pattern = Regex::new("status of (?<service>\\w+)(?: in (\\w+))?").unwrap();
        let names = ["0", "1", "2", "service"].map(str::to_owned);
        let facts = Facts { model: "assistant", at: UnixMillis(1_795_294_621_123), question };
        Template::read(text, &names).unwrap().fill(facts, pattern.captures(question).as_ref())
    }

    #[test]
    fn placeholders_are_filled_in() {
        let question = "the status of billing in france please";
        for (text, filled) in [
            ("plain", "plain"),
            ("", ""),
            ("{{model}} at {{ time }}", "assistant at 2026-11-21T20:57:01.123Z"),
            ("{{service}} = {{1}}, {{2}}", "billing = billing, france"),
            ("[{{question}}]", "[the status of billing in france please]"),
            ("{{0}}!", "status of billing in france!"),
            (r"write \{{model}} for {{model}}", "write {{model}} for assistant"),
            ("{ {model} } }}", "{ {model} } }}"),
        ] {
            assert_eq!(fill(text, question), filled, "{text}");
        }
        assert_eq!(fill("{{2}}|", "status of x"), "|", "a group that took no part is empty");
        assert_eq!(fill("{{service}}|", "something else"), "|");
    }

    #[test]
    fn what_a_caller_writes_is_no_template() {
        assert_eq!(fill("{{question}}", "{{time}} status of {{model}}"), "{{time}} status of {{model}}");
    }

    #[test]
    fn what_is_put_in_is_bounded() {
        let long = "é".repeat(LONGEST_INSERT + 1);
        assert_eq!(fill("{{question}}", &long).chars().count(), LONGEST_INSERT + 1);
        assert!(fill("{{question}}", &long).ends_with("é…"));
        assert_eq!(fill("{{question}}", &long[..2 * LONGEST_INSERT]), long[..2 * LONGEST_INSERT]);
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let read = |text: &str| Template::read(text, &["1".to_owned(), "service".to_owned()]).unwrap_err();
        assert_eq!(read("{{servise}}"), BadTemplate::Unknown("servise".to_owned(), Some("service".to_owned())));
        assert_eq!(read("{{modell}}"), BadTemplate::Unknown("modell".to_owned(), Some("model".to_owned())));
        assert_eq!(read("{{2}}"), BadTemplate::Unknown("2".to_owned(), None));
        assert_eq!(read("{{}}"), BadTemplate::Unknown(String::new(), None));
        assert_eq!(read("{{env.OPENAI_API_KEY}}").to_string(), "unknown placeholder `{{env.OPENAI_API_KEY}}`");
        assert_eq!(read("{{model"), BadTemplate::Open);
        assert_eq!(read(&"x".repeat(LONGEST_TEXT + 1)), BadTemplate::TooLong);
    }
}
