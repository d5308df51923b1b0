//! Rows 10 to 22: the answer hangs, stalls, drips, breaks off, or its stream is not what it should be.

use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tradewind_core::{Dialect, FaultKind as K};
use tradewind_sim::{Sim, SimOptions, SimStats};

use super::table::Expect::{Fails, FallsBack, Partial, Passes};
use super::table::{KINDS, check, side_by_side, sims, small_document};
use crate::support::{Bench, SOON, TIMES, Terminal, path, post, question, terminal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_10_hang_after_headers() {
    check(&[("hang-after-headers", Fails(K::TotalTimeout), FallsBack(K::FirstTokenTimeout))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_11_slow_first_token() {
    check(&[
        ("slow-first-token:100ms", Passes, Passes),
        ("slow-first-token:4s", Passes, FallsBack(K::FirstTokenTimeout)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_12_inter_chunk_stall() {
    check(&[
        ("stall", Fails(K::TotalTimeout), Partial(K::IdleTimeout)),
        ("stall:@0", Fails(K::TotalTimeout), FallsBack(K::FirstTokenTimeout)),
        ("stall:200ms@3", Passes, Passes),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_13_drip() {
    check(&[("drip:200ms", Fails(K::TotalTimeout), FallsBack(K::FirstTokenTimeout))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_14_bandwidth_cap() {
    check(&[("bandwidth-cap:20000", Passes, Passes)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_15_a_stream_that_is_cut() {
    check(&[
        ("mid-stream-cut", FallsBack(K::BadJson), Partial(K::Cut)),
        ("mid-stream-close", FallsBack(K::BadJson), Partial(K::Cut)),
        ("mid-stream-reset", FallsBack(K::Cut), Partial(K::Cut)),
        ("mid-stream-cut:0", FallsBack(K::BadJson), FallsBack(K::Cut)),
        ("mid-stream-close:0", FallsBack(K::BadJson), FallsBack(K::Cut)),
        ("mid-stream-reset:0", FallsBack(K::Cut), FallsBack(K::Cut)),
        ("no-terminal", Passes, Partial(K::Cut)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_16_chunked_coding_that_breaks_off() {
    check(&[
        ("chunked-truncated", FallsBack(K::Cut), Partial(K::Cut)),
        ("chunked-bad-size", FallsBack(K::Cut), Partial(K::Cut)),
        ("chunked-truncated:0", FallsBack(K::Cut), FallsBack(K::Cut)),
    ])
    .await;
}

/// In a stream the dialect's own end has come before the framing turns out to be wrong: the answer is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_17_content_length_that_lies() {
    check(&[
        ("content-length-long", FallsBack(K::LengthMismatch), Passes),
        ("content-length-short", Passes, Passes),
        ("content-length-conflict", FallsBack(K::Protocol), FallsBack(K::Protocol)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_18_malformed_event() {
    check(&[("malformed-event", Passes, Partial(K::BadEvent)), ("malformed-event:0", Passes, FallsBack(K::BadEvent))])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_19_events_split_at_every_byte() {
    check(&[("split-every-byte", Passes, Passes), ("split-random", Passes, Passes)]).await;
}

/// An end marker without its blank line, and then a clean end of the body, is taken as the end: by the letter of the
/// standard the event never happened, but servers that forget the last line feed are more common than such a cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_20_line_ends_comments_and_byte_order_marks() {
    check(&[
        ("sse-crlf", Passes, Passes),
        ("sse-cr", Passes, Passes),
        ("sse-mixed-line-ends", Passes, Passes),
        ("sse-comments", Passes, Passes),
        ("sse-multi-line-data", Passes, Passes),
        ("sse-bom", Passes, Passes),
        ("sse-no-final-blank-line", Passes, Passes),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_21_error_events_after_200() {
    check(&[
        ("error-event-first", Passes, FallsBack(K::ErrorEvent)),
        ("error-event-later", Passes, Partial(K::ErrorEvent)),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_22_duplicate_and_late_events() {
    check(&[
        ("duplicate-events", Passes, Passes),
        ("out-of-order-events", Passes, Passes),
        ("events-after-terminal", Passes, Passes),
    ])
    .await;
}

/// A stream that is slow but never silent is ended by the total time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_13_a_slow_stream_ends_at_its_total_time() {
    let slow = SimOptions { tokens_per_second: Some(20.0), answer_tokens: 1000, ..SimOptions::named("faulty") };
    let (faulty, backup) = (Sim::start(slow).await.unwrap(), Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), "timeouts: {total: 5s}")).await;
    let bench = Arc::new(bench);
    // By the model's total, and by what the caller said.
    let limits = [("", 5000, "total_timeout"), ("x-tradewind-timeout: 4s\r\n", 4000, "deadline")];
    let asking =
        [Dialect::OpenAi, Dialect::Anthropic].into_iter().flat_map(|dialect| limits.map(|limit| (dialect, limit)));
    side_by_side(asking.map(|(dialect, (headers, limit, kind))| {
        let bench = bench.clone();
        async move {
            let answer = bench.ask_with(dialect, &question(dialect, &format!("pair-{dialect}"), true), headers).await;
            let late = Terminal::ErrorEvent("TW2005".to_owned());
            assert_eq!(terminal(&answer, dialect, true), late, "{}", answer.text());
            let record = bench.record(&answer).await;
            assert_eq!((record["outcome"].as_str(), record["fault"].as_str()), (Some("partial"), Some(kind)));
            let took = record["elapsed_ms"].as_f64().unwrap();
            // The whole of it would have taken fifty seconds.
            assert!((f64::from(limit)..f64::from(limit + 5000)).contains(&took), "{took}");
        }
    }))
    .await;
    assert!(faulty.wait_until(SOON, |stats| stats.cancelled == 4).await, "cancelled at the provider");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// A provider that never stops sending, as fast as it is read: the same event over and over.
async fn never_ending(listener: TcpListener, event: &'static str) {
    let chunk = format!("{:x}\r\n{event}\r\n", event.len()).repeat(200);
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let _ = stream.read(&mut request).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut sent = stream.write_all(head.as_bytes()).await;
        while sent.is_ok() {
            sent = stream.write_all(chunk.as_bytes()).await;
        }
    }
}

/// So is one that always has a next piece ready, though it never lets anybody wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_13_a_stream_without_end_ends_at_its_total_time() {
    const OPENAI: &str =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"wind\"},\"finish_reason\":null}]}\n\n";
    // Each is a stream of its own beginning, which may come twice; the second one is left out.
    const ANTHROPIC: &str = "data: {\"type\":\"message_start\",\"message\":{}}\n\n\
                             data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"wind\"}}\n\n";
    let mut providers = JoinSet::new();
    let mut yaml = String::new();
    let times = "{total: 3s}";
    for (dialect, base, event) in [("openai", "/v1", OPENAI), ("anthropic", "", ANTHROPIC)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{base}", listener.local_addr().unwrap());
        yaml += &format!("  - {{name: at-{dialect}, dialect: {dialect}, base-url: \"{url}\", discover: false}}\n");
        providers.spawn(never_ending(listener, event));
    }
    yaml = format!("providers:\n{yaml}models:\n");
    for dialect in ["openai", "anthropic"] {
        yaml += &format!("  - {{name: endless-{dialect}, targets: [{{use: at-{dialect}/m}}], timeouts: {times}}}\n");
    }
    let bench = Bench::start(&yaml).await;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let model = format!("endless-{dialect}");
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let request = post(path(dialect), "", &question(dialect, &model, true).to_string());
        stream.write_all(&request).await.unwrap();
        let (mut tail, mut buffer, mut bytes) = (Vec::new(), vec![0; 256 * 1024], 0);
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            bytes += count;
            tail.extend_from_slice(&buffer[..count]);
            tail.drain(..tail.len().saturating_sub(4096));
        }
        let tail = String::from_utf8_lossy(&tail).into_owned();
        assert!(bytes > 1 << 20 && tail.contains("TW2005") && tail.ends_with("\r\n0\r\n\r\n"), "{bytes}: {tail}");
        let record = bench.only_record(&model).await;
        assert_eq!((&record["outcome"], &record["fault"]), (&json!("partial"), &json!("total_timeout")), "{record}");
        assert!((3000.0..13_000.0).contains(&record["elapsed_ms"].as_f64().unwrap()), "{record}");
    }
    bench.is_back_at_baseline(&[]).await;
}

/// What is sent behind a complete answer never becomes the answer to another call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_17_bytes_behind_an_answer_are_never_another_answer() {
    let (faulty, backup) = sims("content-length-short").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), &format!("timeouts: {TIMES}"))).await;
    for (round, (dialect, stream)) in KINDS.into_iter().cycle().take(20).enumerate() {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success, "round {round}");
        assert!(!answer.text().contains("smuggled"), "{}", answer.text());
        // The bytes have to be on their way before the next call, or there is nothing yet that could be noticed; some of
        // them may have closed the connection before the last ones were sent.
        let sent = |stats: &SimStats| stats.complete + stats.cancelled == round as u64 + 1;
        assert!(faulty.wait_until(SOON, sent).await);
    }
    assert_eq!(faulty.stats().connections, 20, "a connection with such bytes is not used again");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_22_ignored_events_are_counted() {
    for fault in ["events-after-terminal", "duplicate-events"] {
        let (faulty, backup) = sims(fault).await;
        let folder = tempfile::TempDir::new().unwrap();
        let yaml = small_document([&faulty, &backup], folder.path(), &format!("timeouts: {TIMES}"));
        let bench = Bench::start(&yaml).await;
        let answer = bench.ask(Dialect::Anthropic, "pair-anthropic", true).await;
        assert_eq!(terminal(&answer, Dialect::Anthropic, true), Terminal::Success);
        let starts = answer.events().iter().filter(|event| event.contains("message_start")).count();
        assert_eq!(starts, 1, "{fault}: {}", answer.text());
        let dropped = bench.record(&answer).await["events_dropped"].as_u64();
        // What comes behind the end in another piece is not read any more, and so cannot be counted.
        assert!(dropped > Some(0) || fault == "events-after-terminal", "{fault}: {dropped:?}");
        bench.is_back_at_baseline(&[&faulty, &backup]).await;
    }
}
