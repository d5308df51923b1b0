//! What a provider was never asked costs nothing, and what it was asked is paid for, however the call ends.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tradewind_core::Dialect;
use tradewind_sim::{Delay, Sim, SimOptions};

use crate::support::{Bench, SOON, eventually, get, path, post, question};

async fn slow() -> Sim {
    let first_token = Delay::Fixed(Duration::from_secs(5));
    Sim::start(SimOptions { first_token, ..SimOptions::named("slow") }).await.unwrap()
}

fn provider(name: &str, sim: &Sim) -> String {
    let url = sim.base_url();
    format!("  - {{name: {name}, dialect: openai, base-url: \"{url}/v1\", api-key: k, discover: false}}\n")
}

/// Asks `model` and leaves without the answer, when `may_leave`.
async fn ask_and_leave(bench: &Bench, model: &str, may_leave: impl AsyncFn() -> bool) {
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    let body = question(Dialect::OpenAi, model, false).to_string();
    stream.write_all(&post(path(Dialect::OpenAi), "", &body)).await.unwrap();
    eventually("the call is where it was to be", SOON, may_leave).await;
}

fn cost(record: &Value) -> f64 {
    record["cost_usd"].as_f64().unwrap_or(0.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_the_queue_of_a_target_pays_nothing() {
    let sim = slow().await;
    let bench = Bench::start(&format!(
        "providers:\n{}models:\n  \
         - {{name: first, targets: [{{use: up/m, price: {{input: 1, output: 2}}, max-in-flight: 1}}]}}\n  \
         - {{name: second, targets: [{{use: up/m}}]}}\n",
        provider("up", &sim)
    ))
    .await;
    let target = bench.target("up/m");
    let first = bench.ask(Dialect::OpenAi, "first", false);
    let second = async {
        eventually("the first is under way", SOON, async || target.in_flight() == 1).await;
        ask_and_leave(&bench, "second", async || target.queued() == 1).await;
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first.status, 200, "{}", first.text());
    let record = bench.only_record("second").await;
    assert_eq!((&record["outcome"], cost(&record)), (&json!("client_gone"), 0.0), "{record}");
    assert!(cost(&bench.only_record("first").await) > 0.0);
    assert_eq!(sim.stats().requests, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_the_stop_of_the_gateway_cuts_off_is_paid_for() {
    let slow = SimOptions { first_token: Delay::Fixed(Duration::from_secs(60)), ..SimOptions::named("slow") };
    let sim = Sim::start(slow).await.unwrap();
    let yaml = format!(
        "providers:\n{}models:\n  - {{name: cut-off, targets: [{{use: up/m, price: {{input: 1, output: 2}}}}]}}\n",
        provider("up", &sim)
    );
    let bench = Bench::start(&yaml).await;
    let address = bench.address;
    let request = post(path(Dialect::OpenAi), "", &question(Dialect::OpenAi, "cut-off", false).to_string());
    let asking = async { crate::support::send(address, &request).await };
    let stopping = async {
        assert!(sim.wait_until(SOON, |stats| stats.in_flight == 1).await);
        bench.restart(&yaml).await
    };
    let (answer, bench) = tokio::join!(asking, stopping);
    assert_eq!(answer.status, 503, "{}", answer.text());
    let record = bench.only_record("cut-off").await;
    assert_eq!(record["fault"], json!("draining"), "{record}");
    assert!(cost(&record) > 0.0 && record["usage"]["estimated"] == json!(true), "{record}");
    let rows = bench.send(&get("/api/v1/spend")).await.json();
    assert_eq!(rows["rows"][0]["usd"], record["cost_usd"], "{rows}");
}
