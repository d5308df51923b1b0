//! What turns a text into a vector without leaving the process.
//!
//! An embedder over the network is not one of these: it needs a connection and may fail, so its caller fetches the
//! vector first and hands it in.

use crate::vector::Vector;

/// Turns a text into a vector, in the calling thread, without I/O.
pub trait Embedder: Send + Sync {
    /// Its name in records and in keys of caches: vectors of different names are never compared.
    fn name(&self) -> &str;

    /// Dimensions of every vector it makes.
    fn dimensions(&self) -> usize;

    /// The vector of `text`; the zero vector for a text that says nothing. Reads a bounded part of the text, which each
    /// embedder states.
    fn embed(&self, text: &str) -> Vector;
}
