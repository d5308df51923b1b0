//! OpenAI's shapes: chat completions, completions, embeddings, models.
//! Source: OpenAI API reference, "Chat", "Completions", "Embeddings", "Models".

use serde_json::{Value, json};

use crate::answer::{Composed, Data, Event, Place, ToolCall, pieces};
use crate::ask::Ask;
use crate::scripted::Finish;
use crate::text;

/// Characters of thinking or refusal in one event.
const PIECE: usize = 7;

/// When everything was made.
pub(crate) const CREATED: u64 = 1_760_000_000;

fn usage(answer: &Composed) -> Value {
    let all = answer.usage;
    let mut prompt = json!({"cached_tokens": all.cached});
    if all.cache_creation > 0 {
        prompt["cache_write_tokens"] = json!(all.cache_creation);
    }
    json!({"prompt_tokens": all.input, "completion_tokens": all.output, "total_tokens": all.input + all.output,
        "prompt_tokens_details": prompt, "completion_tokens_details": {"reasoning_tokens": all.reasoning}})
}

fn finish(answer: &Composed) -> &'static str {
    match answer.finish {
        Finish::Stop | Finish::StopSequence(_) => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        // A model that refuses in words has said all; a filter cuts the answer off.
        Finish::Refusal if answer.refusal.is_some() => "stop",
        Finish::Refusal => "content_filter",
    }
}

/// Names the stop sequence in a choice, as vLLM does.
fn name_stop(choice: &mut Value, answer: &Composed) {
    if let Finish::StopSequence(sequence) = &answer.finish {
        choice["stop_reason"] = Value::from(sequence.as_str());
    }
}

/// The `logprobs` of these tokens, if there are any to tell.
fn logprobs(answer: &Composed, tokens: &[String]) -> Value {
    let Some(percent) = answer.probability else { return Value::Null };
    let logprob = (f64::from(percent) / 100.0).ln();
    let told =
        tokens.iter().map(|token| json!({"token": token, "logprob": logprob, "bytes": null, "top_logprobs": []}));
    json!({"content": told.collect::<Vec<_>>(), "refusal": null})
}

fn fingerprint(answer: &Composed) -> String {
    format!("fp_{}", answer.name)
}

pub(crate) fn whole_chat(answer: &Composed) -> Value {
    let content = if answer.tokens.is_empty() && (!answer.calls.is_empty() || answer.finish == Finish::Refusal) {
        Value::Null
    } else {
        Value::from(answer.text())
    };
    let mut message = json!({"role": "assistant", "content": content, "refusal": answer.refusal});
    if let Some(thinking) = &answer.thinking {
        message["reasoning_content"] = Value::from(thinking.text.as_str());
    }
    if !answer.calls.is_empty() {
        let calls = answer.calls.iter().map(|call| {
            json!({"id": answer.call_id(call, "call"), "type": "function",
                "function": {"name": call.name, "arguments": call.arguments}})
        });
        message["tool_calls"] = calls.collect();
    }
    let mut choice = json!({"index": 0, "message": message, "finish_reason": finish(answer)});
    choice["logprobs"] = logprobs(answer, &answer.tokens);
    name_stop(&mut choice, answer);
    json!({"id": answer.id("chatcmpl"), "object": "chat.completion", "created": CREATED, "model": answer.model,
        "system_fingerprint": fingerprint(answer), "usage": usage(answer), "choices": [choice]})
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
    // The first delta names the role, and the first call when there is nothing but calls.
    let mut first = json!({"role": "assistant", "content": "", "refusal": null});
    let mut content = Vec::new();
    for piece in answer.thinking.iter().flat_map(|thinking| pieces(&thinking.text, PIECE)) {
        content.push((Place::Content, choice(json!({"reasoning_content": piece}), Value::Null)));
    }
    for token in &answer.tokens {
        let mut choice = choice(json!({"content": token}), Value::Null);
        choice["logprobs"] = logprobs(answer, std::slice::from_ref(token));
        content.push((Place::Content, choice));
    }
    for piece in answer.refusal.iter().flat_map(|refusal| pieces(refusal, PIECE)) {
        content.push((Place::Content, choice(json!({"refusal": piece}), Value::Null)));
    }
    let mut calls = call_deltas(answer).into_iter();
    if content.is_empty()
        && let Some((_, call)) = calls.next()
    {
        first["content"] = Value::Null;
        first["tool_calls"] = json!([call]);
    }
    content.insert(0, (Place::Opening, choice(first, Value::Null)));
    content.extend(calls.map(|(place, call)| (place, choice(json!({"tool_calls": [call]}), Value::Null))));
    let mut last = choice(json!({}), Value::from(finish(answer)));
    name_stop(&mut last, answer);
    stream(chunk, content, last, answer, include_usage)
}

/// The pieces of all calls, each opened by its id and name: one call behind the other, or by turns.
fn call_deltas(answer: &Composed) -> Vec<(Place, Value)> {
    let opening = |index: usize, call: &ToolCall| {
        let function = json!({"name": call.name, "arguments": ""});
        let id = answer.call_id(call, "call");
        (Place::Opening, json!({"index": index, "id": id, "type": "function", "function": function}))
    };
    let piece = |index: usize, text: &str| (Place::Content, json!({"index": index, "function": {"arguments": text}}));
    let mut deltas = Vec::new();
    if !answer.interleave {
        for (index, call) in answer.calls.iter().enumerate() {
            deltas.push(opening(index, call));
            deltas.extend(call.pieces().iter().map(|text| piece(index, text)));
        }
        return deltas;
    }
    deltas.extend(answer.calls.iter().enumerate().map(|(index, call)| opening(index, call)));
    let cut: Vec<Vec<String>> = answer.calls.iter().map(ToolCall::pieces).collect();
    for turn in 0..cut.iter().map(Vec::len).max().unwrap_or(0) {
        deltas.extend(cut.iter().enumerate().filter_map(|(index, texts)| Some(piece(index, texts.get(turn)?))));
    }
    deltas
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
