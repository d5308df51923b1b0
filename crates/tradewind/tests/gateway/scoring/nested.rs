//! Models behind models: what each of them requires, and scoring in one of them, hold for a call that comes through another.

use serde_json::json;
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimFault, SimOptions};

use super::world::{CODE, CODER, FACT, SMALL, body, candidate, part, target, with};
use crate::support::{Bench, error_code};

/// A gateway in front of `up` with these models.
async fn start(models: &str) -> (Sim, Bench) {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let bench = Bench::start(&document(&sim, models)).await;
    (sim, bench)
}

fn document(sim: &Sim, models: &str) -> String {
    format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\nmodels:\n{models}",
        sim.base_url()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_behind_another_requires_what_it_requires() {
    let eu = "  - {name: eu, require: {region: [eu]}, targets: [{use: up/a, region: eu}, {use: up/b, region: us}]}\n";
    let cheap = "  - {name: cheap, require: {price-at-most: {input: 1}}, targets: [{use: eu}, {use: up/c, region: eu, \
                 price: {input: 0.5, output: 1}}]}\n";
    for strategy in ["select", "fallback", "weighted", "least-latency", "score"] {
        let assistant = format!("  - {{name: assistant, strategy: {strategy}, targets: [{{use: eu}}]}}\n");
        let (sim, bench) = start(&format!("{assistant}{eu}")).await;
        for _ in 0..8 {
            let answer = bench.ask_with(Dialect::OpenAi, &body(FACT), "").await;
            assert_eq!(answer.header("x-tradewind-target"), Some("up/a"), "{strategy}");
            let record = bench.record(&answer).await;
            assert_eq!(candidate(&record, "up/b")["eligible"], json!(false), "{strategy}: {record}");
            assert_eq!(candidate(&record, "up/b")["reason"], "its region is us, and has to be eu", "{record}");
        }
        // Not by falling back either.
        sim.set_fault(SimFault::Error500).unwrap();
        assert!(bench.ask_with(Dialect::OpenAi, &body(FACT), "").await.status >= 500);
        assert!(sim.requests().iter().all(|seen| seen.model.as_deref() == Some("a")), "{strategy}");
    }
    // Of all that stand before a target each has its say.
    let (_sim, bench) = start(&format!("  - {{name: assistant, targets: [{{use: cheap}}]}}\n{cheap}{eu}")).await;
    let answer = bench.ask_with(Dialect::OpenAi, &body(FACT), "").await;
    assert_eq!(answer.header("x-tradewind-target"), Some("up/c"));
    let record = bench.record(&answer).await;
    let reason = "has no price, and `price-at-most` asks for one";
    assert_eq!(candidate(&record, "up/a")["reason"], reason, "{record}");
    assert_eq!(candidate(&record, "up/b")["reason"], reason, "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_way_to_a_target_requires_does_not_close_another() {
    let eu = "  - {name: eu, require: {region: [eu]}, targets: [{use: up/b, region: us}]}\n";
    for targets in ["[{use: eu}, {use: up/b}]", "[{use: up/b}, {use: eu}]"] {
        let (_sim, bench) = start(&format!("  - {{name: assistant, targets: {targets}}}\n{eu}")).await;
        let answer = bench.ask_with(Dialect::OpenAi, &body(FACT), "").await;
        assert_eq!(answer.header("x-tradewind-target"), Some("up/b"), "{}", answer.text());
        let refused = bench.ask_with(Dialect::OpenAi, &with(body(FACT), "model", json!("eu")), "").await;
        assert_eq!(error_code(&refused.json(), Dialect::OpenAi).as_deref(), Some("TW1014"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_scores_scores_behind_another_too() {
    let score = "score: {meaning: 0.8, load: 0, cost: 0.2, abstain-below: 0.3, default: up/small, affinity: session}";
    for strategy in ["select", "fallback", "weighted", "least-latency"] {
        let (_sim, bench) = start(&format!(
            "  - {{name: assistant, strategy: {strategy}, targets: [{{use: kinds}}]}}\n  \
             - {{name: kinds, strategy: score, {score}, targets: [{CODER}, {SMALL}]}}\n"
        ))
        .await;
        for (question, who) in [(CODE, "up/coder"), (FACT, "up/small"), ("qwx zzkj vvbn", "up/small")] {
            let answer = bench.ask_with(Dialect::OpenAi, &body(question), "x-tradewind-session: s\r\n").await;
            assert_eq!(target(&answer), who, "{strategy}: {question}");
            let record = bench.record(&answer).await;
            assert_eq!(record["choice"]["meaning"]["abstained"], json!(question != CODE), "{strategy}: {record}");
            assert_eq!(record["choice"]["affinity"], "session", "{record}");
            for (one, price) in [("up/coder", 3.0), ("up/small", 0.25)] {
                assert_eq!(candidate(&record, one)["parts"]["score"].get("cost_assumed"), None, "{price}: {record}");
                assert_eq!(candidate(&record, one)["parts"]["score"].get("meaning_assumed"), None, "{record}");
            }
            assert_eq!(part(&record, "up/small", "cost"), 1.0, "{record}");
            assert!(part(&record, "up/coder", "cost") < 0.7, "{record}");
        }
        // The other way in comes to the same.
        let answer = bench.ask_with(Dialect::OpenAi, &with(body(CODE), "model", json!("kinds")), "").await;
        assert_eq!(target(&answer), "up/coder");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_two_members_stand_for_fits_as_well_as_the_better_one() {
    let member = |name: &str, good_at: &str| format!("{{use: {name}, good-at: [{good_at}]}}");
    let (code, facts) = ("writing and reviewing program code", "short factual questions");
    let models = |members: [String; 3]| {
        format!(
            "  - {{name: assistant, strategy: score, score: {{meaning: 1, load: 0, cost: 0}}, targets: [{}]}}\n  \
             - {{name: pair, targets: [{{use: up/coder}}]}}\n",
            members.join(", ")
        )
    };
    let members = [member("up/coder", code), member("pair", facts), member("up/poet", "poems and songs")];
    for turned in [false, true] {
        let mut members = members.clone();
        if turned {
            members.swap(0, 1);
        }
        let (_sim, bench) = start(&models(members)).await;
        for question in [CODE, "A short factual question: what is the capital of Italy?"] {
            let record = bench.record(&bench.ask_with(Dialect::OpenAi, &body(question), "").await).await;
            assert!(part(&record, "up/coder", "meaning") > 0.8, "{turned} {question}: {record}");
            assert_eq!(record["chosen"], "up/coder", "{record}");
        }
    }
}
