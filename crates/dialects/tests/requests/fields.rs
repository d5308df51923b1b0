//! Each field of the official packages' request types, and what becomes of it. The lists are copied from the types
//! (`openai` 3.51, `anthropic` 2.10, Python), deprecated fields and those of older versions included: a new field is an
//! obstacle until somebody has decided.

use serde_json::{Value, json};
use tradewind_dialects::Wire::{self, Chat, Messages, Responses};
use tradewind_dialects::{RequestOptions, translate_request};

use crate::{LOOSE, body, chat, messages, obstacle, responses, translated, with};

/// What becomes of a field.
enum Class {
    /// It is said in the other wire's words; here is a value.
    Translated(Value),
    /// It may say what is so in any case, as the first value does; the second one is in the way.
    Usual(Value, Value),
    /// It is left out and listed; here is a value.
    Hint(Value),
    /// It is in the way; here is a value.
    Obstacle(Value),
}

use Class::{Hint, Obstacle, Translated, Usual};

#[track_caller]
fn check(from: Wire, to: Wire, least: &Value, fields: Vec<(&str, Class)>) {
    for (name, class) in fields {
        let said = |value: &Value| with(least, &json!({name: value}));
        let unsaid = body(&translated(from, to, least));
        match class {
            Translated(value) => {
                let found = translated(from, to, &said(&value));
                assert_ne!(body(&found), unsaid, "{name} makes no difference");
                assert!(found.dropped.is_empty(), "{name}: {:?}", found.dropped);
                continue;
            }
            Usual(usual, other) => {
                let found = translated(from, to, &said(&usual));
                assert_eq!((body(&found), found.dropped.len()), (unsaid.clone(), 0), "{name}");
                assert_in_the_way(from, to, &said(&other), name);
            }
            Hint(value) => {
                let found = translated(from, to, &said(&value));
                assert_eq!(body(&found), unsaid, "{name}");
                assert!(found.dropped.iter().all(|path| path.starts_with(name)), "{name}: {:?}", found.dropped);
                assert_eq!(found.dropped.len(), 1, "{name}");
                let strict = RequestOptions { strict: true, ..LOOSE };
                let body = said(&value).to_string();
                let refused = translate_request(from, to, body.as_bytes(), &strict).expect_err("hints count");
                assert_eq!((refused.field, refused.invalid), (found.dropped[0].clone(), false));
            }
            Obstacle(value) => assert_in_the_way(from, to, &said(&value), name),
        }
        let found = translated(from, to, &said(&Value::Null));
        assert_eq!((body(&found), found.dropped.len()), (unsaid, 0), "{name}: null is the same as nothing");
    }
}

#[track_caller]
fn assert_in_the_way(from: Wire, to: Wire, request: &Value, name: &str) {
    let found = obstacle(from, to, request);
    assert!(found.field.starts_with(name) && !found.invalid, "{name}: {found:?}");
}

#[test]
fn chat_completions_to_messages() {
    let function = json!({"type": "function", "function": {"name": "g"}});
    let least = with(&chat(), &json!({"tools": [{"type": "function", "function": {"name": "f"}}]}));
    let fields = vec![
        ("messages", Translated(json!([{"role": "user", "content": "Ho"}]))),
        ("model", Translated(json!("n"))),
        ("audio", Obstacle(json!({"format": "wav", "voice": "alloy"}))),
        ("frequency_penalty", Usual(json!(0), json!(0.5))),
        ("function_call", Obstacle(json!("auto"))),
        ("functions", Usual(json!([]), json!([{"name": "f"}]))),
        ("logit_bias", Usual(json!({}), json!({"50256": -100}))),
        ("logprobs", Usual(json!(false), json!(true))),
        ("max_completion_tokens", Translated(json!(5))),
        ("max_tokens", Translated(json!(5))),
        ("metadata", Hint(json!({"a": "b"}))),
        ("modalities", Usual(json!(["text"]), json!(["text", "audio"]))),
        ("moderation", Obstacle(json!({"model": "omni-moderation"}))),
        ("n", Usual(json!(1), json!(2))),
        ("parallel_tool_calls", Translated(json!(false))),
        ("prediction", Obstacle(json!({"type": "content", "content": "x"}))),
        ("presence_penalty", Usual(json!(0.0), json!(-0.5))),
        ("prompt_cache_key", Hint(json!("k"))),
        ("prompt_cache_options", Hint(json!({"mode": "explicit"}))),
        ("prompt_cache_retention", Hint(json!("24h"))),
        ("reasoning_effort", Translated(json!("low"))),
        ("response_format", Translated(json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}))),
        ("safety_identifier", Hint(json!("u"))),
        ("seed", Obstacle(json!(1))),
        ("service_tier", Hint(json!("priority"))),
        ("stop", Translated(json!("END"))),
        ("store", Hint(json!(false))),
        ("store", Obstacle(json!(true))),
        ("stream_options", Hint(json!({"include_usage": true, "include_obfuscation": true}))),
        ("temperature", Translated(json!(0.5))),
        ("temperature", Obstacle(json!(1.5))),
        ("tool_choice", Translated(json!("required"))),
        ("tools", Translated(json!([function]))),
        ("top_logprobs", Usual(json!(0), json!(5))),
        ("top_p", Translated(json!(0.5))),
        ("user", Hint(json!("u"))),
        ("verbosity", Hint(json!("low"))),
        ("web_search_options", Obstacle(json!({}))),
        ("stream", Translated(json!(true))),
        // No package has it.
        ("wind", Obstacle(json!("trade"))),
    ];
    check(Chat, Messages, &least, fields);
}

#[test]
fn messages_to_chat_completions() {
    let least = with(&messages(), &json!({"tools": [{"name": "f", "input_schema": {}}]}));
    let fields = vec![
        ("max_tokens", Translated(json!(5))),
        ("messages", Translated(json!([{"role": "user", "content": "Ho"}]))),
        ("model", Translated(json!("n"))),
        ("cache_control", Hint(json!({"type": "ephemeral"}))),
        ("container", Obstacle(json!("c"))),
        ("diagnostics", Usual(json!({}), json!({"previous_message_id": "msg_1"}))),
        ("inference_geo", Obstacle(json!("eu"))),
        ("metadata", Hint(json!({"user_id": "u"}))),
        ("output_config", Translated(json!({"effort": "low"}))),
        ("service_tier", Hint(json!("standard_only"))),
        ("speed", Usual(json!("standard"), json!("fast"))),
        ("stop_sequences", Translated(json!(["END"]))),
        ("stop_sequences", Obstacle(json!(["1", "2", "3", "4", "5"]))),
        ("system", Translated(json!("Be brief."))),
        ("thinking", Usual(json!({"type": "adaptive"}), json!({"type": "between_tools"}))),
        ("tool_choice", Translated(json!({"type": "any"}))),
        ("tools", Translated(json!([{"name": "g", "input_schema": {}}]))),
        ("user_profile_id", Obstacle(json!("p"))),
        ("workspace_id", Obstacle(json!("w"))),
        ("stream", Translated(json!(true))),
        // Older versions have these.
        ("temperature", Translated(json!(0.5))),
        ("top_p", Translated(json!(0.5))),
        ("top_k", Obstacle(json!(5))),
        // So do beta versions.
        ("mcp_servers", Obstacle(json!([{"type": "url", "url": "https://example.com", "name": "s"}]))),
        ("context_management", Obstacle(json!({"edits": [{"type": "clear_tool_uses_20250919"}]}))),
        ("wind", Obstacle(json!("trade"))),
    ];
    check(Messages, Chat, &least, fields);
}

#[test]
fn what_is_needed() {
    for (from, to, least) in [(Chat, Messages, chat()), (Messages, Chat, messages()), (Responses, Chat, responses())] {
        let question = if from == Responses { "input" } else { "messages" };
        for name in ["model", question] {
            let found = obstacle(from, to, &with(&least, &json!({name: null})));
            assert_eq!((found.field.as_str(), found.why.as_ref(), found.invalid), (name, "is missing", true));
        }
        let found = obstacle(from, to, &with(&least, &json!({"model": ""})));
        assert_eq!((found.field.as_str(), found.invalid), ("model", true));
        let other = body(&translated(from, to, &with(&least, &json!({"model": "n"}))));
        assert_eq!(other, with(&body(&translated(from, to, &least)), &json!({"model": "n"})));
    }
}

fn of_responses(to: Wire) -> Vec<(&'static str, Class)> {
    let verbosity = json!({"verbosity": "low"});
    let wish = |value: Value| if to == Chat { Translated(value) } else { Hint(value) };
    let effort = json!({"effort": "minimal"});
    let only_chat = |value: Value| if to == Chat { Translated(value) } else { Obstacle(value) };
    vec![
        ("access_programs", Obstacle(json!({"cyber": "standard"}))),
        ("background", Usual(json!(false), json!(true))),
        // Codex sends it; no package has it.
        ("client_metadata", Hint(json!({"x-codex-turn-metadata": "{}"}))),
        ("context_management", Usual(json!([]), json!([{"type": "compaction"}]))),
        ("conversation", Obstacle(json!("conv_1"))),
        ("image", Obstacle(json!({"detail": "low"}))),
        ("include", Hint(json!(["reasoning.encrypted_content"]))),
        ("input", Translated(json!("Ho"))),
        ("instructions", Translated(json!("Be brief."))),
        ("max_output_tokens", Translated(json!(5))),
        ("max_tool_calls", Obstacle(json!(5))),
        ("metadata", Hint(json!({"a": "b"}))),
        ("model", Translated(json!("n"))),
        ("moderation", Obstacle(json!({"model": "omni-moderation"}))),
        ("parallel_tool_calls", Translated(json!(false))),
        ("previous_response_id", Obstacle(json!("resp_1"))),
        ("prompt", Obstacle(json!({"id": "pmpt_1"}))),
        ("prompt_cache_key", Hint(json!("k"))),
        ("prompt_cache_options", Hint(json!({"mode": "explicit"}))),
        ("prompt_cache_retention", Hint(json!("24h"))),
        ("reasoning", Translated(json!({"effort": "low"}))),
        ("reasoning", only_chat(effort)),
        ("reasoning", Usual(json!({"context": "auto", "mode": "standard"}), json!({"mode": "pro"}))),
        ("safety_identifier", Hint(json!("u"))),
        ("service_tier", Hint(json!("priority"))),
        ("store", Hint(json!(false))),
        ("store", Obstacle(json!(true))),
        ("stream_options", Hint(json!({"include_obfuscation": true}))),
        ("temperature", Translated(json!(0.5))),
        ("temperature", only_chat(json!(1.5))),
        ("text", Translated(json!({"format": {"type": "json_schema", "name": "n", "schema": {}}}))),
        ("text", only_chat(json!({"format": {"type": "json_object"}}))),
        ("text", wish(verbosity)),
        ("text", Usual(json!({"format": {"type": "text"}}), json!({"format": {"type": "grammar"}}))),
        ("tool_choice", Translated(json!("required"))),
        ("tools", Translated(json!([{"type": "function", "name": "g"}]))),
        ("top_logprobs", Usual(json!(0), json!(5))),
        ("top_p", Translated(json!(0.5))),
        ("truncation", Usual(json!("disabled"), json!("auto"))),
        ("user", Hint(json!("u"))),
        ("stream", Translated(json!(true))),
        ("wind", Obstacle(json!("trade"))),
    ]
}

#[test]
fn responses_to_both() {
    let least = with(&responses(), &json!({"tools": [{"type": "function", "name": "f"}]}));
    for to in [Chat, Messages] {
        check(Responses, to, &least, of_responses(to));
    }
}

/// What is in the way within messages, parts, tools and choices: `(from, to, request, field)`.
#[test]
fn what_is_in_the_way_below_the_top() {
    let user = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let tool = |tool: Value| json!({"tools": [tool]});
    let item = |item: Value| json!({"input": [item]});
    let first = json!({"role": "user", "content": "Hi"});
    let said = |said: Value| json!({"messages": [first, with(&json!({"role": "assistant"}), &said), first]});
    let table = [
        (Chat, json!({"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]}), "messages[0].name"),
        (Chat, json!({"messages": [first, {"role": "system", "content": "x"}, first]}), "messages[1]"),
        (Chat, json!({"messages": [first, {"role": "assistant", "content": "The"}]}), "messages[1]"),
        (Chat, json!({"messages": [{"role": "system", "content": "x"}]}), "messages"),
        (Chat, json!({"messages": [{"role": "user", "content": " "}]}), "messages[0].content"),
        (Chat, json!({"messages": [{"role": "function", "name": "f", "content": "x"}]}), "messages[0].name"),
        (Chat, user(json!({"type": "text", "text": "x", "wind": 1})), "messages[0].content[0].wind"),
        (Chat, user(json!({"type": "input_audio", "input_audio": {}})), "messages[0].content[0].type"),
        (Chat, user(json!({"type": "file", "file": {"file_id": "f"}})), "messages[0].content[0].file.file_id"),
        (Chat, said(json!({"audio": {"id": "a"}})), "messages[1].audio"),
        (Chat, said(json!({"function_call": {"name": "f", "arguments": ""}})), "messages[1].function_call"),
        (
            Chat,
            said(json!({"tool_calls": [{"id": "a", "type": "custom", "custom": {}}]})),
            "messages[1].tool_calls[0].custom",
        ),
        (Chat, tool(json!({"type": "custom", "custom": {"name": "f"}})), "tools[0].custom"),
        (Chat, tool(json!({"type": "function", "function": {"name": "a.b"}})), "tools[0].function.name"),
        (Chat, tool(json!({"type": "function", "function": {"name": "f", "wind": 1}})), "tools[0].function.wind"),
        (Chat, json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}), "tool_choice.allowed_tools"),
        (Chat, json!({"response_format": {"type": "json_object"}}), "response_format.type"),
        (
            Chat,
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}}),
            "response_format.json_schema.schema",
        ),
        (Chat, json!({"reasoning_effort": "minimal"}), "reasoning_effort"),
        (Chat, json!({"stop": ["\n"]}), "stop[0]"),
        (Chat, json!({"stream_options": {"wind": 1}}), "stream_options.wind"),
        (Messages, json!({"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]}), "messages[0].name"),
        (Messages, json!({"messages": [first, {"role": "assistant", "content": "The"}]}), "messages[1]"),
        (Messages, user(json!({"type": "search_result", "source": "s"})), "messages[0].content[0].type"),
        (Messages, user(json!({"type": "text", "text": "x", "citations": [{}]})), "messages[0].content[0].citations"),
        (
            Messages,
            user(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
            "messages[0].content[0].source.file_id",
        ),
        (
            Messages,
            user(json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}})),
            "messages[0].content[0].source",
        ),
        (
            Messages,
            user(json!({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}})),
            "messages[0].content[0].source",
        ),
        (Messages, said(json!({"content": [{"type": "server_tool_use", "id": "s"}]})), "messages[1].content[0].type"),
        (Messages, tool(json!({"type": "web_search_20250305", "name": "web_search"})), "tools[0].type"),
        (Messages, tool(json!({"name": "f", "input_schema": {}, "input_examples": [{}]})), "tools[0].input_examples"),
        (Messages, tool(json!({"name": "f", "input_schema": {}, "defer_loading": true})), "tools[0].defer_loading"),
        (Messages, tool(json!({"name": "f".repeat(65), "input_schema": {}})), "tools[0].name"),
        (Messages, json!({"metadata": {"wind": 1}}), "metadata.wind"),
        (Messages, json!({"output_config": {"effort": "minimal"}}), "output_config.effort"),
        (Messages, json!({"max_tokens": 0}), "max_tokens"),
        (Responses, item(json!({"type": "item_reference", "id": "x"})), "input[0].type"),
        (Responses, item(json!({"type": "web_search_call", "id": "x"})), "input[0].type"),
        (Responses, item(json!({"role": "user", "content": [{"type": "input_audio"}]})), "input[0].content[0].type"),
        (
            Responses,
            item(json!({"role": "user", "content": [{"type": "input_image", "file_id": "f"}]})),
            "input[0].content[0].file_id",
        ),
        (
            Responses,
            item(json!({"role": "user", "content": [{"type": "input_file", "file_url": "https://example.com"}]})),
            "input[0].content[0].file_url",
        ),
        (Responses, tool(json!({"type": "web_search"})), "tools[0].type"),
        (Responses, tool(json!({"type": "namespace", "name": "f", "tools": []})), "tools[0].type"),
        (Responses, tool(json!({"type": "custom", "name": "f"})), "tools[0].type"),
        (Responses, tool(json!({"type": "function", "name": "f".repeat(65)})), "tools[0].name"),
        (Responses, tool(json!({"type": "function", "name": "f", "output_schema": {}})), "tools[0].output_schema"),
        (Responses, json!({"tool_choice": {"type": "mcp", "server_label": "s"}}), "tool_choice"),
    ];
    for (from, more, field) in table {
        let (to, least) = match from {
            Chat => (Messages, chat()),
            Messages => (Chat, messages()),
            Responses => (Chat, responses()),
        };
        let found = obstacle(from, to, &with(&least, &more));
        let is_the_field = found.field == field || (field == "tool_choice" && found.field.starts_with(field));
        assert!(is_the_field && !found.invalid, "{more}: {found:?}");
    }
}
