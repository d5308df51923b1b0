//! The gates by tables of answers that are fine and answers that are not, and by properties over made-up ones.

mod bleu;
mod corpus;
mod language;
mod plain;
mod properties;
mod refusal;
mod repetition;
mod settings;
mod streams;
mod structured;

use std::sync::Arc;

use tradewind_core::{AnswerView, Finish, RequestView};
use tradewind_quality::{Gate, Gates, QualitySettings, SchemaCache, Verdict};

/// Gates from the text of their settings, as JSON.
fn gates(settings: &str) -> Gates {
    let settings: QualitySettings = serde_json::from_str(settings).expect("settings of a test");
    assert_eq!(settings.problems(), []);
    Gates::new(settings, Arc::new(SchemaCache::new()))
}

fn said(text: &str) -> AnswerView<'_> {
    AnswerView { finish: Some(Finish::Stop), text: text.into(), choices: 1, ..AnswerView::default() }
}

fn asked(question: &str) -> RequestView<'_> {
    RequestView { question: question.into(), ..RequestView::default() }
}

fn judge(settings: &str, request: RequestView<'_>, answer: &AnswerView<'_>) -> Verdict {
    let gates = gates(settings);
    gates.judge(&gates.expect(request), answer)
}

/// Whether a gate fails a text.
fn fails(settings: &str, question: &str, text: &str) -> bool {
    !judge(settings, asked(question), &said(text)).passed()
}

fn failed(verdict: &Verdict) -> Vec<Gate> {
    verdict.failures.iter().map(|failure| failure.gate).collect()
}

/// Goes over a table of (question, answer, whether it should fail), says what is judged otherwise, and how many of either
/// kind there are.
fn count(settings: &str, table: &[(&str, &str, bool)]) -> Counted {
    let mut counted = Counted { bad: 0, detected: 0, good: 0, false_alarms: 0, wrong: Vec::new() };
    for (question, answer, should_fail) in table {
        let did_fail = fails(settings, question, answer);
        if *should_fail {
            counted.bad += 1;
            counted.detected += usize::from(did_fail);
        } else {
            counted.good += 1;
            counted.false_alarms += usize::from(did_fail);
        }
        if did_fail != *should_fail {
            counted.wrong.push(answer.chars().take(60).collect());
        }
    }
    counted
}

#[derive(Debug)]
struct Counted {
    bad: usize,
    detected: usize,
    good: usize,
    false_alarms: usize,
    wrong: Vec<String>,
}
