//! The circuit breaker of one target: closed, open, half-open.
//!
//! It opens on failures in a row or on a share of failures within a sliding window, stays open for a time that doubles
//! from trip to trip, and then lets one trial call through at a time. It knows nothing of latency, and it refuses only
//! when asked through [`Breaker::admit`].

use std::time::Duration;

use tradewind_core::Moment;

use crate::settings::growing;
use crate::{Admission, HealthSettings};

const BUCKETS: usize = 8;

/// What a decision sees of a breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerView {
    /// Calls pass.
    #[default]
    Closed,
    /// No call passes before `until`.
    Open {
        /// When it becomes half-open.
        until: Moment,
    },
    /// One trial call passes at a time.
    HalfOpen {
        /// Whether no trial call is under way.
        free: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed { since: Moment, failures_in_a_row: u32 },
    Open { until: Moment },
    HalfOpen { successes: u32, trial_since: Option<Moment> },
}

/// What an outcome did to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Closed,
    Opened,
}

#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    state: State,
    /// How often it opened without a healthy period in between.
    trips: u32,
    window: Window,
}

impl Breaker {
    pub(crate) fn new(now: Moment) -> Self {
        Self { state: State::Closed { since: now, failures_in_a_row: 0 }, trips: 0, window: Window::default() }
    }

    pub(crate) fn view(&self, settings: &HealthSettings, now: Moment) -> BreakerView {
        match self.state {
            State::Closed { .. } => BreakerView::Closed,
            State::Open { until } if now < until => BreakerView::Open { until },
            State::Open { .. } => BreakerView::HalfOpen { free: true },
            State::HalfOpen { trial_since, .. } => BreakerView::HalfOpen { free: is_free(trial_since, settings, now) },
        }
    }

    /// Asks for permission to call now; takes the half-open slot where there is one.
    pub(crate) fn admit(&mut self, settings: &HealthSettings, now: Moment) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Yes,
            State::Open { until } if now < until => Admission::No { until },
            State::Open { .. } => {
                self.state = State::HalfOpen { successes: 0, trial_since: Some(now) };
                Admission::Probe
            }
            State::HalfOpen { successes, trial_since } => {
                if !is_free(trial_since, settings, now) {
                    return Admission::No { until: trial_since.unwrap_or(now) + settings.trial_timeout };
                }
                self.state = State::HalfOpen { successes, trial_since: Some(now) };
                Admission::Probe
            }
        }
    }

    pub(crate) fn success(&mut self, settings: &HealthSettings, now: Moment) -> Change {
        match &mut self.state {
            State::Closed { failures_in_a_row, .. } => {
                *failures_in_a_row = 0;
                self.window.count(settings.window, now, false);
                Change::None
            }
            // A call from before the trip: it says nothing about the present.
            State::Open { .. } => Change::None,
            State::HalfOpen { successes, trial_since } => {
                *successes = successes.saturating_add(1);
                *trial_since = None;
                if *successes < settings.trial_successes {
                    return Change::None;
                }
                self.state = State::Closed { since: now, failures_in_a_row: 0 };
                self.window = Window::default();
                Change::Closed
            }
        }
    }

    /// A failure of a call that had been under way for `after`.
    pub(crate) fn failure(
        &mut self,
        settings: &HealthSettings,
        now: Moment,
        after: Duration,
        random: &mut fastrand::Rng,
    ) -> Change {
        match &mut self.state {
            State::Closed { since, failures_in_a_row } => {
                *failures_in_a_row = failures_in_a_row.saturating_add(1);
                let in_a_row = *failures_in_a_row;
                let (failed, all) = self.window.count(settings.window, now, true);
                let share_reached = all >= settings.window_attempts
                    && f64::from(failed) >= settings.window_error_share * f64::from(all);
                if in_a_row < settings.consecutive_failures && !share_reached {
                    return Change::None;
                }
                if now.since(*since) >= settings.healthy_after {
                    self.trips = 0;
                }
                self.open(settings, now, random)
            }
            State::Open { .. } => Change::None,
            // Without a trial under way, or begun well before it, this is a late failure of a call from before the trip
            // and must not count as the trial's. The slack covers time that the trial itself spent in a queue.
            State::HalfOpen { trial_since: Some(trial_since), .. }
                if after <= now.since(*trial_since).saturating_add(settings.open_time / 2) =>
            {
                self.open(settings, now, random)
            }
            State::HalfOpen { .. } => Change::None,
        }
    }

    /// Gives a half-open slot back; nothing else changes.
    pub(crate) fn release(&mut self) {
        if let State::HalfOpen { trial_since, .. } = &mut self.state {
            *trial_since = None;
        }
    }

    fn open(&mut self, settings: &HealthSettings, now: Moment, random: &mut fastrand::Rng) -> Change {
        let time = growing(settings.open_time, settings.open_time_max, self.trips, random);
        self.trips = self.trips.saturating_add(1);
        self.state = State::Open { until: now + time };
        Change::Opened
    }
}

fn is_free(trial_since: Option<Moment>, settings: &HealthSettings, now: Moment) -> bool {
    trial_since.is_none_or(|since| now.since(since) >= settings.trial_timeout)
}

/// Attempts and failures of the last while, in [`BUCKETS`] slices; counts saturate.
#[derive(Clone, Debug, Default)]
struct Window {
    /// The number of the newest slice since the clock's origin.
    newest: u64,
    failed: [u16; BUCKETS],
    all: [u16; BUCKETS],
}

impl Window {
    /// Counts one attempt; returns failed and all within the window.
    fn count(&mut self, length: Duration, now: Moment, failed: bool) -> (u32, u32) {
        let slice_micros = (u64::try_from(length.as_micros()).unwrap_or(u64::MAX) / BUCKETS as u64).max(1);
        let slice = (now.micros() / slice_micros).max(self.newest);
        for passed in 1..=(slice - self.newest).min(BUCKETS as u64) {
            let index = ((self.newest + passed) % BUCKETS as u64) as usize;
            (self.failed[index], self.all[index]) = (0, 0);
        }
        self.newest = slice;
        let index = (slice % BUCKETS as u64) as usize;
        self.all[index] = self.all[index].saturating_add(1);
        self.failed[index] = self.failed[index].saturating_add(u16::from(failed));
        (self.failed.iter().map(|n| u32::from(*n)).sum(), self.all.iter().map(|n| u32::from(*n)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1000)
    }

    struct Bench {
        breaker: Breaker,
        settings: HealthSettings,
        random: fastrand::Rng,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                breaker: Breaker::new(Moment::START),
                settings: HealthSettings::default(),
                random: fastrand::Rng::with_seed(1),
            }
        }

        fn fail(&mut self, millis: u64) -> Change {
            self.breaker.failure(&self.settings, at(millis), Duration::from_millis(1), &mut self.random)
        }

        fn succeed(&mut self, millis: u64) -> Change {
            self.breaker.success(&self.settings, at(millis))
        }

        fn admit(&mut self, millis: u64) -> Admission {
            self.breaker.admit(&self.settings, at(millis))
        }

        /// Fails until it opens; returns how long it stays open.
        fn trip(&mut self, millis: u64) -> Duration {
            while self.fail(millis) != Change::Opened {}
            let BreakerView::Open { until } = self.breaker.view(&self.settings, at(millis)) else { panic!("not open") };
            until.since(at(millis))
        }
    }

    #[test]
    fn opens_after_five_failures_in_a_row() {
        let mut bench = Bench::new();
        for _ in 0..3 {
            for _ in 0..4 {
                assert_eq!(bench.fail(0), Change::None);
            }
            bench.succeed(0);
            bench.succeed(0);
            // Old slices leave the window, or the error share would open it.
            bench.breaker.window = Window::default();
        }
        for _ in 0..4 {
            bench.fail(1);
        }
        assert_eq!(bench.fail(1), Change::Opened);
        assert!(matches!(bench.admit(1), Admission::No { .. }));
    }

    #[test]
    fn opens_at_half_of_ten_in_the_window_and_forgets_what_is_older() {
        let mut bench = Bench::new();
        for _ in 0..4 {
            bench.succeed(0);
            bench.fail(0);
        }
        // 20 s later the window is empty again: nine attempts are too few.
        for _ in 0..4 {
            assert_eq!(bench.fail(20_000), Change::None);
            bench.succeed(20_000);
        }
        bench.succeed(20_000);
        assert_eq!(bench.fail(20_000), Change::Opened);
    }

    #[test]
    fn half_open_lets_one_trial_through_and_two_successes_close_it() {
        let mut bench = Bench::new();
        let open = bench.trip(0).as_millis() as u64 + 1;
        assert!(matches!(bench.admit(open - 1), Admission::No { until } if until <= at(open)));
        assert_eq!(bench.admit(open), Admission::Probe);
        assert!(matches!(bench.admit(open), Admission::No { .. }));
        assert_eq!(bench.succeed(open + 1), Change::None);
        assert_eq!(bench.admit(open + 1), Admission::Probe);
        assert_eq!(bench.succeed(open + 1), Change::Closed);
        assert_eq!(bench.admit(open + 1), Admission::Yes);
    }

    #[test]
    fn a_closed_breaker_does_not_remember_what_it_opened_for() {
        let mut bench = Bench::new();
        bench.succeed(0);
        bench.settings.consecutive_failures = 9;
        let open = bench.trip(0).as_millis() as u64 + 1;
        assert!(open < bench.settings.window.as_millis() as u64);
        for _ in 0..2 {
            bench.admit(open);
            bench.succeed(open);
        }
        assert_eq!(bench.fail(open), Change::None);
    }

    #[test]
    fn a_lost_trial_does_not_hold_the_slot_for_ever() {
        let mut bench = Bench::new();
        let open = bench.trip(0).as_millis() as u64 + 1;
        assert_eq!(bench.admit(open), Admission::Probe);
        assert!(matches!(bench.admit(open + 29_999), Admission::No { .. }));
        assert_eq!(bench.admit(open + 30_000), Admission::Probe);
        bench.breaker.release();
        assert_eq!(bench.admit(open + 30_000), Admission::Probe);
    }

    #[test]
    fn late_failures_of_old_calls_do_not_fail_the_trial() {
        let mut bench = Bench::new();
        let open = bench.trip(0).as_millis() as u64 + 1;
        assert_eq!(bench.admit(open), Admission::Probe);
        let old = Duration::from_millis(open + 1);
        let change = bench.breaker.failure(&bench.settings, at(open + 1), old, &mut bench.random);
        assert_eq!(change, Change::None);
        assert_eq!(bench.fail(open + 1), Change::Opened);
    }

    #[test]
    fn open_time_doubles_to_two_minutes_and_starts_again_after_a_healthy_period() {
        let mut bench = Bench::new();
        let mut now = 0;
        for expected in [5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0] {
            let open = bench.trip(now);
            assert!((0.8 * expected..=1.2 * expected).contains(&open.as_secs_f64()), "{expected}: {open:?}");
            now += open.as_millis() as u64 + 1;
            for _ in 0..2 {
                assert_eq!(bench.admit(now), Admission::Probe);
                bench.succeed(now);
            }
        }
        let open = bench.trip(now + 299_000);
        assert!(open.as_secs_f64() > 90.0);
        now += 299_000 + open.as_millis() as u64 + 1;
        for _ in 0..2 {
            bench.admit(now);
            bench.succeed(now);
        }
        assert!(bench.trip(now + 300_000).as_secs_f64() <= 6.0);
    }
}
