//! `${VARIABLE}`, `${VARIABLE:-default}` and `$$` in the text values of a document.
//!
//! Keys are left alone, and so is a `$` that begins neither. A value that came from outside keeps what was written in
//! the file beside it, since only that may be shown. A replaced value stays text; where a number is wanted,
//! `decode` reads the text as one, so that a key made of digits stays a key.

use std::sync::Arc;

use tradewind_core::Code;

use crate::node::{Entry, Node, Shortened, Value};
use crate::problem::{Problem, Problems};
use crate::yaml::MOST_TEXT;

/// Looks a variable up; `None` when it is not set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces the variables below `node`, which stands at `path`; what cannot be replaced goes to `problems`.
pub(crate) fn interpolate(node: &Node, path: &str, lookup: Lookup<'_>, problems: &mut Problems) -> Node {
    let mut pass = Pass { lookup, problems, text: 0 };
    pass.node(node, path).unwrap_or_else(|| node.clone())
}

struct Pass<'a> {
    lookup: Lookup<'a>,
    problems: &'a mut Problems,
    /// Bytes of text that were made so far.
    text: usize,
}

impl Pass<'_> {
    /// The node with its variables replaced; `None` when there is none in it.
    fn node(&mut self, node: &Node, path: &str) -> Option<Node> {
        match &node.value {
            Value::String(text) => self.string(text, node, path),
            Value::List(items) => {
                let changed = self.children(items, |item| item, |index| format!("{path}[{index}]"))?;
                let mut items = Vec::clone(items);
                for (index, item) in changed {
                    items[index] = item;
                }
                Some(Node { value: Value::List(Arc::new(items)), ..node.clone() })
            }
            Value::Map(entries) => {
                let dot = if path.is_empty() { "" } else { "." };
                let child_path = |index: usize| format!("{path}{dot}{}", entries[index].key);
                let changed = self.children(entries, |entry: &Entry| &entry.value, child_path)?;
                let mut entries = Vec::clone(entries);
                for (index, value) in changed {
                    entries[index].value = value;
                }
                Some(Node { value: Value::Map(Arc::new(entries)), ..node.clone() })
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => None,
        }
    }

    fn children<T>(
        &mut self,
        children: &[T],
        node_of: impl Fn(&T) -> &Node,
        path_of: impl Fn(usize) -> String,
    ) -> Option<Vec<(usize, Node)>> {
        let mut changed = Vec::new();
        for (index, child) in children.iter().enumerate() {
            let child = node_of(child);
            if !may_hold_variables(child) {
                continue;
            }
            if let Some(node) = self.node(child, &path_of(index)) {
                changed.push((index, node));
            }
        }
        (!changed.is_empty()).then_some(changed)
    }

    fn string(&mut self, text: &str, node: &Node, path: &str) -> Option<Node> {
        if !text.contains('$') {
            return None;
        }
        match self.replaced(text) {
            Ok(replaced) if replaced == text => None,
            Ok(replaced) => {
                self.text = self.text.saturating_add(replaced.len());
                if self.text > MOST_TEXT {
                    let message = format!("the replaced variables come to more than {MOST_TEXT} bytes of text");
                    self.problems.push(Problem::new(Code::ConfigUnreadable, node.place, path, message));
                    return None;
                }
                Some(Node { value: Value::String(replaced.into()), place: node.place, raw: Some(Arc::from(text)) })
            }
            Err((message, hint)) => {
                let problem = Problem::new(Code::ConfigUnknownName, node.place, path, message);
                self.problems.push(problem.with_hint(hint));
                Some(Node { value: Value::Null, place: node.place, raw: Some(Arc::from(text)) })
            }
        }
    }

    fn replaced(&self, text: &str) -> Result<String, (String, String)> {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            replaced.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                replaced.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let Some((inside, after)) = after.split_once('}') else {
                    return Err(("`${` without its `}`".to_owned(), "write ${NAME}, or $$ for a dollar".to_owned()));
                };
                replaced.push_str(&self.variable(inside)?);
                if replaced.len() > MOST_TEXT {
                    return Err((
                        format!("the replaced variables come to more than {MOST_TEXT} bytes of text"),
                        "use shorter values".to_owned(),
                    ));
                }
                rest = after;
            } else {
                replaced.push('$');
            }
        }
        replaced.push_str(rest);
        Ok(replaced)
    }

    /// The value of what stands between the braces.
    fn variable(&self, inside: &str) -> Result<String, (String, String)> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let mut characters = name.chars();
        let starts_right = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if !starts_right || !characters.all(|next| next.is_ascii_alphanumeric() || next == '_') {
            return Err((
                format!("`${{{}}}` does not name a variable", Shortened(inside)),
                "write ${NAME} or ${NAME:-default}, and $$ for a dollar".to_owned(),
            ));
        }
        match ((self.lookup)(name), default) {
            // As in a shell, `:-` stands in for a variable that is empty, too.
            (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
            (Some(value), _) => Ok(value),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err((
                format!("the environment variable {name} is not set"),
                format!("set it, or give a default: ${{{name}:-value}}"),
            )),
        }
    }
}

/// Spares the making of paths for the many values that hold no variable.
fn may_hold_variables(node: &Node) -> bool {
    match &node.value {
        Value::String(text) => text.contains('$'),
        Value::List(_) | Value::Map(_) => true,
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
    }
}
