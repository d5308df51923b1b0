//! The seeds of the fuzz targets, through the same checks: what the fuzzer was given once is tried by every test run.

#[path = "../../../../fuzz/checks/ledger.rs"]
mod ledger;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for seed in std::fs::read_dir(&folder).expect("the folder of seeds is there") {
        let bytes = std::fs::read(seed.expect("a seed has a name").path()).expect("a seed can be read");
        for length in 0..=bytes.len() {
            check(&bytes[..length]);
        }
        seeds += 1;
    }
    assert!(seeds >= 5, "only {seeds} seeds in {folder}");
}

#[test]
fn notes_hold_the_rules() {
    replay("ledger_note", ledger::note);
}

#[test]
fn records_hold_the_rules() {
    replay("ledger_record", ledger::record);
}

#[test]
fn tiles_hold_the_rules() {
    replay("ledger_tile", ledger::tile);
}
