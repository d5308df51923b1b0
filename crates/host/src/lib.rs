//! Calls into the operating system: what the network looks like, which process owns a socket, Kerberos tickets, and how
//! SQLite writes its log. The only crate with `unsafe`.

pub mod gssapi;
pub mod network;
mod process;
pub mod sqlite;

pub use process::{Owner, Protocol, owner};
