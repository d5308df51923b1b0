//! What an agent written in Rust needs on top of [`State`](crate::State): its own state taken and given back, under one key
//! that it holds until it hands it over; schemas that grow; and steps of a state machine that exactly one writer takes.
//!
//! [`StatefulAgent`] is what an agent fills in, [`Keeper`] holds its key, [`Upcasters`] bring what an older release wrote up
//! to date, one version at a time, and [`Machine`] takes steps. Nothing here reads a clock, draws a random number or sleeps
//! by itself: all three are handed in.

mod keeper;
mod machine;
mod upcast;

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StateError;
use crate::meta::Schema;

pub use keeper::Keeper;
pub use machine::{Machine, Retry, TransitionError};
pub use upcast::{DryRun, Failure, MAX_FAILURES, UpcastError, Upcasters, dry_run};

/// The state of an agent at one moment, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The bytes.
    pub content: Bytes,
    /// Their media type.
    pub content_type: Arc<str>,
    /// Their shape, with its version.
    pub schema: Schema,
}

impl Snapshot {
    /// A snapshot in JSON.
    ///
    /// # Errors
    /// [`AgentError::Snapshot`] when the value cannot be written as JSON.
    pub fn json(schema: Schema, value: &impl Serialize) -> Result<Self, AgentError> {
        let content = serde_json::to_vec(value).map_err(|error| AgentError::Snapshot(error.to_string()))?;
        Ok(Self { content: content.into(), content_type: Arc::from("application/json"), schema })
    }

    /// The value of a snapshot in JSON.
    ///
    /// # Errors
    /// [`AgentError::Restore`] when it is none, or another value.
    pub fn read_json<T: DeserializeOwned>(&self) -> Result<T, AgentError> {
        serde_json::from_slice(&self.content).map_err(|error| AgentError::Restore(error.to_string()))
    }
}

/// An agent whose state can be taken and given back.
pub trait StatefulAgent {
    /// The whole state as it is now. An agent that is given it back goes on as this one would.
    ///
    /// # Errors
    /// [`AgentError::Snapshot`] when it cannot be taken at the moment; nothing is written then.
    fn take_snapshot(&self) -> Result<Snapshot, AgentError>;

    /// Takes on the state of a snapshot, which has the version that this release writes: older ones were brought up to date.
    ///
    /// # Errors
    /// [`AgentError::Restore`] when it cannot; the agent is then as it was before.
    fn restore_from(&mut self, snapshot: &Snapshot) -> Result<(), AgentError>;
}

/// Why an agent's state was not kept or given back.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AgentError {
    /// The agent could not take a snapshot.
    #[error("no snapshot: {0}")]
    Snapshot(String),
    /// The agent could not take a snapshot on.
    #[error("not restored: {0}")]
    Restore(String),
    /// What is kept could not be brought up to date.
    #[error(transparent)]
    Upcast(#[from] UpcastError),
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

#[cfg(test)]
mod tests;
