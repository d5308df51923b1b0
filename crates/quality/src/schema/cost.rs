//! How much work a schema can make, found out before it is compiled and before it is used.
//!
//! Schemas come with requests, so whoever may ask may also ask for work. Validating takes time that grows exponentially
//! with a schema's length where references are used twice (`allOf: [a, a]`, where `a` is `allOf: [b, b]`, and so on), and
//! recursion as deep as the longest chain of references. No validator that is kept can be stopped in the middle, so the
//! work is counted first: once for the schema, and where that is not enough, for the schema and the text together. Counting
//! visits each pair of a subschema and a value once, and is itself bounded.

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

/// How deep schemas, with their references followed, may apply to each other. Compiling and validating take less than
/// 2 KiB of stack for each level.
const DEEPEST: usize = 256;
/// The most evaluations of a subschema for one text; about 10 ms.
const MOST_EVALUATIONS: u64 = 100_000;
/// The most pairs that are looked at to count them.
const MOST_PAIRS: usize = 10_000;

/// Why a schema is not used.
pub(super) type Refusal = &'static str;

pub(super) const TOO_DEEP: Refusal = "the schema is nested too deep";
pub(super) const ELSEWHERE: Refusal = "the schema refers to another document, or not by a JSON pointer";
pub(super) const TOO_MUCH_WORK: Refusal = "validating would take too much work";

/// What a schema can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// Evaluations for each value of a text at most; `None` when that depends on the text.
    evaluations: Option<u64>,
    /// How many regular expressions there are.
    pub(super) patterns: usize,
}

/// To what part of a value a subschema applies.
enum Applies<'a> {
    /// To the value itself.
    Here(&'a Value),
    /// To the member of this name.
    Member(&'a str, &'a Value),
    /// To some members, or to some items.
    Some(&'a Value),
}

/// Hands each subschema that `schema` applies to `each`. References have been checked.
fn each_applied<'a>(root: &'a Value, schema: &'a Map<String, Value>, each: &mut dyn FnMut(Applies<'a>)) {
    for (key, value) in schema {
        match (key.as_str(), value) {
            ("$ref", Value::String(reference)) => {
                if let Some(target) = resolve(root, reference) {
                    each(Applies::Here(target));
                }
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(list)) => list.iter().for_each(|one| each(Applies::Here(one))),
            ("not" | "if" | "then" | "else", one) => each(Applies::Here(one)),
            ("dependentSchemas" | "dependencies", Value::Object(map)) => {
                map.values().for_each(|one| each(Applies::Here(one)));
            }
            ("properties", Value::Object(map)) => {
                map.iter().for_each(|(name, one)| each(Applies::Member(name, one)));
            }
            ("patternProperties", Value::Object(map)) => map.values().for_each(|one| each(Applies::Some(one))),
            ("prefixItems" | "items", Value::Array(list)) => list.iter().for_each(|one| each(Applies::Some(one))),
            (
                "additionalProperties"
                | "unevaluatedProperties"
                | "propertyNames"
                | "items"
                | "additionalItems"
                | "unevaluatedItems"
                | "contains",
                one,
            ) => each(Applies::Some(one)),
            _ => {}
        }
    }
}

/// What `#` or `#/pointer` refers to.
fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// Looks at a schema before it is compiled.
pub(super) fn admit(root: &Value) -> Result<Cost, Refusal> {
    let mut patterns = 0;
    check_words(root, root, true, 0, &mut patterns)?;
    let mut walk = Walk { root, known: FxHashMap::default(), is_recursive: false };
    let (evaluations, height) = walk.expand(root, 0)?;
    if height > DEEPEST {
        return Err(TOO_DEEP);
    }
    Ok(Cost { evaluations: (!walk.is_recursive).then_some(evaluations), patterns })
}

/// References lead to a place in the schema itself, by a pointer that is there. What merely looks like a reference, in an
/// example, counts as one.
fn check_words(root: &Value, value: &Value, is_root: bool, depth: usize, patterns: &mut usize) -> Result<(), Refusal> {
    if depth > DEEPEST {
        return Err(TOO_DEEP);
    }
    match value {
        Value::Array(list) => list.iter().try_for_each(|one| check_words(root, one, false, depth + 1, patterns)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            match (key.as_str(), value) {
                ("$ref", Value::String(reference)) => {
                    resolve(root, reference).filter(|_| !reference.contains('%')).ok_or(ELSEWHERE)?;
                }
                ("$dynamicRef" | "$recursiveRef", Value::String(_)) => return Err(ELSEWHERE),
                // It would change what the pointers below it start from.
                ("$id", Value::String(_)) if !is_root => return Err(ELSEWHERE),
                ("pattern", Value::String(_)) => *patterns += 1,
                ("patternProperties", Value::Object(map)) => *patterns += map.len(),
                _ => {}
            }
            check_words(root, value, false, depth + 1, patterns)
        }),
        _ => Ok(()),
    }
}

/// The expansion of a schema, each of its subschemas looked at once.
struct Walk<'a> {
    root: &'a Value,
    /// By address: evaluations and height; `None` while they are being worked out.
    known: FxHashMap<usize, Option<(u64, usize)>>,
    is_recursive: bool,
}

impl<'a> Walk<'a> {
    fn expand(&mut self, schema: &'a Value, depth: usize) -> Result<(u64, usize), Refusal> {
        let Value::Object(map) = schema else { return Ok((1, 1)) };
        let address = std::ptr::from_ref(schema) as usize;
        match self.known.get(&address) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => {
                self.is_recursive = true;
                return Ok((1, 1));
            }
            None => {}
        }
        // A chain that leads back to its beginning is never longer than what is looked at on the way.
        if depth > DEEPEST {
            return Err(TOO_DEEP);
        }
        self.known.insert(address, None);
        let mut applied = Vec::new();
        each_applied(self.root, map, &mut |applies| {
            let (Applies::Here(one) | Applies::Member(_, one) | Applies::Some(one)) = applies;
            applied.push(one);
        });
        let (mut evaluations, mut height) = (1u64, 0);
        for one in applied {
            let (more, below) = self.expand(one, depth + 1)?;
            evaluations = evaluations.saturating_add(more);
            height = height.max(below);
        }
        self.known.insert(address, Some((evaluations, height + 1)));
        Ok((evaluations, height + 1))
    }
}

impl Cost {
    /// Whether `value` may be validated against the schema.
    pub(super) fn allows(&self, root: &Value, value: &Value) -> Result<(), Refusal> {
        if let Some(evaluations) = self.evaluations
            && evaluations.saturating_mul(count_values(value)) <= MOST_EVALUATIONS
        {
            return Ok(());
        }
        let mut pairs = Pairs { root, known: FxHashMap::default() };
        match pairs.count(root, value, 0)? {
            0..=MOST_EVALUATIONS => Ok(()),
            _ => Err(TOO_MUCH_WORK),
        }
    }
}

fn count_values(value: &Value) -> u64 {
    match value {
        Value::Array(list) => 1 + list.iter().map(count_values).sum::<u64>(),
        Value::Object(map) => 1 + map.values().map(count_values).sum::<u64>(),
        _ => 1,
    }
}

/// Subschemas and the values that they apply to, each pair looked at once.
struct Pairs<'a> {
    root: &'a Value,
    known: FxHashMap<(usize, usize), Option<u64>>,
}

impl<'a> Pairs<'a> {
    /// How often a subschema is evaluated when `schema` applies to `value`.
    fn count(&mut self, schema: &'a Value, value: &'a Value, depth: usize) -> Result<u64, Refusal> {
        let Value::Object(map) = schema else { return Ok(1) };
        let pair = (std::ptr::from_ref(schema) as usize, std::ptr::from_ref(value) as usize);
        match self.known.get(&pair) {
            Some(Some(count)) => return Ok(*count),
            // It applies to a value because it applies to that value.
            Some(None) => return Err(TOO_MUCH_WORK),
            None if self.known.len() == MOST_PAIRS || depth > DEEPEST => return Err(TOO_MUCH_WORK),
            None => {}
        }
        self.known.insert(pair, None);
        let mut applied = Vec::new();
        each_applied(self.root, map, &mut |applies| match (applies, value) {
            (Applies::Here(one), _) => applied.push((one, value)),
            (Applies::Member(name, one), Value::Object(members)) => {
                applied.extend(members.get(name).map(|member| (one, member)));
            }
            (Applies::Some(one), Value::Object(members)) => {
                applied.extend(members.values().map(|member| (one, member)))
            }
            (Applies::Some(one), Value::Array(items)) => applied.extend(items.iter().map(|item| (one, item))),
            _ => {}
        });
        let mut count = 1u64;
        for (one, value) in applied {
            count = count.saturating_add(self.count(one, value, depth + 1)?);
        }
        self.known.insert(pair, Some(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn doubling(levels: usize) -> Value {
        let mut defs = Map::new();
        for level in 0..levels {
            let next = format!("#/$defs/{}", level + 1);
            defs.insert(level.to_string(), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
        }
        defs.insert(levels.to_string(), json!({"type": "string"}));
        json!({"$ref": "#/$defs/0", "$defs": defs})
    }

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!("leaf"), |inner, _| json!({"next": inner}))
    }

    #[test]
    fn work_is_counted_before_it_is_done() {
        let value = json!("x");
        for (levels, fine) in [(3, true), (10, true), (40, false), (60, false)] {
            let schema = doubling(levels);
            let cost = admit(&schema).unwrap();
            assert_eq!(cost.allows(&schema, &value).is_ok(), fine, "{levels}");
        }
        // Recursive, and twice for each member: 2 to the power of the depth.
        let twice =
            json!({"allOf": [{"properties": {"next": {"$ref": "#"}}}, {"properties": {"next": {"$ref": "#"}}}]});
        let cost = admit(&twice).unwrap();
        assert_eq!(cost.allows(&twice, &nested(8)), Ok(()));
        assert_eq!(cost.allows(&twice, &nested(40)), Err(TOO_MUCH_WORK));
        // Recursive, and once for each member.
        let once = json!({"properties": {"next": {"$ref": "#"}}});
        assert_eq!(admit(&once).unwrap().allows(&once, &nested(100)), Ok(()));
        let circle = json!({"$ref": "#"});
        assert_eq!(admit(&circle).unwrap().allows(&circle, &value), Err(TOO_MUCH_WORK));
    }

    #[test]
    fn references_stay_within_the_schema() {
        for (schema, refusal) in [
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {}}}), None),
            (json!({"$ref": "https://example.com/schema.json"}), Some(ELSEWHERE)),
            (json!({"$ref": "file:///etc/passwd"}), Some(ELSEWHERE)),
            (json!({"$ref": "other.json#/a"}), Some(ELSEWHERE)),
            (json!({"$ref": "#/$defs/none"}), Some(ELSEWHERE)),
            (json!({"$ref": "#anchor", "$defs": {"a": {"$anchor": "anchor"}}}), Some(ELSEWHERE)),
            (json!({"$dynamicRef": "#a"}), Some(ELSEWHERE)),
            (json!({"$id": "https://example.com/a", "properties": {"b": {"$ref": "#"}}}), None),
            (json!({"properties": {"b": {"$id": "b", "type": "string"}}}), Some(ELSEWHERE)),
            (json!({"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}}}), None),
        ] {
            assert_eq!(admit(&schema).err(), refusal, "{schema}");
        }
    }

    #[test]
    fn chains_have_an_end() {
        let chain = |length: usize| {
            let mut defs = Map::new();
            for link in 0..length {
                defs.insert(link.to_string(), json!({"$ref": format!("#/$defs/{}", link + 1)}));
            }
            defs.insert(length.to_string(), json!({}));
            json!({"$ref": "#/$defs/0", "$defs": defs})
        };
        assert!(admit(&chain(200)).is_ok());
        assert_eq!(admit(&chain(300)).err(), Some(TOO_DEEP));
        assert_eq!(admit(&chain(5000)).err(), Some(TOO_DEEP));
    }

    #[test]
    fn patterns_are_counted() {
        let schema = json!({"pattern": "a", "patternProperties": {"^a": {"pattern": "b"}, "^b": {}}});
        assert_eq!(admit(&schema).unwrap().patterns, 4);
    }
}
