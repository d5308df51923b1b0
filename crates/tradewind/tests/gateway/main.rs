//! The gateway as a whole, in this process, between a raw client and simulated providers: every fault of a provider, and
//! every bad input of a caller. One program, one file for each group of rows.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod bad_input;
mod between;
mod budget;
mod bypass;
mod cache;
mod context;
mod faults;
mod features;
mod held;
mod keys;
mod model_budget;
mod outside;
mod outward;
mod quality;
mod rates;
mod remembered;
mod remote_embedder;
mod scoring;
mod spend;
mod support;
mod targets;
mod tls;
