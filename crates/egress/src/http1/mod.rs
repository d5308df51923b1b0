//! HTTP/1.1 towards a server (RFC 9112): one request at a time on a connection that belongs to whoever sent it.
//!
//! Written by hand over `httparse` because hyper's client holds about 33 KiB for each open answer (a write buffer, a read
//! buffer and a channel to the connection's task) and passes each chunk through that channel. Here an idle answer holds no
//! buffer at all, and the reader decodes straight from the socket. Not supported, because nobody here needs it: upgrades,
//! pipelining, request bodies of unknown length.

mod connection;
mod framing;
mod head;
mod outline;

pub(crate) use connection::{Broken, Connection, Received, Tag};
pub(crate) use framing::Framing;
pub(crate) use head::{framing, is_kept, parse};
pub use outline::{ResponseOutline, outline_response};
