//! `rules` and `sub-rules`: each line by the grammar of [`Rule`], with its place.

use std::collections::HashSet;
use std::sync::Arc;

use tradewind_core::Code;

use super::names::Names;
use super::reader::{Fields, Reader};
use crate::node::{Node, Place, Shortened};
use crate::ways::{KnownNames, Rule, RuleError, Rules};

/// The most rules of the document, sub-rules included.
pub const MOST_RULES: usize = 200_000;

/// Reads both sections. `lists` are the names of `rule-providers`.
pub(super) fn decode(reader: &mut Reader<'_>, top: &Fields<'_>, names: &Names<'_>, lists: &HashSet<&str>) -> Rules {
    let written = top.get("sub-rules").map(|node| reader.entries(node, "sub-rules")).unwrap_or_default();
    let sub_names: HashSet<&str> = written.iter().map(|(name, ..)| &***name).collect();
    let known = KnownNames {
        is_way: &|name| names.is_target(name),
        is_list: &|name| lists.contains(name),
        is_sub_rules: &|name| sub_names.contains(name),
    };
    let mut room = MOST_RULES;
    let mut sub = Vec::with_capacity(written.len());
    for (name, place, node, path) in &written {
        if name.is_empty() {
            reader.refuse(*place, path.clone(), "sub-rule name is empty", "");
        }
        let whose = format!("sub-rules[{}]", Shortened(name));
        let rules = lines(reader, node, path, &whose, known, names, &mut room);
        sub.push((Arc::clone(name), rules));
    }
    let main = match top.get("rules") {
        Some(node) => lines(reader, node, "rules", "rules", known, names, &mut room),
        None => Vec::new(),
    };
    let rules = Rules { main, sub };
    if let Err(error) = rules.check_circles() {
        let place = top.node.entry("sub-rules").map_or_else(Place::default, |entry| entry.key_place);
        reader.refuse(place, "sub-rules", error.to_string(), "let one of them end elsewhere");
    }
    rules
}

fn lines(
    reader: &mut Reader<'_>,
    node: &Node,
    path: &str,
    whose: &str,
    known: KnownNames<'_>,
    names: &Names<'_>,
    room: &mut usize,
) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(node.items().len());
    for (index, (item, path)) in reader.items(node, path).into_iter().enumerate() {
        let Some(line) = reader.text_of(item, &path) else { continue };
        if *room == 0 {
            reader.refuse(item.place, path, format!("there are more than {MOST_RULES} rules"), "use rule-providers");
            break;
        }
        *room -= 1;
        let error = match Rule::parse(&line, known) {
            Ok(rule) => {
                rules.push(rule);
                continue;
            }
            Err(error) => error,
        };
        let shown = item.raw.as_deref().unwrap_or(&line);
        let code = match error {
            RuleError::NoProxy(_) | RuleError::NoRuleSet(_) | RuleError::NoSubRule(_) => Code::ConfigUnknownName,
            RuleError::NotBuilt(_) => Code::ConfigNotBuilt,
            _ => Code::ConfigBadValue,
        };
        // A message of the grammar may show what came from a variable.
        let reason = if item.raw.is_some() { "the line is not a rule".to_owned() } else { error.to_string() };
        let message = format!("{whose}[{index}] [{}] error: {reason}", Shortened(shown));
        let hint = if let RuleError::NoProxy(name) = &error { names.near(name, reader) } else { String::new() };
        reader.refuse_as(code, item.place, path, message, &hint);
    }
    rules
}
