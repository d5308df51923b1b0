//! Requests: what is read of them, and that nothing else of their bytes changes.

use super::*;

fn read(operation: Operation, body: &str) -> Result<Ask, Refusal> {
    Ask::read(operation, Bytes::copy_from_slice(body.as_bytes()))
}

#[test]
fn token_counts_of_a_stream_are_asked_for_in_place() {
    let changes = Changes { model: "a", ask_usage: true, previous: None };
    for (options, expected) in [
        ("", r#"{"stream_options":{"include_usage":true},"model":"a","messages":[]}"#),
        (r#","stream_options":null"#, r#"{"model":"a","messages":[],"stream_options":{"include_usage":true}}"#),
        (
            r#","stream_options":{"include_obfuscation":false,"include_usage":false}"#,
            r#"{"model":"a","messages":[],"stream_options":{"include_obfuscation":false,"include_usage":true}}"#,
        ),
        (
            r#","stream_options":{ "include_usage" : true }"#,
            r#"{"model":"a","messages":[],"stream_options":{ "include_usage" : true }}"#,
        ),
    ] {
        let ask = read(Operation::Chat, &format!(r#"{{"model":"a","messages":[]{options}}}"#)).unwrap();
        assert_eq!(ask.body_with(&changes), expected);
    }
}

#[test]
fn several_changes_keep_every_other_byte() {
    let body = r#" {"previous_response_id" : "resp_ours", "input":"hé", "model":"m", "stream_options": null }"#;
    let ask = read(Operation::Responses, body).unwrap();
    assert_eq!(ask.previous.as_deref(), Some("resp_ours"));
    let changes = Changes { model: "up", ask_usage: false, previous: Some("resp_theirs") };
    assert_eq!(
        ask.body_with(&changes),
        r#" {"previous_response_id" : "resp_theirs", "input":"hé", "model":"up", "stream_options": null }"#
    );
}

#[test]
fn only_the_model_is_rewritten() {
    let body = r#"{ "zeta": [1, 2.50, 1e2], "model" : "assis\u0074ant","messages":[{"role":"user","content":"hé"}],"alpha":null}"#;
    let ask = read(Operation::Chat, body).unwrap();
    assert_eq!(ask.model, "assistant");
    let rewritten = ask.body_for("org/\"model\"");
    let expected = body.replace(r#""assis\u0074ant""#, r#""org/\"model\"""#);
    assert_eq!(rewritten, expected);
    assert_eq!(ask.body_for("assistant"), body);
}

#[test]
fn a_nested_model_is_left_alone() {
    let body = r#"{"metadata":{"model":"inner"},"messages":[],"model":"outer"}"#;
    let ask = read(Operation::Chat, body).unwrap();
    assert_eq!(ask.body_for("x"), r#"{"metadata":{"model":"inner"},"messages":[],"model":"x"}"#);
}

#[test]
fn bad_requests_name_the_field() {
    let table: [(&str, Code, Option<&str>); 11] = [
        ("{\"model\":", Code::MalformedJson, None),
        ("", Code::MalformedJson, None),
        ("{\"model\":\"a\"} x", Code::MalformedJson, None),
        ("[]", Code::BadField, None),
        ("{\"messages\":[]}", Code::BadField, Some("model")),
        ("{\"model\":7,\"messages\":[]}", Code::BadField, Some("model")),
        ("{\"model\":\"\",\"messages\":[]}", Code::BadField, Some("model")),
        ("{\"model\":\"a\",\"stream\":\"yes\",\"messages\":[]}", Code::BadField, Some("stream")),
        ("{\"model\":\"a\"}", Code::BadField, Some("messages")),
        ("{\"model\":\"a\",\"messages\":\"hi\"}", Code::BadField, Some("messages")),
        ("{\"model\":\"a\",\"model\":\"b\",\"messages\":[]}", Code::BadField, Some("model")),
    ];
    for (body, code, field) in table {
        let refusal = read(Operation::Chat, body).unwrap_err();
        assert_eq!((refusal.code, refusal.field.as_deref()), (code, field), "{body}: {}", refusal.message);
    }
}

#[test]
fn the_session_is_the_user_or_the_one_of_the_metadata() {
    let session = |rest: &str| {
        let ask = read(Operation::Chat, &format!("{{\"model\":\"a\",\"messages\":[]{rest}}}")).unwrap();
        ask.session()
    };
    for (rest, expected) in [
        ("", None),
        (r#","user":"ann""#, Some("ann")),
        (r#","us\u0065r" : "a\u006en""#, Some("ann")),
        (r#","metadata":{"x":1,"user_id":"ann"}"#, Some("ann")),
        (r#","metadata":{"user_id":"bob"},"user":"ann""#, Some("ann")),
        (r#","metadata":{"user_id":"ann"},"user":null"#, Some("ann")),
        (r#","metadata":{"user_id":"ann"},"user":7"#, Some("ann")),
        (r#","metadata":{"user_id":7}"#, None),
        (r#","metadata":"ann","user":{}"#, None),
        (r#","x":{"user":"ann"}"#, None),
    ] {
        assert_eq!(session(rest).as_deref(), expected, "{rest}");
    }
}

#[test]
fn calls_with_effects_are_not_repeatable() {
    let ask = |rest: &str| read(Operation::Chat, &format!("{{\"model\":\"a\",\"messages\":[]{rest}}}")).unwrap();
    assert!(ask("").repeatable);
    assert!(ask(r#","tools":[{"type":"function","function":{"name":"f"}}]"#).repeatable);
    assert!(ask(r#","tools":[{"name":"f","input_schema":{}},{"type":"bash_20250124","name":"bash"}]"#).repeatable);
    assert!(!ask(r#","tools":[{"type":"web_search_20250305","name":"web_search"}]"#).repeatable);
    assert!(!ask(r#","store":true"#).repeatable);
    assert!(ask(r#","store":false"#).repeatable);
    assert!(!ask(r#","web_search_options":{}"#).repeatable);
    // The provider asks the servers.
    assert!(!ask(r#","mcp_servers":[{"type":"url","url":"https://example.com/mcp","name":"m"}]"#).repeatable);
    assert!(!ask(r#","mcp\u005fservers": [ {} ]"#).repeatable);
    assert!(ask(r#","mcp_servers":[ ]"#).repeatable && ask(r#","mcp_servers":null"#).repeatable);
}

#[test]
fn what_a_call_demands_is_read_and_not_guessed() {
    let demands = |rest: &str| {
        let ask = read(Operation::Chat, &format!("{{\"model\":\"a\",\"messages\":[]{rest}}}")).unwrap();
        (ask.demands.tools, ask.demands.json_schema)
    };
    for (rest, tools, json_schema) in [
        ("", false, false),
        (r#","tools":[]"#, false, false),
        (",\"tools\":[ \n ]", false, false),
        (r#","tools":null,"functions":[ ]"#, false, false),
        (r#","tools":[{"type":"function","function":{"name":"f"}}]"#, true, false),
        (r#","functions":[{"name":"f"}]"#, true, false),
        (r#","response_format":{"type":"json_schema","json_schema":{}}"#, false, true),
        (r#","response_format":{"type":"json\u005fschema"}"#, false, true),
        (r#","response_format":{ "ty\u0070e" : "json_schema" }"#, false, true),
        (r#","response_format":{"type":"json_object","json_schema":{}}"#, false, false),
        (r#","text":{"format":{"type":"json_schema","schema":{}}}"#, false, true),
        (r#","text":{"format":{"type":"text"},"x":"json_schema"}"#, false, false),
        (r#","output_format":{"type":"json_schema","schema":{}}"#, false, true),
        (r#","output_config":{"format":{"type":"json_schema"},"effort":"low"}"#, false, true),
        (r#","output_config":{"effort":"json_schema"}"#, false, false),
        (r#","text":"json_schema","response_format":[]"#, false, false),
        (r#","response_format":{"type":"text","type":"json_schema"}"#, false, true),
    ] {
        assert_eq!(demands(rest), (tools, json_schema), "{rest}");
    }
}

#[test]
fn images_are_demanded_by_images_and_by_nothing_else() {
    for (operation, part, images) in [
        (Operation::Chat, r#"{"type":"image_url","image_url":{"url":"https://a.example/a.png"}}"#, true),
        (Operation::Messages, r#"{"type":"image","source":{"type":"file","file_id":"file_1"}}"#, true),
        (Operation::Responses, r#"{"type":"input_image","file_id":"file-1"}"#, true),
        (Operation::Messages, r#"{"type":"document","source":{"type":"url","url":"https://a.example/a.pdf"}}"#, false),
        (Operation::Messages, r#"{"type":"text","text":"x","citations":[{"url":"https://a.example"}]}"#, false),
        (Operation::Responses, r#"{"type":"input_text","text":"image_url"}"#, false),
    ] {
        let list = format!(r#"[{{"role":"user","content":[{part}]}}]"#);
        let ask = read(operation, &format!(r#"{{"model":"a","messages":{list},"input":{list}}}"#)).unwrap();
        assert_eq!(ask.demands.images, images, "{part}");
    }
}

#[test]
fn the_limit_of_one_answer_and_of_all_of_them() {
    let limits = |operation, rest: &str| {
        let ask =
            read(operation, &format!("{{\"model\":\"a\",\"messages\":[],\"prompt\":[\"x\",\"y\"]{rest}}}")).unwrap();
        (ask.longest_answer, ask.largest_answer)
    };
    assert_eq!(limits(Operation::Chat, r#","max_tokens":1000,"n":8"#), (Some(1000), Some(8000)));
    assert_eq!(limits(Operation::Chat, r#","n":8"#), (None, Some(8 * ASSUMED_ANSWER)));
    assert_eq!(limits(Operation::Completions, r#","max_tokens":10"#), (Some(10), Some(20)));
    assert_eq!(limits(Operation::Chat, ""), (None, None));
}
