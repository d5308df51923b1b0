//! Callers with keys: who gets in, what each may use, and how much of it.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use crate::support::{Answer, Bench, SOON, error_code, eventually, post, question, read_to_end, read_until};

/// Two models of one provider, and four keys.
fn document(sim: &Sim) -> String {
    format!(
        "providers:\n  - {{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false, \
         passthrough: true}}\n\
         models:\n  - {{name: cheap, targets: [{{use: up/small, price: {{input: 1, output: 2}}}}]}}\n  \
         - {{name: dear, targets: [{{use: up/large, price: {{input: 100, output: 200}}}}]}}\n  \
         - {{name: free, targets: [{{use: up/unpriced}}]}}\n\
         keys:\n  - {{name: all, secret: secret-of-all-0123456789}}\n  \
         - {{name: narrow, secret: secret-of-narrow-0123456789, allow: [models/cheap]}}\n  \
         - {{name: reader, secret: secret-of-reader-0123456789, allow: [control/read]}}\n  \
         - {{name: slow, secret: secret-of-slow-0123456789, rpm: 2}}\n  \
         - {{name: poor, secret: secret-of-poor-0123456789, budget: {{usd: 0.01, per: day}}}}\n",
        sim.base_url()
    )
}

async fn sim() -> Sim {
    Sim::start(SimOptions::named("up")).await.unwrap()
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer secret-of-{key}-0123456789\r\n")
}

async fn ask(bench: &Bench, key: &str, model: &str) -> Answer {
    let body = question(Dialect::OpenAi, model, false);
    bench.ask_with(Dialect::OpenAi, &body, &bearer(key)).await
}

async fn fetch(bench: &Bench, key: &str, path: &str) -> Answer {
    let headers = bearer(key);
    bench.send(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{headers}\r\n").as_bytes()).await
}

fn code(answer: &Answer) -> Option<String> {
    error_code(&answer.json(), Dialect::OpenAi)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_comes_in_every_way_that_clients_send_it() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim)).await;
    let body = question(Dialect::OpenAi, "cheap", false).to_string();
    for (headers, status) in [
        ("authorization: Bearer secret-of-all-0123456789\r\n", 200),
        ("x-api-key: secret-of-all-0123456789\r\n", 200),
        ("api-key: secret-of-all-0123456789\r\n", 200),
        // anybody:secret-of-all-0123456789
        ("authorization: Basic YW55Ym9keTpzZWNyZXQtb2YtYWxsLTAxMjM0NTY3ODk=\r\n", 200),
        ("", 401),
        ("authorization: Bearer secret-of-nobody-0123456789\r\n", 401),
        ("authorization: Bearer \r\n", 401),
        ("authorization: Bearer secret-of-all-0123456789 \r\n", 200), // blanks around a header's value are not part of it
        ("authorization: Bearer SECRET-OF-ALL-0123456789\r\n", 401),
    ] {
        let answer = bench.send(&post("/v1/chat/completions", headers, &body)).await;
        assert_eq!(answer.status, status, "{headers}: {}", answer.text());
        if status == 401 {
            assert_eq!(code(&answer).as_deref(), Some("TW1015"));
            assert_eq!(answer.header("www-authenticate"), Some("bearer"));
        }
    }
    // The caller's key never reaches the provider.
    assert!(sim.requests().iter().all(|seen| seen.header("authorization") == Some("Bearer k")));
    // With keys, where a request was meant for does not matter; whether it lives, anybody may ask.
    let elsewhere = post("/v1/chat/completions", &bearer("all"), &body);
    let elsewhere = String::from_utf8(elsewhere).unwrap().replacen("host: 127.0.0.1", "host: gateway.example", 1);
    assert_eq!(bench.send(elsewhere.as_bytes()).await.status, 200);
    assert_eq!(bench.send(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allow_list_is_not_got_around() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim)).await;
    assert_eq!(ask(&bench, "narrow", "cheap").await.status, 200);
    let before = sim.stats().requests;
    for model in ["dear", "up/large", "up/small", "up/cheap", "large"] {
        let answer = ask(&bench, "narrow", model).await;
        let allowed = [Some("TW1017".to_owned()), Some("TW1003".to_owned())];
        assert!(allowed.contains(&code(&answer)), "{model}: {}", answer.text());
    }
    for model in ["Dear", "dear ", " dear", "dear\u{0}", "cheap/../dear", "models/dear", "cheap,dear", "\u{ff44}ear"] {
        let answer = ask(&bench, "narrow", model).await;
        assert!(matches!(answer.status, 403 | 404), "{model:?}: {}", answer.text());
        assert!(!answer.text().contains("did you mean `dear`"), "{}", answer.text());
    }
    // Twice the same field is refused before anything is looked up.
    let twice = r#"{"model":"cheap","model":"dear","messages":[]}"#;
    assert_eq!(bench.send(&post("/v1/chat/completions", &bearer("narrow"), twice)).await.status, 400);
    // A path that is passed through could name any model.
    for (path, status, wanted) in [
        ("/v1/audio/speech", 403, "TW1017"),
        ("/v1/chat/completions/", 404, "TW1004"),
        ("/v1//chat/completions", 404, "TW1004"),
        ("/v1/chat%2fcompletions", 404, "TW1004"),
    ] {
        let body = question(Dialect::OpenAi, "dear", false).to_string();
        let answer = bench.send(&post(path, &bearer("narrow"), &body)).await;
        assert_eq!((answer.status, code(&answer).as_deref()), (status, Some(wanted)), "{path}: {}", answer.text());
    }
    assert_eq!(sim.stats().requests, before, "a refused call reached the provider");

    let listed = |answer: Answer| -> Vec<String> {
        let answer = answer.json();
        answer["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(fetch(&bench, "narrow", "/v1/models").await), ["cheap"]);
    assert_eq!(listed(fetch(&bench, "all", "/v1/models").await), ["cheap", "dear", "free"]);
    assert_eq!(fetch(&bench, "narrow", "/v1/models/dear").await.status, 404);
    assert_eq!(fetch(&bench, "narrow", "/v1/models/cheap").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sees_its_own_records_only() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim)).await;
    let (mine, others) = (ask(&bench, "narrow", "cheap").await, ask(&bench, "all", "cheap").await);
    let path = |answer: &Answer| format!("/api/v1/decisions/{}", answer.decision().unwrap());
    assert_eq!(fetch(&bench, "narrow", &path(&mine)).await.json()["key"], json!("narrow"));
    assert_eq!(fetch(&bench, "narrow", &path(&others)).await.status, 404);
    assert_eq!(fetch(&bench, "reader", &path(&others)).await.status, 200);
    let keys_in = |answer: Answer| -> Vec<Value> {
        answer.json()["decisions"].as_array().unwrap().iter().map(|record| record["key"].clone()).collect()
    };
    assert_eq!(keys_in(fetch(&bench, "narrow", "/api/v1/decisions").await), [json!("narrow")]);
    assert_eq!(keys_in(fetch(&bench, "narrow", "/api/v1/decisions?key=all").await), [json!("narrow")]);
    assert_eq!(keys_in(fetch(&bench, "reader", "/api/v1/decisions").await).len(), 2);
    let spent = |answer: Answer| -> Vec<Value> {
        answer.json()["rows"].as_array().unwrap().iter().map(|row| row["key"].clone()).collect()
    };
    assert_eq!(spent(fetch(&bench, "narrow", "/api/v1/spend?by=key").await), [json!("narrow")]);
    assert_eq!(spent(fetch(&bench, "reader", "/api/v1/spend?by=key").await), [json!("all"), json!("narrow")]);
    for path in ["/metrics", "/api/v1/targets", "/api/v1/status", "/api/v1/keys"] {
        assert_eq!(fetch(&bench, "narrow", path).await.status, 403, "{path}");
        assert_eq!(fetch(&bench, "reader", path).await.status, 200, "{path}");
    }
    assert!(!fetch(&bench, "reader", "/api/v1/keys").await.text().contains("secret"));
    // Reading is not writing.
    let body = r#"{"selected": "up/small"}"#;
    let select = String::from_utf8(post("/api/v1/models/cheap/selected", &bearer("reader"), body)).unwrap();
    assert_eq!(bench.send(select.replacen("POST", "PUT", 1).as_bytes()).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_a_minute_hold_against_bursts_and_every_path() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim)).await;
    let burst = (0..20).map(|_| ask(&bench, "slow", "cheap"));
    let statuses: Vec<u16> = futures_in_parallel(burst).await.into_iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
    assert_eq!(sim.stats().requests, 2);
    let refused = ask(&bench, "slow", "cheap").await;
    assert_eq!((refused.status, code(&refused).as_deref()), (429, Some("TW1018")), "{}", refused.text());
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    for path in ["/v1/messages", "/v1/embeddings", "/v1/responses", "/v1/audio/speech"] {
        let answer = bench.send(&post(path, &bearer("slow"), "{}")).await;
        assert_eq!(answer.status, 429, "{path}: {}", answer.text());
    }
    assert_eq!(ask(&bench, "all", "cheap").await.status, 200);
}

/// Runs all of them at once.
async fn futures_in_parallel<F: Future<Output = Answer>>(futures: impl Iterator<Item = F>) -> Vec<Answer> {
    let mut pinned: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<Answer>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, done) in pinned.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(answer) => *done = Some(answer),
                std::task::Poll::Pending => waiting = true,
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_held_to_and_targets_without_a_price_are_not_asked() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim)).await;
    // What the answer may cost does not fit: 4096 tokens at $200 a million are $0.82.
    let refused = ask(&bench, "poor", "dear").await;
    assert_eq!((refused.status, code(&refused).as_deref()), (429, Some("TW1020")), "{}", refused.text());
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    let unpriced = ask(&bench, "poor", "free").await;
    assert_eq!((unpriced.status, code(&unpriced).as_deref()), (403, Some("TW1017")), "{}", unpriced.text());
    assert_eq!(sim.stats().requests, 0);
    // The cheap one fits until the budget is nearly used up; then it does not, however many come at once.
    let mut answered = 0;
    loop {
        let burst = (0..8).map(|_| ask(&bench, "poor", "cheap"));
        let answers = futures_in_parallel(burst).await;
        let good = answers.iter().filter(|answer| answer.status == 200).count();
        answered += good;
        if good == 0 {
            break;
        }
        assert!(answered < 5000, "the budget is never used up");
    }
    let spent =
        fetch(&bench, "reader", "/api/v1/spend?by=key&key=poor").await.json()["rows"][0]["usd"].as_f64().unwrap();
    assert!(spent > 0.0 && spent <= 0.01, "{spent}");
    let shown = fetch(&bench, "reader", "/api/v1/keys").await.json();
    let poor = shown["keys"].as_array().unwrap().iter().find(|key| key["name"] == "poor").unwrap().clone();
    assert_eq!((poor["spent"].as_f64(), poor["reserved"].as_f64()), (Some(spent), Some(0.0)), "{poor}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_carried_over_a_restart() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim)).await;
    assert_eq!(ask(&bench, "poor", "cheap").await.status, 200);
    let spent = async |bench: &Bench| {
        let shown = fetch(bench, "reader", "/api/v1/keys").await.json();
        let keys = shown["keys"].as_array().unwrap();
        keys.iter().find(|key| key["name"] == "poor").unwrap()["spent"].as_f64().unwrap()
    };
    let before = spent(&bench).await;
    assert!(before > 0.0);
    let bench = bench.restart(&document(&sim)).await;
    assert_eq!(spent(&bench).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_counts_of_a_stream_are_asked_for_where_money_depends_on_them() {
    let sim = sim().await;
    let bench = Bench::start(&document(&sim)).await;
    let mut body = question(Dialect::OpenAi, "cheap", true);
    body.as_object_mut().unwrap().remove("stream_options");
    let answer = bench.ask_with(Dialect::OpenAi, &body, &bearer("all")).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("\"usage\":{"), "the caller had not asked for counts: {}", answer.text());
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    let seen: Value = serde_json::from_str(&sim.requests()[0].body).unwrap();
    assert_eq!(seen["stream_options"], json!({"include_usage": true}));
    let read = fetch(&bench, "reader", &format!("/api/v1/decisions/{}", answer.decision().unwrap())).await.json();
    assert_eq!(read["usage"]["estimated"], json!(false), "{read}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_ends_its_streams() {
    let options = SimOptions { tokens_per_second: Some(50.0), answer_tokens: 2000, ..SimOptions::named("up") };
    let sim = Sim::start(options).await.unwrap();
    let bench = Bench::start(&document(&sim)).await;
    let body = question(Dialect::OpenAi, "cheap", true).to_string();
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(&post("/v1/chat/completions", &bearer("all"), &body)).await.unwrap();
    read_until(&mut stream, "\"content\"").await;
    // Taking a key out of the document is revoking it.
    let without = document(&sim).replace("  - {name: all, secret: secret-of-all-0123456789}\n", "");
    bench.reload(&without);
    let rest = String::from_utf8(read_to_end(&mut stream).await).unwrap();
    assert!(rest.contains("TW1016") && !rest.contains("[DONE]"), "{rest}");
    eventually("the provider is stopped", SOON, async || sim.stats().in_flight == 0).await;

    let secret = bench.key(&["create", "short"]);
    let headers = format!("authorization: Bearer {secret}\r\n");
    let is_known = async || {
        let one = question(Dialect::OpenAi, "nobody", false).to_string();
        bench.send(&post("/v1/chat/completions", &headers, &one)).await.status == 404
    };
    eventually("the new key is in force", SOON, is_known).await;
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(&post("/v1/chat/completions", &headers, &body)).await.unwrap();
    read_until(&mut stream, "\"content\"").await;
    bench.key(&["revoke", "short"]);
    let rest = String::from_utf8(read_to_end(&mut stream).await).unwrap();
    assert!(rest.contains("TW1016") && !rest.contains("[DONE]"), "{rest}");
    let answer = bench.send(&post("/v1/chat/completions", &headers, &body)).await;
    assert_eq!((answer.status, code(&answer).as_deref()), (401, Some("TW1016")), "{}", answer.text());
    eventually("the provider is stopped", SOON, async || sim.stats().in_flight == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_that_is_held_back_counts_the_dearest_kind_of_each_token() {
    let sim = Sim::start(SimOptions::named("up")).await.unwrap();
    // 1000 tokens of answer cost 1.5 cents, and 6 where all of them are reasoning; a long question 6 cents where all of it
    // is written to a cache.
    for (price, long, fits) in [
        ("{input: 3, output: 15}", false, true),
        ("{input: 3, output: 15, reasoning: 60}", false, false),
        ("{input: 3, output: 15, reasoning: 1}", false, true),
        ("{input: 0.03, output: 15}", true, true),
        ("{input: 0.03, output: 15, cache-write: 9}", true, false),
    ] {
        let bench = Bench::start(&format!(
            "providers: [{{name: up, dialect: openai, base-url: \"{}/v1\", api-key: k, discover: false}}]\n\
             models: [{{name: assistant, targets: [{{use: up/m, price: {price}}}]}}]\n\
             keys: [{{name: a, secret: secret-of-a-0123456789, budget: {{usd: 0.03, per: day}}}}]\n",
            sim.base_url()
        ))
        .await;
        let mut body = question(Dialect::OpenAi, "assistant", false);
        body["max_tokens"] = json!(1000);
        if long {
            body["messages"][0]["content"] = "wind and weather ".repeat(2500).into();
        }
        let before = sim.stats().requests;
        let answer = bench.ask_with(Dialect::OpenAi, &body, "authorization: Bearer secret-of-a-0123456789\r\n").await;
        assert_eq!(answer.status, if fits { 200 } else { 429 }, "{price}: {}", answer.text());
        assert_eq!(sim.stats().requests - before, u64::from(fits), "{price}");
    }
}
