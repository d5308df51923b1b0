//! The seeds of the fuzz targets for changes, tokens and seals, through the same checks: what the fuzzer was given once is
//! tried by every test run.

#[path = "../../../fuzz/checks/changes.rs"]
mod changes;
#[path = "../../../fuzz/seeds.rs"]
mod seeds;

#[test]
fn changes_hold_the_rules() {
    seeds::replay("state_change", 10, usize::MAX, changes::change);
}

#[test]
fn tokens_hold_the_rules() {
    seeds::replay("state_token", 5, usize::MAX, changes::token);
}

#[test]
fn seals_hold_the_rules() {
    seeds::replay("state_sealed", 5, usize::MAX, changes::sealed);
}
