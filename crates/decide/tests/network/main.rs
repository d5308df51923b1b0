//! The contract of `/network/context`, line by line: bodies and their refusals, matches, the state machine against a table
//! of transitions that was written apart from it, answers, and the context that is kept.

mod answers;
mod context;
mod corpus;
mod explain;
mod matches;
mod snapshot;
mod table;
mod transitions;

use tradewind_decide::network::Context;
use tradewind_policy::Problems;
use tradewind_policy::ways::{Network, decode_networks};

/// A body that is taken.
fn context(body: &str) -> Context {
    Context::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

/// The networks of a document without mistakes.
fn networks(yaml: &str) -> Vec<Network> {
    let mut problems = Problems::new();
    let root = tradewind_policy::parse_yaml(&format!("networks:\n{yaml}"), &mut problems).expect("is YAML");
    let networks = decode_networks(root.get("networks"), &mut problems).expect("has the section");
    assert!(problems.is_empty(), "{yaml}: {}", problems.render("t", yaml));
    networks
}
