//! Metrics, counted from the records of closed calls; nothing else on a call's way is instrumented.
//!
//! A record's counters are found together, by one look-up for the call and one for each attempt, in tables of what was
//! counted before: looking each of them up by its labels took five times as long.
//!
//! Labels are bounded: models, targets and keys beyond 500 distinct names each become `other`, and so does a model's name
//! that the configuration does not know. Nothing that only a caller wrote is ever a label.

mod families;
mod format;
mod labels;
mod outside;

use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};
use prometheus_client::encoding::text;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::registry::Registry;
use rustc_hash::FxHashMap;
use tradewind_core::{Code, FaultKind, TargetId, Usage};

use crate::record::{Attempt, Outcome, Record};
use crate::share::{Share, shares};
use families::{AttemptSeries, CallSeries, Families};
use labels::TraceLabel;
use outside::{Outside, Reading};

pub use format::Format;

/// How many combinations of labels are found at once; others cost a few microseconds each time.
const QUICK: usize = 4096;

/// The metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    families: Families,
    calls: Quick<CallKey, CallSeries>,
    attempts: Quick<AttemptKey, AttemptSeries>,
}

/// What decides which counters a call counts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CallKey {
    door: &'static str,
    operation: &'static str,
    model: Option<Arc<str>>,
    key: Option<Arc<str>>,
    dialect: Option<&'static str>,
    translated: Option<&'static str>,
    outcome: Outcome,
    status: u16,
    code: Option<Code>,
}

/// What decides which counters an attempt counts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AttemptKey {
    operation: &'static str,
    model: Option<Arc<str>>,
    target: TargetId,
    outcome: Outcome,
    fault: Option<FaultKind>,
}

impl CallKey {
    fn of(record: &Record) -> Self {
        Self {
            door: record.door,
            operation: record.operation,
            model: record.resolved.clone(),
            key: record.key.clone(),
            dialect: record.dialect.map(tradewind_core::Dialect::name),
            translated: record.translated,
            outcome: record.outcome,
            status: record.status,
            code: record.public_code(),
        }
    }
}

impl Metrics {
    /// All metrics at nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let families = Families::register(&mut registry);
        let version = || vec![(env!("CARGO_PKG_VERSION").to_owned(), 1)];
        let build = Outside::new(
            "tradewind_build_info",
            "The version that runs",
            Reading::Gauges("version", Box::new(version)),
        );
        registry.register_collector(Box::new(build));
        Self { registry: Mutex::new(registry), families, calls: Quick::default(), attempts: Quick::default() }
    }

    /// Counts a closed call. Never waits for longer than another call takes to be counted.
    pub fn observe(&self, record: &Record) {
        let used = shares(record);
        let exemplar = Exemplar::of(record);
        let key = CallKey::of(record);
        self.calls.with(&key, |key| self.families.call(key), |series| observe_call(series, record, &used, exemplar));
        for (number, attempt) in record.attempts.iter().enumerate() {
            let key = AttemptKey {
                operation: record.operation,
                model: record.resolved.clone(),
                target: attempt.target.clone(),
                outcome: attempt.outcome,
                fault: attempt.fault,
            };
            let usage = used.iter().find(|share| share.attempt == Some(number)).map(|share| share.usage);
            self.attempts.with(
                &key,
                |key| self.families.attempt(key),
                |series| observe_attempt(series, attempt, record.stream, usage),
            );
        }
    }

    /// Adds a gauge whose value is asked for at each scrape. `name` is the whole name with its unit; `help` has no full
    /// stop. `read` must not wait.
    pub fn gauge(&self, name: &'static str, help: &'static str, read: impl Fn() -> i64 + Send + Sync + 'static) {
        self.outside(name, help, Reading::Gauge(Box::new(read)));
    }

    /// As [`Metrics::gauge`], with one value for each of the values of `label`, such as the breaker's state for each
    /// `target`. At most 500 of them are shown.
    pub fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(String, i64)> + Send + Sync + 'static,
    ) {
        self.outside(name, help, Reading::Gauges(label, Box::new(read)));
    }

    /// Adds a counter whose value is asked for at each scrape. `name` is without `_total`, which is added.
    pub fn counter(&self, name: &'static str, help: &'static str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.outside(name, help, Reading::Counter(Box::new(read)));
    }

    /// As [`Metrics::counter`], with one value for each of the values of `label`. At most 500 of them are shown.
    pub fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(String, u64)> + Send + Sync + 'static,
    ) {
        self.outside(name, help, Reading::Counters(label, Box::new(read)));
    }

    fn outside(&self, name: &'static str, help: &'static str, reading: Reading) {
        self.registry.lock().register_collector(Box::new(Outside::new(name, help, reading)));
    }

    /// Everything counted so far, as the body of an answer of the type [`Format::content_type`].
    #[must_use]
    pub fn encode(&self, format: Format) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry.lock()).expect("a String takes every write");
        match format {
            Format::OpenMetrics => page,
            Format::Prometheus => format::to_prometheus(&page),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a sampled trace can be found, and when its call ended.
#[derive(Clone, Copy)]
struct Exemplar(Option<(TraceLabel, SystemTime)>);

impl Exemplar {
    fn of(record: &Record) -> Self {
        let trace = record.trace.as_ref().filter(|trace| trace.sampled);
        Self(trace.map(|trace| {
            let ended = Duration::from_millis(record.at.0).saturating_add(record.elapsed);
            (TraceLabel::new(trace), SystemTime::UNIX_EPOCH + ended)
        }))
    }

    fn observe(self, histogram: &HistogramWithExemplars<TraceLabel>, value: Duration) {
        let (label, at) = self.0.unzip();
        histogram.observe(value.as_secs_f64(), label, at);
    }
}

fn observe_call(series: &CallSeries, record: &Record, used: &[Share], exemplar: Exemplar) {
    series.calls.inc();
    exemplar.observe(&series.duration, record.elapsed);
    if let Some(first_byte) = record.first_byte {
        exemplar.observe(&series.first_byte, first_byte);
    }
    if let Some(overhead) = record.overhead {
        exemplar.observe(&series.overhead, overhead);
    }
    for share in used {
        match share.cost {
            Some(cost) => series.cost.add(cost),
            None => {
                series.unpriced.inc();
            }
        }
    }
    for counter in series.refusals.iter().chain(&series.translations) {
        counter.inc();
    }
}

fn observe_attempt(series: &AttemptSeries, attempt: &Attempt, stream: bool, usage: Option<Usage>) {
    series.attempts.inc();
    series.duration.observe(attempt.ended.saturating_sub(attempt.started).as_secs_f64());
    if let Some(first_byte) = attempt.first_byte.filter(|_| stream) {
        series.first_chunk.observe(first_byte.saturating_sub(attempt.started).as_secs_f64());
    }
    let Some(usage) = usage else { return };
    for (counter, tokens) in series.tokens.iter().zip([usage.input, usage.output, usage.cached, usage.reasoning]) {
        if tokens > 0 {
            counter.inc_by(tokens);
        }
    }
    series.usage[0].observe(usage.input as f64);
    series.usage[1].observe(usage.output as f64);
}

/// What was counted before, by what decided it.
#[derive(Debug)]
struct Quick<K, V>(RwLock<FxHashMap<K, V>>);

impl<K, V> Default for Quick<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Clone + Eq + Hash, V> Quick<K, V> {
    /// Calls `count` with the counters of `key`, which `make` finds the first time.
    fn with(&self, key: &K, make: impl FnOnce(&K) -> V, count: impl FnOnce(&V)) {
        if let Some(known) = self.0.read().get(key) {
            return count(known);
        }
        let made = make(key);
        count(&made);
        let mut known = self.0.write();
        if known.len() < QUICK {
            known.entry(key.clone()).or_insert(made);
        }
    }
}

#[cfg(test)]
mod tests;
