//! How a model was chosen, beside what the decision says of each candidate: the caller's context, the rule that led on, what
//! the question looked like, and whether a kept answer was given. Never the text of a question.

use std::sync::Arc;

use serde::Serialize;
use tradewind_core::{Context, DecisionId};

/// How a model was chosen. What there was nothing to say about is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Choice {
    /// Who calls, from where, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Context>,
    /// The rule of `route` that led to another model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Led>,
    /// How well the targets fit the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<Meaning>,
    /// How complex the question is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complexity: Option<ComplexityParts>,
    /// What keeps the call at one target with others: `session`, `prompt-cache`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<&'static str>,
    /// The kept answer that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Kept>,
}

/// A rule that led on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Led {
    /// Its number, from 0.
    pub number: usize,
    /// Where to.
    #[serde(rename = "use")]
    pub to: Arc<str>,
}

/// How well the targets fit a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Meaning {
    /// What compared them.
    pub embedder: Arc<str>,
    /// What the comparison rests on: `words and vectors`, `words`.
    pub basis: &'static str,
    /// How sure it is that one fits, 0 to 1.
    pub confidence: f32,
    /// The distance between the best two, 0 to 1.
    pub margin: f32,
    /// Whether none was said to fit.
    pub abstained: bool,
}

/// How complex a question is, and why: each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ComplexityParts {
    /// All together.
    pub value: f32,
    /// How long it is.
    pub length: f32,
    /// How far its sentences are from one another.
    pub spread: f32,
    /// Names, numbers and the like.
    pub entities: f32,
    /// How much code there is.
    pub code: f32,
    /// How many demands it makes.
    pub constraints: f32,
}

/// A kept answer that was given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kept {
    /// `exact` or `meaning`.
    pub kind: &'static str,
    /// The decision that the answer was made by.
    pub decision: DecisionId,
    /// How old it is.
    pub age_ms: u64,
    /// `meaning`: the cosine of the two questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f32>,
}

impl Choice {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
