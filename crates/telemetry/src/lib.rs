//! What is kept of every call: the decision [`Record`], and the [`Journal`] that writes it to a SQLite file.
//!
//! No record ever holds the text of a prompt or an answer. Metrics and spans are not built yet.

#[cfg(test)]
extern crate self as tradewind_telemetry;

mod block;
mod error;
mod file;
mod journal;
mod json;
mod queue;
mod read;
mod record;
mod settings;
mod writer;

pub use error::JournalError;
pub use file::{FILE_NAME, Notice};
pub use journal::Journal;
pub use json::Preview;
pub use queue::{JournalSender, Stats};
pub use read::{Page, Query};
pub use record::{Attempt, Outcome, Record};
pub use settings::Settings;

#[cfg(test)]
#[path = "../tests/all/support.rs"]
#[expect(dead_code, reason = "the tests from outside use more of it")]
mod support;
