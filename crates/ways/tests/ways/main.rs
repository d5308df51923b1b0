//! Ways out as a running gateway has them, with servers on the loopback interface: lists and what becomes of groups when they
//! change, choices and what keeps them, networks, and what goes on beside the calls.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails loudly, and has its own tasks and files"
)]

mod groups;
mod lists;
mod network;
mod support;
mod upkeep;
