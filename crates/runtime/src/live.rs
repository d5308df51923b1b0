//! A snapshot that is swapped whole. Readers never wait: not for each other, not for the writer.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

/// The present snapshot of something.
#[derive(Debug)]
pub struct Live<T>(ArcSwap<T>);

impl<T> Live<T> {
    /// Begins with `first`.
    pub fn new(first: T) -> Self {
        Self(ArcSwap::from_pointee(first))
    }

    /// The present snapshot, for a short look.
    pub fn look(&self) -> Guard<Arc<T>> {
        self.0.load()
    }

    /// The present snapshot, to be kept as long as needed: a call keeps the one that it started with.
    pub fn get(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Puts `next` in place of the present snapshot.
    pub fn swap(&self, next: T) {
        self.0.store(Arc::new(next));
    }
}
