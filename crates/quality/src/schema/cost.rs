//! How much work a schema can make, found out before it is compiled and before it is used.
//!
//! Schemas come with requests, so whoever may ask may also ask for work. Validating takes time that grows exponentially
//! with a schema's length where references are used twice (`allOf: [a, a]`, where `a` is `allOf: [b, b]`, and so on), and
//! recursion as deep as the longest chain of references. No validator that is kept can be stopped in the middle, so the
//! work is counted first: once for the schema, and where that is not enough, for the schema and the text together. Counting
//! visits each pair of a subschema and a value once, and is itself bounded. What a subschema costs by itself, such as a long
//! `enum` or a regular expression over a long text, is counted too ([`super::weight`]), and so is what compiling does
//! beside reading the schema once ([`super::branches`]).

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use super::branches::Branches;
use super::weight::{Size, Weight};

/// How deep schemas, with their references followed, may apply to each other. Compiling and validating take less than
/// 2 KiB of stack for each level.
const DEEPEST: usize = 256;
/// The most work for one text, in evaluations of a small subschema ([`Weight`]); about 10 ms.
const MOST_WORK: u64 = 100_000;
/// The most pairs that are looked at to count it.
const MOST_PAIRS: usize = 10_000;
/// The drafts whose subschemas take no name from `id`.
const WITHOUT_ID: [&str; 4] = ["draft-06/schema", "draft-07/schema", "draft/2019-09/schema", "draft/2020-12/schema"];

/// Why a schema is not used.
pub(super) type Refusal = &'static str;

pub(super) const TOO_DEEP: Refusal = "the schema is nested too deep";
pub(super) const ELSEWHERE: Refusal = "the schema refers to another document, or not by a JSON pointer";
pub(super) const TOO_MUCH_WORK: Refusal = "validating would take too much work";
pub(super) const UNEVALUATED: Refusal = "the schema has `unevaluatedProperties` or `unevaluatedItems`";

/// What a schema can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// The work for a text at most, by its size; `None` when that depends on more than the size.
    work: Option<Weight>,
    /// How many regular expressions there are.
    pub(super) patterns: usize,
}

/// What a subschema with all that it applies costs: for finding out whether a value follows it, and for telling where it
/// does not. Each alternative of `anyOf` and `oneOf` is tried first, and asked for its reasons when none fits; so an
/// alternative within an alternative is tried again.
#[derive(Clone, Copy)]
struct Both<T> {
    trying: T,
    telling: T,
}

/// To what part of a value a subschema applies.
enum Applies<'a> {
    /// To the value itself.
    Here(&'a Value),
    /// To the value itself, beside others of which not all have to fit.
    Either(&'a Value),
    /// To the member of this name.
    Member(&'a str, &'a Value),
    /// To some members, or to some items.
    Some(&'a Value),
    /// To the names of the members.
    Names(&'a Value),
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
            ("allOf", Value::Array(list)) => list.iter().for_each(|one| each(Applies::Here(one))),
            ("anyOf" | "oneOf", Value::Array(list)) => list.iter().for_each(|one| each(Applies::Either(one))),
            ("not" | "if" | "then" | "else", one) => each(Applies::Here(one)),
            ("dependentSchemas" | "dependencies", Value::Object(map)) => {
                map.values().for_each(|one| each(Applies::Here(one)));
            }
            ("properties", Value::Object(map)) => {
                map.iter().for_each(|(name, one)| each(Applies::Member(name, one)));
            }
            ("patternProperties", Value::Object(map)) => map.values().for_each(|one| each(Applies::Some(one))),
            ("prefixItems" | "items", Value::Array(list)) => list.iter().for_each(|one| each(Applies::Some(one))),
            ("additionalProperties" | "items" | "additionalItems" | "contains", one) => each(Applies::Some(one)),
            ("propertyNames", one) => each(Applies::Names(one)),
            _ => {}
        }
    }
}

/// What `#` or `#/pointer` refers to.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// Looks at a schema before it is compiled.
pub(super) fn admit(root: &Value) -> Result<Cost, Refusal> {
    let draft = root.get("$schema").and_then(Value::as_str).map(|draft| draft.trim_end_matches('#'));
    let has_ids = draft.is_some_and(|draft| !WITHOUT_ID.iter().any(|known| draft.ends_with(known)));
    let mut words = Words { root, has_ids, patterns: 0 };
    words.check(root, true, 0)?;
    let patterns = words.patterns;
    let mut walk = Walk { root, known: FxHashMap::default(), is_recursive: false, branches: Branches::new(root) };
    let (work, height) = walk.expand(root, 0)?;
    if height > DEEPEST {
        return Err(TOO_DEEP);
    }
    Ok(Cost { work: (!walk.is_recursive).then_some(work.telling), patterns })
}

/// Looks at every word of a schema, wherever it stands.
struct Words<'a> {
    root: &'a Value,
    /// Whether `id` is the name of a subschema.
    has_ids: bool,
    patterns: usize,
}

impl Words<'_> {
    /// References lead to a place in the schema itself, by a pointer that is there. What merely looks like a reference, in
    /// an example, counts as one.
    fn check(&mut self, value: &Value, is_root: bool, depth: usize) -> Result<(), Refusal> {
        if depth > DEEPEST {
            return Err(TOO_DEEP);
        }
        match value {
            Value::Array(list) => list.iter().try_for_each(|one| self.check(one, false, depth + 1)),
            Value::Object(map) => map.iter().try_for_each(|(key, value)| {
                match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        resolve(self.root, reference).filter(|_| !reference.contains('%')).ok_or(ELSEWHERE)?;
                    }
                    ("$dynamicRef" | "$recursiveRef", Value::String(_)) => return Err(ELSEWHERE),
                    // They would change what the pointers below them start from, or how names are given.
                    ("$id" | "$schema", Value::String(_)) if !is_root => return Err(ELSEWHERE),
                    ("id", Value::String(_)) if !is_root && self.has_ids => return Err(ELSEWHERE),
                    ("pattern", Value::String(_)) => self.patterns += 1,
                    ("patternProperties", Value::Object(map)) => self.patterns += map.len(),
                    _ => {}
                }
                self.check(value, false, depth + 1)
            }),
            _ => Ok(()),
        }
    }
}

/// The expansion of a schema, each of its subschemas looked at once.
struct Walk<'a> {
    root: &'a Value,
    /// By address: work and height; `None` while they are being worked out.
    known: FxHashMap<usize, Option<(Both<Weight>, usize)>>,
    is_recursive: bool,
    branches: Branches<'a>,
}

impl<'a> Walk<'a> {
    fn expand(&mut self, schema: &'a Value, depth: usize) -> Result<(Both<Weight>, usize), Refusal> {
        const LEAST: Both<Weight> = Both { trying: Weight::LEAST, telling: Weight::LEAST };
        let Value::Object(map) = schema else { return Ok((LEAST, 1)) };
        let address = std::ptr::from_ref(schema) as usize;
        match self.known.get(&address) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => {
                self.is_recursive = true;
                return Ok((LEAST, 1));
            }
            None => {}
        }
        // A chain that leads back to its beginning is never longer than what is looked at on the way.
        if depth > DEEPEST {
            return Err(TOO_DEEP);
        }
        // For these the compiler follows references anew each time, and the validator tries what it has tried before.
        if map.contains_key("unevaluatedProperties") || map.contains_key("unevaluatedItems") {
            return Err(UNEVALUATED);
        }
        self.branches.add(map)?;
        self.known.insert(address, None);
        let mut applied = Vec::new();
        each_applied(self.root, map, &mut |applies| match applies {
            Applies::Here(one) | Applies::Member(_, one) | Applies::Some(one) | Applies::Names(one) => {
                applied.push((one, false));
            }
            Applies::Either(one) => applied.push((one, true)),
        });
        let own = Weight::of(map);
        let (mut work, mut height) = (Both { trying: own, telling: own }, 0);
        for (one, is_either) in applied {
            let (more, below) = self.expand(one, depth + 1)?;
            work.trying = work.trying.plus(more.trying);
            work.telling = work.telling.plus(more.telling);
            if is_either {
                work.telling = work.telling.plus(more.trying);
            }
            height = height.max(below);
        }
        self.known.insert(address, Some((work, height + 1)));
        Ok((work, height + 1))
    }
}

impl Cost {
    /// Whether `value` may be validated against the schema.
    pub(super) fn allows(&self, root: &Value, value: &Value) -> Result<(), Refusal> {
        if self.work.is_some_and(|work| work.units(Size::of(value)) <= MOST_WORK) {
            return Ok(());
        }
        let mut pairs = Pairs { root, known: FxHashMap::default(), weights: FxHashMap::default(), seen: 0 };
        match pairs.count(root, value, 0)?.telling {
            0..=MOST_WORK => Ok(()),
            _ => Err(TOO_MUCH_WORK),
        }
    }
}

/// Subschemas and the values that they apply to, each pair looked at once.
struct Pairs<'a> {
    root: &'a Value,
    known: FxHashMap<(usize, usize), Option<Both<u64>>>,
    /// What each subschema costs by itself.
    weights: FxHashMap<usize, Weight>,
    /// What all pairs so far cost by themselves: no less than it took to look at them, and no more than validating takes.
    seen: u64,
}

impl<'a> Pairs<'a> {
    /// What it costs to apply `schema` to `value`.
    fn count(&mut self, schema: &'a Value, value: &'a Value, depth: usize) -> Result<Both<u64>, Refusal> {
        let Value::Object(map) = schema else { return Ok(Both { trying: 1, telling: 1 }) };
        let address = std::ptr::from_ref(schema) as usize;
        let pair = (address, std::ptr::from_ref(value) as usize);
        match self.known.get(&pair) {
            Some(Some(count)) => return Ok(*count),
            // It applies to a value because it applies to that value.
            Some(None) => return Err(TOO_MUCH_WORK),
            None if self.known.len() == MOST_PAIRS || depth > DEEPEST => return Err(TOO_MUCH_WORK),
            None => {}
        }
        self.known.insert(pair, None);
        let mut own = self.weights.entry(address).or_insert_with(|| Weight::of(map)).of_value(value);
        let (mut applied, mut names) = (Vec::new(), None);
        each_applied(self.root, map, &mut |applies| match (applies, value) {
            // More than all of it may cost.
            _ if applied.len() as u64 > MOST_WORK => {}
            (Applies::Here(one), _) => applied.push((one, value, false)),
            (Applies::Either(one), _) => applied.push((one, value, true)),
            (Applies::Member(name, one), Value::Object(members)) => {
                applied.extend(members.get(name).map(|member| (one, member, false)));
            }
            (Applies::Some(one), Value::Object(members)) => {
                applied.extend(members.values().map(|member| (one, member, false)));
            }
            (Applies::Some(one), Value::Array(items)) => applied.extend(items.iter().map(|item| (one, item, false))),
            (Applies::Names(Value::Object(one)), Value::Object(members)) => names = Some((one, members)),
            _ => {}
        });
        if let Some((schema, members)) = names {
            own = own.saturating_add(self.names(schema, members)?);
        }
        self.seen = self.seen.saturating_add(own).saturating_add(applied.len() as u64);
        if self.seen > MOST_WORK {
            return Err(TOO_MUCH_WORK);
        }
        let mut count = Both { trying: own, telling: own };
        for (one, value, is_either) in applied {
            let more = self.count(one, value, depth + 1)?;
            count.trying = count.trying.saturating_add(more.trying);
            count.telling = count.telling.saturating_add(more.telling);
            if is_either {
                count.telling = count.telling.saturating_add(more.trying);
            }
        }
        self.known.insert(pair, Some(count));
        Ok(count)
    }

    /// What it costs to apply `schema` to the names of `members`. They are no values that could be looked at, so only what
    /// the schema says by itself is counted; one that applies others is counted by its size alone, or not at all.
    fn names(&self, schema: &'a Map<String, Value>, members: &Map<String, Value>) -> Result<u64, Refusal> {
        let mut is_plain = true;
        each_applied(self.root, schema, &mut |_| is_plain = false);
        let weight = Weight::of(schema);
        if is_plain { Ok(weight.of_names(members)) } else { Err(TOO_MUCH_WORK) }
    }
}

#[cfg(test)]
mod tests;
