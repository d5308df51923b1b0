//! Faults inside well-framed answers: JSON values and the events of streams.

use serde_json::{Value, json};
use tradewind_core::Dialect;

use crate::answer::{Composed, Data, Event, Place, ToolCall, error_body};
use crate::scripted::Finish;
use crate::{Injection, SimFault};

/// Edits what is said, before it is put into a dialect.
pub(crate) fn edit_composed(composed: &mut Composed, fault: &Injection) {
    if !matches!(fault.fault(), SimFault::ToolArgumentsSplit | SimFault::ToolArgumentsInvalid) {
        return;
    }
    if composed.calls.is_empty() {
        composed.calls.push(ToolCall {
            id: None,
            name: "sim_tool".to_owned(),
            arguments: json!({"city": "Ærø \"north\"", "days": 3}).to_string(),
            piece: 7,
        });
        composed.finish = Finish::ToolCalls;
    }
    composed.tokens.clear();
    let tool = &mut composed.calls[0];
    if fault.fault() == SimFault::ToolArgumentsSplit {
        tool.piece = 1;
    } else {
        tool.arguments.truncate(tool.arguments.len() - 1);
        tool.arguments.push_str(",,");
    }
}

/// Edits a whole answer.
pub(crate) fn edit_whole(value: &mut Value, fault: &Injection) {
    match fault.fault() {
        SimFault::EmptyChoices => {
            for list in ["choices", "content", "data"] {
                if let Some(found) = value.get_mut(list) {
                    *found = json!([]);
                }
            }
        }
        SimFault::MissingFields => {
            if let Some(fields) = value.as_object_mut() {
                for required in ["choices", "content", "data", "input_tokens"] {
                    fields.remove(required);
                }
            }
        }
        SimFault::UnknownFields => add_unknown_fields(value),
        _ => edit_usage(value, fault.fault()),
    }
}

/// Edits the events of a stream. Positions count events of content.
pub(crate) fn edit_events(events: &mut Vec<Event>, dialect: Dialect, fault: &Injection) {
    match fault.fault() {
        SimFault::NoTerminal => events.retain(|event| event.place != Place::Terminal),
        SimFault::MalformedEvent => {
            let broken =
                Event { data: Data::Text("{\"id\": \"broken\", \"choices\": [{]}".to_owned()), ..sample(events) };
            events.insert(after_content(events, fault.number(2)), broken);
        }
        SimFault::TruncatedJson => {
            let at = after_content(events, 0);
            let text = events[at].data_text();
            let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
            events[at].data = Data::Text(text[..half].to_owned());
        }
        SimFault::ErrorEventFirst => *events = vec![error_event(dialect)],
        SimFault::ErrorEventLater => {
            events.truncate(after_content(events, fault.number(2)));
            events.push(error_event(dialect));
        }
        SimFault::DuplicateEvents => {
            let doubled = events.drain(..).flat_map(|event| {
                let twice = matches!(event.place, Place::Opening | Place::Closing);
                let copy = twice.then(|| event.clone());
                std::iter::once(event).chain(copy)
            });
            *events = doubled.collect();
        }
        SimFault::OutOfOrderEvents => {
            if let Some(last) = events.iter().rposition(|event| event.place == Place::Content) {
                let late = events.remove(last);
                events.insert(last + 1, late);
            }
        }
        SimFault::EventsAfterTerminal => {
            let (content, terminal) = (sample(events), events.last().cloned());
            events.push(content);
            events.extend(terminal);
        }
        SimFault::EmptyChoices => empty_events(events),
        SimFault::MissingFields => {
            for event in events.iter_mut().filter(|event| event.place == Place::Content) {
                if let Data::Json(Value::Object(fields)) = &mut event.data {
                    fields.remove("choices");
                    fields.remove("delta");
                }
            }
        }
        SimFault::UnknownFields => {
            for event in events.iter_mut() {
                if let Data::Json(value) = &mut event.data {
                    add_unknown_fields(value);
                }
            }
        }
        fault => {
            for event in events.iter_mut() {
                if let Data::Json(value) = &mut event.data {
                    edit_usage(value, fault);
                }
            }
        }
    }
}

/// The index behind the first `count` events of content.
fn after_content(events: &[Event], count: u64) -> usize {
    let mut seen = 0;
    for (at, event) in events.iter().enumerate() {
        if event.place == Place::Content {
            if seen == count {
                return at;
            }
            seen += 1;
        } else if seen > 0 {
            return at;
        }
    }
    events.len()
}

/// Some event of content.
fn sample(events: &[Event]) -> Event {
    let content = events.iter().find(|event| event.place == Place::Content);
    content.or_else(|| events.first()).cloned().expect("a stream has events")
}

/// The dialect's own error event.
fn error_event(dialect: Dialect) -> Event {
    let body = error_body(dialect, 529, "server_error", Some("server_error"), "simulated error inside the stream");
    match dialect {
        Dialect::OpenAi => Event::json(None, Place::Terminal, body),
        Dialect::Anthropic => Event::json(Some("error"), Place::Terminal, body),
    }
}

/// Leaves a stream that is well-formed and holds no content: no choice, no block.
fn empty_events(events: &mut Vec<Event>) {
    events.retain(|event| {
        event.place != Place::Content
            && !matches!(event.name, Some("content_block_start" | "content_block_stop" | "ping"))
            && event.data_text().find("finish_reason\":\"").is_none()
    });
    for event in events {
        if let Data::Json(value) = &mut event.data
            && value.get("choices").is_some()
        {
            value["choices"] = json!([]);
        }
    }
}

/// Adds fields that no schema names to every object, save inside the arguments of tools.
fn add_unknown_fields(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(add_unknown_fields),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if name != "input" {
                    add_unknown_fields(value);
                }
            }
            fields.insert("x_sim_unknown".to_owned(), json!({"deep": [1, null, {"type": "none"}], "text": "}\"],"}));
            fields.insert("a_sim_null".to_owned(), Value::Null);
        }
        _ => {}
    }
}

/// Edits every `usage` in `value`.
fn edit_usage(value: &mut Value, fault: SimFault) {
    let wrong = match fault {
        SimFault::UsageMissing => None,
        SimFault::UsageNegative => Some(json!(-17)),
        SimFault::UsageOverflow => Some(json!(u64::MAX)),
        SimFault::UsageWrongType => Some(json!("a lot")),
        _ => return,
    };
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| edit_usage(value, fault)),
        Value::Object(fields) => {
            if wrong.is_none() {
                fields.remove("usage");
            }
            for (name, value) in fields.iter_mut() {
                if name == "usage"
                    && let Value::Object(counts) = value
                {
                    counts.values_mut().filter(|count| count.is_number()).for_each(|count| {
                        *count = wrong.clone().unwrap_or(Value::Null);
                    });
                } else {
                    edit_usage(value, fault);
                }
            }
        }
        _ => {}
    }
}
