//! Rows 14, 27, 28 and 43: whatever a provider sends and however slowly a caller reads, memory stays flat.
//!
//! Measured as the peak of this process's resident memory, sims and clients included; with `cargo nextest` each test is
//! a process of its own.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};

use super::table::{sims, small_document, write_file};
use crate::support::{Bench, LIMITS, SOON, Terminal, eventually, path, post, question, read_until, terminal};

/// What all of it may add. The sims send from 16 MiB to 1 GiB.
const MOST: u64 = 12 << 20;
const MIB: f64 = (1 << 20) as f64;

/// A line of the process's status, in bytes.
#[expect(clippy::disallowed_methods, reason = "a test looks at its own process")]
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kib: u64 = line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse().unwrap();
    kib << 10
}

/// Begins to measure: returns resident memory now, and forgets the peak.
fn begin() -> u64 {
    write_file(std::path::Path::new("/proc/self/clear_refs"), "5");
    memory("VmRSS")
}

fn grown(from: u64) -> u64 {
    memory("VmHWM").saturating_sub(from)
}

async fn bench(sims: [&Sim; 2], folder: &std::path::Path, more_limits: &str) -> Bench {
    let limits = LIMITS.replace('}', more_limits) + "}";
    let times = "timeouts: {connect: 10s, first-token: 15s, idle: 15s, total: 60s}";
    Bench::start(&format!("limits: {limits}\n{}", small_document(sims, folder, times))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_27_28_answers_over_the_limit_take_no_memory() {
    // Each of them is 60 or more times its limit.
    for fault in
        ["huge-chunk:268435456", "huge-event:67108864", "huge-body:67108864", "huge-headers", "gzip-bomb:134217728"]
    {
        let (faulty, backup) = sims(fault).await;
        let folder = tempfile::TempDir::new().unwrap();
        let bench = bench([&faulty, &backup], folder.path(), "").await;
        for (dialect, stream) in [(Dialect::OpenAi, false), (Dialect::Anthropic, true)] {
            if stream && fault.starts_with("huge-body") {
                continue; // a long stream is no fault: the next test
            }
            let model = format!("pair-{dialect}");
            if fault.starts_with("gzip") {
                // The sim makes its bomb in memory, once for each call: it must not be counted.
                let warm = bench.ask(dialect, &model, stream).await;
                assert_eq!(terminal(&warm, dialect, stream), Terminal::Success, "{fault}");
            }
            let before = begin();
            let answer = bench.ask(dialect, &model, stream).await;
            assert_eq!(terminal(&answer, dialect, stream), Terminal::Success, "{fault}");
            let record = bench.record(&answer).await;
            assert_eq!(record["attempts"][0]["fault"], "too_large", "{fault}: {record}");
            let most = grown(before);
            assert!(most < MOST, "{fault}: {:.1} MiB more", most as f64 / MIB);
        }
        bench.is_back_at_baseline(&[&faulty, &backup]).await;
    }
}

/// A long stream passes, and only a chunk of it is here at any time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_27_a_long_stream_passes_without_being_held() {
    let (faulty, backup) = sims("huge-body:67108864").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = bench([&faulty, &backup], folder.path(), "").await;
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    let body = question(Dialect::OpenAi, "pair-openai", true).to_string();
    stream.write_all(&post(path(Dialect::OpenAi), "", &body)).await.unwrap();
    read_until(&mut stream, "faulty").await;
    let before = begin();
    let (mut buffer, mut tail, mut bytes) = (vec![0; 64 * 1024], Vec::new(), 0_u64);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        bytes += count as u64;
        tail.extend_from_slice(&buffer[..count]);
        tail.drain(..tail.len().saturating_sub(1024));
    }
    let most = grown(before);
    assert!(bytes > 64 << 20, "{bytes}");
    assert!(String::from_utf8_lossy(&tail).contains("[DONE]"));
    assert!(most < MOST, "{:.1} MiB more", most as f64 / MIB);
    assert_eq!(bench.only_record("pair-openai").await["outcome"], "ok");
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// A caller that reads slowly slows the provider down: nothing piles up in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_14_43_a_slow_reader_holds_the_provider_back() {
    let (faulty, backup) = sims("huge-body:268435456").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = bench([&faulty, &backup], folder.path(), "").await;
    let mut readers = Vec::new();
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let body = question(dialect, &format!("pair-{dialect}"), true).to_string();
        stream.write_all(&post(path(dialect), "", &body)).await.unwrap();
        read_until(&mut stream, "faulty").await;
        readers.push(stream);
    }
    // The sim has laid out what it will send: from here on nothing may come on top.
    let before = begin();
    // For a while they read a little at a time: 64 KiB every 20 ms, of 256 MiB. In between nobody may get on without them.
    let mut buffer = vec![0; 64 * 1024];
    for _ in 0..25 {
        let gone_on = faulty.wait_until(Duration::from_millis(20), |stats| stats.in_flight != 2).await;
        assert!(!gone_on, "the provider is not held back");
        for stream in &mut readers {
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
        }
    }
    let stats = faulty.stats();
    assert_eq!((stats.in_flight, stats.complete), (2, 0), "the provider is held back");
    let most = grown(before);
    assert!(most < MOST, "{:.1} MiB more", most as f64 / MIB);
    drop(readers);
    assert!(faulty.wait_until(SOON, |stats| stats.cancelled == 2).await);
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// A caller that stops reading altogether is given up, and the provider with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_43_a_caller_that_stops_reading_is_given_up() {
    let (faulty, backup) = sims("huge-body:268435456").await;
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Arc::new(bench([&faulty, &backup], folder.path(), ", write-stall: 500ms").await);
    for (number, dialect) in [Dialect::OpenAi, Dialect::Anthropic].into_iter().enumerate() {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let model = format!("pair-{dialect}");
        stream.write_all(&post(path(dialect), "", &question(dialect, &model, true).to_string())).await.unwrap();
        read_until(&mut stream, "faulty").await;
        let gone = number as u64 + 1;
        assert!(faulty.wait_until(SOON, |stats| stats.cancelled == gone).await, "{:?}", faulty.stats());
        let record = bench.only_record(&model).await;
        assert_eq!(
            (&record["outcome"], &record["fault"]),
            (&json!("client_gone"), &json!("client_stalled")),
            "{record}"
        );
        assert!(record["usage"]["output"].as_u64().unwrap() > 0, "{record}");
        drop(stream);
    }
    eventually("other callers are served", SOON, async || {
        faulty.clear_fault();
        bench.ask(Dialect::OpenAi, "alone-openai", true).await.status == 200
    })
    .await;
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// What a caller sends is bounded as well: see `bad_input` for how it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_27_requests_over_the_limit_take_no_memory() {
    let sim = Sim::start(SimOptions::named("faulty")).await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let bench = bench([&sim, &sim], folder.path(), "").await;
    let before = begin();
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut sent = 0;
    while sent < 1024 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 1;
    }
    // The limit is 4 MiB; what the sockets hold comes on top.
    assert!(sent < 1024, "64 MiB were taken");
    let most = grown(before);
    assert!(most < 2 * MOST, "{:.1} MiB more", most as f64 / MIB);
    drop(stream);
    bench.is_back_at_baseline(&[&sim]).await;
}
