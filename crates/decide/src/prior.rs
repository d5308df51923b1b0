//! The slow prior: what somebody else's measurements, polled now and then, say about a target.
//!
//! It multiplies how good a target looks by load, and is never trusted far: within [`Prior::BOUNDS`], moved by at most
//! [`Prior::RATE`] a second, back to 1 as its last sample ages, and gone three intervals after it. So a source that lies,
//! hangs or disappears costs a little balance and no call. New sources are listened to after ten seconds, and slowly for
//! another twenty.
//!
//! Refused: jumping to each sample. Polled values are seconds old, and every gateway would follow them at once: herds.
//!
//! All is computed in logarithms, so that 0.5 and 2 are equally far from 1.

use std::time::Duration;

use serde::{Serialize, Serializer};
use tradewind_core::Moment;

/// What a poll brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample {
    /// A value; 1 is usual, more is better.
    Value(f64),
    /// Nothing: it failed or took too long.
    Failure,
}

/// Where a prior stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorState {
    /// No sample yet, or the last one is too old: 1.
    Absent,
    /// Samples come in, but for less than [`Prior::BLACKOUT`]: 1, or on the way to it.
    Blackout,
    /// It follows the samples.
    Fresh,
    /// The last sample is older than the interval, and its effect fades.
    Stale,
}

/// A prior as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PriorView {
    /// What it multiplies by now.
    pub value: f64,
    /// Where it stands.
    pub state: PriorState,
    /// Time since the last sample that was taken; in seconds in JSON.
    #[serde(rename = "age_s", serialize_with = "in_seconds")]
    pub age: Option<Duration>,
    /// Samples that were no good: not a number, infinite, negative, absurd.
    pub refused: u64,
    /// Polls that brought nothing.
    pub failures: u64,
}

fn in_seconds<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    age.map(|age| age.as_millis() as f64 / 1e3).serialize(serializer)
}

/// The state of one target's prior.
#[derive(Clone, Debug)]
pub struct Prior {
    interval: Duration,
    /// Since when samples have come without a gap.
    since: Option<Moment>,
    /// Logarithm of the last sample, within bounds, and when it came.
    aim: f64,
    aim_at: Moment,
    /// Logarithm of the prior at some moment.
    value: f64,
    value_at: Moment,
    refused: u64,
    failures: u64,
}

impl Prior {
    /// The least and the most that it multiplies by.
    pub const BOUNDS: [f64; 2] = [0.5, 2.0];

    /// The most that it changes in a second, as a share of itself.
    pub const RATE: f64 = 0.1;

    /// How long samples have to come in before the first one has an effect.
    pub const BLACKOUT: Duration = Duration::from_secs(10);

    /// How long after that it moves at a quarter of [`Self::RATE`].
    pub const SLOW_START: Duration = Duration::from_secs(20);

    /// A sample expires after this many intervals.
    pub const EXPIRES_AFTER: u32 = 3;

    /// The intervals that it works with; others are taken as the nearest.
    pub const INTERVALS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(600)];

    /// A sample beyond this is nonsense rather than a large value.
    pub const ABSURD: f64 = 1e6;

    /// A prior that will be polled once in each `interval`; 1 as yet.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        let [shortest, longest] = Self::INTERVALS;
        Self {
            interval: interval.clamp(shortest, longest),
            since: None,
            aim: 0.0,
            aim_at: Moment::START,
            value: 0.0,
            value_at: Moment::START,
            refused: 0,
            failures: 0,
        }
    }

    /// Takes note of what a poll brought. A failure and a sample that is no good change nothing: the last sample ages.
    pub fn record(&mut self, now: Moment, sample: Sample) {
        let value = match sample {
            Sample::Value(value) if (0.0..=Self::ABSURD).contains(&value) => value,
            Sample::Value(_) => return self.refused = self.refused.saturating_add(1),
            Sample::Failure => return self.failures = self.failures.saturating_add(1),
        };
        // A reading that arrives late does not turn time back.
        let now = now.max(self.value_at).max(self.aim_at);
        self.value = self.logarithm(now);
        self.value_at = now;
        if self.since.is_none() || now >= self.expires() {
            self.since = Some(now);
        }
        let [least, most] = Self::BOUNDS;
        self.aim = value.clamp(least, most).ln();
        self.aim_at = now;
    }

    /// What it multiplies by, within [`Self::BOUNDS`].
    #[must_use]
    pub fn at(&self, now: Moment) -> f64 {
        let [least, most] = Self::BOUNDS;
        self.logarithm(now).exp().clamp(least, most)
    }

    /// All that is known of it.
    #[must_use]
    pub fn view(&self, now: Moment) -> PriorView {
        let state = match self.since {
            None => PriorState::Absent,
            Some(_) if now >= self.expires() => PriorState::Absent,
            Some(since) if now < since + Self::BLACKOUT => PriorState::Blackout,
            Some(_) if now.since(self.aim_at) <= self.interval => PriorState::Fresh,
            Some(_) => PriorState::Stale,
        };
        let age = self.since.map(|_| now.since(self.aim_at));
        PriorView { value: self.at(now), state, age, refused: self.refused, failures: self.failures }
    }

    fn expires(&self) -> Moment {
        self.aim_at + self.interval.saturating_mul(Self::EXPIRES_AFTER)
    }

    /// The logarithm at `now`: it runs after the aim, at its rate. Both rate and aim are linear between a few moments.
    fn logarithm(&self, now: Moment) -> f64 {
        let Some(since) = self.since else { return 0.0 };
        let (heard, slow, stale) =
            (since + Self::BLACKOUT, since + Self::BLACKOUT + Self::SLOW_START, self.aim_at + self.interval);
        let mut ends = [heard, slow, stale, self.expires(), now];
        ends.sort_unstable();
        let mut value = self.value;
        let mut from = self.value_at;
        for to in ends {
            let to = to.min(now);
            if to <= from {
                continue;
            }
            // The rate and the slope are those within the stretch, which no moment of `ends` cuts.
            let rate = if from >= heard && from < slow { Self::RATE.ln_1p() / 4.0 } else { Self::RATE.ln_1p() };
            let (begin, end) = if from < heard { (0.0, 0.0) } else { (self.aim_then(from), self.aim_then(to)) };
            value = run_after(value, begin, end, rate, to.since(from).as_secs_f64());
            from = to;
        }
        value
    }

    /// What it should be at a moment: the last sample while it is fresh, then fading to nothing until it expires.
    fn aim_then(&self, at: Moment) -> f64 {
        let age = at.since(self.aim_at).as_secs_f64() / self.interval.as_secs_f64();
        let life = f64::from(Self::EXPIRES_AFTER);
        self.aim * ((life - age) / (life - 1.0)).clamp(0.0, 1.0)
    }
}

/// Where `value` is after `seconds` of running at most at `rate` after an aim that moves steadily from `begin` to `end`.
fn run_after(value: f64, begin: f64, end: f64, rate: f64, seconds: f64) -> f64 {
    let slope = (end - begin) / seconds;
    let gap = begin - value;
    let towards = if gap < 0.0 { -rate } else { rate };
    // Once it has caught up it stays with the aim, or falls behind one that is faster.
    let catching_up = if gap == 0.0 { 0.0 } else { gap / (towards - slope) };
    if (0.0..seconds).contains(&catching_up) {
        begin + slope * catching_up + slope.clamp(-rate, rate) * (seconds - catching_up)
    } else {
        value + towards * seconds
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment::START + Duration::from_secs_f64(seconds)
    }

    /// A prior that was fed with one value every ten seconds until `until`.
    fn fed(value: f64, until: u32) -> Prior {
        let mut prior = Prior::new(Duration::from_secs(10));
        (0..=until / 10).for_each(|poll| prior.record(at(f64::from(poll) * 10.0), Sample::Value(value)));
        prior
    }

    #[test]
    fn it_begins_late_and_slowly_follows_and_fades() {
        let prior = fed(2.0, 120);
        let rate = 1.1_f64;
        // From 10 s on at a quarter of the rate, from 30 s on at all of it; at 120 s the last sample.
        for (seconds, wanted, state) in [(0.0, 1.0, PriorState::Blackout), (9.9, 1.0, PriorState::Blackout)] {
            let early = fed(2.0, 0);
            assert_eq!((early.at(at(seconds)), early.view(at(seconds)).state), (wanted, state), "{seconds}");
        }
        for (fed_until, seconds, wanted) in
            [(10, 14.0, rate), (20, 30.0, rate.powi(5)), (30, 32.0, rate.powi(7)), (30, 40.0, 2.0), (120, 125.0, 2.0)]
        {
            let got = fed(2.0, fed_until).at(at(seconds));
            assert!((got - wanted).abs() < 1e-9, "{seconds}: {got} instead of {wanted}");
        }
        for (seconds, wanted, state) in [
            (130.0, 2.0, PriorState::Fresh),
            (140.0, 2.0_f64.sqrt(), PriorState::Stale),
            (149.9, 2.0_f64.powf(0.005), PriorState::Stale),
            (150.0, 1.0, PriorState::Absent),
            (9e9, 1.0, PriorState::Absent),
        ] {
            let view = prior.view(at(seconds));
            assert!((view.value - wanted).abs() < 1e-9 && view.state == state, "{seconds}: {view:?}");
        }
        assert_eq!(
            serde_json::to_string(&prior.view(at(125.0))).unwrap(),
            r#"{"value":2.0,"state":"fresh","age_s":5.0,"refused":0,"failures":0}"#
        );
    }

    #[test]
    fn what_is_no_good_is_counted_and_changes_nothing() {
        let mut prior = fed(0.5, 60);
        let before = prior.at(at(65.0));
        let no_good = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -1e-300, 1e7, f64::MAX];
        for value in no_good {
            prior.record(at(65.0), Sample::Value(value));
        }
        prior.record(at(65.0), Sample::Failure);
        let view = prior.view(at(65.0));
        assert_eq!((view.value, view.refused, view.failures), (before, no_good.len() as u64, 1));
        assert_eq!(view.age, Some(Duration::from_secs(5)), "it ages");
        for (value, bound) in [(0.0, 0.5), (1e6, 2.0), (1e-300, 0.5)] {
            assert!((fed(value, 600).at(at(605.0)) - bound).abs() < 1e-12);
        }
    }

    #[test]
    fn a_source_that_comes_back_begins_anew() {
        let mut prior = fed(2.0, 120);
        prior.record(at(500.0), Sample::Value(0.5));
        assert_eq!(prior.view(at(505.0)).state, PriorState::Blackout);
        assert_eq!(prior.at(at(509.0)), 1.0);
        prior.record(at(510.0), Sample::Value(0.5));
        assert!(prior.at(at(514.0)) < 0.95);
    }

    /// One step of a source: seconds to wait, then what it brings.
    fn course() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let value = prop_oneof![4 => 0.0..4.0_f64, 1 => any::<f64>(), 1 => Just(f64::NAN)];
        let wait = prop_oneof![4 => 0.0..20.0_f64, 1 => 0.0..500.0_f64, 1 => Just(0.0)];
        proptest::collection::vec((wait, value), 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_keeps_its_bounds_and_its_rate(course in course(), interval in 0.0..60.0_f64) {
            let mut prior = Prior::new(Duration::from_secs_f64(interval));
            let (mut seconds, mut before) = (0.0, 1.0);
            for (wait, value) in course {
                // Looked at in small steps, before and after each sample.
                for step in 1..=20 {
                    let now = prior.at(at(seconds + wait * f64::from(step) / 20.0));
                    prop_assert!((0.5..=2.0).contains(&now), "{now}");
                    let most = (Prior::RATE.ln_1p() * wait / 20.0).exp() * (1.0 + 1e-6) + 1e-6;
                    prop_assert!(now / before <= most && before / now <= most, "{before} {now}");
                    before = now;
                }
                seconds += wait;
                prior.record(at(seconds), Sample::Value(value));
                let now = prior.at(at(seconds));
                prop_assert!((now - before).abs() < 1e-6, "a sample alone moves nothing: {before} {now}");
            }
        }

        #[test]
        fn it_fades_to_1_and_never_grows_again(course in course(), interval in 1.0..60.0_f64) {
            let mut prior = Prior::new(Duration::from_secs_f64(interval));
            let mut seconds = 0.0;
            for (wait, value) in course {
                seconds += wait;
                prior.record(at(seconds), Sample::Value(value));
            }
            // It may still be on its way to the last sample for as long as that is fresh; ln 2 takes 8 s at most at the
            // full rate, 30 s in slow start.
            let mut before = f64::INFINITY;
            for step in 0..200 {
                let far = prior.at(at(seconds + 40.0 + interval + f64::from(step))).ln().abs();
                prop_assert!(far <= before + 1e-9, "{before} {far}");
                before = far;
            }
            prop_assert_eq!(prior.at(at(seconds + 3.0 * interval + 40.0)), 1.0);
        }
    }
}
