//! How it behaves with many versions.

use std::path::Path;
use std::sync::Arc;

use super::support::{START, TestClock, of};
use crate::store::layout::Layout;
use crate::store::manifest::sample;
use crate::store::{Blob, Limits, Sha256, Store, Tree};

/// Writes versions without waiting for the disk: ten of each module, a small zip each.
fn fill(folder: &Path, versions: usize) {
    let layout = Layout { root: folder.to_owned() };
    let tree = Tree::new("go");
    for number in 0..versions {
        let zip = number.to_le_bytes();
        let blob = Blob { sha256: Sha256::of(&zip), size: zip.len() as u64 };
        let manifest = sample(&format!("example.com/m{}/x", number / 10), &format!("v1.0.{}", number % 10), blob);
        for (path, bytes) in
            [(layout.blob(&blob.sha256), zip.to_vec()), (layout.version(&tree, &manifest.of), manifest.to_json())]
        {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), &bytes).unwrap();
        }
    }
}

/// `TRADEWIND_TEST_VERSIONS=100000` measures with as many.
#[test]
#[expect(clippy::disallowed_methods, reason = "this measures")]
fn a_start_does_not_depend_on_how_much_there_is() {
    let versions = std::env::var("TRADEWIND_TEST_VERSIONS").map_or(1000, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), versions);
    let clock: Arc<TestClock> = TestClock::new();
    let open = || Store::open(folder.path(), Limits::default(), clock.clone()).unwrap();
    // The quickest of five: a busy machine may hold any of them up, but not all.
    let start = (0..5).map(|_| {
        let begun = std::time::Instant::now();
        let first = open().version(&Tree::new("go"), &of("example.com/m7/x", "v1.0.7"));
        let start = begun.elapsed();
        assert!(first.is_some_and(|manifest| manifest.fetched.0 > START));
        start
    });
    let start = start.min().unwrap();
    let store = open();
    let begun = std::time::Instant::now();
    let survey = store.survey().unwrap();
    let surveyed = begun.elapsed();
    assert_eq!((survey.rows.len(), survey.orphaned), (versions, 0));
    println!("{versions} versions: open and first answer {start:?}, survey {surveyed:?}");
    assert!(start.as_millis() < 300, "{start:?}");
}
