//! Spans as a collector reads them, with OpenTelemetry's own types, and collectors of every bad kind.

use std::collections::HashMap;
use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{RealClock, START, record};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_semantic_conventions::attribute;
use parking_lot::Mutex;
use prost::Message;
use tradewind_core::{Clock, FaultKind, TargetId, Usage, Usd};
use tradewind_telemetry::{Attempt, Outcome, Post, Posting, Record, SpanSettings, Spans, Trace};

const LONG: Duration = Duration::from_secs(60);
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What a collector does with a request.
type Behaviour = Box<dyn Fn(usize) -> Posting + Send + Sync>;

struct Collector {
    requests: Mutex<Vec<Request<Bytes>>>,
    behaviour: Behaviour,
    /// Futures that are still awaited.
    open: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Collector")
    }
}

struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Post for Collector {
    fn post(&self, request: Request<Bytes>) -> Posting {
        let mut requests = self.requests.lock();
        requests.push(request);
        let answer = (self.behaviour)(requests.len());
        self.open.fetch_add(1, Ordering::SeqCst);
        let guard = Guard(Arc::clone(&self.open));
        Box::pin(async move {
            let _guard = guard;
            answer.await
        })
    }
}

fn answering(status: StatusCode) -> Posting {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    Box::pin(ready(Ok(response)))
}

fn settings() -> SpanSettings {
    SpanSettings {
        batch_time: Duration::ZERO,
        timeout: Duration::from_millis(50),
        backoff: Duration::from_millis(1),
        queue: 64,
        batch: 8,
        ..SpanSettings::new(Uri::from_static("http://127.0.0.1:4318/v1/traces"))
    }
}

fn start(
    settings: SpanSettings,
    behaviour: impl Fn(usize) -> Posting + Send + Sync + 'static,
) -> (Spans, Arc<Collector>) {
    let collector =
        Arc::new(Collector { requests: Mutex::default(), behaviour: Box::new(behaviour), open: Arc::default() });
    (Spans::start(settings, collector.clone(), RealClock::new()).unwrap(), collector)
}

fn traced(number: u64) -> Record {
    let mut made = record(number);
    made.trace = Some(Trace::from_headers(Some(PARENT), Some("vendor=1"), &mut || 7));
    made
}

/// A hedged stream: the second of three attempts answered, through another protocol.
fn eventful() -> Record {
    let mut made = traced(1);
    made.key = Some(Arc::from("ci"));
    made.resolved = Some(Arc::from("assistant"));
    made.overhead = Some(Duration::from_micros(31));
    made.translated = Some("messages");
    made.dropped = vec!["metadata".to_owned()];
    made.finish = Some("end_turn".into());
    made.response_id = Some("msg_1".into());
    made.response_model = Some("claude-sonnet-5".into());
    let attempt = |target: &str, hedge, started| Attempt {
        server: Some(Arc::from("api.example.com:443")),
        ..Attempt::new(TargetId::new(target), hedge, Duration::from_millis(started))
    };
    made.attempts = [
        Attempt {
            ended: Duration::from_millis(5),
            outcome: Outcome::Failed,
            fault: Some(FaultKind::ConnectRefused),
            ..attempt("openai/gpt-5-mini", false, 1)
        },
        Attempt {
            first_byte: Some(Duration::from_millis(36)),
            ended: Duration::from_millis(90),
            outcome: Outcome::Ok,
            status: Some(200),
            usage: Some(Usage { input: 10, output: 5, cached: 4, cache_written: 0, reasoning: 2, estimated: false }),
            cost: Some(Usd::from_pico(3_000_000_000)),
            ..attempt("anthropic/claude-sonnet", false, 6)
        },
        Attempt { ended: Duration::from_millis(36), ..attempt("hub/org/model", true, 20) },
    ]
    .into_iter()
    .collect();
    made.chosen = Some(TargetId::new("anthropic/claude-sonnet"));
    made.usage = Some(Usage { input: 10, output: 5, cached: 4, cache_written: 0, reasoning: 2, estimated: false });
    made.elapsed = Duration::from_millis(91);
    made
}

fn spans_of(record: Record) -> (Vec<Span>, ExportTraceServiceRequest) {
    let (spans, collector) = start(settings(), |_| answering(StatusCode::OK));
    assert!(spans.sender().try_send(Arc::new(record)));
    assert!(spans.flush(LONG));
    assert_eq!(spans.stats().exported, 1);
    let requests = collector.requests.lock();
    let decoded = ExportTraceServiceRequest::decode(requests[0].body().clone()).unwrap();
    assert_eq!((decoded.resource_spans.len(), decoded.resource_spans[0].scope_spans.len()), (1, 1));
    (decoded.resource_spans[0].scope_spans[0].spans.clone(), decoded)
}

fn shown(value: &AnyValue) -> String {
    match value.value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(truth) => truth.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::ArrayValue(array) => array.values.iter().map(shown).collect::<Vec<_>>().join("|"),
        other => panic!("{other:?}"),
    }
}

fn attributes(list: &[KeyValue]) -> HashMap<&str, String> {
    let map: HashMap<_, _> = list.iter().map(|one| (one.key.as_str(), shown(one.value.as_ref().unwrap()))).collect();
    assert_eq!(map.len(), list.len(), "no attribute twice");
    map
}

#[test]
fn a_call_is_a_server_span_with_its_decision_and_attempts_below() {
    let made = eventful();
    let trace = made.trace.clone().unwrap();
    let (spans, request) = spans_of(made);
    let names: Vec<_> = spans.iter().map(|span| (span.name.as_str(), span.kind)).collect();
    let expected = [
        ("POST /v1/chat/completions", 2),
        ("route.decide", 1),
        ("chat gpt-5-mini", 3),
        ("chat claude-sonnet", 3),
        ("chat org/model", 3),
    ];
    assert_eq!(names, expected);
    assert!(spans.iter().all(|span| span.trace_id == trace.id && span.trace_state == "vendor=1"));
    assert_eq!(spans[0].span_id, trace.span);
    assert_eq!(spans[0].parent_span_id, trace.parent.unwrap(), "the caller's trace is continued");
    assert_eq!(spans[0].flags, 0x301);
    assert!(spans[1..].iter().all(|span| span.parent_span_id == trace.span && span.flags == 0x101));
    assert_eq!(spans[1].span_id, trace.decide_span());
    for number in 0..3 {
        assert_eq!(spans[2 + number].span_id, trace.attempt_span(number), "the span that the provider was told");
    }
    let millis = |span: &Span| {
        let since = |nanos: u64| (nanos - (START.0 + 1) * 1_000_000) / 1_000_000;
        (since(span.start_time_unix_nano), since(span.end_time_unix_nano))
    };
    assert_eq!(spans.iter().map(millis).collect::<Vec<_>>(), [(0, 91), (0, 1), (1, 5), (6, 90), (20, 36)]);
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(attributes(&resource.attributes)["service.name"], "tradewind");
}

#[test]
#[expect(deprecated, reason = "the GenAI names moved to a repository of their own, for which there is no crate yet")]
fn attributes_have_the_conventions_names() {
    let (spans, _) = spans_of(eventful());
    let call = attributes(&spans[0].attributes);
    for (name, value) in [
        (attribute::HTTP_REQUEST_METHOD, "POST"),
        (attribute::HTTP_ROUTE, "/v1/chat/completions"),
        (attribute::HTTP_RESPONSE_STATUS_CODE, "200"),
        ("tradewind.key", "ci"),
        ("tradewind.model", "assistant"),
        ("tradewind.target", "anthropic/claude-sonnet"),
        ("tradewind.translated", "messages"),
        ("tradewind.dropped", "metadata"),
        ("tradewind.outcome", "ok"),
        ("tradewind.overhead_ms", "0.031"),
    ] {
        assert_eq!(call.get(name).map(String::as_str), Some(value), "{name} in {call:?}");
    }
    let decision = attributes(&spans[1].attributes);
    assert_eq!(decision["tradewind.chosen"], "openai/gpt-5-mini");
    assert_eq!(decision["tradewind.candidates"], "openai/gpt-5-mini|anthropic/claude-sonnet");
    assert_eq!(decision["tradewind.reasons"], "the cheaper of two drawn at random|the cheaper of two drawn at random");
    assert_eq!(decision["tradewind.scores"], "1|0.5");
    assert_eq!(decision["tradewind.policy"], "1f6d0c2a9b3e4857");
    let refused = attributes(&spans[2].attributes);
    assert_eq!(refused[attribute::ERROR_TYPE], "connect_refused");
    assert_eq!(spans[2].status.as_ref().unwrap().code, 2);
    let answered = attributes(&spans[3].attributes);
    for (name, value) in [
        (attribute::GEN_AI_OPERATION_NAME, "chat"),
        (attribute::GEN_AI_PROVIDER_NAME, "anthropic"),
        (attribute::GEN_AI_REQUEST_MODEL, "claude-sonnet"),
        (attribute::GEN_AI_REQUEST_STREAM, "true"),
        (attribute::GEN_AI_RESPONSE_ID, "msg_1"),
        (attribute::GEN_AI_RESPONSE_MODEL, "claude-sonnet-5"),
        (attribute::GEN_AI_RESPONSE_FINISH_REASONS, "end_turn"),
        (attribute::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, "0.03"),
        (attribute::GEN_AI_USAGE_INPUT_TOKENS, "10"),
        (attribute::GEN_AI_USAGE_OUTPUT_TOKENS, "5"),
        (attribute::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, "4"),
        (attribute::GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, "2"),
        (attribute::SERVER_ADDRESS, "api.example.com"),
        (attribute::SERVER_PORT, "443"),
        ("tradewind.attempt", "1"),
        ("tradewind.cost_usd", "0.003"),
    ] {
        assert_eq!(answered.get(name).map(String::as_str), Some(value), "{name} in {answered:?}");
    }
    let reasons = spans[2..].iter().map(|span| attributes(&span.attributes)["tradewind.attempt.reason"].clone());
    assert_eq!(reasons.collect::<Vec<_>>(), ["first", "retry", "hedge"]);
    assert!(spans[4].status.is_none(), "an attempt that lost a race did nothing wrong");
    assert!(!attributes(&spans[4].attributes).contains_key(attribute::GEN_AI_RESPONSE_ID));
}

#[test]
fn what_a_collector_asks_for_is_sent_along() {
    let mut with_key = settings();
    with_key.headers.insert("x-key", HeaderValue::from_static("secret"));
    let (spans, collector) = start(with_key, |_| answering(StatusCode::OK));
    assert!(spans.sender().try_send(Arc::new(traced(1))));
    assert_eq!(spans.close(LONG), 0);
    let requests = collector.requests.lock();
    assert_eq!(requests[0].method(), http::Method::POST);
    assert_eq!(requests[0].uri(), "http://127.0.0.1:4318/v1/traces");
    assert_eq!(requests[0].headers()["content-type"], "application/x-protobuf");
    assert_eq!(requests[0].headers()["x-key"], "secret");
}

#[test]
fn calls_are_sent_together_when_there_are_many() {
    let together = SpanSettings { batch_time: LONG, ..settings() };
    let (spans, collector) = start(together, |_| answering(StatusCode::OK));
    for number in 0..16 {
        assert!(spans.sender().try_send(Arc::new(traced(number))));
    }
    assert_eq!(spans.close(LONG), 0);
    let sizes: Vec<usize> = collector
        .requests
        .lock()
        .iter()
        .map(|request| {
            let decoded = ExportTraceServiceRequest::decode(request.body().clone()).unwrap();
            decoded.resource_spans[0].scope_spans[0].spans.len()
        })
        .collect();
    assert_eq!(sizes, [24, 24], "two batches of 8 calls with three spans each");
}

#[test]
fn a_collector_that_is_overloaded_is_asked_again_and_one_that_refuses_is_not() {
    let (spans, collector) = start(settings(), |number| match number {
        1 => answering(StatusCode::SERVICE_UNAVAILABLE),
        2 => Box::pin(ready(Err("connection refused".to_owned()))),
        3 => answering(StatusCode::OK),
        _ => answering(StatusCode::BAD_REQUEST),
    });
    assert!(spans.sender().try_send(Arc::new(traced(1))));
    assert!(spans.flush(LONG));
    assert_eq!((spans.stats().exported, spans.stats().failures), (1, 2));
    assert!(spans.sender().try_send(Arc::new(traced(2))));
    assert!(spans.flush(LONG));
    let stats = spans.stats();
    assert_eq!((stats.exported, stats.dropped, stats.failures, stats.queued), (1, 1, 3, 0));
    assert_eq!(collector.requests.lock().len(), 4);
}

/// Sends far more than fits, and that no call waits and nothing grows.
fn bad(behaviour: impl Fn(usize) -> Posting + Send + Sync + 'static) {
    let (spans, collector) = start(settings(), behaviour);
    let clock = RealClock::new();
    let sender = spans.sender();
    let record = Arc::new(traced(1));
    for _ in 0..10_000 {
        sender.try_send(Arc::clone(&record));
    }
    let taken = clock.now();
    assert!(taken.since(tradewind_core::Moment::START) < Duration::from_secs(5), "{taken:?}");
    assert!(Arc::strong_count(&record) <= 64 + 8 + 1, "{} are kept", Arc::strong_count(&record));
    assert!(collector.open.load(Ordering::SeqCst) <= 1);
    assert!(spans.flush(LONG));
    let stats = spans.stats();
    assert_eq!((stats.exported, stats.dropped, stats.queued), (0, 10_000, 0));
    assert!(stats.failures > 0);
    assert_eq!(Arc::strong_count(&record), 1);
    assert_eq!(collector.open.load(Ordering::SeqCst), 0, "what was given up is let go");
}

#[test]
fn a_dead_collector_costs_no_call() {
    bad(|_| Box::pin(ready(Err("connection refused".to_owned()))));
}

#[test]
fn a_failing_collector_costs_no_call() {
    bad(|_| answering(StatusCode::INTERNAL_SERVER_ERROR));
}

#[test]
fn a_collector_that_never_answers_costs_no_call() {
    bad(|_| Box::pin(pending()));
}

#[test]
fn the_end_does_not_wait_for_a_collector_that_never_answers() {
    let patient = SpanSettings { timeout: LONG, ..settings() };
    let (spans, collector) = start(patient, |_| Box::pin(pending()));
    for number in 0..64 {
        spans.sender().try_send(Arc::new(traced(number)));
    }
    let clock = RealClock::new();
    let sender = spans.sender();
    let left = spans.close(Duration::from_millis(200));
    let taken = clock.now().since(tradewind_core::Moment::START);
    assert!(taken < LONG / 2, "{taken:?}");
    assert!(left >= 64 - 8, "{left}");
    assert!(!sender.try_send(Arc::new(traced(1))));
    // The thread lets its request go by itself.
    while collector.open.load(Ordering::SeqCst) > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn whatever_a_record_holds_the_spans_are_valid() {
    let mut odd = eventful();
    odd.response_id = Some("é".repeat(1000).into());
    odd.finish = Some("\u{0}\"".into());
    odd.attempts[1].server = Some(Arc::from("[::1]:8080"));
    odd.attempts[2].server = Some(Arc::from("no port"));
    odd.attempts[1].ended = Duration::ZERO;
    odd.at = tradewind_core::UnixMillis(u64::MAX);
    odd.elapsed = Duration::MAX;
    odd.decision.candidates = odd.decision.candidates.iter().cycle().take(500).cloned().collect();
    let (spans, _) = spans_of(odd);
    assert!(spans.iter().all(|span| span.end_time_unix_nano >= span.start_time_unix_nano));
    let answered = attributes(&spans[3].attributes);
    assert_eq!(answered["server.address"], "::1");
    assert_eq!(answered["gen_ai.response.id"].len(), 200);
    assert_eq!(attributes(&spans[1].attributes)["tradewind.eligible"], "500");
    assert!(spans.iter().map(Message::encoded_len).sum::<usize>() < 16 << 10);
}
