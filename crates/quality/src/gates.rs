//! The gates of a model, and the judging of whole answers.

use std::borrow::Cow;
use std::sync::Arc;

use tradewind_core::{AnswerView, Finish, RequestView, ToolView};

use crate::arguments;
use crate::language::{self, Languages};
use crate::looping::{self, Loop};
use crate::phrases;
use crate::schema::{Mismatch, Outcome, SchemaCache, parse};
use crate::settings::{FinishName, QualitySettings};
use crate::verdict::{Gate, Verdict};

/// How much of the question is kept for looking into it again, in bytes: so much of its beginning and of its end.
const KEPT_OF_QUESTION: usize = 4096;
/// The same of each text before it, and of all of them together.
const KEPT_OF_CONTEXT: usize = 1024;
const KEPT_OF_ALL: usize = 16 << 10;
/// The fewest tokens whose mean probability says something, when the answer is not complete.
const FEWEST_TOKENS: u32 = 16;

/// The gates of one model.
#[derive(Debug)]
pub struct Gates {
    settings: QualitySettings,
    schemas: Arc<SchemaCache>,
}

/// What the answers to one request are judged by, worked out once for all of them.
#[derive(Clone)]
pub struct Expected<'a> {
    languages: Languages,
    /// Pieces of the question and of what was said before it.
    question: [Cow<'a, str>; 2],
    context: Vec<Cow<'a, str>>,
    schema: Option<Outcome>,
    json_object: bool,
    pub(crate) tools: Vec<ToolView<'a>>,
    pub(crate) has_other_tools: bool,
}

impl std::fmt::Debug for Expected<'_> {
    /// Nothing of what the caller said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected").field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}

impl Expected<'_> {
    /// The same, owned: what a stream needs that outlives its request's body. Copies the tools' schemas.
    #[must_use]
    pub fn into_owned(self) -> Expected<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let tools = self
            .tools
            .into_iter()
            .map(|tool| ToolView { name: Cow::Owned(tool.name.into_owned()), parameters: tool.parameters.map(owned) });
        Expected {
            languages: self.languages,
            question: self.question.map(owned),
            context: self.context.into_iter().map(owned).collect(),
            schema: self.schema,
            json_object: self.json_object,
            tools: tools.collect(),
            has_other_tools: self.has_other_tools,
        }
    }
}

impl Gates {
    /// The gates that `settings` ask for; these have to be without [`QualitySettings::problems`]. Compiled schemas are
    /// taken from `schemas` and left there, so that a new snapshot of the configuration begins warm.
    #[must_use]
    pub const fn new(settings: QualitySettings, schemas: Arc<SchemaCache>) -> Self {
        Self { settings, schemas }
    }

    /// What they were made from.
    #[must_use]
    pub const fn settings(&self) -> &QualitySettings {
        &self.settings
    }

    /// Whether any gate looks at the request. If not, `RequestView::default()` will do for [`Self::expect`].
    #[must_use]
    pub const fn needs_request(&self) -> bool {
        let settings = &self.settings;
        settings.json_schema || settings.tool_arguments || settings.language.is_some() || settings.refusal
    }

    /// Works out what answers to `request` are judged by. Compiles its schema unless it is known.
    #[must_use]
    pub fn expect<'a>(&self, request: RequestView<'a>) -> Expected<'a> {
        let settings = &self.settings;
        let asks_language = settings.language.is_some();
        let languages = if asks_language { language::of_question(&request.question) } else { Languages::default() };
        let (mut context, mut room) = (Vec::new(), KEPT_OF_ALL);
        if asks_language {
            for text in request.context.into_iter().rev() {
                for piece in ends(text, KEPT_OF_CONTEXT).into_iter().filter(|piece| !piece.is_empty()) {
                    if room >= piece.len() {
                        room -= piece.len();
                        context.push(piece);
                    }
                }
            }
        }
        let schema = request.schema.as_deref().filter(|_| settings.json_schema).map(|schema| self.schemas.get(schema));
        Expected {
            languages,
            question: ends(request.question, KEPT_OF_QUESTION),
            context,
            schema,
            json_object: request.json_object && settings.json_schema,
            tools: if settings.tool_arguments { request.tools } else { Vec::new() },
            has_other_tools: request.has_other_tools,
        }
    }

    /// Judges a whole answer: at most 50 µs for 4 KB of text with all gates on.
    #[must_use]
    pub fn judge(&self, expected: &Expected<'_>, answer: &AnswerView<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        self.finish(answer, &mut verdict);
        self.empty(answer, &mut verdict);
        self.length(answer, true, &mut verdict);
        self.refusal(expected, answer, &mut verdict);
        self.json_schema(expected, answer, &mut verdict);
        if self.settings.tool_arguments {
            arguments::judge(expected, answer, &self.schemas, &mut verdict);
        }
        self.language(expected, answer, &mut verdict);
        self.repetition(answer, &mut verdict);
        self.confidence(answer, 1, &mut verdict);
        verdict
    }

    /// Judges the beginning of an answer by the gates that can tell from it; the others neither fail nor note.
    pub(crate) fn judge_beginning(&self, expected: &Expected<'_>, answer: &AnswerView<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        if answer.finish.is_some() {
            self.finish(answer, &mut verdict);
        }
        self.length(answer, false, &mut verdict);
        self.refusal(expected, answer, &mut verdict);
        self.language(expected, answer, &mut verdict);
        self.repetition(answer, &mut verdict);
        self.confidence(answer, FEWEST_TOKENS, &mut verdict);
        verdict.notes.clear();
        verdict
    }

    fn finish(&self, answer: &AnswerView<'_>, verdict: &mut Verdict) {
        let Some(fine) = &self.settings.finish else { return };
        let name = match &answer.finish {
            Some(Finish::Stop) => FinishName::Stop,
            Some(Finish::Length) => FinishName::Length,
            Some(Finish::ToolCalls) => FinishName::ToolCalls,
            Some(Finish::ContentFilter) => FinishName::ContentFilter,
            Some(Finish::Other(_)) => {
                verdict.fail(Gate::Finish, "the answer stopped for a reason that is not known");
                return;
            }
            None => {
                verdict.fail(Gate::Finish, "the answer does not say why it stopped");
                return;
            }
        };
        if !fine.contains(&name) {
            verdict.fail(Gate::Finish, format!("the answer stopped because of `{}`", name.name()));
        }
    }

    fn empty(&self, answer: &AnswerView<'_>, verdict: &mut Verdict) {
        let says_nothing = answer.tool_calls.is_empty() && answer.refusal.is_empty() && !says_something(&answer.text);
        if self.settings.empty && says_nothing {
            verdict.fail(Gate::Empty, "nothing but white space, unseen characters and punctuation");
        }
    }

    fn length(&self, answer: &AnswerView<'_>, is_whole: bool, verdict: &mut Verdict) {
        let Some(length) = self.settings.length else { return };
        // What calls tools, or refuses in its own place, has no text to be measured.
        if answer.text.is_empty() && (!answer.tool_calls.is_empty() || !answer.refusal.is_empty()) {
            return;
        }
        let characters = answer.text.chars().count();
        let is_under = |bound: u32| characters < usize::try_from(bound).unwrap_or(usize::MAX);
        if is_whole && is_under(length.min) {
            verdict.fail(Gate::Length, format!("{characters} characters are less than {}", length.min));
        } else if let Some(max) = length.max.filter(|max| !is_under(max.saturating_add(1))) {
            let more = if is_whole { "" } else { "at least " };
            verdict.fail(Gate::Length, format!("{more}{characters} characters are more than {max}"));
        }
    }

    fn refusal(&self, expected: &Expected<'_>, answer: &AnswerView<'_>, verdict: &mut Verdict) {
        if !self.settings.refusal {
            return;
        }
        if !answer.refusal.is_empty() {
            verdict.fail(Gate::Refusal, "the answer says in its own place that it refuses");
        } else if answer.finish == Some(Finish::ContentFilter) {
            verdict.fail(Gate::Refusal, "the answer was stopped by a content filter");
        } else if answer.tool_calls.is_empty() && phrases::refuses(&answer.text) {
            if expected.question.iter().any(|piece| phrases::asks_for_refusal(piece)) {
                verdict.note(Gate::Refusal, "the question asks for words of refusal");
            } else {
                verdict.fail(Gate::Refusal, "the answer begins as a refusal does");
            }
        }
    }

    fn json_schema(&self, expected: &Expected<'_>, answer: &AnswerView<'_>, verdict: &mut Verdict) {
        if expected.schema.is_none() && !expected.json_object {
            return;
        }
        // A refusal is no structured output, and tools may be called first.
        if !answer.refusal.is_empty() || (answer.text.trim_ascii().is_empty() && !answer.tool_calls.is_empty()) {
            return;
        }
        let result = parse(&answer.text).and_then(|value| match &expected.schema {
            Some(schema) => schema.as_ref().map_err(|why| Mismatch::Unjudged(why))?.check(&value),
            None if value.is_object() => Ok(()),
            None => Err(Mismatch::Fails("is JSON, but not an object".to_owned())),
        });
        match result {
            Ok(()) => {}
            Err(Mismatch::Fails(why)) => verdict.fail(Gate::JsonSchema, why),
            Err(Mismatch::Unjudged(why)) => verdict.note(Gate::JsonSchema, why),
        }
    }

    fn language(&self, expected: &Expected<'_>, answer: &AnswerView<'_>, verdict: &mut Verdict) {
        if self.settings.language.is_none() || answer.text.is_empty() {
            return;
        }
        let languages = language::of_answer(&answer.text);
        if expected.languages.is_empty() {
            verdict.note(Gate::Language, "the question's language is not clear");
        } else if expected.schema.is_some() || expected.json_object {
            verdict.note(Gate::Language, "structured output");
        } else if languages.is_empty() {
            verdict.note(Gate::Language, "the answer's language is not clear");
        } else if language::differ(expected.languages, languages) {
            let texts = expected.question.iter().chain(&expected.context).map(|text| &**text);
            if language::speaks_of_language(texts) {
                verdict.note(Gate::Language, "the request speaks of a language");
            } else {
                verdict.fail(Gate::Language, "the answer is in none of the question's languages");
            }
        }
    }

    fn repetition(&self, answer: &AnswerView<'_>, verdict: &mut Verdict) {
        if !self.settings.repetition {
            return;
        }
        match looping::find(&answer.text, answer.finish == Some(Finish::Length)) {
            Some(Loop::Tail { period, times }) => {
                verdict.fail(Gate::Repetition, format!("the text ends with {period} bytes {times} times over"));
            }
            Some(Loop::Runs { repeated }) => {
                verdict.fail(Gate::Repetition, format!("{repeated} % of the runs of words were there before"));
            }
            None => {}
        }
    }

    fn confidence(&self, answer: &AnswerView<'_>, fewest: u32, verdict: &mut Verdict) {
        let Some(least) = self.settings.confidence.0 else { return };
        match answer.probabilities.mean() {
            None => verdict.note(Gate::Confidence, "no logprobs"),
            Some(_) if answer.probabilities.tokens < fewest => verdict.note(Gate::Confidence, "too few tokens"),
            Some(mean) if mean < least => {
                let tokens = answer.probabilities.tokens;
                let why = format!("a mean probability of {mean:.2} over {tokens} tokens is less than {least}");
                verdict.fail(Gate::Confidence, why);
            }
            Some(_) => {}
        }
    }
}

/// Whether there is a letter, a digit, a symbol or an emoji in `text`.
fn says_something(text: &str) -> bool {
    text.chars().any(|c| match c {
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~' => true,
        _ if c.is_ascii() => c.is_ascii_alphanumeric(),
        // Zero-width and directional marks, fillers, the byte order mark, variation selectors, private use, and the
        // replacement character.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffd}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{e0000}'..='\u{10ffff}' => false,
        // Punctuation, general and of Chinese, Japanese and Korean.
        '¡'
        | '§'
        | '«'
        | '¶'
        | '·'
        | '»'
        | '¿'
        | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205e}'
        | '\u{3001}'..='\u{3003}'
        | '\u{3008}'..='\u{3011}'
        | '\u{3014}'..='\u{301f}'
        | '\u{30fb}'
        | '\u{fe10}'..='\u{fe19}'
        | '\u{fe30}'..='\u{fe6f}'
        | '！'
        | '＂'
        | '＇'
        | '（'
        | '）'
        | '，'
        | '－'
        | '．'
        | '／'
        | '：'
        | '；'
        | '？'
        | '［'
        | '］'
        | '｛'
        | '｝'
        | '｡'..='･' => false,
        _ => !c.is_whitespace() && !c.is_control(),
    })
}

/// The beginning and the end of a text, `most` bytes of each.
fn ends(text: Cow<'_, str>, most: usize) -> [Cow<'_, str>; 2] {
    if text.len() <= most {
        return [text, Cow::Borrowed("")];
    }
    let head = text.floor_char_boundary(most);
    let tail = text.ceil_char_boundary(text.len().saturating_sub(most).max(head));
    match text {
        Cow::Borrowed(text) => [Cow::Borrowed(&text[..head]), Cow::Borrowed(&text[tail..])],
        Cow::Owned(text) => [Cow::Owned(text[..head].to_owned()), Cow::Owned(text[tail..].to_owned())],
    }
}
