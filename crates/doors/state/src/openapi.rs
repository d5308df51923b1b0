//! The description of the API, OpenAPI 3.1, made from the tables that requests are read by and from the types of the bodies.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use tradewind_core::Code;
use tradewind_door::{Response, json_response};

use crate::manage::{Handoff, Prune, Pruned, Redeem, Token};
use crate::read::Namespaces;
use crate::route::{Operation, Place, ROUTES, Route};
use crate::shown::{Item, Page, Shown};
use crate::spec::{ALWAYS, Content, Form, Parameter, Spec, spec};
use crate::write::{Fork, JSON_PATCH, Restore};

/// The document; made when it is first asked for.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));

/// The document as a response.
pub(crate) fn response() -> Response {
    json_response(200, DOCUMENT.clone())
}

/// The document as text, for who wants it without a gateway.
#[must_use]
pub fn openapi() -> &'static str {
    std::str::from_utf8(&DOCUMENT).expect("JSON is UTF-8")
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.place.template()).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tradewind state",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Agents' long-lived state: versioned values under keys. Every write says what it replaces, and of two \
                            writers on one revision exactly one wins. Slashes in keys may be written plainly, or as %2F where \
                            what follows the last one is a word of the API.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "apiKey": { "type": "apiKey", "in": "header", "name": "x-api-key" },
                "basic": { "type": "http", "scheme": "basic" },
            },
        },
        "security": [{}, { "bearer": [] }, { "apiKey": [] }, { "basic": [] }],
    })
}

fn operation(route: &Route) -> Value {
    let Spec { summary, about, query, headers, body, answers, codes } = *spec(route.operation);
    let mut parameters = of_path(route.place);
    parameters.extend(query.iter().map(|one| parameter(one, "query")));
    parameters.extend(headers.iter().map(|one| parameter(one, "header")));
    let mut responses: Map<String, Value> = Map::new();
    for answer in answers {
        let mut response = json!({ "description": answer.about });
        if let Some(content) = answer.content {
            response["content"] = contents(content);
        }
        if matches!(route.operation, Operation::Get | Operation::Put | Operation::Patch | Operation::Redeem) {
            response["headers"] = of_revision(answer.status);
        }
        responses.insert(answer.status.to_string(), response);
    }
    for (status, codes) in by_status(codes) {
        let described: Vec<String> = codes.iter().map(|code| format!("{code}: {}", code.title())).collect();
        let mut content = contents(Content::Json("Error"));
        if status == Code::StateLost.status() {
            content["*/*"] = json!({ "schema": { "description": "The value that is there, with `Prefer: return=representation`." } });
        }
        responses.insert(
            status.to_string(),
            json!({
                "description": described.join("; "),
                "content": content,
                "x-tradewind-codes": codes.iter().map(|code| code.name()).collect::<Vec<_>>(),
            }),
        );
    }
    let mut operation = json!({
        "operationId": route.operation.name(),
        "summary": summary,
        "description": about,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = body {
        operation["requestBody"] = json!({ "required": body.required, "content": contents(body.content) });
    }
    operation
}

/// The codes of an operation and those that any may have, by status.
fn by_status(codes: &[Code]) -> BTreeMap<u16, Vec<Code>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes.iter().chain(ALWAYS) {
        by_status.entry(code.status()).or_default().push(*code);
    }
    by_status
}

fn of_path(place: Place) -> Vec<Value> {
    let template = place.template();
    let names = [
        ("namespace", "1 to 64 characters a-z, 0-9, `.`, `_`, `-`.", "^[a-z0-9][a-z0-9._-]{0,63}$"),
        ("key", "1 to 512 bytes of UTF-8, percent-encoded.", "^.{1,512}$"),
    ];
    let wanted = names.into_iter().filter(|(name, ..)| template.contains(&format!("{{{name}}}")));
    wanted
        .map(|(name, about, pattern)| {
            json!({
                "name": name, "in": "path", "required": true, "description": about,
                "schema": { "type": "string", "pattern": pattern },
            })
        })
        .collect()
}

fn parameter(parameter: &Parameter, place: &str) -> Value {
    let Parameter { name, about, form, required } = *parameter;
    let schema = match form {
        Form::Text => json!({ "type": "string" }),
        Form::Number => json!({ "type": "integer", "minimum": 1 }),
        Form::Words(words) => json!({ "type": "string", "enum": words }),
    };
    json!({ "name": name, "in": place, "required": required, "description": about, "schema": schema })
}

fn contents(content: Content) -> Value {
    match content {
        Content::Value => json!({ "*/*": {} }),
        Content::Change => {
            json!({ JSON_PATCH: { "schema": { "type": "array", "items": { "type": "object" } } }, "*/*": {} })
        }
        Content::Json(name) => {
            json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } })
        }
        Content::Events => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
    }
}

/// The headers that say what a revision is. An answer without a body to a reader who has it says which it is, and no more.
fn of_revision(status: u16) -> Value {
    let text = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    if status == 304 {
        return json!({ "ETag": text("The revision, in quotes.") });
    }
    json!({
        "ETag": text("The revision, in quotes."),
        "Tradewind-Epoch": text("How often the key was handed over."),
        "Tradewind-Hash": text("SHA-256 of the content, in hexadecimal digits."),
        "Tradewind-Schema": text("The schema of the content, where its writer named one."),
        "Tradewind-Expires-At": text("When the value is gone, RFC 3339."),
    })
}

fn schemas() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.inline_subschemas = true;
    let mut generator = settings.into_generator();
    let mut schemas = Map::new();
    let mut add = |name: &str, schema: Value| schemas.insert(name.to_owned(), schema);
    add("Revision", of::<Shown<'static>>(&mut generator));
    add("Keys", of::<Page<Item<'static>, String>>(&mut generator));
    add("History", of::<Page<Shown<'static>, u64>>(&mut generator));
    add("Namespaces", of::<Namespaces<'static>>(&mut generator));
    add("Fork", of::<Fork>(&mut generator));
    add("Restore", of::<Restore>(&mut generator));
    add("Prune", of::<Prune>(&mut generator));
    add("Pruned", of::<Pruned>(&mut generator));
    add("Handoff", of::<Handoff>(&mut generator));
    add("Token", of::<Token<'static>>(&mut generator));
    add("Redeem", of::<Redeem>(&mut generator));
    add("Object", json!({ "type": "object" }));
    add(
        "Diff",
        json!({
            "type": "object",
            "properties": {
                "from": { "type": "integer" },
                "to": { "type": "integer" },
                "patch": { "type": "array", "items": { "type": "object" }, "description": "A JSON Patch (RFC 6902)." },
            },
            "required": ["from", "to", "patch"],
        }),
    );
    add(
        "Error",
        json!({
            "type": "object",
            "properties": {
                "error": {
                    "type": "object",
                    "properties": {
                        "code": { "type": "string", "pattern": "^TW[0-9]{4}$", "description": "Its page is docs/errors/CODE.md." },
                        "message": { "type": "string" },
                        "field": { "type": ["string", "null"] },
                    },
                    "required": ["code", "message"],
                },
            },
            "required": ["error"],
        }),
    );
    Value::Object(schemas)
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).to_value()
}
