//! Messages to chat completions.

use serde_json::{Value, json};
use tradewind_dialects::Wire::{Chat, Messages};
use tradewind_dialects::{RequestOptions, TokenLimit, translate_request};

use crate::{PDF, PNG, body, messages, translated, with};

#[track_caller]
fn check(more: &Value, expected: &Value, dropped: &[&str]) {
    let found = translated(Messages, Chat, &with(&messages(), more));
    let least = json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(body(&found), with(&least, expected), "{more}");
    assert_eq!(found.dropped, dropped, "{more}");
    assert_eq!(&found.body[found.model_at], b"\"m\"");
}

#[test]
fn settings() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "number"}}});
    let tools = json!([{"name": "f", "input_schema": schema}]);
    let functions = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
    for (more, expected) in [
        (json!({"temperature": 1.0, "top_p": 0.5}), json!({"temperature": 1.0, "top_p": 0.5})),
        (json!({"stop_sequences": ["a", "b"]}), json!({"stop": ["a", "b"]})),
        (json!({"stream": true}), json!({"stream": true, "stream_options": {"include_usage": true}})),
        (json!({"service_tier": "auto", "speed": "standard", "metadata": {"user_id": null}}), json!({})),
        (json!({"output_config": {"effort": "max"}}), json!({"reasoning_effort": "max"})),
        (json!({"thinking": {"type": "adaptive"}}), json!({})),
        (json!({"thinking": {"type": "disabled"}}), json!({})),
        (
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "output", "strict": true, "schema": schema}}}),
        ),
        (
            json!({"tools": [{"type": "custom", "name": "f", "description": "d", "input_schema": {}, "strict": false, "defer_loading": false, "allowed_callers": ["direct"]}]}),
            json!({"tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": false}}]}),
        ),
        (json!({"tools": tools, "tool_choice": {"type": "auto"}}), json!({"tools": functions})),
        (
            json!({"tools": tools, "tool_choice": {"type": "any"}}),
            json!({"tools": functions, "tool_choice": "required"}),
        ),
        (json!({"tools": tools, "tool_choice": {"type": "none"}}), json!({"tools": functions, "tool_choice": "none"})),
        (
            json!({"tools": tools, "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true}}),
            json!({"tools": functions, "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false}),
        ),
    ] {
        check(&more, &expected, &[]);
    }
}

#[test]
fn hints() {
    let tool = json!({"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}, "eager_input_streaming": true});
    for (more, expected, dropped) in [
        (json!({"metadata": {"user_id": "u"}}), json!({}), vec!["metadata.user_id"]),
        (json!({"service_tier": "standard_only"}), json!({}), vec!["service_tier"]),
        (json!({"cache_control": {"type": "ephemeral"}}), json!({}), vec!["cache_control"]),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 4095, "display": "omitted"}}),
            json!({"reasoning_effort": "low"}),
            vec!["thinking.display", "thinking.budget_tokens"],
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 16383}}),
            json!({"reasoning_effort": "medium"}),
            vec!["thinking.budget_tokens"],
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 16384}}),
            json!({"reasoning_effort": "high"}),
            vec!["thinking.budget_tokens"],
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 16384}, "output_config": {"effort": "low"}}),
            json!({"reasoning_effort": "low"}),
            vec!["thinking.budget_tokens"],
        ),
        (
            json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}),
            json!({}),
            vec!["output_config.effort"],
        ),
        (
            json!({"tools": [tool]}),
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]}),
            vec!["tools[0].cache_control", "tools[0].eager_input_streaming"],
        ),
    ] {
        check(&more, &expected, &dropped);
    }
}

#[test]
fn the_limit_has_the_name_that_the_provider_wants() {
    let options = RequestOptions { token_limit: TokenLimit::MaxCompletionTokens, ..RequestOptions::default() };
    let found = translate_request(Messages, Chat, messages().to_string().as_bytes(), &options).unwrap();
    assert_eq!(body(&found)["max_completion_tokens"], 50);
    assert_eq!(body(&found)["max_tokens"], Value::Null);
    // A request whose tokens are to be counted has no limit.
    let counted = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(body(&translated(Messages, Chat, &counted)), counted);
}

#[test]
fn a_conversation() {
    let cached = json!({"type": "ephemeral"});
    let found = translated(
        Messages,
        Chat,
        &json!({
            "model": "m", "max_tokens": 50,
            "system": [{"type": "text", "text": "a", "cache_control": cached}, {"type": "text", "text": "b"}],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "What is this?", "citations": null},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}, "transformations": {"oversized_image": "downsize"}},
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                    {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "citations": {"enabled": false}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": [1]}, "caller": {"type": "direct"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": true, "content": "no such file"},
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "1"}], "cache_control": cached},
                    {"type": "text", "text": "And?"},
                ]},
                {"role": "assistant", "content": "Two."},
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Three?"},
            ],
        }),
    );
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    assert_eq!(
        body(&found)["messages"],
        json!([
            {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{PDF}")}},
            ]},
            {"role": "assistant", "content": "I look.", "tool_calls": [call("toolu_1", "f", "{\"x\":[1]}"), call("toolu_2", "g", "{}")]},
            {"role": "tool", "tool_call_id": "toolu_2", "content": "[tool error]\nno such file"},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "1"},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": "Two."},
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Three?"},
        ])
    );
    assert_eq!(
        found.dropped,
        [
            "system[0].cache_control",
            "messages[0].content[3].citations.enabled",
            "messages[1].content[0]",
            "messages[2].content[1].cache_control"
        ]
    );
}

#[test]
fn results_in_all_their_shapes() {
    for (result, expected) in [
        (json!({}), json!("")),
        (json!({"content": "x", "is_error": false}), json!("x")),
        (json!({"is_error": true}), json!("[tool error]\n")),
        (json!({"content": [], "is_error": true}), json!("[tool error]\n")),
        (
            json!({"content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}], "is_error": true}),
            json!([{"type": "text", "text": "[tool error]\nx"}, {"type": "text", "text": "y"}]),
        ),
    ] {
        let result = with(&json!({"type": "tool_result", "tool_use_id": "t"}), &result);
        let found = translated(
            Messages,
            Chat,
            &json!({"model": "m", "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                {"role": "user", "content": [result]},
            ]}),
        );
        assert_eq!(body(&found)["messages"][2], json!({"role": "tool", "tool_call_id": "t", "content": expected}));
    }
}

/// The messages that a conversation after `Hi` comes to, and what was left out.
#[track_caller]
fn after_hi(more: &[Value]) -> (Vec<Value>, Vec<String>) {
    let mut messages = vec![json!({"role": "user", "content": "Hi"})];
    messages.extend_from_slice(more);
    let found = translated(Messages, Chat, &json!({"model": "m", "max_tokens": 50, "messages": messages}));
    (body(&found)["messages"].as_array().expect("it is a list")[1..].to_vec(), found.dropped)
}

fn used(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "f", "input": {}})
}

fn called(id: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
}

#[test]
fn a_single_text_in_a_list_becomes_a_text() {
    let text = json!([{"type": "text", "text": "x"}]);
    let (found, _) =
        after_hi(&[json!({"role": "assistant", "content": text}), json!({"role": "user", "content": text})]);
    assert_eq!(found, [json!({"role": "assistant", "content": "x"}), json!({"role": "user", "content": "x"})]);
    let system = json!({"role": "system", "content": "x"});
    let found = translated(Messages, Chat, &with(&messages(), &json!({"system": text})));
    assert_eq!(body(&found)["messages"][0], system);
}

#[test]
fn text_behind_a_tool_call_goes_beside_it() {
    let text = |text: &str| json!({"type": "text", "text": text});
    let (found, dropped) = after_hi(&[
        json!({"role": "assistant", "content": [text("1"), used("a"), text("2"), used("b"), text("3")]}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}, {"type": "tool_result", "tool_use_id": "b"}]}),
    ]);
    let expected = json!({"role": "assistant", "content": [text("1"), text("2"), text("3")], "tool_calls": [called("a"), called("b")]});
    assert_eq!((&found[0], dropped.len()), (&expected, 0));
}

#[test]
fn a_turn_of_nothing_but_thinking_is_an_empty_one() {
    let thinking = json!([{"type": "thinking", "thinking": "Hm.", "signature": "s"}]);
    for (content, dropped) in [(thinking, vec!["messages[1].content[0]"]), (json!(""), vec![]), (json!([]), vec![])] {
        let turns = [json!({"role": "assistant", "content": content}), json!({"role": "user", "content": "So?"})];
        let (found, left_out) = after_hi(&turns);
        assert_eq!(
            (&found[0], left_out),
            (&json!({"role": "assistant", "content": ""}), dropped.iter().map(|&path| path.to_owned()).collect())
        );
    }
}

#[test]
fn what_results_show_goes_into_a_message_of_the_user() {
    let image = json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}});
    let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}});
    let text = |text: &str| json!({"type": "text", "text": text});
    let result = |id: &str, content: Value| json!({"type": "tool_result", "tool_use_id": id, "content": content});
    let calls = json!({"role": "assistant", "content": [used("a"), used("b"), used("\"c")]});
    let tool = |id: &str, content: Value| json!({"role": "tool", "tool_call_id": id, "content": content});
    let url = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let (found, dropped) = after_hi(&[
        calls.clone(),
        json!({"role": "user", "content": [
            result("a", json!([text("1"), image, image])),
            result("b", json!("2")),
            with(&result("\"c", json!([pdf])), &json!({"is_error": true})),
            text("And?"),
        ]}),
    ]);
    assert_eq!(
        found[1..],
        [
            tool("a", json!("1")),
            tool("b", json!("2")),
            tool("\"c", json!("[tool error]\nThe result is in the next message.")),
            json!({"role": "user", "content": [
                text("From the result of the tool call a:"), url,
                text("From the result of the tool call a:"), url,
                text("From the result of the tool call \"c:"),
                {"type": "file", "file": {"file_data": format!("data:application/pdf;base64,{PDF}")}},
                text("And?"),
            ]}),
        ]
    );
    assert!(dropped.is_empty());
    let search = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}, calls, {"role": "user", "content": [
        result("a", json!([{"type": "search_result", "source": "s"}]))]}]});
    assert_eq!(crate::obstacle(Messages, Chat, &search).field, "messages[2].content[0].content[0].type");
}

#[test]
fn an_id_may_come_again() {
    let exchange = [
        json!({"role": "assistant", "content": [used("a")]}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]}),
    ];
    let (found, _) = after_hi(&[exchange.clone(), exchange].concat());
    assert_eq!((&found[0]["tool_calls"][0]["id"], &found[2]["tool_calls"][0]["id"]), (&json!("a"), &json!("a")));
    assert_eq!((&found[1]["tool_call_id"], &found[3]["tool_call_id"]), (&json!("a"), &json!("a")));
}
