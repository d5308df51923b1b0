//! `GET /api/v1/targets`: each state of a target, brought about by its provider, and what else is shown.

use std::time::Duration;

use serde_json::{Value, json};
use tradewind_core::Dialect;
use tradewind_decide::HealthSettings;
use tradewind_sim::{Delay, Sim, SimFault, SimOptions};

use crate::support::{Answer, Bench, SOON, eventually, get};

async fn sim(name: &str) -> Sim {
    Sim::start(SimOptions::named(name)).await.unwrap()
}

fn provider(name: &str, sim: &Sim, keys: &str) -> String {
    let url = sim.base_url();
    format!("  - {{name: {name}, dialect: openai, base-url: \"{url}/v1\", {keys}, discover: false}}\n")
}

async fn shown(bench: &Bench) -> Vec<Value> {
    let answer = bench.send(&get("/api/v1/targets")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["targets"].as_array().unwrap().clone()
}

async fn target(bench: &Bench, id: &str) -> Value {
    let all = shown(bench).await;
    all.iter().find(|target| target["target"] == id).unwrap_or_else(|| panic!("no {id} in {all:?}")).clone()
}

async fn chat(bench: &Bench, model: &str) -> Answer {
    bench.ask(Dialect::OpenAi, model, false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_target_is_shown_once_with_its_models_and_its_price() {
    let (one, two) = (sim("one").await, sim("two").await);
    let bench = Bench::start(&format!(
        "providers:\n{}{}models:\n  \
         - {{name: write, targets: [{{use: two/large, price: {{input: 3, output: 15, cached: 0.3, reasoning: 12}}}}, \
         {{use: one/small}}]}}\n  \
         - {{name: assistant, targets: [{{use: one/small, price: {{input: 0.5, output: 1.5}}}}, {{use: write}}]}}\n  \
         - {{name: plain, targets: [{{use: one/free}}]}}\n",
        provider("one", &one, "api-key: k"),
        provider("two", &two, "api-key: k")
    ))
    .await;
    let all = shown(&bench).await;
    let ids: Vec<&Value> = all.iter().map(|target| &target["target"]).collect();
    assert_eq!(ids, ["one/free", "one/small", "two/large"]);
    let models: Vec<&Value> = all.iter().map(|target| &target["models"]).collect();
    assert_eq!(models, [&json!(["plain"]), &json!(["assistant", "write"]), &json!(["assistant", "write"])]);
    assert_eq!(all[0]["price"], json!(null));
    assert_eq!((&all[1]["price"]["input"], &all[1]["price"]["output"]), (&json!(0.5), &json!(1.5)));
    assert_eq!((&all[1]["price"]["cached"], &all[1]["price"]["reasoning"]), (&json!(null), &json!(null)));
    assert_eq!((&all[2]["price"]["cached"], &all[2]["price"]["reasoning"]), (&json!(0.3), &json!(12.0)));
    for target in &all {
        let sim = if target["provider"] == "one" { &one } else { &two };
        assert_eq!(target["server"], json!(sim.address().to_string()));
        let expected = (&json!("ready"), &json!(null), &json!("openai"), &json!(0));
        assert_eq!((&target["state"], &target["for_seconds"], &target["dialect"], &target["samples"]), expected);
        assert_eq!(
            (&target["in_flight"], &target["queued"], &target["first_byte_ms"]),
            (&json!(0), &json!(0), &json!(null))
        );
    }
    assert_eq!(chat(&bench, "assistant").await.status, 200);
    let asked = target(&bench, "one/small").await;
    assert_eq!((&asked["samples"], &asked["error_rate"]), (&json!(1), &json!(0.0)), "{asked}");
    assert!(asked["first_byte_ms"].as_f64().unwrap() > 0.0, "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_fails_rests_is_probed_and_is_ready_again() {
    let sim = sim("up").await;
    let health = HealthSettings { open_time: Duration::from_secs(6), ..HealthSettings::default() };
    let yaml = format!(
        "providers:\n{}models:\n  - {{name: m, targets: [{{use: up/m}}]}}\n",
        provider("up", &sim, "api-key: k")
    );
    let bench = Bench::start_judging(&yaml, health).await;
    sim.set_fault(SimFault::Error400).unwrap();
    for _ in 0..6 {
        assert_eq!(chat(&bench, "m").await.status, 400);
    }
    assert_eq!(
        target(&bench, "up/m").await["state"],
        json!("ready"),
        "a request that is refused says nothing of health"
    );
    sim.set_fault(SimFault::Error500).unwrap();
    eventually("it rests", SOON, async || {
        chat(&bench, "m").await;
        target(&bench, "up/m").await["state"] == "resting"
    })
    .await;
    let resting = target(&bench, "up/m").await;
    let left = resting["for_seconds"].as_f64().unwrap();
    // The time is spread a little, so that not all instances come back at once.
    assert!(left > 0.0 && left < 8.0, "{resting}");
    assert!(resting["error_rate"].as_f64().unwrap() > 0.0, "{resting}");
    let before = sim.stats().requests;
    let refused = chat(&bench, "m").await;
    assert!(refused.status == 503 && refused.header("retry-after").is_some(), "{}", refused.text());
    assert_eq!(sim.stats().requests, before);

    sim.clear_fault();
    eventually("it is probed", SOON, async || target(&bench, "up/m").await["state"] == "probing").await;
    assert_eq!(target(&bench, "up/m").await["for_seconds"], json!(null));
    eventually("it is ready", SOON, async || {
        assert_eq!(chat(&bench, "m").await.status, 200);
        target(&bench, "up/m").await["state"] == "ready"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_whose_keys_are_refused_or_limited_says_so() {
    let keyed = SimOptions { keys: Some(vec!["right".to_owned()]), ..SimOptions::named("keyed") };
    let (keyed, limited) = (Sim::start(keyed).await.unwrap(), sim("limited").await);
    let bench = Bench::start(&format!(
        "providers:\n{}{}{}models:\n  - {{name: refused, targets: [{{use: refused/m}}]}}\n  \
         - {{name: same, targets: [{{use: refused/other}}]}}\n  \
         - {{name: one-of-two, retry: {{attempts: 2}}, targets: [{{use: some/m}}]}}\n  \
         - {{name: limited, retry: {{attempts: 1}}, targets: [{{use: limited/m}}]}}\n  \
         - {{name: unlimited, targets: [{{use: limited/other}}]}}\n",
        provider("refused", &keyed, "api-key: wrong"),
        provider("some", &keyed, "api-keys: [wrong, right]"),
        provider("limited", &limited, "api-key: k")
    ))
    .await;
    let state = async |id: &str| target(&bench, id).await["state"].as_str().unwrap().to_owned();
    chat(&bench, "refused").await;
    assert_eq!(
        (state("refused/m").await.as_str(), state("refused/other").await.as_str()),
        ("keys-resting", "keys-resting")
    );
    assert_eq!(target(&bench, "refused/m").await["error_rate"], json!(0.0), "a key is no sign of ill health");
    assert_eq!(chat(&bench, "one-of-two").await.status, 200);
    assert_eq!(state("some/m").await, "ready", "one of its keys is good");

    limited.set_fault(SimFault::RateLimitSeconds.with("30s").unwrap()).unwrap();
    assert_eq!(chat(&bench, "limited").await.status, 429);
    let states = (state("limited/m").await, state("limited/other").await);
    assert_eq!((states.0.as_str(), states.1.as_str()), ("keys-resting", "ready"), "a limit is that of one model");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_with_no_place_left_is_full_until_a_call_ends() {
    let slow = SimOptions { first_token: Delay::Fixed(Duration::from_secs(4)), ..SimOptions::named("slow") };
    let sim = Sim::start(slow).await.unwrap();
    let bench = Bench::start(&format!(
        "providers:\n{}models:\n  - {{name: m, targets: [{{use: up/m, max-in-flight: 2, max-queue: 5}}]}}\n",
        provider("up", &sim, "api-key: k")
    ))
    .await;
    let looking = async {
        eventually("it is full", SOON, async || {
            let target = target(&bench, "up/m").await;
            target["state"] == "full" && target["queued"] == 1
        })
        .await;
        let full = target(&bench, "up/m").await;
        assert_eq!((&full["in_flight"], &full["for_seconds"]), (&json!(2), &json!(null)), "{full}");
        assert!(full["tokens_in_flight"].as_u64().unwrap() > 0, "{full}");
    };
    let (one, two, three, ()) = tokio::join!(chat(&bench, "m"), chat(&bench, "m"), chat(&bench, "m"), looking);
    assert_eq!((one.status, two.status, three.status), (200, 200, 200));
    let free = target(&bench, "up/m").await;
    assert_eq!(
        (&free["state"], &free["in_flight"], &free["tokens_in_flight"]),
        (&json!("ready"), &json!(0), &json!(0))
    );
}
