//! Lines for those who watch: dashboards show them as they come. Nobody waits for a watcher; one that is too slow misses
//! the oldest.

use tokio::sync::broadcast;
use tradewind_core::UnixMillis;

/// Lines that a slow watcher may be behind.
const BEHIND: usize = 1024;

/// How much a line matters, in mihomo's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For finding mistakes.
    Debug,
    /// What happens.
    Info,
    /// What may be wrong.
    Warning,
    /// What is wrong.
    Error,
}

impl Level {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The level of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Debug, Self::Info, Self::Warning, Self::Error].into_iter().find(|level| level.name() == name)
    }
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// When.
    pub at: UnixMillis,
    /// The text.
    pub text: String,
}

/// The lines of one process.
#[derive(Debug)]
pub struct Logs(broadcast::Sender<Line>);

impl Default for Logs {
    fn default() -> Self {
        Self(broadcast::channel(BEHIND).0)
    }
}

impl Logs {
    /// Whether anybody watches: making a line for nobody is not worth it.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Shows a line to all who watch.
    pub fn tell(&self, level: Level, at: UnixMillis, text: impl FnOnce() -> String) {
        if self.is_watched() {
            let _ = self.0.send(Line { level, at, text: text() }); // the last watcher may just have gone
        }
    }

    /// Watches from now on.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Line> {
        self.0.subscribe()
    }
}
