//! The one way out. Every door reaches its targets through a [`Route`]: an origin, the way to it, and the pool of
//! connections along that way.
//!
//! An HTTP/1.1 connection belongs to whoever sent the last request on it, until the answer is read (`http1`): a call needs
//! no wake-up of another task, dropping the answer cancels the upstream at once, and an answer that waits holds no buffer.
//! HTTP/2 connections are hyper's, are shared between calls, and therefore are tasks.

mod body;
mod classify;
mod connect;
mod http1;
mod origin;
mod resolve;
mod route;
mod spawn;
mod tls;

pub use body::AnswerBody;
#[doc(hidden)]
pub use http1::{ResponseOutline, outline_response};
pub use origin::{Http2, Origin, ParseOriginError};
pub use route::{Answer, Egress, EgressSettings, RequestBody, Route, Shards};
pub use spawn::Spawner;
pub use tls::{Roots, RootsError};
