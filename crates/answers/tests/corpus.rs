//! The seeds of the fuzz target for requests whose answers may be kept, through the same check: what the fuzzer was given
//! once is tried by every test run.

#[path = "../../../fuzz/checks/kept.rs"]
mod kept;
#[path = "../../../fuzz/seeds.rs"]
mod seeds;

#[test]
fn requests_hold_the_rules() {
    seeds::replay("kept_request", 10, usize::MAX, kept::request);
}
