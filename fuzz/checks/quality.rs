//! What has to hold for any schema of a caller and any answer of a provider where quality gates judge. That judging comes
//! to its end soon is what the time limit of the fuzzer checks, and the patience of whoever runs the tests.
//!
//! Plain functions, so that libFuzzer (`fuzz_targets`) and the ordinary tests of `crates/quality` call the same. A broken
//! rule is a panic.

use std::sync::Arc;

use tradewind_core::{AnswerView, Finish, RequestView, ToolCallView, ToolView};
use tradewind_quality::{Gates, QualitySettings, SchemaCache, Verdict};

/// Stands for the text of an answer: no verdict may repeat it, since verdicts are recorded.
const PRIVATE: char = '\u{1f510}';

/// A schema, and behind a zero byte the text that is to follow it; both once more as a tool's.
pub(crate) fn schema(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let schema = String::from_utf8_lossy(&bytes[..end]);
    let text = String::from_utf8_lossy(bytes.get(end + 1..).unwrap_or_default());
    let settings: QualitySettings =
        serde_json::from_str(r#"{"json-schema":true,"tool-arguments":true}"#).expect("settings of a check");
    let gates = Gates::new(settings, Arc::new(SchemaCache::new()));
    let request = RequestView {
        schema: Some(schema.clone()),
        tools: vec![ToolView { name: "f".into(), parameters: Some(schema) }],
        ..RequestView::default()
    };
    let answer = AnswerView {
        finish: Some(Finish::Stop),
        text: text.clone(),
        tool_calls: vec![ToolCallView { name: "f".into(), arguments: text }],
        choices: 1,
        ..AnswerView::default()
    };
    let verdict = gates.judge(&gates.expect(request.clone()), &answer);
    check(&verdict);
    // The second time everything is known.
    assert_eq!(gates.judge(&gates.expect(request), &answer), verdict);
}

fn check(verdict: &Verdict) {
    for failure in &verdict.failures {
        let why = failure.to_string();
        assert!(!why.contains(PRIVATE) && why.is_ascii(), "a verdict repeats what was said: {why}");
        assert!(why.len() < 400, "a verdict is long: {why}");
    }
}
