//! Requests that are wrong in themselves: each is refused with its field named, and without any of its text.

use serde_json::{Value, json};
use tradewind_dialects::Wire::{self, Chat, Messages, Responses};
use tradewind_dialects::{RequestOptions, translate_request};

use crate::{LOOSE, PNG, chat, messages, obstacle, responses, with};

fn refused(from: Wire, to: Wire, body: &str) -> (String, String) {
    let obstacle = translate_request(from, to, body.as_bytes(), &LOOSE).expect_err("it is wrong");
    assert!(obstacle.invalid, "{obstacle:?}");
    (obstacle.field, obstacle.why.into_owned())
}

#[test]
fn bodies() {
    for (body, field, why) in [
        ("", "", "is not valid JSON at line 1 column 0"),
        ("[]", "", "has to be one JSON object"),
        ("\"secret\"", "", "has to be one JSON object"),
        ("{\"model\":\"m\"} x", "", "is not valid JSON at line 1 column 15"),
        ("{\"model\":\"m\",\"messages\":[", "", "is not valid JSON at line 1 column 25"),
        ("{\"model\":\"m\",\"model\":\"n\",\"messages\":[]}", "model", "is there twice"),
        ("{\"model\":\"m\",\"mod\\u0065l\":\"n\",\"messages\":[]}", "model", "is there twice"),
        ("{\"model\":\"\\ud800\",\"messages\":[]}", "model", "is not valid Unicode"),
        ("{\"model\":7,\"messages\":[]}", "model", "has to be a text"),
        ("{\"model\":\"m\",\"messages\":\"secret\"}", "messages", "has to be a list"),
        ("{\"model\":\"m\",\"messages\":[\"secret\"]}", "messages[0]", "has to be an object"),
        ("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"role\":\"x\"}]}", "messages[0].role", "is there twice"),
    ] {
        for (from, to) in [(Chat, Messages), (Messages, Chat)] {
            assert_eq!(refused(from, to, body), (field.to_owned(), why.to_owned()), "{body}");
        }
    }
    let not_utf8 = b"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}";
    let obstacle = translate_request(Chat, Messages, not_utf8, &LOOSE).unwrap_err();
    assert!(obstacle.field.is_empty() && obstacle.why.starts_with("is not valid JSON") && obstacle.invalid);
}

#[test]
fn too_deep() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, field) in [
        (format!("{{\"model\":\"m\",\"messages\":{deep}}}"), "messages[0]"),
        (
            format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":{deep}}}]}}"),
            "messages[0].content[0]",
        ),
        (
            format!(
                "{{\"model\":\"m\",\"messages\":[],\"tools\":[{{\"type\":\"function\",\"function\":{{\"name\":\"f\",\"parameters\":{{\"a\":{deep}}}}}}}]}}"
            ),
            "tools[0].function.parameters",
        ),
    ] {
        assert_eq!(refused(Chat, Messages, &body).0, field);
    }
    let call = format!("{{\"a\":{deep}}}");
    let arguments = json!({"model": "m", "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": call}}]},
    ]});
    let (field, why) = refused(Chat, Messages, &arguments.to_string());
    assert_eq!(field, "messages[1].tool_calls[0].function.arguments");
    assert_eq!(why, "is nested deeper than 128 levels");
    // What is left out is not even looked at.
    let metadata =
        format!("{{\"metadata\":{deep},\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}]}}");
    assert!(translate_request(Chat, Messages, metadata.as_bytes(), &RequestOptions::default()).is_ok());
}

/// `more`, said in a request, is refused at `field`.
#[track_caller]
fn check(from: Wire, more: &Value, field: &str) {
    let (to, least) = match from {
        Chat => (Messages, chat()),
        Messages => (Chat, messages()),
        Responses => (Messages, responses()),
    };
    let found = obstacle(from, to, &with(&least, more));
    assert_eq!((found.field.as_str(), found.invalid), (field, true), "{more}: {found:?}");
}

#[test]
fn wrong_types_and_contradictions() {
    let tool = json!({"type": "function", "function": {"name": "f"}});
    for (more, field) in [
        (json!({"stream": "yes"}), "stream"),
        (json!({"max_tokens": -1}), "max_tokens"),
        (json!({"max_tokens": "7"}), "max_tokens"),
        (json!({"max_tokens": 7, "max_completion_tokens": 8}), "max_tokens"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"temperature": 3}), "temperature"),
        (json!({"top_p": 1.1}), "top_p"),
        (json!({"n": 0}), "n"),
        (json!({"stop": {"a": 1}}), "stop"),
        (json!({"stop": [7]}), "stop[0]"),
        (json!({"store": "no"}), "store"),
        (json!({"tools": {}}), "tools"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].function"),
        (json!({"tools": [{"type": "function", "function": {"name": ""}}]}), "tools[0].function.name"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}),
            "tools[0].function.parameters",
        ),
        (json!({"tools": [tool, tool]}), "tools[1].function.name"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"tools": [tool], "tool_choice": {"type": "function", "function": {"name": "g"}}}), "tool_choice"),
        (json!({"response_format": "json"}), "response_format"),
        (json!({"response_format": {}}), "response_format.type"),
        (json!({"messages": [{"content": "Hi"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "robot", "content": "Hi"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": 7}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}), "messages[0].content[0].type"),
    ] {
        check(Chat, &more, field);
    }
    for (more, field) in [
        (json!({"max_tokens": 1.5}), "max_tokens"),
        (json!({"temperature": 1.5}), "temperature"),
        (json!({"system": 7}), "system"),
        (json!({"metadata": "m"}), "metadata"),
        (json!({"thinking": {"type": "enabled"}}), "thinking.budget_tokens"),
        (json!({"thinking": {"type": "adaptive", "budget_tokens": 5}}), "thinking.budget_tokens"),
        (json!({"tools": [{"name": "f"}]}), "tools[0].input_schema"),
        (json!({"tools": [{"name": "f", "input_schema": "{}"}]}), "tools[0].input_schema"),
        (json!({"tool_choice": {"type": "tool"}}), "tool_choice.name"),
        (json!({"tool_choice": {"type": "any"}}), "tool_choice"),
        (json!({"messages": [{"role": "user", "content": {}}]}), "messages[0].content"),
    ] {
        check(Messages, &more, field);
    }
    for (more, field) in [
        (json!({"input": 7}), "input"),
        (json!({"input": [7]}), "input[0]"),
        (json!({"input": [{"type": "message", "content": "x"}]}), "input[0].role"),
        (json!({"include": "all"}), "include"),
        (json!({"tools": [{"name": "f"}]}), "tools[0].type"),
        (json!({"text": []}), "text"),
    ] {
        check(Responses, &more, field);
    }
}

#[test]
fn images_that_are_none() {
    let jpeg = format!("data:image/jpeg;base64,{PNG}");
    for url in ["data:image/png;base64,!!!!", "data:image/png;base64,aGVsbG8=", "javascript:alert(1)", &jpeg] {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        check(
            Chat,
            &json!({"messages": [{"role": "user", "content": [part]}]}),
            "messages[0].content[0].image_url.url",
        );
        let part = json!({"type": "input_image", "image_url": url});
        check(Responses, &json!({"input": [{"role": "user", "content": [part]}]}), "input[0].content[0].image_url");
    }
    for (source, field) in [
        (json!({"type": "base64", "media_type": "image/jpeg", "data": PNG}), "data"),
        (json!({"type": "base64", "media_type": "image/png", "data": "aGVsbG8"}), "data"),
        (json!({"type": "base64", "media_type": "image/png"}), "data"),
        (json!({"type": "base64", "data": PNG}), "media_type"),
        (json!({"type": "url", "url": "ftp://example.com"}), "url"),
    ] {
        let part = json!({"type": "image", "source": source});
        let field = format!("messages[0].content[0].source.{field}");
        check(Messages, &json!({"messages": [{"role": "user", "content": [part]}]}), &field);
    }
    let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PNG}});
    check(Messages, &json!({"messages": [{"role": "user", "content": [pdf]}]}), "messages[0].content[0].source.data");
}

#[test]
fn tool_calls_that_do_not_fit_together() {
    let hi = json!({"role": "user", "content": "Hi"});
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let calls =
        |ids: &[&str]| json!({"role": "assistant", "tool_calls": ids.iter().map(|id| call(id)).collect::<Vec<_>>()});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
    for (messages, field) in [
        (json!([hi, result("a")]), "messages[1].tool_call_id"),
        (json!([hi, calls(&["a"]), result("b")]), "messages[2].tool_call_id"),
        (json!([hi, calls(&["a"]), result("a"), result("a")]), "messages[3].tool_call_id"),
        (json!([hi, calls(&["a", "a"]), result("a")]), "messages[1].tool_calls[1].id"),
        (json!([hi, calls(&["a"]), result("a"), calls(&["a", "a"]), result("a")]), "messages[3].tool_calls[1].id"),
        (json!([hi, calls(&["a"]), result("a"), calls(&["a"]), hi]), "messages[3].tool_calls[0].id"),
        (json!([hi, calls(&["a", "b"]), result("a"), hi]), "messages[1].tool_calls[1].id"),
        (json!([hi, calls(&["a"])]), "messages[1].tool_calls[0].id"),
        (json!([hi, calls(&["a"]), calls(&["b"]), result("a"), result("b")]), "messages[1].tool_calls[0].id"),
        (json!([hi, calls(&[""])]), "messages[1].tool_calls[0].id"),
        (json!([hi, calls(&["a"]), {"role": "tool", "content": "x"}]), "messages[2].tool_call_id"),
        (json!([hi, calls(&["a"]), with(&result("a"), &json!({"name": "g"}))]), "messages[2].name"),
    ] {
        check(Chat, &json!({"messages": messages}), field);
    }
    for arguments in ["[1]", "{\"a\":", "nothing", "\"{}\"", "{} {}"] {
        let call = json!({"id": "a", "function": {"name": "f", "arguments": arguments}});
        let messages = json!([hi, {"role": "assistant", "tool_calls": [call]}]);
        check(Chat, &json!({"messages": messages}), "messages[1].tool_calls[0].function.arguments");
    }
    let used =
        |id: &str| json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]});
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id});
    for (messages, field) in [
        (json!([{"role": "user", "content": [result("a")]}]), "messages[0].content[0].tool_use_id"),
        (json!([hi, used("a"), hi]), "messages[1].content[0].id"),
        (
            json!([hi, used("a"), {"role": "user", "content": [result("a"), result("a")]}]),
            "messages[2].content[1].tool_use_id",
        ),
        (
            json!([hi, used("a"), {"role": "user", "content": [{"type": "text", "text": "x"}, result("a")]}]),
            "messages[2].content[1]",
        ),
        (
            json!([hi, {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "{}"}]}]),
            "messages[1].content[0].input",
        ),
    ] {
        check(Messages, &json!({"messages": messages}), field);
    }
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "x"});
    for (input, field) in [
        (json!([hi, output("a")]), "input[1].call_id"),
        (json!([hi, call("a"), hi]), "input[1].call_id"),
        (json!([hi, call("a"), call("b"), output("b")]), "input[1].call_id"),
        (json!([hi, call("a"), output("a"), call("a")]), "input[3].call_id"),
        (json!([hi, {"type": "function_call_output", "output": "x"}]), "input[1].call_id"),
    ] {
        check(Responses, &json!({"input": input}), field);
    }
}

/// Thousands of calls, tools and fields cost no more than their share.
#[test]
fn large_requests_are_read_in_linear_time() {
    let ids: Vec<String> = (0..20_000).map(|number| format!("call_{number}")).collect();
    let call = |id: &String| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let mut messages = vec![json!({"role": "user", "content": "Hi"})];
    messages.push(json!({"role": "assistant", "tool_calls": ids.iter().map(call).collect::<Vec<_>>()}));
    messages.extend(ids.iter().rev().map(|id| json!({"role": "tool", "tool_call_id": id, "content": "x"})));
    let tools: Vec<Value> =
        (0..20_000).map(|number| json!({"type": "function", "function": {"name": format!("f{number}")}})).collect();
    let request = json!({"model": "m", "messages": messages, "tools": tools});
    let found = crate::body(&crate::translated(Chat, Messages, &request));
    assert_eq!(found["messages"].as_array().unwrap().len(), 3);
    assert_eq!(found["messages"][2]["content"].as_array().unwrap().len(), 20_000);
    let fields: String = (0..100_000).map(|number| format!("\"f{number}\":null,")).collect();
    let (field, why) = refused(Chat, Messages, &format!("{{{fields}\"model\":\"m\"}}"));
    assert_eq!((field.as_str(), why.as_str()), ("", "has more than 64 fields"));
}
