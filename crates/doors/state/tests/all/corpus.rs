//! The seeds of the fuzz target, on every run of the tests: `fuzz/corpus/state_request`.

#[path = "../../../../../fuzz/seeds.rs"]
mod seeds;
#[path = "../../../../../fuzz/checks/state_door.rs"]
mod state_door;

#[test]
fn requests_hold_the_rules() {
    seeds::replay("state_request", 10, 40, state_door::requests);
}
