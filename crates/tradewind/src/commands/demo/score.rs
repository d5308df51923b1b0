//! What happened so far: counts by target, the last calls, the decision that is most worth a look. Pure.

use std::collections::VecDeque;

use serde_json::Value;
use tradewind_decide::Reason;

use super::caller::Done;

/// The share of a target is its share of this many last answers, so that one sees traffic move.
const RECENT: usize = 20;
/// The median time to first token is that of this many last answers.
const TIMES: usize = 50;
/// How many calls are kept to be shown.
pub(super) const LAST: usize = 10;

/// One target's part.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) target: String,
    pub(super) attempts: usize,
    pub(super) answers: usize,
    pub(super) spent: f64,
    /// Whether each of its last attempts failed.
    failures: VecDeque<bool>,
    first_tokens: VecDeque<f64>,
}

impl Tally {
    /// Median milliseconds from the start of an attempt to its first token.
    pub(super) fn first_token(&self) -> Option<f64> {
        let mut times: Vec<f64> = self.first_tokens.iter().copied().collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    }

    /// The share of its last attempts that failed.
    pub(super) fn error_rate(&self) -> f64 {
        let failed = self.failures.iter().filter(|failed| **failed).count();
        failed as f64 / self.failures.len().max(1) as f64
    }
}

/// One call, to be shown.
pub(super) struct Told {
    pub(super) number: usize,
    pub(super) stream: bool,
    /// Who answered.
    pub(super) target: String,
    pub(super) elapsed: Value,
    /// Who failed before, and why the first was first; or what the caller saw go wrong.
    pub(super) why: String,
    pub(super) fell_back: bool,
    pub(super) failed: bool,
}

/// The sum of everything.
pub(super) struct Score {
    pub(super) tallies: Vec<Tally>,
    pub(super) calls: usize,
    pub(super) failures: usize,
    pub(super) fell_back: usize,
    pub(super) spent: f64,
    pub(super) last: VecDeque<Told>,
    recent: VecDeque<usize>,
    telling: Option<(usize, Value)>,
}

impl Score {
    pub(super) fn new(targets: Vec<String>) -> Self {
        let tallies = targets.into_iter().map(|target| Tally { target, ..Tally::default() }).collect();
        Self {
            tallies,
            calls: 0,
            failures: 0,
            fell_back: 0,
            spent: 0.0,
            last: VecDeque::new(),
            recent: VecDeque::new(),
            telling: None,
        }
    }

    /// Takes a call into account; it is then the newest of [`Self::last`].
    pub(super) fn count(&mut self, done: Done) {
        let Done { number, stream, failure, record } = done;
        let attempts = record["attempts"].as_array().map_or(&[][..], Vec::as_slice);
        for attempt in attempts {
            self.count_attempt(attempt);
        }
        let cost = record["cost_usd"].as_f64().unwrap_or(0.0);
        let chosen = record["chosen"].as_str().unwrap_or("nobody");
        if let Some(place) = self.tallies.iter().position(|tally| tally.target == chosen) {
            self.tallies[place].answers += 1;
            self.tallies[place].spent += cost;
            push(&mut self.recent, place, RECENT);
        }
        let failed_attempts = attempts.iter().filter(|attempt| attempt["outcome"] == "failed").count();
        let fell_back = failure.is_none() && failed_attempts > 0;
        self.calls += 1;
        self.failures += usize::from(failure.is_some());
        self.fell_back += usize::from(fell_back);
        self.spent += cost;
        let told = Told {
            number,
            stream,
            target: chosen.to_owned(),
            elapsed: record["elapsed_ms"].clone(),
            why: failure.clone().unwrap_or_else(|| why(&record)),
            fell_back,
            failed: failure.is_some(),
        };
        push(&mut self.last, told, LAST);
        let resting = candidates(&record).iter().filter(|one| one["eligible"] == false).count();
        let worth = 100 * usize::from(failure.is_some()) + 10 * failed_attempts + resting;
        if self.telling.as_ref().is_none_or(|(known, _)| worth > *known) && !record.is_null() {
            self.telling = Some((worth, record));
        }
    }

    fn count_attempt(&mut self, attempt: &Value) {
        // An attempt that found the target busy or resting was never sent.
        let sent = attempt["fault"] != "busy";
        let Some(tally) = self.tallies.iter_mut().find(|tally| attempt["target"] == tally.target.as_str()) else {
            return;
        };
        tally.attempts += usize::from(sent);
        if sent {
            push(&mut tally.failures, attempt["outcome"] == "failed", RECENT);
        }
        if let (Some(started), Some(first_byte)) = (attempt["started_ms"].as_f64(), attempt["first_byte_ms"].as_f64()) {
            push(&mut tally.first_tokens, first_byte - started, TIMES);
        }
    }

    /// The share of the last answers that came from the target at `place`.
    pub(super) fn share(&self, place: usize) -> f64 {
        let its = self.recent.iter().filter(|answered| **answered == place).count();
        its as f64 / self.recent.len().max(1) as f64
    }

    /// The record of the decision that shows most: failed attempts first, then targets that had to rest.
    pub(super) fn most_telling(&self) -> Option<&Value> {
        self.telling.as_ref().map(|(_, record)| record)
    }
}

/// Adds to a queue of bounded length.
fn push<T>(queue: &mut VecDeque<T>, value: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(value);
}

fn candidates(record: &Value) -> &[Value] {
    record["candidates"].as_array().map_or(&[], Vec::as_slice)
}

/// Why this target answered: who failed before it, why the first was first, who had to rest.
fn why(record: &Value) -> String {
    let failed: Vec<String> = record["attempts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|attempt| attempt["outcome"] == "failed")
        .map(|attempt| format!("{}: {}", word(attempt, "target"), word(attempt, "fault").replace('_', " ")))
        .collect();
    let candidates = candidates(record);
    let first = candidates.iter().find(|one| one["rank"] == 1);
    let mut said = match (first, failed.is_empty()) {
        (None, _) => String::new(),
        (Some(first), true) => word(first, "reason").to_owned(),
        (Some(first), false) => {
            format!("fell back ({}); first because: {}", failed.join(", "), word(first, "reason"))
        }
    };
    for resting in candidates.iter().filter(|one| one["eligible"] == false) {
        let reason = word(resting, "reason");
        if reason != Reason::NotSelected.to_string() {
            said.push_str(&format!("; {}: {reason}", word(resting, "target")));
        }
    }
    said
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("-")
}
