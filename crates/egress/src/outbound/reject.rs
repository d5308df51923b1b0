//! Ways that let nothing through.

use std::time::Duration;

use tokio::sync::Semaphore;
use tradewind_core::{Fault, FaultKind};

use crate::Destination;
use crate::dialing::Way;

/// The longest that a connection is held before it is refused; the caller's own limit may be shorter.
const HELD: Duration = Duration::from_secs(30);
/// Connections that are held at once in this process; further ones are refused at once.
const HELD_AT_ONCE: usize = 1024;

static PLACES: Semaphore = Semaphore::const_new(HELD_AT_ONCE);

/// `REJECT`.
pub(super) fn refused(name: &str, to: &Destination) -> Fault {
    Fault::new(FaultKind::WayRejected, format!("{to} is refused: the way out is `{name}`")).before_sending()
}

/// `REJECT-DROP`: says nothing for a while, so that whoever tries again at once is slowed down.
pub(super) async fn held(name: &str, to: &Destination, way: Way<'_>) -> Fault {
    way.progress.at(FaultKind::WayRejected, None, "the way out holds everything and then refuses it: nothing came");
    if let Ok(_place) = PLACES.try_acquire() {
        tokio::time::sleep(HELD).await;
    }
    refused(name, to)
}

/// No datagrams this way.
pub(super) fn no_datagrams(name: &str, why: &str) -> Fault {
    let detail = format!("no datagrams go through `{name}`: {why}");
    Fault::new(FaultKind::WayRejected, detail).before_sending()
}
