//! Ways around a key's limits that have been tried, and what one caller could do to the others.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use crate::support::{Answer, Bench, error_code, get, post, question, read_until};

const POOR: &str = "authorization: Bearer secret-of-poor-0123456789\r\n";

async fn sim(name: &str) -> Sim {
    Sim::start(SimOptions::named(name)).await.unwrap()
}

async fn poor(sim: &Sim) -> Bench {
    Bench::start(&format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{url}/v1\", discover: false, passthrough: true}}\n  \
         - {{name: claude, dialect: anthropic, base-url: \"{url}\", discover: false}}\n\
         models:\n  - {{name: chat, targets: [{{use: up/m, price: {{input: 1, output: 1000}}, max-output: 20}}]}}\n  \
         - {{name: messages, targets: [{{use: claude/m, price: {{input: 1, output: 1000}}}}]}}\n\
         keys:\n  - {{name: poor, secret: secret-of-poor-0123456789, budget: {{usd: 0.1, per: day}}}}\n  \
         - {{name: counted, secret: secret-of-counted-0123456789, tpm: 1000}}\n",
        url = sim.base_url()
    ))
    .await
}

fn code(answer: &Answer, dialect: Dialect) -> Option<String> {
    error_code(&answer.json(), dialect)
}

/// 0.1 dollars are 100 answer tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_back_is_the_most_that_the_answer_may_be() {
    let sim = sim("up").await;
    let bench = poor(&sim).await;
    for (limits, status) in [
        (json!({"max_tokens": 10}), 200),
        (json!({"max_completion_tokens": 0, "max_tokens": 10_000}), 429),
        (json!({"max_tokens": 0, "max_completion_tokens": 10_000}), 429),
        (json!({"max_output_tokens": 0, "max_tokens": 10_000}), 429),
        (json!({"max_output_tokens": 0, "n": 50}), 429),
        (json!({"max_tokens": 10, "n": 50}), 429),
        (json!({"max_tokens": 1e6}), 400),
        (json!({"max_tokens": -1}), 400),
        (json!({"max_tokens": "10"}), 400),
        (json!({"Max_Tokens": 10_000, "max_tokens": 10}), 400),
        // Without a limit it is what the target is said to answer with at most.
        (json!({}), 200),
    ] {
        let mut body = question(Dialect::OpenAi, "chat", false);
        body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        let answer = bench.ask_with(Dialect::OpenAi, &body, POOR).await;
        assert_eq!(answer.status, status, "{limits}: {}", answer.text());
    }
    let mut body = question(Dialect::Anthropic, "messages", false);
    body["max_tokens"] = json!(10_000);
    body["max_completion_tokens"] = json!(0);
    let answer = bench.ask_with(Dialect::Anthropic, &body, POOR).await;
    assert_eq!((answer.status, code(&answer, Dialect::Anthropic).as_deref()), (429, Some("TW1020")));
    let prompts = json!({"model": "chat", "prompt": vec!["a"; 50], "max_tokens": 10});
    let answer = bench.send(&post("/v1/completions", POOR, &prompts.to_string())).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_bounded_and_have_one_spelling() {
    let sim = sim("up").await;
    let bench = poor(&sim).await;
    let long = format!("up/{}", "x".repeat(300));
    let answer = bench.ask(Dialect::OpenAi, &long, false).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    let body = question(Dialect::OpenAi, &long, false);
    let answer = bench.ask_with(Dialect::OpenAi, &body, POOR).await;
    assert_eq!((answer.status, code(&answer, Dialect::OpenAi).as_deref()), (400, Some("TW1002")), "{}", answer.text());
    let mut body = question(Dialect::OpenAi, "chat", false);
    body["Model"] = json!("dear");
    let answer = bench.ask_with(Dialect::OpenAi, &body, POOR).await;
    assert_eq!((answer.status, code(&answer, Dialect::OpenAi).as_deref()), (400, Some("TW1002")), "{}", answer.text());
    assert_eq!(sim.stats().requests, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_passed_through_is_no_way_around() {
    let sim = sim("up").await;
    let bench = poor(&sim).await;
    let counted = "authorization: Bearer secret-of-counted-0123456789\r\n";
    let body = question(Dialect::OpenAi, "chat", false).to_string();
    for path in ["/v1/files/../chat/completions", "/v1/files/%2e%2e/chat/completions", "/v1//chat/completions"] {
        let answer = bench.send(&post(path, counted, &body)).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    for path in ["/v1/chat/completions/", "/v1/Chat/Completions", "/v1/chat%2Fcompletions"] {
        let answer = bench.send(&post(path, counted, &body)).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    let answer = bench.send(&post("/v1/audio/speech", counted, &body)).await;
    assert_eq!((answer.status, code(&answer, Dialect::OpenAi).as_deref()), (403, Some("TW1017")));
    let answer = bench.send(&post("/v1/audio/speech", POOR, &body)).await;
    assert_eq!((answer.status, code(&answer, Dialect::OpenAi).as_deref()), (403, Some("TW1017")), "{}", answer.text());
    assert_eq!(sim.stats().requests, 0);
}

fn open(sim: &Sim) -> String {
    format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false, \
         passthrough: true}}\nmodels:\n  - {{name: assistant, targets: [{{use: up/m}}]}}\n",
        sim.base_url()
    )
}

/// Neither a path that the provider does not have nor a key that it does not accept there takes the provider away from
/// those who ask for something else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_a_provider_lacks_says_nothing_about_its_health_or_its_key() {
    for fault in [None, Some("error-401"), Some("error-403")] {
        let options = SimOptions { responses: false, ..SimOptions::named("up") };
        let sim = Sim::start(options).await.unwrap();
        let bench = Bench::start(&open(&sim)).await;
        let headers = fault.map(|fault| format!("x-sim-fault: {fault}\r\n")).unwrap_or_default();
        for _ in 0..8 {
            let hosted = json!({"model": "assistant", "input": "x", "tools": [{"type": "web_search"}]});
            let answer = bench.send(&post("/v1/responses", &headers, &hosted.to_string())).await;
            assert_eq!(answer.status, 400, "{fault:?}: {}", answer.text());
            let said = answer.json();
            assert_eq!(error_code(&said, Dialect::OpenAi).as_deref(), Some("TW1014"), "{said}");
            assert!(said["error"]["param"].as_str().unwrap().starts_with("tools"), "{said}");
            let count = question(Dialect::Anthropic, "assistant", false).to_string();
            let answer = bench.send(&post("/v1/messages/count_tokens", &headers, &count)).await;
            assert_eq!(answer.status, 200, "{fault:?}: {}", answer.text());
        }
        let answer = bench.ask(Dialect::OpenAi, "assistant", false).await;
        assert_eq!(answer.status, 200, "{fault:?}: {}", answer.text());
        let targets = bench.send(&get("/api/v1/targets")).await.json();
        assert_eq!(targets["targets"][0]["state"], "ready", "{targets}");
    }
}

/// A provider that answers once, without a body: no simulated provider does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_body_passes_through() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let yaml = format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{url}\", discover: false, passthrough: true}}\n"
    );
    let bench = Bench::start(&yaml).await;
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
    };
    let delete = String::from_utf8(post("/v1/files/f", "", "")).unwrap().replacen("POST", "DELETE", 1);
    let (answer, ()) = tokio::join!(bench.send(delete.as_bytes()), answering);
    assert_eq!((answer.status, answer.body.len()), (204, 0), "{}", answer.text());
    assert_eq!(bench.record(&answer).await["outcome"], "ok");
}
