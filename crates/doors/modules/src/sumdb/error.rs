//! Why a checksum database does not vouch for a module.

use std::sync::Arc;

use thiserror::Error;

/// Why there are no hashes.
///
/// A mount with `verify: when-possible` may go on after [`NotThere`](Self::NotThere) and [`Unreachable`](Self::Unreachable),
/// and after no other one: whoever can garble an answer could otherwise switch verification off.
#[derive(Clone, Debug, Error)]
pub enum SumdbError {
    /// The database answers, and has no record of this version: 404 or 410.
    #[error("{0}")]
    NotThere(String),
    /// The database, or a tile that is needed, cannot be had at the moment.
    #[error("{0}")]
    Unreachable(String),
    /// What came is no answer of a checksum database, for example the page of a captive portal. Its text shows what came.
    #[error("{}", .0.summary)]
    Garbled(Arc<Misbehaviour>),
    /// What came is not to be believed. The evidence is kept.
    #[error("{}", .0.summary)]
    Misbehaved(Arc<Misbehaviour>),
    /// The last tree head could not be read or kept, so that nothing can be compared with it.
    #[error("{0}")]
    Kept(String),
}

/// What a checksum database, or somebody in between, did wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Misbehaviour {
    /// On one line, with module and version in front.
    pub summary: String,
    /// As the go command tells it behind `go: MODULE@VERSION: `, on several lines, with whatever there is of proof. The
    /// evidence starts with the same text.
    pub text: String,
    /// Whether the database itself signed two trees that exclude each other: the text then proves it to anybody.
    pub is_fork: bool,
}

impl Misbehaviour {
    /// What a client is told: the summary first, since the go command shows no more than comes before an empty line, and the
    /// rest where it says more.
    #[must_use]
    pub fn told(&self) -> String {
        let (summary, text) = (&self.summary, &self.text);
        if text.contains(&**summary) { text.clone() } else { format!("verifying {summary}\n{text}") }
    }
}

impl SumdbError {
    /// What was done wrong, if anything was.
    #[must_use]
    pub fn misbehaviour(&self) -> Option<&Misbehaviour> {
        match self {
            Self::Misbehaved(misbehaviour) => Some(misbehaviour),
            _ => None,
        }
    }
}
