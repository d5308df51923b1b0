//! A decaying histogram of times to first byte, for "hedge after the 95th percentile".
//!
//! Four buckets an octave from 125 µs to 131 s: a quantile is right to a tenth or so, in 324 bytes. All counts are
//! halved when they reach 512, so that it remembers the last five hundred to a thousand calls.

use std::time::Duration;

const BUCKETS: usize = 80;
const PER_OCTAVE: f64 = 4.0;
const SMALLEST: f64 = 125e-6;
const HALVE_AT: f32 = 512.0;
/// Below this many calls a quantile would be a guess.
const ENOUGH: f32 = 20.0;

#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: [f32; BUCKETS],
    total: f32,
}

impl Histogram {
    pub(crate) const fn new() -> Self {
        Self { counts: [0.0; BUCKETS], total: 0.0 }
    }

    pub(crate) fn count(&mut self, time: Duration) {
        let octaves = (time.as_secs_f64().max(SMALLEST) / SMALLEST).log2();
        let index = ((octaves * PER_OCTAVE) as usize).min(BUCKETS - 1);
        self.counts[index] += 1.0;
        self.total += 1.0;
        if self.total >= HALVE_AT {
            for count in &mut self.counts {
                *count *= 0.5;
            }
            self.total = self.counts.iter().sum();
        }
    }

    /// The time under which a share `q` (0 to 1, clamped) of calls stayed; `None` below 20 calls.
    pub(crate) fn quantile(&self, q: f64) -> Option<Duration> {
        if self.total < ENOUGH || q.is_nan() {
            return None;
        }
        let wanted = (q.clamp(0.0, 1.0) as f32) * self.total;
        let mut below = 0.0;
        let mut last = 0.0;
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            last = index as f64 + 1.0;
            if below + count >= wanted {
                last = index as f64 + f64::from(((wanted - below) / count).clamp(0.0, 1.0));
                break;
            }
            below += count;
        }
        Some(Duration::from_secs_f64(SMALLEST * (last / PER_OCTAVE).exp2()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_bucket() {
        let mut histogram = Histogram::new();
        for millis in 1..=19 {
            histogram.count(Duration::from_millis(millis));
        }
        assert_eq!(histogram.quantile(0.5), None);
        let mut histogram = Histogram::new();
        for millis in 1..=400 {
            histogram.count(Duration::from_millis(millis));
        }
        for (q, millis) in [(0.5, 200.0), (0.95, 380.0), (0.25, 100.0)] {
            let got = histogram.quantile(q).unwrap().as_secs_f64() * 1e3;
            assert!((got / millis - 1.0).abs() < 0.1, "{q}: {got}");
        }
        assert_eq!(histogram.quantile(f64::NAN), None);
        assert!(histogram.quantile(-1.0).unwrap() <= histogram.quantile(2.0).unwrap());
    }

    #[test]
    fn it_follows_a_change_within_a_thousand_calls() {
        let mut histogram = Histogram::new();
        for _ in 0..100_000 {
            histogram.count(Duration::from_secs(4));
        }
        for _ in 0..2500 {
            histogram.count(Duration::from_millis(40));
        }
        assert!(histogram.quantile(0.95).unwrap() < Duration::from_millis(60));
    }

    #[test]
    fn extremes_stay_in_bounds() {
        let mut histogram = Histogram::new();
        for _ in 0..30 {
            histogram.count(Duration::ZERO);
            histogram.count(Duration::MAX);
        }
        assert!(histogram.quantile(1.0).unwrap() <= Duration::from_secs(132));
    }
}
