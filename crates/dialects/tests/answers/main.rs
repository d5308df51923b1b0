//! Answers and streams in another wire format: fixed samples, and properties over made-up answers.

#[path = "../support/accumulate.rs"]
mod accumulate;
mod properties;
mod sample;
mod streams;
mod whole;

use tradewind_dialects::{AnswerContext, StreamTranslator, Untranslatable, Wire, translate_answer};

/// Large enough that it is never reached.
const LARGE: usize = 1 << 20;

fn context() -> AnswerContext {
    AnswerContext { id: "d1".to_owned(), created: 1_700_000_000, wants_usage: true, echo: None }
}

fn whole(from: Wire, to: Wire, body: &str) -> Result<serde_json::Value, Untranslatable> {
    let translated = translate_answer(from, to, body.as_bytes(), &context())?;
    Ok(serde_json::from_slice(&translated).expect("a translated answer is JSON"))
}

/// The events that come out when `events` go in, as text.
fn stream(from: Wire, to: Wire, events: &[String]) -> Result<String, Untranslatable> {
    stream_within(from, to, events, LARGE)
}

fn stream_within(from: Wire, to: Wire, events: &[String], limit: usize) -> Result<String, Untranslatable> {
    let mut translator = StreamTranslator::new(from, to, context(), limit);
    let mut out = Vec::new();
    for event in events {
        translator.event(event.as_bytes(), &mut out)?;
    }
    Ok(String::from_utf8(out).expect("events are text"))
}

/// What a client of `wire` makes of a stream.
fn accumulated(wire: Wire, stream: &str) -> serde_json::Value {
    match wire {
        Wire::Chat => accumulate::chat(stream),
        Wire::Messages => accumulate::messages(stream),
        Wire::Responses => accumulate::responses(stream),
    }
}
