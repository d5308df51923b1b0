//! The seeds of the fuzz target for responses, through the same check: what the fuzzer was given once is tried by every test
//! run.

#[path = "../../../fuzz/checks/egress.rs"]
mod egress;

#[test]
fn responses_hold_the_rules() {
    let folder = format!("{}/../../fuzz/corpus/http_response", env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for seed in std::fs::read_dir(&folder).expect("the folder of seeds is there") {
        let bytes = std::fs::read(seed.expect("a seed has a name").path()).expect("a seed can be read");
        for length in 0..=bytes.len() {
            egress::response(&bytes[..length]);
        }
        seeds += 1;
    }
    assert!(seeds >= 8, "only {seeds} seeds in {folder}");
}
