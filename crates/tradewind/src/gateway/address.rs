//! An address of its own that a part of the gateway may have: opened before anything changes, closed when it is not wanted any
//! more.

use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tradewind_runtime::{Kind, Supervisor};

use super::StartError;

/// The address, if there is one.
pub(super) struct OwnAddress {
    /// The key of the document that names it.
    key: &'static str,
    supervisor: Supervisor,
    open: Mutex<Option<Open>>,
}

/// Where it listens. Dropping it ends what serves it.
struct Open {
    wanted: SocketAddr,
    address: SocketAddr,
    #[expect(dead_code, reason = "it is open for as long as this is held")]
    held: watch::Sender<()>,
}

/// Where it is to listen, opened already when that is another address than the present one.
pub(super) struct NextAddress {
    fresh: Option<TcpListener>,
    wanted: Option<SocketAddr>,
}

impl OwnAddress {
    /// It listens nowhere yet.
    pub(super) fn new(key: &'static str, supervisor: Supervisor) -> Self {
        Self { key, supervisor, open: Mutex::default() }
    }

    /// Opens the address of a document, when it is another one. Nothing is closed yet.
    pub(super) fn prepare(&self, wanted: Option<SocketAddr>) -> Result<NextAddress, StartError> {
        let is_open = self.address_wanted() == wanted;
        let fresh = wanted.filter(|_| !is_open).map(|at| listen(self.key, at)).transpose()?;
        Ok(NextAddress { fresh, wanted })
    }

    /// Goes on with that address. What `serve` makes of a fresh one is dropped when the address is not wanted any more.
    pub(super) fn put_in_place<F>(&self, next: NextAddress, serve: impl FnOnce(TcpListener) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut open = self.open.lock();
        if let Some((listener, wanted)) = next.fresh.zip(next.wanted) {
            let address = listener.local_addr().unwrap_or(wanted);
            let (held, mut closed) = watch::channel(());
            *open = Some(Open { wanted, address, held });
            let serving = serve(listener);
            self.supervisor.spawn(Kind::Upkeep, async move {
                tokio::select! {
                    () = serving => {}
                    _ = closed.changed() => {}
                }
            });
        }
        if next.wanted.is_none() {
            *open = None;
        }
    }

    fn address_wanted(&self) -> Option<SocketAddr> {
        self.open.lock().as_ref().map(|open| open.wanted)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.open.lock().as_ref().map(|open| open.address)
    }
}

/// Opens an address.
fn listen(key: &'static str, at: SocketAddr) -> Result<TcpListener, StartError> {
    let bind = || {
        let bound = match std::net::TcpListener::bind(at) {
            // A machine without IPv6.
            Err(_) if at.ip() == Ipv6Addr::UNSPECIFIED => {
                std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, at.port())))?
            }
            bound => bound?,
        };
        bound.set_nonblocking(true)?;
        TcpListener::from_std(bound)
    };
    bind().map_err(|error| StartError::Listen(key, at, error))
}
