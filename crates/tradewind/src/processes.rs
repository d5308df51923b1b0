//! Finds the process of this machine that a call of the relay comes from.

use std::net::SocketAddr;
use std::sync::Arc;

use tradewind_decide::rules::Meta;
use tradewind_host::{Protocol, owner};
use tradewind_policy::ways::Transport;
use tradewind_ways::FoundProcess;

/// The process that owns the caller's socket; `None` when it is on another machine, or nobody can say.
pub(crate) fn find_process(meta: &Meta) -> Option<FoundProcess> {
    let protocol = match meta.network {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
    };
    let owner = owner(protocol, SocketAddr::new(meta.source, meta.source_port))?;
    let path = owner.path.map(|path| path.display().to_string()).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default().into();
    Some(FoundProcess { name, path: Arc::from(path), uid: owner.uid })
}
