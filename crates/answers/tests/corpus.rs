//! The seeds of the fuzz target for requests whose answers may be kept, through the same check: what the fuzzer was given
//! once is tried by every test run.

#[path = "../../../fuzz/checks/kept.rs"]
mod kept;

#[test]
fn requests_hold_the_rules() {
    let folder = format!("{}/../../fuzz/corpus/kept_request", env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for seed in std::fs::read_dir(&folder).expect("the folder of seeds is there") {
        let bytes = std::fs::read(seed.expect("a seed has a name").path()).expect("a seed can be read");
        for length in 0..=bytes.len() {
            kept::request(&bytes[..length]);
        }
        seeds += 1;
    }
    assert!(seeds >= 10, "only {seeds} seeds in {folder}");
}
