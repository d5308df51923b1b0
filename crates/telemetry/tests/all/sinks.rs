//! A closed call reaches every sink, each once, and sinks can be swapped while calls end.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{RealClock, record};
use bytes::Bytes;
use http::{Request, Response, Uri};
use tradewind_telemetry::{
    Day, Format, GroupBy, JournalSender, Log, LogCalls, LogFormat, Metrics, Post, Posting, Sinks, SpanSettings, Spans,
    Spend, Trace,
};

const LONG: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Taking;

impl Post for Taking {
    fn post(&self, _request: Request<Bytes>) -> Posting {
        Box::pin(std::future::ready(Ok(Response::new(Bytes::new()))))
    }
}

fn spans() -> Spans {
    let settings = SpanSettings::new(Uri::from_static("http://127.0.0.1:4318/v1/traces"));
    Spans::start(settings, Arc::new(Taking), RealClock::new()).unwrap()
}

fn log() -> Log {
    Log::start(Box::new(std::io::sink()), LogCalls::All, LogFormat::Json).unwrap()
}

#[test]
fn a_closed_call_reaches_every_sink_once() {
    let (journal, records) = JournalSender::to_channel(10);
    let (metrics, spend, spans, log) = (Arc::new(Metrics::new()), Spend::in_memory(), spans(), log());
    let sinks = Sinks::new(journal, Arc::clone(&metrics), spend.clone(), Some(spans.sender()), Some(log.sender()));
    for (number, ratio) in [(1, 1.0), (2, 0.0)] {
        let mut made = record(number);
        made.trace = Some(Trace::from_headers(None, None, &mut || 7).sampled_at(ratio));
        sinks.finish(Box::new(made));
    }
    assert_eq!(records.try_iter().count(), 2);
    let rows = spend.query(Day(0), Day(u32::MAX), None, GroupBy::default()).unwrap();
    assert_eq!(rows[0].totals.calls, 2);
    let page = metrics.encode(Format::Prometheus);
    assert!(page.contains(r#"model="other",outcome="ok",status="200"} 2"#), "{page}");
    assert!(spans.flush(LONG));
    assert_eq!(spans.stats().exported, 1, "only what is sampled");
    assert!(log.flush(LONG));
    assert_eq!(log.sender().dropped(), 0);
}

#[test]
fn sinks_are_swapped_between_two_calls() {
    let (journal, records) = JournalSender::to_channel(10);
    let sinks = Sinks::to_journal(journal);
    let traced = || {
        let mut made = record(1);
        made.trace = Some(Trace::from_headers(None, None, &mut || 7));
        Box::new(made)
    };
    let (first, second) = (spans(), spans());
    for next in [None, Some(first.sender()), Some(second.sender()), None] {
        sinks.set_spans(next);
        sinks.finish(traced());
    }
    assert!(first.flush(LONG) && second.flush(LONG));
    assert_eq!((first.stats().exported, second.stats().exported), (1, 1));
    assert_eq!(records.try_iter().count(), 4);
}
