//! Who calls: what a door asks before it serves a call, and what the call has taken of the key's limits.

use std::sync::Arc;

use tradewind_core::{Context, Moment, UnixMillis, Usd};

use crate::account::{Account, Limit, Taken, Wanted};
use crate::context::OfKey;
use crate::key::Key;
use crate::limit::OverLimit;
use crate::model::ModelBudget;

/// Who calls. Cheap to clone; it keeps the terms that were in force when the call came in.
#[derive(Clone, Debug)]
pub struct Grant {
    who: Who,
    context: Context,
}

#[derive(Clone, Debug)]
enum Who {
    Anyone,
    Nobody,
    Holder(Arc<Key>),
}

impl Grant {
    const fn new(who: Who) -> Self {
        Self { who, context: Context::new(None, None) }
    }

    /// A caller on this machine, where there are no keys: everything is allowed and nothing counted.
    #[must_use]
    pub const fn anyone() -> Self {
        Self::new(Who::Anyone)
    }

    /// A caller without a key where one is needed: nothing is allowed. Who only asks whether the gateway lives.
    #[must_use]
    pub const fn nobody() -> Self {
        Self::new(Who::Nobody)
    }

    pub(crate) const fn of(key: Arc<Key>) -> Self {
        Self::new(Who::Holder(key))
    }

    const fn key(&self) -> Option<&Arc<Key>> {
        match &self.who {
            Who::Holder(key) => Some(key),
            Who::Anyone | Who::Nobody => None,
        }
    }

    /// Whether this is a caller where nobody needs a key.
    #[must_use]
    pub const fn is_anyone(&self) -> bool {
        matches!(self.who, Who::Anyone)
    }

    /// Whether this is a caller without a key where one is needed.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        matches!(self.who, Who::Nobody)
    }

    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        self.key().map(|key| &key.name)
    }

    /// The tenant of the key.
    #[must_use]
    pub fn tenant(&self) -> Option<&Arc<str>> {
        self.key().and_then(|key| key.tenant.as_ref())
    }

    /// The role of the key.
    #[must_use]
    pub fn role(&self) -> Option<&Arc<str>> {
        self.key().and_then(|key| key.role.as_ref())
    }

    /// The same caller, who comes from there ([`Access::context`](crate::Access::context)).
    #[must_use]
    pub fn with_context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Where the call comes from, as far as that is known. A grant that has passed no door knows nothing.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// What the key says of its callers.
    pub(crate) fn said_by_key(&self) -> OfKey<'_> {
        self.key().map_or((None, None), |key| (key.labels.as_ref(), key.terms.device))
    }

    /// Whether the key may use `resource`, such as `models/openai/gpt-5` or `control/read`. The resource must be the
    /// very name that is served: it is compared byte by byte.
    #[must_use]
    pub fn allows(&self, resource: &str) -> bool {
        self.key().map_or_else(|| self.is_anyone(), |key| key.allow.allows(resource))
    }

    /// Whether the key was revoked since. One atomic load: a running stream asks at each chunk.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.key().is_some_and(|key| key.life.is_over())
    }

    /// Whether only targets with a price may answer: there is a budget, and no `unpriced: allow`.
    #[must_use]
    pub fn needs_price(&self) -> bool {
        self.key().is_some_and(|key| key.needs_price())
    }

    /// Whether the tokens of a call count for a limit, so that an estimate is needed before it begins.
    #[must_use]
    pub fn counts_tokens(&self) -> bool {
        self.key().is_some_and(|key| key.terms.tpm.is_some() || key.budget.is_some())
    }

    /// Whether the tokens of a minute are limited.
    #[must_use]
    pub fn has_token_rate(&self) -> bool {
        self.key().is_some_and(|key| key.terms.tpm.is_some())
    }

    /// Counts one request.
    ///
    /// # Errors
    /// When the requests of the minute are used up; then it is not counted.
    pub fn count_request(&self, now: Moment) -> Result<(), OverLimit> {
        match self.key() {
            Some(key) => key.terms.rpm.map_or(Ok(()), |limit| key.account.count_request(limit, now)),
            None => Ok(()),
        }
    }

    /// Reserves what a call may use at most: `tokens` of request and answer, and `cost`.
    ///
    /// # Errors
    /// When the tokens of the minute or the budget do not suffice; then nothing is reserved.
    pub fn reserve(&self, tokens: u64, cost: Usd, now: Moment, wall: UnixMillis) -> Result<Reservation, OverLimit> {
        self.reserve_at(None, tokens, cost, now, wall)
    }

    /// [`Self::reserve`] for a call of a model that may have a budget of its own: from what the key may use and from that
    /// budget, or from neither.
    ///
    /// # Errors
    /// When the tokens of the minute or one of the budgets do not suffice; then nothing is reserved.
    pub fn reserve_at(
        &self,
        model: Option<&ModelBudget>,
        tokens: u64,
        cost: Usd,
        now: Moment,
        wall: UnixMillis,
    ) -> Result<Reservation, OverLimit> {
        let key = self.key();
        if key.is_none() && model.is_none() {
            return Ok(Reservation::default());
        }
        let of_key = key.map(|key| {
            let budget = key.budget.map(|(budget, per)| Limit { budget, per, model: None });
            (&*key.account, key.terms.tpm, budget)
        });
        let of_model = model.map(|model| (&**model.account(), model.limit()));
        let (of_key, of_model) = Account::reserve(of_key, of_model, Wanted { tokens, cost, now, wall })?;
        let held = |account: Option<&Arc<Account>>, taken: Option<Taken>| {
            account.zip(taken).map(|(account, taken)| Held { account: account.clone(), taken })
        };
        Ok(Reservation {
            key: held(key.map(|key| &key.account), of_key),
            model: held(model.map(ModelBudget::account), of_model),
        })
    }
}

/// What a call has reserved. Dropped without being settled it gives everything back.
#[derive(Debug, Default)]
#[must_use = "a reservation that is dropped is given back"]
pub struct Reservation {
    key: Option<Held>,
    model: Option<Held>,
}

#[derive(Debug)]
struct Held {
    account: Arc<Account>,
    taken: Taken,
}

impl Reservation {
    /// Ends the reservation with what was really used, be it less or more.
    pub fn settle(mut self, tokens: u64, cost: Usd, now: Moment) {
        for held in [self.key.take(), self.model.take()].into_iter().flatten() {
            held.account.settle(held.taken, tokens, cost, now);
        }
    }

    /// The UTC day that the cost counts to, in days since 1970: the day on which it was reserved. `None` for a caller
    /// without a key at a model without a budget.
    #[must_use]
    pub fn day(&self) -> Option<u32> {
        self.key.as_ref().or(self.model.as_ref()).map(|held| held.taken.day)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        for held in [self.key.take(), self.model.take()].into_iter().flatten() {
            held.account.give_back(held.taken);
        }
    }
}
