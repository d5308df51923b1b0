//! The server and the checks before any door, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod context;
mod keys;
mod refusals;
mod support;
mod tls;
