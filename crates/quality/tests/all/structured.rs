//! Structured output and tool calls.

use tradewind_core::{AnswerView, RequestView, ToolCallView, ToolView};
use tradewind_quality::Gate;

use crate::{gates, judge, said};

const WEATHER: &str = r#"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","maximum":7}},
    "required":["city"],"additionalProperties":false}"#;

#[test]
fn structured_output_follows_its_schema() {
    let settings = r#"{"json-schema":true}"#;
    let request = || RequestView { schema: Some(WEATHER.into()), ..RequestView::default() };
    for (text, why) in [
        (r#"{"city":"Zürich","days":3}"#, None),
        ("\n {\"city\":\"東京\"} \n", None),
        (r#"{"days":3}"#, Some("json-schema: /required of the schema is not met")),
        (r#"{"city":"Rom","days":8}"#, Some("json-schema: /properties/days/maximum of the schema is not met")),
        (r#"{"city":"Rom","top-secret":8}"#, Some("json-schema: /additionalProperties of the schema is not met")),
        (r#"{"city":"Rom"} and more"#, Some("json-schema: is not JSON at line 1 column 16")),
        (r#"{"city":"Ro"#, Some("json-schema: is cut off in the middle of its JSON")),
        ("It is sunny in Rome.", Some("json-schema: is not JSON at line 1 column 1")),
        ("```json\n{\"city\":\"Rom\"}\n```", Some("json-schema: is not JSON at line 1 column 1")),
    ] {
        let verdict = judge(settings, request(), &said(text));
        assert_eq!(verdict.failures.first().map(ToString::to_string).as_deref(), why, "{text}");
    }
    for fine in [
        AnswerView { refusal: "I cannot".into(), ..said("") },
        AnswerView { tool_calls: vec![ToolCallView { name: "f".into(), arguments: "".into() }], ..said("\n") },
    ] {
        assert!(judge(settings, request(), &fine).passed());
    }
}

#[test]
fn an_object_of_any_shape() {
    let request = || RequestView { json_object: true, ..RequestView::default() };
    for (text, should_fail) in
        [("{}", false), (r#"{"a":[1]}"#, false), ("[]", true), ("7", true), ("", true), ("{'a':1}", true)]
    {
        assert_eq!(!judge(r#"{"json-schema":true}"#, request(), &said(text)).passed(), should_fail, "{text}");
    }
    assert!(judge(r#"{"empty":true}"#, request(), &said("7")).passed());
}

#[test]
fn schemas_that_are_not_used_fail_nothing() {
    for schema in ["{", r#"{"$ref":"https://example.com/schema"}"#, r#"{"type":"strange"}"#] {
        let request = RequestView { schema: Some(schema.into()), ..RequestView::default() };
        let verdict = judge(r#"{"json-schema":true}"#, request, &said("{}"));
        assert!(verdict.passed() && verdict.notes[0].gate == Gate::JsonSchema, "{schema}");
    }
}

#[test]
fn tool_calls_can_be_carried_out() {
    let tools = || {
        vec![
            ToolView { name: "weather".into(), parameters: Some(WEATHER.into()) },
            ToolView { name: "now".into(), parameters: None },
            ToolView { name: "odd".into(), parameters: Some(r#"{"$ref":"elsewhere.json"}"#.into()) },
        ]
    };
    for (calls, other_tools, why, note) in [
        (&[("weather", r#"{"city":"Bern"}"#), ("now", "")][..], false, None, None),
        (&[("now", "{}")], false, None, None),
        (&[("now", r#"{"what":"ever"}"#)], false, None, None),
        (&[("weather", "")], false, Some("the arguments of call 1 of 1: /required of the schema is not met"), None),
        (
            &[("now", "{}"), ("weather", r#"{"city":7}"#)],
            false,
            Some("the arguments of call 2 of 2: /properties/city/type of the schema is not met"),
            None,
        ),
        (
            &[("weather", r#"{"city":"Be"#)],
            false,
            Some("the arguments of call 1 of 1: is cut off in the middle of its JSON"),
            None,
        ),
        (&[("weather", r#"["Bern"]"#)], false, Some("the arguments of call 1 of 1: is not an object"), None),
        (
            &[("weather", "city=Bern")],
            false,
            Some("the arguments of call 1 of 1: is not JSON at line 1 column 1"),
            None,
        ),
        (&[("wether", r#"{"city":"Bern"}"#)], false, Some("call 1 of 1 names no tool of the request"), None),
        (&[("", "{}")], false, Some("call 1 of 1 names no tool of the request"), None),
        (&[("bash", "{}")], true, None, Some("a tool is called that the provider may have")),
        (&[("odd", "{}")], false, None, Some("the schema refers to another document, or not by a JSON pointer")),
    ] {
        let request = RequestView { tools: tools(), has_other_tools: other_tools, ..RequestView::default() };
        let tool_calls =
            calls.iter().map(|(name, arguments)| ToolCallView { name: (*name).into(), arguments: (*arguments).into() });
        let answer = AnswerView { tool_calls: tool_calls.collect(), ..said("") };
        let verdict = judge(r#"{"tool-arguments":true}"#, request, &answer);
        assert_eq!(verdict.failures.first().map(|failure| &*failure.why), why, "{calls:?}");
        assert_eq!(verdict.notes.first().map(|note| note.why), note, "{calls:?}");
    }
}

#[test]
fn calls_without_tools_are_noted() {
    let answer = AnswerView { tool_calls: vec![ToolCallView { name: "f".into(), arguments: "".into() }], ..said("") };
    let verdict = judge(r#"{"tool-arguments":true}"#, RequestView::default(), &answer);
    assert!(verdict.passed() && verdict.notes[0].why == "the request offers no tools");
}

#[test]
fn a_schema_that_would_take_forever_takes_no_time() {
    // Without a bound this is 2 to the power of 40 evaluations.
    let mut defs = serde_json::Map::new();
    for level in 0..40 {
        let next = format!("#/$defs/{}", level + 1);
        defs.insert(level.to_string(), serde_json::json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
    }
    defs.insert("40".to_owned(), serde_json::json!({"type": "object"}));
    let schema = serde_json::json!({"$ref": "#/$defs/0", "$defs": defs}).to_string();
    let request = RequestView { schema: Some(schema.into()), ..RequestView::default() };
    let verdict = judge(r#"{"json-schema":true}"#, request, &said("{}"));
    assert!(verdict.passed());
    assert_eq!(verdict.notes[0].why, "validating would take too much work");
}

#[test]
fn no_verdict_has_text_of_the_answer_in_it() {
    let gates =
        gates(r#"{"finish":["stop"],"json-schema":true,"tool-arguments":true,"empty":true,"length":{"max":3}}"#);
    let schema =
        r#"{"type":"object","patternProperties":{"^S":{"type":"integer"}},"additionalProperties":{"type":"integer"}}"#;
    let tools = vec![ToolView { name: "f".into(), parameters: Some(schema.into()) }];
    let expected = gates.expect(RequestView { schema: Some(schema.into()), tools, ..RequestView::default() });
    for text in [r#"{"SECRET":"SECRET"}"#, r#"{"XSECRET":"SECRET"}"#, "SECRET", r#"["SECRET"]"#] {
        for name in ["f", "SECRET"] {
            let tool_calls = vec![ToolCallView { name: name.into(), arguments: text.into() }];
            let finish = Some(tradewind_core::Finish::Other("SECRET".into()));
            let verdict = gates.judge(&expected, &AnswerView { finish, tool_calls, ..said(text) });
            assert!(!verdict.passed() && !format!("{verdict:?} {verdict}").contains("SECRET"), "{verdict}");
        }
    }
}
