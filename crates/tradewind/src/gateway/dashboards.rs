//! The controller API on its address, and what it moves of the gateway.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tradewind_door_control::{Controller, ControllerNeeds, ControllerSettings, NewDocument, serve_controller};
use tradewind_policy::Shared;
use tradewind_policy::ways::Cors;
use tradewind_runtime::{Supervisor, files};
use tradewind_ways::Ways;

use super::StartError;
use super::address::{NextAddress, OwnAddress};
use super::ports::RelayPorts;

/// Documents that may wait to be put in place.
const MOST_ASKED: usize = 4;

/// Somebody asks for another document, through the controller. Dropping it says that it cannot be had.
pub struct AskedDocument {
    /// Which one.
    pub document: NewDocument,
    answer: oneshot::Sender<Result<(), String>>,
}

impl AskedDocument {
    /// Says what came of it: the problems of the document, when it was not put in place.
    pub fn answer(self, outcome: Result<(), String>) {
        let _ = self.answer.send(outcome); // whoever asked may have gone
    }
}

/// The controller API.
pub(super) struct Dashboards {
    controller: Controller,
    supervisor: Supervisor,
    base: PathBuf,
    address: OwnAddress,
    asked: Mutex<Option<mpsc::Receiver<AskedDocument>>>,
}

impl Dashboards {
    /// A controller that listens nowhere yet. `base` is the directory of the configuration.
    pub(super) fn new(
        shared: &Shared,
        ways: Ways,
        ports: Arc<RelayPorts>,
        base: PathBuf,
        supervisor: Supervisor,
    ) -> Self {
        let (ask, asked) = mpsc::channel(MOST_ASKED);
        let needs = ControllerNeeds {
            ways,
            home: base.clone(),
            inbound: {
                let ports = ports.clone();
                Box::new(move || ports.inbound())
            },
            set_inbound: Box::new(move |inbound| ports.set(&inbound).map_err(|error| error.to_string())),
            reload: Box::new(move |document| {
                let nobody = || "this gateway does not take documents".to_owned();
                let (answer, answered) = oneshot::channel();
                ask.blocking_send(AskedDocument { document, answer }).map_err(|_| nobody())?;
                answered.blocking_recv().unwrap_or_else(|_| Err(nobody()))
            }),
        };
        let controller = Controller::new(needs, settings(shared, &base));
        let address = OwnAddress::new("external-controller", supervisor.clone());
        Self { controller, supervisor, base, address, asked: Mutex::new(Some(asked)) }
    }

    /// Documents that are asked for; once, for whoever puts them in place.
    pub(super) fn asked(&self) -> Option<mpsc::Receiver<AskedDocument>> {
        self.asked.lock().take()
    }

    /// Opens the address of a document, when it is another one. Nothing is closed yet.
    pub(super) fn prepare(&self, shared: &Shared) -> Result<NextAddress, StartError> {
        self.address.prepare(shared.ways.controller.as_ref().map(|controller| controller.address))
    }

    /// Goes on with another document.
    pub(super) fn put_in_place(&self, next: NextAddress, shared: &Shared) {
        self.controller.set(settings(shared, &self.base));
        self.address.put_in_place(next, |listener| {
            serve_controller(listener, self.controller.clone(), self.supervisor.clone())
        });
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address.address()
    }
}

/// What of the controller comes from the document.
fn settings(shared: &Shared, base: &Path) -> ControllerSettings {
    let Some(controller) = &shared.ways.controller else {
        return ControllerSettings { secret: None, cors: Cors::default(), ui: None };
    };
    let ui = controller.ui.as_ref().map(|ui| base.join(files::expand_home(ui)));
    ControllerSettings { secret: controller.secret.clone(), cors: controller.cors.clone(), ui }
}
