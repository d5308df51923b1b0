//! The counters of one key: what was called, used and spent. They belong to its name, whatever its limits are.

use parking_lot::Mutex;
use tradewind_core::{Moment, UnixMillis, Usd};
use tradewind_policy::Period;

use crate::limit::OverLimit;
use crate::period::{day_of, days_of, start_of};
use crate::spending::{Spending, Sum};
use crate::window::Window;

/// The most tokens that one call counts for.
const MOST_TOKENS: u64 = 1 << 40;

/// The counters of one key. The lock is its own, and held for less than a microsecond.
#[derive(Debug, Default)]
pub(crate) struct Account(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// There once the key had a limit.
    requests: Option<Window>,
    tokens: Option<Window>,
    spending: Spending,
}

/// What was taken, for giving it back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) tokens: u64,
    /// From which slot of the window, if there was a limit.
    slot: Option<u64>,
    pub(crate) cost: u64,
    pub(crate) day: u32,
}

impl Account {
    pub(crate) fn count_request(&self, limit: u64, now: Moment) -> Result<(), OverLimit> {
        let mut counters = self.0.lock();
        let requests = counters.requests.get_or_insert_default();
        match requests.take(1, limit, now) {
            Ok(_) => Ok(()),
            Err(retry_after) => Err(OverLimit::Requests { limit, retry_after: retry_after.unwrap_or_default() }),
        }
    }

    pub(crate) fn reserve(
        &self,
        (tokens, token_limit): (u64, Option<u64>),
        (cost, budget): (Usd, Option<(Usd, Period)>),
        now: Moment,
        wall: UnixMillis,
    ) -> Result<Taken, OverLimit> {
        let day = day_of(wall);
        let tokens = tokens.min(MOST_TOKENS);
        let mut counters = self.0.lock();
        if let Some((budget, per)) = budget {
            let days = days_of(per, day);
            let Sum { spent, reserved } = counters.spending.sum(days.as_ref());
            if spent.saturating_add(reserved).saturating_add(cost.pico()) > budget.pico() {
                let next = days.map(|days| start_of(days.end));
                return Err(OverLimit::Budget {
                    budget,
                    spent: Usd::from_pico(spent),
                    reserved: Usd::from_pico(reserved),
                    wanted: cost,
                    per,
                    resets_in: next.map(|next| std::time::Duration::from_millis(next.0.saturating_sub(wall.0))),
                });
            }
        }
        let slot = match token_limit {
            None => None,
            Some(limit) => {
                let window = counters.tokens.get_or_insert_default();
                let taken = window.take(tokens, limit, now);
                Some(taken.map_err(|retry_after| OverLimit::Tokens { limit, wanted: tokens, retry_after })?)
            }
        };
        counters.spending.reserve(day, cost.pico());
        Ok(Taken { tokens, slot, cost: cost.pico(), day })
    }

    /// Ends a reservation with what was really used. Tokens below the reservation are given back to the moment that
    /// they were taken from; those above count from now on.
    pub(crate) fn settle(&self, taken: Taken, tokens: u64, cost: Usd, now: Moment) {
        let mut counters = self.0.lock();
        if let (Some(slot), Some(window)) = (taken.slot, &mut counters.tokens) {
            let tokens = tokens.min(MOST_TOKENS);
            match tokens.checked_sub(taken.tokens) {
                Some(0) => {}
                Some(more) => window.add(more, now),
                None => window.give_back(slot, taken.tokens - tokens),
            }
        }
        counters.spending.settle(taken.day, taken.cost, cost.pico());
    }

    /// Ends a reservation of which nothing was used.
    pub(crate) fn give_back(&self, taken: Taken) {
        let mut counters = self.0.lock();
        if let (Some(slot), Some(window)) = (taken.slot, &mut counters.tokens) {
            window.give_back(slot, taken.tokens);
        }
        counters.spending.settle(taken.day, taken.cost, 0);
    }

    pub(crate) fn restore(&self, day: u32, spent: Usd) {
        self.0.lock().spending.restore(day, spent);
    }

    /// What was spent and is reserved in the period around `wall`, and when the next one begins.
    pub(crate) fn spent(&self, per: Period, wall: UnixMillis) -> (Sum, Option<UnixMillis>) {
        let days = days_of(per, day_of(wall));
        let sum = self.0.lock().spending.sum(days.as_ref());
        (sum, days.map(|days| start_of(days.end)))
    }
}
