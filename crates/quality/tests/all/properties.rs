//! Properties over made-up answers and cuts.

use std::sync::Arc;

use proptest::prelude::*;
use tradewind_core::{AnswerView, Delta, Finish, Probabilities, RequestView, ToolCallView, ToolView};
use tradewind_quality::{Step, StreamGate};

use crate::gates;

const ALL: &str = r#"{"finish":["stop","tool-calls"],"json-schema":true,"tool-arguments":true,"language":"same","refusal":true,
    "empty":true,"repetition":true,"length":{"min":1,"max":500},"confidence":true,"stream":"#;

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(any::<u8>(), 0..400).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        ("[ab\u{4e00}|`\n ]{1,12}", 1..80usize).prop_map(|(piece, times)| piece.repeat(times)),
        proptest::sample::select(vec![
            "I'm sorry, but I can't help with that.",
            "抱歉，我无法提供帮助。",
            "The capital of France is Paris, and it is the largest city of the country that we speak of.",
            "法国的首都是巴黎，它位于塞纳河畔，是一座美丽的城市。",
            "```\ncode that does not end",
            "{\"a\":1}",
            "{\"a\":",
            "\u{200b}",
        ])
        .prop_map(str::to_owned),
    ]
}

fn finishes() -> impl Strategy<Value = Option<Finish<'static>>> {
    proptest::sample::select(vec![
        None,
        Some(Finish::Stop),
        Some(Finish::Length),
        Some(Finish::ToolCalls),
        Some(Finish::ContentFilter),
        Some(Finish::Other("odd".into())),
    ])
}

fn requests() -> impl Strategy<Value = RequestView<'static>> {
    let schemas = proptest::sample::select(vec![
        None,
        Some("{}"),
        Some(r#"{"type":"object"}"#),
        Some(r##"{"allOf":[{"$ref":"#"}]}"##),
        Some("{"),
        Some(r#"{"pattern":"("}"#),
    ]);
    (texts(), proptest::collection::vec(texts(), 0..3), schemas, any::<bool>()).prop_map(
        |(question, context, schema, json_object)| RequestView {
            question: question.into(),
            context: context.into_iter().map(Into::into).collect(),
            tools: vec![ToolView { name: "f".into(), parameters: schema.map(Into::into) }],
            has_other_tools: false,
            schema: schema.map(Into::into),
            json_object,
        },
    )
}

/// Cuts a text at characters.
fn pieces<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t str> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut % (text.len() + 1))).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &text[pair[0]..pair[1]]).filter(|piece| !piece.is_empty()).collect()
}

proptest! {
    #[test]
    fn nothing_panics_and_each_gate_speaks_once(
        request in requests(), text in texts(), refusal in texts(), arguments in texts(), finish in finishes(), sum in any::<f64>(),
        tokens in any::<u32>(),
    ) {
        let gates = gates(&format!("{ALL}\"whole\"}}"));
        let answer = AnswerView {
            finish,
            text: text.into(),
            refusal: refusal.into(),
            tool_calls: vec![ToolCallView { name: "f".into(), arguments: arguments.into() }],
            probabilities: Probabilities { sum, tokens },
            choices: 1,
        };
        let verdict = gates.judge(&gates.expect(request), &answer);
        let mut spoke: Vec<_> = verdict.failures.iter().map(|failure| failure.gate).collect();
        prop_assert!(spoke.is_sorted(), "in order");
        spoke.extend(verdict.notes.iter().map(|note| note.gate));
        let count = spoke.len();
        spoke.sort_unstable();
        spoke.dedup();
        prop_assert_eq!(spoke.len(), count);
    }

    #[test]
    fn in_pieces_it_is_judged_as_in_one(
        request in requests(), text in texts(), arguments in texts(), finish in finishes(), calls_tool in any::<bool>(),
        cuts in proptest::collection::vec(any::<usize>(), 0..12), hold in 1..300u32, is_whole in any::<bool>(),
    ) {
        let mode = if is_whole { "\"whole\"".to_owned() } else { format!("{{\"hold\":{hold}}}") };
        let gates = Arc::new(gates(&format!("{ALL}{mode}}}")));
        let expected = Arc::new(gates.expect(request).into_owned());
        let tool_calls = if calls_tool {
            vec![ToolCallView { name: "f".into(), arguments: arguments.as_str().into() }]
        } else {
            Vec::new()
        };
        let answer = AnswerView { finish: finish.clone(), text: text.as_str().into(), tool_calls, choices: 1, ..AnswerView::default() };
        let whole = gates.judge(&expected, &answer);
        let mut deltas: Vec<_> = pieces(&text, &cuts).into_iter().map(Delta::Text).collect();
        if calls_tool {
            deltas.push(Delta::ToolCall { call: 0, name: "f" });
            deltas.extend(pieces(&arguments, &cuts).into_iter().map(|piece| Delta::Arguments { call: 0, piece }));
        }
        deltas.extend(finish.map(Delta::Finish));
        let run = |deltas: &[Delta<'_>]| {
            let mut gate = StreamGate::new(gates.clone(), expected.clone(), 1 << 20);
            let failed = deltas.iter().any(|delta| matches!(gate.push(delta), Step::Fail(_)));
            (failed, gate.finish())
        };
        let (failed_early, ending) = run(&deltas);
        if !failed_early {
            prop_assert_eq!(&ending.verdict, &whole);
        }
        // However it is cut, the same beginning is judged.
        let mut uncut: Vec<_> = pieces(&text, &[]).into_iter().map(Delta::Text).collect();
        uncut.extend(deltas.iter().filter(|delta| !matches!(delta, Delta::Text(_))).cloned());
        prop_assert_eq!(run(&uncut).0, failed_early);
        if is_whole {
            prop_assert!(!failed_early && ending.held);
        }
    }

    #[test]
    fn a_bound_is_kept_to(text in texts(), bound in 0..200usize) {
        let gates = Arc::new(gates(&format!("{ALL}\"whole\"}}")));
        let expected = Arc::new(gates.expect(RequestView::default()).into_owned());
        let mut gate = StreamGate::new(gates, expected, bound);
        let steps: Vec<_> = pieces(&text, &[1, 2, 3, 50]).into_iter().map(|piece| gate.push(&Delta::Text(piece))).collect();
        let is_over = text.len() > bound;
        prop_assert_eq!(steps.last() == Some(&Step::Release), is_over);
        let ending = gate.finish();
        prop_assert_eq!((ending.unjudged, ending.held), (is_over, !is_over));
    }
}
