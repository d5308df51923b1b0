//! One target as `dispatch` needs it.

use std::sync::Arc;

use tradewind_core::Price;
use tradewind_egress::Route;
use tradewind_runtime::{Keys, Target};

/// A target, the way to it, and the keys for it. The position in the model's list of lanes is the candidate's `leaf`.
#[derive(Clone)]
pub struct Lane {
    /// What is known about it right now.
    pub target: Arc<Target>,
    /// The way.
    pub route: Arc<Route>,
    /// The keys of its provider.
    pub keys: Arc<Keys>,
    /// Host and port of its provider.
    pub server: Arc<str>,
    /// The most tokens that it answers with, as far as is known.
    pub max_output: u64,
    /// What it charges.
    pub price: Option<Price>,
}
