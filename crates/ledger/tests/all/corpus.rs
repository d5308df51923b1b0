//! The seeds of the fuzz targets, through the same checks: what the fuzzer was given once is tried by every test run.

#[path = "../../../../fuzz/checks/ledger.rs"]
mod ledger;
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;

#[test]
fn notes_hold_the_rules() {
    seeds::replay("ledger_note", 5, usize::MAX, ledger::note);
}

#[test]
fn records_hold_the_rules() {
    seeds::replay("ledger_record", 5, usize::MAX, ledger::record);
}

#[test]
fn tiles_hold_the_rules() {
    seeds::replay("ledger_tile", 5, usize::MAX, ledger::tile);
}
