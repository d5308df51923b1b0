//! Requests whose answers may be kept: what counts, what does not, and what must not be kept.

use super::*;
use crate::ScopeKind;

fn keyer() -> Keyer {
    Keyer::new([1; 16])
}

fn scope() -> Scope {
    Scope::of(ScopeKind::Key, None, Some("ci"))
}

fn read(shape: Shape, body: &str) -> Result<Keyed, NotCached> {
    let scope = scope();
    let asked = Asked { scope: &scope, shape, model: "a", variant: &[], has_effects: false, body: body.as_bytes() };
    keyer().read(&asked, true)
}

fn chat(more: &str) -> Key {
    read(Shape::Chat, &format!(r#"{{"model":"a","messages":[{{"role":"user","content":"x"}}]{more}}}"#)).unwrap().exact
}

#[test]
fn hints_do_not_count_and_all_else_does() {
    let plain = chat("");
    for hint in [
        r#","stream":true,"stream_options":{"include_usage":true}"#,
        r#","user":"u1","metadata":{"run":"7"},"safety_identifier":"s""#,
        r#","store":false,"n":1,"temperature":null,"service_tier":"flex""#,
        r#","prompt_cache_key":"k","prompt_cache_retention":"24h""#,
    ] {
        assert_eq!(chat(hint), plain, "{hint}");
    }
    let mut others = vec![plain];
    for what in ["0", "0.0", "1", "1.0"] {
        others.push(chat(&format!(r#","temperature":{what}"#)));
    }
    others.push(chat(r#","seed":1"#));
    others.push(chat(r#","max_tokens":1"#));
    others.push(chat(r#","tools":[{"type":"function","function":{"name":"f"}}]"#));
    others.push(chat(r#","some_field_of_tomorrow":true"#));
    let count = others.len();
    others.sort_unstable_by_key(|key| key.0);
    others.dedup();
    assert_eq!(others.len(), count);
}

/// An answer of the responses API repeats them.
#[test]
fn what_an_answer_repeats_counts() {
    let key = |more: &str| read(Shape::Responses, &format!(r#"{{"input":"x"{more}}}"#)).unwrap();
    let mut keys = vec![key("").exact];
    for field in ["user", "safety_identifier", "metadata", "prompt_cache_key", "service_tier", "prompt_cache_retention"]
    {
        for value in [r#""a""#, r#""b""#] {
            let read = key(&format!(r#","{field}":{value}"#));
            assert_ne!(read.question.unwrap().context, key("").question.unwrap().context, "{field}");
            keys.push(read.exact);
        }
    }
    let count = keys.len();
    keys.sort_unstable_by_key(|key| key.0);
    keys.dedup();
    assert_eq!(keys.len(), count);
    assert_eq!(key(r#","metadata":null,"store":false,"stream":true"#).exact, key("").exact);
}

#[test]
fn who_asks_whom_for_what_counts() {
    let body = br#"{"model":"x","input":"hello"}"#;
    let (one, other) = (scope(), Scope::of(ScopeKind::Key, None, None));
    let asked = Asked { scope: &one, shape: Shape::Embeddings, model: "a", variant: &[], has_effects: false, body };
    let key = |asked: &Asked<'_>| keyer().read(asked, false).unwrap().exact;
    let first = key(&asked);
    assert_eq!(first, key(&Asked { body: br#"{"input": "hello", "model": "y"}"#, ..asked }));
    for another in [
        Asked { scope: &other, ..asked },
        Asked { model: "b", ..asked },
        Asked { shape: Shape::Responses, ..asked },
        Asked { variant: &["beta"], ..asked },
        Asked { variant: &["", "beta"], ..asked },
    ] {
        assert_ne!(first, key(&another), "{another:?}");
    }
    assert_ne!(first, Keyer::new([2; 16]).read(&asked, false).unwrap().exact);
}

#[test]
fn what_must_not_be_kept_is_refused() {
    let large = format!(r#"{{"messages":"{}"}}"#, "x".repeat(LONGEST_REQUEST));
    for (shape, body, why) in [
        (Shape::Chat, r#"{"store":true}"#, NotCached::Effects),
        (Shape::Responses, r#"{"background":true}"#, NotCached::Effects),
        (Shape::Responses, r#"{"previous_response_id":"r"}"#, NotCached::KeptElsewhere),
        (Shape::Responses, r#"{"conversation":{"id":"c"}}"#, NotCached::KeptElsewhere),
        (Shape::Responses, r#"{"prompt":{"id":"p"}}"#, NotCached::KeptElsewhere),
        (Shape::Responses, r#"{"input":[{"type":"item_reference","id":"i"}]}"#, NotCached::KeptElsewhere),
        (Shape::Responses, r#"{"input":[{"type":"item\u005freference","id":"i"}]}"#, NotCached::KeptElsewhere),
        (Shape::Responses, r#"{"input":[{"id":"i"}]}"#, NotCached::KeptElsewhere),
        (Shape::Responses, r#"{"input":[{"id":"i","type":null,"role":null}]}"#, NotCached::KeptElsewhere),
        (Shape::Responses, r#"{"input":[{"role":"user","content":"x"},{"i\u0064":"i"}]}"#, NotCached::KeptElsewhere),
        (Shape::Messages, r#"{"container":"c"}"#, NotCached::KeptElsewhere),
        (Shape::Chat, r#"{"n":2}"#, NotCached::Several),
        (Shape::Completions, r#"{"best_of":3,"prompt":"x"}"#, NotCached::Several),
        (Shape::Chat, &large, NotCached::TooLarge),
        (Shape::Chat, "[]", NotCached::Unreadable),
        (Shape::Chat, "{", NotCached::Unreadable),
        (Shape::Chat, r#"{"a":"\ud800"}"#, NotCached::Unreadable),
    ] {
        assert_eq!(read(shape, body).unwrap_err(), why, "{body:.80}");
    }
    let scope = scope();
    let asked = Asked { scope: &scope, shape: Shape::Chat, model: "a", variant: &[], has_effects: true, body: b"{}" };
    assert_eq!(keyer().read(&asked, false).unwrap_err(), NotCached::Effects);
    assert!(read(Shape::Responses, r#"{"input":"x"}"#).is_ok(), "what a provider stores by default is no wish");
    assert!(read(Shape::Completions, r#"{"prompt":"x","n":1,"best_of":null}"#).is_ok());
}

#[test]
fn the_question_is_the_last_message_of_a_user() {
    for (shape, body, text) in [
        (Shape::Chat, r#"{"messages":[{"role":"user","content":" hi "}]}"#, Some("hi")),
        (Shape::Messages, r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#, Some("hi")),
        (Shape::Responses, r#"{"input":"hi"}"#, Some("hi")),
        (
            Shape::Responses,
            r#"{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}]}"#,
            Some("hi"),
        ),
        (Shape::Completions, r#"{"prompt":"hi"}"#, Some("hi")),
        (Shape::Embeddings, r#"{"input":"hi"}"#, None),
        (Shape::Chat, r#"{"messages":[{"role":"assistant","content":"hi"}]}"#, None),
        (Shape::Chat, r#"{"messages":[{"role":"user","content":"hi","name":"ann"}]}"#, None),
        (Shape::Chat, r#"{"messages":[{"role":"user","content":"  "}]}"#, None),
        (Shape::Chat, r#"{"messages":[]}"#, None),
        (Shape::Chat, r#"{}"#, None),
        (
            Shape::Chat,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
            None,
        ),
        (
            Shape::Chat,
            r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
            None,
        ),
        (
            Shape::Messages,
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]}"#,
            None,
        ),
    ] {
        assert_eq!(read(shape, body).unwrap().question.map(|question| question.text).as_deref(), text, "{body}");
    }
    let long = format!(r#"{{"prompt":"{}"}}"#, "é".repeat(LONGEST_QUESTION));
    assert!(read(Shape::Completions, &long).unwrap().question.is_some());
    assert!(read(Shape::Completions, &long.replacen('é', "éé", 1)).unwrap().question.is_none());
}

#[test]
fn questions_are_compared_in_the_same_context_only() {
    let context = |before: &str, question: &str, more: &str| {
        let body = format!(r#"{{"messages":[{before}{{"role":"user","content":"{question}"}}],"model":"m"{more}}}"#);
        read(Shape::Chat, &body).unwrap().question.unwrap().context
    };
    let system = r#"{"role":"system","content":"be short"},"#;
    let plain = context(system, "one", "");
    assert_eq!(plain, context(system, "another", r#","user":"u""#));
    assert_ne!(plain, context("", "one", ""));
    assert_ne!(plain, context(&system.replace("short", "long"), "one", ""));
    assert_ne!(plain, context(system, "one", r#","temperature":1"#));
    let exact = read(Shape::Completions, r#"{"prompt":"x"}"#).unwrap();
    assert_ne!(exact.exact, exact.question.unwrap().context);
}
