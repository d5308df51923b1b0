//! The tests of this crate from outside, in one program: linking SQLite once is enough.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod journal;
mod kill;
mod record_json;
mod sinks;
mod spans;
mod spend;
mod support;
