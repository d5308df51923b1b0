//! Tokens a minute, through the gateway: what is refused and what is not, and that a stream which is broken off counts.
//! How exact the rates are over time is tested in virtual time, where they are kept.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{ScriptedAnswer, ScriptedUsage, Sim, SimOptions};

use crate::support::{Answer, Bench, error_code, path, post, question, read_until};

const DIALECTS: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];

/// Each call to `large` counts a thousand tokens of question and 500 of answer, to `small` twenty of both together.
async fn provider(tokens_per_second: f64) -> Sim {
    let tokens_per_second = Some(tokens_per_second);
    let sim = Sim::start(SimOptions { tokens_per_second, ..SimOptions::named("up") }).await.unwrap();
    for (model, input, output) in [("large", 1000, 500), ("small", 8, 12)] {
        let usage = ScriptedUsage { input, output, ..ScriptedUsage::default() };
        let text = "wind".repeat(output as usize);
        sim.script(model, ScriptedAnswer { usage, ..ScriptedAnswer::text(&text) }).unwrap();
    }
    sim
}

/// One provider under two names, one for each dialect, and keys with so many tokens a minute.
async fn gateway(sim: &Sim, tpm: u64) -> Bench {
    let url = sim.base_url();
    let price = "price: {input: 1, output: 2}";
    Bench::start(&format!(
        "providers:\n  - {{name: o, dialect: openai, base-url: \"{url}/v1\", api-key: k, discover: false}}\n  \
         - {{name: a, dialect: anthropic, base-url: \"{url}\", api-key: k, discover: false}}\n\
         models:\n  - {{name: large-openai, targets: [{{use: o/large, {price}}}]}}\n  \
         - {{name: large-anthropic, targets: [{{use: a/large, {price}}}]}}\n  \
         - {{name: small-openai, targets: [{{use: o/small, {price}}}]}}\n  \
         - {{name: small-anthropic, targets: [{{use: a/small, {price}}}]}}\n\
         keys:\n  - {{name: openai, secret: secret-of-openai-0123456789, tpm: {tpm}}}\n  \
         - {{name: anthropic, secret: secret-of-anthropic-0123456789, tpm: {tpm}}}\n"
    ))
    .await
}

/// The key of this dialect.
fn bearer(dialect: Dialect) -> String {
    format!("authorization: Bearer secret-of-{dialect}-0123456789\r\n")
}

/// A question of about a thousand tokens, for an answer of at most `most`.
fn large(dialect: Dialect, most: u64, stream: bool) -> Value {
    let mut body = question(dialect, &format!("large-{dialect}"), stream);
    body["messages"][0]["content"] = "Which way does the wind blow over the harbour? ".repeat(100).into();
    body["max_tokens"] = json!(most);
    body
}

fn small(dialect: Dialect) -> Value {
    let mut body = question(dialect, &format!("small-{dialect}"), false);
    body["max_tokens"] = json!(20);
    body
}

async fn ask(bench: &Bench, dialect: Dialect, body: &Value) -> Answer {
    bench.ask_with(dialect, body, &bearer(dialect)).await
}

fn code(answer: &Answer, dialect: Dialect) -> Option<String> {
    error_code(&answer.json(), dialect)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_do_not_fit_wait_and_small_ones_pass() {
    let sim = provider(2000.0).await;
    let bench = gateway(&sim, 4000).await;
    for dialect in DIALECTS {
        for stream in [false, true] {
            let answer = ask(&bench, dialect, &large(dialect, 500, stream)).await;
            assert_eq!(answer.status, 200, "{dialect}: {}", answer.text());
        }
        let before = sim.stats().requests;
        // 3000 are counted: another 1500 do not fit, in whatever dialect and path.
        for (path, body) in [
            (path(dialect), large(dialect, 500, false)),
            (path(dialect), large(dialect, 500, true)),
            ("/v1/responses", json!({"model": format!("large-{dialect}"), "input": "wind ".repeat(1500)})),
            ("/v1/completions", json!({"model": format!("large-{dialect}"), "prompt": "wind ".repeat(1500)})),
        ] {
            let answer = bench.send(&post(path, &bearer(dialect), &body.to_string())).await;
            let spoken = if path == "/v1/messages" { Dialect::Anthropic } else { Dialect::OpenAi };
            let refused = (answer.status, code(&answer, spoken));
            if path == "/v1/completions" && dialect == Dialect::Anthropic {
                assert_eq!(refused.0, 400, "messages have no words for completions: {}", answer.text());
                continue;
            }
            assert_eq!(refused, (429, Some("TW1019".to_owned())), "{path}: {}", answer.text());
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((50..=61).contains(&wait), "{path}: what is counted was counted just now: {wait}");
            assert_eq!(answer.header("x-should-retry"), None, "it passes within a minute");
        }
        // What can never fit is not to be tried again.
        let answer = ask(&bench, dialect, &large(dialect, 100_000, false)).await;
        assert_eq!((answer.status, code(&answer, dialect).as_deref()), (429, Some("TW1019")), "{}", answer.text());
        assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (None, Some("false")));
        assert_eq!(sim.stats().requests, before, "a refused call reached the provider");
        let answer = ask(&bench, dialect, &small(dialect)).await;
        assert_eq!(answer.status, 200, "{dialect}: a call that fits: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_broken_off_counts_what_it_used() {
    // Slow enough that little has come before the gateway sees that the caller has gone.
    let sim = provider(150.0).await;
    // The broken one uses a thousand and a little; neither 1500 more fit, nor would 1100 if it still held its 1500.
    let bench = gateway(&sim, 2450).await;
    for dialect in DIALECTS {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let body = large(dialect, 500, true).to_string();
        stream.write_all(&post(path(dialect), &bearer(dialect), &body)).await.unwrap();
        read_until(&mut stream, "wind").await;
        drop(stream);
        bench.is_back_at_baseline(&[&sim]).await;
        let answer = ask(&bench, dialect, &large(dialect, 500, false)).await;
        assert_eq!((answer.status, code(&answer, dialect).as_deref()), (429, Some("TW1019")), "{}", answer.text());
        let answer = ask(&bench, dialect, &large(dialect, 100, false)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        // It answered with 500 in place of 100: they count, too, and now not even a small one fits.
        let answer = ask(&bench, dialect, &small(dialect)).await;
        assert_eq!((answer.status, code(&answer, dialect).as_deref()), (429, Some("TW1019")), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_gets_what_fits() {
    let sim = provider(2000.0).await;
    let bench = std::sync::Arc::new(gateway(&sim, 4700).await);
    let mut callers = JoinSet::new();
    for _ in 0..40 {
        let bench = bench.clone();
        let body = large(Dialect::OpenAi, 500, false);
        callers.spawn(async move { ask(&bench, Dialect::OpenAi, &body).await.status });
    }
    let statuses = callers.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{statuses:?}");
    assert_eq!((statuses.iter().filter(|status| **status == 429).count(), sim.stats().requests), (37, 3));
}
