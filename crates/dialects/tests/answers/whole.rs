//! Whole answers, one by one.

use serde_json::{Value, json};
use tradewind_dialects::Wire::{self, Chat, Messages, Responses};
use tradewind_dialects::{AnswerContext, translate_answer};

use super::{context, whole};

/// A chat completion with this message.
fn chat(message: Value, finish: &str) -> Value {
    json!({ "id": "chatcmpl-9", "model": "m", "choices": [{ "index": 0, "message": message, "finish_reason": finish }] })
}

/// A message with this content.
fn message(content: Value, stop: &str) -> Value {
    json!({ "id": "msg_9", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": stop })
}

fn translated(from: Wire, to: Wire, body: &Value) -> Value {
    whole(from, to, &body.to_string()).expect("the answer has words")
}

fn call(id: &str, arguments: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": arguments } })
}

#[test]
fn a_chat_completion_becomes_a_message() {
    let usage = json!({
        "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": { "cached_tokens": 60, "cache_creation_tokens": 10 },
        "completion_tokens_details": { "reasoning_tokens": 5 },
    });
    let mut body = chat(json!({ "role": "assistant", "content": "Hi 😀", "refusal": null, "annotations": [] }), "stop");
    body["usage"] = usage;
    assert_eq!(
        translated(Chat, Messages, &body),
        json!({
            "id": "chatcmpl-9", "type": "message", "role": "assistant", "model": "m",
            "content": [{ "type": "text", "text": "Hi 😀" }], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {
                "input_tokens": 30, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 60,
                "output_tokens": 20, "output_tokens_details": { "thinking_tokens": 5 },
            },
        })
    );
}

#[test]
fn contents_of_a_chat_completion() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let tool = |id: &str, input: Value| json!({ "type": "tool_use", "id": id, "name": "f", "input": input });
    let thinking =
        |text: &str, signature: &str| json!({ "type": "thinking", "thinking": text, "signature": signature });
    let legacy = json!({ "name": "f", "arguments": "{}" });
    let blocks = json!([thinking("hm", "sig"), { "type": "redacted_thinking", "data": "xx" }]);
    for (message, finish, content, stop) in [
        (json!({ "content": "a" }), "stop", json!([text("a")]), "end_turn"),
        (json!({ "content": "" }), "stop", json!([]), "end_turn"),
        (
            json!({ "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] }),
            "stop",
            json!([text("ab")]),
            "end_turn",
        ),
        (json!({ "content": "a" }), "length", json!([text("a")]), "max_tokens"),
        (json!({ "content": "a" }), "content_filter", json!([text("a")]), "refusal"),
        (json!({ "content": null, "refusal": "no" }), "stop", json!([text("no")]), "refusal"),
        (json!({ "content": null, "tool_calls": [] }), "stop", json!([]), "end_turn"),
        // Many servers say that they stopped when tools are called.
        (
            json!({ "tool_calls": [call("a", "{\"x\": 1.50}")] }),
            "stop",
            json!([tool("a", json!({ "x": 1.5 }))]),
            "tool_use",
        ),
        (
            json!({ "content": "t", "tool_calls": [call("a", ""), call("b", " {} ")] }),
            "tool_calls",
            json!([text("t"), tool("a", json!({})), tool("b", json!({}))]),
            "tool_use",
        ),
        // A missing id is made from the decision's.
        (
            json!({ "tool_calls": [call("", "{}"), call("b", "{}")] }),
            "tool_calls",
            json!([tool("call_d1_0", json!({})), tool("b", json!({}))]),
            "tool_use",
        ),
        (json!({ "function_call": legacy }), "function_call", json!([tool("call_d1_0", json!({}))]), "tool_use"),
        // A call that was cut off is no call.
        (
            json!({ "content": "t", "tool_calls": [call("a", "{}"), call("b", "{\"x\":")] }),
            "length",
            json!([text("t"), tool("a", json!({}))]),
            "max_tokens",
        ),
        (json!({ "tool_calls": [call("a", "")] }), "length", json!([]), "max_tokens"),
        (
            json!({ "reasoning_content": "hm", "content": "a" }),
            "stop",
            json!([thinking("hm", ""), text("a")]),
            "end_turn",
        ),
        (json!({ "reasoning": "hm", "content": "a" }), "stop", json!([thinking("hm", ""), text("a")]), "end_turn"),
        (
            json!({ "reasoning": "hm", "reasoning_content": "hm", "content": "a" }),
            "stop",
            json!([thinking("hm", ""), text("a")]),
            "end_turn",
        ),
        (
            json!({ "reasoning_content": "hm", "thinking_blocks": blocks, "content": "a" }),
            "stop",
            json!([blocks[0], blocks[1], text("a")]),
            "end_turn",
        ),
    ] {
        let answer = translated(Chat, Messages, &chat(message.clone(), finish));
        assert_eq!((&answer["content"], &answer["stop_reason"]), (&content, &json!(stop)), "{message}");
    }
}

#[test]
fn a_message_becomes_a_chat_completion() {
    let mut body = message(
        json!([
            { "type": "thinking", "thinking": "hm", "signature": "sig" },
            { "type": "redacted_thinking", "data": "xx" },
            { "type": "text", "text": "a", "citations": null },
            { "type": "text", "text": "b" },
            { "type": "tool_use", "id": "toolu_1", "name": "f", "input": {"z": 1.50, "a": "é\u{e9}"} },
            { "type": "tool_use", "id": "", "name": "g", "input": {} },
        ]),
        "tool_use",
    );
    body["usage"] = json!({ "input_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": null, "output_tokens": 5 });
    let mut expected = chat(
        json!({
            "role": "assistant", "content": "ab", "refusal": null, "reasoning_content": "hm",
            "thinking_blocks": [{ "type": "thinking", "thinking": "hm", "signature": "sig" }, { "type": "redacted_thinking", "data": "xx" }],
            "tool_calls": [
                { "id": "toolu_1", "type": "function", "function": { "name": "f", "arguments": json!({"z": 1.50, "a": "éé"}).to_string() } },
                { "id": "call_d1_1", "type": "function", "function": { "name": "g", "arguments": "{}" } },
            ],
        }),
        "tool_calls",
    );
    expected["choices"][0]["logprobs"] = Value::Null;
    expected["object"] = json!("chat.completion");
    expected["created"] = json!(1_700_000_000);
    expected["id"] = json!("msg_9");
    expected["usage"] = json!({ "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12, "prompt_tokens_details": { "cached_tokens": 4 } });
    assert_eq!(translated(Messages, Chat, &body), expected);
}

#[test]
fn arguments_keep_every_byte() {
    let body = r#"{"content":[{"type":"tool_use","id":"a","name":"f","input":{ "b" : 1.50e3, "a":"\u00e9😀" , "n":12345678901234567890123}}],"stop_reason":"tool_use"}"#;
    let answer = whole(Messages, Chat, body).unwrap();
    let arguments = r#"{ "b" : 1.50e3, "a":"\u00e9😀" , "n":12345678901234567890123}"#;
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], arguments);
    let back = translate_answer(Chat, Messages, answer.to_string().as_bytes(), &context()).unwrap();
    let back = String::from_utf8(back).unwrap();
    assert!(back.contains(&format!("\"input\":{arguments}}}")), "{back}");
}

#[test]
fn reasons_to_stop() {
    let text = json!([{ "type": "text", "text": "a" }]);
    for (stop, finish) in [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ] {
        let answer = translated(Messages, Chat, &message(text.clone(), stop));
        assert_eq!(answer["choices"][0]["finish_reason"], finish);
        assert_eq!(answer["choices"][0].get("stop_reason"), None);
    }
    let mut body = message(text, "stop_sequence");
    body["stop_sequence"] = json!("##");
    let mut answer = translated(Messages, Chat, &body);
    assert_eq!(
        (&answer["choices"][0]["finish_reason"], &answer["choices"][0]["stop_reason"]),
        (&json!("stop"), &json!("##"))
    );
    let back = translated(Chat, Messages, &answer);
    assert_eq!((&back["stop_reason"], &back["stop_sequence"]), (&json!("stop_sequence"), &json!("##")));
    // vLLM puts the number of the token there when no text was asked for.
    answer["choices"][0]["stop_reason"] = json!(128_009);
    assert_eq!(translated(Chat, Messages, &answer)["stop_reason"], "end_turn");
}

#[test]
fn reasons_to_stop_of_other_servers() {
    let text = json!({ "content": "a" });
    let calls = json!({ "tool_calls": [call("a", "{}")] });
    for (finish, alone, with_calls) in [
        ("eos", "end_turn", "tool_use"),
        ("eos_token", "end_turn", "tool_use"),
        ("stop_sequence", "end_turn", "tool_use"),
        ("tool_calls", "end_turn", "tool_use"),
        ("function_call", "end_turn", "tool_use"),
        ("model_length", "max_tokens", "max_tokens"),
        ("max_length", "max_tokens", "max_tokens"),
    ] {
        for (message, stop) in [(&text, alone), (&calls, with_calls)] {
            assert_eq!(translated(Chat, Messages, &chat(message.clone(), finish))["stop_reason"], stop, "{finish}");
        }
    }
    whole(Chat, Messages, &chat(text, "eot").to_string()).unwrap_err();
}

#[test]
fn thinking_among_the_parts_of_the_content() {
    let content = json!([
        { "type": "thinking", "thinking": [{ "type": "text", "text": "h" }, { "type": "text", "text": "m" }] },
        { "type": "text", "text": "a" },
    ]);
    let answer = translated(Chat, Messages, &chat(json!({ "content": content }), "stop"));
    let expected = json!([{ "type": "thinking", "thinking": "hm", "signature": "" }, { "type": "text", "text": "a" }]);
    assert_eq!(answer["content"], expected);
}

#[test]
fn a_call_that_is_cut_off_before_its_arguments_has_none() {
    let tool = |id: &str| json!({ "type": "tool_use", "id": id, "name": "f", "input": {} });
    for (stop, arguments, status) in
        [("max_tokens", "", "incomplete"), ("refusal", "", "incomplete"), ("tool_use", "{}", "completed")]
    {
        let body = message(json!([tool("a"), tool("b")]), stop);
        let calls = translated(Messages, Chat, &body)["choices"][0]["message"]["tool_calls"].clone();
        assert_eq!(
            (&calls[0]["function"]["arguments"], &calls[1]["function"]["arguments"]),
            (&json!("{}"), &json!(arguments))
        );
        let output = translated(Messages, Responses, &body)["output"].clone();
        assert_eq!((&output[0]["arguments"], &output[0]["status"]), (&json!("{}"), &json!("completed")));
        assert_eq!((&output[1]["arguments"], &output[1]["status"]), (&json!(arguments), &json!(status)));
    }
}

#[test]
fn calls_are_bounded() {
    let most = tradewind_dialects::CallNumbers::MOST;
    let tool = json!({ "type": "tool_use", "id": "a", "name": "f", "input": {} });
    let bodies = |count: usize| {
        [
            (Chat, chat(json!({ "tool_calls": vec![call("a", "{}"); count] }), "tool_calls")),
            (Messages, message(json!(vec![tool.clone(); count]), "tool_use")),
        ]
    };
    for (from, body) in bodies(most) {
        assert_eq!(translated(from, Responses, &body)["output"].as_array().map(Vec::len), Some(most));
    }
    for (from, body) in bodies(most + 1) {
        let error = whole(from, Responses, &body.to_string()).unwrap_err();
        assert!(error.0.contains("more than 1024"), "{error}");
    }
}

#[test]
fn refusals() {
    let said = message(json!([{ "type": "text", "text": "I will not" }]), "refusal");
    let of_chat = |body: &Value| {
        let answer = translated(Messages, Chat, body);
        (answer["choices"][0]["message"]["content"].clone(), answer["choices"][0]["message"]["refusal"].clone())
    };
    assert_eq!(of_chat(&said), (Value::Null, json!("I will not")));
    assert_eq!(of_chat(&message(json!([]), "refusal")), (Value::Null, Value::Null));
    let mut explained = said;
    explained["stop_details"] = json!({ "type": "refusal", "category": "bio", "explanation": "because" });
    assert_eq!(of_chat(&explained), (json!("I will not"), json!("because")));
    let both = translated(Messages, Chat, &explained);
    let back = translated(Chat, Messages, &both);
    assert_eq!(back["content"], json!([{ "type": "text", "text": "I will not" }]));
    assert_eq!((&back["stop_reason"], &back["stop_details"]["explanation"]), (&json!("refusal"), &json!("because")));
    // A model that refuses in OpenAI's way has come to its end all the same.
    let refused = chat(json!({ "content": null, "refusal": "no" }), "stop");
    let response = translated(Chat, Responses, &refused);
    assert_eq!(
        (&response["status"], &response["output"][0]["content"]),
        (&json!("completed"), &json!([{ "type": "refusal", "refusal": "no" }]))
    );
}

#[test]
fn ids_and_usage_that_are_missing() {
    let bare = json!({ "choices": [{ "message": { "content": "a" }, "finish_reason": "stop" }] });
    assert_eq!(
        translated(Chat, Messages, &bare),
        json!({
            "id": "msg_d1", "type": "message", "role": "assistant", "model": "", "content": [{ "type": "text", "text": "a" }],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": { "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0 },
        })
    );
    let response = translated(Chat, Responses, &bare);
    assert_eq!((&response["id"], &response["usage"]), (&json!("resp_d1"), &Value::Null));
    let bare = json!({ "id": 7, "content": [{ "type": "text", "text": "a" }], "stop_reason": "end_turn", "usage": { "input_tokens": "x" } });
    let answer = translated(Messages, Chat, &bare);
    assert_eq!((&answer["id"], answer.get("usage")), (&json!("chatcmpl-d1"), None));
}

#[test]
fn a_response_says_what_was_asked_and_answered() {
    let request = "{\"model\":\"x\", \"input\":\"secret\", \"instructions\":\"be\\n brief\", \"temperature\": 0.50,\n \"tools\":[ {\"type\":\"function\",\n\"name\":\"f\"} ], \"tool_choice\":null, \"service_tier\":\"flex\", \"metadata\":{\"k\":\"v\"}}";
    let context = AnswerContext { echo: Some(bytes::Bytes::from(request)), ..context() };
    let mut body = chat(
        json!({ "reasoning_content": "hm", "content": "Hi", "tool_calls": [call("c1", "{\"x\":1}"), call("c2", "")] }),
        "tool_calls",
    );
    body["usage"] =
        json!({ "prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": { "cached_tokens": 3 } });
    let answer = translate_answer(Chat, Responses, body.to_string().as_bytes(), &context).unwrap();
    assert!(!answer.contains(&b'\n'), "it fits into an event");
    let function = |index: u32, call: &str, arguments: &str| json!({ "id": format!("fc_9_{index}"), "type": "function_call", "status": "completed", "call_id": call, "name": "f", "arguments": arguments });
    let expected = json!({
        "id": "chatcmpl-9", "object": "response", "created_at": 1_700_000_000, "status": "completed", "error": null,
        "incomplete_details": null, "model": "m",
        "output": [
            { "id": "rs_9_0", "type": "reasoning", "summary": [{ "type": "summary_text", "text": "hm" }] },
            {
                "id": "msg_9_1", "type": "message", "status": "completed", "role": "assistant",
                "content": [{ "type": "output_text", "text": "Hi", "annotations": [], "logprobs": [] }],
            },
            function(2, "c1", "{\"x\":1}"),
            function(3, "c2", "{}"),
        ],
        "instructions": "be\n brief", "max_output_tokens": null, "max_tool_calls": null, "metadata": { "k": "v" },
        "parallel_tool_calls": true, "previous_response_id": null, "prompt_cache_key": null,
        "reasoning": { "effort": null, "summary": null }, "safety_identifier": null, "temperature": 0.5,
        "text": { "format": { "type": "text" } }, "tool_choice": "auto",
        "tools": [{ "type": "function", "name": "f" }], "top_p": null, "truncation": "disabled", "user": null,
        "background": false, "store": false,
        "usage": {
            "input_tokens": 10, "input_tokens_details": { "cached_tokens": 3, "cache_write_tokens": 0 },
            "output_tokens": 4, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 14,
        },
    });
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), expected);
}

#[test]
fn a_response_that_is_incomplete_says_where() {
    let text = json!({ "content": "Hi" });
    let cut_call = json!({ "content": "Hi", "tool_calls": [call("a", "{}"), call("b", "{\"x\":")] });
    for (message, finish, status, reason, items) in [
        (&text, "stop", "completed", Value::Null, &["completed"][..]),
        (&text, "length", "incomplete", json!({ "reason": "max_output_tokens" }), &["incomplete"]),
        (&text, "content_filter", "incomplete", json!({ "reason": "content_filter" }), &["incomplete"]),
        (
            &cut_call,
            "length",
            "incomplete",
            json!({ "reason": "max_output_tokens" }),
            &["completed", "completed", "incomplete"],
        ),
    ] {
        let response = translated(Chat, Responses, &chat(message.clone(), finish));
        assert_eq!((&response["status"], &response["incomplete_details"]), (&json!(status), &reason));
        let statuses: Vec<&str> =
            response["output"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, items);
    }
    let blocks = json!([
        { "type": "text", "text": "a" }, { "type": "text", "text": "b" }, { "type": "thinking", "thinking": "", "signature": "s" },
        { "type": "redacted_thinking", "data": "x" }, { "type": "thinking", "thinking": "1", "signature": "s" },
        { "type": "thinking", "thinking": "2", "signature": "s" },
    ]);
    let response = translated(Messages, Responses, &message(blocks, "end_turn"));
    let texts: Vec<&Value> =
        response["output"][0]["content"].as_array().unwrap().iter().map(|part| &part["text"]).collect();
    assert_eq!(texts, [&json!("a"), &json!("b")]);
    assert_eq!(response["output"].as_array().unwrap().len(), 3);
    assert_eq!(response["output"][2]["summary"][0]["text"], "2");
}

#[test]
fn what_has_no_words_is_an_error_without_the_text() {
    let private = "🔐";
    let text = json!({ "content": private });
    let custom =
        json!({ "tool_calls": [{ "id": "a", "type": "custom", "custom": { "name": "f", "input": private } }] });
    let mut two = chat(text.clone(), "stop");
    two["choices"] = json!([two["choices"][0], two["choices"][0]]);
    let cited = json!([{ "type": "text", "text": private, "citations": [{ "cited_text": private }] }]);
    let server = json!([{ "type": "server_tool_use", "id": "a", "name": "web_search", "input": {} }]);
    let nameless = json!([{ "type": "tool_use", "id": "a", "input": {} }]);
    for (from, body) in [
        (Chat, chat(text.clone(), private)),
        (Chat, chat(text.clone(), "")),
        (Chat, json!({ "choices": [{ "message": text, "finish_reason": null }] })),
        (Chat, json!({ "choices": [] })),
        (Chat, two),
        (Chat, chat(custom, "tool_calls")),
        (Chat, chat(json!({ "content": { "text": private } }), "stop")),
        (Chat, chat(json!({ "content": [{ "type": "image", "data": private }] }), "stop")),
        (Chat, chat(json!({ "audio": { "data": private } }), "stop")),
        (Chat, chat(json!({ "content": private, "annotations": [{ "type": "url_citation" }] }), "stop")),
        (Chat, chat(json!({ "tool_calls": [{ "id": "a", "function": { "arguments": private } }] }), "tool_calls")),
        (Chat, chat(json!({ "tool_calls": [call("a", "[1]")] }), "tool_calls")),
        (Chat, chat(json!({ "tool_calls": [call("a", "{")] }), "tool_calls")),
        (Messages, message(json!([{ "type": "text", "text": private }]), "pause_turn")),
        (Messages, message(json!([{ "type": "text", "text": private }]), private)),
        (Messages, json!({ "content": [], "stop_reason": null })),
        (Messages, message(cited, "end_turn")),
        (Messages, message(server, "end_turn")),
        (Messages, message(nameless, "tool_use")),
        (Responses, json!({ "object": "response", "output": [] })),
        (Messages, json!([private])),
        (Chat, json!(private)),
    ] {
        let error = whole(from, Messages, &body.to_string()).unwrap_err();
        assert!(!error.to_string().contains(private) && !error.0.is_empty(), "{error}");
    }
    for body in ["", "{", "{\"choices\":[{\"message\":{\"content\":\"\\ud83d\"},\"finish_reason\":\"stop\"}]}"] {
        whole(Chat, Messages, body).unwrap_err();
    }
}
