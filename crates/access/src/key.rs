//! One key: its terms, ready for use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tradewind_core::{Labels, UnixMillis, Usd};
use tradewind_policy::{KeyHash, KeyTerms, Period, Unpriced};

use crate::account::Account;
use crate::allow::Allow;
use crate::context::labels_of;
use crate::status::Source;

/// One key of the present table. Immutable but for what it shares: whether it was revoked, and its counters.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: Arc<str>,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) role: Option<Arc<str>>,
    /// What it says of its callers; none when it says nothing.
    pub(crate) labels: Option<Arc<Labels>>,
    pub(crate) hash: KeyHash,
    pub(crate) source: Source,
    pub(crate) allow: Allow,
    pub(crate) budget: Option<(Usd, Period)>,
    /// As they were written, for showing.
    pub(crate) terms: KeyTerms,
    /// Shared with the earlier versions of the same key, which streams that run still hold.
    pub(crate) life: Arc<Life>,
    pub(crate) account: Arc<Account>,
}

/// Whether a key was revoked.
#[derive(Debug, Default)]
pub(crate) struct Life(AtomicBool);

impl Life {
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A key as it comes in, from the document or from the file of created keys.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) hash: KeyHash,
    pub(crate) terms: KeyTerms,
    pub(crate) source: Source,
    pub(crate) revoked: bool,
}

impl Key {
    pub(crate) fn new(entry: &Entry, life: Arc<Life>, account: Arc<Account>) -> Self {
        let terms = &entry.terms;
        Self {
            name: entry.name.as_str().into(),
            tenant: terms.tenant.as_deref().map(Into::into),
            role: terms.role.as_deref().map(Into::into),
            labels: labels_of(terms),
            hash: entry.hash,
            source: entry.source,
            allow: Allow::new(terms.allow.as_deref()),
            budget: terms.budget.map(|budget| (budget.amount(), budget.per)),
            terms: terms.clone(),
            life,
            account,
        }
    }

    pub(crate) fn is_expired(&self, wall: UnixMillis) -> bool {
        self.terms.expires.is_some_and(|expires| wall >= expires.0)
    }

    pub(crate) fn needs_price(&self) -> bool {
        self.budget.is_some() && self.terms.unpriced == Unpriced::Refuse
    }
}
