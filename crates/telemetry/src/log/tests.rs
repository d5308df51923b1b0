//! What the lines look like, and that nobody waits for whoever reads them.

use std::sync::mpsc::{self, Receiver, SyncSender};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tradewind_core::{Code, FaultKind};

use super::*;
use crate::support::record;
use crate::trace::Trace;

const LONG: Duration = Duration::from_secs(60);

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Blocks each write until it is let go.
struct Stuck(Receiver<()>, Kept);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.recv();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn full() -> Record {
    let mut made = record(7);
    made.key = Some(Arc::from("ci"));
    made.tenant = Some(Arc::from("build team"));
    made.resolved = Some(Arc::from("assistant"));
    made.overhead = Some(Duration::from_micros(15));
    made.trace = Some(Trace::from_headers(None, None, &mut || 7));
    made
}

fn written(format: LogFormat, record: Record) -> String {
    let kept = Kept::default();
    let log = Log::start(Box::new(kept.clone()), LogCalls::All, format).unwrap();
    assert!(log.sender().try_send(Arc::new(record)));
    assert_eq!(log.close(LONG), 0);
    kept.lines().pop().unwrap()
}

#[test]
fn a_line_of_json_has_every_field() {
    let line: Value = serde_json::from_str(&written(LogFormat::Json, full())).unwrap();
    let expected = json!({
        "at": "2026-11-21T20:57:01.130Z", "level": "info", "message": "call", "outcome": "ok", "status": 200,
        "door": "models", "operation": "chat", "dialect": "openai", "stream": true, "key": "ci",
        "tenant": "build team", "model": "assistant", "target": "openai/gpt-5-mini", "attempts": 1,
        "elapsed_ms": 0.861, "first_byte_ms": 0.43, "overhead_ms": 0.015, "input": 12, "output": 9, "cached": 0,
        "reasoning": 0, "estimated": false, "cost_usd": 0.00012, "decision": crate::support::id(7).to_string(),
        "trace_id": "00000000000000070000000000000007", "span_id": "0000000000000007",
    });
    assert_eq!(line, expected);
}

#[test]
fn a_line_of_text_can_be_split_at_its_spaces() {
    let line = written(LogFormat::Text, full());
    let expected = "2026-11-21T20:57:01.130Z info call outcome=ok status=200 door=models operation=chat dialect=openai \
                    stream=true key=ci tenant=\"build team\" model=assistant target=openai/gpt-5-mini attempts=1";
    assert!(line.starts_with(expected), "{line}");
}

#[test]
fn a_callers_own_words_and_a_providers_are_not_repeated() {
    let mut failed = full();
    failed.model = Arc::from("forged\n2026 info call");
    failed.resolved = None;
    failed.detail = Some("the provider says: secret prompt".into());
    failed.outcome = Outcome::Rejected;
    failed.fault = Some(FaultKind::Rejected);
    failed.code = Some(Code::UnknownModel);
    failed.status = 404;
    for format in [LogFormat::Text, LogFormat::Json] {
        let line = written(format, failed.clone());
        assert!(line.contains("TW1003") && line.contains("rejected"), "{line}");
        assert!(!line.contains("forged") && !line.contains("secret"), "{line}");
    }
}

#[test]
fn only_the_calls_that_are_asked_for_have_a_line() {
    let out = || Box::new(std::io::sink());
    let wants = |calls, record: &Record| Log::start(out(), calls, LogFormat::Text).unwrap().sender().wants(record);
    let fine = full();
    for outcome in Outcome::ALL {
        let ended = Record { outcome: *outcome, ..fine.clone() };
        assert!(!wants(LogCalls::None, &ended));
        assert_eq!(wants(LogCalls::Failed, &ended), *outcome != Outcome::Ok);
        assert!(wants(LogCalls::All, &ended));
    }
}

#[test]
fn a_reader_that_hangs_costs_lines_and_no_call_and_is_told_how_many() {
    let kept = Kept::default();
    let (go, wait): (SyncSender<()>, _) = mpsc::sync_channel(2);
    let log = Log::start(Box::new(Stuck(wait, kept.clone())), LogCalls::All, LogFormat::Text).unwrap();
    let sender = log.sender();
    let line = Arc::new(full());
    let lost = (0..3 * QUEUE).filter(|_| !sender.try_send(Arc::clone(&line))).count();
    assert!(lost >= QUEUE, "{lost}");
    assert_eq!(sender.dropped(), lost as u64);
    drop(go);
    assert!(log.flush(LONG));
    let lines = kept.lines();
    let counts = lines.iter().filter_map(|line| line.split_once("lines dropped dropped=")?.1.parse::<usize>().ok());
    assert_eq!(counts.sum::<usize>(), lost);
    assert_eq!(lines.iter().filter(|line| line.contains("info call")).count(), 3 * QUEUE - lost);
}

#[test]
fn a_reader_that_never_comes_back_does_not_hold_the_end_up() {
    let (_go, wait) = mpsc::sync_channel(0);
    let log = Log::start(Box::new(Stuck(wait, Kept::default())), LogCalls::All, LogFormat::Text).unwrap();
    let sender = log.sender();
    let line = Arc::new(full());
    for _ in 0..2 * BATCH {
        sender.try_send(Arc::clone(&line));
    }
    assert!(log.close(Duration::from_millis(100)) >= BATCH);
    assert!(!sender.try_send(line), "nobody is there to write it");
}
