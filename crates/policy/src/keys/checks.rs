//! What serde cannot say about `keys`: names and secrets that are one key's only, limits that let something through.

use std::collections::HashMap;

use tradewind_core::Code;

use super::{CallerKey, KeyHash, KeyTerms, check_pattern};
use crate::decode::decode_list;
use crate::node::Shortened;
use crate::problem::Problems;
use crate::root::Root;

/// The most keys of a document, and of the file of created keys.
pub const MOST_KEYS: usize = 10_000;
/// The shortest secret, in bytes.
pub const SHORTEST_SECRET: usize = 16;
/// The longest secret, in bytes.
pub const LONGEST_SECRET: usize = 512;
/// The longest name, tenant, role, region and tag, in characters.
pub(crate) const LONGEST_NAME: usize = 64;
/// The most tags of a key.
pub const MOST_TAGS: usize = 16;
/// The most patterns of a key.
const MOST_PATTERNS: usize = 100;

/// What is wrong with one term of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadTerm {
    /// Which: `rpm`, `allow[1]`.
    pub term: String,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

/// Checks the name of a key.
///
/// # Errors
/// When it is empty, longer than 64 characters, or has others than `A-Z a-z 0-9 . _ -`.
pub fn check_key_name(name: &str) -> Result<(), BadTerm> {
    let bad = |message: &str| {
        Err(BadTerm { term: "name".to_owned(), message: message.to_owned(), hint: "such as ci-build".to_owned() })
    };
    if name.is_empty() {
        return bad("the name is empty");
    }
    if name.len() > LONGEST_NAME {
        return bad("a key's name has at most 64 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return bad("a key's name has letters, digits, dots, hyphens and underscores only");
    }
    Ok(())
}

/// Checks a text that a context header may have to carry: a tag, or a region.
///
/// # Errors
/// When it is empty, longer than 64 characters, begins or ends with a space, or has control characters or one of
/// `;`, `,`, `=`, which separate the parts of the header.
pub fn check_label(label: &str) -> Result<(), &'static str> {
    let is_separator = |character: char| character.is_control() || matches!(character, ';' | ',' | '=');
    if label.is_empty() || label.chars().count() > LONGEST_NAME {
        return Err("has 1 to 64 characters");
    }
    if label.trim() != label || label.contains(is_separator) {
        return Err("has no `;`, `,`, `=` or line breaks, and no spaces around it");
    }
    Ok(())
}

impl KeyTerms {
    /// What is wrong with these terms, in the order of the schema.
    #[must_use]
    pub fn problems(&self) -> Vec<BadTerm> {
        let mut found = Vec::new();
        let mut refuse = |term: String, message: String, hint: &str| {
            found.push(BadTerm { term, message, hint: hint.to_owned() });
        };
        for (term, label) in [("tenant", &self.tenant), ("role", &self.role)] {
            let Some(label) = label else { continue };
            let length = label.chars().count();
            if length == 0 || length > LONGEST_NAME || label.chars().any(char::is_control) {
                let message = format!("a {term} has 1 to {LONGEST_NAME} characters, and no line breaks");
                refuse(term.to_owned(), message, "leave it out, or give it a short name");
            }
        }
        if let Some(region) = &self.region
            && let Err(bad) = check_label(region)
        {
            refuse("region".to_owned(), format!("a region {bad}"), "such as eu or us-east-1");
        }
        if self.tags.len() > MOST_TAGS {
            refuse("tags".to_owned(), format!("a key has at most {MOST_TAGS} tags"), "keep those that rules ask for");
        }
        for (index, tag) in self.tags.iter().enumerate() {
            let term = format!("tags[{index}]");
            if let Err(bad) = check_label(tag) {
                refuse(term, format!("a tag {bad}"), "such as batch");
            } else if self.tags[..index].contains(tag) {
                refuse(term, "the tag is there already".to_owned(), "leave one of them out");
            }
        }
        if let Some(allow) = &self.allow {
            if allow.is_empty() {
                let hint = "leave it out for everything but control, or name something, such as models/*";
                refuse("allow".to_owned(), "the key may use nothing".to_owned(), hint);
            }
            if allow.len() > MOST_PATTERNS {
                let message = format!("a key has at most {MOST_PATTERNS} patterns");
                refuse("allow".to_owned(), message, "`*` stands for anything");
            }
            for (index, pattern) in allow.iter().enumerate() {
                if let Err(bad) = check_pattern(pattern) {
                    refuse(format!("allow[{index}]"), bad.message, &bad.hint);
                }
            }
        }
        if let Some(budget) = &self.budget
            && budget.amount().pico() == 0
        {
            refuse("budget.usd".to_owned(), "a budget is more than nothing".to_owned(), "revoke the key instead");
        }
        for (term, limit) in [("rpm", self.rpm), ("tpm", self.tpm)] {
            if limit == Some(0) {
                let message = format!("`{term}` is zero: nothing could be called");
                refuse(term.to_owned(), message, "leave it out for no limit");
            }
        }
        found
    }
}

pub(crate) fn decode_keys(root: &Root, problems: &mut Problems) -> Vec<CallerKey> {
    let Some(node) = root.section("keys") else { return Vec::new() };
    if node.items().len() > MOST_KEYS {
        let message = format!("there are {} keys, the most is {MOST_KEYS}", node.items().len());
        problems.push(root.problem(Code::ConfigBadValue, "keys", message));
        return Vec::new();
    }
    let keys: Vec<CallerKey> = decode_list(node, "keys", &[], problems);
    let mut names: HashMap<&str, u32> = HashMap::with_capacity(keys.len());
    let mut secrets: HashMap<KeyHash, &CallerKey> = HashMap::with_capacity(keys.len());
    for key in &keys {
        let name = &key.name;
        let path = name.path.strip_suffix(".name").unwrap_or(&name.path);
        if let Some(line) = names.insert(name.as_str(), name.place.line) {
            let message = format!("a key named `{}` is there already", Shortened(&name.shown()));
            let hint = format!("give it another name; the first is on line {line}");
            problems.push(name.problem(Code::ConfigBadValue, message).with_hint(hint));
        }
        let mut refuse = |term: &str, message: String, hint: &str| {
            let problem = root.problem(Code::ConfigBadValue, &format!("{path}.{term}"), message);
            problems.push(if hint.is_empty() { problem } else { problem.with_hint(hint) });
        };
        if let Err(bad) = check_key_name(name) {
            refuse(&bad.term, bad.message, &bad.hint);
        }
        // One that could not be read has its problem already.
        let written = ["secret", "secret-sha256"].map(|term| {
            let node = root.node().find(&format!("{path}.{term}"));
            node.is_some_and(|node| !node.is_null() || node.is_broken())
        });
        check_secret(key, written, &mut refuse);
        if let Some(hash) = key.hash()
            && let Some(first) = secrets.insert(hash, key)
        {
            let term = if key.secret.is_some() { "secret" } else { "secret-sha256" };
            let message = format!("the keys `{}` and `{}` have the same secret", first.name.shown(), name.shown());
            refuse(term, message, "give each caller a secret of its own: `tradewind key create` makes them");
        }
        for bad in key.terms().problems() {
            refuse(&bad.term, bad.message, &bad.hint);
        }
    }
    keys
}

/// `written`: whether `secret` and `secret-sha256` stand in the file, readable or not.
fn check_secret(key: &CallerKey, written: [bool; 2], refuse: &mut impl FnMut(&str, String, &str)) {
    match written {
        [true, true] => {
            let message = "there is both a secret and a secret-sha256".to_owned();
            return refuse("secret-sha256", message, "keep one of them");
        }
        [false, false] => {
            let hint = "add secret: \"${VARIABLE}\" or secret-sha256, or make the key with `tradewind key create`";
            return refuse("secret", "the key has no secret".to_owned(), hint);
        }
        _ => {}
    }
    let Some(secret) = &key.secret else { return };
    let secret = secret.expose();
    if secret.len() < SHORTEST_SECRET {
        let message = format!("the secret has fewer than {SHORTEST_SECRET} bytes: it could be guessed");
        refuse("secret", message, "`tradewind key create` makes good ones");
    } else if secret.len() > LONGEST_SECRET {
        refuse("secret", format!("a secret has at most {LONGEST_SECRET} bytes"), "");
    } else if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        let hint = "is the variable that it comes from set, and without spaces and line breaks?";
        refuse("secret", "the secret has characters that cannot be sent".to_owned(), hint);
    }
}
