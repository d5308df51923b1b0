//! Ways out in the document: what is read, what is refused and where, what is said, and that nothing makes it panic.

mod errors;
mod fixtures;
mod lists;
mod policies;
mod properties;
mod secrets;

use tradewind_policy::ways::Ways;
use tradewind_policy::{Problems, Root, Shared};

fn lookup(name: &str) -> Option<String> {
    match name {
        "WORD" => Some("from-outside".to_owned()),
        "PORT" => Some("1080".to_owned()),
        "YES" => Some("true".to_owned()),
        _ => None,
    }
}

fn decode(text: &str) -> (Ways, Problems) {
    let mut problems = Problems::new();
    let root = Root::parse(text, &lookup, &[], &mut problems);
    let shared = Shared::decode(&root, &mut problems);
    (shared.ways, problems)
}

/// The ways of a document that is right.
fn ways(text: &str) -> Ways {
    let (ways, problems) = decode(text);
    assert!(problems.is_empty(), "{}", problems.render("test.yaml", text));
    ways
}

/// All problems as `LINE:COLUMN CODE path: message`, with ` (hint)` behind when there is one.
fn refusals(text: &str) -> Vec<String> {
    let (_, problems) = decode(text);
    let list = problems.list();
    let line = |one: &&tradewind_policy::Problem| {
        let hint = one.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}:{} {} {}: {}{hint}", one.line, one.column, one.code, one.path, one.message)
    };
    list.iter().map(line).collect()
}

/// What is said of a document that is right, as `LINE:COLUMN path: message`.
fn notes(text: &str) -> Vec<String> {
    let (_, problems) = decode(text);
    assert!(problems.is_empty(), "{}", problems.render("test.yaml", text));
    let notes = problems.notes();
    notes.iter().map(|note| format!("{}:{} {}: {}", note.line, note.column, note.path, note.message)).collect()
}
