//! Chat completions to messages.

use serde_json::{Value, json};
use tradewind_dialects::Wire::{Chat, Messages};
use tradewind_dialects::{RequestOptions, translate_request};

use crate::{PDF, PNG, body, chat, translated, with};

/// What `more` in a request comes to, beside what the least request comes to.
#[track_caller]
fn check(more: &Value, expected: &Value, dropped: &[&str]) {
    let request = with(&chat(), more);
    let found = translated(Chat, Messages, &request);
    let least = json!({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(body(&found), with(&least, expected), "{more}");
    assert_eq!(found.dropped, dropped, "{more}");
    assert_eq!(&found.body[found.model_at], b"\"m\"");
}

#[test]
fn settings() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "number"}}});
    let tool = json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]);
    let chat_tool = json!([{"type": "function", "function": {"name": "f"}}]);
    for (more, expected) in [
        (json!({"max_tokens": 7}), json!({"max_tokens": 7})),
        (json!({"max_completion_tokens": 7}), json!({"max_tokens": 7})),
        (json!({"max_completion_tokens": 7, "max_tokens": 7}), json!({"max_tokens": 7})),
        (json!({"temperature": 0.25, "top_p": 0.5}), json!({"temperature": 0.25, "top_p": 0.5})),
        (json!({"stop": "END"}), json!({"stop_sequences": ["END"]})),
        (json!({"stop": ["a", "b"]}), json!({"stop_sequences": ["a", "b"]})),
        (json!({"stop": []}), json!({})),
        (json!({"stream": true, "stream_options": {"include_usage": true}}), json!({"stream": true})),
        (json!({"stream": false}), json!({})),
        (
            json!({"reasoning_effort": "high"}),
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ),
        (json!({"reasoning_effort": "none"}), json!({"thinking": {"type": "disabled"}})),
        (json!({"response_format": {"type": "text"}}), json!({})),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": true}}}),
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        ),
        (json!({"tools": chat_tool}), json!({"tools": tool})),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": true}}]}),
            json!({"tools": [{"name": "f", "description": "d", "input_schema": schema, "strict": true}]}),
        ),
        (json!({"tools": [], "tool_choice": "none", "parallel_tool_calls": false}), json!({})),
        (json!({"tools": chat_tool, "tool_choice": "auto"}), json!({"tools": tool})),
        (json!({"tools": chat_tool, "tool_choice": "none"}), json!({"tools": tool, "tool_choice": {"type": "none"}})),
        (
            json!({"tools": chat_tool, "tool_choice": "required"}),
            json!({"tools": tool, "tool_choice": {"type": "any"}}),
        ),
        (
            json!({"tools": chat_tool, "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false}),
            json!({"tools": tool, "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true}}),
        ),
        (
            json!({"tools": chat_tool, "parallel_tool_calls": false}),
            json!({"tools": tool, "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
        ),
        (json!({"tools": chat_tool, "parallel_tool_calls": true}), json!({"tools": tool})),
    ] {
        check(&more, &expected, &[]);
    }
}

#[test]
fn hints() {
    for (more, dropped) in [
        (json!({"user": "u"}), "user"),
        (json!({"safety_identifier": "u"}), "safety_identifier"),
        (json!({"metadata": {"a": "b"}}), "metadata"),
        (json!({"service_tier": "flex"}), "service_tier"),
        (json!({"store": false}), "store"),
        (json!({"prompt_cache_key": "k"}), "prompt_cache_key"),
        (json!({"prompt_cache_retention": "24h"}), "prompt_cache_retention"),
        (json!({"prompt_cache_options": {"mode": "explicit"}}), "prompt_cache_options"),
        (json!({"verbosity": "low"}), "verbosity"),
        (json!({"stream_options": {"include_obfuscation": false}}), "stream_options.include_obfuscation"),
    ] {
        check(&more, &json!({}), &[dropped]);
    }
    check(&json!({"metadata": {}, "service_tier": "auto", "user": null, "verbosity": "medium"}), &json!({}), &[]);
}

/// What a conversation comes to.
#[track_caller]
fn check_messages(chat: &Value, expected: &Value) {
    let found = translated(Chat, Messages, &json!({"model": "m", "messages": chat}));
    assert_eq!(body(&found), with(&json!({"model": "m", "max_tokens": 4096}), expected), "{chat}");
}

#[test]
fn instructions() {
    let user = json!({"role": "user", "content": "Hi"});
    check_messages(&json!([{"role": "system", "content": "a"}, user]), &json!({"system": "a", "messages": [user]}));
    check_messages(
        &json!([{"role": "system", "content": "a"}, {"role": "developer", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}, user]),
        &json!({"system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "text", "text": "c"}], "messages": [user]}),
    );
    check_messages(&json!([{"role": "system", "content": " \n"}, user]), &json!({"messages": [user]}));
}

#[test]
fn pictures_and_documents() {
    check_messages(
        &json!([{"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}"), "detail": "auto"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "text", "text": "  "},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PDF}")}},
        ]}]),
        &json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "title": "a.pdf"},
        ]}]}),
    );
}

#[test]
fn tool_calls_and_results() {
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    let used = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "f", "input": input});
    check_messages(
        &json!([
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "I look.", "tool_calls": [call("a", "{\"x\": [1]}"), call("b", "")]},
            {"role": "tool", "tool_call_id": "b", "name": "f", "content": "[tool error]\nno such file"},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": null, "tool_calls": [call("functions.f:2", "{}")]},
            {"role": "tool", "tool_call_id": "functions.f:2", "content": ""},
        ]),
        &json!({"messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "I look."}, used("a", json!({"x": [1]})), used("b", json!({}))]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "b", "content": "no such file", "is_error": true},
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]},
                {"type": "text", "text": "And?"},
            ]},
            {"role": "assistant", "content": [used("call_tw_1", json!({}))]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_tw_1", "content": ""}]},
        ]}),
    );
}

#[test]
fn what_the_model_said_earlier() {
    let hi = json!({"role": "user", "content": "Hi"});
    for (said, expected) in [
        (json!({"content": "Yes."}), json!("Yes.")),
        // As the official packages print an answer that they hand back.
        (
            json!({"content": "Yes.", "refusal": null, "annotations": [], "audio": null, "function_call": null, "tool_calls": null}),
            json!("Yes."),
        ),
        (json!({"content": [{"type": "text", "text": "Yes."}]}), json!([{"type": "text", "text": "Yes."}])),
        (json!({"content": null, "refusal": "No."}), json!("No.")),
        (json!({"content": [{"type": "refusal", "refusal": "No."}]}), json!([{"type": "text", "text": "No."}])),
        (
            json!({"content": "4", "reasoning_content": "2+2", "thinking_blocks": [
                {"type": "thinking", "thinking": "2+2", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]}),
            json!([{"type": "thinking", "thinking": "2+2", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}, {"type": "text", "text": "4"}]),
        ),
    ] {
        let said = with(&json!({"role": "assistant"}), &said);
        check_messages(
            &json!([hi, said, hi]),
            &json!({"messages": [hi, {"role": "assistant", "content": expected}, hi]}),
        );
    }
    let unsigned = json!({"role": "assistant", "content": "4", "thinking_blocks": [{"type": "thinking", "thinking": "2+2", "signature": ""}]});
    let plain = json!({"role": "assistant", "content": "4", "reasoning_content": "2+2"});
    for (said, hint) in [(unsigned, "messages[1].thinking_blocks[0]"), (plain, "messages[1].reasoning_content")] {
        let found = translated(Chat, Messages, &json!({"model": "m", "messages": [hi, said, hi]}));
        assert_eq!(body(&found)["messages"][1], json!({"role": "assistant", "content": "4"}));
        assert_eq!(found.dropped, [hint]);
    }
}

/// As LiteLLM, OpenRouter, Gemini and the official packages print answers, and agents hand them back.
#[test]
fn echoes_of_answers_are_hints() {
    let hi = json!({"role": "user", "content": "Hi"});
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "s"}}, "provider_specific_fields": {"x": 1}});
    let said = json!({"role": "assistant", "content": "Yes.", "tool_calls": [call],
        "annotations": [{"type": "url_citation"}], "provider_specific_fields": {"x": 1}, "reasoning_content": "Hm.",
        "reasoning_details": [{"type": "reasoning.text"}], "audio": null, "function_call": null, "refusal": null});
    let result = json!({"role": "tool", "tool_call_id": "a", "content": "x"});
    let found = translated(Chat, Messages, &json!({"model": "m", "messages": [hi, said, result]}));
    let used = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
    assert_eq!(body(&found)["messages"][1]["content"], json!([{"type": "text", "text": "Yes."}, used]));
    // In the order of the request, and serde_json's values are sorted; calls are read last.
    assert_eq!(
        found.dropped,
        [
            "messages[1].annotations",
            "messages[1].provider_specific_fields",
            "messages[1].reasoning_content",
            "messages[1].reasoning_details",
            "messages[1].tool_calls[0].extra_content",
            "messages[1].tool_calls[0].provider_specific_fields",
        ]
    );
    let silent = json!({"role": "assistant", "content": "Yes.", "annotations": [], "provider_specific_fields": {},
        "reasoning_details": [], "reasoning_content": "", "audio": null, "function_call": null, "tool_calls": []});
    let found = translated(Chat, Messages, &json!({"model": "m", "messages": [hi, silent, hi]}));
    assert!(found.dropped.is_empty(), "{:?}", found.dropped);
}

#[test]
fn a_turn_that_says_nothing_is_left_out() {
    let hi = json!({"role": "user", "content": "Hi"});
    for said in
        [json!({"content": ""}), json!({"content": null}), json!({"content": []}), json!({"reasoning_content": "Hm."})]
    {
        let said = with(&json!({"role": "assistant"}), &said);
        check_messages_of(&json!([hi, said, hi]), &json!([hi, hi]));
    }
}

#[track_caller]
fn check_messages_of(chat: &Value, expected: &Value) {
    let found = translated(Chat, Messages, &json!({"model": "m", "messages": chat}));
    assert_eq!(&body(&found)["messages"], expected, "{chat}");
}

#[test]
fn a_failure_that_says_nothing_says_error() {
    let hi = json!({"role": "user", "content": "Hi"});
    let call = json!({"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let used = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]});
    let part = |text: &str| json!([{"type": "text", "text": text}]);
    for (content, expected) in [
        (json!("[tool error]\n"), json!("error")),
        (json!("[tool error]\n \n"), json!("error")),
        (part("[tool error]\n"), part("error")),
    ] {
        let result = json!({"role": "tool", "tool_call_id": "a", "content": content});
        let expected = json!({"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": expected});
        check_messages_of(&json!([hi, call, result]), &json!([hi, used, {"role": "user", "content": [expected]}]));
    }
}

#[test]
fn an_id_that_comes_again_gets_a_number() {
    let hi = json!({"role": "user", "content": "Hi"});
    let call = json!({"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let result = |text: &str| json!({"role": "tool", "tool_call_id": "a", "content": text});
    let used =
        |id: &str| json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]});
    let of = |id: &str, text: &str| json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": text}]});
    check_messages_of(
        &json!([hi, call, result("1"), call, result("2")]),
        &json!([hi, used("a"), of("a", "1"), used("call_tw_1"), of("call_tw_1", "2")]),
    );
}

#[test]
fn the_limit_where_the_caller_set_none() {
    let options = RequestOptions { max_tokens: 64_000, ..RequestOptions::default() };
    for (more, expected) in [(json!({}), 64_000), (json!({"max_tokens": 7}), 7)] {
        let request = with(&chat(), &more).to_string();
        let found = translate_request(Chat, Messages, request.as_bytes(), &options).unwrap();
        assert_eq!(body(&found)["max_tokens"], expected);
    }
}
