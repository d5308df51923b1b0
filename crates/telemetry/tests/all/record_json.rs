//! What a record looks like as JSON, to the letter.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{START, record};
use smallvec::smallvec;
use tradewind_core::{FaultKind, TargetId};
use tradewind_decide::Reason;
use tradewind_telemetry::{Attempt, Choice, ComplexityParts, Kept, Led, Meaning, Outcome, Preview, Trace};

#[test]
fn a_record_is_one_line_with_every_field_the_interface_names() {
    let expected = concat!(
        r#"{"id":"#,
        r#""1m7zkqkf38000","#,
        r#""at":"2026-11-21T20:57:01.130Z","door":"models","dialect":"openai","operation":"chat","stream":true,"#,
        r#""model":"assistant","chosen":"openai/gpt-5-mini","candidates":["#,
        r#"{"target":"openai/gpt-5-mini","rank":1,"score":1.0,"#,
        r#""parts":{"in_flight":3.0,"first_token_ms":123.4,"cost":0.37},"#,
        r#""reason":"the cheaper of two drawn at random","eligible":true},"#,
        r#"{"target":"anthropic/claude-sonnet","rank":2,"score":0.5,"#,
        r#""parts":{"in_flight":3.0,"first_token_ms":123.4,"cost":0.37},"#,
        r#""reason":"the cheaper of two drawn at random","eligible":true}],"#,
        r#""attempts":[{"target":"openai/gpt-5-mini","key":0,"hedge":false,"started_ms":0.031,"#,
        r#""first_byte_ms":0.411,"ended_ms":0.823,"outcome":"ok","fault":null,"status":200}],"#,
        r#""outcome":"ok","fault":null,"code":null,"detail":null,"status":200,"#,
        r#""usage":{"input":12,"output":9,"cached":0,"reasoning":0,"estimated":false},"cost_usd":0.00012,"#,
        r#""elapsed_ms":0.861,"first_byte_ms":0.43,"network":null,"policy":"1f6d0c2a9b3e4857"}"#,
    );
    assert_eq!(record(7).to_json(), expected.replace("1m7zkqkf38000", &crate::support::id(7).to_string()));
}

#[test]
fn a_failure_names_its_fault_and_its_public_code() {
    let mut failed = record(0);
    failed.outcome = Outcome::Failed;
    failed.fault = Some(FaultKind::ConnectRefused);
    failed.detail = Some("nobody listens on \"127.0.0.1:9\"\n".into());
    failed.chosen = None;
    failed.usage = None;
    failed.cost = None;
    failed.first_byte = None;
    failed.elapsed = Duration::from_secs(12);
    failed.events_dropped = 3;
    failed.notes = vec!["usage was not sent".into(), "tab\there".into()];
    failed.attempts[0].status = None;
    failed.attempts[0].fault = Some(FaultKind::ConnectRefused);
    failed.attempts[0].detail = Some("refused".into());
    failed.decision.candidates[1].rank = None;
    failed.decision.candidates[1].eligible = false;
    failed.decision.candidates[1].reason = Reason::Unfit("speaks \"anthropic\"".into());
    let json: serde_json::Value = serde_json::from_str(&failed.to_json()).unwrap();
    assert_eq!(json["fault"], "connect_refused");
    assert_eq!(json["code"], "TW3001");
    assert_eq!(json["detail"], "nobody listens on \"127.0.0.1:9\"\n");
    assert_eq!(json["elapsed_ms"], 12_000.0);
    assert_eq!(json["events_dropped"], 3);
    assert_eq!(json["notes"], serde_json::json!(["usage was not sent", "tab\there"]));
    assert_eq!(json["attempts"][0]["detail"], "refused");
    assert_eq!(json["candidates"][1]["reason"], "speaks \"anthropic\"");
    assert_eq!(json["candidates"][1]["rank"], serde_json::Value::Null);
    for absent in ["chosen", "usage", "cost_usd", "first_byte_ms"] {
        assert_eq!(json[absent], serde_json::Value::Null, "{absent}");
    }
}

#[test]
fn whatever_a_caller_sends_the_line_stays_short_and_valid() {
    let mut huge = record(0);
    huge.model = Arc::from("é\u{0}\"\\".repeat(10_000));
    huge.detail = Some("Ω".repeat(10_000).into());
    huge.notes = vec!["n".repeat(10_000).into(); 100];
    huge.decision.candidates = huge.decision.candidates.iter().cycle().take(500).cloned().collect();
    huge.attempts = smallvec![huge.attempts[0].clone(); 100];
    let line = huge.to_json();
    assert!(line.len() < 64 << 10, "{} bytes", line.len());
    assert!(!line.contains('\n'));
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(json["model"].as_str().unwrap().len() <= 200);
    assert!(json["detail"].as_str().unwrap().len() <= 500);
    assert_eq!(json["candidates"].as_array().unwrap().len(), 64);
    assert_eq!(json["candidates_omitted"], 436);
    assert_eq!(json["attempts_omitted"], 36);
    assert_eq!(json["notes"].as_array().unwrap().len(), 16);
}

#[test]
fn times_have_microsecond_precision() {
    for (micros, shown) in
        [(0, "0.0"), (1, "0.001"), (10, "0.01"), (100, "0.1"), (1000, "1.0"), (123_456_789, "123456.789")]
    {
        let mut timed = record(0);
        timed.elapsed = Duration::from_micros(micros);
        assert!(timed.to_json().contains(&format!(r#""elapsed_ms":{shown},"#)), "{micros}");
    }
}

/// A choice of which something is known.
fn led() -> Choice {
    Choice { rule: Some(Led { number: 2, to: Arc::from("strong") }), affinity: Some("session"), ..Choice::default() }
}

#[test]
fn how_a_model_was_chosen_is_shown_where_there_is_something_to_say() {
    assert!(!record(0).to_json().contains("choice"));
    let mut chosen = record(0);
    let complexity =
        ComplexityParts { value: 0.5, length: 0.25, spread: 0.0, entities: 1.0, code: 0.0, constraints: 0.125 };
    let meaning =
        Meaning { embedder: Arc::from("lexical"), basis: "words", confidence: 0.5, margin: 0.25, abstained: true };
    let cache = Kept { kind: "meaning", decision: chosen.id, age_ms: 7, similarity: Some(0.75) };
    let (meaning, complexity, cache) = (Some(meaning), Some(complexity), Some(cache));
    chosen.choice = Some(Box::new(Choice { meaning, complexity, cache, ..led() }));
    let json: serde_json::Value = serde_json::from_str(&chosen.to_json()).unwrap();
    assert_eq!(
        json["choice"],
        serde_json::json!({
            "rule": {"number": 2, "use": "strong"},
            "meaning": {"embedder": "lexical", "basis": "words", "confidence": 0.5, "margin": 0.25, "abstained": true},
            "complexity": {"value": 0.5, "length": 0.25, "spread": 0.0, "entities": 1.0, "code": 0.0, "constraints": 0.125},
            "affinity": "session",
            "cache": {"kind": "meaning", "decision": chosen.id.to_string(), "age_ms": 7, "similarity": 0.75},
        })
    );
}

#[test]
fn a_preview_is_a_record_without_attempts_and_outcome() {
    let made = record(0);
    let preview = Preview {
        at: START,
        door: made.door,
        dialect: made.dialect,
        operation: made.operation,
        stream: made.stream,
        model: made.model.clone(),
        decision: made.decision.clone(),
        chosen: made.chosen.clone(),
        choice: Some(Box::new(led())),
        network: Some(Arc::from("office")),
        policy: made.policy.clone(),
    };
    let preview: serde_json::Value = serde_json::from_str(&preview.to_json()).unwrap();
    let record: serde_json::Value = serde_json::from_str(&made.to_json()).unwrap();
    for same in ["at", "door", "dialect", "operation", "stream", "model", "chosen", "candidates", "policy"] {
        assert_eq!(preview[same], record[same], "{same}");
    }
    assert_eq!(preview["network"], "office");
    assert_eq!(preview["choice"]["rule"], serde_json::json!({"number": 2, "use": "strong"}));
    for absent in ["id", "attempts", "outcome", "usage"] {
        assert!(preview.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn what_is_known_of_caller_and_answer_is_shown_and_nothing_else() {
    let mut full = record(0);
    full.key = Some(Arc::from("ci"));
    full.tenant = Some(Arc::from("build"));
    full.resolved = Some(Arc::from("openai/gpt-5"));
    full.translated = Some("messages");
    full.overhead = Some(Duration::from_micros(31));
    full.finish = Some("end_turn".into());
    full.response_model = Some("claude-sonnet-5".into());
    full.response_id = Some("x".repeat(1000).into());
    full.dropped = vec!["metadata".to_owned(); 100];
    full.trace =
        Some(Trace::from_headers(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), None, &mut || 7));
    full.attempts.push(Attempt { usage: full.usage, way: Some("corp".into()), ..full.attempts[0].clone() });
    let json: serde_json::Value = serde_json::from_str(&full.to_json()).unwrap();
    for (field, expected) in [
        ("key", "ci"),
        ("tenant", "build"),
        ("resolved", "openai/gpt-5"),
        ("translated", "messages"),
        ("finish", "end_turn"),
        ("response_model", "claude-sonnet-5"),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("span_id", "0000000000000007"),
        ("parent_id", "00f067aa0ba902b7"),
    ] {
        assert_eq!(json[field], expected, "{field}");
    }
    assert_eq!(json["overhead_ms"], 0.031);
    assert_eq!(json["sampled"], true);
    assert_eq!(json["response_id"].as_str().unwrap().len(), 200);
    assert_eq!(json["dropped"].as_array().unwrap().len(), 16);
    assert_eq!(json["attempts"][0].get("usage"), None, "it is not known of this one");
    assert_eq!(json["attempts"][1]["usage"]["input"], 12);
    assert_eq!((json["attempts"][0].get("way"), &json["attempts"][1]["way"]), (None, &"corp".into()));
    full.resolved = Some(full.model.clone());
    full.chosen = Some(TargetId::new("anthropic/claude-sonnet-5"));
    let again: serde_json::Value = serde_json::from_str(&full.to_json()).unwrap();
    assert_eq!((again.get("resolved"), again.get("response_model")), (None, None), "they say nothing new");
    let plain: serde_json::Value = serde_json::from_str(&record(0).to_json()).unwrap();
    for absent in ["key", "resolved", "translated", "trace_id", "dropped", "overhead_ms", "finish"] {
        assert_eq!(plain.get(absent), None, "{absent}");
    }
}
