//! The composition root: puts the document, the parts and the commands together. Nothing is decided here.

mod built_in;
pub mod commands;
mod document;
mod gateway;
mod say;

pub use document::{Document, Source};
pub use gateway::{Gateway, StartError};
