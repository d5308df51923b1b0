//! The record of a call while the call is open. However the call ends, also by being dropped, exactly one record of it
//! goes to the journal.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tradewind_core::{Code, DecisionId, Fault, FaultKind, Moment, Price, TargetId, Usage, Usd};
use tradewind_runtime::Caller;
use tradewind_telemetry::{Attempt, Outcome, Record};

use crate::{Finding, Services};

/// An open record.
pub struct Open {
    /// Taken when the record is sent.
    record: Option<Box<Record>>,
    services: Arc<Services>,
    arrived: Moment,
    caller: Caller,
    /// What the attempt under way has used at least, if its request was sent: the estimated question, at its price.
    at_stake: Option<(u64, Option<Price>)>,
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
    /// Opens `record` for a call of `caller` that came in at `arrived`.
    pub fn new(record: Box<Record>, services: Arc<Services>, arrived: Moment, caller: Caller) -> Self {
        Self { record: Some(record), services, arrived, caller, at_stake: None }
    }

    /// The id that the caller is told.
    #[must_use]
    pub fn id(&self) -> DecisionId {
        self.look().id
    }

    /// The record as it is now.
    #[must_use]
    pub fn look(&self) -> &Record {
        self.record.as_ref().expect("the record is taken only when the call is closed")
    }

    /// The record, to fill in what is known only by and by.
    pub fn edit(&mut self) -> &mut Record {
        self.record.as_mut().expect("the record is taken only when the call is closed")
    }

    fn elapsed(&self) -> Duration {
        self.services.clock.now().since(self.arrived)
    }

    /// Notes that an attempt with a question of about `input` tokens begins; the number is given back when it ends.
    pub(crate) fn begin_attempt(&mut self, target: &TargetId, hedge: bool, input: u64, price: Option<Price>) -> usize {
        let started = self.elapsed();
        self.at_stake = Some((input, price));
        let record = self.edit();
        record.attempts.push(Attempt {
            target: target.clone(),
            key: None,
            hedge,
            started,
            first_byte: None,
            ended: started,
            outcome: Outcome::Cancelled,
            fault: None,
            status: None,
            detail: None,
        });
        record.attempts.len() - 1
    }

    /// Notes which of the provider's keys attempt `number` used.
    pub(crate) fn used_key(&mut self, number: usize, key: Option<usize>) {
        if let Some(attempt) = self.edit().attempts.get_mut(number) {
            attempt.key = key;
        }
    }

    /// Notes how attempt `number` ended.
    pub(crate) fn end_attempt(&mut self, number: usize, outcome: Outcome, fault: Option<&Fault>) {
        let ended = self.elapsed();
        self.at_stake = None;
        let Some(attempt) = self.edit().attempts.get_mut(number) else { return };
        attempt.ended = ended;
        attempt.outcome = outcome;
        attempt.fault = fault.map(|fault| fault.kind);
        attempt.detail = fault.map(|fault| fault.detail.clone());
        attempt.status = fault.and_then(|fault| fault.status).or(attempt.status);
    }

    /// Notes the first byte of the answer that the caller will see.
    pub(crate) fn first_byte(&mut self, number: usize, key: Option<usize>, status: u16) {
        let now = self.elapsed();
        let record = self.edit();
        record.first_byte = Some(now);
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

    /// Adds what an attempt used, and what that costs, to what is known of the call.
    pub(crate) fn account(&mut self, finding: &Finding, estimated_input: u64, price: Option<&Price>) {
        let usage = finding.usage.unwrap_or_else(|| Usage {
            input: estimated_input,
            output: finding.estimated_output,
            estimated: true,
            ..Usage::default()
        });
        let cost: Option<Usd> = price.map(|price| price.cost(&usage));
        let record = self.edit();
        (record.usage, record.cost) = match record.usage {
            None => (Some(usage), cost),
            // One attempt without a price makes the cost of the call unknown.
            Some(known) => (Some(known.plus(usage)), record.cost.zip(cost).map(|(known, more)| known + more)),
        };
        record.events_dropped += finding.ignored;
    }

    /// Closes the record and sends it to the journal.
    pub fn close(mut self, ending: Ending) {
        self.send(ending);
    }

    fn send(&mut self, ending: Ending) {
        let elapsed = self.elapsed();
        let Some(mut record) = self.record.take() else { return };
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
        self.services.journal.try_send(record);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // The provider had the question by then, as far as is known, and charges for it.
        if let Some((input, price)) = self.at_stake.take()
            && self.record.as_ref().is_some_and(|record| record.usage.is_none())
        {
            self.account(&Finding::default(), input, price.as_ref());
        }
        // 499 is what proxies log for a caller that went away; nobody receives it.
        let fault = if self.caller.is_stalled() {
            Fault::new(FaultKind::ClientStalled, "the caller stopped reading (limits.write-stall)")
        } else {
            Fault::new(FaultKind::ClientGone, "the caller went away before the end")
        };
        self.send(Ending { outcome: Outcome::ClientGone, status: 499, fault: Some(fault), code: None });
    }
}
