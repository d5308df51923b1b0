//! Anthropic's shapes: messages, their stream, models, error types.
//! Source: Anthropic API reference, "Messages", "Streaming messages", "Errors", "Models".

use serde_json::{Value, json};

use crate::answer::{Composed, Data, Event, Place, pieces};
use crate::scripted::Finish;

/// Characters of thinking or refusal in one event.
const PIECE: usize = 7;

/// `stop_reason` and `stop_sequence`.
fn stop(answer: &Composed) -> (&'static str, Value) {
    match &answer.finish {
        Finish::Stop => ("end_turn", Value::Null),
        Finish::Length => ("max_tokens", Value::Null),
        Finish::ToolCalls => ("tool_use", Value::Null),
        Finish::StopSequence(sequence) => ("stop_sequence", Value::from(sequence.as_str())),
        Finish::Refusal => ("refusal", Value::Null),
    }
}

/// Usage with `output` tokens so far: cached and written tokens are not part of `input_tokens`.
fn usage(answer: &Composed, output: u64) -> Value {
    let all = answer.usage;
    let fresh = all.input.saturating_sub(all.cached).saturating_sub(all.cache_creation);
    let mut usage = json!({"input_tokens": fresh, "output_tokens": output,
        "cache_creation_input_tokens": all.cache_creation, "cache_read_input_tokens": all.cached});
    if all.reasoning > 0 && output == all.output {
        usage["output_tokens_details"] = json!({"thinking_tokens": all.reasoning});
    }
    usage
}

/// A block as it stands in the whole answer, as it opens in a stream, and the deltas between.
struct Block {
    whole: Value,
    opening: Value,
    deltas: Vec<Value>,
}

fn blocks(answer: &Composed) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(thinking) = &answer.thinking {
        let thought = pieces(&thinking.text, PIECE).into_iter();
        let mut deltas: Vec<Value> = thought.map(|text| json!({"type": "thinking_delta", "thinking": text})).collect();
        deltas.push(json!({"type": "signature_delta", "signature": thinking.signature}));
        blocks.push(Block {
            whole: json!({"type": "thinking", "thinking": thinking.text, "signature": thinking.signature}),
            opening: json!({"type": "thinking", "thinking": "", "signature": ""}),
            deltas,
        });
    }
    let mut said = answer.tokens.clone();
    said.extend(answer.refusal.iter().flat_map(|refusal| pieces(refusal, PIECE)));
    // An answer that only thinks, calls or refuses in silence has no text block; one that says nothing has an empty one.
    let silent = answer.calls.is_empty() && answer.thinking.is_none() && answer.finish != Finish::Refusal;
    if !said.is_empty() || silent {
        blocks.push(Block {
            whole: json!({"type": "text", "text": said.concat()}),
            opening: json!({"type": "text", "text": ""}),
            deltas: said.iter().map(|text| json!({"type": "text_delta", "text": text})).collect(),
        });
    }
    for call in &answer.calls {
        let id = answer.call_id(call, "toolu");
        let input: Value = match call.arguments.as_str() {
            "" => json!({}),
            arguments => serde_json::from_str(arguments).unwrap_or(Value::Null),
        };
        let deltas = call.pieces().into_iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        blocks.push(Block {
            whole: json!({"type": "tool_use", "id": id, "name": call.name, "input": input}),
            opening: json!({"type": "tool_use", "id": id, "name": call.name, "input": {}}),
            deltas: deltas.collect(),
        });
    }
    blocks
}

pub(crate) fn whole(answer: &Composed) -> Value {
    let content: Vec<Value> = blocks(answer).into_iter().map(|block| block.whole).collect();
    let (reason, sequence) = stop(answer);
    json!({"id": answer.id("msg"), "type": "message", "role": "assistant", "model": answer.model,
        "content": content, "stop_reason": reason, "stop_sequence": sequence,
        "usage": usage(answer, answer.usage.output)})
}

pub(crate) fn events(answer: &Composed) -> Vec<Event> {
    let event = |name: &'static str, place: Place, mut data: Value| {
        data["type"] = Value::from(name);
        Event::json(Some(name), place, data)
    };
    let message = json!({"id": answer.id("msg"), "type": "message", "role": "assistant", "model": answer.model,
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage(answer, 1)});
    let mut events = vec![event("message_start", Place::Opening, json!({"message": message}))];
    for (index, block) in blocks(answer).into_iter().enumerate() {
        let opening = json!({"index": index, "content_block": block.opening});
        events.push(event("content_block_start", Place::Opening, opening));
        if index == 0 {
            events.push(event("ping", Place::Opening, json!({})));
        }
        for delta in block.deltas {
            events.push(event("content_block_delta", Place::Content, json!({"index": index, "delta": delta})));
        }
        events.push(event("content_block_stop", Place::Closing, json!({"index": index})));
    }
    let (reason, sequence) = stop(answer);
    let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
    let reported = json!({"delta": delta, "usage": usage(answer, answer.usage.output)});
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
