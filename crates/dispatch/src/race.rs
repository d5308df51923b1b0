//! One attempt, and beside it another one when it is slow (hedging). The first to show an answer wins; the other is
//! dropped, which cancels it upstream, and is accounted as cancelled.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smallvec::SmallVec;
use tradewind_core::{Fault, FaultKind, Moment};
use tradewind_decide::Observation;
use tradewind_telemetry::Outcome;

use crate::attempt::{AttemptTerms, Missed, Opened, attempt};
use crate::progress::Progress;
use crate::relay::Deadline;
use crate::{Call, Finding, Hedge, HedgeAfter, Lane, Protocol};

/// A hedge is never started earlier than this, however fast the target usually is.
const SOONEST_HEDGE: Duration = Duration::from_millis(5);
/// Quantile at which a first byte counts as late.
const LATE: f64 = 0.95;

/// The candidates of a call in order, and how far they have been used.
pub(crate) struct Course {
    pub(crate) ranked: SmallVec<[usize; 8]>,
    /// The next one to try.
    pub(crate) next: usize,
    /// Attempts begun.
    pub(crate) attempts: u32,
    /// Whether to wait for a permit where none is free.
    pub(crate) queueing: bool,
    pub(crate) deadline: Deadline,
}

/// An attempt that has shown an answer.
pub(crate) struct Won<P: Protocol> {
    pub(crate) opened: Opened<P>,
    /// Its number in the record.
    pub(crate) number: usize,
    pub(crate) leaf: usize,
}

/// The last attempt of a race in which nobody showed an answer.
pub(crate) struct Lost {
    pub(crate) fault: Fault,
    /// Whose attempt it was: with a hedge, not always the one that the race began with.
    pub(crate) leaf: usize,
}

type Attempting<P> = Pin<Box<dyn Future<Output = Result<Opened<P>, Missed>> + Send>>;

/// An attempt that has a place in the record.
struct Begun {
    leaf: usize,
    /// Its number in the record.
    number: usize,
    progress: Arc<Progress>,
}

struct Runner<P: Protocol> {
    future: Attempting<P>,
    begun: Begun,
    started: Moment,
}

impl<P: Protocol> Runner<P> {
    fn start(call: &Call<P>, course: &Course, begun: Begun) -> Self {
        let terms = terms(call, course, &begun);
        let future = Box::pin(async move { attempt(&terms).await });
        Self { future, begun, started: call.services.clock.now() }
    }
}

/// Tries the next candidate, hedged if the model's terms say so.
pub(crate) async fn race<P: Protocol>(call: &mut Call<P>, course: &mut Course, now: Moment) -> Result<Won<P>, Lost> {
    let leaf = course.ranked[course.next];
    course.next += 1;
    let delay =
        call.terms.hedge.filter(|_| call.protocol.is_repeatable() && course.next < course.ranked.len()).and_then(
            |hedge| {
                let lane = &call.lanes[leaf];
                Some((hedge, hedge_delay(hedge, lane)?))
            },
        );
    let begun = begin(call, course, leaf, false, now);
    let number = begun.number;
    match delay {
        None => match attempt(&terms(call, course, &begun)).await {
            Ok(opened) => {
                call.open.waited(opened.waited);
                Ok(Won { opened, number, leaf })
            }
            Err(missed) => {
                call.open.waited(missed.waited);
                Err(Lost { fault: note_miss(call, &begun, missed), leaf })
            }
        },
        Some((hedge, delay)) => {
            let first = Runner::start(call, course, begun);
            race_hedged(call, course, first, hedge, delay).await
        }
    }
}

async fn race_hedged<P: Protocol>(
    call: &mut Call<P>,
    course: &mut Course,
    first: Runner<P>,
    hedge: Hedge,
    delay: Duration,
) -> Result<Won<P>, Lost> {
    let began = first.started;
    let mut running: SmallVec<[Runner<P>; 2]> = SmallVec::new();
    running.push(first);
    let mut hedges_left = hedge.at_most;
    loop {
        // A target that has shown an event is not late: a stream that its reader holds back is only not released yet.
        let is_late = !running.iter().any(|runner| runner.begun.progress.has_begun());
        let may_hedge = is_late && hedges_left > 0 && course.next < course.ranked.len();
        let done = if may_hedge {
            tokio::time::timeout(delay, first_done(&mut running)).await.ok()
        } else {
            Some(first_done(&mut running).await)
        };
        let Some((index, result)) = done else {
            if running.iter().any(|runner| runner.begun.progress.has_begun()) {
                continue; // meanwhile an event has come
            }
            hedges_left -= 1;
            let allowed = course.attempts < call.terms.retry.attempts;
            let now = call.services.clock.now();
            if allowed && call.terms.may_try_again(now) {
                let leaf = course.ranked[course.next];
                course.next += 1;
                let begun = begin(call, course, leaf, true, now);
                running.push(Runner::start(call, course, begun));
            }
            continue;
        };
        let Runner { begun: finished, .. } = running.swap_remove(index);
        match result {
            Ok(opened) => {
                let now = call.services.clock.now();
                call.open.waited(now.since(began));
                for Runner { future, begun: loser, started } in running {
                    drop(future); // what it has used is known now
                    // Without this a slow target that is always overtaken would never look slow. When its first event
                    // came, is known already, if it did.
                    if !loser.progress.has_begun() {
                        let after = now.since(started);
                        let overtaken = Observation::Overtaken { after };
                        call.lanes[loser.leaf].target.record(&call.services.health, now, &overtaken);
                    }
                    let fault = Fault::new(FaultKind::LostHedge, "another attempt of the same call was faster");
                    call.open.end_attempt(loser.number, Outcome::Cancelled, Some(&fault), now);
                    // The question at least is paid for, once it was sent.
                    if loser.progress.is_sent() {
                        account(call, &loser, &loser.progress.used());
                    }
                }
                return Ok(Won { opened, number: finished.number, leaf: finished.leaf });
            }
            Err(missed) => {
                let fault = note_miss(call, &finished, missed);
                if running.is_empty() {
                    call.open.waited(call.services.clock.now().since(began));
                    return Err(Lost { fault, leaf: finished.leaf });
                }
            }
        }
    }
}

/// Takes an attempt that came to nothing into the record.
fn note_miss<P: Protocol>(call: &mut Call<P>, begun: &Begun, missed: Missed) -> Fault {
    let Missed { fault, key, .. } = missed;
    call.open.used_key(begun.number, key);
    let now = call.services.clock.now();
    call.open.end_attempt(begun.number, Outcome::Failed, Some(&fault), now);
    let mut used = begun.progress.used();
    used.usage = used.usage.or(fault.usage);
    if used.usage.is_some() || begun.progress.has_begun() || was_worked_on(&fault) {
        account(call, begun, &used);
    }
    fault
}

/// Takes what an attempt used into the record of the call.
fn account<P: Protocol>(call: &mut Call<P>, begun: &Begun, used: &Finding) {
    let price = call.lanes[begun.leaf].price;
    let question = call.protocol.estimated_input(begun.leaf);
    call.open.account(begun.number, used, question, price.as_ref());
}

/// Whether the target had the request and began to work on it, though no event of an answer came: it let a time limit
/// pass, or what it answered is no good. Then the question at least is charged. What it refused or failed at (a status of
/// its own, an error in place of an answer) is not charged.
fn was_worked_on(fault: &Fault) -> bool {
    use FaultKind as K;
    !fault.never_sent
        && fault.status.is_none()
        && matches!(
            fault.kind,
            K::HeadersTimeout
                | K::FirstTokenTimeout
                | K::TotalTimeout
                | K::Deadline
                | K::Cut
                | K::LengthMismatch
                | K::BadEvent
                | K::EmptyAnswer
                | K::BadJson
                | K::BadShape
                | K::BadToolCall
                | K::Untranslatable
                | K::Quality
                | K::BadEncoding
                | K::TooLarge
        )
}

fn begin<P: Protocol>(call: &mut Call<P>, course: &mut Course, leaf: usize, hedge: bool, now: Moment) -> Begun {
    course.attempts += 1;
    let progress = Arc::new(Progress::default());
    let question = call.protocol.estimated_input(leaf);
    let number = call.open.begin_attempt(&call.lanes[leaf], hedge, question, progress.clone(), now);
    Begun { leaf, number, progress }
}

fn terms<P: Protocol>(call: &Call<P>, course: &Course, begun: &Begun) -> AttemptTerms<P> {
    AttemptTerms {
        services: call.services.clone(),
        terms: call.terms.clone(),
        lane: call.lanes[begun.leaf].clone(),
        leaf: begun.leaf,
        number: begun.number,
        protocol: call.protocol.clone(),
        tokens: call.tokens,
        may_queue: course.queueing,
        deadline: course.deadline,
        progress: begun.progress.clone(),
    }
}

fn hedge_delay(hedge: Hedge, lane: &Lane) -> Option<Duration> {
    match hedge.after {
        HedgeAfter::Fixed(delay) => Some(delay),
        HedgeAfter::P95 => lane.target.first_byte_quantile(LATE).map(|late| late.max(SOONEST_HEDGE)),
    }
}

/// Waits for the first of `running` to end.
async fn first_done<P: Protocol>(running: &mut [Runner<P>]) -> (usize, Result<Opened<P>, Missed>) {
    poll_fn(|context| {
        for (index, runner) in running.iter_mut().enumerate() {
            if let Poll::Ready(result) = runner.future.as_mut().poll(context) {
                return Poll::Ready((index, result));
            }
        }
        Poll::Pending
    })
    .await
}
