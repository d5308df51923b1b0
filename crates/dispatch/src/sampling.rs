//! How many traces are recorded; changed when the document is.

use std::sync::atomic::{AtomicU64, Ordering};

/// The share of the traces beginning here that is recorded; none at all when spans are not exported.
#[derive(Debug)]
pub struct Sampling(AtomicU64);

/// No share is negative.
const OFF: f64 = -1.0;

impl Default for Sampling {
    fn default() -> Self {
        Self(AtomicU64::new(OFF.to_bits()))
    }
}

impl Sampling {
    /// The share, from 0 to 1; `None` when spans are not exported.
    #[must_use]
    pub fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|share| *share >= 0.0)
    }

    /// Sets it for the calls from now on.
    pub fn set(&self, share: Option<f64>) {
        self.0.store(share.unwrap_or(OFF).to_bits(), Ordering::Relaxed);
    }
}
