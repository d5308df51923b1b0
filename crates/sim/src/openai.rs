//! OpenAI's shapes: chat completions, completions, embeddings, models.
//! Source: OpenAI API reference, "Chat", "Completions", "Embeddings", "Models".

use serde_json::{Value, json};

use crate::answer::{Composed, Data, Event, Place};
use crate::ask::Ask;
use crate::text;

/// When everything was made.
const CREATED: u64 = 1_760_000_000;

fn usage(answer: &Composed) -> Value {
    json!({"prompt_tokens": answer.input, "completion_tokens": answer.output,
        "total_tokens": answer.input + answer.output,
        "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}})
}

fn finish(answer: &Composed) -> &'static str {
    match (&answer.tool, answer.limited) {
        (Some(_), _) => "tool_calls",
        (None, true) => "length",
        (None, false) => "stop",
    }
}

fn fingerprint(answer: &Composed) -> String {
    format!("fp_{}", answer.name)
}

pub(crate) fn whole_chat(answer: &Composed) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.text(), "refusal": null});
    if let Some(tool) = &answer.tool {
        message["content"] = Value::Null;
        message["tool_calls"] = json!([{"id": answer.id("call"), "type": "function",
            "function": {"name": tool.name, "arguments": tool.arguments}}]);
    }
    json!({"id": answer.id("chatcmpl"), "object": "chat.completion", "created": CREATED, "model": answer.model,
        "system_fingerprint": fingerprint(answer), "usage": usage(answer),
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish(answer)}]})
}

pub(crate) fn whole_completion(answer: &Composed) -> Value {
    json!({"id": answer.id("cmpl"), "object": "text_completion", "created": CREATED, "model": answer.model,
        "system_fingerprint": fingerprint(answer), "usage": usage(answer),
        "choices": [{"index": 0, "text": answer.text(), "logprobs": null, "finish_reason": finish(answer)}]})
}

/// Puts the events together: opening and content as given, then the finish, the usage when asked for, and `[DONE]`.
fn stream(
    chunk: impl Fn(Value) -> Value,
    content: Vec<(Place, Value)>,
    last: Value,
    answer: &Composed,
    include_usage: bool,
) -> Vec<Event> {
    let whole = |choices: Value, reported: Value| {
        let mut chunk = chunk(choices);
        if include_usage {
            chunk["usage"] = reported;
        }
        chunk
    };
    let mut events: Vec<Event> = content
        .into_iter()
        .map(|(place, choice)| Event::json(None, place, whole(json!([choice]), Value::Null)))
        .collect();
    events.push(Event::json(None, Place::Closing, whole(json!([last]), Value::Null)));
    if include_usage {
        events.push(Event::json(None, Place::Closing, whole(json!([]), usage(answer))));
    }
    events.push(Event { name: None, data: Data::Text("[DONE]".to_owned()), place: Place::Terminal });
    events
}

pub(crate) fn chat_events(answer: &Composed, include_usage: bool) -> Vec<Event> {
    let choice =
        |delta: Value, finish: Value| json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
    let chunk = |choices: Value| {
        json!({"id": answer.id("chatcmpl"), "object": "chat.completion.chunk", "created": CREATED,
            "model": answer.model, "system_fingerprint": fingerprint(answer), "choices": choices})
    };
    let mut content = Vec::new();
    match &answer.tool {
        Some(tool) => {
            let call = json!({"index": 0, "id": answer.id("call"), "type": "function",
                "function": {"name": tool.name, "arguments": ""}});
            let delta = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            content.push((Place::Opening, choice(delta, Value::Null)));
            for piece in answer.argument_pieces() {
                let delta = json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]});
                content.push((Place::Content, choice(delta, Value::Null)));
            }
        }
        None => {
            let delta = json!({"role": "assistant", "content": "", "refusal": null});
            content.push((Place::Opening, choice(delta, Value::Null)));
            for token in &answer.tokens {
                content.push((Place::Content, choice(json!({"content": token}), Value::Null)));
            }
        }
    }
    stream(chunk, content, choice(json!({}), Value::from(finish(answer))), answer, include_usage)
}

pub(crate) fn completion_events(answer: &Composed, include_usage: bool) -> Vec<Event> {
    let choice =
        |text: &str, finish: Value| json!({"index": 0, "text": text, "logprobs": null, "finish_reason": finish});
    let chunk = |choices: Value| {
        json!({"id": answer.id("cmpl"), "object": "text_completion", "created": CREATED, "model": answer.model,
            "system_fingerprint": fingerprint(answer), "choices": choices})
    };
    let content = answer.tokens.iter().map(|token| (Place::Content, choice(token, Value::Null))).collect();
    stream(chunk, content, choice("", Value::from(finish(answer))), answer, include_usage)
}

/// The largest vector that is made.
const MOST_DIMENSIONS: u64 = 4096;

/// Vectors for each input, of 8 dimensions or as many as asked for; as base64 of little-endian `f32` when asked for.
pub(crate) fn embeddings(ask: &Ask, seed: u64) -> Value {
    let dimensions = ask.body["dimensions"].as_u64().unwrap_or(8).clamp(1, MOST_DIMENSIONS);
    let coded = ask.body["encoding_format"] == "base64";
    let input = &ask.body["input"];
    // A list of numbers is one input of tokens.
    let inputs: Vec<&Value> = match input {
        Value::Array(list) if !list.first().is_some_and(Value::is_number) => list.iter().collect(),
        single => vec![single],
    };
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let seed = text::mix(seed ^ text::hash(input.to_string().as_bytes()));
            let vector = text::vector(seed, usize::try_from(dimensions).unwrap_or(8));
            let embedding = if coded {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                Value::from(text::base64(&bytes))
            } else {
                Value::from(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    json!({"object": "list", "data": data, "model": ask.model,
        "usage": {"prompt_tokens": ask.prompt_tokens, "total_tokens": ask.prompt_tokens}})
}

/// One model in a list, in OpenAI's shape.
pub(crate) fn model(id: &str, name: &str) -> Value {
    json!({"id": id, "object": "model", "created": CREATED, "owned_by": name})
}

/// The list of models.
pub(crate) fn models(ids: &[String], name: &str) -> Value {
    let data: Vec<Value> = ids.iter().map(|id| model(id, name)).collect();
    json!({"object": "list", "data": data})
}
