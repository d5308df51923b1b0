//! What answers, streams and requests say, in words that no wire format owns: the same from all three.

use tradewind_core::{AnswerView, Delta, Finish, Probabilities, RequestView, ToolCallView, ToolView};
use tradewind_dialects::Wire::{Chat, Messages, Responses};
use tradewind_dialects::{StreamView, Wire, view_answer, view_request};

fn answer(wire: Wire, body: &str) -> AnswerView<'_> {
    view_answer(wire, body.as_bytes()).expect("an answer")
}

#[test]
fn the_same_answer_in_each_format() {
    let expected = AnswerView {
        finish: Some(Finish::ToolCalls),
        text: "Let me look, \"Ada\".".into(),
        tool_calls: vec![
            ToolCallView { name: "weather".into(), arguments: r#"{"city": "Bern"}"#.into() },
            ToolCallView { name: "now".into(), arguments: "{}".into() },
        ],
        choices: 1,
        ..AnswerView::default()
    };
    let chat = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Let me look, \"Ada\".","refusal":null,
        "tool_calls":[{"id":"1","type":"function","function":{"name":"weather","arguments":"{\"city\": \"Bern\"}"}},
        {"id":"2","type":"function","function":{"name":"now","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"}]}"#;
    let messages = r#"{"id":"m","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Let me look, ",
        "citations":[{"type":"char_location"}]},{"type":"text","text":"\"Ada\"."},{"type":"server_tool_use","id":"s","name":"web_search",
        "input":{"query":"x"}},{"type":"tool_use","id":"1","name":"weather","input":{"city": "Bern"}},
        {"type":"tool_use","id":"2","name":"now","input":{}}],"stop_reason":"tool_use"}"#;
    let responses = r#"{"id":"r","status":"completed","output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"hm"}]},
        {"type":"message","content":[{"type":"output_text","text":"Let me look, ","annotations":[{}]},{"type":"output_text","text":"\"Ada\"."}]},
        {"type":"web_search_call","id":"w"},{"type":"function_call","name":"weather","arguments":"{\"city\": \"Bern\"}"},
        {"type":"function_call","name":"now","arguments":"{}"}]}"#;
    for (wire, body) in [(Chat, chat), (Messages, messages), (Responses, responses)] {
        assert_eq!(answer(wire, body), expected, "{}", wire.name());
    }
}

#[test]
fn reasons_to_stop_in_each_format() {
    let chat = |reason: &str| format!(r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":{reason}}}]}}"#);
    let messages = |reason: &str| format!(r#"{{"content":[{{"type":"text","text":"x"}}],"stop_reason":{reason}}}"#);
    let responses = |status: &str, reason: &str| {
        format!(r#"{{"status":"{status}","incomplete_details":{reason},"output":[{{"type":"message","content":[]}}]}}"#)
    };
    let long = "x".repeat(100);
    for (wire, body, finish) in [
        (Chat, chat("\"stop\""), Some(Finish::Stop)),
        (Chat, chat("\"eos\""), Some(Finish::Stop)),
        (Chat, chat("\"length\""), Some(Finish::Length)),
        (Chat, chat("\"content_filter\""), Some(Finish::ContentFilter)),
        (Chat, chat("\"insufficient_system_resource\""), Some(Finish::Other("insufficient_system_resource".into()))),
        (Chat, chat("null"), None),
        (Chat, chat(&format!("\"{long}\"")), Some(Finish::Other(long[..Finish::LONGEST].into()))),
        (Messages, messages("\"end_turn\""), Some(Finish::Stop)),
        (Messages, messages("\"stop_sequence\""), Some(Finish::Stop)),
        (Messages, messages("\"max_tokens\""), Some(Finish::Length)),
        (Messages, messages("\"model_context_window_exceeded\""), Some(Finish::Length)),
        (Messages, messages("\"refusal\""), Some(Finish::ContentFilter)),
        (Messages, messages("\"pause_turn\""), Some(Finish::Other("pause_turn".into()))),
        (Messages, messages("null"), None),
        (Responses, responses("completed", "null"), Some(Finish::Stop)),
        (Responses, responses("incomplete", r#"{"reason":"max_output_tokens"}"#), Some(Finish::Length)),
        (Responses, responses("incomplete", r#"{"reason":"content_filter"}"#), Some(Finish::ContentFilter)),
        (Responses, responses("incomplete", r#"{"reason":"tired"}"#), Some(Finish::Other("tired".into()))),
        (Responses, responses("cancelled", "null"), Some(Finish::Other("cancelled".into()))),
    ] {
        assert_eq!(answer(wire, &body).finish, finish, "{body}");
    }
}

#[test]
fn refusals_in_each_format() {
    for (wire, body) in [
        (Chat, r#"{"choices":[{"message":{"content":null,"refusal":"I cannot."},"finish_reason":"stop"}]}"#),
        (
            Messages,
            r#"{"content":[],"stop_reason":"refusal","stop_details":{"type":"refusal","explanation":"I cannot."}}"#,
        ),
        (
            Responses,
            r#"{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"I cannot."}]}]}"#,
        ),
    ] {
        let view = answer(wire, body);
        assert_eq!((&*view.refusal, &*view.text), ("I cannot.", ""), "{}", wire.name());
    }
}

#[test]
fn probabilities_where_there_are_any() {
    for (wire, body, tokens) in [
        (
            Chat,
            r#"{"choices":[{"message":{"content":"ab"},"logprobs":{"content":[{"token":"a","logprob":0},{"token":"b","logprob":-0.6931471805599453,"top_logprobs":[]}],"refusal":null},"finish_reason":"stop"}]}"#,
            2,
        ),
        (Chat, r#"{"choices":[{"message":{"content":"ab"},"logprobs":{"content":null},"finish_reason":"stop"}]}"#, 0),
        (Chat, r#"{"choices":[{"message":{"content":"ab"},"logprobs":[7],"finish_reason":"stop"}]}"#, 0),
        (
            Responses,
            r#"{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"ab","logprobs":[{"logprob":0},{"logprob":-0.6931471805599453}]}]}]}"#,
            2,
        ),
        (Messages, r#"{"content":[{"type":"text","text":"ab"}],"stop_reason":"end_turn"}"#, 0),
    ] {
        let Probabilities { sum, tokens: counted } = answer(wire, body).probabilities;
        assert_eq!(counted, tokens, "{body}");
        assert!((sum - if tokens == 2 { 1.5 } else { 0.0 }).abs() < 1e-9, "{sum}");
    }
}

#[test]
fn choices_are_counted_and_the_first_is_read() {
    let two = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},{"message":{"content":"b"},"finish_reason":"length"}]}"#;
    let view = answer(Chat, two);
    assert_eq!((view.choices, &*view.text, view.finish), (2, "a", Some(Finish::Stop)));
    assert_eq!(answer(Chat, r#"{"choices":[]}"#), AnswerView::default());
}

#[test]
fn what_is_no_answer_is_an_error() {
    let calls = r#"{"type":"tool_use","name":"f","input":{}},"#.repeat(1025);
    let many = format!(r#"{{"content":[{}]}}"#, calls.trim_end_matches(','));
    for (wire, body) in
        [(Chat, "{"), (Chat, "7"), (Messages, "\"SECRET\""), (Responses, r#"{"output":"SECRET"}"#), (Messages, &many)]
    {
        let error = view_answer(wire, body.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("SECRET"), "{error}");
    }
}

/// What a stream adds up to.
fn streamed(wire: Wire, events: &[&str]) -> AnswerView<'static> {
    let mut stream = StreamView::new(wire);
    let mut view = AnswerView { choices: 1, ..AnswerView::default() };
    for event in events {
        let mut tell = |delta: Delta<'_>| match delta {
            Delta::Text(piece) => view.text.to_mut().push_str(piece),
            Delta::Refusal(piece) => view.refusal.to_mut().push_str(piece),
            Delta::ToolCall { call, name } => {
                view.tool_calls.resize(
                    view.tool_calls.len().max(call + 1),
                    ToolCallView { name: "".into(), arguments: "".into() },
                );
                view.tool_calls[call].name.to_mut().push_str(name);
            }
            Delta::Arguments { call, piece } => view.tool_calls[call].arguments.to_mut().push_str(piece),
            Delta::Probabilities(more) => view.probabilities.merge(more),
            Delta::Finish(finish) => view.finish = Some(finish.into_owned()),
        };
        stream.event(event.as_bytes(), &mut tell).expect("a good event");
    }
    view
}

#[test]
fn the_same_stream_in_each_format() {
    let expected = AnswerView {
        finish: Some(Finish::ToolCalls),
        text: "Let me look.".into(),
        tool_calls: vec![
            ToolCallView { name: "weather".into(), arguments: r#"{"city":"Bern"}"#.into() },
            ToolCallView { name: "time".into(), arguments: r#"{"zone":1}"#.into() },
        ],
        choices: 1,
        ..AnswerView::default()
    };
    let chat = [
        r#"{"choices":[],"prompt_filter_results":[]}"#,
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"Let me "},"logprobs":null}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"another choice"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"look.","annotations":[{}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"weather","arguments":"{\"city\""}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":\"Bern\"}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"time","arguments":"{\"zone\":1}"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        "[DONE]",
    ];
    let messages = [
        r#"{"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"Let "}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"me look."}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{}}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"query\":1}"}}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"a","name":"weather","input":{}}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"city\""}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":":\"Bern\"}"}}"#,
        r#"{"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"b","name":"time","input":{"zone":1}}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let responses = [
        r#"{"type":"response.created","response":{"id":"r","status":"in_progress","output":[]}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","content":[]}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"delta":"Let me ","logprobs":[]}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"delta":"look."}"#,
        r#"{"type":"response.output_text.done","output_index":0,"text":"Let me look."}"#,
        r#"{"type":"response.reasoning_summary_text.delta","output_index":1,"delta":"hm"}"#,
        r#"{"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","name":"weather","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"city\""}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":2,"delta":":\"Bern\"}"}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":2,"arguments":"{\"city\":\"Bern\"}"}"#,
        r#"{"type":"response.output_item.added","output_index":3,"item":{"type":"function_call","name":"time","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":3,"arguments":"{\"zone\":1}"}"#,
        r#"{"type":"response.completed","response":{"status":"completed","output":[]}}"#,
    ];
    for (wire, events) in [(Chat, &chat[..]), (Messages, &messages), (Responses, &responses)] {
        assert_eq!(streamed(wire, events), expected, "{}", wire.name());
    }
}

#[test]
fn refusals_and_probabilities_in_streams() {
    let chat = streamed(
        Chat,
        &[
            r#"{"choices":[{"index":0,"delta":{"refusal":"No."},"logprobs":{"refusal":[{"logprob":0}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[{"logprob":0},{"logprob":0}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#,
        ],
    );
    assert_eq!((&*chat.refusal, chat.probabilities.tokens, chat.finish), ("No.", 3, Some(Finish::ContentFilter)));
    let messages = streamed(
        Messages,
        &[r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"explanation":"No."}}}"#],
    );
    assert_eq!((&*messages.refusal, messages.finish), ("No.", Some(Finish::ContentFilter)));
    let responses = streamed(
        Responses,
        &[
            r#"{"type":"response.refusal.delta","delta":"No."}"#,
            r#"{"type":"response.output_text.delta","delta":"x","logprobs":[{"logprob":-1}]}"#,
            r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
        ],
    );
    assert_eq!(
        (&*responses.refusal, responses.probabilities.tokens, responses.finish),
        ("No.", 1, Some(Finish::Length))
    );
}

#[test]
fn a_bad_event_is_an_error_and_the_stream_goes_on() {
    for wire in [Chat, Messages, Responses] {
        let mut stream = StreamView::new(wire);
        let mut nothing = |delta: Delta<'_>| panic!("{delta:?}");
        for event in ["{", "7", "\"x\"", "\u{0}"] {
            assert!(stream.event(event.as_bytes(), &mut nothing).is_err());
        }
        for event in ["{}", r#"{"type":"new.kind","delta":7}"#] {
            assert_eq!(
                stream.event(event.as_bytes(), &mut nothing).is_ok(),
                wire != Messages || event == "{}",
                "{event}"
            );
        }
    }
    let mut stream = StreamView::new(Responses);
    let begins = |index: usize| {
        format!(
            r#"{{"type":"response.output_item.added","output_index":{index},"item":{{"type":"function_call","name":"f"}}}}"#
        )
    };
    for index in 0..1024 {
        stream.event(begins(index).as_bytes(), &mut |_| ()).unwrap();
    }
    assert!(stream.event(begins(1024).as_bytes(), &mut |_| ()).is_err());
}

fn request(wire: Wire, body: &str) -> RequestView<'_> {
    view_request(wire, body.as_bytes()).expect("a request")
}

#[test]
fn the_same_request_in_each_format() {
    let schema = r#"{"type":"object","properties":{"a":{"type":"number"}}}"#;
    let expected = RequestView {
        question: "How warm\nis it?".into(),
        context: vec!["Be brief.".into(), "Hello".into()],
        tools: vec![
            ToolView { name: "weather".into(), parameters: Some(schema.into()) },
            ToolView { name: "now".into(), parameters: None },
        ],
        has_other_tools: false,
        schema: Some(schema.into()),
        json_object: false,
    };
    let chat = format!(
        r#"{{"model":"m","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"Hello"}},
        {{"role":"assistant","content":"Hi","tool_calls":[]}},{{"role":"user","content":[{{"type":"text","text":"How warm"}},
        {{"type":"image_url","image_url":{{"url":"x"}}}},{{"type":"text","text":"is it?"}}]}},
        {{"role":"tool","tool_call_id":"1","content":"7"}}],
        "tools":[{{"type":"function","function":{{"name":"weather","parameters":{schema}}}}},{{"type":"function","function":{{"name":"now"}}}}],
        "response_format":{{"type":"json_schema","json_schema":{{"name":"n","schema":{schema}}}}}}}"#
    );
    let messages = format!(
        r#"{{"model":"m","system":[{{"type":"text","text":"Be brief."}}],"messages":[{{"role":"user","content":"Hello"}},
        {{"role":"assistant","content":"Hi"}},{{"role":"user","content":[{{"type":"text","text":"How warm"}},{{"type":"text","text":"is it?"}}]}},
        {{"role":"assistant","content":[{{"type":"tool_use","id":"1","name":"now","input":{{}}}}]}},
        {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"1","content":"7"}}]}}],
        "tools":[{{"name":"weather","input_schema":{schema}}},{{"type":"custom","name":"now"}}],
        "output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}}}"#
    );
    let responses = format!(
        r#"{{"model":"m","instructions":"Be brief.","input":[{{"role":"user","content":"Hello"}},
        {{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"Hi"}}]}},
        {{"type":"message","role":"user","content":[{{"type":"input_text","text":"How warm"}},{{"type":"input_text","text":"is it?"}}]}},
        {{"type":"function_call","name":"now","arguments":"{{}}","call_id":"1"}},{{"type":"function_call_output","call_id":"1","output":"7"}}],
        "tools":[{{"type":"function","name":"weather","parameters":{schema}}},{{"type":"function","name":"now","parameters":null}}],
        "text":{{"format":{{"type":"json_schema","name":"n","schema":{schema}}}}}}}"#
    );
    for (wire, body) in [(Chat, chat), (Messages, messages), (Responses, responses)] {
        assert_eq!(request(wire, &body), expected, "{}", wire.name());
    }
}

#[test]
fn other_ways_to_ask() {
    let view = request(
        Responses,
        r#"{"input":"What?","text":{"format":{"type":"json_object"}},"tools":[{"type":"web_search"}]}"#,
    );
    assert!(view.question == "What?" && view.json_object && view.has_other_tools && view.tools.is_empty());
    let view = request(
        Messages,
        r#"{"messages":[],"output_format":{"type":"json_schema","schema":{}},"tools":[{"type":"bash_20250124","name":"bash"}]}"#,
    );
    assert_eq!((view.schema.as_deref(), view.has_other_tools, &*view.tools[0].name), (Some("{}"), true, "bash"));
    let view = request(
        Chat,
        r#"{"messages":[],"functions":[{"name":"f","parameters":{}}],"response_format":{"type":"json_object"}}"#,
    );
    assert!(view.json_object && view.tools[0].parameters.as_deref() == Some("{}"));
    assert_eq!(request(Chat, "{}"), RequestView::default());
}

#[test]
fn the_context_is_bounded() {
    let turns: Vec<String> = (0..200).map(|n| format!(r#"{{"role":"user","content":"{n}"}}"#)).collect();
    let body = format!(r#"{{"messages":[{{"role":"system","content":"Be brief."}},{}]}}"#, turns.join(","));
    let view = request(Chat, &body);
    assert_eq!(
        (view.context.len(), &*view.context[0], &*view.context[63], &*view.question),
        (64, "Be brief.", "198", "199")
    );
}

#[test]
fn what_is_no_request_is_an_error() {
    for (wire, body) in [
        (Chat, "["),
        (Chat, r#"{"messages":"SECRET"}"#),
        (Chat, r#"{"messages":[{"role":"user","content":7}]}"#),
        (Responses, r#"{"tools":"SECRET"}"#),
        (Messages, r#"{"system":{"SECRET":1}}"#),
        (Messages, r#"{"tools":[{"name":"f","input_schema":"SECRET"}]}"#),
    ] {
        let obstacle = view_request(wire, body.as_bytes()).unwrap_err();
        assert!(!format!("{obstacle:?}").contains("SECRET"), "{obstacle:?}");
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            json in "[\\[\\]{}:,\"a-z0-9 \\\\.]{0,80}",
            fields in proptest::sample::subsequence(vec![
                r#""choices":[{"message":{"content":[{"type":"text","text":"a"}]},"logprobs":{"content":[{"logprob":1e999}]}}]"#,
                r#""content":[{"type":"tool_use"},{"type":"text"}]"#, r#""output":[{"type":"message","content":[7]}]"#,
                r#""delta":{"type":"input_json_delta","partial_json":"x"}"#, r#""index":5"#, r#""type":"content_block_delta""#,
                r#""messages":[{"role":"user"}]"#, r#""tools":[{"type":"function"}]"#, r#""response_format":{"type":"json_schema"}"#,
                r#""input":[]"#, r#""text":{"format":{}}"#,
            ], 0..6),
        ) {
            let object = format!("{{{}}}", fields.join(","));
            for body in [&bytes[..], json.as_bytes(), object.as_bytes()] {
                for wire in [Chat, Messages, Responses] {
                    let _ = view_answer(wire, body);
                    let _ = view_request(wire, body);
                    let _ = StreamView::new(wire).event(body, &mut |_| ());
                }
            }
        }

        #[test]
        fn a_stream_says_what_the_whole_answer_says(text in "\\PC{0,40}", calls in proptest::collection::vec(("[a-z]{1,6}", "\\PC{0,20}"), 0..4), cut in any::<usize>()) {
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            let whole_calls: Vec<String> = calls.iter().map(|(name, arguments)| {
                format!(r#"{{"function":{{"name":"{name}","arguments":{}}}}}"#, quoted(arguments))
            }).collect();
            let body = format!(
                r#"{{"choices":[{{"message":{{"content":{},"tool_calls":[{}]}},"finish_reason":"stop"}}]}}"#,
                quoted(&text), whole_calls.join(",")
            );
            let at = text.floor_char_boundary(cut % (text.len() + 1));
            let mut events: Vec<String> =
                [&text[..at], &text[at..]].iter().map(|piece| format!(r#"{{"choices":[{{"delta":{{"content":{}}}}}]}}"#, quoted(piece))).collect();
            for (index, (name, arguments)) in calls.iter().enumerate() {
                events.push(format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":{index},"id":"{index}","function":{{"name":"{name}"}}}}]}}}}]}}"#));
                events.push(format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":{index},"function":{{"arguments":{}}}}}]}}}}]}}"#, quoted(arguments)));
            }
            events.push(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#.to_owned());
            let events: Vec<&str> = events.iter().map(String::as_str).collect();
            prop_assert_eq!(streamed(Chat, &events), answer(Chat, &body));
        }
    }
}
