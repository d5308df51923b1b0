//! The decision core: which targets may answer a call, in which order, and why.
//!
//! Everything here is pure. Time is a [`Moment`](tradewind_core::Moment) that is handed in, randomness a
//! `fastrand::Rng` that is handed in, and what is known about a target a value that is handed in; nothing waits, reads
//! a clock, or prints. [`decide`] is on the way of every call, so names are reference-counted, reasons are data that is
//! only written out when somebody reads them, and up to four candidates need no allocation.
//!
//! What is here: [`decide`] with its [`Group`]s and [`Decision`]; [`Health`], the breaker, latency and error state of one
//! target; [`outliers`] of a group; [`KeyRing`], a provider's keys; [`RetryBudget`]; and reading of `Retry-After`.

mod breaker;
mod budget;
mod decide;
mod decision;
mod errors;
mod group;
mod health;
mod histogram;
mod keys;
mod latency;
mod outliers;
mod retry_after;
mod settings;
mod strategy;

pub use breaker::BreakerView;
pub use budget::RetryBudget;
pub use decide::{decide, decide_with};
pub use decision::{Candidate, Decision, Facts, Parts, Reason};
pub use group::{Group, GroupError, Member, MemberKind, Strategy};
pub use health::{Admission, Health, HealthView, Observation};
pub use keys::{KeyRing, KeysView};
pub use outliers::outliers;
pub use retry_after::{RETRY_AFTER_CAP, backoff, retry_after};
pub use settings::HealthSettings;
