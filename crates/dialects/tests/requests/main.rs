//! Requests from one wire format into another: tables for each direction, what each field of the official packages comes
//! to, bad input, and properties.

mod bad_input;
mod chat_to_messages;
mod corpus;
mod fields;
mod from_responses;
mod messages_to_chat;
mod properties;
mod unsigned_thinking;

use serde_json::{Value, json};
use tradewind_dialects::{Obstacle, RequestOptions, TranslatedRequest, Wire, translate_request};

/// A PNG image as far as its first bytes go, in base64.
const PNG: &str = "iVBORw0KGgo=";
/// A PDF document as far as its first bytes go, in base64.
const PDF: &str = "JVBERi0xLjc=";

const LOOSE: RequestOptions =
    RequestOptions { strict: false, token_limit: tradewind_dialects::TokenLimit::MaxTokens, max_tokens: 4096 };

/// The translation of `body`, which has to have one.
#[track_caller]
fn translated(from: Wire, to: Wire, body: &Value) -> TranslatedRequest {
    match translate_request(from, to, body.to_string().as_bytes(), &LOOSE) {
        Ok(translated) => translated,
        Err(obstacle) => panic!("{obstacle:?} in {body}"),
    }
}

#[track_caller]
fn body(translated: &TranslatedRequest) -> Value {
    serde_json::from_slice(&translated.body).expect("what comes out is JSON")
}

/// What is in the way of `body`.
#[track_caller]
fn obstacle(from: Wire, to: Wire, body: &Value) -> Obstacle {
    match translate_request(from, to, body.to_string().as_bytes(), &LOOSE) {
        Ok(translated) => panic!("{body} became {}", String::from_utf8_lossy(&translated.body)),
        Err(obstacle) => obstacle,
    }
}

/// `request` with the fields of `more`.
fn with(request: &Value, more: &Value) -> Value {
    let mut request = request.clone();
    for (key, value) in more.as_object().expect("fields are an object") {
        request[key] = value.clone();
    }
    request
}

/// The least that a request for chat completions says.
fn chat() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
}

/// The least that a request for messages says.
fn messages() -> Value {
    json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]})
}

/// The least that a request for responses says.
fn responses() -> Value {
    json!({"model": "m", "input": "Hi"})
}
