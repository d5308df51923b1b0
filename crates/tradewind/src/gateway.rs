//! A running gateway: its parts, wired.

mod address;
mod controls;
mod dashboards;
mod following;
mod modules;
mod outward;
mod ports;
mod priors;
mod spent;
mod start_error;
mod state;
mod unauthorized;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tradewind_access::{Access, ModelBudgets, Reach};
use tradewind_core::{Clock, DecisionIds};
use tradewind_decide::HealthSettings;
use tradewind_dispatch::{Sampling, Services};
use tradewind_door::{Certificate, Door, Front, FrontLimits, ServerLimits, Tls, serve};
use tradewind_door_control::ControlDoor;
use tradewind_door_models::{Discovered, Embedders, LoadEncoder, ModelsDoor, Needs, Seal, discover};
use tradewind_egress::{Egress, EgressSettings, Roots, Shards, Spawner};
use tradewind_policy::{Change, Shared, TlsFiles, diff};
use tradewind_runtime::{
    KeyRings, Kind, Supervisor, SystemClock, Targets, Workers, current_worker, files, read_or_make_secret,
};
use tradewind_telemetry::{Journal, Metrics, Notice, Settings, Sinks};
use tradewind_tokens::Estimator;

use self::controls::{Parts, controls, gauges};
pub use self::dashboards::AskedDocument;
use self::modules::{ModulesPort, Parts as ModulesParts, Serving, door as modules_door};
use self::outward::{Outward, Parts as OutwardParts};
use self::priors::Priors;
pub use self::start_error::{KeysError, StartError};
use self::state::{Parts as StateParts, StatePort};
use crate::Document;
use crate::caller_keys::CallerKeys;
use crate::embedders::installed;
use crate::exporting::Exporting;
use crate::remembered::Remembered;
use crate::say;
use crate::state::open as open_state;

/// How often idle connections, outliers and forgotten targets are looked after.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);
/// How often providers are asked for their models.
const DISCOVER_EVERY: Duration = Duration::from_secs(600);
/// How long calls may take to end themselves with an error after the drain time.
const GRACE: Duration = Duration::from_secs(1);
/// Records that may wait for the journal: two seconds of full load on two cores, so that a slow flush of the disk loses
/// none. At most some 70 MiB, and 1 MiB when empty.
const JOURNAL_QUEUE: usize = 65_536;
/// The file of the secret that response ids are sealed with.
const SEAL_FILE: &str = "seal.key";
/// How long the journal may take to write what is queued.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// A gateway that serves.
pub struct Gateway {
    /// Where it listens.
    pub address: SocketAddr,
    /// The file of decision records.
    pub journal_folder: PathBuf,
    /// What happened to the journal's file when it was opened.
    pub journal_notice: Option<Notice>,
    supervisor: Supervisor,
    /// They end with the gateway.
    workers: Workers,
    journal: Arc<Journal>,
    models: ModelsDoor,
    access: Arc<Access>,
    tls: Option<Arc<Tls>>,
    exporting: Exporting,
    priors: Arc<Priors>,
    outward: Arc<Outward>,
    modules: ModulesPort,
    state: StatePort,
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
        let workers = Workers::for_all_cores().map_err(StartError::Threads)?;
        let supervisor = Supervisor::over(&workers);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let listen = shared.listen.0;
        let listener = TcpListener::bind(listen).await.map_err(|error| StartError::Listen("listen", listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen("listen", listen, error))?;

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
            shards: Shards { count: workers.count(), current: current_worker },
            ..EgressSettings::default()
        };
        let egress = Egress::new(clock.clone(), spawner.clone(), egress_settings);
        let targets = Arc::new(Targets::default());
        let metrics = Arc::new(Metrics::new());
        let sinks = Arc::new(Sinks::new(journal.sender(), metrics.clone(), journal.spend(), None, None));
        let services = Arc::new(Services {
            clock: clock.clone(),
            stages: supervisor.stages().clone(),
            sinks,
            sampling: Sampling::default(),
            health,
        });
        let roots = Roots::system();
        let ids = Arc::new(DecisionIds::after(journal.newest_id()));
        let opened = Box::pin(open_state(&document.state, &folder, clock.clone())).await.map_err(StartError::State)?;
        let (remembered, kept, wrong) = Box::pin(Remembered::open(opened.own_state(), &folder)).await;
        wrong.iter().for_each(|wrong| say::note(format_args!("  note: {wrong}")));
        let outward_parts = OutwardParts {
            kept,
            remembered,
            clock: clock.clone(),
            egress: egress.clone(),
            supervisor: &supervisor,
            spawner: spawner.clone(),
            roots: roots.clone(),
            folder: folder.clone(),
            base: document.base.clone(),
            sinks: services.sinks.clone(),
            ids: ids.clone(),
        };
        let outward = Arc::new(Outward::start(shared, &document.policy, outward_parts)?);
        let modules_parts = ModulesParts {
            egress: egress.clone(),
            roots: roots.clone(),
            clock: clock.clone(),
            spawner,
            sinks: services.sinks.clone(),
            ids: ids.clone(),
            ways: outward.ways().clone(),
            folder: &folder,
            policy: &document.policy,
        };
        let modules = modules_door(document.modules.as_ref(), modules_parts)?;
        let state_parts = StateParts {
            clock: clock.clone(),
            sinks: services.sinks.clone(),
            ids: ids.clone(),
            ways: outward.ways().clone(),
            supervisor: &supervisor,
            metrics: &metrics,
        };
        let state = StatePort::start(&document.state, &document.policy, opened, state_parts);
        let seal = open_seal(&folder)?;
        let budgets = Arc::new(ModelBudgets::default());
        let needs = Needs {
            egress: egress.clone(),
            targets: targets.clone(),
            key_rings: Arc::new(KeyRings::default()),
            services: services.clone(),
            ids,
            estimator: Arc::new(Estimator::default()),
            embedders: Arc::new(Embedders::new(load_encoder(folder.clone()))),
            budgets: budgets.clone(),
            seal: Arc::new(seal),
        };
        let (access, caller_keys) = open_access(shared, address, &folder, &journal).map_err(StartError::Keys)?;
        supervisor.spawn(Kind::Upkeep, caller_keys.keep_current());
        let tls = shared.tls.as_ref().map(read_certificate).transpose()?.map(|read| Arc::new(Tls::new(read)));
        let exporting = Exporting::new(services, egress.clone(), roots.clone(), supervisor.clone());
        exporting.apply(&shared.telemetry).map_err(StartError::Telemetry)?;
        let priors = Priors::start(egress.clone(), roots.clone(), &supervisor, clock.clone(), targets.clone());
        let priors = Arc::new(priors);
        priors.follow(priors.plan(shared, &document.models).map_err(StartError::Prometheus)?);
        spent::restore_models(&budgets, None, &document.models, &journal.spend())
            .map_err(|error| StartError::Keys(KeysError::Spent(error)))?;
        let models =
            ModelsDoor::new(shared, &document.models, &document.policy, needs, roots).map_err(StartError::Provider)?;
        outward.restore_models(&document.models, &models);
        outward.follow(&document.models, &models);
        let embedding = models.clone();
        supervisor.spawn(Kind::Upkeep, async move { embedding.keep_embedded(&|line| say::note(line)).await });

        let parts = Parts {
            supervisor: &supervisor,
            journal: &journal,
            clock: &clock,
            models: &models,
            metrics: &metrics,
            access: &access,
            exporting: &exporting,
            priors: &priors,
            outward: &outward,
        };
        let control = ControlDoor::new(controls(&parts));
        let size = |bytes: tradewind_policy::ByteSize| usize::try_from(bytes.0).unwrap_or(usize::MAX);
        let front_limits = FrontLimits {
            headers: size(shared.limits.request_headers),
            calls: shared.limits.concurrent_calls as usize,
        };
        // The control door takes all of `/api/v1/` that the state door leaves.
        let doors: Vec<Arc<dyn Door>> = vec![
            Arc::new(models.clone()),
            Arc::new(modules.clone()),
            Arc::new(state.door().clone()),
            Arc::new(control),
        ];
        let front = Arc::new(Front::new(doors, access.clone(), clock.clone(), front_limits));
        supervisor.spawn(Kind::Upkeep, unauthorized::keep_telling(front.clone()));
        let server_limits = ServerLimits {
            connections: shared.limits.connections as usize,
            // Room to read heads that are over the limit, so that they can be refused in words.
            buffer: size(shared.limits.request_headers).saturating_mul(4).max(64 * 1024),
            head: shared.limits.header_time.get(),
            write_stall: shared.limits.write_stall.get(),
        };
        let serving = Serving {
            access: access.clone(),
            clock: clock.clone(),
            tls: tls.clone(),
            supervisor: supervisor.clone(),
            front: front_limits,
            server: server_limits,
        };
        modules::gauges(&metrics, &modules);
        let modules = ModulesPort::new(modules, serving);
        gauges(&parts, &[&front, modules.front()]);
        modules.put_in_place(modules.prepare(document.modules.as_ref(), &document.policy)?);
        supervisor.spawn(Kind::Upkeep, serve(listener, tls.clone(), front, supervisor.clone(), server_limits));

        let upkeep_models = models.clone();
        supervisor.spawn(Kind::Upkeep, async move {
            loop {
                tokio::time::sleep(UPKEEP_EVERY).await;
                egress.sweep();
                upkeep_models.eject_outliers();
                upkeep_models.sweep_answers();
                targets.forget_unused();
            }
        });
        outward.serve(outward.open(shared)?, shared, &document.policy);
        let document = Arc::new(Mutex::new(document));
        let reloaded = Arc::new(Notify::new());
        Ok(Self {
            address,
            journal_folder: folder,
            journal_notice,
            supervisor,
            workers,
            journal,
            models,
            access,
            tls,
            exporting,
            priors,
            outward,
            modules,
            state,
            document,
            reloaded,
        })
    }

    /// Puts another document in place. Calls in flight finish on the one that they started with.
    ///
    /// # Errors
    /// When a provider, a key, the certificate or the collector of it cannot be used; then the old document stays.
    pub fn reload(&self, next: Document) -> Result<Vec<Change>, StartError> {
        // Held over the swap: discovery puts the document of this lock in place again.
        let mut document = self.document.lock();
        // What can fail comes before what changes anything: a key that ended could not be brought back to life for the
        // streams that run with it.
        let shared = &next.shared;
        let keys = self.access.check_document(&shared.keys);
        let keys = keys.map_err(|conflict| StartError::Keys(KeysError::Document(conflict)))?;
        let shown = self.tls.as_ref().zip(shared.tls.as_ref());
        let shown = shown.map(|(tls, paths)| read_certificate(paths).map(|read| (tls, read))).transpose()?;
        let exports = self.exporting.prepare(&shared.telemetry).map_err(StartError::Telemetry)?;
        let asked = self.priors.plan(shared, &next.models).map_err(StartError::Prometheus)?;
        let outward = self.outward.prepare(shared)?;
        let modules = self.modules.prepare(next.modules.as_ref(), &next.policy)?;
        let budgets = &self.models.needs().budgets;
        spent::restore_models(budgets, Some(&document.models), &next.models, &self.journal.spend())
            .map_err(|error| StartError::Keys(KeysError::Spent(error)))?;
        self.models.reload(shared, &next.models, &next.policy).map_err(StartError::Provider)?;
        self.outward.put_in_place(outward, shared, &next.policy);
        self.modules.put_in_place(modules);
        self.outward.follow(&next.models, &self.models);
        if let Some((tls, certificate)) = shown {
            tls.show(certificate);
        }
        self.exporting.put_in_place(exports);
        keys.put_in_place();
        // Behind the keys: it ends the watches that were opened by those before.
        self.state.put_in_place(&next.state, &next.policy);
        self.access.set_context(&shared.context);
        self.priors.follow(asked);
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
                let (models, document) = (models.clone(), document.clone());
                // Not on a thread that accepts callers: it waits while another document is put in place.
                let again = tokio::task::spawn_blocking(move || {
                    let present = document.lock();
                    // The same document again: only what was discovered is new.
                    let _ = models.reload(&present.shared, &present.models, &present.policy);
                });
                let _ = again.await; // it fails when the process ends
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

    /// Who may call.
    #[must_use]
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Where callers of the relay come in, with what each port takes.
    #[must_use]
    pub fn relay_ports(&self) -> Vec<(&'static str, SocketAddr)> {
        self.outward.addresses()
    }

    /// Where the controller API listens.
    #[must_use]
    pub fn controller_address(&self) -> Option<SocketAddr> {
        self.outward.dashboards().address()
    }

    /// Where the modules door listens beside `/go/` on the gateway's own address.
    #[must_use]
    pub fn modules_address(&self) -> Option<SocketAddr> {
        self.modules.address()
    }

    /// Documents that are asked for through the controller API; once, for whoever puts them in place.
    #[must_use]
    pub fn asked_documents(&self) -> Option<tokio::sync::mpsc::Receiver<AskedDocument>> {
        self.outward.dashboards().asked()
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
        drop(self.workers);
        self.outward.write_kept().await;
        self.state.close().await;
        let (journal, exporting) = (self.journal, self.exporting);
        let unwritten = tokio::task::spawn_blocking(move || {
            exporting.close();
            journal.flush(LAST_WRITE);
            journal.stats().queued
        });
        (dropped, unwritten.await.unwrap_or_default())
    }
}

/// The keys of the document and of the data directory, with what they have spent; and the task that follows the file.
fn open_access(
    shared: &Shared,
    address: SocketAddr,
    folder: &Path,
    journal: &Journal,
) -> Result<(Arc<Access>, CallerKeys), KeysError> {
    let reach = if address.ip().is_loopback() { Reach::Loopback } else { Reach::Network };
    let access = Arc::new(Access::new(reach));
    access.set_document(&shared.keys).map_err(KeysError::Document)?;
    access.set_context(&shared.context);
    let caller_keys = CallerKeys::load(folder, access.clone()).map_err(KeysError::Created)?;
    spent::restore_keys(&access, &journal.spend()).map_err(KeysError::Spent)?;
    Ok((access, caller_keys))
}

fn open_seal(folder: &Path) -> Result<Seal, StartError> {
    let path = folder.join(SEAL_FILE);
    let secret = Seal::fresh_secret().and_then(|fresh| read_or_make_secret(&path, &fresh));
    secret.map(|secret| Seal::new(&secret)).map_err(|error| StartError::Seal(path, error))
}

/// Reads the encoder of this data directory, when a document asks for it.
fn load_encoder(folder: PathBuf) -> LoadEncoder {
    Box::new(move || installed(&folder).map_err(|error| error.to_string()))
}

fn read_certificate(paths: &TlsFiles) -> Result<Certificate, StartError> {
    Certificate::read(&files::expand_home(&paths.cert), &files::expand_home(&paths.key)).map_err(StartError::Tls)
}

#[cfg(test)]
mod tests;
