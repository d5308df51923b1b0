//! The gates that look at one fact: finish, empty, length, confidence.

use tradewind_core::{AnswerView, Finish, Probabilities, RequestView, ToolCallView};
use tradewind_quality::Gate;

use crate::{failed, fails, judge, said};

fn call() -> ToolCallView<'static> {
    ToolCallView { name: "f".into(), arguments: "{}".into() }
}

#[test]
fn only_reasons_that_are_named_are_fine() {
    let settings = r#"{"finish":["stop","tool-calls"]}"#;
    for (finish, why) in [
        (Some(Finish::Stop), None),
        (Some(Finish::ToolCalls), None),
        (Some(Finish::Length), Some("finish: the answer stopped because of `length`")),
        (Some(Finish::ContentFilter), Some("finish: the answer stopped because of `content-filter`")),
        (Some(Finish::Other("pause_turn".into())), Some("finish: the answer stopped for a reason that is not known")),
        (None, Some("finish: the answer does not say why it stopped")),
    ] {
        let answer = AnswerView { finish, ..said("x") };
        let verdict = judge(settings, RequestView::default(), &answer);
        assert_eq!(verdict.failures.first().map(ToString::to_string).as_deref(), why);
    }
}

#[test]
fn answers_with_nothing_in_them() {
    for (text, is_empty) in [
        ("", true),
        (" \n\t\r ", true),
        ("\u{200b}\u{feff}\u{2060}\u{200d}", true),
        ("\u{3000}\u{a0}\u{2003}", true),
        ("...", true),
        ("…\n\n—", true),
        ("。！？、", true),
        ("\u{3164}", true),
        ("\u{2800}", true),
        ("\"\"", true),
        ("- \n- \n", true),
        ("```\n```", false),
        ("\u{fffd}", true),
        ("\0\u{7}", true),
        ("a", false),
        ("7", false),
        ("是", false),
        ("ん", false),
        ("👍", false),
        ("❤\u{fe0f}", false),
        ("≥", false),
        (">", false),
        ("+", false),
        ("€", false),
        ("ñ", false),
        (".\u{200b}x", false),
    ] {
        assert_eq!(fails(r#"{"empty":true}"#, "", text), is_empty, "{text:?}");
    }
}

#[test]
fn tools_and_refusals_are_something() {
    for answer in
        [AnswerView { tool_calls: vec![call()], ..said(" ") }, AnswerView { refusal: "no".into(), ..said("") }]
    {
        assert!(
            judge(r#"{"empty":true,"length":{"min":1}}"#, RequestView::default(), &answer).passed()
                || !answer.text.is_empty()
        );
        assert!(judge(r#"{"empty":true}"#, RequestView::default(), &answer).passed());
    }
}

#[test]
fn length_is_in_characters() {
    let settings = r#"{"length":{"min":2,"max":4}}"#;
    for (text, should_fail) in [
        ("", true),
        ("一", true),
        ("一二", false),
        ("一二三四", false),
        ("一二三四五", true),
        ("abcde", true),
        ("abcd", false),
    ] {
        assert_eq!(fails(settings, "", text), should_fail, "{text}");
    }
    let only_tools = AnswerView { tool_calls: vec![call()], ..said("") };
    assert!(judge(settings, RequestView::default(), &only_tools).passed());
    assert!(!fails(r#"{"length":{"min":0,"max":4294967295}}"#, "", "abc"));
}

#[test]
fn confidence_is_a_mean_and_needs_logprobs() {
    let settings = r#"{"confidence":true}"#;
    for (probabilities, should_fail) in
        [(&[0.9, 0.8][..], false), (&[0.75], false), (&[0.74], true), (&[1.0, 0.2], true)]
    {
        let mut answer = said("x");
        for probability in probabilities {
            answer.probabilities.add(f64::ln(*probability));
        }
        let verdict = judge(settings, RequestView::default(), &answer);
        assert_eq!(failed(&verdict), if should_fail { vec![Gate::Confidence] } else { vec![] }, "{probabilities:?}");
    }
    let verdict = judge(settings, RequestView::default(), &said("x"));
    assert!(verdict.passed());
    assert_eq!(verdict.notes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["confidence: no logprobs"]);
    let answer = AnswerView { probabilities: Probabilities { sum: 1.0, tokens: 2 }, ..said("x") };
    let verdict = judge(settings, RequestView::default(), &answer);
    assert_eq!(verdict.to_string(), "confidence: a mean probability of 0.50 over 2 tokens is less than 0.75");
}

#[test]
fn a_gate_that_is_not_named_does_not_judge() {
    let answer = AnswerView { finish: None, refusal: "I refuse".into(), ..said("") };
    let verdict = judge("{}", RequestView { json_object: true, ..RequestView::default() }, &answer);
    assert_eq!(verdict, tradewind_quality::Verdict::default());
}
