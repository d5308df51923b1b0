//! The seeds of the fuzz target, through the same checks: what the fuzzer was given once is tried by every test run.

#[path = "../../../../fuzz/checks/dialects.rs"]
pub(crate) mod dialects;

/// Runs the check on each seed, and on each seed cut off at every eighth of its length.
#[test]
fn requests_hold_the_rules() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/translate_request");
    let mut seeds = 0;
    for seed in std::fs::read_dir(folder).expect("the folder of seeds is there") {
        let bytes = std::fs::read(seed.expect("a seed has a name").path()).expect("a seed can be read");
        for eighths in 0..=8 {
            dialects::request(&bytes[..bytes.len() * eighths / 8]);
        }
        seeds += 1;
    }
    assert!(seeds >= 5, "only {seeds} seeds in {folder}");
}
