//! The seeds of the fuzz target for schemas, through the same check: what the fuzzer was given once is tried by every test
//! run.

#[path = "../../../../fuzz/checks/quality.rs"]
mod quality;
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;

#[test]
fn schemas_hold_the_rules() {
    seeds::replay("quality_schema", 10, 1, quality::schema);
}
