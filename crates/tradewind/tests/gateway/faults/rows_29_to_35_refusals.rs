//! Rows 29 to 35 in depth: what a refusal means for the calls that come after it, for keys, and for the breaker.

use std::time::Duration;

use serde_json::{Value, json};
use tradewind_core::Dialect;
use tradewind_decide::HealthSettings;
use tradewind_sim::{Sim, SimFault, SimOptions, TlsOptions};

use super::table::{KINDS, providers, side_by_side, sims, small_document};
use crate::support::{Bench, BenchOptions, SOON, TIMES, Terminal, eventually, now, question, terminal};

fn usual() -> String {
    format!("timeouts: {TIMES}")
}

/// What the record says about the candidate `target`.
fn candidate<'a>(record: &'a Value, target: &str) -> &'a Value {
    record["candidates"].as_array().unwrap().iter().find(|one| one["target"] == target).unwrap()
}

/// The target rests for as long as its provider asked, with or without a key: calls go to the next one without asking
/// it, and come back afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_29_a_rate_limited_target_rests_for_as_long_as_it_asked() {
    side_by_side(["", ", api-key: sk-1"].map(rests_for_as_long_as_it_asked)).await;
}

async fn rests_for_as_long_as_it_asked(key: &'static str) {
    let (faulty, backup) = sims("rate-limit-seconds:10s").await;
    let folder = tempfile::TempDir::new().unwrap();
    // No call has the time to wait for it.
    let yaml = small_document([&faulty, &backup], folder.path(), "timeouts: {total: 5s}");
    let bench = Bench::start(&yaml.replace("discover: false", &format!("discover: false{key}"))).await;
    let began = now();
    for (round, (dialect, stream)) in KINDS.into_iter().cycle().take(8).enumerate() {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success);
        assert!(answer.text().contains("backup"));
        if round >= 4 {
            let record = bench.record(&answer).await;
            let resting = candidate(&record, &format!("first-{dialect}/m"));
            assert_eq!(resting["eligible"], false, "{record}");
            assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
        }
    }
    // One attempt for each dialect, since each is a target of its own.
    assert_eq!(faulty.stats().requests, 2, "{key}");
    // Alone, a caller is told when to come back.
    let answer = bench.ask(Dialect::OpenAi, "alone-openai", false).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, false), Terminal::ErrorStatus(429, Some("TW3005".to_owned())));
    let wait: Option<u64> = answer.header("retry-after").and_then(|wait| wait.parse().ok());
    assert!(wait.is_some_and(|wait| (1..=10).contains(&wait)), "{}", answer.head);
    faulty.clear_fault();
    eventually("calls come back to it", SOON, async || {
        bench.ask(Dialect::OpenAi, "pair-openai", false).await.text().contains("faulty")
    })
    .await;
    assert!(began.elapsed() >= Duration::from_millis(9900), "{:?} is too early", began.elapsed());
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// Without another target the call itself waits, as long as that is within its time, and then succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_29_a_short_rate_limit_is_waited_for() {
    side_by_side(["rate-limit-seconds:3s", "rate-limit-vendor:3s"].map(is_waited_for)).await;
}

async fn is_waited_for(fault: &'static str) {
    let (faulty, backup) = sims(fault).await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), "timeouts: {total: 18s}")).await;
    let asking = bench.ask(Dialect::OpenAi, "alone-openai", true);
    let clearing = async {
        assert!(faulty.wait_until(SOON, |stats| stats.complete == 1).await);
        faulty.clear_fault();
    };
    let (answer, ()) = tokio::join!(asking, clearing);
    assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::Success, "{}", answer.text());
    let record = bench.record(&answer).await;
    let attempts = record["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["fault"]), (2, &json!("rate_limited")), "{record}");
    let waited = attempts[1]["started_ms"].as_f64().unwrap() - attempts[0]["ended_ms"].as_f64().unwrap();
    assert!(waited > 2400.0, "{record}");
}

/// An absurd wish is no wish: the target rests for a backoff of at most a second, not for a billion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_31_an_absurd_retry_after_does_not_lock_a_target_out() {
    Box::pin(side_by_side(
        ["retry-after:1000000000", "retry-after:99999999999999999999", "retry-after-negative", "rate-limit-bare"]
            .map(does_not_lock_out),
    ))
    .await;
}

async fn does_not_lock_out(fault: &'static str) {
    let (faulty, backup) = sims(fault).await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), &usual())).await;
    let answer = bench.ask(Dialect::Anthropic, "pair-anthropic", false).await;
    assert_eq!(terminal(&answer, Dialect::Anthropic, false), Terminal::Success);
    faulty.clear_fault();
    eventually("calls come back to it", SOON, async || {
        bench.ask(Dialect::Anthropic, "pair-anthropic", false).await.text().contains("faulty")
    })
    .await;
}

/// The breaker opens, calls no longer reach the target, one trial at a time finds out that it is well, and it comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_32_a_burst_of_errors_opens_the_breaker_and_a_trial_closes_it() {
    let (faulty, backup) = sims("error-503").await;
    let folder = tempfile::TempDir::new().unwrap();
    let health = HealthSettings { open_time: Duration::from_secs(12), ..HealthSettings::default() };
    let bench = Bench::start_judging(&small_document([&faulty, &backup], folder.path(), &usual()), health).await;
    for round in 0..20 {
        let (dialect, stream) = KINDS[round % 2];
        let answer = bench.ask(dialect, "pair-openai", stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success, "round {round}");
    }
    assert_eq!(faulty.stats().requests, 5, "the breaker opens after five failures in a row");
    let answer = bench.ask(Dialect::OpenAi, "alone-openai", true).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::ErrorStatus(503, Some("TW2001".to_owned())));
    assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=15).contains(&wait), "{wait}");
    let record = bench.record(&answer).await;
    assert_eq!(candidate(&record, "first-openai/m")["eligible"], false, "{record}");
    faulty.clear_fault();
    eventually("a trial succeeds", SOON, async || {
        bench.ask(Dialect::OpenAi, "alone-openai", false).await.status == 200
    })
    .await;
    eventually("it is the first again", SOON, async || {
        bench.ask(Dialect::OpenAi, "pair-openai", false).await.text().contains("faulty")
    })
    .await;
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// A revoked key is put aside and the next one is used, within the same call and from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_33_a_revoked_key_is_replaced_by_the_next() {
    let options = SimOptions { keys: Some(vec!["sk-right".to_owned()]), ..SimOptions::named("faulty") };
    let (faulty, backup) = (Sim::start(options).await.unwrap(), Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&faulty, &backup], folder.path(), &usual());
    let keys = "discover: false, api-keys: [sk-revoked, sk-right]";
    let bench = Bench::start(&yaml.replace("discover: false", keys)).await;
    for (dialect, stream) in KINDS.into_iter().cycle().take(8) {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success);
        assert!(answer.text().contains("faulty") && !answer.text().contains("sk-"));
    }
    assert_eq!(backup.stats().requests, 0);
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let records = bench.records(&format!("model=pair-{dialect}")).await;
        let refused = records.iter().flat_map(|one| one["attempts"].as_array().unwrap());
        let refused: Vec<&Value> = refused.filter(|attempt| attempt["fault"] == "unauthorized").collect();
        assert_eq!(refused.len(), 1, "the revoked key is tried once: {records:?}");
        assert_eq!((&refused[0]["key"], &refused[0]["status"]), (&json!(0), &json!(401)));
        assert!(records.iter().all(|one| one["attempts"].as_array().unwrap().last().unwrap()["key"] == 1));
        assert!(!json!(records).to_string().contains("sk-"), "a record never holds a key");
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// When every key is refused the target is left alone, and the caller learns whose fault it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_33_without_a_right_key_the_target_is_left_alone() {
    let options = SimOptions { keys: Some(vec!["sk-right".to_owned()]), ..SimOptions::named("faulty") };
    let (faulty, backup) = (Sim::start(options).await.unwrap(), Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&faulty, &backup], folder.path(), &usual());
    let bench = Bench::start(&yaml.replace("discover: false", "discover: false, api-key: sk-revoked")).await;
    let answer = bench.ask(Dialect::OpenAi, "alone-openai", false).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, false), Terminal::ErrorStatus(502, Some("TW3004".to_owned())));
    assert_eq!(bench.record(&answer).await["attempts"].as_array().unwrap().len(), 1, "no retry on the same key");
    for _ in 0..3 {
        let answer = bench.ask(Dialect::OpenAi, "pair-openai", true).await;
        assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::Success);
    }
    assert_eq!(faulty.stats().requests, 1, "a refused key is not tried again and again");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// The caller's own mistakes say nothing about the target, and the provider's words come through unchanged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_34_refused_requests_do_not_count_to_the_breaker() {
    let (faulty, backup) = sims("error-422").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), &usual())).await;
    for (dialect, stream) in KINDS.into_iter().cycle().take(24) {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json()["error"]["message"], "simulated: unprocessable");
    }
    assert_eq!((faulty.stats().requests, backup.stats().requests), (24, 0));
    faulty.clear_fault();
    let answer = bench.ask(Dialect::OpenAi, "pair-openai", false).await;
    assert!(answer.text().contains("faulty"));
    let record = bench.record(&answer).await;
    assert!(candidate(&record, "first-openai/m")["parts"]["error_rate"].is_null(), "{record}");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// Neither the place that a redirect points to nor the key ever meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_35_a_redirect_is_not_followed() {
    let (faulty, backup) = sims("redirect").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), &usual())).await;
    for (dialect, stream) in KINDS {
        let answer = bench.ask(dialect, &format!("alone-{dialect}"), stream).await;
        let refused = Terminal::ErrorStatus(502, Some("TW3012".to_owned()));
        assert_eq!(terminal(&answer, dialect, stream), refused);
        assert_eq!(answer.header("location"), None);
    }
    assert_eq!((faulty.stats().requests, faulty.stats().followed_redirects), (4, 0));
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// HTTP/2 carries calls side by side on one connection, and a stream that is reset there ends like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_37_http2_streams_share_a_connection_and_fail_alone() {
    // Paced, because a reset overtakes what the server has not sent yet, and so that it comes apart from the beginning.
    let tls = Some(TlsOptions { http2: true });
    let options = SimOptions { tls, tokens_per_second: Some(4.0), answer_tokens: 8, ..SimOptions::named("faulty") };
    let (faulty, backup) = (Sim::start(options).await.unwrap(), Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = providers([&faulty, &backup], folder.path())
        + &format!(
            "models:\n  - {{name: pair, targets: [{{use: first-openai/m}}, {{use: second-openai/m}}], timeouts: {TIMES}}}\n  \
             - {{name: cut, targets: [{{use: \"first-openai/m!mid-stream-reset\"}}, {{use: second-openai/m}}], timeouts: {TIMES}}}\n"
        );
    let bench = Bench::start_with(&yaml, BenchOptions { http2: 1 }).await;
    let answer = bench.ask(Dialect::OpenAi, "pair", false).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, false), Terminal::Success);
    let (one, other, whole) = tokio::join!(
        bench.ask(Dialect::OpenAi, "pair", true),
        bench.ask(Dialect::OpenAi, "cut", true),
        bench.ask(Dialect::OpenAi, "pair", false),
    );
    assert_eq!(terminal(&one, Dialect::OpenAi, true), Terminal::Success);
    assert_eq!(terminal(&other, Dialect::OpenAi, true), Terminal::ErrorEvent("TW3008".to_owned()));
    assert_eq!(terminal(&whole, Dialect::OpenAi, false), Terminal::Success);
    assert_eq!(bench.record(&other).await["attempts"][0]["fault"], "cut");
    assert_eq!((faulty.stats().requests, faulty.stats().connections), (4, 1));
    // Refused on the kept connection: one silent retry, then the next target.
    faulty.set_fault(SimFault::H2RefusedStream).unwrap();
    let answer = bench.ask(Dialect::OpenAi, "pair", true).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::Success);
    assert_eq!(bench.record(&answer).await["attempts"][0]["fault"], "h2_refused");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// A server that says GOAWAY has not looked at what came after it: even a call with effects may go elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_37_goaway_before_the_request_was_looked_at() {
    let (faulty, backup) = sims("h2-goaway").await;
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&faulty, &backup], folder.path(), &format!("{}, retry: {{attempts: 2}}", usual()));
    let bench = Bench::start_with(&yaml, BenchOptions { http2: 1 }).await;
    for (dialect, stream) in KINDS {
        let mut body = question(dialect, &format!("pair-{dialect}"), stream);
        body["store"] = json!(true);
        let answer = bench.ask_with(dialect, &body, "").await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success, "{}", answer.text());
        let record = bench.record(&answer).await;
        assert_eq!(record["attempts"][0]["fault"], "h2_refused", "{record}");
        let answer = bench.ask(dialect, &format!("alone-{dialect}"), stream).await;
        let gone = Terminal::ErrorStatus(503, Some("TW3001".to_owned()));
        assert_eq!(terminal(&answer, dialect, stream), gone, "{}", answer.text());
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}
