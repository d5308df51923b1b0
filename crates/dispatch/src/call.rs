//! What a door hands in, and what it gets back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::response;
use tradewind_core::{Clock, Fault, Moment, TargetId};
use tradewind_decide::HealthSettings;
use tradewind_runtime::Stages;
use tradewind_telemetry::Sinks;

use crate::{Finding, Lane, Open, Protocol, Relay, Sampling, Terms};

/// What every call needs and no call owns.
pub struct Services {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whether the process is stopping.
    pub stages: Stages,
    /// Where the records of closed calls go.
    pub sinks: Arc<Sinks>,
    /// How many traces are recorded.
    pub sampling: Sampling,
    /// How health is judged.
    pub health: HealthSettings,
}

/// One call, decided and ready to be driven.
pub struct Call<P: Protocol> {
    /// What every call needs.
    pub services: Arc<Services>,
    /// The targets, by `leaf`.
    pub lanes: Arc<[Lane]>,
    /// The model's terms.
    pub terms: Arc<Terms>,
    /// The record with its decision.
    pub open: Open,
    /// When the call came in.
    pub arrived: Moment,
    /// How long the caller will wait, if it said so.
    pub patience: Option<Duration>,
    /// Estimated tokens of question and answer, for load.
    pub tokens: u64,
    /// The call in the words of its protocol.
    pub protocol: Arc<P>,
}

/// An answer. The door makes a response of it.
pub enum Reply<P: Protocol> {
    /// A whole one, checked; the record is closed.
    Whole {
        /// Status and headers, fit to be passed on.
        head: response::Parts,
        /// The body as it came, decoded.
        body: Bytes,
        /// Who answered.
        target: TargetId,
        /// What was found in it.
        finding: Finding,
    },
    /// A stream whose first event has come. The record is closed when the relay ends.
    Stream {
        /// Status and headers, fit to be passed on.
        head: response::Parts,
        /// The body.
        relay: Box<Relay<P>>,
        /// Who answers.
        target: TargetId,
    },
    /// The provider refused the request itself; its own words. The record is closed.
    Refusal {
        /// Status and headers, fit to be passed on.
        head: response::Parts,
        /// The body as it came.
        body: Bytes,
        /// Who refused.
        target: TargetId,
    },
}

/// Nobody answered.
pub struct Failure {
    /// The last fault: the one that the caller is told.
    pub fault: Fault,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
    /// Whether another attempt would have been made if the retry budget of the model had allowed it.
    pub budget_spent: bool,
    /// The record, still open: the door closes it, with the last resort's answer or with an error.
    pub open: Open,
}
