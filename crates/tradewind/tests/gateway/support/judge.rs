//! Says how an answer ended, by the rules of its dialect alone, and fails when it ended in two ways or in none.

use serde_json::Value;
use tradewind_core::Dialect;

use super::client::{Answer, End};

/// The one terminal outcome that a caller sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// A whole answer, or a stream with its own end marker.
    Success,
    /// A stream that ended with an error event; the code of it.
    ErrorEvent(String),
    /// An error status in the dialect's own shape; the gateway's code, if it is the gateway's.
    ErrorStatus(u16, Option<String>),
}

/// The terminal outcome of `answer`, which has to be exactly one.
pub(crate) fn terminal(answer: &Answer, dialect: Dialect, stream: bool) -> Terminal {
    let said = || format!("{}\n\n{}", answer.head, answer.text().chars().take(4000).collect::<String>());
    assert_eq!(answer.end, End::Whole, "the framing of the answer is broken: {}", said());
    if answer.status != 200 {
        assert!(answer.status >= 400, "{}", said());
        return Terminal::ErrorStatus(answer.status, error_code(&answer.json(), dialect));
    }
    if !stream {
        let body = answer.json();
        let is_answer = match dialect {
            Dialect::OpenAi => body["choices"].as_array().is_some_and(|choices| !choices.is_empty()),
            Dialect::Anthropic => body["type"] == "message" && body["content"].is_array(),
        };
        assert!(is_answer && body.get("error").is_none(), "200 and no answer: {}", said());
        return Terminal::Success;
    }
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")), "{}", said());
    let events = answer.events();
    let ends: Vec<usize> = (0..events.len()).filter(|at| is_end(&events[*at], dialect)).collect();
    let errors: Vec<usize> = (0..events.len()).filter(|at| is_error(&events[*at], dialect)).collect();
    let last = events.len().wrapping_sub(1);
    match (ends.as_slice(), errors.as_slice()) {
        ([end], []) => {
            assert_eq!(*end, last, "events after the end marker: {}", said());
            Terminal::Success
        }
        ([], [error]) => {
            assert_eq!(*error, last, "events after the error event: {}", said());
            let event: Value = serde_json::from_str(&events[last]).unwrap();
            Terminal::ErrorEvent(error_code(&event, dialect).unwrap_or_else(|| panic!("no code: {}", said())))
        }
        _ => panic!("{} end markers and {} errors in one stream: {}", ends.len(), errors.len(), said()),
    }
}

fn is_end(event: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::OpenAi => event == "[DONE]",
        Dialect::Anthropic => event_type(event).as_deref() == Some("message_stop"),
    }
}

fn is_error(event: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::OpenAi => serde_json::from_str::<Value>(event).is_ok_and(|event| event.get("error").is_some()),
        Dialect::Anthropic => event_type(event).as_deref() == Some("error"),
    }
}

fn event_type(event: &str) -> Option<String> {
    serde_json::from_str::<Value>(event).ok()?["type"].as_str().map(str::to_owned)
}

/// The gateway's code in an error of `dialect`, whose shape has to be right.
pub(crate) fn error_code(body: &Value, dialect: Dialect) -> Option<String> {
    let error = &body["error"];
    assert!(error["message"].is_string() && error["type"].is_string(), "not an error of {dialect}: {body}");
    match dialect {
        Dialect::OpenAi => assert!(body.get("type").is_none(), "{body}"),
        Dialect::Anthropic => assert_eq!(body["type"], "error", "{body}"),
    }
    error["code"].as_str().filter(|code| code.starts_with("TW")).map(str::to_owned)
}
