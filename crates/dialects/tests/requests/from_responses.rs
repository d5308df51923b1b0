//! Responses to chat completions and to messages.

use serde_json::{Value, json};
use tradewind_dialects::Wire::{Chat, Messages, Responses};

use crate::{PDF, PNG, body, responses, translated, with};

/// What `more` in a request comes to on both wires, beside what the least request comes to.
#[track_caller]
fn check(more: &Value, chat: &Value, messages: &Value, dropped: &[&str]) {
    let least = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    for (to, least, expected) in
        [(Chat, &least, chat), (Messages, &with(&least, &json!({"max_tokens": 4096})), messages)]
    {
        let found = translated(Responses, to, &with(&responses(), more));
        assert_eq!(body(&found), with(least, expected), "{more}");
        assert_eq!(found.dropped, dropped, "{more}");
        assert_eq!(&found.body[found.model_at], b"\"m\"");
    }
}

#[test]
fn settings() {
    let schema = json!({"type": "object"});
    let tools = json!([{"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": true}]);
    let functions = json!([{"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": true}}]);
    let custom = json!([{"name": "f", "description": "d", "input_schema": schema, "strict": true}]);
    let usual = json!({"store": null, "background": false, "truncation": "disabled", "text": {"format": {"type": "text"}, "verbosity": null}, "top_logprobs": 0, "include": [], "parallel_tool_calls": true, "service_tier": "auto"});
    check(&usual, &json!({}), &json!({}), &[]);
    check(&json!({"max_output_tokens": 9}), &json!({"max_tokens": 9}), &json!({"max_tokens": 9}), &[]);
    check(
        &json!({"temperature": 0.5, "top_p": 1, "stream": true}),
        &json!({"temperature": 0.5, "top_p": 1, "stream": true, "stream_options": {"include_usage": true}}),
        &json!({"temperature": 0.5, "top_p": 1, "stream": true}),
        &[],
    );
    check(
        &json!({"tools": tools, "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false}),
        &json!({"tools": functions, "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false}),
        &json!({"tools": custom, "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true}}),
        &[],
    );
    check(
        &json!({"tools": tools, "tool_choice": "required"}),
        &json!({"tools": functions, "tool_choice": "required"}),
        &json!({"tools": custom, "tool_choice": {"type": "any"}}),
        &[],
    );
    check(
        &json!({"reasoning": {"effort": "low", "summary": "auto"}}),
        &json!({"reasoning_effort": "low"}),
        &json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        &["reasoning.summary"],
    );
    check(
        &json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}}}),
        &json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}}}),
        &json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        &[],
    );
    check(
        &json!({"store": false, "include": ["reasoning.encrypted_content"], "user": "u", "metadata": {"a": "b"}}),
        &json!({}),
        &json!({}),
        // In the order of the request, and serde_json's values are sorted.
        &["include", "metadata", "store", "user"],
    );
}

#[test]
fn what_only_chat_completions_has() {
    let more = json!({"reasoning": {"effort": "minimal"}, "temperature": 1.5, "text": {"verbosity": "low", "format": {"type": "json_object"}}});
    let found = body(&translated(Responses, Chat, &with(&responses(), &more)));
    assert_eq!((&found["reasoning_effort"], &found["verbosity"]), (&json!("minimal"), &json!("low")));
    assert_eq!((&found["response_format"], &found["temperature"]), (&json!({"type": "json_object"}), &json!(1.5)));
}

#[test]
fn a_conversation() {
    let request = json!({"model": "m", "instructions": "a", "input": [
        {"role": "developer", "content": "b"},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "detail": "auto", "image_url": format!("data:image/png;base64,{PNG}"), "file_id": null},
            {"type": "input_file", "filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PDF}")},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{\"x\": 1}", "status": "completed"},
        {"type": "function_call", "call_id": "call_2", "name": "g", "arguments": ""},
        {"type": "function_call_output", "call_id": "call_2", "output": "2"},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "1"}], "name": "f"},
        {"type": "function_call", "call_id": "call_3", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_3", "output": "3"},
        {"role": "assistant", "content": "Three."},
        {"role": "user", "content": "And?"},
    ]});
    let found = translated(Responses, Chat, &request);
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    assert_eq!(
        body(&found)["messages"],
        json!([
            {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PDF}")}},
            ]},
            {"role": "assistant", "content": "I look.", "tool_calls": [call("call_1", "f", "{\"x\": 1}"), call("call_2", "g", "{}")]},
            {"role": "tool", "tool_call_id": "call_2", "content": "2"},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
            {"role": "assistant", "content": null, "tool_calls": [call("call_3", "f", "{}")]},
            {"role": "tool", "tool_call_id": "call_3", "content": "3"},
            {"role": "assistant", "content": "Three."},
            {"role": "user", "content": "And?"},
        ])
    );
    assert_eq!(found.dropped, ["input[2]"]);
    let found = translated(Responses, Messages, &request);
    let used = |id: &str, name: &str, input: Value| json!({"type": "tool_use", "id": id, "name": name, "input": input});
    assert_eq!(
        body(&found)["messages"].as_array().unwrap()[1..3],
        [
            json!({"role": "assistant", "content": [{"type": "text", "text": "I look."}, used("call_1", "f", json!({"x": 1})), used("call_2", "g", json!({}))]}),
            json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_2", "content": "2"},
                {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "1"}]},
            ]}),
        ]
    );
    assert_eq!(body(&found)["system"], json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]));
}

#[test]
fn images_in_results() {
    let request = json!({"model": "m", "input": [
        {"role": "user", "content": "Hi"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"}]},
    ]});
    let found = translated(Responses, Messages, &request);
    let image = json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]);
    assert_eq!(body(&found)["messages"][2]["content"][0]["content"], image);
    assert_eq!(found.dropped, ["input[2].output[0].detail"]);
    let found = body(&translated(Responses, Chat, &request));
    assert_eq!(
        found["messages"].as_array().unwrap()[2..],
        [
            json!({"role": "tool", "tool_call_id": "c", "content": "The result is in the next message."}),
            json!({"role": "user", "content": [
                {"type": "text", "text": "From the result of the tool call c:"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            ]}),
        ]
    );
}

#[test]
fn instructions_in_the_middle_are_for_chat_completions_only() {
    let request = json!({"model": "m", "input": [
        {"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."}, {"role": "user", "content": "So?"}]});
    let found = body(&translated(Responses, Chat, &request));
    assert_eq!(found["messages"][1], json!({"role": "system", "content": "Be brief."}));
    assert_eq!(crate::obstacle(Responses, Messages, &request).field, "input[1]");
}

#[test]
fn text_behind_a_tool_call() {
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "x"});
    let said = |text: &str| json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": [{"type": "url_citation"}]}]});
    let request = json!({"model": "m", "input": [
        {"role": "user", "content": "Hi"}, call("a"), said("1"), said("2"), call("b"), output("a"), output("b")]});
    let found = translated(Responses, Chat, &request);
    let called = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        body(&found)["messages"][1],
        json!({"role": "assistant", "content": [text("1"), text("2")], "tool_calls": [called("a"), called("b")]})
    );
    assert_eq!(found.dropped, ["input[2].content[0].annotations", "input[3].content[0].annotations"]);
    let found = body(&translated(Responses, Messages, &request));
    let used = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let expected = json!([text("1"), text("2"), used("a"), used("b")]);
    assert_eq!(found["messages"][1], json!({"role": "assistant", "content": expected}));
}

#[test]
fn references_to_stored_items_say_what_to_do() {
    let request = json!({"model": "m", "input": [{"type": "item_reference", "id": "rs_1"}]});
    let obstacle = crate::obstacle(Responses, Chat, &request);
    assert_eq!((obstacle.field.as_str(), obstacle.invalid), ("input[0].type", false));
    assert!(obstacle.why.contains("`store: false`") && obstacle.why.contains("nothing is stored"), "{}", obstacle.why);
}

#[test]
fn verbosity_is_a_wish() {
    let more = json!({"text": {"verbosity": "low"}, "client_metadata": {"a": "b"}});
    let found = translated(Responses, Messages, &with(&responses(), &more));
    assert_eq!(found.dropped, ["client_metadata", "text.verbosity"]);
    let found = translated(
        Responses,
        Messages,
        &with(&responses(), &json!({"text": {"verbosity": "medium"}, "client_metadata": {}})),
    );
    assert!(found.dropped.is_empty());
}

#[test]
fn an_empty_turn_before_a_tool_call() {
    let request = json!({"model": "m", "input": [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "x"}]});
    let found = body(&translated(Responses, Chat, &request));
    assert_eq!(found["messages"][1]["content"], Value::Null);
    let found = body(&translated(Responses, Messages, &request));
    assert_eq!(found["messages"][1]["content"].as_array().unwrap().len(), 1);
}
