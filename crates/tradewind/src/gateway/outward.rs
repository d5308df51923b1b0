//! The ways out of a gateway and who comes in for them: relay ports, the controller, the sampler of the network.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tradewind_core::{Clock, DecisionIds};
use tradewind_door_models::{Models, ModelsDoor};
use tradewind_door_relay::{Needs as RelayNeeds, Relay};
use tradewind_egress::{Egress, Roots, Spawner};
use tradewind_host::network::system;
use tradewind_policy::Shared;
use tradewind_runtime::{Kind, Supervisor};
use tradewind_telemetry::Sinks;
use tradewind_ways::{Kept, Needs, Prepared, Ways};

use super::StartError;
use super::address::NextAddress;
use super::dashboards::Dashboards;
use super::following::{followed_name, followers};
use super::ports::{NextPorts, RelayPorts};
use crate::processes::find_process;
use crate::remembered::Remembered;
use crate::sampling::keep_sampling;
use crate::say;

/// What the ways out are made with.
pub(super) struct Parts<'a> {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) egress: Arc<Egress>,
    pub(super) supervisor: &'a Supervisor,
    pub(super) spawner: Spawner,
    pub(super) roots: Roots,
    /// The data directory.
    pub(super) folder: PathBuf,
    /// What relative paths of the document are relative to.
    pub(super) base: PathBuf,
    pub(super) sinks: Arc<Sinks>,
    pub(super) ids: Arc<DecisionIds>,
    /// What is remembered of the run before, and where it is written.
    pub(super) kept: Kept,
    pub(super) remembered: Remembered,
}

/// The ways out, and who comes in for them.
pub(super) struct Outward {
    ways: Ways,
    remembered: Arc<Remembered>,
    ports: Arc<RelayPorts>,
    dashboards: Dashboards,
}

/// Another document, ready to be put in place.
pub(super) struct Next {
    ways: Prepared,
    listening: Listening,
}

/// What is opened for a document before anything else changes.
pub(super) struct Listening {
    ports: NextPorts,
    controller: NextAddress,
}

impl Outward {
    /// Makes the ways out of a document.
    pub(super) fn start(shared: &Shared, policy: &str, parts: Parts<'_>) -> Result<Self, StartError> {
        let Parts { clock, egress, supervisor, spawner, roots, folder, base, sinks, ids, kept, remembered } = parts;
        let needs = Needs { clock, egress, supervisor: supervisor.clone(), roots, folder, base: base.clone() };
        let (ways, notes) = Ways::start(shared.ways.clone(), needs, kept).map_err(StartError::Ways)?;
        notes.iter().for_each(|note| say::note(format_args!("  note: {note}")));
        ways.keep_up();
        let remembered = Arc::new(remembered);
        supervisor.spawn(Kind::Upkeep, remembered.clone().keep_written(ways.clone()));
        match system() {
            Ok(sampler) => supervisor.spawn(Kind::Upkeep, keep_sampling(sampler.into(), ways.clone())),
            Err(error) if ways.has_networks() => say::note(format_args!("  note: networks: {error}")),
            Err(_) => {}
        }
        let find_process = Arc::new(find_process);
        let relay = Relay::new(
            &shared.ways.inbound,
            policy,
            RelayNeeds { ways: ways.clone(), sinks, ids, spawner, find_process },
        );
        let ports = RelayPorts::new(Arc::new(relay), supervisor.clone(), &shared.ways.inbound, policy);
        let ports = Arc::new(ports);
        let dashboards = Dashboards::new(shared, ways.clone(), ports.clone(), base, supervisor.clone());
        Ok(Self { ways, remembered, ports, dashboards })
    }

    /// The ways out.
    pub(super) const fn ways(&self) -> &Ways {
        &self.ways
    }

    /// Opens what a document wants to listen on and is not open. Nothing is closed yet.
    pub(super) fn open(&self, shared: &Shared) -> Result<Listening, StartError> {
        let controller = self.dashboards.prepare(shared)?;
        Ok(Listening { ports: self.ports.prepare(&shared.ways.inbound)?, controller })
    }

    /// Serves what was opened, and closes what is not wanted any more.
    pub(super) fn serve(&self, listening: Listening, shared: &Shared, policy: &str) {
        let Listening { ports, controller } = listening;
        if let Err(error) = self.ports.put_in_place(ports, &shared.ways.inbound, Some(policy)) {
            say::note(error);
        }
        self.dashboards.put_in_place(controller, shared);
    }

    /// Where callers of the relay come in, in the order of the document.
    pub(super) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.ports.addresses()
    }

    /// Where the controller listens, and the documents that are asked for through it.
    pub(super) const fn dashboards(&self) -> &Dashboards {
        &self.dashboards
    }

    /// Makes everything of another document that could fail.
    pub(super) fn prepare(&self, shared: &Shared) -> Result<Next, StartError> {
        let listening = self.open(shared)?;
        let ways = self.ways.prepare(shared.ways.clone()).map_err(StartError::Ways)?;
        Ok(Next { ways, listening })
    }

    /// Puts another document in place.
    pub(super) fn put_in_place(&self, next: Next, shared: &Shared, policy: &str) {
        let notes = self.ways.put_in_place(next.ways);
        notes.iter().for_each(|note| say::note(format_args!("  note: {note}")));
        self.serve(next.listening, shared, policy);
    }

    /// Lets the model groups follow the network that have a policy for it.
    pub(super) fn follow(&self, models: &Models, door: &ModelsDoor) {
        self.ways.follow_with(followers(models, door));
    }

    /// Selects what was selected in the run before, in the groups of models whose policy does not see to it.
    pub(super) fn restore_models(&self, models: &Models, door: &ModelsDoor) {
        for entry in models.entries.iter().filter(|entry| entry.network_policy.is_none()) {
            let name = entry.name.value.to_string();
            if let Some(member) = self.ways.selected_model(&followed_name(&name)) {
                // One that is gone leaves the first one selected.
                let _ = door.select(&name, &member);
            }
        }
    }

    /// Writes what is remembered over a restart.
    pub(super) async fn write_kept(&self) {
        if let Err(error) = self.remembered.write(self.ways.kept()).await {
            say::note(format_args!("what was selected could not be written: {error}"));
        }
    }
}
