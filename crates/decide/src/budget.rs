//! The retry budget: how many attempts beyond the first the gateway may add, so that it does not turn a provider's bad
//! minute into a storm.

use std::time::Duration;

use tradewind_core::Moment;

use crate::latency::decayed;

/// How long an unused deposit lasts: a quiet hour does not pay for a storm.
const DEPOSIT_LIFE: Duration = Duration::from_secs(10);

/// Tokens for attempts beyond the first: fallbacks, retries and hedges.
///
/// Each call deposits a share of a token (at most 0.2), which fades with a time constant of ten seconds. Beside that
/// there is a reserve of ten tokens, refilled by one a second, so that a quiet gateway can fall back at all.
///
/// Bound: in any stretch of `t` seconds, extra attempts ≤ share × (calls in it and just before it) + reserve + `t` × 1.
/// For a steady flow of calls that is 20 % of them plus one a second.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    share: f64,
    earned: f64,
    reserve: f64,
    at: Moment,
}

impl RetryBudget {
    /// The largest share of a token that a call deposits, and the default.
    pub const SHARE: f64 = 0.2;
    /// What a full reserve holds.
    pub const RESERVE: f64 = 10.0;
    /// Tokens a second that refill the reserve.
    pub const REFILL: f64 = 1.0;

    /// A budget with a full reserve; `share` is clamped to 0..=0.2.
    #[must_use]
    pub fn new(now: Moment, share: f64) -> Self {
        let share = if share.is_nan() { Self::SHARE } else { share.clamp(0.0, Self::SHARE) };
        Self { share, earned: 0.0, reserve: Self::RESERVE, at: now }
    }

    /// Counts a call.
    pub fn deposit(&mut self, now: Moment) {
        self.pass_time(now);
        self.earned += self.share;
    }

    /// Takes a token for one more attempt; false when there is none.
    pub fn withdraw(&mut self, now: Moment) -> bool {
        self.pass_time(now);
        let source = if self.earned >= 1.0 { &mut self.earned } else { &mut self.reserve };
        if *source < 1.0 {
            return false;
        }
        *source -= 1.0;
        true
    }

    /// Tokens left.
    #[must_use]
    pub fn balance(&self) -> f64 {
        self.earned + self.reserve
    }

    fn pass_time(&mut self, now: Moment) {
        let elapsed = now.since(self.at);
        self.earned *= decayed(elapsed, DEPOSIT_LIFE);
        self.reserve = (self.reserve + Self::REFILL * elapsed.as_secs_f64()).min(Self::RESERVE);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_gateway_can_fall_back_ten_times() {
        let mut budget = RetryBudget::new(Moment::START, RetryBudget::SHARE);
        let granted = (0..100).filter(|_| budget.withdraw(Moment::START)).count();
        assert_eq!(granted, 10);
        assert!(!budget.withdraw(Moment::from_micros(999_999)));
        assert!(budget.withdraw(Moment::from_micros(1_000_000)));
    }

    #[test]
    fn a_storm_is_held_to_a_fifth() {
        let mut budget = RetryBudget::new(Moment::START, 1.0);
        // 100 calls a second for a minute, each of which would retry ten times.
        let mut extra = 0;
        for call in 0..6000_u64 {
            let now = Moment::from_micros(call * 10_000);
            budget.deposit(now);
            extra += (0..10).filter(|_| budget.withdraw(now)).count();
        }
        assert!((1200..=1200 + 10 + 60).contains(&extra), "{extra}");
    }

    #[test]
    fn a_quiet_hour_does_not_pay_for_a_storm() {
        let mut budget = RetryBudget::new(Moment::START, 0.2);
        for call in 0..100_000_u64 {
            budget.deposit(Moment::from_micros(call * 10_000));
        }
        let later = Moment::from_micros(100_000 * 10_000);
        let granted = (0..100_000).filter(|_| budget.withdraw(later)).count();
        assert!(granted <= 200 + 10, "{granted}");
    }
}
