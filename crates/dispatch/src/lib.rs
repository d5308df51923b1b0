//! Drives the attempts of a decision: order, permits, time limits, hedges, fallback, and telling how it went. Nothing
//! else in the workspace does any of this.
//!
//! A door hands in a [`Call`] and gets a [`Reply`] or a [`Failure`] back. Until the first event of an answer has come,
//! nothing has been given to the caller, so every fault before it falls back invisibly; a fault after it ends the
//! stream with the dialect's own error event. What a protocol's bytes mean is the door's business: it implements
//! [`Protocol`], the only thing that `dispatch` asks it.

mod attempt;
mod call;
mod collect;
mod decode;
mod judge;
mod lane;
mod open;
mod progress;
mod protocol;
mod quota;
mod race;
mod relay;
mod run;
mod sampling;
mod terms;

pub use call::{Call, Failure, Reply, Services};
pub use decode::Decoder;
pub use lane::Lane;
pub use open::{Ending, Open};
pub use protocol::{Finding, Next, Outbox, Phase, Place, Protocol, Reading, StreamReader};
pub use relay::Relay;
pub use run::run;
pub use sampling::Sampling;
pub use terms::{AnswerLimits, Hedge, HedgeAfter, Retry, Terms, Timeouts};
