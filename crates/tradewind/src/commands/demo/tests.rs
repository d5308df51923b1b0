//! The score and the pages made of it, from records as the gateway writes them.

use serde_json::{Value, json};

use super::caller::Done;
use super::page;
use super::score::{LAST, Score};
use super::state::{Mood, State};

fn score() -> Score {
    Score::new(["gale/chat", "breeze/chat", "drift/chat"].map(str::to_owned).to_vec())
}

fn answered(target: &str, elapsed: f64) -> Value {
    json!({
        "id": "1m802kx130000", "at": "2026-11-21T22:11:19.203Z", "operation": "chat", "model": "assistant",
        "dialect": "openai", "policy": "49c7d8876dde", "outcome": "ok", "chosen": target, "cost_usd": 0.0001,
        "elapsed_ms": elapsed,
        "candidates": [{"target": target, "rank": 1, "reason": "the cheaper of two drawn at random", "eligible": true}],
        "attempts": [{"target": target, "started_ms": 0.2, "first_byte_ms": 60.2, "ended_ms": elapsed, "outcome": "ok"}],
    })
}

/// Breeze answers after gale has failed, while drift has to rest.
fn fallen_back() -> Value {
    let mut record = answered("breeze/chat", 1040.0);
    record["candidates"] = json!([
        {"target": "gale/chat", "rank": 1, "reason": "the cheaper of two drawn at random", "eligible": true},
        {"target": "breeze/chat", "rank": 2, "reason": "next by cost", "eligible": true},
        {"target": "drift/chat", "rank": null, "reason": "breaker open for another 2s", "eligible": false},
    ]);
    record["attempts"] = json!([
        {"target": "gale/chat", "started_ms": 0.2, "ended_ms": 800.4, "outcome": "failed", "fault": "headers_timeout"},
        {"target": "breeze/chat", "started_ms": 800.5, "first_byte_ms": 1000.5, "ended_ms": 1040.0, "outcome": "ok"},
    ]);
    record
}

fn count(score: &mut Score, number: usize, failure: Option<&str>, record: Value) {
    score.count(Done { number, stream: number.is_multiple_of(2), failure: failure.map(str::to_owned), record });
}

/// Twelve calls: one fell back, one failed.
fn played() -> Score {
    let mut score = score();
    for number in 1..=10 {
        count(&mut score, number, None, answered("gale/chat", 80.0));
    }
    count(&mut score, 11, None, fallen_back());
    count(&mut score, 12, Some("504: no target answered"), json!({"chosen": null, "elapsed_ms": 800.0}));
    score
}

#[test]
fn calls_are_counted_where_they_belong() {
    let score = played();
    assert_eq!((score.calls, score.failures, score.fell_back), (12, 1, 1));
    assert!((score.spent - 0.0011).abs() < 1e-9);
    let (gale, breeze, drift) = (&score.tallies[0], &score.tallies[1], &score.tallies[2]);
    assert_eq!((gale.attempts, gale.answers, breeze.attempts, breeze.answers, drift.attempts), (11, 10, 1, 1, 0));
    assert!((gale.error_rate() - 1.0 / 11.0).abs() < 1e-9 && breeze.error_rate() == 0.0);
    assert_eq!((gale.first_token(), breeze.first_token(), drift.first_token()), (Some(60.0), Some(200.0), None));
    assert!((score.share(0) - 10.0 / 11.0).abs() < 1e-9);
    assert_eq!(score.last.len(), LAST);
    assert_eq!(score.most_telling().unwrap()["chosen"], Value::Null, "a failure is what one wants to see");
}

#[test]
fn an_attempt_that_was_never_sent_is_not_the_targets() {
    let mut score = score();
    let mut record = fallen_back();
    record["attempts"][0]["fault"] = "busy".into();
    count(&mut score, 1, None, record);
    assert_eq!((score.tallies[0].attempts, score.tallies[0].error_rate(), score.fell_back), (0, 0.0, 1));
}

#[test]
fn the_live_table_fits_any_height() {
    let score = played();
    let states = [
        State { mood: Mood::Bad, word: "breaker open", detail: "0.8s".to_owned() },
        State::default(),
        State { mood: Mood::Wary, word: "slow start", detail: "35%".to_owned() },
    ];
    let news = ["  1.0 s ** gale/chat breaks".to_owned()];
    for height in [1, 5, 12, 24, 200] {
        assert!(page::table(&score, &states, &news, 4.2, height).len() <= height);
    }
    let lines = page::table(&score, &states, &news, 4.2, 24);
    let text: Vec<&str> = lines.iter().map(|line| line.text.trim_end()).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn the_summary_ends_with_a_decision() {
    let mut score = score();
    count(&mut score, 1, None, answered("gale/chat", 80.0));
    count(&mut score, 2, None, fallen_back());
    insta::assert_snapshot!(page::summary(&score, 1.25));
}
