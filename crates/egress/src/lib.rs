//! The one way out. Every door reaches its targets through a [`Route`]: an origin, the way to it, and the pool of
//! connections along that way. The way is none, or the name of a proxy or group, which a [`Chooser`] turns into an
//! [`Outbound`] each time that it is used.
//!
//! An HTTP/1.1 connection belongs to whoever sent the last request on it, until the answer is read (`http1`): a call needs
//! no wake-up of another task, dropping the answer cancels the upstream at once, and an answer that waits holds no buffer.
//! HTTP/2 connections are hyper's, are shared between calls, and therefore are tasks.

mod auth;
mod body;
mod classify;
mod connect;
mod datagrams;
mod destination;
mod dialing;
mod http1;
mod origin;
mod outbound;
mod pac;
mod resolve;
mod route;
mod spawn;
mod stream;
mod system;
mod tls;

#[doc(hidden)]
pub use auth::outline_challenge;
pub use body::AnswerBody;
pub use connect::secure;
pub use datagrams::Datagrams;
pub use destination::{Destination, Host};
pub use dialing::{Chooser, Chosen, Dialing, DirectOnly, Forbid};
#[doc(hidden)]
pub use http1::{ResponseOutline, outline_response};
pub use origin::{Http2, Origin, ParseOriginError};
#[doc(hidden)]
pub use outbound::{ConnectOutline, SocksOutline, StreamOutline, outline_connect, outline_socks, outline_stream};
pub use outbound::{Explained, HttpHop, Outbound, OutboundError, ProxyHeaders, SecretError};
pub use pac::{PacStep, parse_answer};
pub use resolve::Resolver;
pub use route::{Answer, Egress, EgressSettings, RequestBody, Route, Shards, Taken};
pub use spawn::Spawner;
pub use stream::{Io, Stream};
pub use tls::{Roots, RootsError};
