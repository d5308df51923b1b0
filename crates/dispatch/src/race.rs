//! One attempt, and beside it another one when it is slow (hedging). The first to show an answer wins; the other is
//! dropped, which cancels it upstream, and is accounted as cancelled.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use smallvec::SmallVec;
use tradewind_core::{Fault, FaultKind, Moment};
use tradewind_decide::Observation;
use tradewind_telemetry::Outcome;

use crate::attempt::{AttemptTerms, Missed, Opened, attempt};
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

struct Runner<P: Protocol> {
    future: Attempting<P>,
    number: usize,
    leaf: usize,
    started: Moment,
}

/// Tries the next candidate, hedged if the model's terms say so.
pub(crate) async fn race<P: Protocol>(call: &mut Call<P>, course: &mut Course) -> Result<Won<P>, Lost> {
    let leaf = course.ranked[course.next];
    course.next += 1;
    let delay =
        call.terms.hedge.filter(|_| call.protocol.is_repeatable() && course.next < course.ranked.len()).and_then(
            |hedge| {
                let lane = &call.lanes[leaf];
                Some((hedge, hedge_delay(hedge, lane)?))
            },
        );
    let number = begin(call, course, leaf, false);
    match delay {
        None => match attempt(terms(call, course, leaf)).await {
            Ok(opened) => Ok(Won { opened, number, leaf }),
            Err(missed) => Err(Lost { fault: note_miss(call, number, missed), leaf }),
        },
        Some((hedge, delay)) => {
            let started = call.services.clock.now();
            let first = Runner { future: Box::pin(attempt(terms(call, course, leaf))), number, leaf, started };
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
    let mut running: SmallVec<[Runner<P>; 2]> = SmallVec::new();
    running.push(first);
    let mut hedges_left = hedge.at_most;
    loop {
        let may_hedge = hedges_left > 0 && course.next < course.ranked.len();
        let done = if may_hedge {
            tokio::time::timeout(delay, first_done(&mut running)).await.ok()
        } else {
            Some(first_done(&mut running).await)
        };
        let Some((index, result)) = done else {
            hedges_left -= 1;
            let allowed = course.attempts < call.terms.retry.attempts;
            let started = call.services.clock.now();
            if allowed && call.terms.may_try_again(started) {
                let leaf = course.ranked[course.next];
                course.next += 1;
                let number = begin(call, course, leaf, true);
                let future = Box::pin(attempt(terms(call, course, leaf)));
                running.push(Runner { future, number, leaf, started });
            }
            continue;
        };
        let finished = running.swap_remove(index);
        match result {
            Ok(opened) => {
                let now = call.services.clock.now();
                for loser in running {
                    // Without this a slow target that is always overtaken would never look slow.
                    let after = now.since(loser.started);
                    call.lanes[loser.leaf].target.record(&call.services.health, now, &Observation::Overtaken { after });
                    let fault = Fault::new(FaultKind::LostHedge, "another attempt of the same call was faster");
                    call.open.end_attempt(loser.number, Outcome::Cancelled, Some(&fault));
                    // What it had answered until now nobody knows; the question at least is paid for.
                    let price = call.lanes[loser.leaf].price;
                    call.open.account(&Finding::default(), call.protocol.estimated_input(), price.as_ref());
                }
                return Ok(Won { opened, number: finished.number, leaf: finished.leaf });
            }
            Err(missed) => {
                let fault = note_miss(call, finished.number, missed);
                if running.is_empty() {
                    return Err(Lost { fault, leaf: finished.leaf });
                }
            }
        }
    }
}

/// Takes an attempt that came to nothing into the record.
fn note_miss<P: Protocol>(call: &mut Call<P>, number: usize, Missed { fault, key }: Missed) -> Fault {
    call.open.used_key(number, key);
    call.open.end_attempt(number, Outcome::Failed, Some(&fault));
    fault
}

fn begin<P: Protocol>(call: &mut Call<P>, course: &mut Course, leaf: usize, hedge: bool) -> usize {
    course.attempts += 1;
    let lane = &call.lanes[leaf];
    call.open.begin_attempt(lane.target.id(), hedge, call.protocol.estimated_input(), lane.price)
}

fn terms<P: Protocol>(call: &Call<P>, course: &Course, leaf: usize) -> AttemptTerms<P> {
    AttemptTerms {
        services: call.services.clone(),
        terms: call.terms.clone(),
        lane: call.lanes[leaf].clone(),
        leaf,
        protocol: call.protocol.clone(),
        tokens: call.tokens,
        may_queue: course.queueing,
        deadline: course.deadline,
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
