//! Keys, rates and budgets, as a door uses them.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod budgets;
mod context;
mod keys;
mod models;
mod rates;
mod simulation;
mod stored;
mod support;
mod threads;
