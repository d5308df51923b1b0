//! There and back is the identity on what both wires can say; tool arguments survive byte for byte; and no request at all
//! makes the translation fail in any other way than with an obstacle.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use tradewind_dialects::Wire::{self, Chat, Messages};
use tradewind_dialects::{translate_request, without_unsigned_thinking};

use crate::corpus::dialects;
use crate::{LOOSE, PDF, PNG, chat, messages, responses, with};

/// Text that is not blank.
fn text() -> impl Strategy<Value = String> {
    "[a-z\"\\\\é中🔐][ -~\n\t\u{7f}\u{85}é中🔐]{0,12}"
}

fn arguments() -> impl Strategy<Value = String> {
    select(vec![
        "{}",
        "{ }",
        r#"{"b":1,"a":2}"#,
        r#"{"a":1e400,"b":123456789012345678901234567890,"c":-0.0,"d":1.50}"#,
        r#"{"a":1,"\u0061":2,"a":3}"#,
        r#"{"k":"\ud83d\udd10 🔐 \/ \\n \u0000"}"#,
        "{\n  \"pretty\": [ true , null ]\n}",
        r#"{"half":"\ud800"}"#,
    ])
    .prop_map(str::to_owned)
}

fn schema() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"type": "object", "properties": {}}),
        json!({"type": "object", "properties": {"z": {"type": "number", "maximum": 1e300}, "a": {"enum": ["é", null]}}, "required": ["a"]}),
    ])
}

/// How a call is asked for and answered: arguments, the result, whether it failed.
type Exchange = (String, Vec<String>, bool);

/// A turn of a conversation, in neither wire's words.
#[derive(Clone, Debug)]
enum Said {
    User(Vec<String>),
    /// Text, an image or a document.
    Shown(String, usize),
    Assistant(Vec<String>),
    /// Text before the calls, the calls with their results, and what the user says at once.
    Calls(Vec<String>, Vec<Exchange>, Option<Vec<String>>),
}

fn turn() -> impl Strategy<Value = Said> {
    let texts = || vec(text(), 1..3);
    let exchange = (arguments(), vec(text(), 1..3), any::<bool>());
    prop_oneof![
        texts().prop_map(Said::User),
        (text(), 0..3_usize).prop_map(|(text, kind)| Said::Shown(text, kind)),
        texts().prop_map(Said::Assistant),
        (vec(text(), 0..3), vec(exchange, 1..4), option::of(texts()))
            .prop_map(|(texts, calls, after)| Said::Calls(texts, calls, after)),
    ]
}

/// The turns of a conversation that ends with the user, and in which nobody speaks right after results but the model.
fn conversation() -> impl Strategy<Value = Vec<Said>> {
    (vec(turn(), 0..6), text()).prop_map(|(said, last)| {
        let mut turns: Vec<Said> = Vec::new();
        for turn in said {
            let after_results = matches!(turns.last(), Some(Said::Calls(_, _, None)));
            if after_results && matches!(turn, Said::User(..) | Said::Shown(..)) {
                turns.push(Said::Assistant(vec!["So.".to_owned()]));
            }
            turns.push(turn);
        }
        if matches!(turns.last(), Some(Said::Calls(_, _, None))) {
            return turns;
        }
        turns.push(Said::User(vec![last]));
        turns
    })
}

fn parts(texts: &[String]) -> Value {
    texts.iter().map(|text| json!({"type": "text", "text": text})).collect()
}

/// One text, or parts: a list of one text comes back as a text.
fn plain_or_parts(texts: &[String]) -> Value {
    if let [text] = texts { json!(text) } else { parts(texts) }
}

fn in_chat(turns: &[Said]) -> Vec<Value> {
    let mut messages = Vec::new();
    let mut number = 0;
    for turn in turns {
        match turn {
            Said::User(texts) => {
                messages.push(json!({"role": "user", "content": plain_or_parts(texts)}));
            }
            Said::Shown(text, kind) => {
                let shown = match kind {
                    0 => json!({"type": "image_url", "image_url": {"url": "https://example.com/ä?a=\"b\""}}),
                    1 => json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}}),
                    _ => {
                        json!({"type": "file", "file": {"filename": "é.pdf", "file_data": format!("data:application/pdf;base64,{PDF}")}})
                    }
                };
                messages.push(json!({"role": "user", "content": [shown, {"type": "text", "text": text}]}));
            }
            Said::Assistant(texts) => {
                messages.push(json!({"role": "assistant", "content": plain_or_parts(texts)}));
            }
            Said::Calls(texts, calls, after) => {
                let content = if texts.is_empty() { Value::Null } else { plain_or_parts(texts) };
                let first = number;
                let tool_calls: Value = calls
                    .iter()
                    .map(|(arguments, ..)| {
                        number += 1;
                        json!({"id": format!("call_{number}"), "type": "function", "function": {"name": "f", "arguments": arguments}})
                    })
                    .collect();
                messages.push(json!({"role": "assistant", "content": content, "tool_calls": tool_calls}));
                for (index, (_, texts, is_error)) in calls.iter().enumerate() {
                    let mut texts = texts.clone();
                    texts[0].insert_str(0, if *is_error { "[tool error]\n" } else { "" });
                    let content = plain_or_parts(&texts);
                    messages.push(json!({"role": "tool", "tool_call_id": format!("call_{}", first + index + 1), "content": content}));
                }
                if let Some(after) = after {
                    messages.push(json!({"role": "user", "content": plain_or_parts(after)}));
                }
            }
        }
    }
    messages
}

fn in_messages(turns: &[Said]) -> Vec<Value> {
    let mut messages = Vec::new();
    let mut number = 0;
    for turn in turns {
        match turn {
            Said::User(texts) => {
                messages.push(json!({"role": "user", "content": plain_or_parts(texts)}));
            }
            Said::Shown(text, kind) => {
                let base64 = |media_type, data| json!({"type": "base64", "media_type": media_type, "data": data});
                let shown = match kind {
                    0 => json!({"type": "image", "source": {"type": "url", "url": "https://example.com/ä?a=\"b\""}}),
                    1 => json!({"type": "image", "source": base64("image/png", PNG)}),
                    _ => json!({"type": "document", "title": "é.pdf", "source": base64("application/pdf", PDF)}),
                };
                messages.push(json!({"role": "user", "content": [shown, {"type": "text", "text": text}]}));
            }
            Said::Assistant(texts) => {
                messages.push(json!({"role": "assistant", "content": plain_or_parts(texts)}));
            }
            Said::Calls(texts, calls, after) => {
                let mut content: Vec<Value> = texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
                let mut results = Vec::new();
                for (_, texts, is_error) in calls {
                    number += 1;
                    let id = format!("call_{number}");
                    content.push(
                        json!({"type": "tool_use", "id": id, "name": "f", "input": {"n": number, "é": [null, 0.5]}}),
                    );
                    let result = json!({"type": "tool_result", "tool_use_id": id, "content": plain_or_parts(texts)});
                    results.push(if *is_error { with(&result, &json!({"is_error": true})) } else { result });
                }
                messages.push(json!({"role": "assistant", "content": content}));
                results.extend(after.iter().flatten().map(|text| json!({"type": "text", "text": text})));
                messages.push(json!({"role": "user", "content": results}));
            }
        }
    }
    messages
}

/// Settings that both wires have: index 0 in chat completions' words, 1 in messages'.
fn settings() -> impl Strategy<Value = [Value; 2]> {
    let flag = any::<bool>;
    let choice = (0..4_usize, flag());
    (1..100_000_u32, option::of(0..=100_u32), vec(text(), 0..4), schema(), choice, flag(), flag(), 0..4_usize).prop_map(
        |(limit, temperature, stop, schema, (choice, one_call_only), stream, format, effort)| {
            let mut chat = json!({"model": "m", "max_tokens": limit});
            let mut messages = chat.clone();
            if let Some(temperature) = temperature {
                chat["temperature"] = json!(f64::from(temperature) / 100.0);
                messages["temperature"] = chat["temperature"].clone();
            }
            if !stop.is_empty() {
                chat["stop"] = json!(stop);
                messages["stop_sequences"] = json!(stop);
            }
            if stream {
                chat["stream"] = json!(true);
                chat["stream_options"] = json!({"include_usage": true});
                messages["stream"] = json!(true);
            }
            if effort > 0 {
                let name = ["low", "high", "max"][effort - 1];
                chat["reasoning_effort"] = json!(name);
                messages["thinking"] = json!({"type": "adaptive"});
                messages["output_config"] = json!({"effort": name});
            }
            if format {
                chat["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "output", "strict": true, "schema": schema}});
                messages["output_config"]["format"] = json!({"type": "json_schema", "schema": schema});
            }
            chat["tools"] = json!([
                {"type": "function", "function": {"name": "f", "parameters": schema}},
                {"type": "function", "function": {"name": "g", "description": "é\n", "parameters": schema, "strict": true}}
            ]);
            messages["tools"] = json!([{"name": "f", "input_schema": schema}, {"name": "g", "description": "é\n", "input_schema": schema, "strict": true}]);
            match choice {
                0 => {}
                1 => chat["tool_choice"] = json!("none"),
                2 => chat["tool_choice"] = json!("required"),
                _ => chat["tool_choice"] = json!({"type": "function", "function": {"name": "g"}}),
            }
            let one_call_only = one_call_only && choice != 1;
            let mut wanted = [json!({"type": "auto"}), json!({"type": "none"}), json!({"type": "any"}), json!({"type": "tool", "name": "g"})];
            if one_call_only {
                chat["parallel_tool_calls"] = json!(false);
                wanted[choice]["disable_parallel_tool_use"] = json!(true);
            }
            if choice > 0 || one_call_only {
                messages["tool_choice"] = wanted[choice].clone();
            }
            [chat, messages]
        },
    )
}

/// `request`, there and back again.
fn there_and_back(from: Wire, to: Wire, request: &Value) -> Value {
    let there = translate_request(from, to, request.to_string().as_bytes(), &LOOSE);
    let there = there.unwrap_or_else(|obstacle| panic!("{obstacle:?} on the way of {request}"));
    let back = translate_request(to, from, &there.body, &LOOSE);
    let back = back.unwrap_or_else(|obstacle| panic!("{obstacle:?} on the way back of {request}"));
    assert!(there.dropped.is_empty() && back.dropped.is_empty());
    serde_json::from_slice(&back.body).expect("what comes out is JSON")
}

/// Any JSON value; texts and keys are often those that requests have.
fn any_value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        select(vec![
            "text",
            "user",
            "tool",
            "assistant",
            "system",
            "content",
            "type",
            "role",
            "id",
            "tool_calls",
            "function",
            "name",
            "arguments",
            "tool_use",
            "tool_result",
            "input",
            "image_url",
            "url",
            "source",
            "{}",
            "[tool error]\n",
            "auto",
        ])
        .prop_map(str::to_owned),
        text(),
        Just(String::new()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((word.clone(), inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The places of all values in `value`, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, entry)| places(entry, &format!("{at}/{index}"), found))
        }
        Value::Object(map) => map.iter().for_each(|(key, entry)| places(entry, &format!("{at}/{key}"), found)),
        _ => {}
    }
}

fn check_any(body: &[u8]) {
    _ = without_unsigned_thinking(body);
    for choice in 0..8 {
        dialects::request(&[&[choice], body].concat());
    }
}

proptest! {
    #[test]
    fn chat_completions_there_and_back([settings, _] in settings(), system in vec(text(), 0..3), turns in conversation()) {
        let system = (!system.is_empty()).then(|| json!({"role": "system", "content": plain_or_parts(&system)}));
        let said: Vec<Value> = system.into_iter().chain(in_chat(&turns)).collect();
        let request = with(&settings, &json!({"messages": said}));
        prop_assert_eq!(there_and_back(Chat, Messages, &request), request);
    }

    #[test]
    fn messages_there_and_back([_, settings] in settings(), system in vec(text(), 0..3), turns in conversation()) {
        let mut request = with(&settings, &json!({"messages": in_messages(&turns)}));
        if !system.is_empty() {
            request["system"] = plain_or_parts(&system);
        }
        prop_assert_eq!(there_and_back(Messages, Chat, &request), request);
    }

    /// The same conversation, written by two hands.
    #[test]
    fn both_wires_say_the_same([chat, messages] in settings(), turns in conversation()) {
        let turns: Vec<Said> = turns.into_iter().filter(|turn| !matches!(turn, Said::Calls(..))).collect();
        let turns = if matches!(turns.last(), Some(Said::User(..))) { turns } else { vec![Said::User(vec!["Hi".to_owned()])] };
        let chat = with(&chat, &json!({"messages": in_chat(&turns)}));
        let messages = with(&messages, &json!({"messages": in_messages(&turns)}));
        prop_assert_eq!(&crate::body(&crate::translated(Chat, Messages, &chat)), &messages);
        prop_assert_eq!(&crate::body(&crate::translated(Messages, Chat, &messages)), &chat);
    }

    #[test]
    fn arguments_survive_byte_for_byte(arguments in arguments()) {
        let call = format!(r#"[{{"role":"user","content":"Hi"}},{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"f","input":{arguments}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":"x"}}]}}]"#);
        let body = format!(r#"{{"model":"m","max_tokens":5,"messages":{call}}}"#);
        let there = translate_request(Messages, Chat, body.as_bytes(), &LOOSE).unwrap();
        let said: Value = serde_json::from_slice(&there.body).unwrap();
        prop_assert_eq!(&said["messages"][1]["tool_calls"][0]["function"]["arguments"], &json!(arguments));
        let back = translate_request(Chat, Messages, &there.body, &LOOSE).unwrap();
        prop_assert_eq!(std::str::from_utf8(&back.body).unwrap(), body);
    }

    /// Blocks are text (0), unsigned (1) and signed (2) thinking.
    #[test]
    fn unsigned_thinking_is_cut_and_nothing_else(messages in vec(vec(0..3_usize, 0..6), 0..6)) {
        let blocks = [
            json!({"type": "text", "text": ",\"signature\":\"\""}),
            json!({"type": "thinking", "thinking": "é]", "signature": ""}),
            json!({"type": "thinking", "thinking": "", "signature": "s"}),
        ];
        let request = |messages: &[Vec<usize>]| {
            let content = |kinds: &Vec<usize>| kinds.iter().map(|kind| blocks[*kind].clone()).collect::<Value>();
            let said: Value = messages.iter().map(|kinds| json!({"role": "assistant", "content": content(kinds)})).collect();
            json!({"messages": said, "model": "m"}).to_string()
        };
        let signed = |kinds: &Vec<usize>| kinds.iter().copied().filter(|kind| *kind != 1).collect::<Vec<_>>();
        let is_kept = |kinds: &&Vec<usize>| kinds.is_empty() || !signed(kinds).is_empty();
        let kept: Vec<_> = messages.iter().filter(is_kept).map(signed).collect();
        let expected = messages.iter().flatten().any(|kind| *kind == 1).then(|| request(&kept));
        let found = without_unsigned_thinking(request(&messages).as_bytes());
        prop_assert_eq!(found.map(|found| String::from_utf8(found).unwrap()), expected);
    }

    #[test]
    fn any_json_is_refused_or_translated(value in any_value()) {
        check_any(value.to_string().as_bytes());
        check_any(with(&chat(), &json!({"messages": value, "input": value})).to_string().as_bytes());
    }

    #[test]
    fn any_change_to_a_request_is_refused_or_translated(
        [chat_settings, messages_settings] in settings(),
        turns in conversation(),
        which in any::<proptest::sample::Index>(),
        value in option::weighted(0.8, any_value()),
        cut in option::weighted(0.1, any::<proptest::sample::Index>()),
    ) {
        let all = [
            with(&chat_settings, &json!({"messages": in_chat(&turns)})),
            with(&messages_settings, &json!({"messages": in_messages(&turns)})),
            with(&responses(), &json!({"input": in_chat(&turns), "tools": messages()["messages"]})),
        ];
        for mut request in all {
            let mut found = Vec::new();
            places(&request, "", &mut found);
            let place = which.get(&found).clone();
            match (&value, place.rsplit_once('/')) {
                (Some(value), _) => *request.pointer_mut(&place).unwrap() = value.clone(),
                (None, Some((parent, key))) => match request.pointer_mut(parent).unwrap() {
                    Value::Object(map) => _ = map.remove(key),
                    Value::Array(list) => _ = list.remove(key.parse().unwrap()),
                    _ => {}
                },
                (None, None) => {}
            }
            let mut body = request.to_string().into_bytes();
            if let Some(cut) = cut {
                body.truncate(cut.index(body.len()));
            }
            check_any(&body);
        }
    }
}
