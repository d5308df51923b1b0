//! The description of the API, and the routes, agree. That each answer is a described one is checked with every request of the
//! other tests.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;
use tradewind_access::Grant;
use tradewind_door_state::openapi;

use crate::world::World;

fn described() -> Value {
    serde_json::from_str(openapi()).unwrap()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value}"))
}

#[tokio::test]
async fn it_is_served() {
    let world = World::new();
    let answered = world.ask("GET", "/api/v1/openapi.json", &[], "").await.has(200);
    assert_eq!((answered.text(), answered.header("content-type")), (openapi(), "application/json"));
    assert_eq!(described()["openapi"], "3.1.0");
}

/// Each operation that is described is served, and each method that is not described is refused.
#[tokio::test]
async fn what_is_described_is_what_is_served() {
    let world = World::new();
    let described = described();
    let paths = described["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 13);
    let mut operations = 0;
    for (template, methods) in paths {
        let path = template.replace("{namespace}", "n").replace("{key}", "a");
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE, Method::POST, Method::OPTIONS] {
            let operation = &methods[method.as_str().to_ascii_lowercase()];
            let answered = world.open_as(&Grant::anyone(), method.as_str(), &path, &[], "").await.status();
            assert_eq!(operation.is_object(), answered != 405, "{method} {template}: {answered}");
            operations += usize::from(operation.is_object());
        }
    }
    assert_eq!(operations, 17);
}

#[test]
fn it_is_whole() {
    let described = described();
    let mut ids = BTreeSet::new();
    for (template, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(ids.insert(text(operation, "operationId")), "an id stands twice: {operation}");
            assert!(!text(operation, "summary").is_empty() && !text(operation, "description").is_empty());
            let parameters = operation["parameters"].as_array().unwrap();
            for name in ["namespace", "key"] {
                let is_there =
                    parameters.iter().any(|one| one["in"] == "path" && one["name"] == name && one["required"] == true);
                assert_eq!(is_there, template.contains(&format!("{{{name}}}")), "{method} {template}: {name}");
            }
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {template} never works");
            for (status, response) in responses {
                let codes = response["x-tradewind-codes"].as_array();
                assert_eq!(codes.is_some(), status.as_str() >= "400", "{method} {template} {status}");
            }
        }
    }
    references(&described, &described);
}

/// Each `$ref` leads to something.
fn references(value: &Value, whole: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads elsewhere"));
                assert!(whole.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            members.values().for_each(|value| references(value, whole));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, whole)),
        _ => {}
    }
}

/// What is answered is of the schema that is described.
#[tokio::test]
async fn answers_are_of_the_described_schemas() {
    let world = World::new();
    let written = world.create("n/a", "{}").await.json();
    let described = described();
    let schema = &described["components"]["schemas"]["Revision"];
    let properties = schema["properties"].as_object().unwrap();
    let required = schema["required"].as_array().unwrap();
    for name in written.as_object().unwrap().keys() {
        assert!(properties.contains_key(name), "`{name}` is not described");
    }
    for name in required {
        assert!(written.get(name.as_str().unwrap()).is_some(), "{name} is missing");
    }
}
