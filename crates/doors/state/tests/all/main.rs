//! The door over a store in memory: each answer is one that the description of the API knows.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod allowed;
mod corpus;
mod described;
mod handoff;
mod revisions;
mod values;
mod watch;
mod world;
mod writes;
