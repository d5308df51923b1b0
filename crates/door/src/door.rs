//! The contract of a door.

use std::future::Future;
use std::pin::Pin;

use http::request;
use tradewind_access::Grant;
use tradewind_core::Moment;
use tradewind_runtime::Caller;

use crate::{Refusal, Response};

/// The body of a request, as the server hands it over.
pub type Unread = hyper::body::Incoming;

/// A request that has passed the checks common to all doors.
pub struct Request {
    /// Method, path and headers.
    pub head: request::Parts,
    /// The body.
    pub body: Unread,
    /// When its head had been read.
    pub arrived: Moment,
    /// The connection that it came on.
    pub caller: Caller,
    /// Who calls, from where as far as that is known, and what they may use. Each door asks it about the resource that is called.
    pub grant: Grant,
}

/// A protocol that Tradewind serves.
pub trait Door: Send + Sync + 'static {
    /// Whether `path` belongs to this door.
    fn serves(&self, path: &str) -> bool;

    /// Answers a request. Never fails: an error is a response in the door's own dialect.
    fn call(&self, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>>;

    /// Puts a refusal into the door's own dialect, as far as `head` tells which one that is.
    fn refuse(&self, head: &request::Parts, refusal: &Refusal) -> Response;
}
