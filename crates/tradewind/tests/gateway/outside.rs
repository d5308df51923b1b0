//! What others say about a target's load, as it gets to the target and is shown: the limits in a provider's headers, and
//! the numbers of a Prometheus, which are forgotten when nobody asks for them any more. What follows from them is tested
//! where it is decided, and with a real Prometheus in `tests/clients/test_prior.py`.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{Injection, Sim, SimOptions};

use crate::support::{Bench, SOON, eventually, find, get};

async fn target(bench: &Bench, id: &str) -> Value {
    let shown = bench.send(&get("/api/v1/targets")).await.json();
    let found = shown["targets"].as_array().unwrap().iter().find(|target| target["target"] == id).cloned();
    found.unwrap_or_else(|| panic!("no {id} in {shown}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_in_a_providers_headers_get_to_the_target() {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let sim = Sim::start(SimOptions::named("up")).await.unwrap();
        let base = if dialect == Dialect::OpenAi { "/v1" } else { "" };
        let bench = Bench::start(&format!(
            "providers: [{{name: up, dialect: {dialect}, base-url: \"{}{base}\", api-key: k, discover: false}}]\n\
             models:\n  - {{name: assistant, targets: [{{use: up/m}}, {{use: up/other}}], retry: {{attempts: 1}}}}\n",
            sim.base_url()
        ))
        .await;
        assert_eq!(bench.ask(dialect, "assistant", false).await.status, 200);
        assert_eq!(target(&bench, "up/m").await["quota"], Value::Null, "the provider says nothing");
        sim.set_fault("rate-limit-vendor:30s".parse::<Injection>().unwrap()).unwrap();
        assert_eq!(bench.ask(dialect, "up/m", false).await.status, 429);
        let quota = &target(&bench, "up/m").await["quota"];
        let (left, resets) = (quota["left"].as_f64().unwrap(), quota["resets_in_seconds"].as_f64().unwrap());
        assert!(left < 0.1, "{dialect}: nothing was left: {quota}");
        assert!((20.0..=31.0).contains(&resets), "{dialect}: {quota}");
        assert_eq!(target(&bench, "up/other").await["quota"], Value::Null, "it was about another target");
    }
}

/// A Prometheus that measures 2 whatever it is asked.
async fn prometheus(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        connections.spawn(async move {
            let body = r#"{"status":"success","data":{"resultType":"scalar","result":[1795132800,"2"]}}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut bytes = Vec::new();
            while matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                if find(&bytes, b"\r\n\r\n").is_some() {
                    bytes.clear();
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prometheus_says_is_kept_as_long_as_it_is_asked() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(prometheus(listener));
    let document = |queries: [&str; 2], interval: &str| {
        let [one, two] = queries.map(|query| match query {
            "" => String::new(),
            query => format!(", prometheus: {{query: \"{query}\"}}"),
        });
        format!(
            "providers: [{{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}]\n\
             prometheus: {{url: \"{url}\", interval: {interval}, timeout: {interval}}}\n\
             models:\n  - {{name: assistant, strategy: score, targets: [{{use: up/one{one}}}, {{use: up/two{two}}}]}}\n",
            sim.base_url()
        )
    };
    let bench = Bench::start(&document(["a", "b"], "4s")).await;
    let heard = async |id: &str| target(&bench, id).await["prior"]["age_s"].is_f64();
    let both = async || heard("up/one").await && heard("up/two").await;
    eventually("both are measured", SOON, both).await;
    let prior = &target(&bench, "up/one").await["prior"];
    assert_eq!(
        (&prior["state"], &prior["value"]),
        (&"blackout".into(), &1.0.into()),
        "not listened to at once: {prior}"
    );
    let status = bench.send(&get("/api/v1/status")).await.json();
    assert!(status["prometheus"]["samples"].as_u64().unwrap() >= 2, "{status}");
    assert_eq!(status["prometheus"]["failures"], 0, "{status}");

    // The same document again changes nothing; a target that is not asked about any more is forgotten at once.
    bench.reload(&document(["a", "b"], "4s"));
    assert!(both().await);
    bench.reload(&document(["a", ""], "4s"));
    assert!(heard("up/one").await);
    assert_eq!(target(&bench, "up/two").await["prior"], Value::Null);
    // So is one with another question, until it is answered, and every one whose samples come at another pace.
    bench.reload(&document(["c", "b"], "4s"));
    assert_eq!(target(&bench, "up/one").await["prior"], Value::Null);
    eventually("both are measured again", SOON, both).await;
    bench.reload(&document(["c", "b"], "5s"));
    assert_eq!(target(&bench, "up/one").await["prior"], Value::Null);
    eventually("both are measured at that pace", SOON, both).await;
}
