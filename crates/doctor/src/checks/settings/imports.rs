//! Which packages the project's own files import, as far as that can be told without building.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tradewind_runtime::files;

/// The most files that are read, and the most of each: imports stand at its beginning.
const MOST_FILES: usize = 4000;
const MOST_BYTES: u64 = 1 << 20;

/// The import paths in the Go files below `folder`, each with one file that has it. Folders of other modules, `vendor`,
/// `testdata` and hidden ones are left out, as go does.
pub(super) fn imports(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut seen = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = folder.read_dir() else { continue };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            let hidden = name.starts_with(['.', '_']);
            let path = entry.path();
            if kind.is_dir() && !hidden && name != "vendor" && name != "testdata" && !path.join("go.mod").exists() {
                folders.push(path);
            } else if kind.is_file() && !hidden && name.ends_with(".go") {
                seen += 1;
                if seen > MOST_FILES {
                    return found;
                }
                let Ok(text) = files::read_text(&path, MOST_BYTES) else { continue };
                for import in imports_of(&text) {
                    found.entry(import).or_insert_with(|| path.clone());
                }
            }
        }
    }
    found
}

/// The paths of the import declarations of a file.
fn imports_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let (mut in_block, mut in_comment) = (false, false);
    for line in text.lines() {
        let mut line = line.trim();
        if in_comment {
            let Some((_, rest)) = line.split_once("*/") else { continue };
            (in_comment, line) = (false, rest.trim());
        }
        if line.starts_with("/*") && !line.contains("*/") {
            in_comment = true;
            continue;
        }
        let line = line.split("//").next().unwrap_or_default().trim();
        // In a path there is no `//`, so that cutting a comment off cuts none in two.
        if in_block {
            in_block = !line.starts_with(')');
            found.extend(quoted(line));
        } else if let Some(rest) = line.strip_prefix("import") {
            in_block = rest.trim_start().starts_with('(') && !rest.contains(')');
            found.extend(quoted(rest));
        } else if ["func ", "type ", "var ", "const "].iter().any(|word| line.starts_with(word)) {
            // Imports come before all other declarations.
            break;
        }
    }
    found
}

fn quoted(line: &str) -> Option<String> {
    let start = line.find(['"', '`'])?;
    let quote = line[start..].chars().next()?;
    let rest = &line[start + 1..];
    Some(rest[..rest.find(quote)?].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found_before_other_declarations() {
        let text = "// Package x\n/*\nimport \"commented.example/out\"\n*/\npackage x\n\nimport \"one.example/a\"\n\
                    import (\n\tq \"two.example/b\" // \"no.example\"\n\t_ `three.example/c`\n)\nfunc f() {\n\timport \"four\"\n}\n";
        let found: Vec<String> = imports_of(text).into_iter().collect();
        assert_eq!(found, ["one.example/a", "three.example/c", "two.example/b"]);
        assert!(imports_of("import (\"a.example/x\")\nvar x = 1").contains("a.example/x"));
    }
}
