//! The counters of one key, or of one entry of `models`: what was called, used and spent. They belong to its name,
//! whatever its limits are.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tradewind_core::{Moment, UnixMillis, Usd};
use tradewind_policy::Period;

use crate::limit::OverLimit;
use crate::period::{day_of, days_of, start_of};
use crate::spending::{Spending, Sum};
use crate::window::Window;

/// The most tokens that one call counts for.
const MOST_TOKENS: u64 = 1 << 40;

/// The counters of one name. The lock is its own, and held for less than a microsecond. Who holds the lock of a key may
/// wait for that of a model, and never the other way round.
#[derive(Debug, Default)]
pub(crate) struct Account(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// There once the key had a limit.
    requests: Option<Window>,
    tokens: Option<Window>,
    spending: Spending,
}

/// A budget, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit<'a> {
    pub(crate) budget: Usd,
    pub(crate) per: Period,
    /// The entry of `models`; `None` for a key.
    pub(crate) model: Option<&'a Arc<str>>,
}

/// What a reservation wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) tokens: u64,
    pub(crate) cost: Usd,
    pub(crate) now: Moment,
    pub(crate) wall: UnixMillis,
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

impl Counters {
    /// Whether `cost` fits below the budget.
    fn check(&self, limit: &Limit<'_>, cost: Usd, wall: UnixMillis) -> Result<(), OverLimit> {
        let Limit { budget, per, model } = *limit;
        let days = days_of(per, day_of(wall));
        let Sum { spent, reserved } = self.spending.sum(days.as_ref());
        if spent.saturating_add(reserved).saturating_add(cost.pico()) <= budget.pico() {
            return Ok(());
        }
        let next = days.map(|days| start_of(days.end));
        Err(OverLimit::Budget {
            model: model.cloned(),
            budget,
            spent: Usd::from_pico(spent),
            reserved: Usd::from_pico(reserved),
            wanted: cost,
            per,
            resets_in: next.map(|next| Duration::from_millis(next.0.saturating_sub(wall.0))),
        })
    }

    fn take(&mut self, taken: Taken) -> Taken {
        self.spending.reserve(taken.day, taken.cost);
        taken
    }
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

    /// Takes what is `wanted` from the account of a key, within its tokens a minute and its budget, and from that of a
    /// model: from each that is given, or nothing from any. Both are held while it is looked at, so that a burst neither
    /// goes over a budget nor is refused for what another call was about to be refused itself.
    pub(crate) fn reserve(
        key: Option<(&Self, Option<u64>, Option<Limit<'_>>)>,
        model: Option<(&Self, Limit<'_>)>,
        wanted: Wanted,
    ) -> Result<(Option<Taken>, Option<Taken>), OverLimit> {
        let Wanted { cost, now, wall, .. } = wanted;
        let tokens = wanted.tokens.min(MOST_TOKENS);
        let mut key = key.map(|(account, limit, budget)| (account.0.lock(), limit, budget));
        let mut model = model.map(|(account, budget)| (account.0.lock(), budget));
        if let Some((counters, _, Some(budget))) = &key {
            counters.check(budget, cost, wall)?;
        }
        if let Some((counters, budget)) = &model {
            counters.check(budget, cost, wall)?;
        }
        // Last, since it is the one that takes something as it looks.
        let slot = match &mut key {
            Some((counters, Some(limit), _)) => {
                let taken = counters.tokens.get_or_insert_default().take(tokens, *limit, now);
                let limit = *limit;
                Some(taken.map_err(|retry_after| OverLimit::Tokens { limit, wanted: tokens, retry_after })?)
            }
            _ => None,
        };
        let taken = Taken { tokens, slot, cost: cost.pico(), day: day_of(wall) };
        let of_key = key.as_mut().map(|(counters, ..)| counters.take(taken));
        let of_model = model.as_mut().map(|(counters, _)| counters.take(Taken { slot: None, ..taken }));
        Ok((of_key, of_model))
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
