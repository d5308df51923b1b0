//! The seeds of the fuzz targets for rules, lists and data files, through the same checks, cut and changed at every place.

#[path = "../../../../fuzz/checks/rules.rs"]
mod checks;

fn every_seed(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for seed in std::fs::read_dir(&folder).expect("the folder of seeds is there") {
        let bytes = std::fs::read(seed.expect("a seed has a name").path()).expect("a seed can be read");
        for length in 0..=bytes.len() {
            check(&bytes[..length]);
        }
        for place in 0..bytes.len() {
            for other in [0, b'(', b',', b'*', 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[place] = other;
                check(&changed);
            }
        }
        seeds += 1;
    }
    assert!(seeds >= 3, "only {seeds} seeds in {folder}");
}

#[test]
fn lines_hold_the_rules() {
    every_seed("rule_lines", checks::lines);
}

#[test]
fn lists_hold_the_rules() {
    every_seed("rule_list", checks::list);
}

#[test]
fn data_files_hold_the_rules() {
    every_seed("geodata", checks::data);
}
