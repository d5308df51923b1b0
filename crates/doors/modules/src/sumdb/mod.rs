//! The client of a checksum database: which hashes a module's files have, as a signed, append-only log has them.
//!
//! Nothing that a source says is believed before it was hashed up to a tree head that the database signed, and no head before
//! it was shown to continue the last one seen, which is kept. The lines come from the authenticated text of a record alone.
//! That an answer is missing is one thing ([`SumdbError::NotThere`], [`SumdbError::Unreachable`]); one that does not hold is
//! another, and is refused whatever the mount's `verify` says, its evidence kept.
//!
//! How answers are fetched ([`Source`]) and where is kept what was checked ([`Kept`]) is handed in. What can be said without
//! either is in `tradewind_ledger`.

mod client;
mod error;
mod evidence;
mod flights;
mod kept;
mod lines;
mod reader;
mod source;
#[cfg(test)]
pub(crate) mod tests;
mod timeline;

pub use client::{MAX_ANSWER, Sumdb};
pub use error::{Misbehaviour, SumdbError};
pub use kept::Kept;
pub use lines::Sums;
pub use source::{Source, SourceError};
