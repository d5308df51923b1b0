//! The ports of the relay: opened before anything changes, closed when they are not wanted any more.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tradewind_door_relay::{Port, Relay, Takes, wanted};
use tradewind_policy::ways::Inbound;
use tradewind_runtime::{Kind, Supervisor};

use super::StartError;

/// How long a port that is closed may take until its address is free.
const FREED_WITHIN: Duration = Duration::from_secs(1);

/// The ports of the relay.
pub(super) struct RelayPorts {
    relay: Arc<Relay>,
    supervisor: Supervisor,
    open: Mutex<Vec<Open>>,
    /// What they are as, and the digest of the document.
    present: Mutex<(Inbound, String)>,
}

/// A port that is open. Dropping it closes the port; connections that came in through it go on.
struct Open {
    takes: Takes,
    wanted: SocketAddr,
    address: SocketAddr,
    held: watch::Sender<()>,
    /// Disconnected when the address is free again.
    gone: mpsc::Receiver<()>,
}

/// Ports that are not the present ones: those to open, and those that stay.
pub(super) struct NextPorts {
    fresh: Vec<(Port, SocketAddr)>,
    /// The same port number on another address: it can only be had when the present one is closed.
    instead: Vec<(Takes, SocketAddr)>,
    wanted: Vec<(Takes, SocketAddr)>,
}

impl RelayPorts {
    /// None is open yet.
    pub(super) fn new(relay: Arc<Relay>, supervisor: Supervisor, inbound: &Inbound, policy: &str) -> Self {
        let present = Mutex::new((inbound.clone(), policy.to_owned()));
        Self { relay, supervisor, open: Mutex::default(), present }
    }

    /// What the ports are as now.
    pub(super) fn inbound(&self) -> Inbound {
        self.present.lock().0.clone()
    }

    /// Opens the ports that are wanted and not open. Nothing is closed yet.
    pub(super) fn prepare(&self, inbound: &Inbound) -> Result<NextPorts, StartError> {
        let mut next = NextPorts { fresh: Vec::new(), instead: Vec::new(), wanted: wanted(inbound) };
        let open = self.open.lock();
        for (takes, at) in &next.wanted {
            if open.iter().any(|open| (open.takes, open.wanted) == (*takes, *at)) {
                continue;
            }
            let stays = |open: &Open| next.wanted.contains(&(open.takes, open.wanted));
            let in_the_way = open.iter().any(|open| open.address.port() == at.port() && !stays(open));
            match Port::open(*takes, *at) {
                Ok(port) => next.fresh.push((port, *at)),
                Err(error) if in_the_way && error.kind() == io::ErrorKind::AddrInUse => {
                    next.instead.push((*takes, *at));
                }
                Err(error) => return Err(StartError::Listen(takes.key(), *at, error)),
            }
        }
        Ok(next)
    }

    /// Serves the ports that were opened, and closes those that are not wanted any more. Where one could not be opened in place
    /// of a present one, the present one stays, and that is told.
    pub(super) fn put_in_place(
        &self,
        next: NextPorts,
        inbound: &Inbound,
        policy: Option<&str>,
    ) -> Result<(), StartError> {
        {
            let mut present = self.present.lock();
            present.0 = inbound.clone();
            if let Some(policy) = policy {
                policy.clone_into(&mut present.1);
            }
            self.relay.reload(inbound, &present.1);
        }
        let mut open = self.open.lock();
        let (stay, go): (Vec<Open>, Vec<Open>) =
            open.drain(..).partition(|open| next.wanted.contains(&(open.takes, open.wanted)));
        *open = stay;
        let mut before = Vec::new();
        for Open { takes, wanted, held, gone, .. } in go {
            drop(held);
            if !next.instead.is_empty() {
                let _ = gone.recv_timeout(FREED_WITHIN); // when it takes longer, opening fails and is told
                before.push((takes, wanted));
            }
        }
        let mut failed = Ok(());
        let mut fresh = next.fresh;
        for (takes, at) in next.instead {
            match Port::open(takes, at) {
                Ok(port) => fresh.push((port, at)),
                Err(error) => failed = Err(StartError::Listen(takes.key(), at, error)),
            }
        }
        if failed.is_err() {
            // Better the port of before than none.
            let again = before.into_iter().filter_map(|(takes, at)| Some((Port::open(takes, at).ok()?, at)));
            fresh.extend(again);
        }
        for (port, wanted) in fresh {
            let (held, mut closed) = watch::channel(());
            let (freed, gone) = mpsc::channel::<()>();
            open.push(Open { takes: port.takes, wanted, address: port.address, held, gone });
            let serving = port.serve(self.relay.clone(), self.supervisor.clone());
            self.supervisor.spawn(Kind::Upkeep, async move {
                {
                    let serving = serving;
                    tokio::select! {
                        () = serving => {}
                        _ = closed.changed() => {}
                    }
                }
                drop(freed);
            });
        }
        failed
    }

    /// Changes the ports until the next reload.
    pub(super) fn set(&self, inbound: &Inbound) -> Result<(), StartError> {
        let next = self.prepare(inbound)?;
        self.put_in_place(next, inbound, None)
    }

    /// Where callers of the relay come in, in the order of the document.
    pub(super) fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.open.lock().iter().map(|open| (open.takes.name(), open.address)).collect()
    }
}
