//! The seeds of the fuzz target `translate_stream`, through the same checks: what the fuzzer was given once is tried by
//! every test run.

#[path = "../../../fuzz/checks/answers.rs"]
mod answers;

/// Runs the check on each seed, and on each seed cut off at every eighth of its length, with every pair of wire formats.
#[test]
fn translated_streams_hold_the_rules() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/translate_stream");
    let mut seeds = 0;
    for seed in std::fs::read_dir(folder).expect("the folder of seeds is there") {
        let path = seed.expect("a seed has a name").path();
        let mut bytes = std::fs::read(&path).expect("a seed can be read");
        for eighths in 1..=8 {
            answers::translate_stream(&bytes[..bytes.len() * eighths / 8]);
        }
        for wires in 0..9 {
            bytes[0] = wires;
            answers::translate_stream(&bytes);
        }
        seeds += 1;
    }
    assert!(seeds >= 20, "only {seeds} seeds in {folder}");
}
