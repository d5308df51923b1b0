//! A gateway with one model that scores, in front of one simulated provider `up` that takes every name of a model.

use serde_json::{Value, json};
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use crate::support::{Answer, Bench, post};

pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) sim: Sim,
}

/// What one target is good at, as the tests mostly have it.
pub(super) const CODER: &str = "{use: up/coder, price: {input: 3, output: 15}, good-at: [writing and reviewing program \
                                code, debugging], examples: [\"Write a Rust function that parses a date.\"]}";
pub(super) const SMALL: &str = "{use: up/small, price: {input: 0.25, output: 2}, good-at: [short factual questions], \
                                examples: [\"What is the capital of Italy?\"]}";
pub(super) const CODE: &str = "Please review this Rust function and debug its code.";
pub(super) const FACT: &str = "What is the capital of France?";

impl World {
    /// The model `assistant` with the given `score`, targets and further keys.
    pub(super) async fn start(score: &str, targets: &[&str], more: &str) -> Self {
        let sim = Sim::start(SimOptions::named("up")).await.unwrap();
        let bench = Bench::start(&document(&sim, score, targets, more)).await;
        Self { bench, sim }
    }

    /// The answer to a question, which some target has to give.
    pub(super) async fn ask(&self, question: &str) -> Answer {
        self.ask_with(&body(question), "").await
    }

    pub(super) async fn ask_with(&self, body: &Value, headers: &str) -> Answer {
        let answer = self.bench.ask_with(Dialect::OpenAi, body, headers).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    }

    /// Who answers a question.
    pub(super) async fn who(&self, question: &str) -> String {
        target(&self.ask(question).await)
    }

    /// The record of a question that was answered.
    pub(super) async fn record(&self, question: &str) -> Value {
        let answer = self.ask(question).await;
        self.bench.record(&answer).await
    }

    /// What would be decided for a request.
    pub(super) async fn preview(&self, body: &Value, headers: &Value) -> Value {
        let asked = json!({"dialect": "openai", "request": body, "headers": headers});
        let decided = self.bench.send(&post("/api/v1/decide", "", &asked.to_string())).await;
        assert_eq!(decided.status, 200, "{}", decided.text());
        decided.json()
    }
}

/// A document with the model `assistant`.
pub(super) fn document(sim: &Sim, score: &str, targets: &[&str], more: &str) -> String {
    format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}\n\
         models:\n  - name: assistant\n    strategy: score\n    score: {{{score}}}\n    targets: [{}]\n{more}",
        sim.base_url(),
        targets.join(", ")
    )
}

/// A question to `assistant`.
pub(super) fn body(question: &str) -> Value {
    json!({"model": "assistant", "messages": [{"role": "user", "content": question}]})
}

/// The same request with one more field.
pub(super) fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

/// Who gave an answer.
pub(super) fn target(answer: &Answer) -> String {
    answer.header("x-tradewind-target").unwrap().to_owned()
}

/// The candidate of this name in a record.
pub(super) fn candidate<'a>(record: &'a Value, target: &str) -> &'a Value {
    let candidates = record["candidates"].as_array().unwrap();
    candidates.iter().find(|one| one["target"] == target).unwrap_or_else(|| panic!("no {target} in {record}"))
}

/// A part of a candidate's score.
pub(super) fn part(record: &Value, target: &str, part: &str) -> f64 {
    let score = &candidate(record, target)["parts"]["score"];
    score[part].as_f64().unwrap_or_else(|| panic!("no {part} of {target} in {record}"))
}
