//! Streams that quality gates hold back, and that end badly before they are released: what the target has said by then is
//! charged, however they end; and hedging goes by the first event of a target, not by the release.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tradewind_decide::HealthSettings;
use tradewind_sim::{Injection, ScriptedAnswer, ScriptedUsage, Sim, SimOptions};

use crate::support::{Answer, Bench, SOON, eventually, get, post, send};

/// A dollar for each token: costs and tokens are the same number.
const PRICE: &str = "price: {input: 1000000, output: 1000000}";
const QUESTION: &str = "Which way does the wind blow?";
const HELD: &str = "quality: {empty: true, stream: whole}";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Chat,
    Messages,
    Responses,
}

impl Wire {
    const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Responses];

    /// The provider that speaks it.
    const fn provider(self) -> &'static str {
        if matches!(self, Self::Messages) { "a" } else { "o" }
    }

    /// A question whose answer is a stream.
    fn asking(self, model: &str) -> Vec<u8> {
        let messages = json!([{"role": "user", "content": QUESTION}]);
        let (path, body) = match self {
            // Without `include_usage`: what was used is for the gateway to find out.
            Self::Chat => ("/v1/chat/completions", json!({"model": model, "stream": true, "messages": messages})),
            Self::Messages => {
                ("/v1/messages", json!({"model": model, "stream": true, "max_tokens": 500, "messages": messages}))
            }
            Self::Responses => {
                ("/v1/responses", json!({"model": model, "stream": true, "store": false, "input": messages}))
            }
        };
        post(path, "", &body.to_string())
    }
}

/// A provider whose model `slow` says 25 pieces of ten letters, one each 20 ms, `endless` a thousand of them, and whose
/// model `good` says three words.
async fn provider() -> Sim {
    paced_provider(50.0).await
}

/// The same, with so many pieces a second.
async fn paced_provider(pace: f64) -> Sim {
    let sim = Sim::start(SimOptions { tokens_per_second: Some(pace), ..SimOptions::named("up") }).await.unwrap();
    let usage = ScriptedUsage { input: 100, output: 63, ..ScriptedUsage::default() };
    for (model, pieces) in [("slow", 25), ("endless", 1000)] {
        let chunks: Vec<String> = (0..pieces).map(|piece| format!("piece {piece:03} ")).collect();
        sim.script(model, ScriptedAnswer { chunks: Some(chunks), usage, ..ScriptedAnswer::default() }).unwrap();
    }
    sim.script("good", ScriptedAnswer { piece: 50, usage, ..ScriptedAnswer::text("From the north.") }).unwrap();
    sim
}

/// The same provider under two names: `o` speaks chat completions and responses, `a` messages.
fn providers(sim: &Sim) -> String {
    let url = sim.base_url();
    format!(
        "providers:\n  - {{name: o, dialect: openai, base-url: \"{url}/v1\", api-key: k, discover: false}}\n  \
         - {{name: a, dialect: anthropic, base-url: \"{url}\", api-key: k, discover: false}}\nmodels:\n"
    )
}

async fn ask(bench: &Bench, wire: Wire, model: &str) -> Answer {
    bench.send(&wire.asking(model)).await
}

/// Prompt and answer tokens that `source`, a record or an attempt of one, has for them.
fn tokens(source: &Value) -> [u64; 2] {
    ["input", "output"].map(|field| source["usage"][field].as_u64().unwrap_or(0))
}

/// What was counted for an attempt that had said more than nothing: question and answer.
fn assert_said(attempt: &Value, what: &str) {
    let [input, output] = tokens(attempt);
    assert!(input > 0 && output > 0, "{what}: {attempt}");
    // The provider's own count comes with the end, if it comes.
    let is_counted = what.ends_with("no-terminal") && [input, output] == [100, 63];
    assert_eq!(attempt["usage"]["estimated"], json!(!is_counted), "{what}: {attempt}");
    assert_eq!(attempt["cost_usd"].as_f64(), Some((input + output) as f64), "{what}: {attempt}");
}

/// The record of the call has what its attempts have, and no other cost.
fn assert_adds_up(record: &Value, what: &str) {
    let attempts = record["attempts"].as_array().unwrap();
    let sum = attempts.iter().map(tokens).fold([0, 0], |sum, more| [sum[0] + more[0], sum[1] + more[1]]);
    assert_eq!(tokens(record), sum, "{what}: {record}");
    assert_eq!(record["cost_usd"].as_f64(), Some((sum[0] + sum[1]) as f64), "{what}: {record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_stream_that_ends_badly_is_charged_as_far_as_it_had_come() {
    const CASES: [(&str, &str); 8] = [
        ("mid-stream-cut:4", "cut"),
        ("mid-stream-reset:4", "cut"),
        ("chunked-bad-size:4", "cut"),
        ("no-terminal", "cut"),
        ("malformed-event:4", "bad_event"),
        ("error-event-later:4", "error_event"),
        ("stall:@4", "first_token_timeout"),
        ("", "total_timeout"),
    ];
    let sim = provider().await;
    let mut yaml = providers(&sim);
    for (number, (fault, _)) in CASES.iter().enumerate() {
        for provider in ["o", "a"] {
            // Short where it is to pass.
            let (idle, total, target) = match *fault {
                "" => ("3s", "3s", "endless".to_owned()),
                "stall:@4" => ("2s", "18s", format!("slow!{fault}")),
                _ => ("15s", "18s", format!("slow!{fault}")),
            };
            yaml.push_str(&format!(
                "  - {{name: {provider}-{number}, {HELD}, timeouts: {{idle: {idle}, total: {total}}}, \
                 targets: [{{use: \"{provider}/{target}\", {PRICE}}}, {{use: {provider}/good, {PRICE}}}]}}\n"
            ));
        }
    }
    let bench = Bench::start(&yaml).await;
    for wire in Wire::ALL {
        for (number, (fault, kind)) in CASES.iter().enumerate() {
            let what = format!("{wire:?} {fault}");
            let answer = ask(&bench, wire, &format!("{}-{number}", wire.provider())).await;
            let record = bench.record(&answer).await;
            let attempts = record["attempts"].as_array().unwrap();
            // The provider has the same words for an error in each format; they are no event of a response.
            let is_strange = wire == Wire::Responses && *kind == "error_event";
            let kind = if is_strange { "bad_event" } else { *kind };
            assert_eq!(attempts[0]["fault"], json!(kind), "{what}: {record}");
            assert!(!answer.text().contains("piece"), "{what}: {}", answer.text());
            let is_over = kind == "total_timeout";
            assert_eq!((attempts.len(), answer.status), if is_over { (1, 504) } else { (2, 200) }, "{what}: {record}");
            // What a single attempt used, stands in the record alone.
            let held = if is_over { &record } else { &attempts[0] };
            assert_said(held, &what);
            // Four pieces of ten letters at four letters a token, whatever chunks they came in.
            if fault.ends_with('4') {
                assert_eq!(tokens(held)[1], 10, "{what}: {record}");
            }
            if !is_over {
                assert_adds_up(&record, &what);
            }
            // Whose answer it is, is what the answer says that was given.
            let model = record["response_model"].as_str().unwrap_or_default();
            assert!(!model.contains("slow") && !model.contains("endless"), "{what}: {record}");
        }
    }
    bench.is_back_at_baseline(&[&sim]).await;
}

/// However much of it comes in one piece, with what ends it in the same piece.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_ends_badly_in_its_first_piece_is_charged_too() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let chunks: Vec<String> = (0..25).map(|piece| format!("piece {piece:03} ")).collect();
    sim.script("fast", ScriptedAnswer { chunks: Some(chunks), ..ScriptedAnswer::default() }).unwrap();
    let mut yaml = providers(&sim);
    for (name, gates) in [("held", HELD), ("free", "timeouts: {total: 5s}")] {
        yaml.push_str(&format!(
            "  - {{name: {name}, {gates}, retry: {{attempts: 1}}, targets: [{{use: \"o/fast!error-event-later:4\", {PRICE}}}]}}\n"
        ));
    }
    let bench = Bench::start(&yaml).await;
    for name in ["held", "free"] {
        let record = bench.record(&ask(&bench, Wire::Chat, name).await).await;
        assert_eq!(record["fault"], json!("error_event"), "{record}");
        assert_eq!(tokens(&record)[1], 10, "{record}");
        assert_said(&record, name);
    }
}

/// What is not yet a part of an answer says nothing about what was used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_in_place_of_an_answer_is_not_charged() {
    let sim = provider().await;
    let bench = Bench::start(&format!(
        "{}  - {{name: m, {HELD}, targets: [{{use: \"o/slow!error-event-first\", {PRICE}}}, {{use: o/good, {PRICE}}}]}}\n",
        providers(&sim)
    ))
    .await;
    let record = bench.record(&ask(&bench, Wire::Chat, "m").await).await;
    assert_eq!(record["attempts"][0]["fault"], json!("error_event"), "{record}");
    assert_eq!(record["attempts"][0]["usage"], Value::Null, "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_before_the_release_pays_for_what_was_said() {
    let sim = provider().await;
    let mut yaml = providers(&sim);
    for wire in Wire::ALL {
        for hedge in ["", ", hedge: {after: 10s}"] {
            let (name, provider) = (name_of(wire, hedge), wire.provider());
            yaml.push_str(&format!(
                "  - {{name: {name}, {HELD}{hedge}, targets: [{{use: \"{provider}/slow!stall:@4\", {PRICE}}}, \
                 {{use: {provider}/good, {PRICE}}}]}}\n"
            ));
        }
    }
    let bench = Bench::start(&yaml).await;
    for wire in Wire::ALL {
        let target = bench.target(&format!("{}/slow!stall:@4", wire.provider()));
        for hedge in ["", ", hedge: {after: 10s}"] {
            let name = name_of(wire, hedge);
            let heard = || latency(&bench, &target);
            let before = heard();
            let mut caller = TcpStream::connect(bench.address).await.unwrap();
            caller.write_all(&wire.asking(&name)).await.unwrap();
            eventually("an event has come", SOON, async || heard() != before).await;
            drop(caller);
            let record = bench.only_record(&name).await;
            assert_eq!(record["outcome"], json!("client_gone"), "{record}");
            assert_said(&record, &name);
        }
    }
    // The book has it too.
    let rows = bench.send(&get("/api/v1/spend?by=target")).await.json();
    assert!(rows["rows"].as_array().unwrap().iter().all(|row| row["output"].as_u64() > Some(0)), "{rows}");
    bench.is_back_at_baseline(&[&sim]).await;
}

fn name_of(wire: Wire, hedge: &str) -> String {
    let hedged = if hedge.is_empty() { "alone" } else { "hedged" };
    format!("{hedged}-{wire:?}").to_lowercase()
}

/// The mean time to the first event of this target, as its health has it.
fn latency(bench: &Bench, target: &tradewind_runtime::Target) -> Option<Duration> {
    let now = bench.gateway.models().needs().services.clock.now();
    target.view(&HealthSettings::default(), now).ttft_mean
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_held_is_not_hedged() {
    let sim = paced_provider(6.0).await;
    let targets = format!("targets: [{{use: o/slow, {PRICE}}}, {{use: o/good, {PRICE}}}]");
    let bench = Bench::start(&format!(
        "{}  - {{name: fixed, {HELD}, hedge: {{after: 2s, at-most: 3}}, {targets}}}\n  \
         - {{name: plain, {HELD}, {targets}}}\n  \
         - {{name: usual, {HELD}, hedge: {{after: p95}}, {targets}}}\n",
        providers(&sim)
    ))
    .await;
    // Its first event comes at once, its end after four seconds: twice the time of the hedge.
    let answer = ask(&bench, Wire::Chat, "fixed").await;
    let record = bench.record(&answer).await;
    assert!(answer.took > Duration::from_secs(3), "{:?}", answer.took);
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    // As many as it takes until the usual time is known: a second and a half, of five and a half to the release.
    sim.set_fault("slow-first-token:1500ms".parse::<Injection>().unwrap()).unwrap();
    let target = bench.target("o/slow");
    let mut asking = JoinSet::new();
    for _ in 0..40 {
        let address = bench.address;
        asking.spawn(async move { send(address, &Wire::Chat.asking("plain")).await });
    }
    for answer in asking.join_all().await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let late = target.first_byte_quantile(0.95).unwrap();
    assert!(late > Duration::from_secs(1) && late < Duration::from_secs(4), "{late:?}");
    assert!(latency(&bench, &target).unwrap() < Duration::from_secs(4), "{:?}", latency(&bench, &target));
    // At once again, and released long after what is usual for a first event.
    sim.clear_fault();
    let answer = ask(&bench, Wire::Chat, "usual").await;
    let record = bench.record(&answer).await;
    assert!(answer.took > Duration::from_secs(3), "{:?}", answer.took);
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    bench.is_back_at_baseline(&[&sim]).await;
}

/// The first begins late, after its hedge was sent, and is held; the hedge is released first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_stream_that_loses_is_charged_and_does_not_look_slower_than_it_is() {
    let sim = paced_provider(5.0).await;
    let mut yaml = providers(&sim);
    for provider in ["o", "a"] {
        yaml.push_str(&format!(
            "  - {{name: {provider}-m, {HELD}, hedge: {{after: 100ms}}, targets: [\
             {{use: \"{provider}/slow!slow-first-token:1200ms\", {PRICE}}}, \
             {{use: \"{provider}/good!slow-first-token:3900ms\", {PRICE}}}]}}\n"
        ));
    }
    let bench = Bench::start(&yaml).await;
    for wire in Wire::ALL {
        let answer = ask(&bench, wire, &format!("{}-m", wire.provider())).await;
        assert!(answer.text().contains("From the north."), "{wire:?}: {}", answer.text());
        let record = bench.record(&answer).await;
        let attempts = record["attempts"].as_array().unwrap();
        let ends: Vec<Value> = attempts.iter().map(|one| json!([one["outcome"], one["fault"], one["hedge"]])).collect();
        assert_eq!(ends, [json!(["cancelled", "lost_hedge", false]), json!(["ok", null, true])], "{record}");
        assert_said(&attempts[0], &format!("{wire:?}"));
        assert_adds_up(&record, &format!("{wire:?}"));
        // It was given up after some 4000 ms; its first event came after a third of that.
        let target = bench.target(&format!("{}/slow!slow-first-token:1200ms", wire.provider()));
        let mean = latency(&bench, &target).unwrap();
        assert!((1100..3900).contains(&mean.as_millis()), "{wire:?}: {mean:?} {record}");
    }
    bench.is_back_at_baseline(&[&sim]).await;
}

/// A hedge is sent where the first attempt has shown no event, whatever the gates; and one that fails its gate while the
/// other still waits is no end of the call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_judge_both_attempts_of_a_hedged_call() {
    let sim = provider().await;
    sim.script("refuses", ScriptedAnswer::text("I'm sorry, but I can't help with that.")).unwrap();
    let bench = Bench::start(&format!(
        "{}  - {{name: m, quality: {{refusal: true}}, hedge: {{after: 50ms}}, targets: [\
         {{use: \"o/good!slow-first-token:4s\", {PRICE}}}, {{use: o/refuses, {PRICE}}}]}}\n",
        providers(&sim)
    ))
    .await;
    let answer = ask(&bench, Wire::Chat, "m").await;
    assert!(answer.text().contains("From the north.") && !answer.text().contains("sorry"), "{}", answer.text());
    let record = bench.record(&answer).await;
    let attempts = record["attempts"].as_array().unwrap();
    let ends: Vec<Value> = attempts.iter().map(|one| json!([one["outcome"], one["fault"], one["hedge"]])).collect();
    assert_eq!(ends, [json!(["ok", null, false]), json!(["failed", "quality", true])], "{record}");
    assert_adds_up(&record, "refused");
    bench.is_back_at_baseline(&[&sim]).await;
}
