//! What the tests of a running gateway share: a gateway with simulated providers, a raw client, a judge of answers.

mod bench;
mod client;
mod judge;

pub(crate) use bench::{Bench, BenchOptions, HASTY, LIMITS, SOON, TIMES, eventually};
pub(crate) use client::{Answer, End, find, get, now, path, post, question, read_to_end, read_until, send};
pub(crate) use judge::{Terminal, error_code, terminal};
