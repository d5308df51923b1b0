//! The relay door: HTTP, CONNECT, SOCKS5 and SOCKS4a on one port.
//!
//! A [`Port`] accepts callers and tells their protocols apart by the first byte; [`Relay`] is what the protocols share: which
//! way a call takes, whether it may be gone, and its record. Bytes are passed by `tunnel.rs`, requests in the absolute form by
//! `forward.rs`.

mod answer;
mod datagrams;
mod detect;
mod forward;
mod http;
mod listen;
mod outline;
mod pipe;
mod relay;
mod socks4;
mod socks5;
#[cfg(test)]
mod tests;
mod tunnel;
mod user;

pub use detect::Takes;
pub use listen::{MOST_CONNECTIONS, Port, wanted};
#[doc(hidden)]
pub use outline::{GreetingOutline, outline_greeting};
pub use relay::{Needs, Relay};
