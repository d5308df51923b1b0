//! Tests of the ledger: against a log of its own, against real data of others, and against bytes that nobody chose.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod chain;
mod corpus;
mod log;
mod notes;
mod paths;
mod proofs;
mod real;
mod records;
mod trees;

/// A log of `size` records, each with its number and `what` in it.
fn log_of(size: u64, what: &str) -> log::Log {
    let mut log = log::Log::default();
    for number in 0..size {
        log.add(&format!("{what} {number}\n"));
    }
    log
}
