//! Streams: held, released, and judged to the end.

use std::sync::Arc;

use tradewind_core::{Delta, Finish, Probabilities, RequestView, ToolView};
use tradewind_quality::{Ending, Gate, Step, StreamGate};

use crate::{asked, failed, gates};

fn gate(settings: &str, request: RequestView<'_>, bound: usize) -> StreamGate {
    let gates = gates(settings);
    let expected = Arc::new(gates.expect(request).into_owned());
    StreamGate::new(Arc::new(gates), expected, bound)
}

fn push_all(gate: &mut StreamGate, pieces: &[&str]) -> Vec<Step> {
    pieces.iter().map(|piece| gate.push(&Delta::Text(piece))).collect()
}

#[test]
fn a_prefix_is_held_and_released() {
    let mut gate = gate(r#"{"refusal":true,"length":{"max":20},"stream":{"hold":10}}"#, asked("q"), 1 << 20);
    assert_eq!(
        push_all(&mut gate, &["Hello", " you", " there", "!"]),
        [Step::Hold, Step::Hold, Step::Release, Step::Release]
    );
    let ending = gate.finish();
    assert!(ending.verdict.passed() && !ending.held && !ending.unjudged);
}

#[test]
fn a_prefix_that_refuses_is_given_up() {
    let settings = r#"{"refusal":true,"stream":{"hold":36}}"#;
    let mut first = gate(settings, asked("q"), 1 << 20);
    let steps = push_all(&mut first, &["I'm sorry, but ", "I can't help ", "with that. And", " more"]);
    assert_eq!(steps[..2], [Step::Hold, Step::Hold]);
    assert!(matches!(&steps[2], Step::Fail(verdict) if failed(verdict) == [Gate::Refusal]));
    assert_eq!(steps[3], Step::Hold);
    let ending = first.finish();
    assert!(ending.held && failed(&ending.verdict) == [Gate::Refusal]);
    // What says in its own place that it refuses need not come to the end of the prefix.
    let mut second = gate(settings, asked("q"), 1 << 20);
    assert!(matches!(second.push(&Delta::Refusal("I")), Step::Fail(_)));
}

/// Judging at each piece would take minutes.
#[test]
fn a_long_refusal_that_may_be_given_is_not_judged_at_each_piece() {
    let settings = r#"{"length":{"max":1000000},"stream":{"hold":100000}}"#;
    let mut gate = gate(settings, asked("What is the capital of France, and where does it lie?"), 1 << 20);
    assert_eq!(gate.push(&Delta::Refusal("I cannot say.")), Step::Hold);
    for number in 0..12_000 {
        let word = format!("w{number} ");
        assert_eq!(gate.push(&Delta::Refusal(&word[..1])), Step::Hold);
        assert_eq!(gate.push(&Delta::Text(&word)), Step::Hold);
    }
    let ending = gate.finish();
    assert!(ending.held, "{ending:?}");
}

#[test]
fn a_short_answer_is_judged_as_a_whole_while_it_is_held() {
    let mut gate = gate(r#"{"empty":true,"finish":["stop"]}"#, asked("q"), 1 << 20);
    assert_eq!(push_all(&mut gate, &[" ", "\n"]), [Step::Hold, Step::Hold]);
    assert_eq!(gate.push(&Delta::Finish(Finish::Length)), Step::Hold);
    let ending = gate.finish();
    assert!(ending.held);
    assert_eq!(failed(&ending.verdict), [Gate::Finish, Gate::Empty]);
}

#[test]
fn whole_answers_are_held_up_to_the_bound() {
    let settings = r#"{"json-schema":true,"length":{"max":3},"stream":"whole"}"#;
    let request = RequestView { json_object: true, ..RequestView::default() };
    let mut within = gate(settings, request.clone(), 16);
    assert!(push_all(&mut within, &["{\"a\":", "1", "}"]).iter().all(|step| *step == Step::Hold));
    let ending = within.finish();
    assert!(ending.held && !ending.unjudged && failed(&ending.verdict) == [Gate::Length]);
    let mut over = gate(settings, request, 16);
    let steps = push_all(&mut over, &["{\"a\":\"", "0123456789", "0123456789", "\"}"]);
    assert_eq!(steps, [Step::Hold, Step::Hold, Step::Release, Step::Release]);
    let Ending { verdict, held, unjudged } = over.finish();
    assert!(!held && unjudged);
    assert!(verdict.notes.iter().any(|note| note.gate == Gate::JsonSchema), "{verdict:?}");
}

#[test]
fn advice_holds_nothing() {
    let mut gate = gate(r#"{"finish":["stop"],"stream":"advisory"}"#, asked("q"), 1 << 20);
    assert_eq!(push_all(&mut gate, &["a"]), [Step::Release]);
    assert_eq!(gate.push(&Delta::Finish(Finish::Length)), Step::Release);
    let ending = gate.finish();
    assert!(!ending.held && failed(&ending.verdict) == [Gate::Finish]);
}

#[test]
fn calls_are_put_together() {
    let schema = r#"{"type":"object","required":["city"]}"#;
    let tools = vec![ToolView { name: "weather".into(), parameters: Some(schema.into()) }];
    let request = RequestView { tools, ..RequestView::default() };
    for (second, fine) in [(r#"city":"Bern"}"#, true), (r#"town":"Bern"}"#, false)] {
        let mut gate = gate(r#"{"tool-arguments":true,"stream":"whole"}"#, request.clone(), 1 << 20);
        gate.push(&Delta::ToolCall { call: 0, name: "weather" });
        gate.push(&Delta::ToolCall { call: 0, name: "weather" });
        gate.push(&Delta::Arguments { call: 0, piece: "{\"" });
        // The arguments of a second one come before its name.
        gate.push(&Delta::Arguments { call: 1, piece: r#"{"city":"Rom"}"# });
        gate.push(&Delta::Arguments { call: 0, piece: second });
        gate.push(&Delta::ToolCall { call: 1, name: "weather" });
        assert_eq!(gate.finish().verdict.passed(), fine, "{second}");
    }
    // A number that is not the next one has no place.
    let mut odd = gate(r#"{"tool-arguments":true,"stream":"whole"}"#, request, 1 << 20);
    assert_eq!(odd.push(&Delta::Arguments { call: 7, piece: "{}" }), Step::Release);
    assert!(odd.finish().unjudged);
}

#[test]
fn a_few_tokens_say_nothing_about_confidence() {
    let unsure = |tokens| Delta::Probabilities(Probabilities { sum: 0.1 * f64::from(tokens), tokens });
    let settings = r#"{"confidence":0.5,"stream":{"hold":4}}"#;
    let mut few = gate(settings, asked("q"), 1 << 20);
    few.push(&unsure(3));
    assert_eq!(push_all(&mut few, &["abcdef"]), [Step::Release]);
    assert_eq!(failed(&few.finish().verdict), [Gate::Confidence]);
    let mut many = gate(settings, asked("q"), 1 << 20);
    many.push(&unsure(16));
    assert!(matches!(&push_all(&mut many, &["abcdef"])[0], Step::Fail(_)));
}

#[test]
fn a_prefix_in_another_language_is_given_up() {
    let mut gate = gate(r#"{"language":"same"}"#, asked("法国的首都是哪里？请详细说明它的历史。"), 1 << 20);
    let step = gate.push(&Delta::Text(
        "The capital of France is Paris. It lies on the Seine and it has been the centre of the country for many centuries, \
         and it is also the place where most of the large companies of the country have their offices, so that many people \
         come to the city each day.",
    ));
    assert!(matches!(step, Step::Hold), "it is shorter than what is held: {step:?}");
    let step = gate.push(&Delta::Text("More about it follows in the next part of this text."));
    assert!(matches!(&step, Step::Fail(verdict) if failed(verdict) == [Gate::Language]), "{step:?}");
}
