//! The decision core: which targets may answer a call, in which order, and why.
//!
//! Everything here is pure. Time is a [`Moment`](tradewind_core::Moment) that is handed in, randomness a
//! `fastrand::Rng` that is handed in, and what is known about a target a value that is handed in; nothing waits, reads
//! a clock, or prints. [`decide`] is on the way of every call, so names are reference-counted, reasons are data that is
//! only written out when somebody reads them, and up to four candidates need no allocation.
//!
//! What is here: [`decide`] with its [`Group`]s and [`Decision`], and [`decide_call`] for groups that judge by meaning, load
//! and cost ([`Scoring`]); [`Health`], the breaker, latency and error state of one target; [`Prior`] and [`Quota`], what
//! others say about it; [`outliers`] of a group; [`KeyRing`], a provider's keys; [`RetryBudget`]; reading of
//! `Retry-After`; [`network`], which says which network this is and what groups
//! make of it; and [`rules`], which say which way out a connection takes.

mod affinity;
mod breaker;
mod budget;
mod call;
mod decide;
mod decision;
mod errors;
mod group;
mod health;
mod histogram;
mod keys;
mod latency;
pub mod network;
mod outliers;
mod pick;
mod prior;
mod quota;
mod retry_after;
pub mod rules;
mod score;
mod scoring;
mod settings;
mod strategy;

pub use affinity::Affinity;
pub use breaker::BreakerView;
pub use budget::RetryBudget;
pub use call::{CallFacts, Fits};
pub use decide::{decide, decide_call, decide_with};
pub use decision::{Candidate, Decision, Facts, Parts, Reason};
pub use group::{Group, GroupError, Member, MemberKind, Strategy};
pub use health::{Admission, Health, HealthView, Observation};
pub use keys::{KeyRing, KeysView};
pub use outliers::outliers;
pub use prior::{Prior, PriorState, PriorView, Sample};
pub use quota::{Quota, QuotaView};
pub use retry_after::{RETRY_AFTER_CAP, backoff, retry_after};
pub use score::{ScoreFacts, ScoreParts};
pub use scoring::{Mode, Scoring, ScoringError, Weights};
pub use settings::HealthSettings;
