//! What is kept and told of every call, all of it derived from one struct: the decision [`Record`], which goes through the
//! [`Sinks`] when the call is over. They are [`Metrics`], the [`Spend`] book, [`Spans`], the [`Log`], and the [`Journal`]
//! that writes the record and the book to a SQLite file.
//!
//! No record ever holds the text of a prompt or an answer, and nothing here makes a call wait.

#[cfg(test)]
extern crate self as tradewind_telemetry;

mod block;
mod choice;
mod error;
mod file;
mod genai;
mod journal;
mod json;
mod log;
mod metrics;
mod outbox;
mod queue;
mod read;
mod record;
mod settings;
mod share;
mod sinks;
mod spans;
mod spend;
mod trace;
mod way;
mod writer;

pub use choice::{Choice, ComplexityParts, Kept, Led, Meaning};
pub use error::JournalError;
pub use file::{FILE_NAME, Notice};
pub use journal::Journal;
pub use json::Preview;
pub use log::{Log, LogCalls, LogFormat, LogSender};
pub use metrics::{Format, Metrics};
pub use queue::{JournalSender, Stats};
pub use read::{Page, Query};
pub use record::{Attempt, Outcome, Record};
pub use settings::Settings;
pub use sinks::Sinks;
pub use spans::{Post, Posting, SpanSender, SpanSettings, SpanStats, Spans};
pub use spend::{Day, GroupBy, Spend, SpendRow, Totals};
pub use trace::Trace;
pub use way::Way;

#[cfg(test)]
#[path = "../tests/all/support.rs"]
#[expect(dead_code, reason = "the tests from outside use more of it")]
mod support;
