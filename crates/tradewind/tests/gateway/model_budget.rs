//! Budgets of models, through the gateway: shared by all who call, kept over a restart and a reload, and not to be got
//! around by calling all at once or without a key.

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{ScriptedAnswer, ScriptedUsage, Sim, SimOptions};

use crate::support::{Answer, Bench, SOON, error_code, eventually, get, question};

/// Each call counts 100 tokens of answer: 10 cents.
const PRICE: &str = "price: {input: 0, output: 1000}";
/// The most that a call may cost, as its reservation has it: as much as it does cost.
const MOST: u64 = 100;

async fn sim() -> Sim {
    let sim = Sim::start(SimOptions { tokens_per_second: Some(2000.0), ..SimOptions::named("up") }).await.unwrap();
    let usage = ScriptedUsage { input: 10, output: MOST, ..ScriptedUsage::default() };
    sim.script("m", ScriptedAnswer { usage, ..ScriptedAnswer::text(&"wind ".repeat(50)) }).unwrap();
    sim
}

fn document(sim: &Sim, budget: &str, keys: bool) -> String {
    let keys = if keys {
        "keys:\n  - {name: ann, secret: secret-of-ann-0123456789}\n  - {name: bob, secret: secret-of-bob-0123456789}\n  \
         - {name: reader, secret: secret-of-reader-0123456789, allow: [control/read]}\n"
    } else {
        ""
    };
    format!(
        "providers: [{{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}]\n\
         models:\n  - {{name: dear, targets: [{{use: up/m, {PRICE}}}]{budget}}}\n  \
         - {{name: other, targets: [{{use: up/m, {PRICE}}}]}}\n{keys}",
        sim.base_url()
    )
}

fn body(model: &str) -> Value {
    let mut body = question(Dialect::OpenAi, model, false);
    body["max_tokens"] = json!(MOST);
    body
}

fn bearer(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("authorization: Bearer secret-of-{key}-0123456789\r\n") }
}

async fn ask(bench: &Bench, key: &str, model: &str) -> Answer {
    bench.ask_with(Dialect::OpenAi, &body(model), &bearer(key)).await
}

fn is_over(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(error_code(&answer.json(), Dialect::OpenAi).as_deref(), Some("TW1023"), "{}", answer.text());
    assert!(answer.text().contains("dear"), "it says which model: {}", answer.text());
}

/// What came of the budget, as the control door shows it: spent and reserved, in dollars.
async fn spent(bench: &Bench, key: &str) -> (f64, f64) {
    let read = bench.get_with("/api/v1/keys", &bearer(key)).await.json();
    let models = read["models"].as_array().unwrap();
    assert_eq!(models.len(), 1, "{read}");
    assert_eq!(models[0]["model"], "dear");
    (models[0]["spent"].as_f64().unwrap(), models[0]["reserved"].as_f64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_keys_share_the_budget_of_a_model() {
    let sim = sim().await;
    let budget = ", budget: {usd: 0.35, per: day}";
    let bench = Bench::start(&document(&sim, budget, true)).await;
    for key in ["ann", "bob", "ann"] {
        let answer = ask(&bench, key, "dear").await;
        assert_eq!(answer.status, 200, "{key}: {}", answer.text());
    }
    eventually("the calls are settled", SOON, async || spent(&bench, "reader").await == (0.3, 0.0)).await;
    for key in ["ann", "bob"] {
        is_over(&ask(&bench, key, "dear").await);
        let other = ask(&bench, key, "other").await;
        assert_eq!(other.status, 200, "other models are not concerned: {}", other.text());
        let direct = ask(&bench, key, "up/m").await;
        assert_eq!(direct.status, 200, "nor is the target under its own name: {}", direct.text());
    }
    assert_eq!(spent(&bench, "reader").await, (0.3, 0.0));

    // What was spent is known after a restart, and the budget with it.
    let bench = bench.restart(&document(&sim, budget, true)).await;
    assert_eq!(spent(&bench, "reader").await, (0.3, 0.0));
    is_over(&ask(&bench, "bob", "dear").await);
    bench.reload(&document(&sim, ", budget: {usd: 0.45, per: day}", true));
    assert_eq!(ask(&bench, "bob", "dear").await.status, 200);
    is_over(&ask(&bench, "ann", "dear").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_comes_later_knows_what_was_spent_before() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, "", true)).await;
    for _ in 0..3 {
        assert_eq!(ask(&bench, "ann", "dear").await.status, 200);
    }
    let budget = ", budget: {usd: 0.35, per: day}";
    bench.reload(&document(&sim, budget, true));
    assert_eq!(spent(&bench, "reader").await, (0.3, 0.0));
    is_over(&ask(&bench, "bob", "dear").await);
    // The same document again counts nothing twice.
    bench.reload(&document(&sim, budget, true));
    assert_eq!(spent(&bench, "reader").await, (0.3, 0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_does_not_get_over_the_budget() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, ", budget: {usd: 0.55, per: total}", true)).await;
    let mut calls = JoinSet::new();
    let address = bench.address;
    for number in 0..40 {
        let headers = bearer(if number % 2 == 0 { "ann" } else { "bob" });
        let request = crate::support::post("/v1/chat/completions", &headers, &body("dear").to_string());
        calls.spawn(async move { crate::support::send(address, &request).await });
    }
    let answers = calls.join_all().await;
    let answered = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(answered, 5, "five times ten cents fit below 55");
    answers.iter().filter(|answer| answer.status != 200).for_each(is_over);
    assert_eq!(sim.stats().requests, 5, "the others were never asked");
    eventually("all is settled", SOON, async || spent(&bench, "reader").await == (0.5, 0.0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_without_a_key_are_settled_as_well() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim, ", budget: {usd: 0.25, per: day}", false)).await;
    // A caller who wants more than there is is refused before anybody is asked.
    let mut large = body("dear");
    large["max_tokens"] = json!(300);
    is_over(&bench.ask_with(Dialect::OpenAi, &large, "").await);
    assert_eq!(sim.stats().requests, 0);
    // A call may reserve more than it uses: what is left over is given back.
    large["max_tokens"] = json!(240);
    assert_eq!(bench.ask_with(Dialect::OpenAi, &large, "").await.status, 200);
    eventually("it is settled", SOON, async || spent(&bench, "").await == (0.1, 0.0)).await;
    // A call that fails gives back all of it.
    sim.set_fault("error-500".parse::<tradewind_sim::Injection>().unwrap()).unwrap();
    assert!(ask(&bench, "", "dear").await.status >= 500);
    sim.clear_fault();
    eventually("it is given back", SOON, async || spent(&bench, "").await == (0.1, 0.0)).await;
    // A caller who goes away in the middle owes what was sent, and reserves nothing any more.
    assert_eq!(ask(&bench, "", "dear").await.status, 200);
    is_over(&ask(&bench, "", "dear").await);
    let status = bench.send(&get("/api/v1/keys")).await;
    assert!(status.text().contains("\"models\""), "{}", status.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_without_a_price_is_not_asked_where_the_model_has_a_budget() {
    let sim = sim().await;
    let document = document(&sim, ", budget: {usd: 1, per: day}", false).replacen(&format!(", {PRICE}"), "", 1);
    let bench = Bench::start(&document.replace(PRICE, "region: eu")).await;
    let refused = ask(&bench, "", "dear").await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(
        refused.text().contains("has no price, and the key or the model has a budget in money"),
        "{}",
        refused.text()
    );
    assert_eq!(ask(&bench, "", "other").await.status, 200);
}
