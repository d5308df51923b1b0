//! The course of a call: candidate after candidate until one answers, within budget and time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tradewind_core::{Fault, FaultKind};
use tradewind_runtime::Stage;
use tradewind_telemetry::Outcome;

use crate::attempt::{What, pause};
use crate::race::{Course, Lost, Won, race};
use crate::relay::{Deadline, Relay, RelayParts};
use crate::{Call, Ending, Failure, Protocol, Reply};

/// An attempt that would have less time than this, or than the last one took to fail, is not worth a wait: it would only
/// hide the fault behind a time-out of its own.
const LEAST_TIME: Duration = Duration::from_millis(100);

/// Drives `call` to an answer.
///
/// # Errors
/// A [`Failure`] when nobody answered. Its record is still open: the door may have a last resort.
pub async fn run<P: Protocol>(mut call: Call<P>) -> Result<Reply<P>, Failure> {
    let total = call.terms.timeouts.total;
    let by_caller = call.patience.is_some_and(|patience| patience < total);
    let limit = call.patience.map_or(total, |patience| patience.min(total));
    let deadline = Deadline { at: call.arrived + limit, by_caller };
    let stages = call.services.stages.clone();
    let mut budget_spent = false;
    let result = {
        let mut driving = pin!(drive(&mut call, deadline, &mut budget_spent));
        // The caller's connection is woken when the process stops, so looking at each poll is enough.
        poll_fn(|context| match driving.as_mut().poll(context) {
            Poll::Pending if stages.now() == Stage::Over => {
                Poll::Ready(Err(Fault::new(FaultKind::Draining, "the gateway stopped before an answer had come")))
            }
            other => other,
        })
        .await
    };
    match result {
        Ok(won) => Ok(reply(call, won, deadline)),
        Err(fault) => Err(Failure { retry_after: fault.retry_after, fault, budget_spent, open: call.open }),
    }
}

/// Tries candidate after candidate. `budget_spent` is set when another attempt would have been made but for the budget.
async fn drive<P: Protocol>(call: &mut Call<P>, deadline: Deadline, budget_spent: &mut bool) -> Result<Won<P>, Fault> {
    let ranked = call.open.look().decision.candidates.iter().filter(|one| one.eligible).map(|one| one.leaf).collect();
    let mut course = Course { ranked, next: 0, attempts: 0, queueing: false, deadline };
    course.queueing = course.ranked.len() == 1;
    if course.ranked.is_empty() {
        return Err(Fault::new(FaultKind::Busy, "no candidate is eligible").before_sending());
    }
    let mut began = call.services.clock.now();
    call.terms.budget.lock().deposit(began);
    let mut last: Option<Fault> = None;
    let mut round = 0;
    loop {
        let Lost { fault, leaf } = match race(call, &mut course, began).await {
            Ok(won) => return Ok(won),
            Err(lost) => lost,
        };
        let busy = fault.kind == FaultKind::Busy;
        if busy {
            // Nothing was sent, so nothing is spent: the next candidate, then a place in the first one's queue.
            course.attempts -= 1;
            if course.next == course.ranked.len() {
                if course.queueing || last.is_some() {
                    return Err(last.unwrap_or(fault));
                }
                course.queueing = true;
                course.next = 0;
            }
            began = call.services.clock.now();
            continue;
        }
        if !fault.kind.may_fall_back() || course.attempts >= call.terms.retry.attempts {
            return Err(fault);
        }
        let now = call.services.clock.now();
        if now >= deadline.at || !(call.protocol.is_repeatable() || had_no_effect(&fault)) {
            return Err(fault);
        }
        let mut wait = None;
        if another_key(call, leaf, &fault)
            && let Some(again) = course.ranked.iter().position(|ranked| *ranked == leaf)
        {
            course.next = again;
        } else if course.next == course.ranked.len() {
            let took = now.since(began);
            let pause = pause_before_next_round(call, &fault, round, took, deadline);
            let Some(pause) = pause else { return Err(fault) };
            wait = Some(pause);
            round += 1;
            course.next = 0;
        }
        if !call.terms.may_try_again(now) {
            call.open.note("the retry budget of this model was used up");
            *budget_spent = true;
            return Err(fault);
        }
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
            call.open.waited(wait);
        }
        last = Some(fault);
        began = call.services.clock.now();
    }
}

/// Whether the target certainly did nothing: the request was not sent, or it was turned away at the door.
fn had_no_effect(fault: &Fault) -> bool {
    use FaultKind as K;
    fault.never_sent
        || matches!(fault.kind, K::RateLimited | K::Unauthorized | K::NotFound | K::NoSuchPath | K::Redirect)
}

/// Whether the fault concerns a key, and the same target has another one.
fn another_key<P: Protocol>(call: &Call<P>, leaf: usize, fault: &Fault) -> bool {
    if !matches!(fault.kind, FaultKind::RateLimited | FaultKind::Unauthorized) {
        return false;
    }
    let lane = &call.lanes[leaf];
    !lane.keys.is_nameless() && lane.keys.is_ready(lane.target.id(), call.services.clock.now())
}

/// How long to wait before the candidates are tried once more, when every one of them has failed, the last one after
/// `took`; `None` when that makes no sense or there is no time.
fn pause_before_next_round<P: Protocol>(
    call: &Call<P>,
    fault: &Fault,
    round: u32,
    took: Duration,
    deadline: Deadline,
) -> Option<Duration> {
    if !may_pass(fault.kind) {
        return None;
    }
    let wait = pause(fault, round, &mut fastrand::Rng::new());
    let in_time = call.services.clock.now() + wait + took.max(LEAST_TIME) < deadline.at;
    (in_time && wait <= call.terms.retry.longest_wait).then_some(wait)
}

/// Whether the same target may well answer a moment later.
fn may_pass(kind: FaultKind) -> bool {
    use FaultKind as K;
    matches!(
        kind,
        K::ConnectRefused
            | K::Reset
            | K::H2Refused
            | K::Cut
            | K::LengthMismatch
            | K::BadEvent
            | K::ErrorEvent
            | K::EmptyAnswer
            | K::BadJson
            | K::RateLimited
            | K::ServerError
    )
}

fn reply<P: Protocol>(call: Call<P>, won: Won<P>, deadline: Deadline) -> Reply<P> {
    let Call { services, lanes, terms, mut open, protocol, .. } = call;
    let Won { opened, number, leaf } = won;
    let lane = &lanes[leaf];
    let target = lane.target.id().clone();
    let head = opened.head;
    let status = head.status.as_u16();
    let now = services.clock.now();
    open.first_byte(number, opened.key, status, now);
    protocol.describe(leaf, open.edit());
    match opened.what {
        What::Whole { body, finding } => {
            opened.held.succeed(now);
            open.account(number, &finding, protocol.estimated_input(leaf), lane.price.as_ref());
            open.end_attempt(number, Outcome::Ok, None, now);
            open.close(Ending { outcome: Outcome::Ok, status, fault: None, code: None });
            Reply::Whole { head, body, target, finding }
        }
        What::Refusal { body } => {
            drop(opened.held); // says nothing about the target's health
            let fault = Fault::new(FaultKind::Rejected, format!("{target} refused the request itself"));
            let fault = fault.with_status(status);
            open.end_attempt(number, Outcome::Rejected, Some(&fault), now);
            open.close(Ending { outcome: Outcome::Rejected, status, fault: Some(fault), code: None });
            Reply::Refusal { head, body, target }
        }
        What::Stream(streaming) => {
            let relay = Relay::new(RelayParts {
                streaming,
                services,
                // The request itself is not needed any more: a stream that is held open does not hold it.
                estimated_input: protocol.estimated_input(leaf),
                price: lane.price,
                number,
                idle: terms.timeouts.idle,
                deadline,
                open,
                held: opened.held,
            });
            Reply::Stream { head, relay: Box::new(relay), target }
        }
    }
}
