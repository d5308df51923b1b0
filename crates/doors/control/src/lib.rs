//! The control door: decision records, preview of a decision, selections, health of the process.
//!
//! It knows no other door: what it shows of them is handed in as [`Controls`].

mod decisions;
mod door;
mod query;

pub use door::{ControlDoor, Controls};
