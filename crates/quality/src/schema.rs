//! JSON Schemas of requests: compiled by the `jsonschema` crate, kept for the next request with the same one.
//!
//! Schemas are a caller's words, so everything about them is bounded: their length, depth, references, patterns and the
//! work that they make ([`cost`]), and how many are kept. References lead to places within the schema only; nothing is
//! fetched, from no file and no host. Patterns run on an engine of linear time. `format` is not asserted: the drafts
//! disagree about it, and most authors mean it as a comment. A schema that is over a bound is not used, which a verdict
//! notes; it never fails an answer.
//!
//! Refused: `boon` (brings `url` and `idna`, and no release for two years), a validator of our own (the official test suite
//! has thousands of cases).

mod branches;
mod cost;
mod weight;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use cost::{Cost, Refusal};

/// The longest schema that is used, in bytes.
const LONGEST_SCHEMA: usize = 64 << 10;
/// The longest text that is validated, in bytes.
const LONGEST_TEXT: usize = 1 << 20;
/// The most regular expressions of a schema.
const MOST_PATTERNS: usize = 32;
/// How much memory a compiled regular expression may take, and the transitions that it remembers.
const LARGEST_PATTERN: usize = 256 << 10;
/// About how much memory a byte of a schema takes when it is compiled.
const WEIGHT_OF_BYTE: usize = 16;
/// How many schemas are kept.
const MOST_SCHEMAS: usize = 256;
/// About how much memory they take together.
const MOST_WEIGHT: usize = 32 << 20;
/// The longest place in a schema that is told, in characters.
const LONGEST_PLACE: usize = 120;

/// A schema that can be validated against.
pub(crate) struct Compiled {
    validator: Validator,
    source: Value,
    cost: Cost,
}

/// What a schema came to.
pub(crate) type Outcome = Result<Arc<Compiled>, Refusal>;

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It fails, for this reason.
    Fails(String),
    /// It cannot be judged.
    Unjudged(Refusal),
}

impl Compiled {
    fn new(schema: &str) -> Result<Self, Refusal> {
        let source: Value = serde_json::from_str(schema).map_err(|_| "the schema is no JSON, or nested too deep")?;
        let cost = cost::admit(&source)?;
        if cost.patterns > MOST_PATTERNS {
            return Err("the schema has more than 32 patterns");
        }
        let patterns = PatternOptions::regex().size_limit(LARGEST_PATTERN).dfa_size_limit(LARGEST_PATTERN);
        let options = jsonschema::options().offline().with_pattern_options(patterns).should_validate_formats(false);
        let validator = options.build(&source).map_err(|_| "the schema is not valid")?;
        Ok(Self { validator, source, cost })
    }

    /// Whether `value` follows the schema. What is told of it are places in the schema.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Mismatch> {
        self.cost.allows(&self.source, value).map_err(Mismatch::Unjudged)?;
        let Err(error) = self.validator.validate(value) else { return Ok(()) };
        // A schema's keys are the caller's, and may be anything.
        let place = error.schema_path().as_str().chars();
        let place: String = place.take(LONGEST_PLACE).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
        Err(Mismatch::Fails(format!("{} of the schema is not met", if place.is_empty() { "/" } else { &place })))
    }
}

/// Reads a JSON text that is to be validated.
pub(crate) fn parse(text: &str) -> Result<Value, Mismatch> {
    if text.len() > LONGEST_TEXT {
        return Err(Mismatch::Unjudged("the text is over 1 MiB"));
    }
    serde_json::from_str(text).map_err(|error| {
        Mismatch::Fails(match error.classify() {
            serde_json::error::Category::Eof => "is cut off in the middle of its JSON".to_owned(),
            _ => format!("is not JSON at line {} column {}", error.line(), error.column()),
        })
    })
}

/// The schemas that were used last, compiled; shared by all models. At most 256, and about 32 MiB.
#[derive(Default)]
pub struct SchemaCache {
    state: RandomState,
    kept: Mutex<Kept>,
}

impl std::fmt::Debug for SchemaCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchemaCache").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Kept {
    entries: Vec<Entry>,
    weight: usize,
    uses: u64,
}

struct Entry {
    hash: u64,
    schema: Box<str>,
    outcome: Outcome,
    weight: usize,
    used: u64,
}

impl SchemaCache {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many schemas are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Entries are put in and taken out whole, so a panic elsewhere leaves nothing half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The compiled schema. Two that compile the same one at the same time both do the work, so that nobody waits.
    pub(crate) fn get(&self, schema: &str) -> Outcome {
        if schema.len() > LONGEST_SCHEMA {
            return Err("the schema is over 64 KiB");
        }
        let hash = self.state.hash_one(schema);
        if let Some(known) = self.lock().find(hash, schema) {
            return known;
        }
        let outcome = Compiled::new(schema).map(Arc::new);
        let patterns = outcome.as_ref().map_or(0, |compiled| compiled.cost.patterns);
        let weight = match outcome {
            Ok(_) => schema.len() * WEIGHT_OF_BYTE + patterns * 2 * LARGEST_PATTERN,
            Err(_) => schema.len(),
        };
        let entry = Entry { hash, schema: schema.into(), outcome: outcome.clone(), weight, used: 0 };
        self.lock().add(entry);
        outcome
    }
}

impl Kept {
    fn find(&mut self, hash: u64, schema: &str) -> Option<Outcome> {
        self.uses += 1;
        // Comparing the whole text: two schemas of one hash are two schemas.
        let entry = self.entries.iter_mut().find(|entry| entry.hash == hash && *entry.schema == *schema)?;
        entry.used = self.uses;
        Some(entry.outcome.clone())
    }

    fn add(&mut self, mut entry: Entry) {
        entry.used = self.uses;
        self.weight += entry.weight;
        self.entries.push(entry);
        while self.entries.len() > MOST_SCHEMAS || self.weight > MOST_WEIGHT {
            let oldest = (0..self.entries.len()).min_by_key(|at| self.entries[*at].used);
            let Some(oldest) = oldest.map(|at| self.entries.swap_remove(at)) else { return };
            self.weight -= oldest.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: &str, text: &str) -> Result<(), Mismatch> {
        SchemaCache::new().get(schema).map_err(Mismatch::Unjudged)?.check(&parse(text)?)
    }

    #[test]
    fn what_fails_is_told_by_the_place_in_the_schema() {
        let person = r##"{"type":"object","properties":{"name":{"type":"string"},"age":{"$ref":"#/$defs/age"}},
            "required":["name"],"additionalProperties":false,"$defs":{"age":{"type":"integer","minimum":0}}}"##;
        for (text, why) in [
            (r#"{"name":"Ada","age":36}"#, None),
            (r#"{"name":"Ada"}"#, None),
            (r#"{"age":36}"#, Some("/required of the schema is not met")),
            (r#"{"name":7}"#, Some("/properties/name/type of the schema is not met")),
            (r#"{"name":"Ada","age":-1}"#, Some("/$defs/age/minimum of the schema is not met")),
            (r#"{"name":"Ada","secret words":1}"#, Some("/additionalProperties of the schema is not met")),
            (r#"["Ada"]"#, Some("/type of the schema is not met")),
            ("Here it is:\n{}", Some("is not JSON at line 1 column 1")),
            (r#"{"name":"Ada"#, Some("is cut off in the middle of its JSON")),
            ("```json\n{}\n```", Some("is not JSON at line 1 column 1")),
        ] {
            let expected = why.map_or(Ok(()), |why| Err(Mismatch::Fails(why.to_owned())));
            assert_eq!(check(person, text), expected, "{text}");
        }
    }

    #[test]
    fn schemas_over_a_bound_fail_nothing() {
        let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(LONGEST_SCHEMA));
        let patterns: Vec<_> = (0..=MOST_PATTERNS).map(|n| json!({"pattern": n.to_string()})).collect();
        for (schema, why) in [
            ("{", "the schema is no JSON, or nested too deep"),
            (r#"{"type":"strange"}"#, "the schema is not valid"),
            (r#"{"pattern":"(?=look)"}"#, "the schema is not valid"),
            (r#"{"pattern":"\\w{1000}{1000}"}"#, "the schema is not valid"),
            (r#"{"$ref":"https://example.com/"}"#, cost::ELSEWHERE),
            (r#"{"$schema":"https://example.com/mine"}"#, "the schema is not valid"),
            (&json!({"allOf": patterns}).to_string(), "the schema has more than 32 patterns"),
            (&long, "the schema is over 64 KiB"),
        ] {
            assert_eq!(check(schema, "{}"), Err(Mismatch::Unjudged(why)), "{schema}");
        }
        let text = format!("\"{}\"", "x".repeat(LONGEST_TEXT));
        assert_eq!(check("{}", &text), Err(Mismatch::Unjudged("the text is over 1 MiB")));
    }

    /// Definitions `0` to `levels`, each of which refers to the next one twice, by `keyword`.
    fn doubling(levels: usize, keyword: &str) -> Value {
        let twice = |next: String| json!({keyword: [{"$ref": next}, {"$ref": next}]});
        let defs = (0..levels).map(|level| (level.to_string(), twice(format!("#/definitions/{}", level + 1))));
        defs.chain([(levels.to_string(), json!({}))]).collect()
    }

    /// Compiling any of these for real would not end.
    #[test]
    fn schemas_whose_compiling_would_never_end_are_not_compiled() {
        let (all, any) = (doubling(60, "allOf"), doubling(60, "anyOf"));
        let wide: Value = (0..20)
            .map(|level| {
                let next = json!({"$ref": format!("#/definitions/{}", (level + 1) % 20)});
                (level.to_string(), json!({"allOf": vec![next; 20]}))
            })
            .collect();
        let first = json!({"$ref": "#/definitions/0"});
        for (keyword, definitions) in [("unevaluatedProperties", &all), ("unevaluatedItems", &any)] {
            let schema = json!({keyword: false, "$ref": "#/definitions/0", "definitions": definitions});
            assert_eq!(check(&schema.to_string(), "{}"), Err(Mismatch::Unjudged(cost::UNEVALUATED)), "{keyword}");
            let inner = json!({"properties": {"a": schema["$ref"].clone(), "b": {keyword: false}}});
            assert_eq!(check(&inner.to_string(), "{}"), Err(Mismatch::Unjudged(cost::UNEVALUATED)), "{keyword}");
        }
        for definitions in [&all, &any] {
            let schema = json!({"$ref": "#/definitions/0", "definitions": definitions});
            assert_eq!(check(&schema.to_string(), "{}"), Err(Mismatch::Unjudged(cost::TOO_MUCH_WORK)));
        }
        let alternatives = json!({"anyOf": [first, first, first], "definitions": wide});
        assert_eq!(check(&alternatives.to_string(), "{}"), Err(Mismatch::Unjudged(cost::TOO_MUCH_WORK)));
        // In draft 4 `id` is what `$id` is in later ones: the reference leads to the inner definitions.
        let hidden = json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "definitions": {"0": {}},
            "allOf": [{"id": "http://x/", "definitions": all, "allOf": [first]}],
        });
        assert_eq!(check(&hidden.to_string(), "\"x\""), Err(Mismatch::Unjudged(cost::ELSEWHERE)));
    }

    #[test]
    fn schemas_are_compiled_once_and_the_oldest_go_first() {
        let cache = SchemaCache::new();
        let first = cache.get(r#"{"type":"object"}"#).unwrap();
        for number in 0..MOST_SCHEMAS * 2 {
            cache.get(&json!({"const": number}).to_string()).unwrap();
            assert!(Arc::ptr_eq(&first, &cache.get(r#"{"type":"object"}"#).unwrap()), "it is used again and again");
        }
        assert_eq!(cache.len(), MOST_SCHEMAS);
        for number in 0..8 {
            let patterns: Vec<_> = (0..MOST_PATTERNS).map(|n| json!({"pattern": format!("{number} {n}")})).collect();
            cache.get(&json!({"allOf": patterns}).to_string()).unwrap();
        }
        let kept = cache.lock();
        assert!(kept.weight <= MOST_WEIGHT && kept.entries.len() < 4, "patterns weigh much");
        assert_eq!(kept.weight, kept.entries.iter().map(|entry| entry.weight).sum::<usize>());
    }
}
