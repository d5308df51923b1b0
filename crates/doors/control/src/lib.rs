//! The control door: decision records, preview of a decision, selections, targets, keys, spend, metrics, health of the
//! process.
//!
//! It knows no other door: what it shows of them is handed in as [`Controls`]. Apart from the door, on a listener of its own,
//! there is the [`Controller`] that Clash dashboards use.

mod clash;
mod decisions;
mod door;
mod query;
mod spend;
mod ways;

pub use clash::{
    Controller, ControllerNeeds, ControllerSettings, MOST_CONTROLLER_CONNECTIONS, NewDocument, serve_controller,
};
pub use door::{ControlDoor, Controls};
