//! Budgets of entries of `models`: what all calls of one entry together may cost, whoever calls.
//!
//! Counted and settled in one step with the budget of the caller's key ([`Grant::reserve`](crate::Grant::reserve)). Like
//! those of keys, counters belong to a name and outlive every reload; what was spent before the process began comes from
//! the spend book, by the model that calls resolved to. Only entries with a budget are counted: of the others the book
//! knows as much, and no call should wait for a lock that all callers of a model share.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tradewind_core::{UnixMillis, Usd};
use tradewind_policy::{Budget, Period, Timestamp};

use crate::account::{Account, Limit};

/// The names that counters are kept for, those of entries that are gone included.
const MOST_ACCOUNTS: usize = 4096;

/// The counters of all entries that have, or had, a budget.
#[derive(Debug, Default)]
pub struct ModelBudgets(Mutex<HashMap<Arc<str>, Arc<Account>>>);

/// The budget of one entry, as a snapshot keeps it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ModelBudget {
    name: Arc<str>,
    budget: Usd,
    per: Period,
    account: Arc<Account>,
}

/// What came of a budget so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelBudgetStatus {
    /// The entry.
    pub model: Arc<str>,
    /// Its budget.
    pub budget: Usd,
    /// For how long.
    pub per: Period,
    /// What was spent in this period.
    pub spent: Usd,
    /// What calls under way may still cost.
    pub reserved: Usd,
    /// When the next period begins; `None` for a budget that never begins anew.
    pub resets: Option<Timestamp>,
}

impl ModelBudgets {
    /// The budget of the entry `name`, with the counters that belong to this name. When there are too many names, those
    /// that nobody holds are forgotten.
    #[must_use]
    pub fn of(&self, name: &str, budget: Budget) -> ModelBudget {
        let mut accounts = self.0.lock();
        if accounts.len() >= MOST_ACCOUNTS && !accounts.contains_key(name) {
            accounts.retain(|_, account| Arc::strong_count(account) > 1);
        }
        let account = accounts.entry(name.into()).or_default().clone();
        ModelBudget { name: name.into(), budget: budget.amount(), per: budget.per, account }
    }

    /// Learns what calls of the entry `name` cost on a UTC day, in days since 1970, before they were counted here. Said
    /// twice it counts once, and what was counted since does not get lost: say it at the start, and for an entry that
    /// gets its budget later at that time. The days of one entry have to come in their order.
    ///
    /// Entries that are not there (yet) are remembered too, as long as there is room: those that are most likely to come
    /// back should come first.
    pub fn restore(&self, name: &str, day: u32, spent: Usd) {
        let mut accounts = self.0.lock();
        if accounts.contains_key(name) || accounts.len() < MOST_ACCOUNTS {
            accounts.entry(name.into()).or_default().restore(day, spent);
        }
    }
}

impl ModelBudget {
    /// The entry that it is about.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    pub(crate) const fn limit(&self) -> Limit<'_> {
        Limit { budget: self.budget, per: self.per, model: Some(&self.name) }
    }

    /// What came of it so far.
    #[must_use]
    pub fn status(&self, wall: UnixMillis) -> ModelBudgetStatus {
        let (sum, resets) = self.account.spent(self.per, wall);
        ModelBudgetStatus {
            model: self.name.clone(),
            budget: self.budget,
            per: self.per,
            spent: Usd::from_pico(sum.spent),
            reserved: Usd::from_pico(sum.reserved),
            resets: resets.map(Timestamp),
        }
    }
}
