//! What came of a load: counts, failures by kind, histograms; as values and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A histogram of nanoseconds with three significant digits, up to an hour.
#[derive(Clone, Debug)]
pub(crate) struct Times(Histogram<u64>);

/// An hour, in nanoseconds.
const LONGEST: u64 = 3_600_000_000_000;

impl Times {
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order and the digits within 0 to 5"))
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// The quantile in milliseconds; 0 when nothing was recorded.
    pub(super) fn quantile(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e6
    }

    pub(crate) fn spread(&self) -> Option<Spread> {
        (!self.0.is_empty()).then(|| Spread {
            count: self.0.len(),
            mean: self.0.mean() / 1e6,
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: self.0.max() as f64 / 1e6,
        })
    }
}

/// How times are spread, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Half are below.
    pub p50: f64,
    /// 90 % are below.
    pub p90: f64,
    /// 99 % are below.
    pub p99: f64,
    /// 99.9 % are below.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// What the callers gathered.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) ok: u64,
    pub(super) bytes: u64,
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) total: Times,
    pub(super) first: Times,
    pub(super) gaps: Times,
    pub(super) late: Times,
    /// How long was measured.
    pub(super) measured: Duration,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            ok: 0,
            bytes: 0,
            failures: BTreeMap::new(),
            total: Times::new(),
            first: Times::new(),
            gaps: Times::new(),
            late: Times::new(),
            measured: Duration::ZERO,
        }
    }

    pub(super) fn fail(&mut self, kind: &str) {
        match self.failures.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.failures.insert(kind.to_owned(), 1)),
        }
    }

    /// Adds what another caller gathered at the same time.
    pub(super) fn join(&mut self, other: &Self) {
        self.ok += other.ok;
        self.bytes += other.bytes;
        for (kind, count) in &other.failures {
            *self.failures.entry(kind.clone()).or_default() += count;
        }
        self.total.merge(&other.total);
        self.first.merge(&other.first);
        self.gaps.merge(&other.gaps);
        self.late.merge(&other.late);
    }

    /// Adds what was gathered in another round.
    pub(super) fn append(&mut self, other: &Self) {
        self.join(other);
        self.measured += other.measured;
    }

    pub(super) fn rate(&self) -> f64 {
        let seconds = self.measured.as_secs_f64();
        if seconds > 0.0 { self.ok as f64 / seconds } else { 0.0 }
    }

    pub(super) fn report(&self) -> LoadReport {
        LoadReport {
            ok: self.ok,
            failed: self.failures.values().sum(),
            failures: self.failures.clone(),
            seconds: self.measured.as_secs_f64(),
            per_second: self.rate(),
            body_bytes: self.bytes,
            total_ms: self.total.spread(),
            first_event_ms: self.first.spread(),
            gap_ms: self.gaps.spread(),
            generator_late_ms: self.late.spread(),
        }
    }
}

/// What came of a load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadReport {
    /// Calls with status 200 and a complete answer.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// All others, by kind: `connect`, `status-503`, `reset`, `cut`, `no-terminal`, `malformed`, `unfinished`.
    pub failures: BTreeMap<String, u64>,
    /// How long was measured.
    pub seconds: f64,
    /// Good calls a second.
    pub per_second: f64,
    /// Bytes of bodies received.
    pub body_bytes: u64,
    /// From the start of a call to the end of its answer. Only good calls.
    pub total_ms: Option<Spread>,
    /// From the start of a call to the first byte of its first event. Streams only.
    pub first_event_ms: Option<Spread>,
    /// Between two arrivals of body bytes. Streams only.
    pub gap_ms: Option<Spread>,
    /// Open loop: how late the generator itself began calls that had a free connection. Not part of the times above.
    pub generator_late_ms: Option<Spread>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_known_times() {
        let mut times = Times::new();
        for micros in 1..=1000 {
            times.record(Duration::from_micros(micros));
        }
        let spread = times.spread().unwrap();
        assert_eq!(spread.count, 1000);
        for (got, expected) in [(spread.p50, 0.5), (spread.p90, 0.9), (spread.p99, 0.99), (spread.max, 1.0)] {
            assert!((got - expected).abs() < expected * 0.002, "{got} is not {expected}");
        }
    }

    #[test]
    fn callers_join_and_rounds_append() {
        let mut one = Tally::new();
        one.ok = 10;
        one.measured = Duration::from_secs(1);
        one.fail("reset");
        let mut two = one.clone();
        two.join(&one);
        assert_eq!((two.ok, two.measured, two.failures["reset"]), (20, Duration::from_secs(1), 2));
        two.append(&one);
        assert_eq!((two.ok, two.measured), (30, Duration::from_secs(2)));
        assert!((two.rate() - 15.0).abs() < 1e-9);
    }
}
