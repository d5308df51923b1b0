//! The doctor on machines that are made up: folders, files and environments, and never a network.

#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod findings;
mod graph;
mod machine;
mod suspects;
