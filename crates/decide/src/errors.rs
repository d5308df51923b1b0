//! The recent error rate of a target, from counts that decay with time.

use tradewind_core::Moment;

use crate::HealthSettings;
use crate::latency::decayed;

#[derive(Clone, Debug, Default)]
pub(crate) struct Errors {
    failed: f64,
    all: f64,
    at: Moment,
}

impl Errors {
    pub(crate) fn count(&mut self, settings: &HealthSettings, now: Moment, failed: bool) {
        let left = decayed(now.since(self.at), settings.mean_decay);
        self.failed = self.failed * left + f64::from(u8::from(failed));
        self.all = self.all * left + 1.0;
        self.at = self.at.max(now);
    }

    /// Failed by all, 0 to 1. One imagined success is added, so that one failure alone is not certainty and the rate
    /// falls to 0 while nothing happens.
    pub(crate) fn rate(&self, settings: &HealthSettings, now: Moment) -> f64 {
        let left = decayed(now.since(self.at), settings.mean_decay);
        self.failed * left / (self.all * left + 1.0)
    }

    /// How many recent attempts the rate rests on.
    pub(crate) fn attempts(&self, settings: &HealthSettings, now: Moment) -> u32 {
        (self.all * decayed(now.since(self.at), settings.mean_decay)).round() as u32
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_rate_follows_and_forgets() {
        let settings = HealthSettings::default();
        let mut errors = Errors::default();
        for call in 0..1000_u64 {
            errors.count(&settings, Moment::from_micros(call * 10_000), call % 10 == 0);
        }
        let end = Moment::from_micros(10_000_000);
        assert!((errors.rate(&settings, end) - 0.1).abs() < 0.01);
        assert!(errors.attempts(&settings, end) > 500);
        let later = end + Duration::from_secs(600);
        assert!(errors.rate(&settings, later) < 1e-3);
        assert_eq!(errors.attempts(&settings, later), 0);
    }
}
