//! A disk that can be full, a real one: a file system of a few megabytes, which the test alone sees.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const CHILD: &str = "TRADEWIND_TEST_FULL";

/// Runs a test in a process of its own, in a folder on a disk of so many megabytes that only this process and those that it
/// starts see; their temporary folders lie there as well. `test` is the name of the test that calls this.
#[expect(clippy::disallowed_methods, reason = "the child is told by its environment what it is")]
pub(crate) fn on_a_small_disk(megabytes: u32, test: &str, run: impl FnOnce(&Path)) {
    if let Some(folder) = std::env::var_os(CHILD) {
        return run(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o "size=$1m" none "$2" && exec "$3" --exact "$4" --nocapture"#;
    let ended = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh", &megabytes.to_string()])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(CHILD, folder.path())
        .env("TMPDIR", folder.path())
        .output()
        .expect("unshare is there");
    let told = [&ended.stdout[..], &ended.stderr].map(String::from_utf8_lossy);
    assert!(ended.status.success(), "{}", told.concat());
    assert!(told[0].contains("1 passed"), "no test is called {test}: {}", told.concat());
}

/// What takes up place on a disk, until it is dropped.
pub(crate) struct Ballast(PathBuf);

impl Ballast {
    pub(crate) fn new(folder: &Path, megabytes: usize) -> Self {
        let path = folder.join("ballast");
        File::create(&path).unwrap().write_all(&vec![1; megabytes << 20]).unwrap();
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}
