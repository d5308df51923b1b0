//! The terms on which a model's calls are driven: time limits, hedging, retries, sizes.

use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::Moment;
use tradewind_decide::RetryBudget;

/// The time limits of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS of a new connection, for each attempt.
    pub connect: Duration,
    /// From connecting to the head of the response, for each attempt; not limited when `None`.
    pub headers: Option<Duration>,
    /// From the start of an attempt to its first event, waiting for a permit and connecting included; streams only.
    pub first_token: Duration,
    /// Between two chunks; streams only.
    pub idle: Duration,
    /// The whole call, all attempts included.
    pub total: Duration,
}

/// When a second attempt is started beside a slow first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// After a fixed time.
    Fixed(Duration),
    /// After the target's own 95th percentile of time to first byte; not before enough calls are known.
    P95,
}

/// Hedging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// When.
    pub after: HedgeAfter,
    /// Extra attempts for one call at most.
    pub at_most: u32,
}

/// What may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts of one call at most, the first and the hedges included.
    pub attempts: u32,
    /// The longest wait that a target may ask for with `Retry-After` before it is tried again within the same call.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 4, longest_wait: Duration::from_secs(20) }
    }
}

/// Sizes that an answer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// A whole answer, decoded, in bytes.
    pub answer: usize,
    /// One event of a stream, in bytes.
    pub event: usize,
}

/// The terms of one model. One value for all its calls; the budget is the only part that changes.
#[derive(Debug)]
pub struct Terms {
    /// Time limits.
    pub timeouts: Timeouts,
    /// Hedging, if wanted.
    pub hedge: Option<Hedge>,
    /// Retries.
    pub retry: Retry,
    /// Sizes.
    pub limits: AnswerLimits,
    /// What all calls of this model may spend on extra attempts.
    pub budget: Mutex<RetryBudget>,
}

impl Terms {
    /// Whether one more attempt may be made; takes it from the budget.
    pub(crate) fn may_try_again(&self, now: Moment) -> bool {
        self.budget.lock().withdraw(now)
    }
}
