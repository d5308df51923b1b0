//! The judging of streams: what is held back, when it is released, and what is said about the rest.

use std::sync::Arc;

use tradewind_core::{AnswerView, Delta, Finish, Probabilities, ToolCallView};

use crate::gates::{Expected, Gates};
use crate::settings::StreamMode;
use crate::verdict::{Gate, Verdict};

/// What is to be done with the events so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Keep them.
    Hold,
    /// Pass them on, and every later one as it comes.
    Release,
    /// Give them up: a gate fails. Nothing is to be pushed any more.
    Fail(Verdict),
}

/// What is said at the end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What the gates say about the whole answer.
    pub verdict: Verdict,
    /// Whether everything is still held back: then the verdict decides. Otherwise it is for the record.
    pub held: bool,
    /// Whether the answer was too long to be kept: then the verdict is about its beginning, its reason to stop and its
    /// probabilities only.
    pub unjudged: bool,
}

/// Judges one stream.
///
/// It keeps the answer's text and the arguments of its calls, up to a bound. Over it the stream is released, if it was
/// held, and marked as not judged; the caller is never made to wait for memory.
#[derive(Debug)]
pub struct StreamGate {
    gates: Arc<Gates>,
    expected: Arc<Expected<'static>>,
    /// Whether events are held back, and until how many characters.
    held: Option<u64>,
    /// Whether the beginning was judged when a refusal began.
    saw_refusal: bool,
    failed: Option<Verdict>,
    /// How many bytes may be kept, and are.
    bound: usize,
    kept: usize,
    is_over: bool,
    characters: u64,
    text: String,
    refusal: String,
    calls: Vec<Call>,
    probabilities: Probabilities,
    finish: Option<Finish<'static>>,
}

#[derive(Debug, Default)]
struct Call {
    name: String,
    arguments: String,
}

impl StreamGate {
    /// The gate of one stream, that keeps at most `bound` bytes of its answer.
    #[must_use]
    pub fn new(gates: Arc<Gates>, expected: Arc<Expected<'static>>, bound: usize) -> Self {
        let held = match gates.settings().stream {
            StreamMode::Hold(characters) => Some(u64::from(characters)),
            StreamMode::Whole => Some(u64::MAX),
            StreamMode::Advisory => None,
        };
        Self {
            gates,
            expected,
            held,
            saw_refusal: false,
            failed: None,
            bound,
            kept: 0,
            is_over: false,
            characters: 0,
            text: String::new(),
            refusal: String::new(),
            calls: Vec::new(),
            probabilities: Probabilities::default(),
            finish: None,
        }
    }

    /// Takes a piece of the answer. Once released, a stream stays so.
    ///
    /// With `{hold: N}` the first N characters of text (arguments of calls and refusals count, too) are judged by the gates
    /// that can tell from a beginning: refusal, language, repetition, the upper bound of the length, confidence from 16
    /// tokens on. They are judged as well when a refusal in its own place begins. What is shorter is judged as a whole by
    /// [`Self::finish`].
    pub fn push(&mut self, delta: &Delta<'_>) -> Step {
        if self.failed.is_some() {
            return Step::Hold;
        }
        self.take(delta);
        let Some(limit) = self.held else { return Step::Release };
        if self.is_over {
            self.held = None;
            return Step::Release;
        }
        // Once, and not for each piece of it: that would take time that grows with the square of their number.
        let begins_refusal = !self.refusal.is_empty() && !std::mem::replace(&mut self.saw_refusal, true);
        if limit == u64::MAX || (self.characters < limit && !begins_refusal) {
            return Step::Hold;
        }
        // However the text was cut into pieces, the same of it is judged.
        let end = self.text.char_indices().nth(usize::try_from(limit).unwrap_or(usize::MAX));
        let beginning = &self.text[..end.map_or(self.text.len(), |(at, _)| at)];
        let verdict = self.gates.judge_beginning(&self.expected, &self.view(beginning));
        if verdict.passed() {
            if self.characters < limit {
                return Step::Hold;
            }
            self.held = None;
            return Step::Release;
        }
        self.failed = Some(verdict.clone());
        Step::Fail(verdict)
    }

    /// Judges the whole answer, when the stream has come to its end.
    #[must_use]
    pub fn finish(self) -> Ending {
        let held = self.held.is_some();
        if let Some(verdict) = self.failed {
            return Ending { verdict, held, unjudged: false };
        }
        if !self.is_over {
            let verdict = self.gates.judge(&self.expected, &self.view(&self.text));
            return Ending { verdict, held, unjudged: false };
        }
        let mut verdict = self.gates.judge_beginning(&self.expected, &self.view(&self.text));
        let settings = self.gates.settings();
        for (gate, is_on) in [(Gate::JsonSchema, settings.json_schema), (Gate::ToolArguments, settings.tool_arguments)]
        {
            if is_on {
                verdict.note(gate, "the answer is longer than what is kept of it");
            }
        }
        Ending { verdict, held, unjudged: true }
    }

    fn take(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Text(piece) => {
                if self.room(piece) {
                    self.text.push_str(piece);
                }
            }
            Delta::Refusal(piece) => {
                if self.room(piece) {
                    self.refusal.push_str(piece);
                }
            }
            Delta::ToolCall { call, name } => {
                if self.room(name) && self.call(*call).is_some_and(|call| call.name.is_empty()) {
                    self.calls[*call].name.push_str(name);
                }
            }
            Delta::Arguments { call, piece } => {
                if self.room(piece)
                    && let Some(call) = self.call(*call)
                {
                    call.arguments.push_str(piece);
                }
            }
            Delta::Probabilities(probabilities) => self.probabilities.merge(*probabilities),
            Delta::Finish(finish) => self.finish = Some(finish.clone().into_owned()),
        }
    }

    /// Whether `piece` may be kept. After the first one that may not, none is: a text with holes says nothing.
    fn room(&mut self, piece: &str) -> bool {
        self.characters = self.characters.saturating_add(piece.chars().count() as u64);
        self.is_over |= self.kept.saturating_add(piece.len()) > self.bound;
        if !self.is_over {
            self.kept += piece.len();
        }
        !self.is_over
    }

    /// Call number `number`. Calls are numbered in the order in which they begin; a number out of order is over the bound.
    fn call(&mut self, number: usize) -> Option<&mut Call> {
        if number == self.calls.len() {
            self.kept = self.kept.saturating_add(size_of::<Call>());
            self.calls.push(Call::default());
        }
        self.is_over |= number >= self.calls.len();
        self.calls.get_mut(number)
    }

    fn view<'v>(&'v self, text: &'v str) -> AnswerView<'v> {
        let calls = self
            .calls
            .iter()
            .map(|call| ToolCallView { name: call.name.as_str().into(), arguments: call.arguments.as_str().into() });
        AnswerView {
            finish: self.finish.clone(),
            text: text.into(),
            refusal: self.refusal.as_str().into(),
            tool_calls: calls.collect(),
            probabilities: self.probabilities,
            choices: 1,
        }
    }
}
