//! What users ask for when nothing is wrong: providers of all kinds, paths that the gateway does not know, names,
//! selections, hedging by what is usual.

use std::time::Duration;

use serde_json::json;
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimFault, SimOptions, TlsOptions};

use crate::support::{Answer, Bench, SOON, Terminal, error_code, eventually, get, post, question, terminal};

async fn sim(name: &str) -> Sim {
    Sim::start(SimOptions::named(name)).await.unwrap()
}

fn put(path: &str, body: &str) -> Vec<u8> {
    let request = String::from_utf8(post(path, "", body)).unwrap();
    request.replacen("POST", "PUT", 1).into_bytes()
}

async fn chat(bench: &Bench, model: &str) -> Answer {
    bench.ask(Dialect::OpenAi, model, false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_like_azure_gets_its_key_its_query_and_its_paths() {
    let sim = sim("azure").await;
    let bench = Bench::start(&format!(
        "providers:\n  - {{name: azure, dialect: openai, base-url: \"{}/v1\", auth: api-key, api-key: top, \
         query: {{api-version: \"2024-10-21\"}}, headers: {{x-team: build}}, discover: false, \
         path: {{embeddings: \"/deployments/{{model}}/embeddings\"}}}}\n\
         models:\n  - {{name: assistant, targets: [{{use: \"azure/gpt 5\"}}]}}\n",
        sim.base_url()
    ))
    .await;
    let body = question(Dialect::OpenAi, "assistant", false).to_string();
    let headers = "authorization: Bearer of-the-caller\r\nx-team: somebody-else\r\nx-kept: yes\r\n";
    let answer = bench.send(&post("/v1/chat/completions", headers, &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    bench.send(&post("/v1/embeddings", "", &json!({"model": "assistant", "input": "x"}).to_string())).await;

    let seen = sim.requests();
    let call = &seen[0];
    assert_eq!(call.path, "/v1/chat/completions?api-version=2024-10-21");
    assert_eq!((call.header("api-key"), call.header("authorization")), (Some("top"), None));
    assert_eq!((call.header("x-team"), call.header("x-kept")), (Some("build"), Some("yes")));
    assert_eq!(call.header("accept-encoding"), Some("identity"));
    assert!(call.body.contains("\"gpt 5\""), "{}", call.body);
    assert_eq!(seen[1].path, "/v1/deployments/gpt%205/embeddings?api-version=2024-10-21");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_paths_pass_to_a_provider_that_takes_them() {
    let (closed, open) = (sim("closed").await, sim("open").await);
    let provider = |name: &str, sim: &Sim, more: &str| {
        let url = sim.base_url();
        format!("  - {{name: {name}, dialect: openai, base-url: \"{url}/v1\", api-key: k, discover: false{more}}}\n")
    };
    let yaml =
        format!("providers:\n{}{}", provider("closed", &closed, ""), provider("open", &open, ", passthrough: true"));
    let bench = Bench::start(&yaml).await;
    let answer = bench.send(&post("/v1/audio/speech?voice=a", "", "not JSON at all")).await;
    assert_eq!(
        (answer.status, answer.header("x-tradewind-target")),
        (200, Some("open/passthrough")),
        "{}",
        answer.text()
    );
    assert_eq!(bench.record(&answer).await["operation"], json!("passthrough"));
    let answer = bench.send(&get("/v1/files")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    let seen = open.requests();
    assert_eq!((seen[0].path.as_str(), seen[0].body.as_str()), ("/v1/audio/speech?voice=a", "not JSON at all"));
    assert_eq!((seen[1].method.as_str(), seen[1].header("authorization")), ("GET", Some("Bearer k")));
    assert_eq!(closed.stats().requests, 0);

    let bench = Bench::start(&format!("providers:\n{}", provider("closed", &closed, ""))).await;
    let answer = bench.send(&post("/v1/audio/speech", "", "{}")).await;
    assert_eq!((answer.status, error_code(&answer.json(), Dialect::OpenAi).as_deref()), (404, Some("TW1004")));
    assert!(answer.text().contains("/v1/chat/completions"), "it says what is served: {}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_moves_by_the_api_and_outlives_a_reload() {
    let (first, second) = (sim("first").await, sim("second").await);
    let yaml = format!(
        "providers:\n  - {{name: a, dialect: openai, base-url: \"{}/v1\", discover: false}}\n  \
         - {{name: b, dialect: openai, base-url: \"{}/v1\", discover: false}}\n\
         models:\n  - {{name: private, strategy: select, targets: [{{use: a/m}}, {{use: b/m}}]}}\n",
        first.base_url(),
        second.base_url()
    );
    let bench = Bench::start(&yaml).await;
    let answered = async |bench: &Bench| chat(bench, "private").await.header("x-tradewind-target").map(str::to_owned);
    assert_eq!(answered(&bench).await.as_deref(), Some("a/m"));
    let moved = bench.send(&put("/api/v1/models/private/selected", r#"{"selected": "b/m"}"#)).await;
    assert_eq!(moved.status, 200, "{}", moved.text());
    assert_eq!(answered(&bench).await.as_deref(), Some("b/m"));
    bench.reload(&yaml.replace("name: private,", "name: private, timeouts: {total: 9s},"));
    assert_eq!(answered(&bench).await.as_deref(), Some("b/m"));

    for (path, body, status) in [
        ("/api/v1/models/private/selected", r#"{"selected": "c/m"}"#, 404),
        ("/api/v1/models/nobody/selected", r#"{"selected": "b/m"}"#, 404),
        ("/api/v1/models/private/selected", r#"{"selected": 7}"#, 400),
        ("/api/v1/models/private/selected", "{", 400),
    ] {
        assert_eq!(bench.send(&put(path, body)).await.status, status, "{path} {body}");
    }
    // It never falls back by itself.
    second.set_fault(SimFault::Error400).unwrap();
    let before = first.stats().requests;
    assert_eq!(chat(&bench, "private").await.status, 400);
    assert_eq!(first.stats().requests, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_providers_tell_can_be_asked_for_when_they_are_unique() {
    let with = |name: &str, models: [&str; 2]| {
        Sim::start(SimOptions { models: models.map(str::to_owned).to_vec(), ..SimOptions::named(name) })
    };
    let one = with("one", ["shared", "only-one"]).await.unwrap();
    let two = with("two", ["shared", "only-two"]).await.unwrap();
    let bench = Bench::start(&format!(
        "providers:\n  - {{name: one, dialect: openai, base-url: \"{}/v1\"}}\n  \
         - {{name: two, dialect: openai, base-url: \"{}/v1\"}}\n",
        one.base_url(),
        two.base_url()
    ))
    .await;
    bench.gateway.keep_discovering();
    eventually("the models are listed", SOON, async || {
        bench.send(&get("/v1/models")).await.text().contains("two/only-two")
    })
    .await;
    assert_eq!(chat(&bench, "only-two").await.header("x-tradewind-target"), Some("two/only-two"));
    assert_eq!(chat(&bench, "one/shared").await.header("x-tradewind-target"), Some("one/shared"));
    let answer = chat(&bench, "shared").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("`one/shared` or `two/shared`"), "{}", answer.text());
    assert!(chat(&bench, "only-tow").await.text().contains("did you mean `only-two`?"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hedge_after_p95_waits_for_what_is_usual() {
    let (usual, backup) = (sim("usual").await, sim("backup").await);
    let bench = Bench::start(&format!(
        "providers:\n  - {{name: usual, dialect: openai, base-url: \"{}/v1\", discover: false}}\n  \
         - {{name: backup, dialect: openai, base-url: \"{}/v1\", discover: false}}\n\
         models:\n  - {{name: hedged, hedge: {{after: p95}}, targets: [{{use: usual/m}}, {{use: backup/m}}]}}\n",
        usual.base_url(),
        backup.base_url()
    ))
    .await;
    // Too few calls are known: whatever comes is waited for.
    usual.set_fault("slow-first-token:300ms".parse::<tradewind_sim::Injection>().unwrap()).unwrap();
    let answer = bench.ask(Dialect::OpenAi, "hedged", true).await;
    assert_eq!(answer.header("x-tradewind-target"), Some("usual/m"));
    usual.clear_fault();
    for _ in 0..60 {
        assert_eq!(bench.ask(Dialect::OpenAi, "hedged", true).await.status, 200);
    }
    usual.set_fault("slow-first-token:15s".parse::<tradewind_sim::Injection>().unwrap()).unwrap();
    let answer = bench.ask(Dialect::OpenAi, "hedged", true).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::Success);
    assert_eq!(answer.header("x-tradewind-target"), Some("backup/m"));
    assert!(answer.took < Duration::from_secs(10), "{:?}", answer.took);
    let record = bench.record(&answer).await;
    assert_eq!(record["attempts"][0]["fault"], json!("lost_hedge"), "{record}");
    assert_eq!(record["attempts"][1]["hedge"], json!(true), "{record}");
    bench.is_back_at_baseline(&[&usual, &backup]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_may_be_held_to_http_1() {
    let options = SimOptions { tls: Some(TlsOptions { http2: true }), ..SimOptions::named("tls") };
    let sim = Sim::start(options).await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let roots = folder.path().join("ca.pem");
    #[expect(clippy::disallowed_methods, reason = "the test's own file")]
    std::fs::write(&roots, sim.ca_pem().unwrap()).unwrap();
    for (http2, is_http1) in [("auto", false), ("prior-knowledge", false), ("never", true)] {
        let bench = Bench::start(&format!(
            "providers:\n  - {{name: tls, dialect: openai, base-url: \"{}/v1\", http2: {http2}, tls-roots: \"{}\", \
             discover: false}}\n",
            sim.base_url(),
            roots.display()
        ))
        .await;
        let answer = chat(&bench, "tls/m").await;
        assert_eq!(answer.status, 200, "{http2}: {}", answer.text());
        // Only HTTP/1.1 has the names of headers as they were written, `host` among them.
        let seen = sim.requests();
        assert_eq!(seen.last().unwrap().header("host").is_some(), is_http1, "{http2}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_says_that_it_is_alive_and_ready() {
    let bench = Bench::start("").await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(bench.send(&get(path)).await.status, 200, "{path}");
    }
    let status = bench.send(&get("/api/v1/status")).await.json();
    assert_eq!(status["journal"]["dropped"], json!(0), "{status}");
    let preview = json!({"dialect": "anthropic", "request": question(Dialect::Anthropic, "any", true)});
    let decided = bench.send(&post("/api/v1/decide", "", &preview.to_string())).await;
    assert_eq!((decided.status, &decided.json()["stream"]), (200, &json!(true)), "{}", decided.text());
}
