//! What a schema can cost: small ones are used, and those that would take too much work are not.

use serde_json::json;

use super::*;

const DRAFT_4: &str = "http://json-schema.org/draft-04/schema#";

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
    let twice = json!({"allOf": [{"properties": {"next": {"$ref": "#"}}}, {"properties": {"next": {"$ref": "#"}}}]});
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
fn what_a_subschema_does_by_itself_counts() {
    let text = |length: usize| json!("01".repeat(length / 2));
    let many =
        |one: Value, times: usize| json!({"allOf": vec![json!({"$ref": "#/$defs/p"}); times], "$defs": {"p": one}});
    let pattern = json!({"pattern": "[01]*1[01]{300}"});
    let numbers = |count: usize| json!((0..count).collect::<Vec<_>>());
    let named = json!({"propertyNames": {"pattern": "^([01]{20}x?){20}$"}, "properties": {"a": {"$ref": "#"}}});
    for (schema, value, is_fine) in [
        (many(pattern.clone(), 1), text(100), true),
        (many(pattern.clone(), 2500), text(16 << 10), false),
        (many(pattern, 1), text(64 << 10), false),
        (many(json!({"pattern": "^[a-z]+$"}), 10), text(10_000), true),
        (json!({"items": {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}}), json!(vec!["2026-11-22"; 300]), true),
        (json!({"items": {"not": {"enum": numbers(13_000)}}}), numbers(4_000), false),
        (json!({"items": {"enum": numbers(20)}}), numbers(1_000), true),
        (many(json!({"required": vec!["a"; 5_000]}), 2_000), json!({"a": 1}), false),
        (many(json!({"uniqueItems": true}), 1), numbers(10_000), true),
        (many(json!({"uniqueItems": true}), 100), numbers(10_000), false),
        (many(json!({"patternProperties": {"^([01]{20}x?){20}$": {}}}), 20), json!({"1".repeat(9_000): 1}), false),
        (named.clone(), json!({"1".repeat(40): {}}), true),
        (named, json!({"1".repeat(64 << 10): {}}), false),
    ] {
        let allows = admit(&schema).unwrap().allows(&schema, &value);
        assert_eq!(
            allows.is_ok(),
            is_fine,
            "{} {}",
            &schema.to_string()[..80],
            &value.to_string()[..20.min(value.to_string().len())]
        );
    }
    // An alternative in an alternative is tried once more for each that it is in, to tell why it does not fit.
    let nested = (0..120).fold(json!({"allOf": vec![json!({"type": "string"}); 40]}), |one, _| json!({"anyOf": [one]}));
    assert_eq!(admit(&nested).unwrap().allows(&nested, &json!("a")), Ok(()));
    let list = json!({"items": nested});
    assert_eq!(admit(&list).unwrap().allows(&list, &json!(vec!["a"; 20])), Err(TOO_MUCH_WORK));
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
        (json!({"$schema": DRAFT_4, "properties": {"b": {"id": "b", "type": "string"}}}), Some(ELSEWHERE)),
        (json!({"$schema": DRAFT_4, "id": "a", "properties": {"id": {"type": "string"}}}), None),
        (json!({"properties": {"b": {"$schema": DRAFT_4, "id": "b"}}}), Some(ELSEWHERE)),
        (json!({"examples": [{"id": "b"}]}), None),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#", "examples": [{"id": "b"}]}), None),
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
