//! The seeds of the fuzz target, through the same checks: what the fuzzer was given once is tried by every test run.

#[path = "../../../../fuzz/checks/dialects.rs"]
pub(crate) mod dialects;
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;

/// Runs the check on each seed, and on each seed cut off at every eighth of its length.
#[test]
fn requests_hold_the_rules() {
    seeds::replay("translate_request", 5, 8, dialects::request);
}
