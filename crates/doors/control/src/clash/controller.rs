//! The controller: what it is made with, and what changes with the document.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::watch;
use tradewind_core::Secret;
use tradewind_policy::ways::{Cors, Inbound};
use tradewind_runtime::Live;
use tradewind_ways::Ways;

/// What `PUT /configs` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewDocument {
    /// The present file, read again.
    Again,
    /// Another file, below the directory of the configuration.
    File(PathBuf),
    /// This text.
    Text(String),
}

type ReadInbound = dyn Fn() -> Inbound + Send + Sync;
type SetInbound = dyn Fn(Inbound) -> Result<(), String> + Send + Sync;
type Reload = dyn Fn(NewDocument) -> Result<(), String> + Send + Sync;

/// What the controller looks at and moves.
pub struct ControllerNeeds {
    /// The ways out.
    pub ways: Ways,
    /// The directory of the configuration: `PUT /configs` reads files below it only.
    pub home: PathBuf,
    /// Where callers of the relay come in now.
    pub inbound: Box<ReadInbound>,
    /// Opens and closes ports of the relay until the next reload. On an error everything is as before.
    pub set_inbound: Box<SetInbound>,
    /// Reads, checks and puts another document in place. The error is for people; nothing has changed then. It may block.
    pub reload: Box<Reload>,
}

/// What of the controller comes from the document.
#[derive(Debug)]
pub struct ControllerSettings {
    /// `secret`.
    pub secret: Option<Secret<String>>,
    /// `external-controller-cors`.
    pub cors: Cors,
    /// `external-ui`, absolute.
    pub ui: Option<PathBuf>,
}

/// The controller API. Clones are the same one.
#[derive(Clone)]
pub struct Controller(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) needs: ControllerNeeds,
    pub(crate) settings: Live<ControllerSettings>,
    /// Told when the secret has changed: streams that were opened with the old one end.
    pub(crate) locked: watch::Sender<()>,
    log_level: AtomicU8,
}

/// Names of log levels, the most talkative first.
const LEVELS: [&str; 5] = ["debug", "info", "warning", "error", "silent"];

impl Controller {
    /// A controller.
    #[must_use]
    pub fn new(needs: ControllerNeeds, settings: ControllerSettings) -> Self {
        let locked = watch::Sender::new(());
        Self(Arc::new(Inner { needs, settings: Live::new(settings), locked, log_level: AtomicU8::new(1) }))
    }

    /// Goes on with the settings of another document. When the secret is another one, streams have to be opened anew.
    pub fn set(&self, settings: ControllerSettings) {
        let exposed = |settings: &ControllerSettings| settings.secret.as_ref().map(|secret| secret.expose().clone());
        let is_other = exposed(&self.0.settings.look()) != exposed(&settings);
        self.0.settings.swap(settings);
        if is_other {
            self.0.locked.send_replace(());
        }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// The level that `PATCH /configs` has set last. What is written to the log is for the document to say.
    pub(crate) fn log_level(&self) -> &'static str {
        LEVELS[usize::from(self.log_level.load(Ordering::Relaxed)).min(LEVELS.len() - 1)]
    }

    /// Sets it. False when there is no such level.
    pub(crate) fn set_log_level(&self, name: &str) -> bool {
        let index = LEVELS.iter().position(|level| *level == name);
        let index = index.and_then(|index| u8::try_from(index).ok());
        index.inspect(|index| self.log_level.store(*index, Ordering::Relaxed)).is_some()
    }
}

/// Whether a log level is called so.
pub(crate) fn is_level(name: &str) -> bool {
    LEVELS.contains(&name)
}
