//! The seeds of the fuzz targets of this door, through the same checks: what the fuzzer was given once is tried by every
//! test run.

#[path = "../../../../fuzz/checks/models.rs"]
mod models;

/// Runs `check` on each seed of `target`, and on each seed cut off at every eighth of its length.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/../../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for seed in std::fs::read_dir(&folder).expect("the folder of seeds is there") {
        let path = seed.expect("a seed has a name").path();
        let bytes = std::fs::read(&path).expect("a seed can be read");
        for eighths in 0..=8 {
            check(&bytes[..bytes.len() * eighths / 8]);
        }
        seeds += 1;
    }
    assert!(seeds >= 8, "only {seeds} seeds in {folder}");
}

#[test]
fn streams_hold_the_rules() {
    replay("sse", models::stream);
}

#[test]
fn openai_requests_hold_the_rules() {
    replay("openai_request", models::openai_request);
}

#[test]
fn anthropic_requests_hold_the_rules() {
    replay("anthropic_request", models::anthropic_request);
}
