//! OpenAI's responses: the whole object and the full sequence of events of a stream.
//! Source: OpenAI API reference, "Responses", "Streaming events".
//!
//! What is answered does not depend on earlier responses; which ids count as earlier ones is kept in `shared`.

use serde_json::{Value, json};

use crate::answer::{Composed, Event, Place, ToolCall, pieces};
use crate::openai::CREATED;
use crate::scripted::Finish;

/// Characters of thinking or refusal in one event.
const PIECE: usize = 7;

/// One output item: as it is when done, as it opens, and the events between.
struct Item {
    done: Value,
    opening: Value,
    between: Vec<(&'static str, Place, Value)>,
}

/// `status`, and `incomplete_details`.
fn status(answer: &Composed) -> (&'static str, Value) {
    match answer.finish {
        Finish::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
        Finish::Refusal if answer.refusal.is_none() => ("incomplete", json!({"reason": "content_filter"})),
        _ => ("completed", Value::Null),
    }
}

fn usage(answer: &Composed) -> Value {
    let all = answer.usage;
    json!({"input_tokens": all.input, "output_tokens": all.output, "total_tokens": all.input + all.output,
        "input_tokens_details": {"cached_tokens": all.cached, "cache_write_tokens": all.cache_creation},
        "output_tokens_details": {"reasoning_tokens": all.reasoning}})
}

fn reasoning(answer: &Composed, text: &str) -> Item {
    let id = answer.id("rs");
    let at = |mut value: Value| {
        value["item_id"] = Value::from(id.as_str());
        value["summary_index"] = Value::from(0);
        value
    };
    let mut between = vec![(
        "response.reasoning_summary_part.added",
        Place::Opening,
        at(json!({"part": {"type": "summary_text", "text": ""}})),
    )];
    for piece in pieces(text, PIECE) {
        between.push(("response.reasoning_summary_text.delta", Place::Content, at(json!({"delta": piece}))));
    }
    between.push(("response.reasoning_summary_text.done", Place::Closing, at(json!({"text": text}))));
    let part = json!({"part": {"type": "summary_text", "text": text}});
    between.push(("response.reasoning_summary_part.done", Place::Closing, at(part)));
    let summary = json!([{"type": "summary_text", "text": text}]);
    Item {
        done: json!({"id": id, "type": "reasoning", "summary": summary}),
        opening: json!({"id": id, "type": "reasoning", "summary": []}),
        between,
    }
}

fn message(answer: &Composed, item_status: &str) -> Item {
    let id = answer.id("msg");
    let at = |mut value: Value| {
        value["item_id"] = Value::from(id.as_str());
        value["content_index"] = Value::from(0);
        value
    };
    let (empty, full, deltas, done) = match &answer.refusal {
        Some(refusal) => (
            json!({"type": "refusal", "refusal": ""}),
            json!({"type": "refusal", "refusal": refusal}),
            pieces(refusal, PIECE)
                .into_iter()
                .map(|piece| ("response.refusal.delta", json!({"delta": piece})))
                .collect(),
            ("response.refusal.done", json!({"refusal": refusal})),
        ),
        None => (
            json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []}),
            json!({"type": "output_text", "text": answer.text(), "annotations": [], "logprobs": []}),
            answer
                .tokens
                .iter()
                .map(|token| ("response.output_text.delta", json!({"delta": token, "logprobs": []})))
                .collect::<Vec<_>>(),
            ("response.output_text.done", json!({"text": answer.text(), "logprobs": []})),
        ),
    };
    let mut between = vec![("response.content_part.added", Place::Opening, at(json!({"part": empty})))];
    between.extend(deltas.into_iter().map(|(name, delta)| (name, Place::Content, at(delta))));
    between.push((done.0, Place::Closing, at(done.1)));
    between.push(("response.content_part.done", Place::Closing, at(json!({"part": full}))));
    let whole = |status: &str, content: Value| json!({"id": id, "type": "message", "role": "assistant", "status": status, "content": content});
    Item { done: whole(item_status, json!([full])), opening: whole("in_progress", json!([])), between }
}

fn function_call(answer: &Composed, index: usize, call: &ToolCall) -> Item {
    let id = format!("{}-{index}", answer.id("fc"));
    let call_id = answer.call_id(call, "call");
    let whole = |status: &str, arguments: &str| {
        json!({"id": id, "type": "function_call", "status": status, "call_id": call_id, "name": call.name,
            "arguments": arguments})
    };
    let mut between: Vec<_> = call
        .pieces()
        .into_iter()
        .map(|piece| {
            let delta = json!({"item_id": id, "delta": piece});
            ("response.function_call_arguments.delta", Place::Content, delta)
        })
        .collect();
    let done = json!({"item_id": id, "name": call.name, "arguments": call.arguments});
    between.push(("response.function_call_arguments.done", Place::Closing, done));
    Item { done: whole("completed", &call.arguments), opening: whole("in_progress", ""), between }
}

fn items(answer: &Composed) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(thinking) = &answer.thinking {
        items.push(reasoning(answer, &thinking.text));
    }
    if !answer.tokens.is_empty() || answer.refusal.is_some() {
        items.push(message(answer, status(answer).0));
    }
    items.extend(answer.calls.iter().enumerate().map(|(index, call)| function_call(answer, index, call)));
    items
}

/// The object, with what the request said repeated, as the provider does.
fn object(answer: &Composed, asked: &Value, status: &str, incomplete: Value, output: Value, usage: Value) -> Value {
    let or = |name: &str, otherwise: Value| if asked[name].is_null() { otherwise } else { asked[name].clone() };
    json!({"id": answer.id("resp"), "object": "response", "created_at": CREATED, "status": status, "error": null,
        "incomplete_details": incomplete, "model": answer.model, "output": output, "usage": usage,
        "instructions": asked["instructions"], "max_output_tokens": asked["max_output_tokens"],
        "previous_response_id": asked["previous_response_id"], "metadata": or("metadata", json!({})),
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)), "tools": or("tools", json!([])),
        "tool_choice": or("tool_choice", json!("auto")), "store": or("store", json!(true)),
        "temperature": or("temperature", json!(1.0)), "top_p": or("top_p", json!(1.0)),
        "text": or("text", json!({"format": {"type": "text"}})), "truncation": or("truncation", json!("disabled")),
        "reasoning": or("reasoning", json!({"effort": null, "summary": null}))})
}

/// The whole response to a request with the body `asked`.
pub(crate) fn whole(answer: &Composed, asked: &Value) -> Value {
    let (status, incomplete) = status(answer);
    let output: Value = items(answer).into_iter().map(|item| item.done).collect();
    object(answer, asked, status, incomplete, output, usage(answer))
}

/// The stream of the same response.
pub(crate) fn events(answer: &Composed, asked: &Value) -> Vec<Event> {
    let mut events = Vec::new();
    let mut number = 0_u64;
    let mut push = |name: &'static str, place: Place, mut data: Value| {
        data["type"] = Value::from(name);
        data["sequence_number"] = Value::from(number);
        number += 1;
        events.push(Event::json(Some(name), place, data));
    };
    let begun = object(answer, asked, "in_progress", Value::Null, json!([]), Value::Null);
    push("response.created", Place::Opening, json!({"response": begun}));
    push("response.in_progress", Place::Opening, json!({"response": begun}));
    for (index, item) in items(answer).into_iter().enumerate() {
        let opening = json!({"output_index": index, "item": item.opening});
        push("response.output_item.added", Place::Opening, opening);
        for (name, place, mut data) in item.between {
            data["output_index"] = Value::from(index);
            push(name, place, data);
        }
        push("response.output_item.done", Place::Closing, json!({"output_index": index, "item": item.done}));
    }
    let (status, _) = status(answer);
    let last = if status == "completed" { "response.completed" } else { "response.incomplete" };
    push(last, Place::Terminal, json!({"response": whole(answer, asked)}));
    events
}
