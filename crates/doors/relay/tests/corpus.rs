//! The seeds of the fuzz target for what callers say, through the same check: what the fuzzer was given once is tried by every
//! test run.

#[path = "../../../../fuzz/checks/relay.rs"]
mod relay;
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;

#[test]
fn greetings_hold_the_rules() {
    seeds::replay("relay_greeting", 17, usize::MAX, relay::greeting);
}
