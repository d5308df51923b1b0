//! Lists that are text: a line for each rule, or YAML with `payload`.
//!
//! Lists in YAML are a hundred thousand lines of `  - '+.example.com'`, so these are read as the lines that they are, as
//! mihomo does it too. A document that has anything else in it is read as YAML, within the bounds that the configuration has.

use std::borrow::Cow;

use tradewind_policy::{Node, Problems, Value, parse_yaml};

use super::ListError;

/// A line each; what starts with `#` or `//` is a comment.
pub(super) fn plain(text: &str, take: &mut dyn FnMut(&str) -> Result<(), ListError>) -> Result<(), ListError> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.starts_with('#') && !line.starts_with("//")).try_for_each(take)
}

/// YAML with a list under `payload`, or `rules`.
pub(super) fn yaml(text: &str, take: &mut dyn FnMut(&str) -> Result<(), ListError>) -> Result<(), ListError> {
    if is_plain(text) { items(text).flatten().try_for_each(|item| take(&item)) } else { document(text, take) }
}

/// Whether every line is empty, a comment, the head or an item that can be read on its own.
fn is_plain(text: &str) -> bool {
    let mut heads = 0;
    for line in text.lines() {
        if is_head(line) {
            heads += 1;
        } else if !is_nothing(line) && (heads == 0 || item(line).is_none()) {
            return false;
        }
    }
    heads == 1
}

fn items(text: &str) -> impl Iterator<Item = Option<Cow<'_, str>>> {
    text.lines().filter(|line| !is_nothing(line) && !is_head(line)).map(item)
}

fn is_nothing(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn is_head(line: &str) -> bool {
    matches!(line.trim_end(), "payload:" | "rules:")
}

/// The scalar of `  - 'text'`; `None` for what needs a YAML parser.
fn item(line: &str) -> Option<Cow<'_, str>> {
    let text = line.trim_start_matches(' ').strip_prefix("- ")?.trim();
    if let Some(inner) = text.strip_prefix('\'') {
        let inner = inner.strip_suffix('\'')?;
        return (!inner.contains('\'')).then_some(inner.into());
    }
    if let Some(inner) = text.strip_prefix('"') {
        let inner = inner.strip_suffix('"')?;
        return (!inner.contains(['"', '\\'])).then_some(inner.into());
    }
    // What an indicator starts, or may end, is not plain (YAML 1.2 §7.3.3). `*.example.com` without quotes is no YAML
    // either, but nothing else can be meant by it.
    let is_plain = (text.starts_with(|first: char| first.is_ascii_alphanumeric() || "+._".contains(first))
        || text.starts_with("*."))
        && !text.contains(" #")
        && !text.contains(": ")
        && !text.ends_with(':');
    is_plain.then_some(text.into())
}

fn document(text: &str, take: &mut dyn FnMut(&str) -> Result<(), ListError>) -> Result<(), ListError> {
    let mut problems = Problems::new();
    let root = parse_yaml(text, &mut problems);
    let told = || problems.list().first().map_or_else(String::new, |problem| problem.message.clone());
    let root = root.ok_or_else(|| ListError::NotYaml(told()))?;
    let list = ["payload", "rules"].into_iter().find_map(|key| root.get(key));
    let list = list.ok_or_else(|| ListError::NotYaml("there is no such key".to_owned()))?;
    match &list.value {
        Value::List(items) => items.iter().filter_map(scalar).try_for_each(|item| take(&item)),
        _ if list.is_null() => Ok(()),
        _ => Err(ListError::NotYaml("it is no list".to_owned())),
    }
}

/// The text of a scalar.
fn scalar(node: &Node) -> Option<Cow<'_, str>> {
    match &node.value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Int(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(truth.to_string().into()),
        Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    }
}
