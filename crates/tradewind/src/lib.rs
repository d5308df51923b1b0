//! The composition root: puts the document, the parts and the commands together. Nothing is decided here.

mod built_in;
mod caller_keys;
mod collector;
pub mod commands;
mod document;
mod exporting;
mod gateway;
mod say;

pub use caller_keys::CallerKeysError;
pub use document::{Document, Source};
pub use gateway::{Gateway, KeysError, StartError};
