//! The digest of the governed part of a document: what a decision record names as its policy.
//!
//! Two documents have the same digest when everything that changes a decision is the same; comments, order of keys,
//! quoting, anchors and secrets do not count. A value that holds `${…}` counts with its replaced text, unless it is
//! a secret. Defaults that are not written do not count either, so a new version may decide differently under one
//! digest; the record names the version for that.

use ring::digest::{Context, SHA256};
use tradewind_core::to_hex;

use crate::node::{Node, Value};
use crate::root::Root;
use crate::sensitive;

/// The first twelve hexadecimal digits of the SHA-256 of the governed content in canonical form.
#[must_use]
pub fn digest(root: &Root) -> String {
    let mut canonical = String::new();
    let mut sections: Vec<_> = root.sections().iter().filter(|section| !section.governed.is_empty()).collect();
    sections.sort_by_key(|section| section.key);
    for section in sections {
        let Some(node) = root.section(section.key) else { continue };
        canonical.push_str(section.key);
        canonical.push('=');
        write_governed(node, section.governed, &mut canonical);
        canonical.push('\n');
    }
    let mut context = Context::new(&SHA256);
    context.update(canonical.as_bytes());
    let hash = context.finish();
    to_hex(&hash.as_ref()[..6])
}

fn write_governed(node: &Node, governed: &[&str], canonical: &mut String) {
    let wanted = |key: &str| governed.contains(&"*") || governed.contains(&key);
    match &node.value {
        Value::List(items) => {
            canonical.push('[');
            for item in items.iter() {
                write_map(item, wanted, canonical);
                canonical.push(',');
            }
            canonical.push(']');
        }
        _ => write_map(node, wanted, canonical),
    }
}

fn write_map(node: &Node, wanted: impl Fn(&str) -> bool, canonical: &mut String) {
    let Value::Map(entries) = &node.value else { return write_value(node, canonical) };
    let mut entries: Vec<_> = entries.iter().filter(|entry| wanted(&entry.key) && !entry.value.is_null()).collect();
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    canonical.push('{');
    for entry in entries {
        write_text(&entry.key, canonical);
        canonical.push(':');
        let is_login = entry.value.as_str().is_some_and(|text| sensitive::is_login(&entry.key, text));
        if sensitive::is_secret_key(&entry.key) || is_login {
            write_secret(&entry.value, canonical);
        } else {
            write_value(&entry.value, canonical);
        }
        canonical.push(',');
    }
    canonical.push('}');
}

fn write_value(node: &Node, canonical: &mut String) {
    match &node.value {
        Value::Null => canonical.push_str("null"),
        Value::Bool(value) => canonical.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => canonical.push_str(&number.to_string()),
        Value::Float(number) => canonical.push_str(&number.to_string()),
        Value::String(text) => write_text(text, canonical),
        Value::List(_) => write_governed(node, &["*"], canonical),
        Value::Map(_) => write_map(node, |_| true, canonical),
    }
}

/// The shape of a secret, and the variables that it is made of: which headers are sent is policy, their values not.
fn write_secret(node: &Node, canonical: &mut String) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| write_secret(item, canonical)),
        Value::Map(entries) => {
            let mut keys: Vec<&str> = entries.iter().map(|entry| &*entry.key).collect();
            keys.sort_unstable();
            keys.into_iter().for_each(|key| write_text(key, canonical));
        }
        _ => canonical.push_str("[secret]"),
    }
}

/// Text in quotes, escaped as JSON does, so that no two contents have one form.
fn write_text(text: &str, canonical: &mut String) {
    canonical.push_str(&serde_json::Value::from(text).to_string());
}
