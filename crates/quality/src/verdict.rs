//! What the gates say about an answer.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

/// A gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gate {
    /// Why the answer stopped.
    Finish,
    /// Whether there is anything in it.
    Empty,
    /// Whether it is as long as it may be.
    Length,
    /// Whether it refuses.
    Refusal,
    /// Whether structured output follows its schema.
    JsonSchema,
    /// Whether tool calls can be carried out.
    ToolArguments,
    /// Whether it is in the language of the question.
    Language,
    /// Whether it says the same over and over.
    Repetition,
    /// How sure the model was of its tokens.
    Confidence,
}

impl Gate {
    /// All of them, in the order in which they judge.
    pub const ALL: [Self; 9] = [
        Self::Finish,
        Self::Empty,
        Self::Length,
        Self::Refusal,
        Self::JsonSchema,
        Self::ToolArguments,
        Self::Language,
        Self::Repetition,
        Self::Confidence,
    ];

    /// Its key in the configuration, and its name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finish => "finish",
            Self::Empty => "empty",
            Self::Length => "length",
            Self::Refusal => "refusal",
            Self::JsonSchema => "json-schema",
            Self::ToolArguments => "tool-arguments",
            Self::Language => "language",
            Self::Repetition => "repetition",
            Self::Confidence => "confidence",
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a gate holds an answer back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The gate.
    pub gate: Gate,
    /// Why, for a person: rules, counts, and places in the caller's schema; never text of the answer.
    pub why: Cow<'static, str>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.gate, self.why)
    }
}

/// Why a gate that was asked says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The gate.
    pub gate: Gate,
    /// Why, in a few words that are always the same.
    pub why: &'static str,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.gate, self.why)
    }
}

/// What the gates say about an answer: at most one failure and one note for each gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The gates that hold it back, in the order of [`Gate::ALL`].
    pub failures: SmallVec<[Failure; 2]>,
    /// The gates that could not judge.
    pub notes: SmallVec<[Note; 2]>,
}

impl Verdict {
    /// Whether no gate holds the answer back.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn fail(&mut self, gate: Gate, why: impl Into<Cow<'static, str>>) {
        self.failures.push(Failure { gate, why: why.into() });
    }

    pub(crate) fn note(&mut self, gate: Gate, why: &'static str) {
        self.notes.push(Note { gate, why });
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, failure) in self.failures.iter().enumerate() {
            write!(f, "{}{failure}", if number > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}
