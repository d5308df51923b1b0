//! Which network this is, and what groups make of it.
//!
//! A host says what its interfaces look like ([`Context::parse`]); the first network whose match fits is the present one
//! ([`matched`], and [`explain`] says why); and each group with a policy follows it by a small state machine of its own
//! ([`Machine`]) that respects a choice made by hand until the network changes. [`Snapshot`] is the context that is kept
//! meanwhile. Nothing here waits or reads a clock: the driver does.

mod answers;
mod context;
mod context_json;
mod explain;
mod fingerprint;
mod machine;
mod matcher;
mod record;
mod snapshot;

pub use answers::{Applied, ErrorAnswer, GetAnswer, GroupView, PutAnswer, Why};
pub use context::{Context, ContextCode, ContextError, Interface, LONGEST_TTL, MOST_BYTES, MOST_INTERFACES, Subnet};
pub use explain::{Explanation, InterfaceTrace, KeyTrace, NetworkTrace, Note, Trace, explain};
pub use fingerprint::Fingerprint;
pub use machine::{LastMatch, Machine, Source, Step, Turn};
pub use matcher::matched;
pub use record::{BadRecord, NOTHING_MATCHED, Record};
pub use snapshot::Snapshot;
