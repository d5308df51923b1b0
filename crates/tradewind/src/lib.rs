//! The composition root: puts the document, the parts and the commands together. Nothing is decided here.

mod built_in;
mod caller_keys;
mod collector;
pub mod commands;
mod document;
mod embedders;
mod exporting;
mod gateway;
mod prior;
mod processes;
mod remembered;
mod sampling;
mod say;
mod state;

pub use caller_keys::CallerKeysError;
pub use document::{Document, Source};
pub use embedders::{EmbedderError, installed};
pub use gateway::{AskedDocument, Gateway, KeysError, StartError};
pub use prior::{PriorFailure, PriorFeed, PriorPlan, PriorPoller, PriorQuery, PriorStats};
pub use state::{KeyError, StateOpenError};
