//! What is shown of a key: everything but its secret.

use std::sync::Arc;

use serde::Serialize;
use tradewind_core::{Device, UnixMillis, Usd};
use tradewind_policy::{Budget, Period, Timestamp, Unpriced};

use crate::key::Key;

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The configuration.
    Document,
    /// `tradewind key create`.
    Created,
}

/// A key as it may be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Where it comes from.
    pub source: Source,
    /// Its tenant.
    pub tenant: Option<Arc<str>>,
    /// Its role.
    pub role: Option<Arc<str>>,
    /// Where it calls from.
    pub region: Option<String>,
    /// What kind of program calls with it.
    pub device: Option<Device>,
    /// Whatever else rules may ask for.
    pub tags: Vec<String>,
    /// What it may use; without it everything but control.
    pub allow: Option<Vec<String>>,
    /// Its budget.
    pub budget: Option<Budget>,
    /// Whether targets without a price may answer although there is a budget.
    pub unpriced: Unpriced,
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether its time is over.
    pub expired: bool,
    /// The period that `spent` is about: that of the budget, or the month.
    pub per: Period,
    /// What was spent in this period.
    pub spent: Usd,
    /// What calls under way may still cost.
    pub reserved: Usd,
    /// When the next period begins.
    pub resets: Option<Timestamp>,
}

impl KeyStatus {
    pub(crate) fn of(key: &Key, wall: UnixMillis) -> Self {
        let per = key.budget.map_or(Period::Month, |(_, per)| per);
        let (sum, resets) = key.account.spent(per, wall);
        let terms = &key.terms;
        Self {
            name: key.name.clone(),
            source: key.source,
            tenant: key.tenant.clone(),
            role: key.role.clone(),
            region: terms.region.clone(),
            device: terms.device,
            tags: terms.tags.clone(),
            allow: terms.allow.clone(),
            budget: terms.budget,
            unpriced: terms.unpriced,
            rpm: terms.rpm,
            tpm: terms.tpm,
            expires: terms.expires,
            revoked: key.life.is_over(),
            expired: key.is_expired(wall),
            per,
            spent: Usd::from_pico(sum.spent),
            reserved: Usd::from_pico(sum.reserved),
            resets: resets.map(Timestamp),
        }
    }
}
