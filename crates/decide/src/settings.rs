//! The numbers behind a target's health, with the reason for each default.

use std::time::Duration;

/// Thresholds of breakers, ejection and slow start, and the weight of errors. One value for all targets of a gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthSettings {
    /// The breaker opens after this many failures in a row. 5: one unlucky burst of a shared connection is less.
    pub consecutive_failures: u32,
    /// The sliding window of the error share.
    pub window: Duration,
    /// The error share counts from this many attempts within the window.
    pub window_attempts: u32,
    /// The breaker opens at this share of failed attempts within the window, 0 to 1.
    pub window_error_share: f64,
    /// How long the breaker stays open the first time; doubles each time it opens again before [`Self::healthy_after`].
    pub open_time: Duration,
    /// The longest time that the breaker stays open, save for jitter of a fifth.
    pub open_time_max: Duration,
    /// After this long without a trip or an ejection, the next one begins with the shortest time again. Longer than
    /// [`Self::open_time_max`], so that a flapping target is not forgiven between two flaps.
    pub healthy_after: Duration,
    /// A trial call that was not reported for this long no longer holds the half-open slot.
    pub trial_timeout: Duration,
    /// This many successful trial calls close the breaker.
    pub trial_successes: u32,
    /// How long a target that came back takes to reach its full share.
    pub slow_start: Duration,
    /// The share with which slow start begins, 0 to 1.
    pub slow_start_floor: f64,
    /// Time constant with which a latency peak relaxes to the target's own mean.
    pub peak_decay: Duration,
    /// Time constant of the mean latency and of the error rate.
    pub mean_decay: Duration,
    /// A failure counts as at least this much latency…
    pub failure_floor: Duration,
    /// …and as at least this many times the target's mean latency.
    pub failure_factor: f64,
    /// How much the error rate adds to a target's cost: cost × (1 + penalty × error rate).
    pub error_penalty: f64,
    /// A target can be an outlier from this many recent attempts on.
    pub outlier_attempts: u32,
    /// A target whose error rate is this much above the group's median is an outlier, 0 to 1.
    pub outlier_error_margin: f64,
    /// A target whose mean latency is this many times the group's median is an outlier. `None` for groups whose
    /// members are not meant to be alike: a large model behind a small one is slow by nature.
    pub outlier_latency_factor: Option<f64>,
    /// How long an outlier is ejected the first time; doubles each time.
    pub ejection_time: Duration,
    /// The longest ejection, save for jitter of a fifth.
    pub ejection_time_max: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            window: Duration::from_secs(10),
            window_attempts: 10,
            window_error_share: 0.5,
            open_time: Duration::from_secs(5),
            open_time_max: Duration::from_secs(120),
            healthy_after: Duration::from_secs(300),
            trial_timeout: Duration::from_secs(30),
            trial_successes: 2,
            slow_start: Duration::from_secs(30),
            slow_start_floor: 0.1,
            peak_decay: Duration::from_secs(10),
            mean_decay: Duration::from_secs(30),
            failure_floor: Duration::from_secs(1),
            failure_factor: 4.0,
            error_penalty: 10.0,
            outlier_attempts: 10,
            outlier_error_margin: 0.2,
            outlier_latency_factor: Some(5.0),
            ejection_time: Duration::from_secs(10),
            ejection_time_max: Duration::from_secs(300),
        }
    }
}

/// `shortest` doubled `times` times, at most `longest`, then moved by up to a fifth either way, so that targets that
/// failed together do not come back together.
pub(crate) fn growing(shortest: Duration, longest: Duration, times: u32, random: &mut fastrand::Rng) -> Duration {
    let doubled = shortest.saturating_mul(1 << times.min(30)).min(longest);
    doubled.min(Duration::from_secs(86_400)).mul_f64(0.8 + 0.4 * random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_to_their_bound() {
        let mut random = fastrand::Rng::with_seed(7);
        let (shortest, longest) = (Duration::from_secs(5), Duration::from_secs(120));
        for (times, middle) in [(0, 5.0), (1, 10.0), (3, 40.0), (5, 120.0), (u32::MAX, 120.0)] {
            let seconds = growing(shortest, longest, times, &mut random).as_secs_f64();
            assert!((0.8 * middle..=1.2 * middle).contains(&seconds), "{times}: {seconds}");
        }
    }
}
