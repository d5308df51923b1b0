//! What is shown: the live table, the lines of a plain transcript, the summary. Only text is made here.

use super::cast::{HASTE, MODEL, ROLES};
use super::score::{Score, Told};
use super::state::{Mood, State};
use crate::commands::explain::{explain, money, time};

/// How many pieces of news stand in the live table.
pub(super) const NEWS: usize = 3;

/// One line, and the colour of a part of it.
pub(super) struct Line {
    pub(super) text: String,
    /// Where in the text, in characters, and how.
    pub(super) accent: Option<(usize, usize, Accent)>,
}

/// How a part of a line stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accent {
    Strong,
    Mood(Mood),
}

impl Line {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), accent: None }
    }

    fn strong(text: impl Into<String>) -> Self {
        let text = text.into();
        let length = text.chars().count();
        Self { text, accent: Some((0, length, Accent::Strong)) }
    }
}

/// Who plays, for the beginning.
pub(super) fn introduction(strategy: &str, seed: u64) -> Vec<String> {
    let mut lines =
        vec![format!("Three simulated providers behind the model `{MODEL}`, strategy {strategy}, seed {seed}:")];
    lines.extend(ROLES.iter().map(|role| format!("  {}", role.about())));
    lines.push("  (usual time to first token; USD per million tokens in/out)".to_owned());
    lines.push(HASTE.to_owned());
    lines
}

/// The live table, at most `height` lines.
pub(super) fn table(score: &Score, states: &[State], news: &[String], elapsed: f64, height: usize) -> Vec<Line> {
    let mut lines = vec![
        Line::strong(format!(
            "{elapsed:>6.1} s   {} calls   {} failed   {} fell back   {}",
            score.calls,
            score.failures,
            score.fell_back,
            money(score.spent)
        )),
        Line::plain(""),
        Line::strong(format!(
            "{:12} {:18} {:>5} {:>6} {:>12} {:>7} {:>10}",
            "target", "state", "calls", "share", "first token", "errors", "spent"
        )),
    ];
    for (place, (tally, state)) in score.tallies.iter().zip(states).enumerate() {
        let first_token = tally.first_token().map_or_else(|| "-".to_owned(), |millis| format!("{millis:.0} ms"));
        let text = state.text();
        let length = text.chars().count();
        lines.push(Line {
            text: format!(
                "{:12} {text:18} {:>5} {:>5.0}% {first_token:>12} {:>6.0}% {:>10}",
                tally.target,
                tally.attempts,
                100.0 * score.share(place),
                100.0 * tally.error_rate(),
                money(tally.spent)
            ),
            accent: Some((13, length, Accent::Mood(state.mood))),
        });
    }
    lines.push(Line::plain(""));
    lines.extend((0..NEWS).map(|at| Line::plain(news.get(at).map_or("", String::as_str))));
    lines.push(Line::plain(""));
    lines.push(Line::strong(format!("{:>5} {:6} {:12} {:>8}  why", "call", "", "answered by", "took")));
    let room = height.saturating_sub(lines.len());
    lines.extend(score.last.iter().rev().take(room).map(call));
    lines.truncate(height);
    lines
}

/// One call.
pub(super) fn call(told: &Told) -> Line {
    let kind = if told.stream { "stream" } else { "whole" };
    let mood = match (told.failed, told.fell_back) {
        (true, _) => Mood::Bad,
        (false, true) => Mood::Wary,
        (false, false) => Mood::Good,
    };
    let why = if told.failed { format!("FAILED: {}", told.why) } else { told.why.clone() };
    Line {
        text: format!("{:>5} {kind:6} {:12} {:>8}  {why}", told.number, told.target, time(&told.elapsed)),
        accent: Some((13, told.target.chars().count(), Accent::Mood(mood))),
    }
}

/// A line of the transcript, with its time.
pub(super) fn at(elapsed: f64, text: &str) -> String {
    format!("{elapsed:>5.1} s {text}")
}

/// What came of it all.
pub(super) fn summary(score: &Score, elapsed: f64) -> String {
    let answered = score.calls - score.failures;
    let mut text = format!(
        "{} calls in {elapsed:.1} s for {}: {answered} answered, {} failed as the caller saw it.\n",
        score.calls,
        money(score.spent),
        score.failures
    );
    text.push_str(&match score.fell_back {
        0 => "No call had to fall back to another provider.\n".to_owned(),
        1 => "1 call fell back to another provider; its caller noticed nothing but the time.\n".to_owned(),
        many => format!("{many} calls fell back to another provider; their callers noticed nothing but the time.\n"),
    });
    for tally in &score.tallies {
        let share = 100.0 * tally.answers as f64 / answered.max(1) as f64;
        let first_token = tally.first_token().map_or_else(|| "-".to_owned(), |millis| format!("{millis:.0} ms"));
        text.push_str(&format!(
            "  {:12} {:>4} answered ({share:>3.0}%), {:>4} tried, first token {first_token:>6}, {}\n",
            tally.target,
            tally.answers,
            tally.attempts,
            money(tally.spent)
        ));
    }
    if let Some(record) = score.most_telling() {
        text.push_str("\nOne of the decisions, as `tradewind explain` shows it:\n\n");
        text.push_str(&explain(record));
    }
    text
}
