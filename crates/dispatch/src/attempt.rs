//! One attempt: one target, one request, up to its first event or its whole answer.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::response;
use http_body_util::BodyExt;
use tradewind_core::{Fault, FaultKind, Moment, format_duration};
use tradewind_decide::{Admission, Observation, backoff};
use tradewind_egress::{Answer, AnswerBody};
use tradewind_runtime::{Entered, Target};

use crate::collect::collect;
use crate::judge::{Verdict, clean_response_headers, judge};
use crate::progress::Progress;
use crate::quota::note_quota;
use crate::relay::Deadline;
use crate::{Decoder, Finding, Lane, Next, Outbox, Phase, Place, Protocol, Reading, Services, StreamReader, Terms};

/// The most that is read of a provider's refusal.
const REFUSAL_LIMIT: usize = 1024 * 1024;

/// What an attempt came to.
pub(crate) struct Opened<P: Protocol> {
    pub(crate) head: response::Parts,
    pub(crate) key: Option<usize>,
    /// How long the target was waited for, its queue included.
    pub(crate) waited: Duration,
    pub(crate) held: Held,
    pub(crate) what: What<P>,
}

pub(crate) enum What<P: Protocol> {
    Whole { body: Bytes, finding: Finding },
    Stream(Box<Streaming<P>>),
    Refusal { body: Bytes },
}

/// A stream whose first event is in `out`.
pub(crate) struct Streaming<P: Protocol> {
    /// Taken at the end.
    pub(crate) body: Option<AnswerBody>,
    pub(crate) decoder: Decoder,
    pub(crate) reader: Box<P::Stream>,
    pub(crate) out: Outbox,
}

/// The hold on a target while an attempt runs. Dropped unsettled it says nothing about the target's health.
pub(crate) struct Held {
    target: Arc<Target>,
    services: Arc<Services>,
    started: Moment,
    first_byte: Option<Duration>,
    settled: bool,
    _entered: Entered,
}

impl Held {
    /// The head of a whole answer is here.
    fn mark_first_byte(&mut self) {
        self.first_byte = Some(self.services.clock.now().since(self.started));
    }

    /// The first event of a stream is here: told at once, since the end of the stream may be minutes away.
    fn mark_first_event(&mut self) {
        let now = self.services.clock.now();
        let after = now.since(self.started);
        self.target.record(&self.services.health, now, &Observation::FirstByte { after });
    }

    /// The answer came to its end.
    pub(crate) fn succeed(mut self, now: Moment) {
        let observation = match self.first_byte {
            Some(first_byte) => Observation::Success { first_byte },
            None => Observation::Completed,
        };
        self.settle(&observation, now);
    }

    /// The attempt failed.
    pub(crate) fn fail(mut self, kind: FaultKind) {
        let now = self.services.clock.now();
        let after = now.since(self.started);
        self.settle(&Observation::Failure { kind, after }, now);
    }

    fn settle(&mut self, observation: &Observation, now: Moment) {
        self.settled = true;
        self.target.record(&self.services.health, now, observation);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.settled {
            let now = self.services.clock.now();
            self.settle(&Observation::Neutral, now);
        }
    }
}

/// All that an attempt needs; owned, so that a hedge can run beside it.
pub(crate) struct AttemptTerms<P: Protocol> {
    pub(crate) services: Arc<Services>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) lane: Lane,
    pub(crate) leaf: usize,
    /// The attempt's number in the record.
    pub(crate) number: usize,
    pub(crate) protocol: Arc<P>,
    pub(crate) tokens: u64,
    /// Whether to wait for a permit when none is free; otherwise the next candidate is better.
    pub(crate) may_queue: bool,
    pub(crate) deadline: Deadline,
    /// How far it is, for those who look at it from outside.
    pub(crate) progress: Arc<Progress>,
}

/// A stream that is read until it may be passed on. Given up before, however that comes, it leaves behind what was found
/// in it: the target has worked.
struct Opening<'a, P: Protocol> {
    /// Taken when it may be passed on.
    streaming: Option<Box<Streaming<P>>>,
    progress: &'a Progress,
}

impl<P: Protocol> Drop for Opening<'_, P> {
    fn drop(&mut self) {
        let Some(streaming) = &self.streaming else { return };
        // The first event and the fault may have come in one piece.
        if streaming.reader.phase() != Phase::Waiting {
            self.progress.begin();
        }
        self.progress.give_up(streaming.reader.finding());
    }
}

/// An attempt that came to nothing. What it used is in its [`Progress`].
pub(crate) struct Missed {
    pub(crate) fault: Fault,
    /// The key that was used, if it came to that.
    pub(crate) key: Option<usize>,
    /// How long the target was waited for.
    pub(crate) waited: Duration,
}

/// Makes one attempt. Dropping the future cancels it upstream.
///
/// One timer bounds it: for a stream whichever is first of its first-token limit and the call's deadline, for a whole
/// answer the deadline. A stream whose first event has come and is held back by its reader has kept the first-token limit:
/// from then on the idle limit and the deadline bound it.
pub(crate) async fn attempt<P: Protocol>(this: &AttemptTerms<P>) -> Result<Opened<P>, Missed> {
    let now = this.services.clock.now();
    let left = this.deadline.at.since(now);
    let first_token = this.terms.timeouts.first_token;
    let mut limit = if this.protocol.is_stream() { left.min(first_token) } else { left };
    let mut held = None;
    let mut key = None;
    let mut answered = None;
    let trying = {
        let mut trying = pin!(try_once(this, now, &mut held, &mut key, &mut answered));
        let first = tokio::time::timeout(limit, trying.as_mut()).await;
        if first.is_err() && limit < left && this.progress.has_begun() {
            limit = left;
            let rest = this.deadline.at.since(this.services.clock.now());
            tokio::time::timeout(rest, trying).await
        } else {
            first
        }
    };
    let waited = answered.unwrap_or_else(|| this.services.clock.now()).since(now);
    let result = trying.unwrap_or_else(|_| {
        Err(if limit == left {
            this.deadline.fault()
        } else {
            let detail = format!("{} sent no first event within {}", this.lane.target.id(), format_duration(limit));
            Fault::new(FaultKind::FirstTokenTimeout, detail)
        })
    });
    let keys = &this.lane.keys;
    let named = key.filter(|_| !keys.is_nameless());
    match (result, held) {
        (Ok((head, what)), Some(held)) => {
            if let Some(key) = key {
                keys.accept(key);
            }
            Ok(Opened { head, key: named, waited, held, what })
        }
        (Ok(_), None) => {
            let fault = Fault::new(FaultKind::Internal, "an attempt ended without having begun");
            Err(Missed { fault, key: named, waited })
        }
        (Err(mut fault), held) => {
            // Who waited for a permit or a connection until the end sent nothing.
            fault.never_sent |= !this.progress.is_sent();
            rest_key(this, key, &mut fault);
            if is_time_out(fault.kind) {
                this.lane.route.distrust_connection();
            }
            if let Some(held) = held {
                held.fail(fault.kind);
            }
            Err(Missed { fault, key: named, waited })
        }
    }
}

/// Whether the target let a time limit of the model pass.
pub(crate) fn is_time_out(kind: FaultKind) -> bool {
    use FaultKind as K;
    matches!(kind, K::HeadersTimeout | K::FirstTokenTimeout | K::IdleTimeout | K::TotalTimeout)
}

/// The way of an attempt: permit, breaker, key, request. `held` and `key` tell how far it came when it is cut short,
/// `answered` when the last byte that had to be waited for was there.
async fn try_once<P: Protocol>(
    this: &AttemptTerms<P>,
    mut started: Moment,
    held: &mut Option<Held>,
    key: &mut Option<usize>,
    answered: &mut Option<Moment>,
) -> Result<(response::Parts, What<P>), Fault> {
    let (lane, services) = (&this.lane, &this.services);
    let id = lane.target.id();
    let mut entered = lane.target.try_enter(this.tokens);
    if entered.is_none() && this.may_queue {
        entered = lane.target.enter(this.tokens).await;
        started = services.clock.now();
    }
    let Some(entered) = entered else {
        return Err(Fault::new(FaultKind::Busy, format!("{id} has as many calls in flight as it may")).before_sending());
    };
    if let Admission::No { until } = lane.target.admit(&services.health, started) {
        let mut fault = Fault::new(FaultKind::Busy, format!("{id} is resting after faults")).before_sending();
        fault.retry_after = Some(until.since(started));
        return Err(fault);
    }
    let held = held.insert(Held {
        target: lane.target.clone(),
        services: services.clone(),
        started,
        first_byte: None,
        settled: false,
        _entered: entered,
    });
    *key = lane.keys.pick(id, started);
    if key.is_none() {
        let detail = format!("every key for {id} rests after a rate limit or was refused");
        return Err(Fault::new(FaultKind::RateLimited, detail).before_sending());
    }
    read(this, *key, held, answered).await
}

/// Lets a key rest after the provider limited or refused it.
fn rest_key<P: Protocol>(this: &AttemptTerms<P>, key: Option<usize>, fault: &mut Fault) {
    let Some(key) = key else { return };
    let keys = &this.lane.keys;
    let now = this.services.clock.now();
    match fault.kind {
        FaultKind::RateLimited => {
            let until = keys.cool(key, this.lane.target.id(), now, fault.retry_after);
            fault.retry_after = Some(until.since(now));
        }
        FaultKind::Unauthorized => keys.refuse(key, now),
        _ => {}
    }
}

async fn read<P: Protocol>(
    this: &AttemptTerms<P>,
    key: Option<usize>,
    held: &mut Held,
    answered: &mut Option<Moment>,
) -> Result<(response::Parts, What<P>), Fault> {
    let AttemptTerms { services, terms, lane, leaf, number, protocol, progress, .. } = this;
    let mut place = Place { leaf: *leaf, attempt: *number, key, other_form: false };
    let mut answer = send(this, &place).await?;
    match protocol.after_status(&place, answer.head.status.as_u16()) {
        Next::AsUsual => {}
        Next::Fault(fault) => return Err(fault),
        Next::OtherForm => {
            place.other_form = true;
            answer = Box::pin(send(this, &place)).await?; // boxed because it is rare
        }
    }
    let (mut head, body) = (answer.head, answer.body);
    note_quota(&head.headers, lane, services);
    match judge(&head, lane.route.name(), services.clock.wall()) {
        Verdict::Answer => {}
        Verdict::Fault(fault) => return Err(fault),
        Verdict::Refusal => {
            let body = collect(body, &head.headers, REFUSAL_LIMIT).await?;
            *answered = Some(services.clock.now());
            clean_response_headers(&mut head.headers);
            let body = protocol.refusal(&place, &mut head, body);
            return Ok((head, What::Refusal { body }));
        }
    }
    let reading = protocol.reading(&place, &head)?;
    match reading {
        Reading::Whole => {
            held.mark_first_byte();
            let body = collect(body, &head.headers, terms.limits.answer).await?;
            *answered = Some(services.clock.now());
            let (body, finding) = protocol.check_whole(&place, body)?;
            clean_response_headers(&mut head.headers);
            protocol.adapt_head(&place, &mut head);
            Ok((head, What::Whole { body, finding }))
        }
        Reading::Stream(reader) => {
            let decoder = Decoder::for_headers(&head.headers, terms.limits.event)?;
            let streaming = Box::new(Streaming { body: None, decoder, reader, out: Outbox::default() });
            let mut opening: Opening<'_, P> = Opening { streaming: Some(streaming), progress };
            let on_first = || {
                progress.begin();
                held.mark_first_event();
            };
            let body = first_event(body, &mut opening, terms, lane, on_first).await?;
            let mut streaming = opening.streaming.take().expect("it is taken here only");
            drop(opening);
            streaming.body = Some(body);
            *answered = Some(services.clock.now());
            clean_response_headers(&mut head.headers);
            protocol.adapt_head(&place, &mut head);
            if streaming.reader.phase() == Phase::Done && streaming.out.is_empty() {
                // Nobody would ever ask for the body of a 204.
                return Ok((head, What::Whole { body: Bytes::new(), finding: streaming.reader.finding() }));
            }
            Ok((head, What::Stream(streaming)))
        }
    }
}

/// Sends the request and waits for the head of the response.
async fn send<P: Protocol>(this: &AttemptTerms<P>, place: &Place) -> Result<Answer, Fault> {
    let AttemptTerms { terms, lane, protocol, progress, .. } = this;
    let build = || {
        progress.sending();
        protocol.request(place)
    };
    // Without a way out no connection belongs to a caller.
    let owner = if lane.route.via().is_some() { protocol.owner() } else { 0 };
    let taken = lane.route.choose(owner)?;
    progress.takes(taken.name());
    let sending = lane.route.send_along(taken, &build, terms.timeouts.connect, protocol.is_repeatable());
    match terms.timeouts.headers {
        None => sending.await,
        Some(limit) => tokio::time::timeout(limit, sending).await.map_err(|_| {
            let detail = format!("{} sent no response head within {}", lane.target.id(), format_duration(limit));
            Fault::new(FaultKind::HeadersTimeout, detail)
        })?,
    }
}

/// Reads until the first event of the answer may be passed on. A fault up to here is no one's but ours to see. `on_first` is
/// told when the first event is there, which may be earlier.
async fn first_event<P: Protocol>(
    mut body: AnswerBody,
    opening: &mut Opening<'_, P>,
    terms: &Terms,
    lane: &Lane,
    on_first: impl FnOnce(),
) -> Result<AnswerBody, Fault> {
    let streaming = opening.streaming.as_deref_mut().expect("it is taken behind this only");
    let Streaming { decoder, reader, out, .. } = streaming;
    let limit = terms.limits.event;
    let mut on_first = Some(on_first);
    loop {
        let phase = reader.phase();
        if phase != Phase::Waiting
            && let Some(on_first) = on_first.take()
        {
            on_first();
        }
        let frame = match phase {
            Phase::Begun | Phase::Done => return Ok(body),
            Phase::Waiting => Pin::new(&mut body).frame().await,
            Phase::Held => {
                tokio::time::timeout(terms.timeouts.idle, Pin::new(&mut body).frame()).await.map_err(|_| {
                    let idle = format_duration(terms.timeouts.idle);
                    let detail = format!("{} sent nothing for {idle} after its first event", lane.target.id());
                    Fault::new(FaultKind::FirstTokenTimeout, detail)
                })?
            }
        };
        let Some(frame) = frame else {
            reader.push(decoder.end()?, out)?;
            reader.end(out)?;
            // Bytes of unknown meaning may as well be none: the answer to a DELETE, say.
            if reader.phase() == Phase::Done {
                continue;
            }
            let detail = format!("{} ended the stream before the first event", lane.target.id());
            return Err(Fault::new(FaultKind::EmptyAnswer, detail));
        };
        let Ok(chunk) = frame?.into_data() else { continue };
        reader.push(decoder.push(chunk)?, out)?;
        // What a reader has held back is within its own bounds.
        if phase == Phase::Waiting && out.bytes() > limit {
            let detail = format!("{} sent more than {limit} bytes before the first event", lane.target.id());
            return Err(Fault::new(FaultKind::TooLarge, detail));
        }
    }
}

/// How long to wait before the same target is tried again.
pub(crate) fn pause(fault: &Fault, round: u32, random: &mut fastrand::Rng) -> Duration {
    fault.retry_after.unwrap_or_else(|| backoff(round, random))
}
