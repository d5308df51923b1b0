//! The stages of the process's life: running, draining, over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// Calls are taken.
    Running = 0,
    /// No new connections; calls in flight go on.
    Draining = 1,
    /// The drain time is over: what still runs ends now, with an error to its caller.
    Over = 2,
}

/// The present stage, shared by everything that has to know. Reading it is one relaxed load.
#[derive(Clone, Debug, Default)]
pub struct Stages(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stage: AtomicU8,
    changed: Notify,
}

impl Stages {
    /// The present stage.
    #[must_use]
    pub fn now(&self) -> Stage {
        match self.0.stage.load(Ordering::Relaxed) {
            0 => Stage::Running,
            1 => Stage::Draining,
            _ => Stage::Over,
        }
    }

    /// Moves on to `stage`; never back.
    pub fn advance(&self, stage: Stage) {
        self.0.stage.fetch_max(stage as u8, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }

    /// Waits until at least `stage` is reached.
    pub async fn reached(&self, stage: Stage) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.now() >= stage {
                return;
            }
            changed.await;
        }
    }
}
