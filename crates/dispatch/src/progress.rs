//! How far an attempt has come, as its race and the record of its call see it while it is under way.
//!
//! What a stream has said is looked at only when it is given up before anything of it was passed on; an answer that goes on
//! to the caller is accounted by whoever passes it on, and costs nothing here.

use std::sync::atomic::{AtomicBool, Ordering};

use std::sync::{Arc, OnceLock};

use crate::Finding;

/// How far an attempt has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    sent: AtomicBool,
    begun: AtomicBool,
    way: OnceLock<Arc<str>>,
    used: OnceLock<Box<Finding>>,
}

impl Progress {
    /// The way out that was chosen for it, where there is one to choose. A second request of the same attempt, in the other
    /// form, follows within milliseconds: the first one's way is what is told.
    pub(crate) fn takes(&self, way: Option<&Arc<str>>) {
        if let Some(way) = way {
            let _ = self.way.set(way.clone());
        }
    }

    /// The proxy that it went through, or was to go through.
    pub(crate) fn way(&self) -> Option<&Arc<str>> {
        self.way.get()
    }

    /// The request is being sent: from now on it may cost money.
    pub(crate) fn sending(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// Whether its request was sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    /// The first event of its stream is here, be it held back.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Whether the first event of its stream has come: the target is neither late nor silent, whatever is held back of it.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Its stream is given up; this was found in it. Only what it used is kept: nobody sees the rest of the answer.
    pub(crate) fn give_up(&self, found: Finding) {
        let Finding { usage, estimated_output, .. } = found;
        // An attempt reads one stream: nothing is there yet.
        let _ = self.used.set(Box::new(Finding { usage, estimated_output, ..Finding::default() }));
    }

    /// What it used, as far as that was read before it was given up; nothing for an answer that was not a stream.
    pub(crate) fn used(&self) -> Finding {
        self.used.get().map_or_else(Finding::default, |used| (**used).clone())
    }
}
