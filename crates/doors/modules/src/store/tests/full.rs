//! A full disk: a file system of one megabyte in a namespace of its own, where this very test runs again.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use super::support::{TestClock, commit, noise, of};
use crate::store::{Limits, Prune, Refusal, Store, StoreError, Tree};

const FOLDER: &str = "TRADEWIND_TEST_FULL_DISK";
const NAME: &str = "store::tests::full::a_full_disk_is_an_error_and_serving_goes_on";

fn fill(folder: &Path) {
    let store = Store::open(&folder.join("modules"), Limits::default(), TestClock::new()).unwrap();
    let tree = Tree::new("go");
    let mut kept = Vec::new();
    let error = loop {
        let version = format!("v1.0.{}", kept.len());
        match commit(&store, &tree, "example.com/a", &version, &noise(kept.len() as u64, 50_000)) {
            Ok(manifest) => kept.push(manifest),
            Err(error) => break error,
        }
        assert!(kept.len() < 100, "the disk is never full");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().starts_with("the disk is full: "), "{error}");
    assert!(kept.len() > 5);
    // Again and again, in small and large: it neither grows nor breaks.
    for size in [1, 100, 10_000, 900_000] {
        let result = commit(&store, &tree, "example.com/b", "v1.0.0", &noise(9, size));
        assert!(matches!(result, Ok(_) | Err(StoreError::Full { .. })), "{result:?}");
    }
    let refusal = Refusal { reason: "bad".repeat(100_000), evidence: Vec::new(), upstream: String::new() };
    let refused = store.quarantine(&tree, &of("example.com/c", "v1.0.0"), refusal, None);
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    assert_eq!(std::fs::read_dir(folder.join("modules/incoming")).unwrap().count(), 0);
    // What is there is served, also after a start.
    for store in [&store, &Store::open(&folder.join("modules"), Limits::default(), TestClock::new()).unwrap()] {
        for (number, manifest) in kept.iter().enumerate() {
            let read = store.version(&tree, &manifest.of).unwrap();
            let mut bytes = Vec::new();
            store.open_zip(&tree, &read).unwrap().file.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, noise(number as u64, 50_000));
        }
    }
    let verified = store.verify(&mut |_, _| {}).unwrap();
    assert!(verified.damaged.is_empty() && verified.good >= kept.len(), "{verified:?}");
    // Room is made, and everything goes on.
    store.prune(&Prune { to_bytes: Some(300_000), ..Prune::default() }, &mut |_| {}).unwrap();
    commit(&store, &tree, "example.com/d", "v1.0.0", &noise(1, 50_000)).unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the inner run is told by its environment what it is")]
fn a_full_disk_is_an_error_and_serving_goes_on() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return fill(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o size=1m tmpfs \"${FOLDER}\" && exec \"$0\" --exact {NAME} --nocapture");
    let inner = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, folder.path())
        .output()
        .expect("unshare is there");
    let text = String::from_utf8_lossy(&inner.stdout);
    assert!(inner.status.success(), "{text}{}", String::from_utf8_lossy(&inner.stderr));
    assert!(text.contains("1 passed"), "{text}");
}
