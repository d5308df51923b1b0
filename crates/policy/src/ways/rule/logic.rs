//! Logical rules: `((DOMAIN,x),(NETWORK,udp))`.

use std::sync::Arc;

use super::grammar::{Reader, trim};
use super::{Condition, RuleError, RuleKind};

/// How deep conditions may stand in conditions.
pub const MOST_NESTING: usize = 16;
/// The most conditions of one rule, at all depths together.
pub const MOST_CONDITIONS: usize = 1024;

/// Reads the payload of a logical rule; gives it back as the controller API shows it.
pub(super) fn read(reader: &mut Reader<'_>, kind: &str, payload: &str) -> Result<(RuleKind, Arc<str>), RuleError> {
    if reader.level == MOST_NESTING {
        return Err(RuleError::TooDeep);
    }
    reader.level += 1;
    let read = read_level(reader, kind, payload);
    reader.level -= 1;
    read
}

fn read_level(reader: &mut Reader<'_>, kind: &str, payload: &str) -> Result<(RuleKind, Arc<str>), RuleError> {
    let is_enclosed = payload.starts_with('(') && payload.ends_with(')');
    if kind == "SUB-RULE" {
        let inner = if is_enclosed { enclosed(payload)? } else { Vec::new() };
        let [inner] = inner.as_slice() else { return Err(RuleError::SubRuleNotOne) };
        let condition = inner_condition(reader, inner)?;
        return Ok((RuleKind::SubRules(Box::new(condition)), payload.into()));
    }
    let outer = if is_enclosed { enclosed(payload)? } else { Vec::new() };
    let [inner] = outer.as_slice() else { return Err(RuleError::LogicFormat) };
    let conditions = enclosed(inner)?.into_iter().map(|inner| inner_condition(reader, inner));
    let mut conditions = conditions.collect::<Result<Vec<_>, _>>()?;
    match kind {
        "NOT" => {
            let condition = conditions.pop().filter(|_| conditions.is_empty()).ok_or(RuleError::NotOne)?;
            let shown = format!("(!{})", shown(&condition));
            Ok((RuleKind::Not(Box::new(condition)), shown.into()))
        }
        "AND" if conditions.is_empty() => Err(RuleError::NoConditions("and")),
        "OR" if conditions.is_empty() => Err(RuleError::NoConditions("or")),
        _ => {
            let texts: Vec<String> = conditions.iter().map(shown).collect();
            let shown = format!("({})", texts.join(if kind == "AND" { " && " } else { " || " }));
            let read = if kind == "AND" { RuleKind::And(conditions) } else { RuleKind::Or(conditions) };
            Ok((read, shown.into()))
        }
    }
}

fn inner_condition(reader: &mut Reader<'_>, text: &str) -> Result<Condition, RuleError> {
    reader.conditions += 1;
    if reader.conditions > MOST_CONDITIONS {
        return Err(RuleError::TooManyConditions);
    }
    let kind = text.split(',').next().map(trim).unwrap_or_default().to_ascii_uppercase();
    match kind.as_str() {
        "" => Err(RuleError::EmptyCondition),
        "MATCH" | "SUB-RULE" => Err(RuleError::NotInLogic(kind.into())),
        _ => reader.targetless(text),
    }
}

fn shown(condition: &Condition) -> String {
    format!("({},{})", condition.type_name(), condition.payload)
}

/// What stands in the outermost parentheses: `(a),(b(c))` has `a` and `b(c)`. Between them stand commas and spaces only.
fn enclosed(text: &str) -> Result<Vec<&str>, RuleError> {
    let (mut found, mut open, mut start) = (Vec::new(), 0_usize, 0);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => {
                if open == 0 {
                    start = place + 1;
                }
                open += 1;
            }
            b')' => {
                open = open.checked_sub(1).ok_or(RuleError::Unopened)?;
                if open == 0 {
                    found.push(trim(&text[start..place]));
                }
            }
            b',' | b' ' => {}
            _ if open == 0 => return Err(RuleError::LogicFormat),
            _ => {}
        }
    }
    if open > 0 { Err(RuleError::Parenthesis) } else { Ok(found) }
}
