//! The control door: decision records, preview of a decision, selections, targets, keys, spend, metrics, health of the
//! process.
//!
//! It knows no other door: what it shows of them is handed in as [`Controls`].

mod decisions;
mod door;
mod query;
mod spend;

pub use door::{ControlDoor, Controls};
