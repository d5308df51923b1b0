//! Errors of decoding, in the words of a person who writes configuration.

use std::fmt;

use serde::de::{self, Expected, Unexpected};
use tradewind_core::{Code, nearest};

use crate::node::Node;
use crate::problem::Problem;

/// Why something could not be decoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It has been put among the problems already.
    #[error("already reported")]
    Reported,
    /// It has no place yet: the next node on the way up is the innermost one.
    #[error("{0}")]
    Loose(Loose),
}

/// An error without a place.
#[derive(Debug)]
pub(super) enum Loose {
    Wrong { expected: String },
    Variant { variants: &'static [&'static str] },
    Missing { field: &'static str },
    Other(String),
}

impl Failure {
    pub(super) fn wrong_type(expected: &str) -> Self {
        Self::Loose(Loose::Wrong { expected: expected.to_owned() })
    }

    pub(super) const fn wrong_variant(variants: &'static [&'static str]) -> Self {
        Self::Loose(Loose::Variant { variants })
    }
}

impl fmt::Display for Loose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong { expected } => write!(f, "expected {expected}"),
            Self::Variant { variants } => write!(f, "expected one of {}", variants.join(", ")),
            Self::Missing { field } => write!(f, "`{field}` is missing"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl Loose {
    /// The problem, at `node` and `path`; with `hidden` nothing of the value is shown.
    pub(super) fn at(self, node: &Node, path: String, hidden: bool) -> Problem {
        let found = if hidden { node.kind().to_owned() } else { node.described() };
        let problem = |message: String| Problem::new(Code::ConfigBadValue, node.place, path, message);
        match self {
            Self::Wrong { expected } => {
                let hint = hint_for_kind(node, &expected, hidden);
                let problem = problem(format!("expected {expected}, found {found}"));
                match hint {
                    Some(hint) => problem.with_hint(hint),
                    None => problem,
                }
            }
            Self::Variant { variants } => {
                let near = node
                    .as_str()
                    .filter(|_| node.raw.is_none())
                    .and_then(|text| nearest(text, variants.iter().copied()));
                let problem = problem(format!("expected one of {}, found {found}", variants.join(", ")));
                match near {
                    Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                    None => problem,
                }
            }
            Self::Missing { field } => problem(format!("`{field}` is missing")),
            Self::Other(message) => match (&node.raw, node.as_str()) {
                // A message of somebody else's may show the value, which came from outside.
                (Some(raw), Some(text)) if !text.is_empty() => problem(message.replace(text, raw)),
                _ => problem(message),
            },
        }
    }
}

fn hint_for_kind(node: &Node, expected: &str, hidden: bool) -> Option<String> {
    use crate::node::Value;
    match &node.value {
        Value::Int(_) | Value::Float(_) | Value::Bool(_) if expected == TEXT => Some(if hidden {
            "put it in quotes".to_owned()
        } else {
            format!("put it in quotes: \"{}\"", node.described().replace("the number ", "").replace('`', ""))
        }),
        Value::String(text) if expected == TRUTH && node.raw.is_none() => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" => Some("write `true`".to_owned()),
            "no" | "off" => Some("write `false`".to_owned()),
            _ => None,
        },
        Value::String(text) if NUMBERS.iter().any(|(_, words)| *words == expected) => {
            text.trim().parse::<f64>().ok().filter(|_| node.raw.is_none()).map(|_| "remove the quotes".to_owned())
        }
        _ => None,
    }
}

const TEXT: &str = "text";
const TRUTH: &str = "true or false";

/// What serde calls the types of numbers, and what a person would.
const NUMBERS: &[(&str, &str)] = &[
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number, not negative"),
    ("usize", "a whole number, not negative"),
    ("i64", "a whole number"),
    ("f64", "a number"),
];

fn in_words(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a string" | "a borrowed string" | "string" => TEXT.to_owned(),
        "a boolean" => TRUTH.to_owned(),
        "a sequence" => "a list".to_owned(),
        _ => NUMBERS.iter().find(|(name, _)| *name == expected).map_or(expected, |(_, words)| (*words).to_owned()),
    }
}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Loose(Loose::Other(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Loose(Loose::Wrong { expected: in_words(expected) })
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Loose(Loose::Wrong { expected: in_words(expected) })
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Self::Loose(Loose::Variant { variants })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Loose(Loose::Missing { field })
    }
}
