//! The record of a call while the call is open. However the call ends, also by being dropped, exactly one record of it
//! goes to the journal.

use std::borrow::Cow;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tradewind_access::{Grant, Reservation};
use tradewind_core::{Code, DecisionId, Fault, FaultKind, Moment, Price, Usage, Usd};
use tradewind_runtime::Caller;
use tradewind_telemetry::{Attempt, Outcome, Record};

use crate::progress::Progress;
use crate::{Finding, Lane, Services};

/// An open record. One pointer: it is handed from step to step of a call.
pub struct Open(Box<Parts>);

struct Parts {
    /// Taken when the record is sent.
    record: Option<Box<Record>>,
    services: Arc<Services>,
    arrived: Moment,
    caller: Caller,
    grant: Grant,
    /// What the key's limits hold back for this call until it is known what it used.
    reservation: Option<Reservation>,
    /// What the attempts under way are charged: the estimated question and what they have said, at its price.
    at_stake: SmallVec<[Stake; 1]>,
    /// How long others were waited for: the caller's body, targets, pauses between attempts.
    waited: Duration,
}

#[derive(Debug)]
struct Stake {
    attempt: usize,
    input: u64,
    price: Option<Price>,
    /// A request that was not sent costs nothing.
    progress: Arc<Progress>,
}

/// How a call ended.
#[derive(Debug)]
pub struct Ending {
    /// In a word.
    pub outcome: Outcome,
    /// The status that the caller saw.
    pub status: u16,
    /// Why, when it did not end well.
    pub fault: Option<Fault>,
    /// The public code that the caller saw, when it is another than the fault's own.
    pub code: Option<Code>,
}

impl Open {
    /// Opens `record` for a call of `caller`, who has `grant`, that came in at `arrived`.
    pub fn new(record: Box<Record>, services: Arc<Services>, arrived: Moment, caller: Caller, grant: Grant) -> Self {
        Self(Box::new(Parts {
            record: Some(record),
            services,
            arrived,
            caller,
            grant,
            reservation: None,
            at_stake: SmallVec::new(),
            waited: Duration::ZERO,
        }))
    }

    /// Who calls.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.0.grant
    }

    /// Keeps what the key's limits hold back for this call; it is settled when the record is closed.
    pub fn hold(&mut self, reservation: Reservation) {
        self.0.reservation = Some(reservation);
    }

    /// Notes that something else than the gateway was waited for.
    pub fn waited(&mut self, time: Duration) {
        self.0.waited += time;
    }

    /// The id that the caller is told.
    #[must_use]
    pub fn id(&self) -> DecisionId {
        self.look().id
    }

    /// The record as it is now.
    #[must_use]
    pub fn look(&self) -> &Record {
        self.0.record.as_ref().expect("the record is taken only when the call is closed")
    }

    /// The record, to fill in what is known only by and by.
    pub fn edit(&mut self) -> &mut Record {
        self.0.record.as_mut().expect("the record is taken only when the call is closed")
    }

    /// Notes that an attempt at `lane` with a question of about `input` tokens begins `now`; the number is given back when
    /// it ends.
    pub(crate) fn begin_attempt(
        &mut self,
        lane: &Lane,
        hedge: bool,
        input: u64,
        progress: Arc<Progress>,
        now: Moment,
    ) -> usize {
        let started = now.since(self.0.arrived);
        let (target, server, price) = (lane.target.id(), &lane.server, lane.price);
        let attempt = self.look().attempts.len();
        self.0.at_stake.push(Stake { attempt, input, price, progress });
        let record = self.edit();
        let mut begun = Attempt::new(target.clone(), hedge, started);
        begun.server = Some(server.clone());
        record.attempts.push(begun);
        attempt
    }

    /// Notes which of the provider's keys attempt `number` used.
    pub(crate) fn used_key(&mut self, number: usize, key: Option<usize>) {
        if let Some(attempt) = self.edit().attempts.get_mut(number) {
            attempt.key = key;
        }
    }

    /// Attempt `number` has an end: nothing of it is at stake any more, and its way is known.
    fn has_ended(&mut self, number: usize) {
        let Some(at) = self.0.at_stake.iter().position(|stake| stake.attempt == number) else { return };
        let ended = self.0.at_stake.remove(at);
        self.took_way(&ended);
    }

    fn took_way(&mut self, stake: &Stake) {
        if let Some(record) = &mut self.0.record
            && let Some(attempt) = record.attempts.get_mut(stake.attempt)
        {
            attempt.way = stake.progress.way().cloned();
        }
    }

    /// Notes how attempt `number` ended, `now`.
    pub(crate) fn end_attempt(&mut self, number: usize, outcome: Outcome, fault: Option<&Fault>, now: Moment) {
        let ended = now.since(self.0.arrived);
        self.has_ended(number);
        let Some(attempt) = self.edit().attempts.get_mut(number) else { return };
        attempt.ended = ended;
        attempt.outcome = outcome;
        attempt.fault = fault.map(|fault| fault.kind);
        attempt.detail = fault.map(|fault| fault.detail.clone());
        attempt.status = fault.and_then(|fault| fault.status).or(attempt.status);
    }

    /// Notes the first byte of the answer that the caller will see. From here on whoever passes it on accounts for it.
    pub(crate) fn first_byte(&mut self, number: usize, key: Option<usize>, status: u16, now: Moment) {
        let now = now.since(self.0.arrived);
        self.has_ended(number);
        let overhead = now.saturating_sub(self.0.waited);
        let record = self.edit();
        record.first_byte = Some(now);
        record.overhead = Some(overhead);
        record.status = status;
        if let Some(attempt) = record.attempts.get_mut(number) {
            attempt.first_byte = Some(now);
            attempt.key = key;
            attempt.status = Some(status);
            record.chosen = Some(attempt.target.clone());
        }
    }

    /// Adds a remark for a person.
    pub fn note(&mut self, note: impl Into<Cow<'static, str>>) {
        self.edit().notes.push(note.into());
    }

    /// Adds what attempt `number` used, and what that costs, to what is known of the call.
    pub(crate) fn account(&mut self, number: usize, finding: &Finding, estimated_input: u64, price: Option<&Price>) {
        let usage = finding.usage.unwrap_or_else(|| Usage {
            input: estimated_input,
            output: finding.estimated_output,
            estimated: true,
            ..Usage::default()
        });
        let cost: Option<Usd> = price.map(|price| price.cost(&usage));
        let record = self.edit();
        if let Some(attempt) = record.attempts.get_mut(number) {
            (attempt.usage, attempt.cost) = (Some(usage), cost);
        }
        (record.usage, record.cost) = match record.usage {
            None => (Some(usage), cost),
            // One attempt without a price makes the cost of the call unknown.
            Some(known) => (Some(known.plus(usage)), record.cost.zip(cost).map(|(known, more)| known + more)),
        };
        record.events_dropped += finding.ignored;
        record.notes.extend_from_slice(&finding.notes);
        if finding.finish.is_some() {
            record.finish.clone_from(&finding.finish);
        }
        if finding.model.is_some() {
            record.response_model.clone_from(&finding.model);
        }
        if finding.id.is_some() {
            record.response_id.clone_from(&finding.id);
        }
    }

    /// Closes the record and sends it to the journal.
    pub fn close(mut self, ending: Ending) {
        self.send(ending);
    }

    fn send(&mut self, ending: Ending) {
        let now = self.0.services.clock.now();
        let elapsed = now.since(self.0.arrived);
        // Attempts that nobody ended: their providers have the question, and charge for it and for what they said.
        for stake in std::mem::take(&mut self.0.at_stake) {
            self.took_way(&stake);
            if self.0.record.is_some() && stake.progress.is_sent() {
                self.account(stake.attempt, &stake.progress.used(), stake.input, stake.price.as_ref());
            }
        }
        let Some(mut record) = self.0.record.take() else { return };
        record.elapsed = elapsed;
        record.outcome = ending.outcome;
        record.status = ending.status;
        record.code = ending.code;
        record.fault = ending.fault.as_ref().map(|fault| fault.kind);
        record.detail = ending.fault.map(|fault| fault.detail);
        for attempt in &mut record.attempts {
            // An attempt that nobody ended was running when the call ended.
            if attempt.outcome == Outcome::Cancelled && attempt.fault.is_none() {
                attempt.ended = elapsed;
                attempt.outcome = record.outcome;
                attempt.fault = record.fault;
            }
        }
        if let Some(reservation) = self.0.reservation.take() {
            let tokens = record.usage.map_or(0, |usage| usage.input.saturating_add(usage.output));
            // Attempts without a price leave the cost of the call unknown, but not that of the others.
            let cost = record.attempts.iter().filter_map(|attempt| attempt.cost).fold(Usd::default(), Usd::add);
            reservation.settle(tokens, cost, now);
        }
        self.0.services.sinks.finish(record);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.record.is_none() {
            return;
        }
        // 499 is what proxies log for a caller that went away; nobody receives it.
        let fault = if self.0.caller.is_stalled() {
            Fault::new(FaultKind::ClientStalled, "the caller stopped reading (limits.write-stall)")
        } else {
            Fault::new(FaultKind::ClientGone, "the caller went away before the end")
        };
        self.send(Ending { outcome: Outcome::ClientGone, status: 499, fault: Some(fault), code: None });
    }
}
