//! Where the answers of a checksum database come from.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use thiserror::Error;

/// Asks a checksum database, through a proxy for modules or at its own address.
pub trait Source: Send + Sync {
    /// The body of the answer to a GET of `path` below the database's base: `/lookup/…`, `/tile/…` or `/latest`. The path is
    /// escaped as the protocol wants it and may hold `!`. Bodies are bounded by the implementation; nothing that is longer than
    /// [`MAX_ANSWER`](super::MAX_ANSWER) is of any use here.
    fn get<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Bytes, SourceError>>;
}

/// Why there is no answer. Each carries the text that the user sees, with address and status as far as there are any.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SourceError {
    /// 404 or 410: the database answers, and has no such thing.
    #[error("{0}")]
    NotThere(String),
    /// No answer at all, another status, or more than the bound.
    #[error("{0}")]
    Unreachable(String),
}
