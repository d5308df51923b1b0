//! What has to hold for any bytes at all in the parsers of the models door: streams of events, and requests.
//!
//! Plain functions, so that libFuzzer (`fuzz_targets`) and the ordinary tests of `crates/doors/models` call the same. A
//! broken rule is a panic.

use bytes::Bytes;
use serde_json::Value;
use tradewind_core::{DecisionId, Dialect, Fault};
use tradewind_dispatch::{Finding, Outbox, Phase, StreamReader};
use tradewind_door_models::{Ask, ModelStream, Operation};

/// Stands for the text of a prompt or an answer: no message of the gateway may repeat it, since messages are recorded.
const PRIVATE: &str = "\u{1f510}";

/// Large enough that no limit is reached: then how the bytes are cut must not matter.
const LARGE: usize = 1 << 20;
/// Small enough that limits are reached all the time.
const SMALL: usize = 48;

/// A stream of events. The first byte chooses the dialect, the second one how the rest is cut into chunks.
pub(crate) fn stream(bytes: &[u8]) {
    let [dialect, cut, body @ ..] = bytes else { return };
    let dialect = if dialect % 2 == 0 { Dialect::OpenAi } else { Dialect::Anthropic };
    let whole = read_stream(dialect, LARGE, &[body]);
    let size = usize::from(*cut).max(1);
    let pieces: Vec<&[u8]> = body.chunks(size).collect();
    assert_eq!(read_stream(dialect, LARGE, &pieces), whole, "how a stream is cut into chunks must be invisible");
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(read_stream(dialect, LARGE, &single), whole, "how a stream is cut into chunks must be invisible");
    if whole.finding.ignored == 0 {
        assert!(body.starts_with(&whole.passed), "what is passed on is what came");
    }
    let limited = read_stream(dialect, SMALL, &pieces);
    assert!(limited.passed.len() <= body.len());
}

/// What became of a stream. `passed` is without the line ends at its end.
#[derive(Debug, PartialEq)]
struct Outcome {
    passed: Vec<u8>,
    phase: Phase,
    finding: Finding,
    fault: Option<Fault>,
}

fn read_stream(dialect: Dialect, limit: usize, chunks: &[&[u8]]) -> Outcome {
    let mut reader = ModelStream::for_dialect(dialect, limit);
    let mut out = Outbox::default();
    let mut result = Ok(());
    for chunk in chunks {
        result = reader.push(Bytes::copy_from_slice(chunk), &mut out);
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() {
        result = reader.end(&mut out);
    }
    let mut passed = Vec::new();
    while let Some(piece) = out.pop() {
        passed.extend_from_slice(&piece);
    }
    // Whether the line feed of the last CR LF came with its chunk makes no difference to anybody.
    while passed.ends_with(b"\n") || passed.ends_with(b"\r") {
        passed.pop();
    }
    let fault = result.err();
    if let Some(fault) = &fault {
        assert!(reader.phase() != Phase::Done, "after its end a stream has no fault: {fault}");
        assert!(!fault.detail.contains(PRIVATE), "a fault repeats what was said: {}", fault.detail);
        check_error_event(&reader.error_event(fault, DecisionId::from_number(1)));
    } else {
        assert_eq!(reader.phase(), Phase::Done, "a stream without its end is not a success");
    }
    Outcome { passed, phase: reader.phase(), finding: reader.finding(), fault }
}

/// An error inside a stream is one event, its data is JSON, and it cannot be taken for a success.
fn check_error_event(event: &[u8]) {
    let text = std::str::from_utf8(event).expect("an error event is text");
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("an error event has data");
    let value: Value = serde_json::from_str(data).expect("its data is JSON");
    assert!(value["error"]["code"].is_string() && value["error"]["message"].is_string());
    assert!(text.ends_with("\n\n") && text.matches("\n\n").count() == 1, "one event: {text}");
    assert!(!data.starts_with("[DONE]") && value["type"] != "message_stop");
}

/// A request in the OpenAI dialect. The first byte chooses the operation.
pub(crate) fn openai_request(bytes: &[u8]) {
    let [operation, body @ ..] = bytes else { return };
    request([Operation::Chat, Operation::Completions, Operation::Embeddings][usize::from(operation % 3)], body);
}

/// A request in the Anthropic dialect. The first byte chooses the operation.
pub(crate) fn anthropic_request(bytes: &[u8]) {
    let [operation, body @ ..] = bytes else { return };
    request([Operation::Messages, Operation::CountTokens][usize::from(operation % 2)], body);
}

fn request(operation: Operation, body: &[u8]) {
    let ask = match Ask::read(operation, Bytes::copy_from_slice(body)) {
        Ok(ask) => ask,
        Err(refusal) => {
            assert_eq!(refusal.status, 400, "{}", refusal.message);
            let is_name = |name: &str| refusal.message.contains(&format!("`{name}`"));
            assert!(!refusal.message.contains(PRIVATE) || is_name(PRIVATE), "{}", refusal.message);
            return;
        }
    };
    assert!(!ask.model.is_empty());
    assert_eq!(ask.body_for(&ask.model), body, "the body of the same model is the same");
    let other = "other/\"model\"\n";
    let rewritten = ask.body_for(other);
    // What is not JSON in a place that the gateway does not look at is the provider's to refuse.
    let Ok(mut expected) = serde_json::from_slice::<Value>(body) else { return };
    expected["model"] = Value::from(other);
    let rewritten: Value = serde_json::from_slice(&rewritten).expect("the rewritten body is JSON, as the body was");
    assert_eq!(rewritten, expected, "only the model is rewritten");
}
