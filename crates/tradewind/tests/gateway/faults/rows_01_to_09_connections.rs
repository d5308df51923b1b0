//! Rows 1 to 9: the provider cannot be reached, or the connection breaks before an answer.

use std::time::Duration;

use serde_json::json;
use tradewind_core::{Dialect, FaultKind as K};
use tradewind_sim::{Sim, SimOptions, TlsOptions};

use super::table::Expect::{FallsBack, Passes};
use super::table::{check, sims, small_document};
use crate::support::{Bench, SOON, TIMES, Terminal, eventually, question, terminal};

/// The usual models, with the usual time limits.
fn pair(sims: [&Sim; 2], folder: &std::path::Path) -> String {
    small_document(sims, folder, &format!("timeouts: {TIMES}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_01_a_host_that_does_not_resolve() {
    check(&[("dns", FallsBack(K::Dns), FallsBack(K::Dns))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_02_connection_refused() {
    check(&[("connect-refused", FallsBack(K::ConnectRefused), FallsBack(K::ConnectRefused))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_03_connection_never_accepted() {
    check(&[("connect-black-hole", FallsBack(K::ConnectTimeout), FallsBack(K::ConnectTimeout))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_04_certificates_that_are_not_acceptable() {
    check(&[
        ("tls-expired", FallsBack(K::Tls), FallsBack(K::Tls)),
        ("tls-wrong-host", FallsBack(K::Tls), FallsBack(K::Tls)),
        ("tls-untrusted", FallsBack(K::Tls), FallsBack(K::Tls)),
        ("tls-self-signed", FallsBack(K::Tls), FallsBack(K::Tls)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_04_a_bad_certificate_is_neither_tried_again_nor_avoided_by_a_downgrade() {
    let (faulty, backup) = sims("tls-untrusted").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&pair([&faulty, &backup], folder.path())).await;
    let answer = bench.ask(Dialect::OpenAi, "alone-openai", false).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, false), Terminal::ErrorStatus(502, Some("TW3002".to_owned())));
    assert!(faulty.wait_until(SOON, |stats| stats.failed_handshakes == 1).await);
    assert_eq!((faulty.stats().connections, faulty.stats().requests), (1, 0));
    let record = bench.record(&answer).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_05_a_tls_handshake_that_hangs() {
    check(&[("tls-hang", FallsBack(K::TlsTimeout), FallsBack(K::TlsTimeout))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_06_the_connection_ends_before_a_response() {
    check(&[
        ("reset-before-response", FallsBack(K::Reset), FallsBack(K::Reset)),
        ("close-before-response", FallsBack(K::Reset), FallsBack(K::Reset)),
    ])
    .await;
}

/// A call that has effects is sent again only when it certainly was not seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_06_a_call_with_effects_is_not_sent_twice() {
    for (fault, sent) in [("reset-before-response", true), ("connect-refused", false), ("rate-limit-seconds", false)] {
        let (faulty, backup) = sims(fault).await;
        let folder = tempfile::TempDir::new().unwrap();
        let bench = Bench::start(&pair([&faulty, &backup], folder.path())).await;
        let mut openai = question(Dialect::OpenAi, "pair-openai", false);
        openai["store"] = json!(true);
        let mut anthropic = question(Dialect::Anthropic, "pair-anthropic", true);
        anthropic["tools"] = json!([{"type": "web_search_20250305", "name": "web_search"}]);
        for (dialect, body, stream) in [(Dialect::OpenAi, openai, false), (Dialect::Anthropic, anthropic, true)] {
            let answer = bench.ask_with(dialect, &body, "").await;
            let record = bench.record(&answer).await;
            let attempts = record["attempts"].as_array().unwrap().len();
            if sent {
                let failed = Terminal::ErrorStatus(503, Some("TW3001".to_owned()));
                assert_eq!((terminal(&answer, dialect, stream), attempts), (failed, 1), "{fault}: {record}");
            } else {
                assert_eq!((terminal(&answer, dialect, stream), attempts), (Terminal::Success, 2), "{fault}: {record}");
            }
        }
        assert_eq!(backup.stats().requests, if sent { 0 } else { 2 }, "{fault}");
        bench.is_back_at_baseline(&[&faulty, &backup]).await;
    }
}

/// A request is read whole before it is sent, so sending it again to another provider replays nothing that is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_07_the_connection_breaks_during_the_upload() {
    check(&[
        ("reset-during-upload", FallsBack(K::Reset), FallsBack(K::Reset)),
        ("close-during-upload", FallsBack(K::Reset), FallsBack(K::Reset)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_07_a_long_upload_that_breaks_is_sent_whole_to_the_next() {
    let (faulty, backup) = sims("reset-during-upload").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&pair([&faulty, &backup], folder.path())).await;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let mut body = question(dialect, &format!("pair-{dialect}"), false);
        body["messages"][0]["content"] = json!("wind ".repeat(600_000));
        let answer = bench.ask_with(dialect, &body, "").await;
        assert_eq!(terminal(&answer, dialect, false), Terminal::Success, "{}", answer.text());
        let record = bench.record(&answer).await;
        assert_eq!(record["attempts"][0]["fault"], "reset", "{record}");
        let (last, sent) = (backup.requests().pop().unwrap(), body.to_string().len());
        // Only the model's name was rewritten.
        assert_eq!(last.body_bytes, sent - format!("pair-{dialect}").len() + 1);
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_08_a_kept_connection_that_the_provider_closes() {
    check(&[("stale-keep-alive", Passes, Passes), ("close-after-response", Passes, Passes)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_08_a_stale_connection_costs_one_silent_retry() {
    for fault in ["stale-keep-alive", "close-after-response"] {
        let (faulty, backup) = sims(fault).await;
        let folder = tempfile::TempDir::new().unwrap();
        let bench = Bench::start(&pair([&faulty, &backup], folder.path())).await;
        for round in 0..6 {
            let dialect = if round % 2 == 0 { Dialect::OpenAi } else { Dialect::Anthropic };
            let stream = round >= 3;
            let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
            assert_eq!(terminal(&answer, dialect, stream), Terminal::Success, "{fault}: {}", answer.text());
            let record = bench.record(&answer).await;
            let attempts = record["attempts"].as_array().unwrap();
            assert_eq!((attempts.len(), &attempts[0]["outcome"]), (1, &json!("ok")), "{fault}: {record}");
        }
        assert_eq!((faulty.stats().requests, faulty.stats().connections), (6, 6), "{fault}");
        assert_eq!(backup.stats().connections, 0, "{fault}");
        bench.is_back_at_baseline(&[&faulty, &backup]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_09_headers_that_never_come() {
    check(&[("no-headers", FallsBack(K::HeadersTimeout), FallsBack(K::FirstTokenTimeout))]).await;
}

/// Without a limit for headers a whole answer is bounded by `total` alone: slow models are not given up early.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_09_a_whole_answer_may_take_its_time() {
    let slow =
        SimOptions { first_token: tradewind_sim::Delay::Fixed(Duration::from_secs(3)), ..SimOptions::named("faulty") };
    let (faulty, backup) = (Sim::start(slow).await.unwrap(), Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&faulty, &backup], folder.path(), "timeouts: {total: 18s}");
    let bench = Bench::start(&yaml).await;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), false).await;
        assert_eq!(terminal(&answer, dialect, false), Terminal::Success);
        assert!(answer.text().contains("faulty") && answer.took > Duration::from_secs(3));
        // A caller that cannot wait says so, and is told in time.
        let body = question(dialect, &format!("pair-{dialect}"), false);
        let answer = bench.ask_with(dialect, &body, "x-tradewind-timeout: 400ms\r\n").await;
        let late = Terminal::ErrorStatus(504, Some("TW2005".to_owned()));
        assert_eq!(terminal(&answer, dialect, false), late);
        assert!(answer.took < Duration::from_millis(2800), "before the answer: {:?}", answer.took);
        assert_eq!(bench.record(&answer).await["fault"], "deadline");
    }
    eventually("the late calls are cancelled at the provider", SOON, async || faulty.stats().cancelled == 2).await;
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// TLS that is right: the control for rows 4 and 5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_04_a_certificate_of_the_trusted_authority_passes() {
    let options = SimOptions { tls: Some(TlsOptions { http2: false }), ..SimOptions::named("faulty") };
    let (faulty, backup) = (Sim::start(options).await.unwrap(), Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&pair([&faulty, &backup], folder.path())).await;
    let answer = bench.ask(Dialect::Anthropic, "pair-anthropic", true).await;
    assert_eq!(terminal(&answer, Dialect::Anthropic, true), Terminal::Success);
    assert!(faulty.wait_until(SOON, |stats| stats.complete == 1).await);
    assert_eq!(backup.stats().requests, 0);
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}
