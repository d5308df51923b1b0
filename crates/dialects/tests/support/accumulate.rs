//! What a client makes of a stream: the whole answer. Strict about the order of events: what is out of order is a panic.

use serde_json::{Map, Value, json};

/// The events of a stream: name and data.
pub(crate) fn events(stream: &str) -> Vec<(Option<&str>, &str)> {
    assert!(stream.is_empty() || stream.ends_with("\n\n"), "a stream ends with a blank line");
    stream
        .split_terminator("\n\n")
        .map(|event| {
            let mut lines = event.lines();
            let first = lines.next().expect("an event has a line");
            let (name, data) = match first.strip_prefix("event: ") {
                Some(name) => (Some(name), lines.next().expect("a named event has data")),
                None => (None, first),
            };
            assert_eq!(lines.next(), None, "an event has one line of data: {event}");
            (name, data.strip_prefix("data: ").expect("an event has data"))
        })
        .collect()
}

/// Appends `delta[name]` to the text `whole[name]`.
fn append(whole: &mut Value, delta: &Value, name: &str) {
    let Some(piece) = delta[name].as_str() else { return };
    let known = whole[name].as_str().unwrap_or_default();
    whole[name] = Value::from(format!("{known}{piece}"));
}

/// A chat completion, merged as the official client does.
pub(crate) fn chat(stream: &str) -> Value {
    let mut whole = Value::Null;
    let mut is_done = false;
    for (name, data) in events(stream) {
        assert!(name.is_none() && !is_done, "nothing is named, and nothing comes after the end");
        if data == "[DONE]" {
            is_done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).expect("a chunk is JSON");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        if whole.is_null() {
            assert_eq!(chunk["choices"][0]["delta"]["role"], "assistant", "the role comes first");
            let message = json!({ "role": "assistant", "content": null, "refusal": null });
            whole = json!({
                "id": chunk["id"], "object": "chat.completion", "created": chunk["created"], "model": chunk["model"],
                "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": null }],
            });
        }
        for name in ["id", "created", "model"] {
            assert_eq!(chunk[name], whole[name], "every chunk has the same {name}");
        }
        if let Some(usage) = chunk.get("usage") {
            assert_eq!(chunk["choices"], json!([]));
            whole["usage"] = usage.clone();
            continue;
        }
        let choice = &chunk["choices"][0];
        let known = &mut whole["choices"][0];
        assert_eq!(known["finish_reason"], Value::Null, "nothing is said after the finish");
        for name in ["finish_reason", "stop_reason"] {
            if choice.get(name).is_some_and(|value| !value.is_null()) {
                known[name] = choice[name].clone();
            }
        }
        merge_delta(&mut known["message"], &choice["delta"]);
    }
    assert!(is_done, "the stream has its end");
    // Blocks without a signature say nothing that the text does not.
    let message = &mut whole["choices"][0]["message"];
    let blocks = message["thinking_blocks"].as_array().cloned().unwrap_or_default();
    let is_signed = |block: &Value| block.get("data").is_some() || block.get("signature").is_some();
    let members = message.as_object_mut().expect("a message is an object");
    if blocks.iter().any(is_signed) {
        let with_both = blocks.into_iter().map(|mut block| {
            for name in ["thinking", "signature"] {
                if block["type"] == "thinking" && block.get(name).is_none() {
                    block[name] = Value::from("");
                }
            }
            block
        });
        members.insert("thinking_blocks".to_owned(), with_both.collect());
    } else {
        members.remove("thinking_blocks");
    }
    whole
}

fn merge_delta(message: &mut Value, delta: &Value) {
    for name in ["content", "refusal", "reasoning_content"] {
        append(message, delta, name);
    }
    for list in ["tool_calls", "thinking_blocks"] {
        for piece in delta[list].as_array().into_iter().flatten() {
            let mut piece = piece.as_object().expect("an entry is an object").clone();
            let index = piece.remove("index").and_then(|index| index.as_u64()).expect("an entry has an index");
            let index = usize::try_from(index).expect("an index is small");
            if message[list].is_null() {
                message[list] = json!([]);
            }
            let known = message[list].as_array_mut().expect("a list");
            match known.get_mut(index) {
                Some(known) => merge_entry(known, &piece),
                None => {
                    assert_eq!(known.len(), index, "entries come in order");
                    if list == "tool_calls" {
                        let is_named = piece["function"]["name"].is_string();
                        assert!(piece["id"].is_string() && piece["type"] == "function" && is_named);
                    }
                    known.push(Value::Object(piece));
                }
            }
        }
    }
}

fn merge_entry(known: &mut Value, piece: &Map<String, Value>) {
    for (name, value) in piece {
        match value {
            _ if name == "type" => assert_eq!(known[name], *value),
            Value::Object(members) => merge_entry(&mut known[name], members),
            _ => append(known, &json!({ name: value }), name),
        }
    }
}

/// A message.
pub(crate) fn messages(stream: &str) -> Value {
    let mut whole = Value::Null;
    let mut open: Option<usize> = None;
    let mut arguments = String::new();
    let mut is_done = false;
    for (name, data) in events(stream) {
        let event: Value = serde_json::from_str(data).expect("an event is JSON");
        assert_eq!(event["type"].as_str(), name, "an event is named after its type");
        assert!(!is_done, "nothing comes after the end");
        let index = event["index"].as_u64().map(|index| usize::try_from(index).expect("an index is small"));
        match name.expect("every event is named") {
            "message_start" => {
                assert!(whole.is_null(), "a message starts once");
                whole = event["message"].clone();
                assert_eq!(whole["content"], json!([]));
            }
            "content_block_start" => {
                let content = whole["content"].as_array_mut().expect("the message has started");
                assert_eq!((open, index), (None, Some(content.len())), "one block is open at a time");
                content.push(event["content_block"].clone());
                open = index;
            }
            "content_block_delta" => {
                assert!(open.is_some() && open == index, "a piece belongs to the open block");
                let (block, delta) = (&mut whole["content"][open.unwrap_or_default()], &event["delta"]);
                let kind = block["type"].as_str().expect("a block has a type").to_owned();
                match (delta["type"].as_str(), &*kind) {
                    (Some("text_delta"), "text") => append(block, delta, "text"),
                    (Some("thinking_delta"), "thinking") => append(block, delta, "thinking"),
                    (Some("signature_delta"), "thinking") => append(block, delta, "signature"),
                    (Some("input_json_delta"), "tool_use") => {
                        arguments.push_str(delta["partial_json"].as_str().expect("a piece of JSON is text"));
                    }
                    other => panic!("a piece of the wrong kind: {other:?}"),
                }
            }
            "content_block_stop" => {
                assert!(open.is_some() && open == index, "the open block is closed");
                let arguments = std::mem::take(&mut arguments);
                if !arguments.is_empty() {
                    let input = serde_json::from_str(&arguments).unwrap_or_else(|_| json!({ "cut": arguments }));
                    whole["content"][open.unwrap_or_default()]["input"] = input;
                }
                open = None;
            }
            "message_delta" => {
                assert_eq!(open, None, "every block is closed");
                for (name, value) in event["delta"].as_object().expect("a delta is an object") {
                    whole[name] = value.clone();
                }
                whole["usage"] = event["usage"].clone();
            }
            "message_stop" => is_done = true,
            other => panic!("an event of an unknown kind: {other}"),
        }
    }
    assert!(is_done && whole["stop_reason"].is_string(), "the stream has its end");
    whole
}

/// A response: what its last event repeats, which has to be what the events before it said.
pub(crate) fn responses(stream: &str) -> Value {
    let mut items: Vec<Value> = Vec::new();
    let mut last = Value::Null;
    for (number, (name, data)) in events(stream).into_iter().enumerate() {
        let event: Value = serde_json::from_str(data).expect("an event is JSON");
        assert_eq!(event["type"].as_str(), name, "an event is named after its type");
        assert_eq!(event["sequence_number"], number, "events are numbered");
        assert!(last.is_null(), "nothing comes after the end");
        let number_in = |name: &str| usize::try_from(event[name].as_u64().expect("a number")).expect("a small one");
        match name.expect("every event is named") {
            "response.created" | "response.in_progress" => {
                assert_eq!((number < 2, &event["response"]["status"]), (true, &json!("in_progress")));
            }
            "response.output_item.added" => {
                assert_eq!(number_in("output_index"), items.len());
                assert!(event["item"]["status"] == "in_progress" || event["item"]["type"] == "reasoning");
                items.push(event["item"].clone());
            }
            "response.output_item.done" => {
                let item = &mut items[number_in("output_index")];
                let mut done = event["item"].clone();
                let status = done["status"].take();
                let mut known = item.clone();
                known["status"].take();
                assert_eq!(known, done, "an item is what its pieces said");
                item["status"] = status;
                if item["type"] == "reasoning" {
                    item.as_object_mut().expect("an item is an object").remove("status");
                }
            }
            "response.completed" | "response.incomplete" => {
                last = event["response"].clone();
                assert_eq!(name, Some(format!("response.{}", last["status"].as_str().unwrap_or_default())).as_deref());
            }
            name => {
                let item = &mut items[number_in("output_index")];
                assert_eq!(event["item_id"], item["id"]);
                piece_of_item(name, item, &event);
            }
        }
    }
    assert_eq!(last["output"], Value::Array(items), "the end repeats what was said");
    last
}

fn piece_of_item(name: &str, item: &mut Value, event: &Value) {
    let at = |name: &str| usize::try_from(event[name].as_u64().expect("a number")).expect("a small one");
    match name {
        "response.content_part.added" => {
            let content = item["content"].as_array_mut().expect("a message has content");
            assert_eq!(content.len(), at("content_index"));
            content.push(event["part"].clone());
        }
        "response.output_text.delta" | "response.refusal.delta" => {
            let member = if name == "response.refusal.delta" { "refusal" } else { "text" };
            append(&mut item["content"][at("content_index")], &json!({ member: event["delta"] }), member);
        }
        "response.output_text.done" => assert_eq!(item["content"][at("content_index")]["text"], event["text"]),
        "response.refusal.done" => assert_eq!(item["content"][at("content_index")]["refusal"], event["refusal"]),
        "response.content_part.done" => assert_eq!(item["content"][at("content_index")], event["part"]),
        "response.reasoning_summary_part.added" => {
            assert_eq!((item["summary"].take(), at("summary_index")), (json!([]), 0));
            item["summary"] = json!([event["part"]]);
        }
        "response.reasoning_summary_text.delta" => {
            append(&mut item["summary"][0], &json!({ "text": event["delta"] }), "text");
        }
        "response.reasoning_summary_text.done" => assert_eq!(item["summary"][0]["text"], event["text"]),
        "response.reasoning_summary_part.done" => assert_eq!(item["summary"][0], event["part"]),
        "response.function_call_arguments.delta" => append(item, &json!({ "arguments": event["delta"] }), "arguments"),
        "response.function_call_arguments.done" => {
            // A call without arguments has an empty object of them.
            if item["arguments"] == "" {
                item["arguments"] = event["arguments"].clone();
            }
            assert_eq!((&item["arguments"], &item["name"]), (&event["arguments"], &event["name"]));
        }
        other => panic!("an event of an unknown kind: {other}"),
    }
}
