//! Rows 11 and 15 with hedging: a second attempt beside a slow one; whoever shows an answer first is the only one seen.

use std::time::Duration;

use serde_json::{Value, json};
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimFault, SimOptions};

use super::table::{KINDS, paced, side_by_side, sims, small_document};
use crate::support::{Bench, SOON, Terminal, terminal};

const HEDGED: &str =
    "timeouts: {connect: 10s, first-token: 15s, idle: 15s, total: 18s}, hedge: {after: 100ms}, retry: {attempts: 3}";

/// Target, outcome, fault and hedge of each attempt.
fn attempts(record: &Value) -> Vec<Value> {
    let attempts = record["attempts"].as_array().unwrap().iter();
    attempts.map(|one| json!([one["target"], one["outcome"], one["fault"], one["hedge"]])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_11_a_hedge_overtakes_a_slow_first_token() {
    let (faulty, backup) = sims("slow-first-token:12s").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), HEDGED)).await;
    for (round, (dialect, stream)) in KINDS.into_iter().enumerate() {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success);
        assert!(answer.text().contains("backup") && !answer.text().contains("faulty"), "{}", answer.text());
        assert!(answer.took < Duration::from_secs(10), "{:?}", answer.took);
        let record = bench.record(&answer).await;
        let lost = json!([format!("first-{dialect}/m"), "cancelled", "lost_hedge", false]);
        let won = json!([format!("second-{dialect}/m"), "ok", null, true]);
        assert_eq!(attempts(&record), [lost, won], "{record}");
        // The loser's question is paid for as well, as far as that can be known.
        assert_eq!(record["usage"]["estimated"], json!(true), "{record}");
        let cancelled = round as u64 + 1;
        assert!(
            faulty.wait_until(SOON, |stats| stats.cancelled == cancelled).await,
            "the loser is cancelled at its provider: {:?}",
            faulty.stats()
        );
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_11_a_fast_first_token_is_not_hedged() {
    let slow = SimOptions { fault: "slow-first-token:10ms".parse().ok(), ..SimOptions::named("faulty") };
    let (faulty, backup) = (Sim::start(slow).await.unwrap(), Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let patient = HEDGED.replace("after: 100ms", "after: 10s");
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), &patient)).await;
    for (dialect, stream) in KINDS {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success);
    }
    assert_eq!((faulty.stats().requests, backup.stats().requests), (4, 0));
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// The hedge wins and is cut: the caller gets its beginning and an error, never the rest of somebody else's answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_15_hedge_and_fallback_never_mix() {
    for (fault, kind, code) in [
        (SimFault::MidStreamCut, "cut", "TW3008"),
        (SimFault::MidStreamReset, "cut", "TW3008"),
        (SimFault::Stall, "idle_timeout", "TW3009"),
        (SimFault::ErrorEventLater, "error_event", "TW3010"),
    ] {
        let (faulty, _) = sims("slow-first-token:12s").await;
        let options = paced("backup", fault.into());
        let backup = Sim::start(options).await.unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let idle = if fault == SimFault::Stall { "idle: 2s" } else { "idle: 15s" };
        let hedged = HEDGED.replace("idle: 15s", idle);
        let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), &hedged)).await;
        for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
            let answer = bench.ask(dialect, &format!("pair-{dialect}"), true).await;
            assert_eq!(terminal(&answer, dialect, true), Terminal::ErrorEvent(code.to_owned()), "{fault}");
            assert!(answer.text().contains("backup") && !answer.text().contains("faulty"), "{}", answer.text());
            let record = bench.record(&answer).await;
            let lost = json!([format!("first-{dialect}/m"), "cancelled", "lost_hedge", false]);
            let cut = json!([format!("second-{dialect}/m"), "partial", kind, true]);
            assert_eq!((attempts(&record), &record["outcome"]), (vec![lost, cut], &json!("partial")), "{record}");
        }
        bench.is_back_at_baseline(&[&faulty, &backup]).await;
    }
}

/// The hedge fails before its first event: the first attempt, slow as it is, still answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_15_a_hedge_that_fails_does_no_harm() {
    Box::pin(side_by_side(["error-500", "reset-before-response", "error-event-first", "html-200"].map(a_failed_hedge)))
        .await;
}

async fn a_failed_hedge(fault: &'static str) {
    let (faulty, _) = sims("slow-first-token:3s").await;
    let options = SimOptions { fault: Some(fault.parse().unwrap()), ..SimOptions::named("backup") };
    let backup = Sim::start(options).await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), HEDGED)).await;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), true).await;
        assert_eq!(terminal(&answer, dialect, true), Terminal::Success, "{fault}: {}", answer.text());
        assert!(answer.text().contains("faulty") && !answer.text().contains("backup"), "{}", answer.text());
        let record = bench.record(&answer).await;
        assert_eq!(record["attempts"][0]["outcome"], "ok", "{record}");
        assert_eq!(
            (&record["attempts"][1]["outcome"], &record["attempts"][1]["hedge"]),
            (&json!("failed"), &json!(true))
        );
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}
