//! How long files are, and how the code is spread over the crates.

use std::collections::BTreeMap;

use crate::tree::{files, read};

/// A file that is longer says why, in its header.
const LONGEST: usize = 800;
/// The words by which it does.
const REASON: &str = "Longer than 800 lines";
/// No crate should hold more than a quarter of the code; at this share the test fails.
const LARGEST_SHARE: f64 = 0.35;

fn header(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.starts_with("//!"));
    lines.map(|line| line.trim_start_matches("//!").trim()).collect::<Vec<_>>().join(" ")
}

#[test]
fn long_files_say_why() {
    let mut wrong = Vec::new();
    for path in files("crates", "rs").into_iter().chain(files("fuzz", "rs")) {
        let text = read(&path);
        let (lines, header) = (text.lines().count(), header(&text));
        if header.is_empty() {
            wrong.push(format!("{path} does not begin with //! and what it is for"));
        }
        if lines > LONGEST && !header.contains(REASON) {
            wrong.push(format!("{path} has {lines} lines: split it, or write `{REASON} because …` into its header"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The folder of the crate that a file is in: `crates/core`, `crates/doors/models`.
fn crate_of(path: &str) -> &str {
    let folder = path.find("/src/").or_else(|| path.find("/tests/")).or_else(|| path.find("/benches/"));
    folder.map_or(path, |end| &path[..end])
}

#[test]
fn no_crate_holds_it_all() {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for path in files("crates", "rs").into_iter().filter(|path| path.contains("/src/")) {
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        *lines.entry(crate_of(&path).to_owned()).or_default() += read(&path).lines().filter(is_code).count();
    }
    let all: usize = lines.values().sum();
    let mut shares: Vec<(f64, &String)> = lines.iter().map(|(name, own)| (*own as f64 / all as f64, name)).collect();
    shares.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (share, name) in &shares {
        println!("{:5.1} %  {name}{}", share * 100.0, if *share > 0.25 { "  (over a quarter)" } else { "" });
    }
    let (largest, name) = shares[0];
    assert!(largest <= LARGEST_SHARE, "{name} holds {:.0} % of all code: it is more than one room", largest * 100.0);
}
