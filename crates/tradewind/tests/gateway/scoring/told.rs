//! Every part of every candidate's score is told: in the record, and in `POST /api/v1/decide`.

use serde_json::{Value, json};

use super::world::{CODE, CODER, SMALL, World, body, candidate};

const PARTS: [&str; 6] = ["total", "meaning", "load", "cost", "price_usd", "complexity"];

fn is_told(record: &Value) {
    let choice = &record["choice"];
    for (part, within) in [("confidence", "meaning"), ("margin", "meaning"), ("value", "complexity")] {
        let number = choice[within][part].as_f64();
        assert!(number.is_some_and(|number| (0.0..=1.0).contains(&number)), "{within}.{part}: {record}");
    }
    assert_eq!((&choice["meaning"]["basis"], &choice["meaning"]["embedder"]), (&json!("words"), &json!("lexical")));
    assert_eq!(choice["meaning"]["abstained"], json!(false), "{record}");
    for name in ["up/coder", "up/small"] {
        let candidate = candidate(record, name);
        let score = &candidate["parts"]["score"];
        let number = |part: &str| score[part].as_f64().unwrap_or_else(|| panic!("no {part} of {name}: {record}"));
        for part in PARTS {
            assert!((0.0..=1.0).contains(&number(part)), "{part} of {name}: {record}");
        }
        let weight = |part: &str| score["weights"][part].as_f64().unwrap();
        let sum: f64 = ["meaning", "load", "cost"].iter().map(|part| weight(part)).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{record}");
        let total: f64 = ["meaning", "load", "cost"].iter().map(|part| weight(part) * number(part)).sum();
        assert!((total - number("total")).abs() < 1e-9, "a total is the sum of its parts: {record}");
        assert_eq!(candidate["score"], score["total"], "{record}");
    }
    // Nothing was said about this one, and it has no price: both are assumed, and marked.
    let unknown = &candidate(record, "up/unknown")["parts"]["score"];
    assert_eq!((&unknown["cost"], &unknown["cost_assumed"]), (&json!(0.5), &json!(true)), "{record}");
    assert!(unknown["price_usd"].is_null() && unknown["total"].is_number(), "{record}");
    assert_eq!(unknown["meaning_assumed"], json!(true), "{record}");
    let meaning = |name: &str| candidate(record, name)["parts"]["score"]["meaning"].as_f64().unwrap();
    assert!((meaning("up/unknown") - 0.5).abs() < 1e-6, "the mean of the two that give 1 together: {record}");
    assert!((meaning("up/coder") + meaning("up/small") - 1.0).abs() < 1e-6, "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_of_every_candidates_score_is_told() {
    let world = World::start("meaning: 6, load: 2.5, cost: 1.5", &[SMALL, CODER, "{use: up/unknown}"], "").await;
    let record = world.record(CODE).await;
    is_told(&record);
    let before = world.sim.stats().requests;
    let preview = world.preview(&body(CODE), &json!({})).await;
    is_told(&preview);
    assert_eq!(world.sim.stats().requests, before, "a preview asks nobody");
    // The same question is judged the same in both.
    for name in ["up/coder", "up/small"] {
        let meaning = |told: &Value| candidate(told, name)["parts"]["score"]["meaning"].clone();
        assert_eq!(meaning(&preview), meaning(&record));
    }
    assert_eq!(preview["choice"], record["choice"]);
    // Never what was asked.
    assert!(!record.to_string().contains("debug its code"), "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_that_do_not_score_say_nothing_of_it() {
    let world =
        World::start("meaning: 1", &[SMALL], "  - {name: plain, targets: [{use: up/small}, {use: up/coder}]}\n").await;
    let answer = world.ask_with(&super::world::with(body(CODE), "model", json!("plain")), "").await;
    let record = world.bench.record(&answer).await;
    assert!(record.get("choice").is_none(), "{record}");
    assert!(candidate(&record, "up/small")["parts"].get("score").is_none(), "{record}");
}
