//! One call of the door in the words of `dispatch`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, response};
use tradewind_core::{DecisionId, Dialect, Fault, FaultKind, Moment, TargetId, UnixMillis};
use tradewind_dialects::{
    AnswerContext, StreamTranslator, Wire, translate_answer, translate_error, without_unsigned_thinking,
};
use tradewind_dispatch::{Finding, Lane, Next, Place, Protocol, Reading};
use tradewind_egress::RequestBody;
use tradewind_policy as policy;
use tradewind_telemetry::{Record, Trace};
use tradewind_tokens::ModelTokens;

use crate::ask::{Ask, Changes, Operation};
use crate::fit::{Fits, Form, Translated};
use crate::lesson::Lesson;
use crate::link::{Link, Optional};
use crate::quality::{Judging, WatchBounds};
use crate::seal::{IdSeal, Seal};
use crate::stream::ModelStream;
use crate::{anthropic, openai, responses};

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// What is said for a caller that does not say it; the only version there is.
const USUAL_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the caller sent.
pub(crate) enum What {
    /// A request that was read.
    Ask(Box<Ask>),
    /// A path that the gateway does not know.
    Unknown { method: Method, path: String, body: Bytes },
}

impl What {
    /// The request, if it was read.
    pub(crate) fn ask(&self) -> Option<&Ask> {
        match self {
            Self::Ask(ask) => Some(ask),
            Self::Unknown { .. } => None,
        }
    }
}

/// A call that is being driven.
pub(crate) struct ModelCall {
    pub(crate) what: What,
    /// The caller's headers that go on.
    pub(crate) headers: HeaderMap,
    pub(crate) query: Option<String>,
    pub(crate) lanes: Arc<[Lane]>,
    pub(crate) links: Arc<[Arc<Link>]>,
    /// The token counters of the targets, by leaf.
    pub(crate) counters: Arc<[Arc<ModelTokens>]>,
    /// How each target is asked.
    pub(crate) fits: Fits,
    pub(crate) event_limit: usize,
    /// What a translator may hold of an answer, in bytes: the last event of a response repeats all of it.
    pub(crate) answer_limit: usize,
    /// The trace to be continued at the providers, if spans are exported.
    pub(crate) trace: Option<Trace>,
    /// Whether the tokens of each call have to be known, because the key has limits.
    pub(crate) counts_tokens: bool,
    pub(crate) seal: Arc<Seal>,
    /// What its answers have to be like.
    pub(crate) judging: Option<Judging>,
    /// The name of the caller's key.
    pub(crate) caller: Option<Arc<str>>,
    /// The target's own id of the previous response.
    pub(crate) previous: Option<String>,
    /// The id of the decision, and when the call came in.
    pub(crate) id: DecisionId,
    pub(crate) at: UnixMillis,
    pub(crate) arrived: Moment,
    /// The estimates of the question at the first targets; 0 is one that has not been asked for.
    pub(crate) estimates: [AtomicU64; 4],
    /// Which targets were asked in the other of their two forms: one bit for each of the first 64.
    pub(crate) other_forms: AtomicU64,
}

impl ModelCall {
    fn wrong_type(&self, head: &response::Parts, wanted: &str) -> Fault {
        let given = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        let given: String = given.chars().take(60).collect();
        Fault::new(FaultKind::WrongContentType, format!("the answer is {given}, where {wanted} was due"))
    }

    /// The translation in which target `leaf` is asked, if it is.
    fn translation(&self, leaf: usize, other_form: bool) -> Option<&Arc<Translated>> {
        match self.fits.form(leaf) {
            Form::Translated(translated) => Some(translated),
            Form::AsItCameOr(other) if other_form => other.as_ref().ok(),
            Form::AsItCame | Form::AsItCameOr(_) => None,
        }
    }

    fn translation_at(&self, place: &Place) -> Option<&Arc<Translated>> {
        self.translation(place.leaf, place.other_form)
    }

    /// The field of the request that keeps `target` from being asked in its other form.
    pub(crate) fn field_in_the_way(&self, target: &TargetId) -> Option<String> {
        let leaf = self.lanes.iter().position(|lane| lane.target.id() == target)?;
        match self.fits.form(leaf) {
            Form::AsItCameOr(Err(unfit)) => unfit.field.clone(),
            _ => None,
        }
    }

    fn was_in_other_form(&self, leaf: usize) -> bool {
        self.other_forms.load(Ordering::Relaxed) & bit(leaf) != 0
    }

    /// The hints that were left out of the request to target `leaf`.
    pub(crate) fn dropped(&self, leaf: usize) -> &[String] {
        let translated = self.translation(leaf, self.was_in_other_form(leaf));
        translated.map_or(&[], |translated| &translated.request.dropped)
    }

    /// Whether the provider is asked for token counts that the caller did not ask for: without them, what a stream costs
    /// would be a guess.
    fn asks_usage(&self, ask: &Ask, leaf: usize) -> bool {
        ask.stream
            && !ask.wants_usage
            && matches!(ask.operation, Operation::Chat | Operation::Completions)
            && self.links[leaf].stream_usage
            && (self.counts_tokens || self.lanes[leaf].price.is_some())
    }

    /// Target and body of the request for what was asked.
    fn asking(&self, ask: &Ask, place: &Place) -> (Uri, Bytes) {
        let (lane, link) = (&self.lanes[place.leaf], &self.links[place.leaf]);
        let model = lane.target.id().model();
        let query = self.query.as_deref();
        if let Some(translated) = self.translation_at(place) {
            let operation = match translated.wire {
                Wire::Chat => policy::Operation::ChatCompletions,
                Wire::Messages => policy::Operation::Messages,
                Wire::Responses => policy::Operation::Responses,
            };
            // The caller's query belongs to the caller's dialect.
            return (link.target(operation, model, None), with_model(translated, model));
        }
        let target = match ask.operation.in_policy() {
            Some(policy::Operation::CountTokens) if link.dialect == Dialect::OpenAi => {
                link.unknown_target("/v1/messages/count_tokens", query)
            }
            Some(operation) => link.target(operation, model, query),
            None => Uri::from_static("/"),
        };
        let changes =
            Changes { model, ask_usage: self.asks_usage(ask, place.leaf), previous: self.previous.as_deref() };
        let body = ask.body_with(&changes);
        // Thinking that a target of another dialect gave has no signature, and Anthropic takes none without.
        if ask.operation == Operation::Messages
            && memchr::memmem::find(&body, b"\"signature\"").is_some()
            && let Some(signed) = without_unsigned_thinking(&body)
        {
            return (target, Bytes::from(signed));
        }
        (target, body)
    }

    /// The estimated tokens of the question at target `leaf`, worked out once for the first targets.
    pub(crate) fn estimate(&self, ask: &Ask, leaf: usize) -> u64 {
        let kept = self.estimates.get(leaf);
        if let Some(known) = kept.map(|kept| kept.load(Ordering::Relaxed)).filter(|known| *known > 0) {
            return known;
        }
        let tokens = self.counters[leaf].estimate(&ask.features).tokens;
        if let Some(kept) = kept {
            kept.store(tokens, Ordering::Relaxed);
        }
        tokens
    }

    /// `body` with the id of the previous response as the caller knows it.
    fn with_own_ids(&self, ask: &Ask, body: Bytes) -> Bytes {
        let (Some(theirs), Some(ours)) = (&self.previous, &ask.previous) else { return body };
        match std::str::from_utf8(&body) {
            Ok(text) if text.contains(theirs.as_str()) => Bytes::from(text.replace(theirs.as_str(), ours)),
            _ => body,
        }
    }

    /// For what an answer has to have in the caller's wire format and does not have in the target's.
    fn context(&self, ask: &Ask) -> AnswerContext {
        AnswerContext {
            id: self.id.to_string(),
            created: self.at.0 / 1000,
            wants_usage: ask.wants_usage,
            echo: (ask.operation == Operation::Responses).then(|| ask.body().clone()),
        }
    }

    fn id_seal(&self, leaf: usize) -> IdSeal {
        let target = self.lanes[leaf].target.id().clone();
        IdSeal { seal: self.seal.clone(), target, caller: self.caller.clone() }
    }

    fn lesson(&self, ask: &Ask, leaf: usize) -> Lesson {
        Lesson { tokens: self.counters[leaf].clone(), features: ask.features.clone() }
    }

    /// The reader of the stream that answers `ask`.
    fn stream(&self, ask: &Ask, place: &Place) -> ModelStream {
        let lesson = self.lesson(ask, place.leaf);
        // Old completions have chunks of the same shape.
        let own = ask.operation.wire().unwrap_or(Wire::Chat);
        let reader = match self.translation_at(place) {
            Some(translated) => {
                let translator = StreamTranslator::new(translated.wire, own, self.context(ask), self.answer_limit);
                ModelStream::of_wire(translated.wire, self.event_limit).translated(translator, own)
            }
            None if own == Wire::Responses => {
                ModelStream::of_wire(own, self.event_limit).sealed(self.id_seal(place.leaf))
            }
            None if self.asks_usage(ask, place.leaf) => ModelStream::of_wire(own, self.event_limit).without_usage(),
            None => ModelStream::of_wire(own, self.event_limit),
        };
        let Some(judging) = &self.judging else { return reader.teaching(Some(lesson)) };
        let wire = self.translation_at(place).map_or(own, |translated| translated.wire);
        let bounds = WatchBounds { held: self.answer_limit, answer: self.event_limit };
        let watch = judging.watch(ask, wire, bounds, self.estimate(ask, place.leaf));
        reader.teaching(Some(lesson)).watched(watch)
    }
}

/// The path of `ask` that not every provider has.
const fn optional_path(ask: &Ask) -> Optional {
    match ask.operation {
        Operation::CountTokens => Optional::CountTokens,
        _ => Optional::Responses,
    }
}

const fn bit(leaf: usize) -> u64 {
    if leaf < 64 { 1 << leaf } else { 0 }
}

/// The translated body for a target that knows the model as `model`.
fn with_model(translated: &Translated, model: &str) -> Bytes {
    let (body, at) = (&translated.request.body, &translated.request.model_at);
    let quoted = serde_json::Value::from(model).to_string();
    let mut changed = BytesMut::with_capacity(body.len() + quoted.len());
    changed.put_slice(&body[..at.start]);
    changed.put_slice(quoted.as_bytes());
    changed.put_slice(&body[at.end..]);
    changed.freeze()
}

impl Protocol for ModelCall {
    type Stream = ModelStream;

    fn request(&self, place: &Place) -> Request<RequestBody> {
        let link = &self.links[place.leaf];
        let (method, target, body) = match &self.what {
            What::Ask(ask) => {
                let (target, body) = self.asking(ask, place);
                (Method::POST, target, body)
            }
            What::Unknown { method, path, body } => {
                (method.clone(), link.unknown_target(path, self.query.as_deref()), body.clone())
            }
        };
        let mut request = Request::new(RequestBody::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        // A compressed answer could not be read in passing.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let What::Ask(_) = self.what {
            headers.entry(CONTENT_TYPE).or_insert(JSON);
        }
        if self.translation_at(place).is_some() {
            if place.other_form {
                self.other_forms.fetch_or(bit(place.leaf), Ordering::Relaxed);
            }
            remove_dialect_headers(headers);
        }
        if link.dialect == Dialect::Anthropic {
            headers.entry(ANTHROPIC_VERSION).or_insert(USUAL_VERSION);
        }
        if let Some(trace) = &self.trace
            && let Ok(value) = HeaderValue::try_from(trace.traceparent_of_attempt(place.attempt))
        {
            headers.insert(TRACEPARENT, value);
        }
        link.dress(headers, place.key);
        request
    }

    fn after_status(&self, place: &Place, status: u16) -> Next {
        let (What::Ask(ask), Form::AsItCameOr(other)) = (&self.what, self.fits.form(place.leaf)) else {
            return Next::AsUsual;
        };
        // Gateways and keys of limited reach answer 401 or 403 at paths that they do not have.
        if !matches!(status, 401 | 403 | 404 | 405 | 501) {
            return Next::AsUsual;
        }
        let Err(unfit) = other else { return Next::OtherForm };
        let path = optional_path(ask);
        let id = self.lanes[place.leaf].target.id();
        if ask.previous.is_none() {
            self.links[place.leaf].has_not(path, id.model(), self.arrived);
        }
        let what = match path {
            Optional::Responses => "responses",
            Optional::CountTokens => "counting tokens",
        };
        let detail = format!("{id} answered {status} at its path for {what}, and otherwise it {}", unfit.why);
        Next::Fault(Fault::new(FaultKind::NoSuchPath, detail).with_status(status))
    }

    fn adapt_head(&self, place: &Place, head: &mut response::Parts) {
        if self.translation_at(place).is_none() {
            return;
        }
        remove_dialect_headers(&mut head.headers);
        if !self.is_stream() {
            head.headers.insert(CONTENT_TYPE, JSON);
        }
    }

    fn reading(&self, place: &Place, head: &response::Parts) -> Result<Reading<ModelStream>, Fault> {
        let What::Ask(ask) = &self.what else { return Ok(Reading::Stream(Box::new(ModelStream::unread()))) };
        if place.other_form {
            let model = self.lanes[place.leaf].target.id().model();
            self.links[place.leaf].has_not(optional_path(ask), model, self.arrived);
        }
        let given = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let is_stream = begins_with(given, b"text/event-stream");
        if ask.stream {
            if !is_stream {
                return Err(self.wrong_type(head, "a stream of events"));
            }
            return Ok(Reading::Stream(Box::new(self.stream(ask, place))));
        }
        // Some servers leave the type out or say text/plain: then the body itself has to show that it is JSON.
        if is_stream || begins_with(given, b"text/html") || begins_with(given, b"image/") {
            return Err(self.wrong_type(head, "JSON"));
        }
        Ok(Reading::Whole)
    }

    fn check_whole(&self, place: &Place, body: Bytes) -> Result<(Bytes, Finding), Fault> {
        let What::Ask(ask) = &self.what else { return Ok((body, Finding::default())) };
        let translated = self.translation_at(place);
        let mut finding = match translated.map(|translated| translated.wire) {
            Some(Wire::Chat) => openai::check_whole(Operation::Chat, &body)?,
            Some(Wire::Messages) => anthropic::check_whole(Operation::Messages, &body)?,
            Some(Wire::Responses) => responses::check_whole(&body)?,
            None if ask.operation == Operation::Responses => responses::check_whole(&body)?,
            None => match ask.operation.dialect() {
                Dialect::OpenAi => openai::check_whole(ask.operation, &body)?,
                Dialect::Anthropic => anthropic::check_whole(ask.operation, &body)?,
            },
        };
        if ask.operation != Operation::CountTokens {
            self.lesson(ask, place.leaf).learn(finding.usage);
        }
        if let (Some(judging), Some(own)) = (&self.judging, ask.operation.wire()) {
            let wire = translated.map_or(own, |translated| translated.wire);
            judging.whole(ask, wire, &body, &mut finding, self.estimate(ask, place.leaf))?;
        }
        let body = match (translated, ask.operation.wire()) {
            (Some(translated), Some(own)) => translate_answer(translated.wire, own, &body, &self.context(ask))
                .map(Bytes::from)
                .map_err(|error| Fault::new(FaultKind::Untranslatable, error.to_string()).with_usage(finding.usage))?,
            (None, Some(Wire::Responses)) => {
                let seal = self.id_seal(place.leaf);
                responses::replace_id_whole(&body, &mut |id| seal.seal(id)).map_or(body, Bytes::from)
            }
            _ => body,
        };
        Ok((body, finding))
    }

    fn refusal(&self, place: &Place, head: &mut response::Parts, body: Bytes) -> Bytes {
        let What::Ask(ask) = &self.what else { return body };
        let body = self.with_own_ids(ask, body);
        let (Some(own), Some(_)) = (ask.operation.wire(), self.translation_at(place)) else { return body };
        remove_dialect_headers(&mut head.headers);
        head.headers.insert(CONTENT_TYPE, JSON);
        Bytes::from(translate_error(own, head.status.as_u16(), &body))
    }

    fn describe(&self, leaf: usize, record: &mut Record) {
        if let Some(translated) = self.translation(leaf, self.was_in_other_form(leaf)) {
            record.translated = Some(translated.wire.name());
            record.dropped.clone_from(&translated.request.dropped);
        }
    }

    fn is_stream(&self) -> bool {
        matches!(&self.what, What::Ask(ask) if ask.stream)
    }

    fn is_repeatable(&self) -> bool {
        match &self.what {
            What::Ask(ask) => ask.repeatable,
            What::Unknown { method, .. } => method.is_safe(),
        }
    }

    fn owner(&self) -> u64 {
        self.caller.as_deref().map_or(0, |name| {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            hasher.finish() | 1 // 0 stands for the gateway itself
        })
    }

    fn estimated_input(&self, leaf: usize) -> u64 {
        match &self.what {
            What::Ask(ask) if ask.operation != Operation::CountTokens => self.estimate(ask, leaf),
            _ => 0,
        }
    }
}

/// Removes the headers that mean something in the caller's dialect only.
fn remove_dialect_headers(headers: &mut HeaderMap) {
    let foreign = |name: &HeaderName| name.as_str().starts_with("anthropic-") || name.as_str().starts_with("openai-");
    let names: Vec<HeaderName> = headers.keys().filter(|name| foreign(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn begins_with(value: &[u8], prefix: &[u8]) -> bool {
    value.len() >= prefix.len() && value[..prefix.len()].eq_ignore_ascii_case(prefix)
}
