//! What a connection knows of its caller, for the calls on it to know too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a caller has stopped reading. Clones are the same caller.
///
/// The connection finds it out, and then drops the answer; without this a call could not tell it from a caller that hung
/// up.
#[derive(Clone, Debug, Default)]
pub struct Caller(Arc<AtomicBool>);

impl Caller {
    /// Notes that it has not read for as long as it may.
    pub fn has_stalled(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether that was noted.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
