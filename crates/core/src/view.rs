//! What an answer says and what its request asked for, whatever their wire formats: the words between those who read the
//! formats and those who judge answers.
//!
//! Everything is borrowed from the bodies where it can be. Nothing here reads or judges.

use std::borrow::Cow;

/// Why an answer stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish<'a> {
    /// Everything was said, or a stop sequence of the caller came.
    Stop,
    /// The token limit of the call, or the model's context, was reached.
    Length,
    /// Tools are called.
    ToolCalls,
    /// The provider, or the model, refused to go on.
    ContentFilter,
    /// A reason that only its provider knows, in its words; at most [`Finish::LONGEST`] characters of them.
    Other(Cow<'a, str>),
}

impl Finish<'_> {
    /// The most characters of a provider's own word that are kept.
    pub const LONGEST: usize = 40;

    /// The reason in the words of the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool-calls",
            Self::ContentFilter => "content-filter",
            Self::Other(name) => name,
        }
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Finish<'static> {
        match self {
            Self::Stop => Finish::Stop,
            Self::Length => Finish::Length,
            Self::ToolCalls => Finish::ToolCalls,
            Self::ContentFilter => Finish::ContentFilter,
            Self::Other(name) => Finish::Other(Cow::Owned(name.into_owned())),
        }
    }
}

/// The probabilities that a model gave the tokens of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Probabilities {
    /// The sum of the probabilities, each from 0 to 1.
    pub sum: f64,
    /// How many tokens they are of.
    pub tokens: u32,
}

impl Probabilities {
    /// Adds the token whose probability has the natural logarithm `logprob`. What is no probability counts as 0 when it is
    /// below all of them (providers write -9999 for "unlikely"), and not at all when it is no number.
    pub fn add(&mut self, logprob: f64) {
        if logprob.is_nan() {
            return;
        }
        self.sum += logprob.min(0.0).exp();
        self.tokens = self.tokens.saturating_add(1);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Self) {
        self.sum += other.sum;
        self.tokens = self.tokens.saturating_add(other.tokens);
    }

    /// The mean probability, if there are any tokens.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.sum / f64::from(self.tokens))
    }
}

/// A tool call of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCallView<'a> {
    /// The name of the tool.
    pub name: Cow<'a, str>,
    /// The arguments as the model wrote them, which may be no JSON; empty when there are none.
    pub arguments: Cow<'a, str>,
}

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerView<'a> {
    /// Why it stopped; `None` when it does not say.
    pub finish: Option<Finish<'a>>,
    /// The visible text, its parts joined; thinking is none of it.
    pub text: Cow<'a, str>,
    /// What the model said when it refused, where the format has a place of its own for that.
    pub refusal: Cow<'a, str>,
    /// The tools that the caller is to run.
    pub tool_calls: Vec<ToolCallView<'a>>,
    /// The probabilities of its tokens, where the caller asked for them.
    pub probabilities: Probabilities,
    /// How many alternatives there are. All the rest is about the first.
    pub choices: usize,
}

/// A tool that a request offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolView<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// The JSON Schema of its parameters, as it was written; `None` when there is none.
    pub parameters: Option<Cow<'a, str>>,
}

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestView<'a> {
    /// What the user said last, its texts joined.
    pub question: Cow<'a, str>,
    /// The system texts, and what the user said before; in the order of the request.
    pub context: Vec<Cow<'a, str>>,
    /// The tools that the caller runs.
    pub tools: Vec<ToolView<'a>>,
    /// Whether there are tools besides those, which the provider runs.
    pub has_other_tools: bool,
    /// The JSON Schema that the answer's text has to follow, as it was written.
    pub schema: Option<Cow<'a, str>>,
    /// Whether the answer's text has to be a JSON object of any shape.
    pub json_object: bool,
}

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta<'a> {
    /// A piece of the visible text; never empty.
    Text(&'a str),
    /// A piece of a refusal; never empty.
    Refusal(&'a str),
    /// The name of tool call number `call`, counted from 0.
    ToolCall {
        /// Which call.
        call: usize,
        /// The name of its tool.
        name: &'a str,
    },
    /// A piece of the arguments of tool call number `call`; never empty. It may come before the name.
    Arguments {
        /// Which call.
        call: usize,
        /// The piece.
        piece: &'a str,
    },
    /// The probabilities of tokens.
    Probabilities(Probabilities),
    /// Why the answer stopped.
    Finish(Finish<'a>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_have_a_mean() {
        let mut probabilities = Probabilities::default();
        assert_eq!(probabilities.mean(), None);
        for logprob in [0.0, 0.5f64.ln(), -9999.0, f64::NEG_INFINITY, 7.0, f64::NAN] {
            probabilities.add(logprob);
        }
        assert_eq!(probabilities, Probabilities { sum: 2.5, tokens: 5 });
        let mut both = probabilities;
        both.merge(probabilities);
        assert_eq!(both.mean(), Some(0.5));
    }
}
