//! The agent of the demo: makes a call over the wire, judges what came back as a caller would, and fetches the record.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tradewind_core::{DecisionId, Fault};
use tradewind_egress::{Answer, RequestBody};
use tradewind_telemetry::Journal;

use super::cast::MODEL;
use crate::commands::client::Client;

/// What the calls ask, by turns.
const QUESTIONS: [&str; 5] = [
    "Which way does the wind blow in the harbour today?",
    "Write a short note to the crew about tomorrow's departure.",
    "Review this function: fn knots(ms: f64) -> f64 { ms * 1.94384 }",
    "Sum up the logbook of the last three days in one paragraph.",
    "Translate into plain English: lee shore, close-hauled, in irons.",
];

/// A call that came to its end.
pub(super) struct Done {
    /// From 1.
    pub(super) number: usize,
    /// Whether a stream was asked for.
    pub(super) stream: bool,
    /// What the caller saw go wrong.
    pub(super) failure: Option<String>,
    /// The decision record; null when there is none.
    pub(super) record: Value,
}

/// Makes call `number`.
pub(super) async fn call(client: Client, journal: Arc<Journal>, number: usize, stream: bool, most_tokens: u32) -> Done {
    let (failure, id) = match ask(&client, number, stream, most_tokens).await {
        Ok(answer) => {
            let id =
                answer.head.headers.get("x-tradewind-decision").and_then(|value| value.to_str().ok()?.parse().ok());
            (judge(answer, stream).await.err(), id)
        }
        Err(fault) => (Some(fault.to_string()), None),
    };
    let record = match id {
        Some(id) => record(journal, id).await,
        None => Value::Null,
    };
    Done { number, stream, failure, record }
}

async fn ask(client: &Client, number: usize, stream: bool, most_tokens: u32) -> Result<Answer, Fault> {
    let question = QUESTIONS[number % QUESTIONS.len()];
    let mut body = json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": most_tokens,
        "stream": stream,
    });
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    let body = Bytes::from(body.to_string());
    let build = || {
        let mut request = Request::new(RequestBody::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
        request.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        request
    };
    client.send(&build).await
}

/// Whether the answer is one, to its very end.
async fn judge(answer: Answer, stream: bool) -> Result<(), String> {
    let status = answer.head.status.as_u16();
    let mut body = answer.body;
    let mut bytes = Vec::new();
    while let Some(frame) = Pin::new(&mut body).frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            Err(fault) => return Err(fault.to_string()),
        }
    }
    let said = String::from_utf8_lossy(&bytes);
    if status != 200 {
        let message = serde_json::from_str::<Value>(&said).ok();
        let message = message.as_ref().and_then(|error| error["error"]["message"].as_str()).unwrap_or("no message");
        return Err(format!("{status}: {message}"));
    }
    if stream {
        if said.contains("data: {\"error\"") {
            return Err("an error event in the stream".to_owned());
        }
        return if said.trim_end().ends_with("data: [DONE]") { Ok(()) } else { Err("the stream was cut".to_owned()) };
    }
    let whole: Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
    if whole["choices"][0]["message"].is_object() { Ok(()) } else { Err("an answer without content".to_owned()) }
}

/// The record of a call whose answer has ended. The last byte reaches the caller a moment before the record is closed.
async fn record(journal: Arc<Journal>, id: DecisionId) -> Value {
    for _ in 0..50 {
        let asked = journal.clone();
        let found = tokio::task::spawn_blocking(move || asked.get(id)).await;
        if let Ok(Ok(Some(line))) = found {
            return serde_json::from_str(&line).unwrap_or(Value::Null);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Value::Null
}
