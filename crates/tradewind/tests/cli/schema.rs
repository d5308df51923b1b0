//! `tradewind schema`: a JSON Schema that takes what `check` takes, and refuses what an editor should underline.
//!
//! Set against the document by a validator of a few lines that knows the keywords the schema uses and panics at any
//! other: a whole JSON Schema library would be the largest dependency of the tests.

use serde_json::{Value, json};

use crate::check::GOOD;
use crate::program::Place;

fn schema() -> Value {
    let ended = Place::new().tradewind(&["schema"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn the_schema_takes_what_check_takes() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let good: Value = serde_json::from_str(GOOD).unwrap();
    assert_eq!(problems(&schema, &schema, &good, ""), Vec::<String>::new());
    for section in
        ["listen", "data-dir", "providers", "models", "responders", "limits", "journal", "tls", "keys", "telemetry"]
    {
        assert!(schema["properties"][section]["description"].is_string(), "{section} has no description");
    }
}

#[test]
fn the_schema_refuses_what_check_refuses() {
    let schema = schema();
    let good: Value = serde_json::from_str(GOOD).unwrap();
    let spoilt: &[(&str, Value)] = &[
        ("/modles", json!([])),
        ("/proxies", json!({})),
        ("/proxy-groups", json!([{"name": "g", "type": "relay", "proxies": ["DIRECT"]}])),
        ("/mixed-port", json!("seven")),
        ("/listen", json!(7080)),
        ("/models/0/strategi", json!("fallback")),
        ("/models/0/strategy", json!("fastest")),
        ("/models/0/targets/0/weight", json!(-1)),
        ("/models/0/timeouts/total", json!({})),
        ("/models/0/hedge/after", json!(true)),
        ("/providers/0/dialect", json!("telepathy")),
        ("/providers/0/name", Value::Null),
        ("/limits/concurrent-calls", json!("many")),
        ("/keys/0/budget", json!({"usd": 5, "per": "hour"})),
        ("/keys/0/rpm", json!(0)),
        ("/keys/0/alow", json!([])),
        ("/models/0/strict", json!("yes")),
        ("/tls/cret", json!("cert.pem")),
        ("/telemetry/otlp/sample", json!(2)),
        ("/telemetry/logs/format", json!("xml")),
    ];
    for (path, value) in spoilt {
        let mut document = good.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[key] = value.clone();
        assert_ne!(problems(&schema, &schema, &document, ""), Vec::<String>::new(), "{path}");
        let place = Place::new();
        place.file("bad.yaml", &document.to_string());
        assert_eq!(place.tradewind(&["check", "bad.yaml"]).code, Some(1), "{path}");
    }
    let mut nameless = good;
    nameless["models"][0].as_object_mut().unwrap().remove("name");
    assert_ne!(problems(&schema, &schema, &nameless, ""), Vec::<String>::new());
}

/// Where `value` is not what `schema` asks for.
fn problems(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let Value::Object(keywords) = schema else {
        let refused = *schema == Value::Bool(false);
        return if refused { vec![format!("{at}: nothing may stand here")] } else { Vec::new() };
    };
    let mut found = Vec::new();
    let mut unless = |holds: bool, keyword: &str| {
        if !holds {
            found.push(format!("{at}: {keyword} {}", keywords[keyword]));
        }
    };
    let deeper = |schema: &Value, value: &Value, at: &str| problems(root, schema, value, at);
    let fits = |schema: &Value| deeper(schema, value, at).is_empty();
    let each = |keyword: &Value| keyword.as_array().unwrap().clone();
    let mut inner = Vec::new();
    for (keyword, asked) in keywords {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" | "writeOnly" => {}
            "$ref" => {
                let pointer = asked.as_str().unwrap().strip_prefix('#').unwrap();
                inner.extend(deeper(root.pointer(pointer).unwrap(), value, at));
            }
            "type" => {
                let names = if asked.is_array() { each(asked) } else { vec![asked.clone()] };
                unless(names.iter().any(|name| is_of(name.as_str().unwrap(), value)), keyword);
            }
            "const" => unless(value == asked, keyword),
            "enum" => unless(each(asked).contains(value), keyword),
            "minimum" => unless(value.as_f64().is_none_or(|number| number >= asked.as_f64().unwrap()), keyword),
            "maximum" => unless(value.as_f64().is_none_or(|number| number <= asked.as_f64().unwrap()), keyword),
            // Patterns belong to texts with a unit, which `check` judges; here their type is enough.
            "pattern" => {}
            "anyOf" => unless(each(asked).iter().any(fits), keyword),
            "oneOf" => unless(each(asked).iter().filter(|one| fits(one)).count() == 1, keyword),
            "required" => {
                unless(
                    !value.is_object() || each(asked).iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
                    keyword,
                );
            }
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    inner.extend(deeper(asked, item, &format!("{at}/{place}")));
                }
            }
            "properties" | "patternProperties" | "additionalProperties" => {}
            other => panic!("the schema uses `{other}`, which this validator does not know"),
        }
    }
    for (key, item) in value.as_object().into_iter().flatten() {
        let begins = |pattern: &str| key.starts_with(pattern.strip_prefix('^').unwrap());
        let by_pattern = keywords.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let named = keywords.get("properties").and_then(|properties| properties.get(key));
        let asked = named
            .or_else(|| by_pattern.clone().find(|(pattern, _)| begins(pattern)).map(|(_, schema)| schema))
            .or_else(|| keywords.get("additionalProperties"));
        if let Some(asked) = asked {
            inner.extend(deeper(asked, item, &format!("{at}/{key}")));
        }
    }
    found.extend(inner);
    found
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("no type is called `{other}`"),
    }
}
