//! The licence of each dependency is one that is allowed. `deny.toml` says the same to cargo-deny, which looks at more
//! than licences; this needs nothing installed.

use crate::tree::{list, metadata, read, text};

/// Whether `licence`, an SPDX expression, can be satisfied by `allowed` licences alone. `/` is an old way of writing OR.
fn is_allowed(licence: &str, allowed: &[&str]) -> bool {
    let spaced = licence.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    any(&words, &mut at, allowed) && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut result = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all(words, at, allowed);
    }
    result
}

fn all(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut result = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at, allowed);
    }
    result
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let inside = any(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return inside && closed;
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&name.as_str())
}

/// The licences of `deny.toml`.
fn allowed(deny: &str) -> Vec<&str> {
    let list = deny.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).expect("deny.toml has a list").0;
    list.split(',').map(|one| one.trim().trim_matches('"')).filter(|one| !one.is_empty()).collect()
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let deny = read("deny.toml");
    let allowed = allowed(&deny);
    // Only what is built here: the sources of other platforms' dependencies need not be there.
    let metadata = metadata(&["--offline", "--filter-platform", &host()]);
    let packages = list(&metadata["packages"]);
    assert!(packages.len() > 50, "only {} packages", packages.len());
    let mut wrong = Vec::new();
    for package in packages {
        let licence = text(&package["license"]);
        if !is_allowed(licence, &allowed) {
            wrong.push(format!("{} {}: `{licence}`", text(&package["name"]), text(&package["version"])));
        }
    }
    assert!(wrong.is_empty(), "licences that deny.toml does not allow:\n{}", wrong.join("\n"));
}

/// The platform that this is built for, as rustc calls it.
fn host() -> String {
    let output = std::process::Command::new("rustc").arg("-vV").output().expect("rustc can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.expect("rustc -vV names its host").to_owned()
}

#[test]
fn expressions_are_read_as_spdx_says() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
    for (licence, right) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("", false),
        ("MIT OR GPL-3.0", true),
        ("MIT/GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("(MIT OR GPL-3.0) AND GPL-3.0", false),
        ("GPL-3.0 OR Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH other-exception", false),
        ("MIT MIT", false),
    ] {
        assert_eq!(is_allowed(licence, &allowed), right, "{licence}");
    }
}
