//! What varies: the trait that an engine fills in, and the words between it and [`State`](crate::State).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, TryFutureExt as _};
use serde::Serialize;
use tradewind_core::UnixMillis;

use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Hash, Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::told::Changes;

/// What the head of a key has to be for a commit to happen. Tombstones are heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The key has no revision at all.
    Absent,
    /// The head has this number, whatever it is.
    At(Rev),
    /// The head has this number and this chain. A key that was forgotten and written anew, and a server that lost its latest
    /// writes, have the number with another chain: what was read before then is no ground to write on.
    Is(Rev, Hash),
}

impl Expected {
    /// Exactly this head, or that there is none.
    #[must_use]
    pub fn head(head: Option<&Meta>) -> Self {
        head.map_or(Self::Absent, |head| Self::Is(head.rev, head.chain))
    }

    /// Its number, if there has to be one.
    #[must_use]
    pub fn rev(self) -> Option<Rev> {
        match self {
            Self::Absent => None,
            Self::At(rev) | Self::Is(rev, _) => Some(rev),
        }
    }

    /// Whether this head, or none, is the expected one.
    #[must_use]
    pub fn holds(self, head: Option<&Meta>) -> bool {
        match self {
            Self::Absent => head.is_none(),
            Self::At(rev) => head.is_some_and(|head| head.rev == rev),
            Self::Is(rev, chain) => head.is_some_and(|head| head.rev == rev && head.chain == chain),
        }
    }
}

/// One new revision. All of it happens, or none.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Of what.
    pub key: Key,
    /// What the head has to be.
    pub expected: Expected,
    /// The new head; its number is greater than the expected one's. Never [`Body::Delta`](crate::Body::Delta), save when a
    /// history is copied from another engine.
    pub record: Record,
    /// The parent again, made small by building on the new head: its body takes the place of the kept one, and nothing else
    /// of the parent changes; neither of the two is made of pieces. An engine that cannot rewrite ([`Facts::rewrites`]) ignores it, and every engine does where
    /// the parent is pinned.
    pub parent_again: Option<Record>,
    /// The pieces of `record` that the expected head does not have, each once. Every other piece that `record` names is one
    /// of the expected head's, so that an engine which counts references loses none in between.
    pub pieces: Vec<(PieceId, Bytes)>,
    /// How many revisions the key keeps, the new one counted: those with a number of `record`'s less `keep`, or smaller, are
    /// removed with the commit, unless pinned. At least 1; an engine that keeps fewer says so ([`Store::most_revisions`]).
    pub keep: u32,
}

/// How a commit went.
#[derive(Clone, Debug)]
pub enum Committed {
    /// It is the head, as durable as [`Facts::durability`] says.
    Done(Cursor),
    /// Another head was there, and nothing was written: that head, or that there is none.
    Lost(Option<Arc<Record>>),
}

/// A place in the changes of one namespace, ordered. It means something to the engine that gave it only; as text `7` or `7-2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Counts, or milliseconds.
    pub major: u64,
    /// Counts within the same `major`, or marks which change has it; 0 for engines that need no second number.
    pub minor: u64,
}

impl Cursor {
    /// Before everything.
    pub const START: Self = Self { major: 0, minor: 0 };

    /// A cursor of one number.
    #[must_use]
    pub const fn at(major: u64) -> Self {
        Self { major, minor: 0 }
    }

    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`ParseCursorError`].
    pub fn parse(text: &str) -> Result<Self, ParseCursorError> {
        let digits = |text: &str| -> Option<u64> {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
        };
        let (major, minor) = text.split_once('-').unwrap_or((text, "0"));
        match (digits(major), digits(minor)) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(ParseCursorError),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            0 => write!(f, "{}", self.major),
            minor => write!(f, "{}-{minor}", self.major),
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Not `N` or `N-N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place in the changes is a number, or two with `-` between them")]
pub struct ParseCursorError;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// With the first change after the call of `watch` was made, not after the stream was first polled.
    Now,
    /// With the first change after this one.
    Cursor(Cursor),
}

/// A change: one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place; what a watch that was cut goes on after.
    pub cursor: Cursor,
    /// Of what.
    pub key: Key,
    /// The revision that was committed.
    pub meta: Meta,
}

/// A revision in a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// What it is.
    pub meta: Meta,
    /// Whether it stays until it is unpinned.
    pub pinned: bool,
}

/// A key in a list, with what its head is, or with [`StoreError::Damaged`] where that cannot be read.
pub type KeyHead = (Key, Result<Meta, StoreError>);

/// What is to become of a revision's pin.
#[derive(Clone, Debug)]
pub enum Pin {
    /// Pinned, and kept with the body of this record, which is whole: it may outlive the revision that it was built on.
    /// Nothing else of the revision changes; a revision made of pieces stays made of the same.
    On(Box<Record>),
    /// Unpinned; the next commit or [`Store::prune`] may remove it.
    Off,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Loss of power: it is on disk.
    #[default]
    Fsync,
    /// The end of the process, but not of the machine: it is in the operating system's buffers.
    Os,
    /// What the server is set up for, which the engine cannot see or change.
    Server,
    /// Nothing: it is in memory alone. For tests.
    Memory,
}

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    /// Its name: `sqlite`, `wal`, `redis`, `nats`.
    pub engine: &'static str,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Where it keeps things: a file or an address, without a password.
    pub place: String,
    /// Whether it takes [`Commit::parent_again`].
    pub rewrites: bool,
    /// How many changes a watch can go back at least; 0 when it depends on something else, which `notes` says.
    pub events_kept: u64,
    /// What else its users should know, a sentence each.
    pub notes: Vec<String>,
}

/// An engine: keeps records and pieces, decides compare-and-set, and tells of changes in order. It never looks into a body.
///
/// Methods may be called from any number of tasks at once. A future that is dropped leaves a commit done or not done, never
/// half done. Reads that begin after a commit was acknowledged see it.
///
/// # Errors
/// Of every method: [`StoreError::Unavailable`] when it cannot reach what it keeps things in, [`StoreError::Damaged`] when it
/// finds what it did not write, and after [`Store::close`] `Unavailable`.
pub trait Store: Send + Sync + 'static {
    /// The newest revision of a key, a tombstone too.
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Arc<Record>>, StoreError>>;

    /// One revision of a key; `None` when there is none, or none any more.
    fn revision<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<Option<Record>, StoreError>>;

    /// Writes a revision if the head is what is expected: the one point where of several writers one wins.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] when it may have happened; with every other error it has not.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, StoreError>>;

    /// Moves the end of a value's time, without a revision and without an event: for sliding times. `false` when `rev` is
    /// not the head any more. Never to an earlier time: then nothing changes and `true` comes back.
    fn extend<'a>(&'a self, key: &'a Key, rev: Rev, expires_at: UnixMillis) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Revisions with a number smaller than `before`, the newest first, at most `limit`.
    fn history<'a>(
        &'a self,
        key: &'a Key,
        before: Option<Rev>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>>;

    /// The heads of the keys whose names begin with `prefix` and come after `after`, in the order of the names' bytes, at
    /// most `limit`; tombstones too. A damaged head is one of them, and keeps the others from nobody.
    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<KeyHead>, StoreError>>;

    /// The keys whose names come after `after`, in the order of the names' bytes, at most `limit`, without a look at their
    /// heads. Where that is no cheaper, as [`Store::list`] has them.
    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Key>, StoreError>> {
        self.list(namespace, "", after, limit).map_ok(|heads| heads.into_iter().map(|(key, _)| key).collect()).boxed()
    }

    /// Every namespace with a key in it, reserved ones too, in order.
    fn namespaces(&self) -> BoxFuture<'_, Result<Vec<Namespace>, StoreError>>;

    /// The bytes of pieces, in the order asked for; `None` for what is not there.
    fn pieces<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [PieceId],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, StoreError>>;

    /// Pins or unpins a revision; `false` when there is none, or when the one that is to be pinned has another chain than the
    /// record that it is to be kept with: of another life of the key, or of a time that the server lost. Whoever unpins has
    /// read nothing and means the number.
    fn pin<'a>(&'a self, key: &'a Key, rev: Rev, pin: Pin) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Removes all but the newest `keep` revisions by number (at least 1) and the pinned ones. How many were removed.
    fn prune<'a>(&'a self, key: &'a Key, keep: u32) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// The place after the latest change of a namespace: a watch after it is told of everything later.
    fn latest<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Result<Cursor, StoreError>>;

    /// Every later commit to keys whose names begin with `prefix`, each exactly once and in order. The stream ends after
    /// an error; without one it ends when the store is closed. It says how far it has come while nothing of its own happens:
    /// within some seconds of the latest change of the namespace.
    ///
    /// # Errors
    /// [`StoreError::CursorGone`] as an item when changes after `after` are not kept any more, or when `after` is no place
    /// that this engine ever gave.
    fn watch<'a>(&'a self, namespace: &'a Namespace, prefix: &'a str, after: After) -> Changes;

    /// Heads whose `expires_at` is `now` or earlier, the earliest first, at most `limit`: values to be buried, and
    /// tombstones to be forgotten. One that cannot be read is left out and takes no place of others.
    fn due(&self, now: UnixMillis, limit: usize) -> BoxFuture<'_, Result<Vec<(Key, Meta)>, StoreError>>;

    /// Removes a key with all its revisions, pinned ones too, if its head is the tombstone `rev`; without an event.
    /// `false` when the head is another.
    fn forget<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// What it says of itself.
    fn facts(&self) -> Facts;

    /// How many revisions of a key it keeps at most, pinned ones aside, whatever [`Commit::keep`] asks for; `None` where it
    /// keeps as many as it is asked to.
    fn most_revisions(&self) -> Option<u32> {
        None
    }

    /// Finishes what was begun and lets go of files and connections. Ends all watches.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_are_ordered() {
        for cursor in [Cursor::START, Cursor::at(7), Cursor { major: 1_795_294_621_123, minor: 4 }] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        }
        assert!(Cursor::at(7) < Cursor { major: 7, minor: 1 } && Cursor { major: 7, minor: 1 } < Cursor::at(8));
        for bad in ["", "-", "7-", "-7", "+7", "7-+1", "7-1-1", "18446744073709551616", "a"] {
            assert_eq!(Cursor::parse(bad), Err(ParseCursorError), "{bad}");
        }
    }
}
