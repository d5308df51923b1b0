//! What the documents show works: examples of configuration are right, links lead somewhere, and nothing is said that is
//! of no use to a reader outside of this checkout.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::tree::{documents, read, root};

/// A fenced block of a document.
struct Block<'a> {
    /// The line on which it begins.
    line: usize,
    language: &'a str,
    text: String,
}

fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, line) in document.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block { line: index + 1, language: language.trim(), text: String::new() })
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Whether a block of YAML begins with a top-level key, after comments.
fn is_document(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(':'))
}

/// The names in `${NAME}` and `${NAME:-default}`.
fn variables(text: &str) -> Vec<&str> {
    let inside = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(inside, _)| inside);
    inside.map(|inside| inside.split(":-").next().unwrap_or(inside)).collect()
}

/// The section `providers` of a document: from its key to the next top-level key.
fn providers(text: &str) -> Option<String> {
    let from = text.find("providers:").filter(|at| *at == 0 || text[..*at].ends_with('\n'))?;
    let is_next = |line: &str| line.starts_with(|c: char| c.is_ascii_lowercase());
    let lines = text[from..].lines().enumerate().take_while(|(index, line)| *index == 0 || !is_next(line));
    Some(lines.map(|(_, line)| format!("{line}\n")).collect())
}

/// Every example is checked as a reader would, by `tradewind check`. One without providers builds on those of the first
/// example of its document.
#[test]
#[expect(clippy::disallowed_methods, reason = "the example has to be a file")]
fn the_examples_of_configuration_are_right() {
    let folder = TempDir::new().expect("a folder can be made");
    let file = folder.path().join("example.yaml");
    let mut checked = 0;
    for path in documents() {
        let document = read(&path);
        let mut usual = String::new();
        for block in blocks(&document).into_iter().filter(|block| block.language == "yaml" && is_document(&block.text))
        {
            let own = providers(&block.text);
            if usual.is_empty() {
                usual = own.clone().unwrap_or_default();
            }
            let before = if own.is_none() { usual.as_str() } else { "" };
            let text = format!("{before}{}", block.text);
            std::fs::write(&file, &text).expect("the example can be written");
            let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
            command.arg("check").arg(&file);
            for name in variables(&text) {
                command.env(name, "a-value-that-is-long-enough-for-a-secret");
            }
            let output = command.output().expect("the binary runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{path}:{}: the example is not right:\n{text}\n{said}", block.line);
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} examples were found");
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in documents() {
        let document = read(&path);
        let folder = Path::new(&path).parent().unwrap_or_else(|| Path::new(""));
        for target in document.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap_or_default();
            if target.starts_with("http") || file.is_empty() {
                continue;
            }
            if !root().join(folder).join(file).exists() {
                wrong.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "links to nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn blocks_and_variables_are_found() {
    let document = "text\n```yaml\nlisten: x\n```\n```sh\nls\n```\n";
    let found = blocks(document);
    assert_eq!((found.len(), found[0].line, found[0].language), (2, 2, "yaml"));
    assert_eq!(found[0].text, "listen: x\n");
    assert!(is_document("# so\nlisten: x\n") && !is_document("- {use: x}\n") && !is_document("  listen: x\n"));
    assert_eq!(variables("a: ${ONE} and ${TWO:-x}"), ["ONE", "TWO"]);
    assert_eq!(providers("a: 1\nproviders:\n  - x\n\nmodels: []\n").as_deref(), Some("providers:\n  - x\n\n"));
    assert_eq!(providers("models: []\n"), None);
}
