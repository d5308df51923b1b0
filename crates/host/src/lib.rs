//! Calls into the operating system: what the network looks like, which process owns a socket, Kerberos tickets. The only
//! crate with `unsafe`.

pub mod gssapi;
pub mod network;
mod process;

pub use process::{Owner, Protocol, owner};
