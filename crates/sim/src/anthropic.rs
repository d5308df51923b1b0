//! Anthropic's shapes: messages, their stream, models, error types.
//! Source: Anthropic API reference, "Messages", "Streaming messages", "Errors", "Models".

use serde_json::{Value, json};

use crate::answer::{Composed, Data, Event, Place};

fn stop_reason(answer: &Composed) -> &'static str {
    match (&answer.tool, answer.limited) {
        (Some(_), _) => "tool_use",
        (None, true) => "max_tokens",
        (None, false) => "end_turn",
    }
}

fn usage(input: u64, output: u64) -> Value {
    json!({"input_tokens": input, "output_tokens": output, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0})
}

pub(crate) fn whole(answer: &Composed) -> Value {
    let block = match &answer.tool {
        Some(tool) => {
            let input: Value = serde_json::from_str(&tool.arguments).unwrap_or(Value::Null);
            json!({"type": "tool_use", "id": answer.id("toolu"), "name": tool.name, "input": input})
        }
        None => json!({"type": "text", "text": answer.text()}),
    };
    json!({"id": answer.id("msg"), "type": "message", "role": "assistant", "model": answer.model,
        "content": [block], "stop_reason": stop_reason(answer), "stop_sequence": null,
        "usage": usage(answer.input, answer.output)})
}

pub(crate) fn events(answer: &Composed) -> Vec<Event> {
    let event = |name: &'static str, place: Place, mut data: Value| {
        data["type"] = Value::from(name);
        Event::json(Some(name), place, data)
    };
    let message = json!({"id": answer.id("msg"), "type": "message", "role": "assistant", "model": answer.model,
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage(answer.input, 1)});
    let mut events = vec![event("message_start", Place::Opening, json!({"message": message}))];
    let block = match &answer.tool {
        Some(tool) => json!({"type": "tool_use", "id": answer.id("toolu"), "name": tool.name, "input": {}}),
        None => json!({"type": "text", "text": ""}),
    };
    events.push(event("content_block_start", Place::Opening, json!({"index": 0, "content_block": block})));
    events.push(event("ping", Place::Opening, json!({})));
    for token in &answer.tokens {
        let delta = json!({"type": "text_delta", "text": token});
        events.push(event("content_block_delta", Place::Content, json!({"index": 0, "delta": delta})));
    }
    for piece in answer.argument_pieces() {
        let delta = json!({"type": "input_json_delta", "partial_json": piece});
        events.push(event("content_block_delta", Place::Content, json!({"index": 0, "delta": delta})));
    }
    events.push(event("content_block_stop", Place::Closing, json!({"index": 0})));
    let delta = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
    let reported = json!({"delta": delta, "usage": usage(answer.input, answer.output)});
    events.push(event("message_delta", Place::Closing, reported));
    events.push(Event {
        name: Some("message_stop"),
        data: Data::Json(json!({"type": "message_stop"})),
        place: Place::Terminal,
    });
    events
}

/// The list of models in Anthropic's shape.
pub(crate) fn models(ids: &[String]) -> Value {
    let data: Vec<Value> = ids.iter().map(|id| model(id)).collect();
    json!({"data": data, "has_more": false, "first_id": ids.first(), "last_id": ids.last()})
}

/// One model in Anthropic's shape.
pub(crate) fn model(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": "2025-10-09T08:53:20Z"})
}

/// The error type that goes with a status.
pub(crate) fn error_type(status: u16) -> &'static str {
    match status {
        400 | 422 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}
