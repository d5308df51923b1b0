//! The modules door of a gateway: where its store lies, and the address of its own that it may have.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tradewind_access::Access;
use tradewind_core::{Clock, DecisionIds};
use tradewind_door::{Door, Front, FrontLimits, ServerLimits, Tls, serve};
use tradewind_door_modules::{Counted, Modules, ModulesDoor, Needs, Prepared};
use tradewind_egress::{Egress, Roots, Spawner};
use tradewind_runtime::{Kind, Supervisor};
use tradewind_telemetry::{Metrics, Sinks};
use tradewind_ways::Ways;

use super::StartError;
use super::address::{NextAddress, OwnAddress};
use super::unauthorized::keep_telling;
use crate::say;

/// The folder of the store, in the data directory.
const FOLDER: &str = "modules";

/// What the door is made with.
pub(super) struct Parts<'a> {
    pub(super) egress: Arc<Egress>,
    pub(super) roots: Roots,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) spawner: Spawner,
    pub(super) sinks: Arc<Sinks>,
    pub(super) ids: Arc<DecisionIds>,
    pub(super) ways: Ways,
    /// The data directory.
    pub(super) folder: &'a Path,
    pub(super) policy: &'a str,
}

/// What its address is served with.
pub(super) struct Serving {
    pub(super) access: Arc<Access>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) supervisor: Supervisor,
    pub(super) front: FrontLimits,
    pub(super) server: ServerLimits,
}

/// The modules door, and its address.
pub(super) struct ModulesPort {
    door: ModulesDoor,
    front: Arc<Front>,
    serving: Serving,
    /// Connections that came in through it go on when it is closed.
    address: OwnAddress,
    /// Whether what is stored has been counted, which is done once there is a store.
    is_settled: AtomicBool,
}

/// Another document, ready to be put in place.
pub(super) struct Next {
    prepared: Prepared,
    address: NextAddress,
}

/// Makes the door.
pub(super) fn door(modules: Option<&Modules>, parts: Parts<'_>) -> Result<ModulesDoor, StartError> {
    let Parts { egress, roots, clock, spawner, sinks, ids, ways, folder, policy } = parts;
    let network = Box::new(move || ways.network_name());
    let needs = Needs { egress, roots, clock, spawner, sinks, ids, folder: folder.join(FOLDER), network };
    ModulesDoor::new(modules, policy, needs).map_err(StartError::Modules)
}

impl ModulesPort {
    /// The address of the door, which is not open yet.
    pub(super) fn new(door: ModulesDoor, serving: Serving) -> Self {
        let doors: Vec<Arc<dyn Door>> = vec![Arc::new(door.at_root())];
        let front = Arc::new(Front::new(doors, serving.access.clone(), serving.clock.clone(), serving.front));
        serving.supervisor.spawn(Kind::Upkeep, keep_telling(front.clone()));
        let address = OwnAddress::new("modules.listen", serving.supervisor.clone());
        Self { door, front, serving, address, is_settled: AtomicBool::new(false) }
    }

    /// Counts what is stored and makes room, beside everything else, once.
    fn settle(&self) {
        if self.is_settled.swap(true, Ordering::Relaxed) {
            return;
        }
        let door = self.door.clone();
        self.serving.supervisor.spawn(Kind::Upkeep, async move {
            let settled = tokio::task::spawn_blocking(move || door.settle()).await;
            if let Ok(Some(flaw)) = settled {
                say::note(flaw);
            }
        });
    }

    /// Makes everything of another document that could fail, its address among it. Nothing is closed yet.
    pub(super) fn prepare(&self, modules: Option<&Modules>, policy: &str) -> Result<Next, StartError> {
        let prepared = self.door.prepare(modules, policy).map_err(StartError::Modules)?;
        let address = self.address.prepare(modules.and_then(|modules| modules.listen))?;
        Ok(Next { prepared, address })
    }

    /// Goes on with another document.
    pub(super) fn put_in_place(&self, next: Next) {
        let has_store = next.prepared.has_section();
        self.door.put_in_place(next.prepared);
        if has_store {
            self.settle();
        }
        let Serving { tls, supervisor, server, .. } = &self.serving;
        self.address.put_in_place(next.address, |listener| {
            serve(listener, tls.clone(), self.front.clone(), supervisor.clone(), *server)
        });
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address.address()
    }

    /// Calls that are being answered there.
    pub(super) fn front(&self) -> &Arc<Front> {
        &self.front
    }
}

/// Adds what the door counts beside calls to the metrics, which hold no door.
pub(super) fn gauges(metrics: &Metrics, door: &ModulesDoor) {
    let count = |of: fn(Counted) -> u64| {
        let door = door.weak();
        move || door().map_or(0, |door: ModulesDoor| of(door.counted()))
    };
    let under_way = count(|counted| counted.under_way);
    metrics.gauge(
        "tradewind_module_fetches_under_way",
        "Fetches from upstreams of modules that are under way",
        move || i64::try_from(under_way()).unwrap_or(i64::MAX),
    );
    let help = "Zips of modules that came from an upstream, were checked and stored";
    metrics.counter("tradewind_module_zips_fetched", help, count(|counted| counted.zips));
    let help = "Bytes of zips of modules that came from an upstream";
    metrics.counter("tradewind_module_bytes_fetched", help, count(|counted| counted.bytes));
    let help = "Versions of modules that were refused because what came was not what it had to be";
    metrics.counter("tradewind_module_versions_refused", help, count(|counted| counted.unverified));
}

#[cfg(test)]
mod tests;
