//! What a closed call costs on the thread that closes it: each sink by itself, and all of them with the journal.
//!
//! `cargo bench -p tradewind-telemetry --bench sinks`. Budgets: 1 µs for the metrics, 4 µs for all without spans.

#[path = "../tests/all/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use http::{Request, Response, Uri};
use support::{RealClock, TestClock, busy_record};
use tradewind_telemetry::{
    Format, Journal, JournalSender, Log, LogCalls, LogFormat, Metrics, Post, Posting, Record, Settings, Sinks,
    SpanSettings, Spans, Spend, Trace,
};

const RECORDS: u64 = 8_000;

fn main() {
    divan::main();
}

#[derive(Debug)]
struct Taking;

impl Post for Taking {
    fn post(&self, _request: Request<Bytes>) -> Posting {
        Box::pin(std::future::ready(Ok(Response::new(Bytes::new()))))
    }
}

/// A call as the gateway records it, with a key, a trace and everything else.
fn call(number: u64, sampled: bool) -> Record {
    let mut made = busy_record(number);
    made.key = Some(Arc::from("ci"));
    made.resolved = Some(Arc::from("assistant"));
    made.overhead = Some(Duration::from_micros(40));
    made.finish = Some("stop".into());
    made.response_model = Some("gpt-5-mini-2026".into());
    made.response_id = Some("chatcmpl-0123456789".into());
    made.attempts[0].server = Some(Arc::from("api.openai.com:443"));
    let ratio = if sampled { 1.0 } else { 0.0 };
    made.trace = Some(Trace::from_headers(None, None, &mut || number | 1).sampled_at(ratio));
    made
}

#[expect(clippy::vec_box, reason = "a call's record comes in a box")]
fn calls(from: u64, sampled: bool) -> Vec<Box<Record>> {
    (from..from + RECORDS).map(|number| Box::new(call(number, sampled))).collect()
}

/// One call, over and over; on one thread and on two.
#[divan::bench(threads = [1, 2], args = [false, true])]
fn metrics(bencher: Bencher<'_, '_>, sampled: bool) {
    let metrics = Metrics::new();
    let record = call(1, sampled);
    bencher.bench(|| metrics.observe(black_box(&record)));
}

#[divan::bench(threads = [1, 2])]
fn spend(bencher: Bencher<'_, '_>) {
    let spend = Spend::in_memory();
    let record = call(1, false);
    bencher.bench(|| spend.add(black_box(&record)));
}

#[divan::bench]
fn copy_of_a_record(bencher: Bencher<'_, '_>) {
    let record = call(1, true);
    bencher.bench(|| Arc::new(black_box(&record).clone()));
}

#[divan::bench]
fn scrape(bencher: Bencher<'_, '_>) {
    let metrics = Metrics::new();
    for number in 0..100 {
        let mut record = call(number, true);
        record.resolved = Some(format!("model {number}").into());
        metrics.observe(&record);
    }
    bencher.bench(|| metrics.encode(Format::OpenMetrics));
}

/// Everything that happens on the call's own thread, the journal's queue included; its thread writes meanwhile.
#[divan::bench(args = ["journal", "journal and log", "journal, log and spans"], sample_count = 50, sample_size = 1)]
fn finish(bencher: Bencher<'_, '_>, sinks: &str) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let settings = Settings { queue: 1 << 20, ..Settings::default() };
    let (journal, _) = Journal::open(folder.path(), settings, TestClock::new()).expect("a new journal");
    let span_settings = SpanSettings::new(Uri::from_static("http://127.0.0.1/v1/traces"));
    let spans = Spans::start(span_settings, Arc::new(Taking), RealClock::new()).expect("a thread");
    let log = Log::start(Box::new(std::io::sink()), LogCalls::All, LogFormat::Json).expect("a thread");
    let with_spans = sinks.contains("spans").then(|| spans.sender());
    let with_log = sinks.contains("log").then(|| log.sender());
    let metrics = Arc::new(Metrics::new());
    let sinks = Sinks::new(journal.sender(), metrics, journal.spend(), with_spans, with_log);
    let mut next = 0;
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| {
            next += RECORDS;
            assert!(journal.flush(Duration::from_secs(60)));
            calls(next, true)
        })
        .bench_local_values(|records| {
            for record in records {
                sinks.finish(record);
            }
        });
}

/// As above without anybody who takes the records away: the call's own part and nothing else.
#[divan::bench]
fn finish_alone(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(RECORDS))
        .with_inputs(|| {
            let (journal, receiver) = JournalSender::to_channel(RECORDS as usize);
            (Sinks::to_journal(journal), receiver, calls(0, false))
        })
        .bench_local_values(|(sinks, receiver, records)| {
            for record in records {
                sinks.finish(record);
            }
            receiver
        });
}
