//! The spans of one call, as `opentelemetry.proto.trace.v1` has them: SERVER for the call, INTERNAL `route.decide` for the
//! decision, and one CLIENT span for each attempt, with the names of the GenAI conventions. No span holds the text of a
//! prompt or an answer.

use std::time::Duration;

use tradewind_core::FaultKind;

use super::wire::{Message, Value};
use crate::genai::{
    CACHE_READ_TOKENS, ERROR_TYPE, FINISH_REASONS, HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS, INPUT_TOKENS, OPERATION_NAME,
    OUTPUT_TOKENS, PROVIDER_NAME, REASONING_TOKENS, REQUEST_MODEL, REQUEST_STREAM, RESPONSE_ID, RESPONSE_MODEL,
    SCHEMA_URL, SERVER_ADDRESS, SERVER_PORT, SERVICE_NAME, SERVICE_VERSION, TIME_TO_FIRST_CHUNK, operation_name,
};
use crate::record::{Attempt, Outcome, Record};
use crate::share::shares;
use crate::trace::Trace;

const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const STATUS_ERROR: u64 = 2;
/// Flags of a span: bit 0 says that it is recorded, bit 8 that bit 9 means something, bit 9 that the parent is remote.
const SAMPLED: u32 = 1;
const REMOTE_IS_KNOWN: u32 = 1 << 8;
const PARENT_IS_REMOTE: u32 = 1 << 9;
/// Candidates that are listed at most.
const CANDIDATES: usize = 16;
/// Attempts that have a span at most.
const ATTEMPTS: usize = 64;
/// The longest text of an attribute, in bytes.
const TEXT_BYTES: usize = 200;

/// An `ExportTraceServiceRequest` with the spans of `records`.
pub(super) fn request<'r>(service: &str, records: impl Iterator<Item = &'r Record>) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |resource| {
            resource.attribute(1, SERVICE_NAME, &Value::Text(service));
            resource.attribute(1, SERVICE_VERSION, &Value::Text(env!("CARGO_PKG_VERSION")));
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.bytes(1, b"tradewind");
                scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            for record in records {
                if let Some(trace) = &record.trace {
                    call(scope_spans, record, trace);
                }
            }
            scope_spans.bytes(3, SCHEMA_URL.as_bytes());
        });
    });
    request.0
}

/// What every span has.
struct Span<'a> {
    message: &'a mut Message,
    record: &'a Record,
}

impl Span<'_> {
    fn times(&mut self, started: Duration, ended: Duration) {
        let at = |since: Duration| {
            let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
            self.record.at.0.saturating_mul(1_000_000).saturating_add(nanos)
        };
        let (started, ended) = (at(started), at(ended.max(started)));
        self.message.fixed64(7, started);
        self.message.fixed64(8, ended);
    }

    fn set(&mut self, key: &str, value: &Value<'_>) {
        self.message.attribute(9, key, value);
    }

    fn text(&mut self, key: &str, text: &str) {
        self.set(key, &Value::Text(&text[..text.floor_char_boundary(TEXT_BYTES)]));
    }

    fn optional_text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn millis(&mut self, key: &str, duration: Option<Duration>) {
        if let Some(duration) = duration {
            self.set(key, &Value::Double(duration.as_micros() as f64 / 1e3));
        }
    }

    /// What went wrong; the message is the fault's own words and never a provider's.
    fn failed(&mut self, fault: Option<FaultKind>, outcome: Outcome) {
        let name = fault.map_or_else(|| outcome.name(), FaultKind::name);
        self.text(ERROR_TYPE, name);
        self.message.message(15, |status| {
            status.bytes(2, name.as_bytes());
            status.integer(3, STATUS_ERROR);
        });
    }
}

struct Ids<'t> {
    trace: &'t Trace,
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    remote: bool,
}

fn span(
    spans: &mut Message,
    record: &Record,
    ids: &Ids<'_>,
    (name, kind): (&str, u64),
    fill: impl FnOnce(&mut Span<'_>),
) {
    spans.message(2, |message| {
        message.bytes(1, &ids.trace.id);
        message.bytes(2, &ids.span);
        message.bytes(3, ids.trace.state.as_deref().unwrap_or_default().as_bytes());
        message.bytes(4, ids.parent.as_ref().map_or(&[], |parent| parent.as_slice()));
        message.bytes(5, name.as_bytes());
        message.integer(6, kind);
        fill(&mut Span { message, record });
        let remote = if ids.remote { PARENT_IS_REMOTE } else { 0 };
        message.fixed32(16, SAMPLED | REMOTE_IS_KNOWN | remote);
    });
}

/// All spans of a call, the outermost first.
fn call(spans: &mut Message, record: &Record, trace: &Trace) {
    let ids = Ids { trace, span: trace.span, parent: trace.parent, remote: trace.parent.is_some() };
    let name = match route(record) {
        Some(route) => format!("POST {route}"),
        None => format!("{}/{}", record.door, record.operation),
    };
    span(spans, record, &ids, (&name, SERVER), |span| server(span, record));

    let below = |number| Ids { trace, span: number, parent: Some(trace.span), remote: false };
    if !record.decision.candidates.is_empty() {
        span(spans, record, &below(trace.decide_span()), ("route.decide", INTERNAL), |span| decide(span, record));
    }
    let used = shares(record);
    for (number, attempt) in record.attempts.iter().enumerate().take(ATTEMPTS) {
        let operation = operation_name(record.operation);
        let name = format!("{operation} {}", attempt.target.model());
        span(spans, record, &below(trace.attempt_span(number)), (&name, CLIENT), |span| {
            client(span, record, number, attempt);
            let share = used.iter().find(|share| share.attempt == Some(number));
            let Some(share) = share else { return };
            for (key, tokens, always) in [
                (INPUT_TOKENS, share.usage.input, true),
                (OUTPUT_TOKENS, share.usage.output, true),
                (CACHE_READ_TOKENS, share.usage.cached, false),
                (REASONING_TOKENS, share.usage.reasoning, false),
            ] {
                if always || tokens > 0 {
                    span.set(key, &Value::Integer(tokens));
                }
            }
            if share.usage.estimated {
                span.set("tradewind.usage.estimated", &Value::Bool(true));
            }
            if let Some(cost) = share.cost {
                span.set("tradewind.cost_usd", &Value::Double(cost.dollars()));
            }
        });
    }
}

/// The call as its caller saw it, until its last byte.
fn server(span: &mut Span<'_>, record: &Record) {
    span.times(Duration::ZERO, record.elapsed);
    if let Some(route) = route(record) {
        span.text(HTTP_METHOD, "POST");
        span.text(HTTP_ROUTE, route);
    }
    if record.status != 0 {
        span.set(HTTP_STATUS, &Value::Integer(u64::from(record.status)));
    }
    span.text("tradewind.decision", &record.id.to_string());
    span.text("tradewind.door", record.door);
    span.text("tradewind.outcome", record.outcome.name());
    span.optional_text("tradewind.key", record.key.as_deref());
    span.optional_text("tradewind.tenant", record.tenant.as_deref());
    span.optional_text("tradewind.model", record.resolved.as_deref());
    span.optional_text("tradewind.target", record.chosen.as_ref().map(tradewind_core::TargetId::as_str));
    span.optional_text("tradewind.translated", record.translated);
    span.optional_text("tradewind.code", record.public_code().map(tradewind_core::Code::name));
    span.millis("tradewind.overhead_ms", record.overhead);
    span.millis("tradewind.first_byte_ms", record.first_byte);
    if !record.dropped.is_empty() {
        span.set("tradewind.dropped", &Value::Texts(record.dropped.iter().take(16).map(|hint| cut(hint)).collect()));
    }
    // A caller's own mistake is no error of the server, by the conventions for HTTP.
    if matches!(record.outcome, Outcome::Failed | Outcome::Partial) && (record.status >= 500 || record.status < 400) {
        span.failed(record.fault, record.outcome);
    }
}

/// The path pattern of an operation; each of them is a POST. What is passed through has none.
fn route(record: &Record) -> Option<&'static str> {
    Some(match (record.door, record.operation) {
        ("models", "chat") => "/v1/chat/completions",
        ("models", "completions") => "/v1/completions",
        ("models", "responses") => "/v1/responses",
        ("models", "messages") => "/v1/messages",
        ("models", "count_tokens") => "/v1/messages/count_tokens",
        ("models", "embeddings") => "/v1/embeddings",
        _ => return None,
    })
}

/// The decision: from the call's coming in to the first attempt.
fn decide(span: &mut Span<'_>, record: &Record) {
    let first = record.attempts.first().map_or(record.elapsed, |attempt| attempt.started);
    span.times(Duration::ZERO, first);
    span.optional_text("tradewind.chosen", record.attempts.first().map(|attempt| attempt.target.as_str()));
    let candidates = &record.decision.candidates;
    let shown = || candidates.iter().take(CANDIDATES);
    let targets = shown().map(|candidate| cut(candidate.target.as_str())).collect();
    span.set("tradewind.candidates", &Value::Texts(targets));
    let reasons: Vec<String> = shown().map(|candidate| candidate.reason.to_string()).collect();
    span.set("tradewind.reasons", &Value::Texts(reasons.iter().map(|reason| cut(reason)).collect()));
    span.set("tradewind.scores", &Value::Doubles(shown().map(|candidate| candidate.score).collect()));
    let eligible = candidates.iter().filter(|candidate| candidate.eligible).count();
    span.set("tradewind.eligible", &Value::Integer(eligible as u64));
    span.text("tradewind.policy", &record.policy);
    span.optional_text("tradewind.network", record.network.as_deref());
}

/// One attempt, until its last byte.
fn client(span: &mut Span<'_>, record: &Record, number: usize, attempt: &Attempt) {
    span.times(attempt.started, attempt.ended);
    span.text(OPERATION_NAME, operation_name(record.operation));
    span.text(PROVIDER_NAME, attempt.target.provider());
    span.text(REQUEST_MODEL, attempt.target.model());
    if record.stream {
        span.set(REQUEST_STREAM, &Value::Bool(true));
    }
    if let Some((host, port)) = attempt.server.as_deref().and_then(|server| server.rsplit_once(':')) {
        span.text(SERVER_ADDRESS, host.trim_matches(['[', ']']));
        if let Ok(port) = port.parse::<u16>() {
            span.set(SERVER_PORT, &Value::Integer(u64::from(port)));
        }
    }
    if let Some(status) = attempt.status {
        span.set(HTTP_STATUS, &Value::Integer(u64::from(status)));
    }
    let reason = match (attempt.hedge, number) {
        (true, _) => "hedge",
        (false, 0) => "first",
        (false, _) => "retry",
    };
    span.set("tradewind.attempt", &Value::Integer(number as u64));
    span.text("tradewind.attempt.reason", reason);
    span.text("tradewind.outcome", attempt.outcome.name());
    if let Some(first_byte) = attempt.first_byte.filter(|_| record.stream) {
        let seconds = first_byte.saturating_sub(attempt.started).as_secs_f64();
        span.set(TIME_TO_FIRST_CHUNK, &Value::Double(seconds));
    }
    let answered = attempt.fault.is_none() && record.chosen.as_ref() == Some(&attempt.target);
    if answered {
        span.optional_text(RESPONSE_ID, record.response_id.as_deref());
        span.optional_text(RESPONSE_MODEL, record.response_model.as_deref());
        if let Some(finish) = &record.finish {
            span.set(FINISH_REASONS, &Value::Texts(vec![cut(finish)]));
        }
    }
    // One that was stopped because another was faster did nothing wrong.
    if attempt.outcome != Outcome::Cancelled && (attempt.fault.is_some() || attempt.outcome == Outcome::Failed) {
        span.failed(attempt.fault, attempt.outcome);
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}
