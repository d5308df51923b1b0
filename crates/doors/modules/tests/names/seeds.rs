//! The seeds of the fuzz targets, through the same checks: what the fuzzer was given once is tried by every test run.

#[path = "../../../../../fuzz/checks/modules.rs"]
mod modules;

/// Gives each seed of a target to its check, and each beginning of it.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/../../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for seed in std::fs::read_dir(&folder).expect("the folder of seeds is there") {
        let bytes = std::fs::read(seed.expect("a seed has a name").path()).expect("a seed can be read");
        for length in 0..=bytes.len() {
            check(&bytes[..length]);
        }
        seeds += 1;
    }
    assert!(seeds >= 8, "only {seeds} seeds in {folder}");
}

#[test]
fn paths_hold_the_rules() {
    replay("module_path", modules::path);
}

#[test]
fn versions_hold_the_rules() {
    replay("module_version", modules::version);
}

#[test]
fn requests_hold_the_rules() {
    replay("module_request", modules::request);
}

#[test]
fn zips_hold_the_rules() {
    replay("module_zip", modules::zip);
}

#[test]
fn sums_hold_the_rules() {
    replay("go_sum", modules::go_sum);
}
