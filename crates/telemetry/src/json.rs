//! Records as JSON: names, units and bounds of every field. Times are milliseconds with microsecond precision.
//!
//! Rendered by the journal's thread, never on a call's way, and by hand: with serde's `Serialize` a record took 1.4 µs,
//! and 1.0 µs when serde still wrote the numbers; now it takes 0.4 µs. Texts are cut here, so that no caller can make a
//! line endless: names and ids at 200 bytes, details and notes at 500, candidates and attempts at 64 each, notes and
//! dropped hints at 16.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tradewind_core::{Code, DecisionId, Dialect, FaultKind, TargetId, UnixMillis, Usage, Usd};
use tradewind_decide::{Candidate, Decision, Parts, Reason, ScoreParts, Weights};

use crate::choice::Choice;
use crate::record::{Attempt, Record};
use crate::trace::{as_text, hex};

const MODEL_BYTES: usize = 200;
const DETAIL_BYTES: usize = 500;
const CANDIDATES: usize = 64;
const ATTEMPTS: usize = 64;
const NOTES: usize = 16;
/// Picodollars in a dollar.
const PICO: u64 = 1_000_000_000_000;

/// What would be decided for a call: the record of a call that nobody was called for, without attempts and outcome.
#[derive(Clone, Debug)]
pub struct Preview {
    /// When it was asked.
    pub at: UnixMillis,
    /// The door the call would come in through.
    pub door: &'static str,
    /// The dialect it is spoken in.
    pub dialect: Option<Dialect>,
    /// What is asked for.
    pub operation: &'static str,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// The model as named in the request.
    pub model: Arc<str>,
    /// What would be decided, and why.
    pub decision: Decision,
    /// Who would be tried first.
    pub chosen: Option<TargetId>,
    /// How the model was chosen, where there is something to say.
    pub choice: Option<Box<Choice>>,
    /// The network that the machine is in.
    pub network: Option<Arc<str>>,
    /// The digest of the policy in force.
    pub policy: Arc<str>,
}

impl Preview {
    /// The preview as one line of JSON, with a record's names.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut renderer = Renderer::default();
        renderer.raw("{");
        renderer.at(self.at);
        renderer.asked(self.door, self.dialect, self.operation, self.stream, &self.model);
        renderer.decided(self.chosen.as_ref(), &self.decision.candidates);
        renderer.surroundings(self.network.as_deref(), &self.policy);
        if let Some(choice) = &self.choice {
            renderer.choice(choice);
        }
        renderer.raw("}");
        renderer.into_text()
    }
}

impl Record {
    /// The record as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut renderer = Renderer::default();
        renderer.record(self);
        renderer.into_text()
    }

    /// The model as it is shown.
    pub(crate) fn model_shown(&self) -> &str {
        cut(&self.model, MODEL_BYTES)
    }
}

/// Where the id's letters stand in a line.
const ID_PLACE: std::ops::Range<usize> = 7..20;

/// The id of the record that `line` shows; `None` when it is not a line of ours.
pub(crate) fn id_of(line: &str) -> Option<DecisionId> {
    line.get(ID_PLACE)?.parse().ok()
}

/// Renders records, one behind the other, into one buffer.
#[derive(Debug, Default)]
pub(crate) struct Renderer {
    /// What was rendered; UTF-8, because only whole texts and ASCII are put in.
    pub(crate) lines: Vec<u8>,
    /// A time in RFC 3339, and the second that it shows: most records share theirs with the one before.
    at_second: String,
    second: u64,
    scratch: String,
}

impl Renderer {
    /// Adds `record` as JSON, without a line feed.
    pub(crate) fn record(&mut self, record: &Record) {
        self.raw(r#"{"id":""#);
        self.lines.extend_from_slice(&record.id.letters());
        self.raw(r#"","#);
        self.at(record.at);
        self.asked(record.door, record.dialect, record.operation, record.stream, &record.model);
        self.decided(record.chosen.as_ref(), &record.decision.candidates);
        self.attempts(&record.attempts);
        self.text(r#","outcome":"#, record.outcome.name());
        self.fault(record.fault);
        self.optional_text(r#","code":"#, record.public_code().map(Code::name));
        self.optional_text(r#","detail":"#, record.detail.as_deref().map(|detail| cut(detail, DETAIL_BYTES)));
        self.integer(r#","status":"#, u64::from(record.status));
        self.usage(record.usage);
        self.cost(record.cost);
        self.millis(r#","elapsed_ms":"#, Some(record.elapsed));
        self.millis(r#","first_byte_ms":"#, record.first_byte);
        self.surroundings(record.network.as_deref(), &record.policy);
        if record.events_dropped > 0 {
            self.integer(r#","events_dropped":"#, u64::from(record.events_dropped));
        }
        if !record.notes.is_empty() {
            self.list(r#","notes":["#, record.notes.iter().take(NOTES), |renderer, note| {
                renderer.quoted(cut(note, DETAIL_BYTES));
            });
        }
        self.caller_and_answer(record);
        self.raw("}");
    }

    /// What not every record has: left out where there is nothing to say.
    fn caller_and_answer(&mut self, record: &Record) {
        // What says nothing new is left out: a name that stands for itself, and a model that answers by its own name.
        let resolved = record.resolved.as_deref().filter(|resolved| **resolved != *record.model);
        let asked = record.chosen.as_ref().map(TargetId::model);
        let answered = record.response_model.as_deref().filter(|model| Some(*model) != asked);
        for (key, text) in [
            (r#","key":"#, record.key.as_deref()),
            (r#","tenant":"#, record.tenant.as_deref()),
            (r#","resolved":"#, resolved),
            (r#","translated":"#, record.translated),
            (r#","finish":"#, record.finish.as_deref()),
            (r#","response_model":"#, answered),
            (r#","response_id":"#, record.response_id.as_deref()),
        ] {
            if let Some(text) = text {
                self.text(key, cut(text, MODEL_BYTES));
            }
        }
        if !record.dropped.is_empty() {
            self.list(r#","dropped":["#, record.dropped.iter().take(NOTES), |renderer, hint| {
                renderer.quoted(cut(hint, MODEL_BYTES));
            });
        }
        if let Some(choice) = &record.choice {
            self.choice(choice);
        }
        if let Some(way) = &record.way
            && let Ok(text) = serde_json::to_string(way)
        {
            self.raw(r#","way":"#);
            self.raw(&text);
        }
        if let Some(overhead) = record.overhead {
            self.millis(r#","overhead_ms":"#, Some(overhead));
        }
        if let Some(trace) = &record.trace {
            self.text(r#","trace_id":"#, as_text(&hex(&trace.id)));
            self.text(r#","span_id":"#, as_text(&hex(&trace.span)));
            if let Some(parent) = &trace.parent {
                self.text(r#","parent_id":"#, as_text(&hex(parent)));
            }
            self.raw(if trace.sampled { r#","sampled":true"# } else { r#","sampled":false"# });
        }
    }

    /// Rare, so serde may write it.
    fn choice(&mut self, choice: &Choice) {
        if let Ok(text) = serde_json::to_string(choice) {
            self.raw(r#","choice":"#);
            self.raw(&text);
        }
    }

    fn into_text(self) -> String {
        String::from_utf8(self.lines).expect("whole texts and ASCII are UTF-8")
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.lines.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn at(&mut self, at: UnixMillis) {
        let second = at.0 / 1000;
        if self.second != second || self.at_second.is_empty() {
            self.second = second;
            self.at_second = UnixMillis(second * 1000).rfc3339();
        }
        self.raw(r#""at":""#);
        // Everything but `000Z`, the milliseconds and the zone.
        let shown = self.at_second.len() - 4;
        self.lines.extend_from_slice(&self.at_second.as_bytes()[..shown]);
        self.padded(at.0 % 1000);
        self.raw("Z\"");
    }

    fn asked(&mut self, door: &str, dialect: Option<Dialect>, operation: &str, stream: bool, model: &str) {
        self.text(r#","door":"#, door);
        self.optional_text(r#","dialect":"#, dialect.map(Dialect::name));
        self.text(r#","operation":"#, operation);
        self.raw(if stream { r#","stream":true"# } else { r#","stream":false"# });
        self.text(r#","model":"#, cut(model, MODEL_BYTES));
    }

    fn decided(&mut self, chosen: Option<&TargetId>, candidates: &[Candidate]) {
        self.optional_text(r#","chosen":"#, chosen.map(TargetId::as_str));
        self.list(r#","candidates":["#, candidates.iter().take(CANDIDATES), |renderer, candidate| {
            renderer.text(r#"{"target":"#, candidate.target.as_str());
            renderer.optional_integer(r#","rank":"#, candidate.rank);
            renderer.float(r#","score":"#, candidate.score);
            renderer.parts(&candidate.parts);
            renderer.reason(&candidate.reason);
            renderer.raw(if candidate.eligible { r#","eligible":true}"# } else { r#","eligible":false}"# });
        });
        self.omitted(r#","candidates_omitted":"#, candidates.len(), CANDIDATES);
    }

    fn attempts(&mut self, attempts: &[Attempt]) {
        self.list(r#","attempts":["#, attempts.iter().take(ATTEMPTS), |renderer, attempt| {
            renderer.text(r#"{"target":"#, attempt.target.as_str());
            if let Some(key) = attempt.key {
                renderer.integer(r#","key":"#, key as u64);
            }
            if let Some(way) = &attempt.way {
                renderer.text(r#","way":"#, cut(way, MODEL_BYTES));
            }
            renderer.raw(if attempt.hedge { r#","hedge":true"# } else { r#","hedge":false"# });
            renderer.millis(r#","started_ms":"#, Some(attempt.started));
            renderer.millis(r#","first_byte_ms":"#, attempt.first_byte);
            renderer.millis(r#","ended_ms":"#, Some(attempt.ended));
            renderer.text(r#","outcome":"#, attempt.outcome.name());
            renderer.fault(attempt.fault);
            renderer.optional_integer(r#","status":"#, attempt.status);
            if let Some(detail) = &attempt.detail {
                renderer.text(r#","detail":"#, cut(detail, DETAIL_BYTES));
            }
            // With one attempt it is the call's own.
            if attempts.len() > 1 && attempt.usage.is_some() {
                renderer.usage(attempt.usage);
                renderer.cost(attempt.cost);
            }
            renderer.raw("}");
        });
        self.omitted(r#","attempts_omitted":"#, attempts.len(), ATTEMPTS);
    }

    fn parts(&mut self, parts: &Parts) {
        let Parts { weight, in_flight, first_token_ms, error_rate, slow_start, cost, score } = parts;
        self.raw(r#","parts":"#);
        let mut mark = "{";
        for (key, number) in [
            (r#""weight":"#, weight),
            (r#""in_flight":"#, in_flight),
            (r#""first_token_ms":"#, first_token_ms),
            (r#""error_rate":"#, error_rate),
            (r#""slow_start":"#, slow_start),
            (r#""cost":"#, cost),
        ] {
            if let Some(number) = number {
                self.raw(mark);
                self.float(key, *number);
                mark = ",";
            }
        }
        if let Some(score) = score {
            self.raw(mark);
            self.score(score);
            mark = ",";
        }
        self.raw(if mark == "{" { "{}" } else { "}" });
    }

    fn score(&mut self, parts: &ScoreParts) {
        for (key, number) in [
            (r#""score":{"total":"#, parts.total),
            (r#","meaning":"#, parts.meaning),
            (r#","load":"#, parts.load),
            (r#","cost":"#, parts.cost),
        ] {
            self.float(key, number);
        }
        self.weights(r#","weights":{"meaning":"#, parts.weights);
        if let Some(set) = parts.set_weights {
            self.weights(r#","set_weights":{"meaning":"#, set);
        }
        if let Some(complexity) = parts.complexity {
            self.float(r#","complexity":"#, complexity);
        }
        if let Some(price) = parts.price {
            self.raw(r#","price_usd":"#);
            self.dollars(price);
        }
        for (key, number) in [
            (r#","prior":"#, parts.prior),
            (r#","quota_left":"#, parts.quota_left),
            (r#","quota_resets_s":"#, parts.quota_resets_s),
        ] {
            if let Some(number) = number {
                self.float(key, number);
            }
        }
        self.raw(if parts.meaning_assumed { r#","meaning_assumed":true"# } else { "" });
        self.raw(if parts.cost_assumed { r#","cost_assumed":true}"# } else { "}" });
    }

    fn weights(&mut self, key: &'static str, weights: Weights) {
        self.float(key, weights.meaning());
        self.float(r#","load":"#, weights.load());
        self.float(r#","cost":"#, weights.cost());
        self.raw("}");
    }

    fn reason(&mut self, reason: &Reason) {
        let mut sentence = std::mem::take(&mut self.scratch);
        sentence.clear();
        write!(sentence, "{reason}").expect("a String takes every write");
        self.text(r#","reason":"#, &sentence);
        self.scratch = sentence;
    }

    /// In dollars, as serde writes the nearest double: the digits of up to 15 decimal places are its shortest form, and
    /// below 0.00001 it uses an exponent.
    fn cost(&mut self, cost: Option<Usd>) {
        self.raw(r#","cost_usd":"#);
        match cost {
            Some(cost) => self.dollars(cost),
            None => self.raw("null"),
        }
    }

    pub(crate) fn dollars(&mut self, amount: Usd) {
        let pico = amount.pico();
        if (10_000_000..1_000_000_000_000_000).contains(&pico) {
            self.fraction(pico / PICO, pico % PICO, PICO / 10);
        } else {
            self.serde_float(amount.dollars());
        }
    }

    fn usage(&mut self, usage: Option<Usage>) {
        let Some(usage) = usage else { return self.raw(r#","usage":null"#) };
        for (key, tokens) in [
            (r#","usage":{"input":"#, usage.input),
            (r#","output":"#, usage.output),
            (r#","cached":"#, usage.cached),
            (r#","reasoning":"#, usage.reasoning),
        ] {
            self.integer(key, tokens);
        }
        if usage.cache_written > 0 {
            self.integer(r#","cache_written":"#, usage.cache_written);
        }
        self.raw(if usage.estimated { r#","estimated":true}"# } else { r#","estimated":false}"# });
    }

    fn surroundings(&mut self, network: Option<&str>, policy: &str) {
        self.optional_text(r#","network":"#, network);
        self.text(r#","policy":"#, policy);
    }

    fn fault(&mut self, fault: Option<FaultKind>) {
        self.optional_text(r#","fault":"#, fault.map(FaultKind::name));
    }

    fn list<T>(&mut self, key: &str, items: impl Iterator<Item = T>, mut one: impl FnMut(&mut Self, T)) {
        self.raw(key);
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.raw(",");
            }
            one(self, item);
        }
        self.raw("]");
    }

    fn omitted(&mut self, key: &str, count: usize, shown: usize) {
        if count > shown {
            self.integer(key, (count - shown) as u64);
        }
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.raw(key);
        self.quoted(text);
    }

    fn optional_text(&mut self, key: &str, text: Option<&str>) {
        self.raw(key);
        match text {
            Some(text) => self.quoted(text),
            None => self.raw("null"),
        }
    }

    fn quoted(&mut self, text: &str) {
        // Without a way out of the loop: it is vectorised so, and most texts are plain.
        let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
        if !text.bytes().fold(true, |all, byte| all & plain(byte)) {
            return serde_json::to_writer(&mut self.lines, text).expect("writing to memory does not fail");
        }
        self.raw("\"");
        self.raw(text);
        self.raw("\"");
    }

    /// Milliseconds with three digits, the trailing zeros left out but one: `0.411`, `12.0`.
    pub(crate) fn millis(&mut self, key: &str, duration: Option<Duration>) {
        self.raw(key);
        let Some(duration) = duration else { return self.raw("null") };
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.fraction(micros / 1000, micros % 1000, 100);
    }

    /// `whole.digits`, the trailing zeros left out but one; `first` is the worth of the first digit behind the point.
    fn fraction(&mut self, whole: u64, mut rest: u64, first: u64) {
        self.digits(whole);
        self.lines.push(b'.');
        let mut worth = first;
        loop {
            self.lines.push(b'0' + (rest / worth) as u8);
            rest %= worth;
            if rest == 0 {
                return;
            }
            worth /= 10;
        }
    }

    /// Three digits.
    fn padded(&mut self, number: u64) {
        for divisor in [100, 10, 1] {
            self.lines.push(b'0' + (number / divisor % 10) as u8);
        }
    }

    pub(crate) fn integer(&mut self, key: &str, number: u64) {
        self.raw(key);
        self.digits(number);
    }

    fn optional_integer(&mut self, key: &str, number: Option<u16>) {
        match number {
            Some(number) => self.integer(key, u64::from(number)),
            None => {
                self.raw(key);
                self.raw("null");
            }
        }
    }

    fn digits(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.lines.extend_from_slice(&digits[start..]);
            }
        }
    }

    /// As serde writes it; counts and whole scores are written faster.
    fn float(&mut self, key: &str, number: f64) {
        self.raw(key);
        if number.is_sign_positive() && number < 1e9 && number.fract() == 0.0 {
            self.digits(number as u64);
            return self.raw(".0");
        }
        self.serde_float(number);
    }

    fn serde_float(&mut self, number: f64) {
        serde_json::to_writer(&mut self.lines, &number).expect("writing to memory does not fail");
    }
}

/// The longest beginning of `text` of at most `bytes` bytes that ends between characters.
fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes { text } else { &text[..text.floor_char_boundary(bytes)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(render: impl FnOnce(&mut Renderer)) -> String {
        let mut renderer = Renderer::default();
        render(&mut renderer);
        renderer.into_text()
    }

    #[test]
    fn numbers_are_written_as_serde_writes_them() {
        let mut picos: Vec<u64> = (0..20).map(|power| 10_u64.pow(power)).collect();
        // A walk over all magnitudes.
        picos.extend((0..20_000_u64).map(|step| step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (step % 60)));
        for pico in picos.iter().flat_map(|pico| [pico.saturating_sub(1), *pico, pico + 1]) {
            let cost = Usd::from_pico(pico);
            let serde = serde_json::to_string(&cost).unwrap();
            assert_eq!(rendered(|renderer| renderer.cost(Some(cost))), format!(r#","cost_usd":{serde}"#));
            for number in [pico as f64, -(pico as f64), f64::from_bits(pico), 1e6 / pico as f64, -0.0, f64::NAN] {
                assert_eq!(
                    rendered(|renderer| renderer.float("", number)),
                    serde_json::to_string(&number).unwrap(),
                    "{number:e}"
                );
            }
            assert_eq!(rendered(|renderer| renderer.integer("", pico)), pico.to_string());
        }
    }

    #[test]
    fn parts_are_written_as_serde_writes_them() {
        let some = Parts { in_flight: Some(3.0), first_token_ms: Some(0.1), ..Parts::default() };
        let all = Parts {
            weight: Some(2.0),
            error_rate: Some(0.5),
            slow_start: Some(0.25),
            cost: Some(7e-9),
            ..some.clone()
        };
        let plain = ScoreParts { total: 0.7, load: 0.25, ..ScoreParts::default() };
        let full = ScoreParts {
            set_weights: Some(Weights::default().with_meaning(0.25)),
            complexity: Some(0.8),
            price: Some(Usd::from_pico(1_250_000_000)),
            prior: Some(1.5),
            quota_left: Some(0.04),
            quota_resets_s: Some(12.5),
            meaning_assumed: true,
            cost_assumed: true,
            ..plain
        };
        let scored = |score| Parts { score: Some(Box::new(score)), ..some.clone() };
        let only = Parts { score: Some(Box::new(plain)), ..Parts::default() };
        for parts in [Parts::default(), some.clone(), all, scored(plain), scored(full), only] {
            let serde = serde_json::to_string(&parts).unwrap();
            assert_eq!(rendered(|renderer| renderer.parts(&parts)), format!(r#","parts":{serde}"#));
        }
    }
}
