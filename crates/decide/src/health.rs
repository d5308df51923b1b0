//! The health of one target: breaker, latency, error rate, ejection, slow start.
//!
//! A pure state, about 600 bytes, that the caller keeps under a small mutex of its own for each target. Outcomes go in
//! through [`Health::record`]; a decision sees the `Copy` value of [`Health::view`].

use std::time::Duration;

use tradewind_core::{FaultKind, Moment};

use crate::breaker::{Breaker, Change};
use crate::errors::Errors;
use crate::histogram::Histogram;
use crate::latency::Latency;
use crate::settings::growing;
use crate::{BreakerView, HealthSettings};

/// The answer to "may I call this target now?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Yes,
    /// Yes, as the one trial call of a half-open breaker. Its outcome must be recorded, be it as
    /// [`Observation::Neutral`]; until then, or until the trial times out, no other call is admitted.
    Probe,
    /// No, not before `until`.
    No {
        /// When to ask again.
        until: Moment,
    },
}

/// How an attempt went, as far as the target's health is concerned.
///
/// Each attempt is reported once by its end: `Success`, `Failure`, `Overtaken` or `Neutral`. A stream can be reported twice, so that
/// its latency is known while it runs and a cut still counts in full: `FirstByte`, then `Completed`, `Failure` or
/// `Neutral`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It answered.
    Success {
        /// From the start of the attempt to the first byte of the answer.
        first_byte: Duration,
    },
    /// The answer begins; whether it comes to its end will be reported later. Counts to latency only.
    FirstByte {
        /// From the start of the attempt.
        after: Duration,
    },
    /// The answer whose first byte was reported came to its end.
    Completed,
    /// It failed. Kinds that do not count against the target are taken as [`Observation::Neutral`].
    Failure {
        /// How.
        kind: FaultKind,
        /// From the start of the attempt to the failure.
        after: Duration,
    },
    /// It was given up because another attempt of the same call answered first. When it had taken longer than the target
    /// usually takes, that counts to latency (or a slow target whose calls are all hedged would never be seen to be
    /// slow); otherwise like `Neutral`.
    Overtaken {
        /// From the start of the attempt.
        after: Duration,
    },
    /// Cancelled, or the caller's own fault: gives a half-open slot back and changes nothing else.
    Neutral,
}

/// What a decision sees of a target's health at one moment. The default is a target of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthView {
    /// Its breaker.
    pub breaker: BreakerView,
    /// Until when it is ejected as an outlier; never in the past.
    pub ejected_until: Option<Moment>,
    /// Time to first token to expect now: a peak-sensitive moving average in which failures count as slow answers.
    pub ttft_ewma: Option<Duration>,
    /// Mean time to first token of recent successes.
    pub ttft_mean: Option<Duration>,
    /// Share of recent attempts that failed, 0 to 1.
    pub error_rate: f64,
    /// What its errors multiply its cost by, at least 1.
    pub error_factor: f64,
    /// What slow start leaves of its weight, above 0 and at most 1.
    pub slow_start: f64,
    /// Recent attempts that the error rate rests on.
    pub samples: u32,
}

impl Default for HealthView {
    fn default() -> Self {
        Self {
            breaker: BreakerView::Closed,
            ejected_until: None,
            ttft_ewma: None,
            ttft_mean: None,
            error_rate: 0.0,
            error_factor: 1.0,
            slow_start: 1.0,
            samples: 0,
        }
    }
}

/// The health of one target.
#[derive(Clone, Debug)]
pub struct Health {
    breaker: Breaker,
    latency: Latency,
    errors: Errors,
    first_bytes: Histogram,
    ejected_until: Option<Moment>,
    /// How often it was ejected without a healthy period in between.
    ejections: u32,
    /// When it came back, or will come back, from an open breaker or an ejection.
    back_since: Option<Moment>,
    random: fastrand::Rng,
}

impl Health {
    /// A target of which nothing is known. `seed` spreads its open and ejection times; give each target of each
    /// gateway another one, or they all come back together.
    #[must_use]
    pub fn new(now: Moment, seed: u64) -> Self {
        Self {
            breaker: Breaker::new(now),
            latency: Latency::default(),
            errors: Errors::default(),
            first_bytes: Histogram::new(),
            ejected_until: None,
            ejections: 0,
            back_since: None,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// What a decision may know now.
    #[must_use]
    pub fn view(&self, settings: &HealthSettings, now: Moment) -> HealthView {
        let error_rate = self.errors.rate(settings, now);
        HealthView {
            breaker: self.breaker.view(settings, now),
            ejected_until: self.ejected_until.filter(|until| now < *until),
            ttft_ewma: self.latency.present(settings, now).map(duration),
            ttft_mean: self.latency.mean().map(duration),
            error_rate,
            error_factor: 1.0 + settings.error_penalty.max(0.0) * error_rate,
            slow_start: self.slow_start(settings, now),
            samples: self.errors.attempts(settings, now),
        }
    }

    /// Asks the breaker for permission to call now. An ejection does not refuse: whether it holds depends on the rest
    /// of the group, so [`decide`](crate::decide) judges it.
    pub fn admit(&mut self, settings: &HealthSettings, now: Moment) -> Admission {
        self.breaker.admit(settings, now)
    }

    /// Takes note of how an attempt ended.
    pub fn record(&mut self, settings: &HealthSettings, now: Moment, observation: &Observation) {
        match *observation {
            Observation::Success { first_byte } => {
                self.first_byte(settings, now, first_byte);
                self.completed(settings, now);
            }
            Observation::FirstByte { after } => self.first_byte(settings, now, after),
            Observation::Completed => self.completed(settings, now),
            Observation::Failure { kind, after } if kind.counts_against_target() => {
                self.latency.failure(settings, now, after);
                self.errors.count(settings, now, true);
                self.breaker.failure(settings, now, after, &mut self.random);
            }
            Observation::Overtaken { after } => {
                if self.latency.mean().is_some_and(|mean| after.as_secs_f64() > mean) {
                    self.first_byte(settings, now, after);
                }
                self.breaker.release();
            }
            Observation::Failure { .. } | Observation::Neutral => self.breaker.release(),
        }
    }

    /// The time to first byte under which a share `q` (0 to 1) of recent successes stayed; `None` below 20 of them.
    #[must_use]
    pub fn first_byte_quantile(&self, q: f64) -> Option<Duration> {
        self.first_bytes.quantile(q)
    }

    /// Ejects the target as an outlier, for a time that doubles each time. Does nothing while it is ejected already.
    pub fn eject(&mut self, settings: &HealthSettings, now: Moment) {
        if let Some(until) = self.ejected_until {
            if now < until {
                return;
            }
            if now.since(until) >= settings.healthy_after {
                self.ejections = 0;
            }
        }
        let time = growing(settings.ejection_time, settings.ejection_time_max, self.ejections, &mut self.random);
        self.ejections = self.ejections.saturating_add(1);
        self.ejected_until = Some(now + time);
        self.back_since = Some(now + time);
        // It has to be judged by what it does when it is back, not a second time by what it was ejected for.
        self.errors = Errors::default();
    }

    fn first_byte(&mut self, settings: &HealthSettings, now: Moment, after: Duration) {
        self.latency.success(settings, now, after);
        self.first_bytes.count(after);
    }

    fn completed(&mut self, settings: &HealthSettings, now: Moment) {
        self.errors.count(settings, now, false);
        if self.breaker.success(settings, now) == Change::Closed {
            self.back_since = Some(now);
        }
    }

    fn slow_start(&self, settings: &HealthSettings, now: Moment) -> f64 {
        let Some(since) = self.back_since else { return 1.0 };
        let floor = settings.slow_start_floor.clamp(0.01, 1.0);
        let passed = now.since(since).as_secs_f64() / settings.slow_start.as_secs_f64().max(1e-6);
        floor + (1.0 - floor) * passed.min(1.0)
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn after(seconds: f64) -> Moment {
        Moment::START + Duration::from_secs_f64(seconds)
    }

    fn failure(kind: FaultKind) -> Observation {
        Observation::Failure { kind, after: MILLI }
    }

    #[test]
    fn what_is_not_the_targets_fault_changes_nothing() {
        let settings = HealthSettings::default();
        let mut health = Health::new(Moment::START, 1);
        health.record(&settings, after(1.0), &Observation::Success { first_byte: MILLI });
        let before = health.view(&settings, after(2.0));
        for kind in FaultKind::ALL.iter().filter(|kind| !kind.counts_against_target()) {
            for _ in 0..20 {
                health.record(&settings, after(2.0), &failure(*kind));
                health.record(&settings, after(2.0), &Observation::Neutral);
            }
        }
        assert_eq!(health.view(&settings, after(2.0)), before);
    }

    #[test]
    fn a_stream_reported_in_two_steps_is_one_attempt() {
        let settings = HealthSettings::default();
        let (mut once, mut twice) = (Health::new(Moment::START, 1), Health::new(Moment::START, 1));
        for call in 0..50 {
            let (begun, ended) = (after(f64::from(call)), after(f64::from(call) + 0.5));
            once.record(&settings, begun, &Observation::Success { first_byte: MILLI });
            twice.record(&settings, begun, &Observation::FirstByte { after: MILLI });
            twice.record(&settings, ended, &Observation::Completed);
        }
        let (once, twice) = (once.view(&settings, after(50.0)), twice.view(&settings, after(50.0)));
        assert_eq!((once.ttft_ewma, once.breaker, once.error_rate), (twice.ttft_ewma, twice.breaker, twice.error_rate));

        // Streams that begin well and are all cut open the breaker as five failures in a row.
        let mut cut = Health::new(Moment::START, 1);
        for _ in 0..5 {
            assert_eq!(cut.view(&settings, after(0.0)).breaker, BreakerView::Closed);
            cut.record(&settings, after(0.0), &Observation::FirstByte { after: MILLI });
            cut.record(&settings, after(0.0), &failure(FaultKind::Cut));
        }
        assert!(matches!(cut.view(&settings, after(0.0)).breaker, BreakerView::Open { .. }));
    }

    #[test]
    fn a_target_that_is_always_overtaken_looks_slow() {
        let settings = HealthSettings::default();
        let mut health = Health::new(Moment::START, 1);
        for _ in 0..20 {
            health.record(&settings, after(0.0), &Observation::Success { first_byte: 100 * MILLI });
        }
        let before = health.view(&settings, after(1.0));
        health.record(&settings, after(1.0), &Observation::Overtaken { after: 50 * MILLI });
        assert_eq!(health.view(&settings, after(1.0)), before, "it was given up before it could have been slow");
        for second in 1..20 {
            health.record(&settings, after(f64::from(second)), &Observation::Overtaken { after: 300 * MILLI });
        }
        let later = health.view(&settings, after(20.0));
        assert!(later.ttft_mean > Some(150 * MILLI) && later.error_rate == 0.0);
    }

    #[test]
    fn absurd_times_do_no_harm() {
        let settings = HealthSettings { open_time: Duration::MAX, ..HealthSettings::default() };
        let mut health = Health::new(Moment::START, 1);
        let end = Moment::from_micros(u64::MAX);
        for now in [end, Moment::START, end] {
            for _ in 0..30 {
                health.record(&settings, now, &Observation::Success { first_byte: Duration::MAX });
                health.record(&settings, now, &Observation::Failure { kind: FaultKind::Reset, after: Duration::MAX });
                health.admit(&settings, now);
            }
            health.eject(&settings, now);
            let view = health.view(&settings, now);
            assert!(view.ttft_ewma > Some(Duration::from_secs(1_000_000)) && (0.0..=1.0).contains(&view.error_rate));
        }
    }

    #[test]
    fn a_neutral_trial_gives_the_slot_back() {
        let settings = HealthSettings::default();
        let mut health = Health::new(Moment::START, 1);
        for _ in 0..5 {
            health.record(&settings, after(0.0), &failure(FaultKind::ServerError));
        }
        assert!(matches!(health.view(&settings, after(1.0)).breaker, BreakerView::Open { .. }));
        for observation in [Observation::Neutral, failure(FaultKind::RateLimited)] {
            assert_eq!(health.admit(&settings, after(10.0)), Admission::Probe);
            assert_eq!(health.view(&settings, after(10.0)).breaker, BreakerView::HalfOpen { free: false });
            health.record(&settings, after(10.0), &observation);
            assert_eq!(health.view(&settings, after(10.0)).breaker, BreakerView::HalfOpen { free: true });
        }
    }

    #[test]
    fn a_target_that_comes_back_starts_slowly() {
        let settings = HealthSettings::default();
        let mut health = Health::new(Moment::START, 1);
        assert_eq!(health.view(&settings, after(0.0)).slow_start, 1.0);
        for _ in 0..5 {
            health.record(&settings, after(0.0), &failure(FaultKind::ConnectRefused));
        }
        for _ in 0..2 {
            assert_eq!(health.admit(&settings, after(10.0)), Admission::Probe);
            health.record(&settings, after(10.0), &Observation::Success { first_byte: MILLI });
        }
        for (seconds, factor) in [(10.0, 0.1), (25.0, 0.55), (40.0, 1.0), (400.0, 1.0)] {
            let got = health.view(&settings, after(seconds)).slow_start;
            assert!((got - factor).abs() < 1e-9, "{seconds}: {got}");
        }
    }

    #[test]
    fn an_ejected_target_is_not_judged_twice_by_the_same_attempts() {
        let settings = HealthSettings::default();
        let mut health = Health::new(Moment::START, 1);
        for _ in 0..50 {
            health.record(&settings, after(0.0), &Observation::Success { first_byte: MILLI });
        }
        assert_eq!(health.view(&settings, after(0.0)).samples, 50);
        health.eject(&settings, after(0.0));
        assert_eq!(health.view(&settings, after(0.0)).samples, 0);
    }

    #[test]
    fn ejections_grow_and_are_forgiven() {
        let settings = HealthSettings::default();
        let mut health = Health::new(Moment::START, 1);
        let mut now = Moment::START;
        for expected in [10.0, 20.0, 40.0] {
            health.eject(&settings, now);
            let until = health.view(&settings, now).ejected_until.unwrap();
            health.eject(&settings, now + MILLI);
            assert_eq!(health.view(&settings, now + MILLI).ejected_until, Some(until));
            let seconds = until.since(now).as_secs_f64();
            assert!((0.8 * expected..=1.2 * expected).contains(&seconds), "{expected}: {seconds}");
            assert_eq!(health.view(&settings, until).ejected_until, None);
            assert!((health.view(&settings, until).slow_start - 0.1).abs() < 1e-9);
            now = until;
        }
        now = now + settings.healthy_after;
        health.eject(&settings, now);
        assert!(health.view(&settings, now).ejected_until.unwrap().since(now) <= Duration::from_secs(12));
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Health>() <= 640, "{}", size_of::<Health>());
        assert!(size_of::<HealthView>() <= 112, "{}", size_of::<HealthView>());
    }
}
