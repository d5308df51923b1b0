//! Opens what keeps state: the one place that names engines.
//!
//! An engine that cannot be opened keeps a gateway from starting. Refused: starting without, and answering 503 until it can:
//! whoever starts a gateway sees an error at once, and whoever writes to it sees one hours later.

mod sealing;

use std::path::Path;
use std::sync::Arc;

use tradewind_core::{Clock, Code};
use tradewind_door_state::{Durability, Engine, StateSection};
use tradewind_runtime::files;
use tradewind_store::nats::{Nats, NatsSettings};
use tradewind_store::redis::{Redis, RedisSettings};
use tradewind_store::seal::Sealer;
use tradewind_store::sqlite::{self, Sqlite};
use tradewind_store::wal::{self, Wal};
use tradewind_store::{Settings, State, Store, StoreError};

pub use self::sealing::KeyError;

/// The folder of state in the data directory; each embedded engine has one of its own in it.
const FOLDER: &str = "state";

/// Why state cannot be kept. The text is what a person sees.
#[derive(Debug, thiserror::Error)]
pub enum StateOpenError {
    /// The engine.
    #[error("error[{}]: store: {engine}: {error}\n  = hint: {}", code(.error), hint(.engine, .error))]
    Engine {
        /// Which.
        engine: String,
        /// What it says.
        error: StoreError,
    },
    /// The keys that values are sealed with.
    #[error("error[{code}]: state.encryption: {0}\n  = hint: `openssl rand -base64 32` makes a key", code = Code::ConfigBadValue)]
    Key(#[from] KeyError),
}

fn code(error: &StoreError) -> Code {
    match error {
        StoreError::Damaged { .. } => Code::StateDamaged,
        _ => Code::StateUnavailable,
    }
}

fn hint(engine: &str, error: &StoreError) -> &'static str {
    match engine {
        "sqlite" | "wal" if matches!(error, StoreError::Damaged { .. }) => {
            "nothing was changed; put a backup of the folder `state` in its place; docs/errors/TW7010.md says what can be \
             read out of a damaged one"
        }
        "redis" | "nats" => "look whether the server runs, and at the address and login in `store`",
        _ => "look at the folder `state` in `data-dir`; another gateway may be running with it",
    }
}

/// Opens an engine as a document says whose data directory this is; mostly the one that it names.
///
/// # Errors
/// When it cannot be opened or reached.
pub(crate) async fn open_engine(
    engine: &Engine,
    section: &StateSection,
    data_dir: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Store>, StateOpenError> {
    let opened: Result<Arc<dyn Store>, StoreError> = match engine {
        Engine::Sqlite => return open_sqlite(section, data_dir, clock).await.map(|store| store as Arc<dyn Store>),
        Engine::Wal => {
            let options = wal::Options { durability: durability(section), ..wal::Options::default() };
            let open = move |folder: &Path| Wal::open(folder, options, clock);
            open_here(engine, data_dir, open).await.map(|store| store as Arc<dyn Store>)
        }
        Engine::Redis(address) => {
            let settings = RedisSettings { address: address.clone(), roots: None };
            Redis::open(&settings).await.map(|store| Arc::new(store) as Arc<dyn Store>)
        }
        Engine::Nats(address) => {
            let settings = NatsSettings { address: address.clone(), roots: None, replicas: section.replicas };
            Nats::open(&settings).await.map(|store| Arc::new(store) as Arc<dyn Store>)
        }
    };
    opened.map_err(|error| StateOpenError::Engine { engine: engine.to_string(), error })
}

/// Opens SQLite in this data directory, whatever the document says.
async fn open_sqlite(
    section: &StateSection,
    data_dir: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Sqlite>, StateOpenError> {
    let options = sqlite::Options { durability: durability(section), ..sqlite::Options::default() };
    let opened = open_here(&Engine::Sqlite, data_dir, move |folder| Sqlite::open(folder, options, clock)).await;
    opened.map_err(|error| StateOpenError::Engine { engine: Engine::Sqlite.to_string(), error })
}

const fn durability(section: &StateSection) -> tradewind_store::Durability {
    match section.durability {
        Durability::Fsync => tradewind_store::Durability::Fsync,
        Durability::Os => tradewind_store::Durability::Os,
    }
}

/// Opens an engine of files in its folder, which blocks on the disk.
async fn open_here<S: Send + Sync + 'static>(
    engine: &Engine,
    data_dir: &Path,
    open: impl FnOnce(&Path) -> Result<S, StoreError> + Send + 'static,
) -> Result<Arc<S>, StoreError> {
    let folder = data_dir.join(FOLDER).join(engine.to_string());
    let opening = tokio::task::spawn_blocking(move || {
        files::make_private_dir(&folder)
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", folder.display())))?;
        open(&folder).map(Arc::new)
    });
    opening.await.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("opening it failed: {error}"))))
}

/// Whether an engine of files was ever opened in this data directory.
pub(crate) fn has_state(data_dir: &Path) -> bool {
    data_dir.join(FOLDER).exists()
}

/// An engine that is open, and what seals.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// What the gateway itself remembers lies here, whatever `store` says: it is this machine's, and stays where it is when
    /// the store is another one.
    own: Arc<Sqlite>,
    /// Whether `store` is another one.
    is_beside: bool,
    sealer: Option<Arc<Sealer>>,
    clock: Arc<dyn Clock>,
}

impl Opened {
    /// State by these rules. There may be several over one engine, as before and after a reload: nothing that decides is
    /// kept above the engine.
    pub(crate) fn state(&self, settings: &Settings) -> Arc<State> {
        Arc::new(State::new(self.store.clone(), settings.clone(), self.clock.clone(), self.sealer.clone()))
    }

    /// The state of what the gateway itself remembers.
    pub(crate) fn own_state(&self) -> Arc<State> {
        Arc::new(State::new(self.own.clone(), Settings::default(), self.clock.clone(), self.sealer.clone()))
    }

    /// Whether what the gateway itself remembers lies in an engine of its own.
    pub(crate) const fn is_beside(&self) -> bool {
        self.is_beside
    }

    /// What SQLite finds wrong with its own file: pages, and rows that an index misses, which no read of a value can see.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn inspect(&self) -> Result<Vec<String>, StoreError> {
        self.own.inspect().await
    }

    /// Lets the engines finish.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        let closed = self.store.close().await;
        if self.is_beside { closed.and(self.own.close().await) } else { closed }
    }
}

/// Opens the state of a document whose data directory this is.
///
/// # Errors
/// When the engine or a key cannot be used.
pub(crate) async fn open(
    section: &StateSection,
    data_dir: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Opened, StateOpenError> {
    let sealer = sealing::sealer(section.encryption.as_ref()).await?;
    let is_beside = !matches!(section.engine, Engine::Sqlite);
    let own = open_sqlite(section, data_dir, clock.clone()).await?;
    let store =
        if is_beside { open_engine(&section.engine, section, data_dir, clock.clone()).await? } else { own.clone() };
    Ok(Opened { store, own, is_beside, sealer, clock })
}
