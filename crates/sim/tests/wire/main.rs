//! What a sim puts on the wire, seen by a raw client. One binary, one file for each group of rows of the fault table.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like tests")]

mod answers;
mod body_faults;
mod client;
mod connection_faults;
mod load;
mod scripted;
mod status_faults;
mod stream_faults;
