//! The files of the checkout, and cargo's view of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the crate stands two folders below the root").to_owned()
}

/// The text of a file, by its path from the root.
#[expect(clippy::disallowed_methods, reason = "a test reads the checkout that it tests")]
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below `folder` with the extension `extension`, by their path from the root, sorted. Hidden folders and
/// `target` are left out.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder's entries can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("names of files are text");
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|known| known == extension) {
                let path = path.strip_prefix(&root).expect("it was found below the root");
                found.push(path.to_str().expect("names of files are text").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The documents that people read: those of the root and those of `docs`.
pub(crate) fn documents() -> Vec<String> {
    let own = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    own.into_iter().map(str::to_owned).chain(files("docs", "md")).collect()
}

/// `text` has to be what stands in the file at `path`. With `UPDATE_DOCS=1` it is put there.
#[expect(clippy::disallowed_methods, reason = "this is how generated documents are written")]
pub(crate) fn has_to_be(path: &str, text: &str) {
    let file = root().join(path);
    if std::env::var("UPDATE_DOCS").is_ok_and(|value| value == "1") {
        std::fs::write(&file, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let present = std::fs::read_to_string(&file).unwrap_or_default();
    let different = present.lines().zip(text.lines()).position(|(present, right)| present != right);
    assert!(
        present == text,
        "{path} is not what the code says, first in line {}: run UPDATE_DOCS=1 cargo nextest run -p tradewind --test house",
        different.unwrap_or_else(|| present.lines().count().min(text.lines().count())) + 1
    );
}

/// What `cargo metadata` says with these further arguments.
pub(crate) fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata gives JSON")
}

/// A list in JSON.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text in JSON.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
