//! The words every other crate speaks: names, ids, secrets, time, money, tokens and faults.
//!
//! Nothing here does anything: no I/O, no clock, no configuration. A type belongs here when at least two crates on
//! different branches of the arrow diagram need it.

mod clock;
mod code;
mod context;
mod dialect;
mod fault;
mod id;
mod money;
mod name;
mod nearest;
mod recent;
mod secret;
mod text;
mod usage;
mod view;

pub use clock::{Clock, Moment, UnixMillis};
pub use code::Code;
pub use context::{Context, Device, Label, Labels, SaidBy};
pub use dialect::Dialect;
pub use fault::{Blame, Fault, FaultKind};
pub use id::{DecisionId, DecisionIds, ParseDecisionIdError};
pub use money::{Price, Usd};
pub use name::{ModelName, ParseTargetError, ProviderName, TargetId};
pub use nearest::nearest;
pub use recent::Recent;
pub use secret::Secret;
pub use text::{ParseDurationError, format_duration, from_hex, parse_duration, percent_decoded, to_hex, write_hex};
pub use usage::Usage;
pub use view::{AnswerView, Delta, Finish, Probabilities, RequestView, ToolCallView, ToolView};
