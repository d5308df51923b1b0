//! Each numbered invariant of ARCHITECTURE.md that names a test names one that exists.
//!
//! The form: "*(guarded by `name_of_a_test` in `path/of/the/file.rs`)*"; several are separated by commas or "and", a path
//! stands for all names before it, and "…" at the end of a name or in place of a part of it for anything.

use std::collections::HashMap;

use crate::tree::{files, read};

/// One test that is named, and the file in which it should be.
#[derive(Debug, PartialEq)]
struct Guard {
    line: usize,
    name: String,
    path: Option<String>,
}

/// The guards of a document.
fn guards(document: &str) -> Vec<Guard> {
    let mut guards = Vec::new();
    let mut at = 0;
    while let Some(found) = document[at..].find("guarded by") {
        let begin = at + found + "guarded by".len();
        let end = document[begin..].find(')').map_or(document.len(), |end| begin + end);
        let line = document[..begin].matches('\n').count() + 1;
        let mut waiting: Vec<String> = Vec::new();
        // Every second piece between backticks is code.
        for code in document[begin..end].split('`').skip(1).step_by(2) {
            let path_and_name = code.split_once("::").filter(|(file, _)| file.contains('/') || file.ends_with(".rs"));
            if let Some((path, name)) = path_and_name {
                guards.push(Guard { line, name: name.to_owned(), path: Some(path.to_owned()) });
            } else if code.contains('/') || code.ends_with(".rs") || code.ends_with(".py") {
                let path = Some(code.to_owned());
                guards.extend(waiting.drain(..).map(|name| Guard { line, name, path: path.clone() }));
            } else {
                waiting.push(code.rsplit("::").next().unwrap_or(code).to_owned());
            }
        }
        guards.extend(waiting.into_iter().map(|name| Guard { line, name, path: None }));
        at = end;
    }
    guards
}

/// Whether `name` fits `pattern`, in which `…` or `*` stands for anything.
fn fits(name: &str, pattern: &str) -> bool {
    let mut rest = name;
    let parts: Vec<&str> = pattern.split(['…', '*']).collect();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        match rest.find(part) {
            Some(0) if index == 0 && is_last => return rest.len() == part.len(),
            Some(found) if index == 0 && found > 0 => return false,
            Some(_) if is_last => return rest.ends_with(part),
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    true
}

/// The names of the functions in a text.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    let words = ["fn ", "def "].into_iter().flat_map(|word| text.split(word).skip(1));
    words.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let guards = guards(&read("ARCHITECTURE.md"));
    assert!(guards.len() >= 5, "ARCHITECTURE.md names only {} tests in the form `(guarded by …)`", guards.len());
    let mut sources: HashMap<String, String> = HashMap::new();
    for path in files("crates", "rs").into_iter().chain(files("tests", "py")) {
        let text = read(&path);
        sources.insert(path, text);
    }
    let mut wrong = Vec::new();
    for Guard { line, name, path } in guards {
        // `tests/house.rs` stands for the files of `tests/house/`, too.
        let is_there = |known: &str| match &path {
            None => true,
            Some(path) => {
                let folder = path.trim_end_matches(".rs").trim_end_matches("/main").trim_end_matches('/');
                known.ends_with(path.as_str()) || known.contains(&format!("{folder}/"))
            }
        };
        let found = sources.iter().any(|(known, text)| is_there(known) && functions(text).any(|one| fits(one, &name)));
        if !found {
            let place = path.map(|path| format!(" in {path}")).unwrap_or_default();
            wrong.push(format!("ARCHITECTURE.md:{line}: there is no test `{name}`{place}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn guards_are_read_as_they_are_written() {
    let guard =
        |name: &str, path: Option<&str>| Guard { line: 1, name: name.to_owned(), path: path.map(str::to_owned) };
    let text = "3. **Text** *(guarded by `row_15_…` in `crates/a/tests/faults.rs`)*";
    assert_eq!(guards(text), [guard("row_15_…", Some("crates/a/tests/faults.rs"))]);
    let text = "(guarded by `one`, `a::two` and `three` in `x.rs`, `y/z.rs::four` and `five`)";
    let x = Some("x.rs");
    let expected =
        [guard("one", x), guard("two", x), guard("three", x), guard("four", Some("y/z.rs")), guard("five", None)];
    assert_eq!(guards(text), expected);
    for (name, pattern, right) in [
        ("row_15_cut", "row_15_…", true),
        ("row_16_cut", "row_15_…", false),
        ("row_15_cut", "row_15_cut", true),
        ("row_15_cut_again", "row_15_cut", false),
        ("a_row_15_", "row_15_…", false),
        ("no_body_is_lost", "no_…_is_lost", true),
        ("no_body_is_late", "no_…_is_lost", false),
    ] {
        assert_eq!(fits(name, pattern), right, "{name} {pattern}");
    }
}
