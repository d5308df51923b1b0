//! A running gateway: its parts, wired.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tradewind_core::{Clock, Code, DecisionIds};
use tradewind_decide::HealthSettings;
use tradewind_dispatch::Services;
use tradewind_door::{Front, FrontLimits, ServerLimits, serve};
use tradewind_door_control::{ControlDoor, Controls};
use tradewind_door_models::{Discovered, LinkError, ModelsDoor, Needs, PreviewRequest, discover};
use tradewind_egress::{Egress, EgressSettings, Roots, Spawner};
use tradewind_policy::{Change, diff};
use tradewind_runtime::{KeyRings, Kind, Supervisor, SystemClock, Targets, files};
use tradewind_telemetry::{Journal, JournalError, Notice, Settings};

use crate::Document;

/// How often idle connections, outliers and forgotten targets are looked after.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// How often providers are asked for their models.
const DISCOVER_EVERY: Duration = Duration::from_secs(600);
/// How long calls may take to end themselves with an error after the drain time.
const GRACE: Duration = Duration::from_secs(1);
/// Records that may wait for the journal: two seconds of full load on two cores, so that a slow flush of the disk loses
/// none. At most some 70 MiB, and 1 MiB when empty.
const JOURNAL_QUEUE: usize = 65_536;
/// How long the journal may take to write what is queued.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Why a gateway cannot start.
#[derive(Debug)]
pub enum StartError {
    /// The address.
    Listen(SocketAddr, io::Error),
    /// The data directory.
    DataDir(PathBuf, io::Error),
    /// The journal.
    Journal(PathBuf, JournalError),
    /// A provider.
    Provider(LinkError),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, error) => write!(
                f,
                "error[{}]: cannot listen on {address}: {error}\n  = hint: stop what listens there, or set another \
                 `listen`, such as 127.0.0.1:0 for any free port",
                Code::CannotListen
            ),
            Self::DataDir(path, error) => write!(
                f,
                "error[{}]: cannot use the data directory {}: {error}\n  = hint: set `data-dir` to a directory that \
                 you may write to",
                Code::DataDir,
                path.display()
            ),
            Self::Journal(path, error) => write!(
                f,
                "error[{}]: cannot open the decision journal in {}: {error}\n  = hint: another gateway may be running \
                 with it; give this one another `data-dir`",
                Code::DataDir,
                path.display()
            ),
            Self::Provider(error) => write!(f, "error[{}]: {error}", Code::ConfigBadValue),
        }
    }
}

impl std::error::Error for StartError {}

/// A gateway that serves.
pub struct Gateway {
    /// Where it listens.
    pub address: SocketAddr,
    /// The file of decision records.
    pub journal_folder: PathBuf,
    /// What happened to the journal's file when it was opened.
    pub journal_notice: Option<Notice>,
    supervisor: Supervisor,
    journal: Arc<Journal>,
    models: ModelsDoor,
    document: Arc<Mutex<Document>>,
    /// Told after each reload: there may be providers that have not been asked for their models.
    reloaded: Arc<Notify>,
}

impl Gateway {
    /// Starts the parts that `document` asks for, on the present tokio runtime.
    ///
    /// # Errors
    /// When the address, the data directory or a provider cannot be used.
    pub async fn start(document: Document) -> Result<Self, StartError> {
        Self::start_with(document, HealthSettings::default()).await
    }

    /// [`Self::start`] with another way of judging the health of targets than the usual one.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(document: Document, health: HealthSettings) -> Result<Self, StartError> {
        let shared = &document.shared;
        let supervisor = Supervisor::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let listen = shared.listen.0;
        let listener = TcpListener::bind(listen).await.map_err(|error| StartError::Listen(listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(listen, error))?;

        let folder = files::expand_home(&shared.data_dir.0);
        files::make_private_dir(&folder).map_err(|error| StartError::DataDir(folder.clone(), error))?;
        let settings = Settings {
            max_age: shared.journal.max_age.get(),
            max_bytes: shared.journal.max_size.0,
            queue: JOURNAL_QUEUE,
            ..Settings::default()
        };
        let (journal, journal_notice) = Journal::open(&folder, settings, clock.clone())
            .map_err(|error| StartError::Journal(folder.clone(), error))?;
        let journal = Arc::new(journal);

        let spawning = supervisor.clone();
        let spawner = Spawner::new(move |task| spawning.spawn(Kind::Upkeep, task));
        let egress_settings = EgressSettings {
            head: usize::try_from(shared.limits.answer_headers.0).unwrap_or(usize::MAX),
            ..EgressSettings::default()
        };
        let egress = Egress::new(clock.clone(), spawner, egress_settings);
        let targets = Arc::new(Targets::default());
        let services = Arc::new(Services {
            clock: clock.clone(),
            stages: supervisor.stages().clone(),
            journal: journal.sender(),
            health,
        });
        let needs = Needs {
            egress: egress.clone(),
            targets: targets.clone(),
            key_rings: Arc::new(KeyRings::default()),
            services,
            ids: DecisionIds::after(journal.newest_id()),
        };
        // Reading the system's certificates takes some ten milliseconds: not for a document that needs none.
        let needs_tls = shared.providers.iter().any(|provider| provider.base_url.as_str().starts_with("https"));
        let roots = if needs_tls { Roots::system() } else { Roots::none() };
        let models =
            ModelsDoor::new(shared, &document.models, &document.policy, needs, roots).map_err(StartError::Provider)?;

        let control = ControlDoor::new(controls(&supervisor, &journal, &clock, &models));
        let size = |bytes: tradewind_policy::ByteSize| usize::try_from(bytes.0).unwrap_or(usize::MAX);
        let front_limits = FrontLimits {
            headers: size(shared.limits.request_headers),
            calls: shared.limits.concurrent_calls as usize,
        };
        let front = Front::new(vec![Arc::new(models.clone()), Arc::new(control)], clock, front_limits);
        let server_limits = ServerLimits {
            connections: shared.limits.connections as usize,
            // Room to read heads that are over the limit, so that they can be refused in words.
            buffer: size(shared.limits.request_headers).saturating_mul(4).max(64 * 1024),
            head: shared.limits.header_time.get(),
            write_stall: shared.limits.write_stall.get(),
        };
        supervisor.spawn(Kind::Upkeep, serve(listener, Arc::new(front), supervisor.clone(), server_limits));

        let upkeep_models = models.clone();
        supervisor.spawn(Kind::Upkeep, async move {
            loop {
                tokio::time::sleep(UPKEEP_EVERY).await;
                egress.sweep();
                upkeep_models.eject_outliers();
                targets.forget_unused();
            }
        });
        let document = Arc::new(Mutex::new(document));
        let reloaded = Arc::new(Notify::new());
        Ok(Self { address, journal_folder: folder, journal_notice, supervisor, journal, models, document, reloaded })
    }

    /// Puts another document in place. Calls in flight finish on the one that they started with.
    ///
    /// # Errors
    /// When a provider of it cannot be used; then the old document stays.
    pub fn reload(&self, next: Document) -> Result<Vec<Change>, StartError> {
        // Held over the swap: discovery puts the document of this lock in place again.
        let mut document = self.document.lock();
        self.models.reload(&next.shared, &next.models, &next.policy).map_err(StartError::Provider)?;
        let changes = diff(&document.root, &next.root);
        *document = next;
        self.reloaded.notify_one();
        Ok(changes)
    }

    /// Asks the providers for their models: now, after each reload, and every ten minutes.
    pub fn keep_discovering(&self) {
        let (models, document, reloaded) = (self.models.clone(), self.document.clone(), self.reloaded.clone());
        self.supervisor.spawn(Kind::Upkeep, async move {
            loop {
                let asked = models.snapshot();
                let Discovered { targets, .. } = discover(&asked, models.needs()).await;
                models.set_discovered(targets);
                {
                    let present = document.lock();
                    // The same document again: only what was discovered is new.
                    let _ = models.reload(&present.shared, &present.models, &present.policy);
                }
                let _ = tokio::time::timeout(DISCOVER_EVERY, reloaded.notified()).await; // whichever comes first
            }
        });
    }

    /// Starts a task that ends with the gateway.
    pub fn keep(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.supervisor.spawn(Kind::Upkeep, task);
    }

    /// Tasks of `kind` that run now.
    #[must_use]
    pub fn tasks(&self, kind: Kind) -> usize {
        self.supervisor.count(kind)
    }

    /// The models door.
    #[must_use]
    pub fn models(&self) -> &ModelsDoor {
        &self.models
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Stops: no new connections, waits up to `drain` for calls, ends what is left with an error. Returns how many
    /// connections were dropped, and how many records were not written.
    pub async fn stop(self, drain: Duration) -> (usize, usize) {
        let dropped = self.supervisor.stop(drain, GRACE).await;
        let journal = self.journal;
        let unwritten = tokio::task::spawn_blocking(move || {
            journal.flush(LAST_WRITE);
            journal.stats().queued
        });
        (dropped, unwritten.await.unwrap_or_default())
    }
}

/// What the control door shows and moves.
fn controls(supervisor: &Supervisor, journal: &Arc<Journal>, clock: &Arc<dyn Clock>, models: &ModelsDoor) -> Controls {
    let (previewing, selecting) = (models.clone(), models.clone());
    let (watched, counted) = (journal.clone(), supervisor.clone());
    Controls {
        clock: clock.clone(),
        stages: supervisor.stages().clone(),
        journal: journal.clone(),
        preview: Box::new(move |body| {
            let asked: PreviewRequest = serde_json::from_slice(body).map_err(|error| {
                let message = format!(
                    "send {{\"dialect\": \"openai\" or \"anthropic\", \"request\": {{…}}, \"headers\": {{…}}}}: {error}"
                );
                tradewind_door::Refusal::new(Code::BadField, message)
            })?;
            previewing.preview(&asked).map(|preview| preview.to_json())
        }),
        select: Box::new(move |model, target| selecting.select(model, target)),
        status: Box::new(move || {
            let stats = watched.stats();
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "connections": counted.count(Kind::Connection),
                "journal": {
                    "written": stats.written,
                    "dropped": stats.dropped,
                    "queued": stats.queued,
                    "pruned": stats.pruned,
                    "bytes": stats.bytes,
                    "notice": stats.notice.map(|notice| notice.to_string()),
                },
            })
        }),
    }
}
