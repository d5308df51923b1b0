//! How long a target takes to its first token: a mean, and a peak that relaxes to it.
//!
//! The plain peak-EWMA of Finagle relaxes towards zero while nothing is measured, which brings a slow target back at
//! full speed every few time constants; one that does not relax at all banishes a target for a single bad call when
//! calls are rare. This one jumps to a new peak at once and relaxes to the target's own mean.

use std::time::Duration;

use tradewind_core::Moment;

use crate::HealthSettings;

/// Seconds throughout. The moment is that of the last measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency {
    /// Moving average of successes only, so that the penalty for a failure, which is derived from it, cannot feed on
    /// itself.
    mean: f64,
    /// Successes so far.
    successes: u32,
    mean_at: Moment,
    /// The peak at `peak_at`; 0 when there was none.
    peak: f64,
    peak_at: Moment,
}

impl Latency {
    /// Counts a success.
    pub(crate) fn success(&mut self, settings: &HealthSettings, now: Moment, first_byte: Duration) {
        let sample = first_byte.as_secs_f64();
        let present = self.present(settings, now).unwrap_or(0.0);
        self.peak = present.max(sample);
        self.peak_at = self.peak_at.max(now);
        if self.successes == 0 {
            self.mean = sample;
        } else {
            // By time, so that a thousand calls a second do not make a shorter memory than one; but never less than a
            // running average (the first sample would stand for half a minute), and never more than 0.3 (the first
            // sample after a pause would stand alone).
            let by_time = 1.0 - decayed(now.since(self.mean_at), settings.mean_decay);
            let share = by_time.min(0.3).max(1.0 / f64::from(self.successes.saturating_add(1)));
            self.mean += share * (sample - self.mean);
        }
        self.successes = self.successes.saturating_add(1);
        self.mean_at = self.mean_at.max(now);
    }

    /// Counts a failure after `after`: never as less than it took, than `failure_floor`, than `failure_factor` means.
    pub(crate) fn failure(&mut self, settings: &HealthSettings, now: Moment, after: Duration) {
        let known = self.mean * settings.failure_factor;
        let penalty = after.as_secs_f64().max(settings.failure_floor.as_secs_f64()).max(known);
        let present = self.present(settings, now).unwrap_or(0.0);
        self.peak = present.max(penalty);
        self.peak_at = self.peak_at.max(now);
    }

    /// Seconds to expect now; `None` before anything was measured.
    pub(crate) fn present(&self, settings: &HealthSettings, now: Moment) -> Option<f64> {
        let rest = if self.successes > 0 {
            self.mean
        } else if self.peak > 0.0 {
            settings.failure_floor.as_secs_f64()
        } else {
            return None;
        };
        let above = (self.peak - rest).max(0.0);
        Some(rest + above * decayed(now.since(self.peak_at), settings.peak_decay))
    }

    /// The mean of successes; `None` before the first.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.successes > 0).then_some(self.mean)
    }
}

/// What is left of 1 after `elapsed`, with this time constant.
pub(crate) fn decayed(elapsed: Duration, constant: Duration) -> f64 {
    if elapsed.is_zero() {
        return 1.0;
    }
    (-elapsed.as_secs_f64() / constant.as_secs_f64().max(1e-6)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: f64) -> Moment {
        Moment::START + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn jumps_to_a_peak_and_relaxes_to_the_mean() {
        let settings = HealthSettings::default();
        let mut latency = Latency::default();
        assert_eq!(latency.present(&settings, Moment::START), None);
        for second in 0..100 {
            latency.success(&settings, after(f64::from(second)), Duration::from_millis(100));
        }
        latency.success(&settings, after(100.0), Duration::from_secs(10));
        let present = |seconds| latency.present(&settings, after(seconds)).unwrap();
        assert!((present(100.0) - 10.0).abs() < 1e-9);
        let mean = latency.mean().unwrap();
        assert!(mean < 0.6, "{mean}");
        let expected = mean + (10.0 - mean) / std::f64::consts::E;
        assert!((present(110.0) - expected).abs() < 1e-6);
        assert!((present(200.0) - mean).abs() < 0.01);
    }

    #[test]
    fn a_fast_failure_is_never_a_fast_answer() {
        let settings = HealthSettings::default();
        let mut latency = Latency::default();
        for _ in 0..20 {
            latency.success(&settings, after(1.0), Duration::from_millis(500));
        }
        latency.failure(&settings, after(1.0), Duration::from_micros(100));
        assert!((latency.present(&settings, after(1.0)).unwrap() - 2.0).abs() < 1e-9);
        // However many there are, the penalty does not grow by itself.
        for _ in 0..1000 {
            latency.failure(&settings, after(1.0), Duration::from_micros(100));
        }
        assert!((latency.present(&settings, after(1.0)).unwrap() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_first_sample_does_not_stand_for_long() {
        let settings = HealthSettings::default();
        let mut latency = Latency::default();
        latency.success(&settings, after(0.0), Duration::from_secs(5));
        for call in 1..200 {
            latency.success(&settings, after(f64::from(call) * 0.001), Duration::from_millis(50));
        }
        assert!(latency.mean().unwrap() < 0.1);
    }
}
