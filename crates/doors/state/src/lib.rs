//! The state door: agents' long-lived state over HTTP, with a condition on every write.
//!
//! All semantics are those of [`tradewind_store::State`]; here they get paths, headers, statuses and public codes. A request
//! is found in the table of `route.rs`, read as `spec.rs` says, and answered by `read.rs`, `write.rs`, `manage.rs` or
//! `watch.rs`; the OpenAPI document is made from the same two tables.

mod door;
mod failure;
mod head;
mod manage;
mod openapi;
mod query;
mod read;
mod record;
mod route;
mod section;
mod shown;
mod spec;
mod watch;
mod write;

pub use door::{Counted, Needs, StateDoor};
pub use openapi::openapi;
pub use record::Records;
pub use section::{Durability, Encryption, Engine, KeySource, STATE_SECTION, STORE_SECTION, SealingKey, StateSection};
