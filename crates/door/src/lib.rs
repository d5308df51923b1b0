//! What every door implements, and what they share: the server, the checks before any door, reading of request bodies,
//! and the shape of a refusal. No protocol is known here; each door renders its own errors.

mod body;
mod door;
mod front;
mod head_timer;
mod local;
mod read;
mod refusal;
mod server;
mod stall;
mod tally;
mod tls;

pub use body::{Body, Response, json_response, text_response};
pub use door::{Door, Request, Unread};
pub use front::{Front, FrontLimits};
pub use read::{BodyLimits, discard, read_body};
pub use refusal::Refusal;
pub use server::{ServerLimits, serve};
pub use stall::StallGuard;
pub use tally::{Unauthorized, Why};
pub use tls::{Certificate, Tls, TlsError};
