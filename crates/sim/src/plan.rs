//! From a request to what is put on the wire: composes the answer, applies the fault, sets the tempo. No I/O.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tradewind_core::{Dialect, UnixMillis};

use crate::answer::{Composed, Place, error_body};
use crate::ask::{Ask, Endpoint};
use crate::inject::{content, framing, refusal};
use crate::request::Head;
use crate::script::{Pace, Part, Reply, Step, paced};
use crate::stats::{Charge, Charges};
use crate::{Injection, SimFault, SimOptions, anthropic, openai, sse};

/// What happens in answer to a request.
#[derive(Debug)]
pub(crate) enum Plan {
    /// A reply after `before`, spread by `pace`.
    Reply { before: Duration, reply: Box<Reply>, pace: Option<Pace> },
    /// No HTTP reply.
    Bare(Vec<Step>),
}

impl Plan {
    pub(crate) fn at_once(reply: Reply) -> Self {
        Self::Reply { before: Duration::ZERO, reply: Box::new(reply), pace: None }
    }

    /// The acts on the connection, and whether the connection can take another request behind them.
    pub(crate) fn script(self) -> (Vec<Step>, bool) {
        match self {
            Self::Bare(steps) => (steps, false),
            Self::Reply { before, reply, pace } => {
                let keep = reply.keeps_connection();
                let accepted = reply.on_accept.clone();
                let mut steps = reply.script();
                if let Some(pace) = pace {
                    steps = paced(steps, pace);
                }
                if !before.is_zero() {
                    steps.insert(0, Step::Wait(before));
                }
                if let Some(charge) = accepted {
                    steps.insert(0, Step::Charge(charge));
                }
                (steps, keep)
            }
        }
    }
}

/// What is known when a request is planned.
pub(crate) struct Circumstances<'a> {
    pub(crate) options: &'a SimOptions,
    /// Wall time, for dates in headers.
    pub(crate) now: UnixMillis,
    /// Where redirects point to.
    pub(crate) elsewhere: &'a str,
    /// How many times slower than usual.
    pub(crate) slow: f64,
    pub(crate) random: fastrand::Rng,
    /// The number of the request.
    pub(crate) number: u64,
}

/// The shortest first-token time that a slow sim multiplies.
const LEAST_SLOWED: Duration = Duration::from_millis(5);

/// Plans a request to `endpoint`. `asked` is the body of a model endpoint, and what is said to it.
pub(crate) fn plan(
    head: &Head,
    endpoint: &Endpoint,
    asked: Option<(Ask, Composed)>,
    body_bytes: usize,
    fault: Option<&Injection>,
    mut now: Circumstances<'_>,
) -> Plan {
    let options = now.options;
    // Anthropic's client also asks for models, in its own shape.
    let dialect = if head.header("anthropic-version").is_some() { Dialect::Anthropic } else { endpoint.dialect() };
    if let Some(fault) = fault {
        if let Some(steps) = bare(fault.fault()) {
            return Plan::Bare(steps);
        }
        let facts = refusal::Facts { dialect, now: now.now, elsewhere: now.elsewhere };
        if let Some(reply) = refusal::replacement(fault, &facts) {
            return Plan::at_once(reply);
        }
    }
    if let Some(refused) = refused_by_options(options, head, asked.as_ref().map(|(ask, _)| ask), dialect) {
        return Plan::at_once(refused);
    }
    let mut value = match (endpoint, asked) {
        (Endpoint::Models, _) => models(options, dialect),
        (Endpoint::Model(id), _) => match dialect {
            Dialect::OpenAi => openai::model(id, &options.name),
            Dialect::Anthropic => anthropic::model(id),
        },
        (Endpoint::Embeddings, Some((ask, _))) => openai::embeddings(&ask, options.seed),
        (Endpoint::CountTokens, Some((_, composed))) => json!({"input_tokens": composed.usage.input}),
        (_, Some((ask, composed))) => return answer(&ask, composed, dialect, fault, &mut now),
        // What was asked, so that a pass-through can be checked.
        (_, None) => json!({"method": head.method, "path": head.path, "bytes": body_bytes}),
    };
    if let Some(fault) = fault {
        content::edit_whole(&mut value, fault);
    }
    dress(Reply::json(200, &value), first_token(&mut now), fault, &mut now)
}

/// The answer of a model, whole or as a stream.
fn answer(
    ask: &Ask,
    mut composed: Composed,
    dialect: Dialect,
    fault: Option<&Injection>,
    now: &mut Circumstances<'_>,
) -> Plan {
    let options = now.options;
    if let Some(fault) = fault {
        content::edit_composed(&mut composed, fault);
    }
    let interval = options.token_interval().mul_f64(now.slow);
    let first = first_token(now);
    let kind = fault.map(Injection::fault);
    if !ask.stream || kind == Some(SimFault::JsonForStream) {
        let mut value = composed.whole(ask);
        if let Some(fault) = fault {
            content::edit_whole(&mut value, fault);
        }
        let others = u32::try_from(composed.usage.output.saturating_sub(1)).unwrap_or(u32::MAX);
        let mut reply = Reply::json(200, &value);
        reply.on_accept = Some(input_charge(&composed, now.number));
        reply.on_head = Some(output_charge(&composed, now.number, 0, 1));
        return dress(reply, first + interval.saturating_mul(others), fault, now);
    }
    let mut events = composed.events(ask);
    let contents = events.iter().filter(|event| event.place == Place::Content).count() as u64;
    if let Some(fault) = fault {
        content::edit_events(&mut events, dialect, fault);
    }
    let mut parts = sse::encode(&events, kind);
    if !interval.is_zero() {
        pause_between(&mut parts, interval);
    }
    let mut reply = Reply::stream(charged(parts, &composed, now.number, contents));
    reply.on_accept = Some(input_charge(&composed, now.number));
    dress(reply, first, fault, now)
}

fn input_charge(composed: &Composed, request: u64) -> Charge {
    let usage = composed.usage;
    let charges = Charges {
        calls: 1,
        input: usage.input,
        cached: usage.cached,
        cache_creation: usage.cache_creation,
        ..Charges::default()
    };
    Charge { request, model: Arc::from(composed.model.as_str()), charges }
}

/// What the event of content at `index` of `count` costs: all events have the same share of the tokens, to one.
fn output_charge(composed: &Composed, request: u64, index: u64, count: u64) -> Charge {
    let until = |events: u64| composed.usage.output * events / count;
    let reasoning = if index + 1 == count { composed.usage.reasoning } else { 0 };
    let charges = Charges { output: until(index + 1) - until(index), reasoning, ..Charges::default() };
    Charge { request, model: Arc::from(composed.model.as_str()), charges }
}

/// Puts behind each event of content what it costs, where a whole stream has `count` of them. A stream without any costs
/// all of its tokens at its end.
fn charged(parts: Vec<Part>, composed: &Composed, request: u64, count: u64) -> Vec<Part> {
    if count == 0 {
        return parts.into_iter().chain([Part::Charge(output_charge(composed, request, 0, 1))]).collect();
    }
    let mut charged = Vec::with_capacity(parts.len() * 2);
    let mut index = 0;
    for part in parts {
        let content = part.is_content();
        charged.push(part);
        if content && index < count {
            charged.push(Part::Charge(output_charge(composed, request, index, count)));
            index += 1;
        }
    }
    charged
}

/// Puts a pause in front of every event of content but the first.
fn pause_between(parts: &mut Vec<Part>, interval: Duration) {
    let mut paused = Vec::with_capacity(parts.len() * 2);
    let mut begun = false;
    for part in parts.drain(..) {
        if matches!(part, Part::Bytes { place: Place::Content, .. }) {
            if begun {
                paused.push(Part::Wait(interval));
            }
            begun = true;
        }
        paused.push(part);
    }
    *parts = paused;
}

/// Finishes a reply: the headers that every provider sends, and the fault of its framing.
fn dress(mut reply: Reply, mut before: Duration, fault: Option<&Injection>, now: &mut Circumstances<'_>) -> Plan {
    reply.header("x-sim-name", now.options.name.clone());
    reply.header("x-request-id", format!("req-{}-{:08x}", now.options.name, now.random.u32(..)));
    let mut pace = None;
    if let Some(fault) = fault {
        framing::edit_reply(&mut reply, fault);
        pace = framing::pace(fault, now.random.u64(..));
        if fault.fault() == SimFault::SlowHeaders {
            before += fault.duration().unwrap_or(Duration::from_secs(2));
        }
    }
    Plan::Reply { before, reply: Box::new(reply), pace }
}

/// A draw of the time to the first token.
fn first_token(now: &mut Circumstances<'_>) -> Duration {
    let drawn = now.options.first_token.draw(&mut now.random);
    if now.slow > 1.0 { drawn.max(LEAST_SLOWED).mul_f64(now.slow) } else { drawn }
}

/// Faults that answer with no HTTP at all.
fn bare(fault: SimFault) -> Option<Vec<Step>> {
    match fault {
        SimFault::ResetBeforeResponse | SimFault::ResetDuringUpload => Some(vec![Step::Reset]),
        SimFault::CloseBeforeResponse | SimFault::CloseDuringUpload => Some(vec![Step::Close]),
        SimFault::NoHeaders => Some(vec![Step::Hang]),
        _ => None,
    }
}

/// What a provider refuses of itself: a wrong key, a model that it does not have.
fn refused_by_options(options: &SimOptions, head: &Head, ask: Option<&Ask>, dialect: Dialect) -> Option<Reply> {
    if let Some(keys) = &options.keys {
        let bearer = head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let given = bearer.or_else(|| head.header("x-api-key")).or_else(|| head.header("api-key")).unwrap_or_default();
        if !keys.iter().any(|key| key == given) {
            let body = error_body(dialect, 401, "invalid_request_error", Some("invalid_api_key"), "incorrect API key");
            return Some(Reply::json(401, &body));
        }
    }
    let ask = ask?;
    if !options.models.is_empty() && !options.models.contains(&ask.model) {
        let message = format!("the model `{}` does not exist", ask.model);
        let body = error_body(dialect, 404, "invalid_request_error", Some("model_not_found"), &message);
        return Some(Reply::json(404, &body));
    }
    None
}

fn models(options: &SimOptions, dialect: Dialect) -> serde_json::Value {
    let default = ["sim".to_owned()];
    let ids: &[String] = if options.models.is_empty() { &default } else { &options.models };
    match dialect {
        Dialect::OpenAi => openai::models(ids, &options.name),
        Dialect::Anthropic => anthropic::models(ids),
    }
}
