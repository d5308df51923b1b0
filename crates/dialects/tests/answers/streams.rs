//! Streams, one by one: the very bytes.

use serde_json::{Value, json};
use tradewind_dialects::Wire::{self, Chat, Messages, Responses};
use tradewind_dialects::{AnswerContext, CallNumbers, StreamTranslator};

use super::{LARGE, accumulated, context, stream, stream_within};

/// Chunks of a chat completion with these deltas, the finish, the usage and the end marker.
fn chunks(deltas: &[Value], finish: &str) -> Vec<String> {
    let chunk = |choices: Value| json!({ "id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices });
    let mut events: Vec<String> = vec![chunk(json!([{ "index": 0, "delta": { "role": "assistant" } }])).to_string()];
    events.extend(
        deltas.iter().map(|delta| chunk(json!([{ "index": 0, "delta": delta, "finish_reason": null }])).to_string()),
    );
    events.push(chunk(json!([{ "index": 0, "delta": {}, "finish_reason": finish }])).to_string());
    let mut last = chunk(json!([]));
    last["usage"] = json!({ "prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14, "prompt_tokens_details": { "cached_tokens": 3 } });
    events.extend([last.to_string(), "[DONE]".to_owned()]);
    events
}

/// Events of a messages stream with these in the middle.
fn message(middle: &[Value], stop: &str) -> Vec<String> {
    let start = json!({ "id": "msg_9", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": { "input_tokens": 8, "cache_read_input_tokens": 2, "output_tokens": 1 } });
    let mut events = vec![json!({ "type": "message_start", "message": start })];
    events.extend_from_slice(middle);
    events.push(json!({ "type": "message_delta", "delta": { "stop_reason": stop }, "usage": { "output_tokens": 4 } }));
    events.push(json!({ "type": "message_stop" }));
    events.iter().map(Value::to_string).collect()
}

fn piece(index: u64, arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] })
}

fn begin(index: u64, id: &str, name: &str) -> Value {
    json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": "" } }] })
}

fn block(index: u64, block: Value) -> Value {
    json!({ "type": "content_block_start", "index": index, "content_block": block })
}

fn delta(index: u64, delta: Value) -> Value {
    json!({ "type": "content_block_delta", "index": index, "delta": delta })
}

fn end(index: u64) -> Value {
    json!({ "type": "content_block_stop", "index": index })
}

fn translated(from: Wire, to: Wire, events: &[String]) -> Value {
    accumulated(to, &stream(from, to, events).expect("the stream has words"))
}

#[test]
fn chat_chunks_become_message_events() {
    let events = chunks(
        &[
            json!({ "content": "Hi \"" }),
            json!({ "content": "" }),
            begin(0, "c1", "f"),
            piece(0, "{\"x\""),
            piece(0, ":1}"),
        ],
        "tool_calls",
    );
    let expected = r#"event: message_start
data: {"type":"message_start","message":{"id":"chatcmpl-9","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi \""}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"c1","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":4}}

event: message_stop
data: {"type":"message_stop"}

"#;
    assert_eq!(stream(Chat, Messages, &events).unwrap(), expected);
}

#[test]
fn message_events_become_chat_chunks() {
    let events = message(
        &[
            block(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
            delta(0, json!({ "type": "thinking_delta", "thinking": "hm" })),
            delta(0, json!({ "type": "signature_delta", "signature": "sig" })),
            end(0),
            block(1, json!({ "type": "text", "text": "" })),
            json!({ "type": "ping" }),
            delta(1, json!({ "type": "text_delta", "text": "Hé\n" })),
            end(1),
            block(2, json!({ "type": "tool_use", "id": "t1", "name": "f", "input": {} })),
            delta(2, json!({ "type": "input_json_delta", "partial_json": "" })),
            delta(2, json!({ "type": "input_json_delta", "partial_json": "{}" })),
            end(2),
        ],
        "tool_use",
    );
    let head = r#"data: {"id":"msg_9","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":["#;
    let deltas = [
        r#"{"role":"assistant"}"#,
        r#"{"reasoning_content":"hm","thinking_blocks":[{"index":0,"type":"thinking","thinking":"hm"}]}"#,
        r#"{"thinking_blocks":[{"index":0,"type":"thinking","thinking":"","signature":"sig"}]}"#,
        r#"{"content":"Hé\n"}"#,
        r#"{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#,
    ];
    let mut expected: String =
        deltas.map(|delta| format!("{head}{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n")).concat();
    expected += &format!("{head}{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"tool_calls\"}}]}}\n\n");
    let usage =
        r#"{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":2}}"#;
    let with_usage = format!("{expected}{head}],\"usage\":{usage}}}\n\ndata: [DONE]\n\n");
    assert_eq!(stream(Messages, Chat, &events).unwrap(), with_usage);

    let unasked = AnswerContext { wants_usage: false, ..context() };
    let mut translator = StreamTranslator::new(Messages, Chat, unasked, LARGE);
    let mut out = Vec::new();
    for event in events.iter().chain(&events) {
        translator.event(event.as_bytes(), &mut out).unwrap();
    }
    assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}data: [DONE]\n\n"), "and nothing after the end");
}

#[test]
fn chat_chunks_become_response_events() {
    let events =
        chunks(&[json!({ "content": "H" }), json!({ "content": "i" }), begin(0, "c1", "f"), piece(0, "{}")], "length");
    let out = stream(Chat, Responses, &events).unwrap();
    let names: Vec<&str> = super::accumulate::events(&out).into_iter().filter_map(|(name, _)| name).collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.incomplete",
    ];
    assert_eq!(names, expected);
    for event in [
        r#"{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_9_0","type":"message","status":"in_progress","role":"assistant","content":[]}}"#,
        r#"{"type":"response.content_part.added","sequence_number":3,"item_id":"msg_9_0","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}"#,
        r#"{"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_9_0","output_index":0,"content_index":0,"delta":"i","logprobs":[]}"#,
        r#"{"type":"response.output_text.done","sequence_number":6,"item_id":"msg_9_0","output_index":0,"content_index":0,"text":"Hi","logprobs":[]}"#,
        r#"{"type":"response.output_item.added","sequence_number":9,"output_index":1,"item":{"id":"fc_9_1","type":"function_call","status":"in_progress","call_id":"c1","name":"f","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","sequence_number":10,"item_id":"fc_9_1","output_index":1,"delta":"{}"}"#,
        r#"{"type":"response.function_call_arguments.done","sequence_number":11,"item_id":"fc_9_1","output_index":1,"name":"f","arguments":"{}"}"#,
    ] {
        assert!(out.contains(&format!("\ndata: {event}\n\n")), "{event} is not in\n{out}");
    }
    let response = accumulated(Responses, &out);
    assert_eq!((&response["status"], &response["usage"]["total_tokens"]), (&json!("incomplete"), &json!(14)));
}

#[test]
fn interleaved_calls_are_put_in_order() {
    let events = chunks(
        &[
            begin(0, "a", "f"),
            piece(0, "{\"x\":"),
            begin(1, "b", "g"),
            piece(1, "{\"y\""),
            begin(2, "c", "h"),
            piece(0, "\"}\\\"{\"}"),
            piece(2, "{}"),
            piece(1, ":2}"),
            begin(3, "d", "i"),
        ],
        "tool_calls",
    );
    let tool =
        |id: &str, name: &str, input: Value| json!({ "type": "tool_use", "id": id, "name": name, "input": input });
    let message = translated(Chat, Messages, &events);
    let expected = json!([
        tool("a", "f", json!({ "x": "}\"{" })),
        tool("b", "g", json!({ "y": 2 })),
        tool("c", "h", json!({})),
        tool("d", "i", json!({})),
    ]);
    assert_eq!(message["content"], expected);
    // The same calls, whatever the format says it in.
    let calls = translated(Chat, Chat, &events)["choices"][0]["message"]["tool_calls"].clone();
    let response = translated(Chat, Responses, &events);
    for (at, arguments) in ["{\"x\":\"}\\\"{\"}", "{\"y\":2}", "{}", ""].into_iter().enumerate() {
        assert_eq!(calls[at]["function"]["arguments"], arguments);
        assert_eq!(response["output"][at]["arguments"], if arguments.is_empty() { "{}" } else { arguments });
    }
}

#[test]
fn pieces_are_passed_on_as_soon_as_their_block_is_open() {
    let mut translator = StreamTranslator::new(Chat, Messages, context(), LARGE);
    let events = chunks(
        &[begin(0, "a", "f"), piece(0, "{\"x\":1}"), begin(1, "b", "g"), piece(1, "{"), piece(1, "}")],
        "tool_calls",
    );
    let said: Vec<usize> = events[1..6]
        .iter()
        .map(|event| {
            let mut out = Vec::new();
            translator.event(event.as_bytes(), &mut out).unwrap();
            super::accumulate::events(std::str::from_utf8(&out).unwrap()).len()
        })
        .collect();
    // The first call is complete, so the second one need not wait: stop and start, then each piece.
    assert_eq!(said, [2, 1, 2, 1, 1]);
}

#[test]
fn odd_tool_calls_of_chat() {
    let tool =
        |id: &str, name: &str, input: Value| json!({ "type": "tool_use", "id": id, "name": name, "input": input });
    let one = |id: &str, arguments: &str| json!({ "tool_calls": [{ "index": 0, "id": id, "function": { "name": "f", "arguments": arguments } }] });
    for (deltas, content) in [
        // All calls have the same index; their ids differ.
        (
            vec![one("a", "{}"), one("b", "{\"x\":1}")],
            json!([tool("a", "f", json!({})), tool("b", "f", json!({ "x": 1 }))]),
        ),
        // The id is repeated in every piece.
        (vec![one("a", "{\"x\""), one("a", ":1}")], json!([tool("a", "f", json!({ "x": 1 }))])),
        // No id, no index.
        (
            vec![json!({ "tool_calls": [{ "function": { "name": "f", "arguments": "{}" } }] })],
            json!([tool("call_d1_0", "f", json!({}))]),
        ),
        // The name comes after the first arguments.
        (vec![piece(0, "{\"x\""), begin(0, "a", "f"), piece(0, ":1}")], json!([tool("a", "f", json!({ "x": 1 }))])),
        // Every piece has another id.
        (
            vec![
                begin(0, "r1", "f"),
                json!({ "tool_calls": [{ "index": 0, "id": "r2", "function": { "arguments": "{\"x\"" } }] }),
                json!({ "tool_calls": [{ "index": 0, "id": "r3", "function": { "arguments": ":1}" } }] }),
            ],
            json!([tool("r1", "f", json!({ "x": 1 }))]),
        ),
        // No ids, one index, names; an index that is null.
        (
            vec![one("", "{}"), one("", "{\"x\":1}")],
            json!([tool("call_d1_0", "f", json!({})), tool("call_d1_1", "f", json!({ "x": 1 }))]),
        ),
        (
            vec![json!({ "tool_calls": [
                { "index": null, "id": "a", "function": { "name": "f", "arguments": "{}" } },
                { "index": null, "id": "b", "function": { "name": "f", "arguments": "{}" } },
            ] })],
            json!([tool("a", "f", json!({})), tool("b", "f", json!({}))]),
        ),
        // The legacy form.
        (
            vec![
                json!({ "function_call": { "name": "f", "arguments": "{" } }),
                json!({ "function_call": { "arguments": "}" } }),
            ],
            json!([tool("call_d1_0", "f", json!({}))]),
        ),
        // Text while a call is incomplete, and after it.
        (
            vec![
                begin(0, "a", "f"),
                piece(0, "{"),
                json!({ "content": "t" }),
                piece(0, "}"),
                json!({ "content": "u" }),
            ],
            json!([tool("a", "f", json!({})), { "type": "text", "text": "tu" }]),
        ),
    ] {
        let message = translated(Chat, Messages, &chunks(&deltas, "stop"));
        assert_eq!((&message["content"], &message["stop_reason"]), (&content, &json!("tool_use")), "{deltas:?}");
    }
}

/// A block of nothing but white space behind a call is refused when it comes back.
#[test]
fn white_space_behind_a_call_is_no_block() {
    let text = |text: &str| json!({ "content": text });
    let deltas = [
        text("a"),
        text("\n"),
        begin(0, "a", "f"),
        text("\n"),
        piece(0, "{"),
        text("\n"),
        piece(0, "}"),
        begin(1, "b", "f"),
        text(" \n"),
        piece(1, "{}"),
        text("\n"),
    ];
    let kinds = |value: &Value| {
        let kind = |block: &Value| block["type"].as_str().unwrap().to_owned();
        value.as_array().unwrap().iter().map(kind).collect::<Vec<_>>()
    };
    let message = translated(Chat, Messages, &chunks(&deltas, "tool_calls"));
    assert_eq!(kinds(&message["content"]), ["text", "tool_use", "tool_use"]);
    assert_eq!(message["content"][0]["text"], "a\n", "before the call everything stays");
    let response = translated(Chat, Responses, &chunks(&deltas, "tool_calls"));
    assert_eq!(kinds(&response["output"]), ["message", "function_call", "function_call"]);
    // With words it is text, and nothing of it is lost.
    let said = [begin(0, "a", "f"), piece(0, "{}"), text("\n"), text("b"), text(" "), text("c"), text("\n")];
    let message = translated(Chat, Messages, &chunks(&said, "stop"));
    assert_eq!(message["content"][1]["text"], "\nb c\n");
}

#[test]
fn thinking_among_the_parts_of_the_content() {
    let thinking =
        |text: &str| json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": text }] }] });
    let deltas = [
        thinking("h"),
        thinking("m"),
        json!({ "content": [{ "type": "text", "text": "a" }] }),
        json!({ "content": "b" }),
    ];
    let message = translated(Chat, Messages, &chunks(&deltas, "stop"));
    let expected = json!([{ "type": "thinking", "thinking": "hm", "signature": "" }, { "type": "text", "text": "ab" }]);
    assert_eq!(message["content"], expected);
    let response = translated(Chat, Responses, &chunks(&deltas, "stop"));
    assert_eq!(response["output"][0]["summary"][0]["text"], "hm");
}

#[test]
fn too_many_calls_end_the_stream_at_once() {
    let most = CallNumbers::MOST as u64;
    let name = "a_name_of_some_length";
    let chat: Vec<Value> = (0..3_000).map(|call| begin(call, "id", name)).collect();
    let unnamed: Vec<Value> = (0..3_000).map(|call| piece(call, "{")).collect();
    let blocks: Vec<Value> = (0..3_000)
        .map(|call| block(call, json!({ "type": "tool_use", "id": "id", "name": name, "input": {} })))
        .collect();
    for (from, to, events) in [
        (Chat, Messages, chunks(&chat, "stop")),
        (Chat, Responses, chunks(&chat, "stop")),
        (Chat, Messages, chunks(&unnamed, "stop")),
        (Messages, Chat, message(&blocks, "tool_use")),
        (Messages, Responses, message(&blocks, "tool_use")),
    ] {
        let mut translator = StreamTranslator::new(from, to, context(), 16 << 20);
        let mut out = Vec::new();
        let read = events.iter().take_while(|event| translator.event(event.as_bytes(), &mut out).is_ok()).count();
        assert_eq!(read as u64, most + 1, "the first event, and as many calls as may be");
    }
}

/// All calls are open at once and their pieces come in turns: each piece finds its call without a search, however many
/// calls and blocks wait.
#[test]
fn as_many_calls_as_may_be() {
    let most = CallNumbers::MOST as u64;
    let mut deltas: Vec<Value> = (0..most).map(|call| begin(call, &format!("c{call}"), "f")).collect();
    for _ in 0..5 {
        deltas.extend((0..most).map(|call| piece(call, " ")));
    }
    deltas.extend((0..most).map(|call| piece(call, &format!("{{\"x\":{call}}}"))));
    let events = chunks(&deltas, "tool_calls");
    let message = accumulated(Messages, &stream_within(Chat, Messages, &events, 16 << 20).unwrap());
    let response = accumulated(Responses, &stream_within(Chat, Responses, &events, 16 << 20).unwrap());
    for call in 0..most as usize {
        assert_eq!(message["content"][call]["input"], json!({ "x": call }));
        assert_eq!(response["output"][call]["arguments"], format!("     {{\"x\":{call}}}"));
        assert_eq!(response["output"][call]["status"], "completed");
    }
}

/// `{}` would be a call that could be carried out.
#[test]
fn a_call_that_is_cut_off_before_its_arguments_has_none() {
    let call = |index: u64| {
        [block(index, json!({ "type": "tool_use", "id": format!("t{index}"), "name": "f", "input": {} })), end(index)]
    };
    for stop in ["max_tokens", "refusal", "model_context_window_exceeded"] {
        let both = [call(0), call(1)].concat();
        for events in [&both[..], &both[..3]] {
            let events = message(events, stop);
            let chat = translated(Messages, Chat, &events);
            let calls = &chat["choices"][0]["message"]["tool_calls"];
            assert_eq!(
                (&calls[0]["function"]["arguments"], &calls[1]["function"]["arguments"]),
                (&json!("{}"), &json!(""))
            );
            let response = translated(Messages, Responses, &events);
            let item = |at: usize| (&response["output"][at]["status"], &response["output"][at]["arguments"]);
            assert_eq!(item(0), (&json!("completed"), &json!("{}")));
            assert_eq!(item(1), (&json!("incomplete"), &json!("")));
        }
    }
    let events = message(&[call(0), call(1)].concat(), "tool_use");
    let response = translated(Messages, Responses, &events);
    assert_eq!(
        (&response["output"][1]["status"], &response["output"][1]["arguments"]),
        (&json!("completed"), &json!("{}"))
    );
}

#[test]
fn odd_blocks_of_messages() {
    let tool = |input: Value| block(0, json!({ "type": "tool_use", "id": "t", "name": "f", "input": input }));
    let arguments = |pieces: &[Value]| {
        let chat = translated(Messages, Chat, &message(pieces, "tool_use"));
        chat["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].clone()
    };
    assert_eq!(arguments(&[tool(json!({})), end(0)]), "{}");
    assert_eq!(arguments(&[tool(json!({ "x": 1 })), end(0)]), "{\"x\":1}", "the input stands at the beginning");
    assert_eq!(arguments(&[tool(json!({ "x": 1 }))]), "{\"x\":1}", "the block is not closed");
    let pieces = delta(0, json!({ "type": "input_json_delta", "partial_json": "{\"y\":2}" }));
    assert_eq!(arguments(&[tool(json!({ "x": 1 })), pieces]), "{\"y\":2}");
    // Two blocks of text are two parts of a message; thinking that is not shown keeps its signature.
    let events = message(
        &[
            block(0, json!({ "type": "thinking", "thinking": "" })),
            delta(0, json!({ "type": "signature_delta", "signature": "s" })),
            end(0),
            block(1, json!({ "type": "redacted_thinking", "data": "xx" })),
            end(1),
            block(2, json!({ "type": "text", "text": "a" })),
            end(2),
            block(3, json!({ "type": "text", "text": "" })),
            delta(3, json!({ "type": "text_delta", "text": "b" })),
            end(3),
            json!({ "type": "of_tomorrow" }),
        ],
        "end_turn",
    );
    let response = translated(Messages, Responses, &events);
    let texts: Vec<&Value> =
        response["output"][0]["content"].as_array().unwrap().iter().map(|part| &part["text"]).collect();
    assert_eq!(texts, [&json!("a"), &json!("b")]);
    let chat = translated(Messages, Chat, &events);
    let expected = json!([{ "type": "thinking", "thinking": "", "signature": "s" }, { "type": "redacted_thinking", "data": "xx" }]);
    assert_eq!(chat["choices"][0]["message"]["thinking_blocks"], expected);
    assert_eq!(translated(Messages, Messages, &events)["content"][0]["signature"], "s");
}

#[test]
fn refusals() {
    let refusal = |text: &str| json!({ "refusal": text });
    let message = translated(Chat, Messages, &chunks(&[refusal("I "), refusal("won't")], "stop"));
    assert_eq!(
        (&message["content"], &message["stop_reason"]),
        (&json!([{ "type": "text", "text": "I won't" }]), &json!("refusal"))
    );
    let message = translated(Chat, Messages, &chunks(&[json!({ "content": "a" }), refusal("no")], "content_filter"));
    assert_eq!((&message["content"][0]["text"], &message["stop_details"]["explanation"]), (&json!("a"), &json!("no")));
    // What was streamed as text stays text.
    let mut events = super::streams::message(&[block(0, json!({ "type": "text", "text": "a" })), end(0)], "refusal");
    let choice = translated(Messages, Chat, &events)["choices"][0].clone();
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!("a"), &json!("content_filter")));
    let at = events.len() - 2;
    events[at] = json!({ "type": "message_delta", "delta": { "stop_reason": "refusal", "stop_details": { "explanation": "because" } } }).to_string();
    let chat = translated(Messages, Chat, &events);
    assert_eq!((&chat["choices"][0]["message"]["refusal"], chat.get("usage")), (&json!("because"), None));
    let response = translated(Messages, Responses, &events);
    assert_eq!(response["incomplete_details"]["reason"], "content_filter");
    assert_eq!(response["output"][0]["content"][1], json!({ "type": "refusal", "refusal": "because" }));
}

#[test]
fn a_call_that_is_cut_off_is_left_as_it_is() {
    let events = chunks(&[begin(0, "a", "f"), piece(0, "{\"x\":"), begin(1, "b", "g")], "length");
    let message = translated(Chat, Messages, &events);
    assert_eq!(
        (&message["content"][0]["input"], &message["stop_reason"]),
        (&json!({ "cut": "{\"x\":" }), &json!("max_tokens"))
    );
    let response = translated(Chat, Responses, &events);
    let item = |at: usize| (response["output"][at]["arguments"].clone(), response["output"][at]["status"].clone());
    assert_eq!((item(0), item(1)), ((json!("{\"x\":"), json!("incomplete")), (json!(""), json!("incomplete"))));
}

#[test]
fn unicode_in_escapes_and_across_pieces() {
    let raw = |delta: &str| format!("{{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}");
    let escaped = raw(r#"{"content":"\ud83d\ude00\u00e9\u0000"}"#);
    // The arguments are JSON inside JSON: their own escapes may be cut anywhere.
    let begin = raw(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":\"\\ud8"}}]}"#);
    let rest = raw(r#"{"tool_calls":[{"index":0,"function":{"arguments":"3d\\ude00\"}"}}]}"#);
    let finish = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned();
    let message = translated(Chat, Messages, &[escaped, begin, rest, finish, "[DONE]".to_owned()]);
    assert_eq!(message["content"][0]["text"], "😀é\0");
    assert_eq!(message["content"][1]["input"], json!({ "x": "😀" }));
    // Half a letter is not JSON text that anybody could be given.
    stream(Chat, Messages, &[raw(r#"{"content":"\ud83d"}"#)]).unwrap_err();
}

#[test]
fn azure_and_others_begin_without_a_choice() {
    let mut events = vec![r#"{"id":"","model":"","object":"","choices":[],"prompt_filter_results":[]}"#.to_owned()];
    events.extend(chunks(&[json!({ "content": "a" })], "stop"));
    let message = translated(Chat, Messages, &events);
    assert_eq!((&message["id"], &message["model"]), (&json!("chatcmpl-9"), &json!("m")));
}

#[test]
fn what_is_held_is_bounded() {
    let long = "x".repeat(301);
    let held = chunks(&[begin(0, "a", "f"), piece(0, "{\""), begin(1, "b", "g"), piece(1, &long)], "tool_calls");
    let unnamed = chunks(&[piece(0, &long)], "tool_calls");
    let text = chunks(&[json!({ "content": long })], "stop");
    let after_text = chunks(&[json!({ "content": "a" }), json!({ "refusal": long })], "stop");
    let many: Vec<Value> = (0..300).map(|index| begin(index, "", "f")).collect();
    let input = block(0, json!({ "type": "tool_use", "id": "a", "name": "f", "input": { "x": long } }));
    for (from, to, events) in [
        (Chat, Messages, &held),
        (Chat, Messages, &unnamed),
        (Chat, Messages, &after_text),
        (Chat, Messages, &chunks(&many, "stop")),
        (Chat, Responses, &text),
        (Messages, Chat, &message(&[input], "tool_use")),
    ] {
        let error = stream_within(from, to, events, 300).unwrap_err();
        assert!(error.0.contains("more than 300 bytes"), "{error}");
    }
    // What need not be held may be as long as it likes.
    let texts: Vec<Value> = (0..100).map(|_| json!({ "content": "0123456789" })).collect();
    stream_within(Chat, Messages, &chunks(&texts, "stop"), 300).unwrap();
    let pieces: Vec<Value> =
        std::iter::once(begin(0, "a", "f")).chain((0..100).map(|_| piece(0, "          "))).collect();
    stream_within(Chat, Messages, &chunks(&pieces, "stop"), 300).unwrap();
}

#[test]
fn what_has_no_words_ends_the_stream() {
    let private = "🔐";
    let choice = |choice: Value| vec![json!({ "choices": [choice] }).to_string()];
    let ended = |events: Vec<String>| [events, vec!["[DONE]".to_owned()]].concat();
    for events in [
        choice(json!({ "index": 1, "delta": { "content": private } })),
        choice(json!({ "index": 0, "delta": { "content": 7 } })),
        choice(json!({ "index": 0, "delta": {}, "finish_reason": private })),
        choice(json!({ "index": 0, "delta": { "audio": { "data": private } } })),
        ended(choice(json!({ "index": 0, "delta": { "content": private } }))),
        ended(choice(json!({ "index": 0, "delta": piece(0, private), "finish_reason": "length" }))),
        chunks(&[begin(0, "a", "f"), piece(0, private)], "stop"),
        chunks(&[begin(0, "a", "f"), piece(0, "{}"), piece(0, "{}")], "stop"),
        chunks(&[begin(0, "a", "f"), piece(0, "{")], "stop"),
        vec![private.to_owned()],
        vec!["[DONE]".to_owned()],
    ] {
        let error = stream(Chat, Messages, &events).unwrap_err();
        assert!(!error.0.contains(private) && !error.0.is_empty(), "{error}");
    }
    let text = block(0, json!({ "type": "text", "text": private }));
    for events in [
        message(std::slice::from_ref(&text), "pause_turn"),
        message(std::slice::from_ref(&text), private),
        message(&[text.clone(), delta(0, json!({ "type": "citations_delta", "citation": {} }))], "end_turn"),
        message(&[text.clone(), delta(0, json!({ "type": private }))], "end_turn"),
        message(&[text.clone(), delta(0, json!({ "type": "input_json_delta", "partial_json": private }))], "end_turn"),
        message(&[block(0, json!({ "type": "server_tool_use", "name": private }))], "end_turn"),
        vec![json!({ "type": "message_stop" }).to_string()],
        vec![private.to_owned()],
    ] {
        let error = stream(Messages, Chat, &events).unwrap_err();
        assert!(!error.0.contains(private) && !error.0.is_empty(), "{error}");
    }
    stream(Responses, Chat, &[r#"{"type":"response.created"}"#.to_owned()]).unwrap_err();
}
