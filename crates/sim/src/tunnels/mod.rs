//! Load for proxies that pass connections on: the far end that they lead to, and callers that open tunnels to it.
//!
//! `far` is the server behind the proxy, `caller` asks a proxy for a tunnel, `drive` runs the loads. As with calls, everything
//! is on one thread: generator, proxy and far end share a few cores.

mod caller;
mod drive;
mod far;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub use caller::{By, TunnelError};
pub use drive::{Flow, Opens, Pings, flow, hold, opens, pings};
pub use far::FarEnd;

/// Which way to the far end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// How the proxy is asked; without one `proxy` is not used.
    pub by: By,
    /// The proxy.
    pub proxy: SocketAddr,
    /// The far end.
    pub far: SocketAddr,
    /// A name that the proxy is asked for in place of the far end's address; at most 255 bytes.
    pub name: Option<Arc<str>>,
    /// The caller's own address. mihomo takes a caller from the address and port of one of its own ways out for itself, and with
    /// thousands of both on 127.0.0.1 there are such.
    pub from: Option<IpAddr>,
}

/// How long one tunnel may take to open.
pub const OPENING: Duration = Duration::from_secs(10);

/// What the far end is to do with a connection: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// Send one byte back and close.
    Once = 1,
    /// Send back whatever comes.
    Echo = 2,
    /// Send as many bytes as the next eight say.
    Send = 3,
    /// Take as many bytes as the next eight say, then send one.
    Take = 4,
}

impl Wish {
    fn of(byte: u8) -> Option<Self> {
        [Self::Once, Self::Echo, Self::Send, Self::Take].into_iter().find(|wish| *wish as u8 == byte)
    }
}

/// Bytes that are written or read at once when many are to flow.
const PIECE: usize = 256 * 1024;
