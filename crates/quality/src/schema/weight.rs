//! What one evaluation of a subschema costs beside the subschemas that it applies: texts are searched, lists looked through.
//!
//! The unit is one evaluation of a small subschema, about 100 ns.

use serde_json::{Map, Value};

/// So many steps of a regular expression, each for one of its states and one byte of text, are one unit. An automaton that
/// knows its next state takes one step a byte; one that could not keep its states takes one for each of them.
const STEPS: u64 = 32;
/// So many bytes of a text that are counted or compared are one unit.
const BYTES: u64 = 128;
/// A regular expression has no more states: it could not be compiled.
const MOST_STATES: u64 = 16 << 10;

/// What a subschema costs by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    /// For each value.
    each: u64,
    /// For each byte of a text, in steps: the states of its regular expressions.
    steps: u64,
    /// For all that is in a list: how often its items are told apart.
    told_apart: u64,
}

/// How much there is in a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// How many values, with all that is in it.
    values: u64,
    /// The bytes of its texts and keys.
    bytes: u64,
    /// How many values, each counted once more for each one that it is in.
    nested: u64,
}

impl Weight {
    /// Of a subschema that says nothing.
    pub(super) const LEAST: Self = Self { each: 1, steps: 0, told_apart: 0 };

    /// Of the keywords of `schema`.
    pub(super) fn of(schema: &Map<String, Value>) -> Self {
        let mut weight = Self::LEAST;
        for (key, value) in schema {
            match (key.as_str(), value) {
                ("enum" | "const", value) => {
                    let size = Size::of(value);
                    weight.each += size.values + size.bytes / BYTES;
                }
                ("required", Value::Array(names)) => weight.each += names.len() as u64,
                ("properties", Value::Object(members)) => weight.each += members.len() as u64,
                ("dependencies" | "dependentRequired" | "dependentSchemas", Value::Object(map)) => {
                    let names = |value: &Value| 1 + value.as_array().map_or(0, Vec::len) as u64;
                    weight.each += map.values().map(names).sum::<u64>();
                }
                ("pattern", Value::String(pattern)) => weight.steps += states(pattern),
                // Looked for by the keyword itself, and by that for all other members.
                ("patternProperties", Value::Object(map)) => {
                    weight.steps += map.keys().map(|pattern| 2 * (states(pattern) + STEPS)).sum::<u64>();
                }
                ("minLength" | "maxLength", _) => weight.steps += 1,
                // Worked out exactly, whatever the sizes of the two numbers.
                ("multipleOf", _) => weight.each += 10,
                ("uniqueItems", Value::Bool(true)) => weight.told_apart += 1,
                _ => {}
            }
        }
        weight
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            each: self.each.saturating_add(other.each),
            steps: self.steps.saturating_add(other.steps),
            told_apart: self.told_apart.saturating_add(other.told_apart),
        }
    }

    /// The most units for all values of a text of this size.
    pub(super) const fn units(self, size: Size) -> u64 {
        let texts = self.steps.saturating_mul(size.bytes) / STEPS;
        let lists = self.told_apart.saturating_mul(size.nested.saturating_add(size.bytes));
        self.each.saturating_mul(size.values).saturating_add(texts).saturating_add(lists)
    }

    /// In units, for `value` alone.
    pub(super) fn of_value(self, value: &Value) -> u64 {
        let bytes = match value {
            _ if self.steps == 0 => 0,
            Value::String(text) => text.len() as u64 + 1,
            Value::Object(map) => map.keys().map(|key| key.len() as u64 + 1).sum(),
            _ => 0,
        };
        let lists = match value {
            Value::Array(_) if self.told_apart > 0 => {
                let size = Size::of(value);
                size.values + size.bytes / BYTES
            }
            _ => 0,
        };
        self.each.saturating_add(self.steps.saturating_mul(bytes) / STEPS).saturating_add(lists)
    }

    /// In units, for the names of `members`.
    pub(super) fn of_names(self, members: &Map<String, Value>) -> u64 {
        let bytes: u64 = members.keys().map(|key| key.len() as u64 + 1).sum();
        self.each.saturating_mul(members.len() as u64).saturating_add(self.steps.saturating_mul(bytes) / STEPS)
    }
}

impl Size {
    pub(super) fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value, 1);
        size
    }

    /// JSON that was read is nested 128 deep at most.
    fn add(&mut self, value: &Value, depth: u64) {
        self.values += 1;
        self.nested += depth;
        match value {
            Value::String(text) => self.bytes += text.len() as u64 + 1,
            Value::Array(list) => list.iter().for_each(|one| self.add(one, depth + 1)),
            Value::Object(map) => map.iter().for_each(|(key, one)| {
                self.bytes += key.len() as u64 + 1;
                self.add(one, depth + 1);
            }),
            _ => {}
        }
    }
}

/// About how many states the automaton of a regular expression has, rather too many: characters, times how often they may
/// be repeated. What cannot be read is counted as it is written; the compiler refuses it.
pub(super) fn states(pattern: &str) -> u64 {
    // For each open group: what its alternatives have, and what was read last.
    let mut open: Vec<(u64, u64)> = Vec::new();
    let (mut sum, mut last) = (2u64, 0u64);
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        let atom = match c {
            '(' => {
                open.push((sum + last, 0));
                (sum, last) = (2, 0);
                continue;
            }
            ')' => {
                let group = sum.saturating_add(last);
                (sum, last) = open.pop().unwrap_or((0, 0));
                group
            }
            '*' | '+' | '?' => {
                last = last.saturating_add(2);
                continue;
            }
            '{' => {
                let (times, length) = repeated(rest.as_str());
                if length > 0 {
                    last = last.saturating_mul(times);
                    rest = rest.as_str()[length..].chars();
                    continue;
                }
                1
            }
            '[' => class(&mut rest),
            '.' => 12,
            '\\' => match rest.next() {
                // A property of Unicode has hundreds of ranges.
                Some('p' | 'P') => {
                    let name = rest.as_str().strip_prefix('{').and_then(|name| name.find('}'));
                    rest = rest.as_str()[name.map_or(0, |end| end + 2)..].chars();
                    1000
                }
                Some('a'..='z' | 'A'..='Z') => 20,
                _ => 4,
            },
            _ => c.len_utf8() as u64,
        };
        sum = sum.saturating_add(last);
        last = atom;
    }
    let inner = open.iter().fold(sum.saturating_add(last), |all, (sum, last)| all.saturating_add(sum + last));
    inner.min(MOST_STATES)
}

/// The most repetitions that `{…}`, of which `text` begins behind the brace, asks for, and how long it is; 0 when it is none.
fn repeated(text: &str) -> (u64, usize) {
    let Some(end) = text.find('}') else { return (1, 0) };
    let inner = &text[..end];
    let is_count = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ');
    if inner.is_empty() || !inner.split(',').all(is_count) {
        return (1, 0);
    }
    // A number that is too large to be read is too large to be compiled.
    let number = |part: &str| if part.trim().is_empty() { 0 } else { part.trim().parse().unwrap_or(MOST_STATES) };
    let most = inner.split(',').map(number).max().unwrap_or(1);
    // Without an upper end it loops once more.
    (most.max(1).saturating_add(1), end + 1)
}

/// Reads to the end of `[…]`; how many states it takes at most.
fn class(rest: &mut std::str::Chars<'_>) -> u64 {
    let mut states = 2u64;
    let mut is_first = true;
    while let Some(c) = rest.next() {
        states += match c {
            ']' if !is_first => break,
            '\\' => match rest.next() {
                Some('p' | 'P') => 1000,
                Some('a'..='z' | 'A'..='Z') => 20,
                _ => 4,
            },
            // All other characters of Unicode.
            '^' if is_first => 20,
            _ => c.len_utf8() as u64,
        };
        is_first = false;
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_of_a_pattern_multiply() {
        let date = states("^[0-9]{4}-[0-9]{2}-[0-9]{2}$");
        assert!((50..500).contains(&date), "{date}");
        for (pattern, at_least) in [
            ("[01]*1[01]{300}", 300),
            ("(ab){100}", 200),
            ("((a{10}){10}){10}", 1000),
            ("(a|b{50}){50,}", 2500),
            ("a{0,1000}", 1000),
            ("\\p{L}{16}", MOST_STATES),
            ("(a{99999999999999999999}", MOST_STATES),
            ("(((a{100}", 100),
        ] {
            assert!(states(pattern) >= at_least, "{pattern}: {}", states(pattern));
        }
        assert!(states("abc") < 10);
        for odd in ["", "{", "a{", "a{}", "a{,}", "[", "[]", "[^]]", "\\", ")", "))((", "é{é}"] {
            assert!(states(odd) < 100, "{odd}");
        }
    }
}
