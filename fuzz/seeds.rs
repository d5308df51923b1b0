//! The seeds of the fuzz targets, for the tests that try every one of them in each run. Each such test takes this file in by its
//! path, as it does the checks beside it.

use std::path::Path;

/// Gives `check` each seed of `target`, whole and cut off at `cuts` places of even distance, the first of which leaves nothing;
/// `usize::MAX` is at every byte. There are at least `least` seeds: a folder that is empty or elsewhere would try nothing.
pub(crate) fn replay(target: &str, least: usize, cuts: usize, check: impl Fn(&[u8])) {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let folder = folders.map(|folder| folder.join("fuzz/corpus").join(target)).find(|folder| folder.is_dir());
    let folder = folder.unwrap_or_else(|| panic!("there is a folder of seeds for {target}"));
    let mut seeds = 0;
    for file in std::fs::read_dir(&folder).expect("a folder can be read") {
        let seed = std::fs::read(file.expect("a seed has a name").path()).expect("a seed can be read");
        let cuts = cuts.clamp(1, seed.len().max(1));
        for part in 0..=cuts {
            check(&seed[..seed.len() * part / cuts]);
        }
        seeds += 1;
    }
    assert!(seeds >= least, "only {seeds} seeds in {}", folder.display());
}
