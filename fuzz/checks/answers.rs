//! What has to hold for any bytes at all that a provider sends to callers of another wire format.
//!
//! Plain functions, so that libFuzzer (`fuzz_targets`) and the ordinary tests of `crates/dialects` call the same. A broken
//! rule is a panic.

use bytes::Bytes;
use serde_json::Value;
use tradewind_dialects::{AnswerContext, StreamTranslator, Untranslatable, Wire, translate_answer, translate_error};

/// Stands for the text of an answer: no error may repeat it, since errors are recorded.
const PRIVATE: &str = "\u{1f510}";

/// Large enough that no limit is reached.
const LARGE: usize = 1 << 20;
/// Small enough that limits are reached all the time.
const SMALL: usize = 200;

const WIRES: [Wire; 3] = [Wire::Chat, Wire::Messages, Wire::Responses];

/// A stream: the first byte chooses the wire formats, and each line after it is the data of one event. All of it together
/// is tried as a whole answer and as the body of an error, too.
pub(crate) fn translate_stream(bytes: &[u8]) {
    let [wires, body @ ..] = bytes else { return };
    let (from, to) = (WIRES[usize::from(wires % 3)], WIRES[usize::from(wires / 3 % 3)]);
    let whole = translate(from, to, body, LARGE);
    let limited = translate(from, to, body, SMALL);
    // A limit ends a stream earlier, and changes nothing before that.
    assert!(whole.starts_with(&limited));
    match translate_answer(from, to, body, &context(body)) {
        Ok(answer) => drop(serde_json::from_slice::<Value>(&answer).expect("an answer is JSON")),
        Err(error) => check_error(&error),
    }
    let error: Value = serde_json::from_slice(&translate_error(to, 400, body)).expect("an error is JSON");
    assert!(error["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
}

/// What comes out until the stream ends or has no words any more.
fn translate(from: Wire, to: Wire, body: &[u8], limit: usize) -> Vec<u8> {
    let mut translator = StreamTranslator::new(from, to, context(body), limit);
    let mut all = Vec::new();
    for data in body.split(|byte| *byte == b'\n') {
        let mut out = Vec::new();
        let result = translator.event(data, &mut out);
        if let Err(error) = result {
            check_error(&error);
            assert!(out.is_empty(), "an event is translated whole or not at all");
            return all;
        }
        check_events(to, &out);
        all.extend_from_slice(&out);
    }
    all
}

/// The request that a response repeats is any bytes, too.
fn context(body: &[u8]) -> AnswerContext {
    let echo = Some(Bytes::copy_from_slice(body));
    AnswerContext { id: "d1".to_owned(), created: 1, wants_usage: true, echo }
}

fn check_error(error: &Untranslatable) {
    assert!(!error.0.contains(PRIVATE) && !error.0.is_empty(), "an error repeats what was said: {error}");
}

/// Whole events, each of them one line of JSON (or the end marker) under its name.
fn check_events(wire: Wire, out: &[u8]) {
    let text = std::str::from_utf8(out).expect("events are text");
    assert!(text.is_empty() || text.ends_with("\n\n"), "events are whole");
    for event in text.split_terminator("\n\n") {
        let (name, data) = match event.split_once('\n') {
            Some((name, data)) => (name.strip_prefix("event: "), data),
            None => (None, event),
        };
        let data = data.strip_prefix("data: ").expect("an event has data");
        if wire == Wire::Chat && data == "[DONE]" {
            continue;
        }
        let value: Value = serde_json::from_str(data).expect("the data is one line of JSON");
        assert_eq!(value["type"].as_str(), name, "an event is named after its type");
    }
}
