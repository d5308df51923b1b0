//! Rows 50 to 56: the gateway's own surroundings: its journal, its configuration, its end, its limits.
//!
//! Row 50, a jump of the wall clock: nothing here measures with it. Every limit, window and rest is a difference of
//! `Moment`s of the monotonic clock (guarded by the ban on other clocks in `clippy.toml` and by the tests of
//! `core::clock`); ids keep growing when the wall clock is set back (tests of `core::id`); only dates in `Retry-After`
//! are compared with it, and they are capped (row 31).

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tradewind_core::Dialect;
use tradewind_sim::{Sim, SimOptions};
use tradewind_telemetry::Query;

use super::table::{KINDS, sims, small_document, write_file};
use crate::support::{
    Answer, Bench, SOON, TIMES, Terminal, eventually, get, now, path, post, question, read_to_end, read_until, send,
    terminal,
};

fn usual() -> String {
    format!("timeouts: {TIMES}")
}

/// A provider that takes about so long for a stream.
async fn slow(name: &str, tokens: usize) -> Sim {
    let options = SimOptions { tokens_per_second: Some(20.0), answer_tokens: tokens, ..SimOptions::named(name) };
    Sim::start(options).await.unwrap()
}

/// Begins a stream and returns it when its first content has come.
async fn begin_stream(bench: &Bench, dialect: Dialect, model: &str) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.write_all(&post(path(dialect), "", &question(dialect, model, true).to_string())).await.unwrap();
    let bytes = read_until(&mut stream, "faulty").await;
    (stream, bytes)
}

/// Reads the rest of a stream that was begun.
async fn rest((mut stream, mut bytes): (TcpStream, Vec<u8>)) -> Answer {
    bytes.extend(read_to_end(&mut stream).await);
    Answer::parse(&bytes, Duration::ZERO)
}

async fn journal(bench: &Bench, field: &str) -> u64 {
    bench.send(&get("/api/v1/status")).await.json()["journal"][field].as_u64().unwrap()
}

/// A journal that cannot be written costs records, which are counted, and no call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_51_a_journal_that_cannot_be_written_costs_no_call() {
    let (faulty, backup) = sims("error-500").await;
    faulty.clear_fault();
    let folder = tempfile::TempDir::new().unwrap();
    let bench = Bench::start(&small_document([&faulty, &backup], folder.path(), &usual())).await;
    let file = bench.folder.path().join("data").join(tradewind_telemetry::FILE_NAME);
    let blocker = Connection::open(file).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut took = Vec::new();
    for (dialect, stream) in KINDS.into_iter().cycle().take(12) {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::Success);
        assert!(answer.decision().is_some());
        took.push(answer.took);
    }
    // Calls that wait for the journal, which tries for a second, would all be slow; a busy machine holds up a few of them.
    took.sort_unstable();
    assert!(took[took.len() / 2] < Duration::from_millis(500), "{took:?}");
    eventually("the lost records are counted", SOON, async || journal(&bench, "dropped").await == 12).await;
    let status = bench.send(&get("/api/v1/status")).await.json();
    assert!(status["journal"]["notice"].as_str().unwrap().contains("cannot be written"), "{status}");
    blocker.execute_batch("ROLLBACK").unwrap();
    // It is tried again after a second.
    eventually("records are kept again", SOON, async || {
        bench.ask(Dialect::OpenAi, "pair-openai", false).await;
        journal(&bench, "written").await > 0
    })
    .await;
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// Calls in flight end on the document that they began with; the next ones follow the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_54_a_reload_leaves_calls_in_flight_alone() {
    let (faulty, backup) = (slow("faulty", 20).await, Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let document = |sims| small_document(sims, folder.path(), &usual());
    let bench = Bench::start(&document([&faulty, &backup])).await;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let model = format!("pair-{dialect}");
        bench.reload(&document([&faulty, &backup]));
        let running = begin_stream(&bench, dialect, &model).await;
        bench.reload(&document([&backup, &faulty]));
        let answer = bench.ask(dialect, &model, true).await;
        assert_eq!(terminal(&answer, dialect, true), Terminal::Success);
        assert!(answer.text().contains("backup"), "the new document counts");
        let answer = rest(running).await;
        assert_eq!(terminal(&answer, dialect, true), Terminal::Success);
        assert!(answer.text().contains("faulty"), "the old one still does for the call in flight");
    }
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// A document that cannot be put in place as a whole changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_54_a_bad_document_never_replaces_a_good_one() {
    let (faulty, backup) = sims("error-500").await;
    faulty.clear_fault();
    let folder = tempfile::TempDir::new().unwrap();
    let good = small_document([&faulty, &backup], folder.path(), &usual());
    let bench = Bench::start(&good).await;
    let before = bench.gateway.models().snapshot();
    write_file(&folder.path().join("broken.pem"), "not a certificate");
    let roots = format!("discover: false, tls-roots: {}", folder.path().join("broken.pem").display());
    // The first provider could be used, the second could not.
    let bad = good.replacen("discover: false", "discover: true", 1).replacen("discover: false", &roots, 1);
    let head = format!("listen: 127.0.0.1:0\ndata-dir: {}\n", bench.folder.path().join("data").display());
    let bad = tradewind::Document::parse(&format!("{head}{bad}")).unwrap();
    assert!(bench.gateway.reload(bad).is_err());
    assert!(Arc::ptr_eq(&before, &bench.gateway.models().snapshot()), "the snapshot is the same");
    for text in ["models: [{name: a, targets: [{use: nobody/m}]}]", "providers: {", "limits: {request-body: -1}"] {
        assert!(tradewind::Document::parse(&format!("{head}{text}\n")).is_err(), "{text}");
    }
    let answer = bench.ask(Dialect::OpenAi, "pair-openai", true).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::Success);
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// At a stop: nobody new is taken in, who can end in time ends well, and the others are told in their dialect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_55_a_stop_drains_streams_and_ends_the_rest_in_words() {
    let (short, long) = (slow("faulty", 20).await, slow("faulty", 2000).await);
    let silent = Sim::start(SimOptions { fault: Some("no-headers".parse().unwrap()), ..SimOptions::named("faulty") });
    let silent = silent.await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let mut yaml = "providers:\n".to_owned();
    let mut models = "models:\n".to_owned();
    for (name, sim) in [("short", &short), ("long", &long), ("silent", &silent)] {
        for (dialect, base) in [("openai", "/v1"), ("anthropic", "")] {
            let url = sim.base_url();
            yaml += &format!(
                "  - {{name: {name}-{dialect}, dialect: {dialect}, base-url: \"{url}{base}\", discover: false}}\n"
            );
            models += &format!("  - {{name: {name}-{dialect}, targets: [{{use: {name}-{dialect}/m}}]}}\n");
        }
    }
    let bench = Arc::new(Bench::start(&(yaml + &models)).await);
    let (address, journal) = (bench.address, bench.gateway.journal().clone());
    assert_eq!(bench.send(&get("/readyz")).await.status, 200);
    let mut running = JoinSet::new();
    let dialects = [Dialect::OpenAi, Dialect::Anthropic];
    for dialect in dialects {
        for name in ["short", "long"] {
            let begun = begin_stream(&bench, dialect, &format!("{name}-{dialect}")).await;
            running.spawn(async move { (name, dialect, rest(begun).await) });
        }
        let waiting = post(path(dialect), "", &question(dialect, &format!("silent-{dialect}"), false).to_string());
        running.spawn(async move { ("silent", dialect, send(address, &waiting).await) });
    }
    assert!(silent.wait_until(SOON, |stats| stats.in_flight == 2).await);

    let Bench { gateway, folder: _kept, .. } = Arc::into_inner(bench).unwrap();
    let began = now();
    let mut stopping = JoinSet::new();
    stopping.spawn(async move { gateway.stop(Duration::from_secs(8)).await });
    eventually("nobody new is taken in", SOON, async || TcpStream::connect(address).await.is_err()).await;
    while let Some(ended) = running.join_next().await {
        let (name, dialect, answer) = ended.unwrap();
        assert_ne!(answer.status, 0, "{name} {dialect} after {:?}", began.elapsed());
        let outcome = terminal(&answer, dialect, name != "silent");
        let draining = "TW2004".to_owned();
        match name {
            "short" => assert_eq!(outcome, Terminal::Success),
            "long" => assert_eq!(outcome, Terminal::ErrorEvent(draining)),
            _ => assert_eq!(outcome, Terminal::ErrorStatus(503, Some(draining))),
        }
    }
    let (dropped, unwritten) = stopping.join_next().await.unwrap().unwrap();
    assert_eq!((dropped, unwritten), (0, 0));
    assert!(began.elapsed() < Duration::from_secs(18), "{:?}", began.elapsed());
    for sim in [&short, &long, &silent] {
        assert!(sim.wait_until(SOON, |stats| stats.in_flight == 0).await, "{:?}", sim.stats());
    }
    let records = tokio::task::spawn_blocking(move || journal.list(&Query::default()).unwrap().records).await.unwrap();
    let records: Vec<Value> = records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
    assert_eq!(records.len(), 6, "{records:?}");
    let table = [("short", "ok", None), ("long", "partial", Some("draining")), ("silent", "failed", Some("draining"))];
    for (name, outcome, fault) in table {
        let of_name: Vec<_> = records.iter().filter(|one| one["model"].as_str().unwrap().starts_with(name)).collect();
        assert_eq!(of_name.len(), 2, "{name}: {records:?}");
        for record in of_name {
            assert_eq!((record["outcome"].as_str(), record["fault"].as_str()), (Some(outcome), fault), "{record}");
        }
    }
    drop(folder);
}

/// More calls than may be under way are shed at once, and room comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_56_calls_beyond_the_limit_are_shed() {
    let (faulty, backup) = (slow("faulty", 2000).await, Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&faulty, &backup], folder.path(), "timeouts: {total: 100s}");
    let bench = Bench::start(&format!("limits: {{concurrent-calls: 4}}\n{yaml}")).await;
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(begin_stream(&bench, Dialect::OpenAi, "pair-openai").await);
    }
    for (dialect, stream) in KINDS {
        let answer = bench.ask(dialect, &format!("pair-{dialect}"), stream).await;
        assert_eq!(terminal(&answer, dialect, stream), Terminal::ErrorStatus(503, Some("TW2006".to_owned())));
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(answer.took < Duration::from_secs(5), "{:?}", answer.took);
    }
    assert_eq!(faulty.stats().requests, 4);
    running.clear();
    eventually("room comes back", SOON, async || bench.send(&get("/v1/models")).await.status == 200).await;
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_56_connections_beyond_the_limit_are_shed() {
    let sim = Sim::start(SimOptions::named("faulty")).await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&sim, &sim], folder.path(), &usual());
    let bench = Bench::start(&format!("limits: {{connections: 4}}\n{yaml}")).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(TcpStream::connect(bench.address).await.unwrap());
    }
    // The four have been accepted when one more is turned away.
    eventually("one more is turned away", SOON, async || {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        let bytes = read_to_end(&mut stream).await;
        Answer::parse(&bytes, Duration::ZERO).status == 503
    })
    .await;
    open.clear();
    eventually("calls are answered again", SOON, async || {
        bench.ask(Dialect::OpenAi, "pair-openai", false).await.status == 200
    })
    .await;
    bench.is_back_at_baseline(&[&sim]).await;
}

/// A target takes as many calls as it may, a few more wait, and the rest go elsewhere or are told to come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_56_a_target_at_its_limit_is_passed_over() {
    let (faulty, backup) = (slow("faulty", 80).await, Sim::start(SimOptions::named("backup")).await.unwrap());
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&faulty, &backup], folder.path(), "timeouts: {total: 60s}")
        .replace("{use: first-openai/m}", "{use: first-openai/m, max-in-flight: 1, max-queue: 1}");
    let bench = Arc::new(Bench::start(&yaml).await);
    let running = begin_stream(&bench, Dialect::OpenAi, "pair-openai").await;
    let answer = bench.ask(Dialect::OpenAi, "pair-openai", true).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::Success);
    assert!(answer.text().contains("backup"), "the next target has room");
    let mut waiting = JoinSet::new();
    let queued = bench.clone();
    waiting.spawn(async move { queued.ask(Dialect::OpenAi, "alone-openai", false).await });
    eventually("one call waits", SOON, async || bench.target("first-openai/m").queued() == 1).await;
    let answer = bench.ask(Dialect::OpenAi, "alone-openai", true).await;
    assert_eq!(terminal(&answer, Dialect::OpenAi, true), Terminal::ErrorStatus(503, Some("TW2002".to_owned())));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(bench.record(&answer).await["fault"], "busy");
    assert_eq!(terminal(&rest(running).await, Dialect::OpenAi, true), Terminal::Success);
    let answer = waiting.join_next().await.unwrap().unwrap();
    assert_eq!(terminal(&answer, Dialect::OpenAi, false), Terminal::Success);
    bench.is_back_at_baseline(&[&faulty, &backup]).await;
}

/// The gateway as a process of its own; ended with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Without a file descriptor left the gateway takes nobody in, loses nobody whom it has, and recovers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_56_file_descriptors_run_out_and_come_back() {
    let sim = Sim::start(SimOptions::named("faulty")).await.unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let yaml = small_document([&sim, &sim], folder.path(), &usual());
    let file = folder.path().join("tradewind.yaml");
    let data = folder.path().join("data");
    write_file(
        &file,
        &format!("listen: 127.0.0.1:0\ndata-dir: {}\nlimits: {{header-time: 60s}}\n{yaml}", data.display()),
    );
    let script = format!("ulimit -n 64 && exec {} run -f {}", env!("CARGO_BIN_EXE_tradewind"), file.display());
    let mut child = Process(Command::new("sh").args(["-c", &script]).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
    let reading = tokio::task::spawn_blocking(move || {
        let ready = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on http://").map(|address| address.parse().unwrap()));
        (ready.expect("the gateway ended before it was ready"), lines)
    });
    let (address, _lines) = reading.await.unwrap();
    let call = post(path(Dialect::OpenAi), "", &question(Dialect::OpenAi, "pair-openai", false).to_string());
    assert_eq!(send(address, &call).await.status, 200);
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    // One that is not among those that could be accepted waits; it is answered when there is room again.
    let mut late = TcpStream::connect(address).await.unwrap();
    late.write_all(&call).await.unwrap();
    let mut byte = [0];
    let soon = tokio::time::timeout(Duration::from_millis(300), late.read(&mut byte)).await;
    assert!(soon.is_err(), "it was accepted although no file descriptor should be left");
    assert_eq!(child.0.try_wait().unwrap(), None, "the process lives");
    drop(open);
    let answered = tokio::time::timeout(SOON, late.read(&mut byte)).await;
    assert_eq!(answered.unwrap().unwrap(), 1, "the call that waited is answered");
    assert_eq!(send(address, &call).await.status, 200);
    let records = send(address, &get("/api/v1/decisions")).await.json();
    assert_eq!(records["decisions"].as_array().map(Vec::len), Some(3), "{records}");
    assert!(records["decisions"].as_array().unwrap().iter().all(|one| one["outcome"] == json!("ok")));
}
