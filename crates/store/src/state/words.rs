//! The words that callers of [`State`](super::State) use.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::StateError;
use crate::meta::{Meta, Schema};
use crate::name::{Epoch, Key, Rev};

/// Which revision is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest.
    Head,
    /// The one of this number.
    Rev(Rev),
}

/// What has to hold for a write to happen: there is no write without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no value (`If-None-Match: *`): no such key, or a deleted or expired one.
    Absent,
    /// The value has this revision (`If-Match`).
    At(Rev),
}

/// How long a value is to live. Counted in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// For ever.
    Never,
    /// So long after it was written.
    Fixed(Duration),
    /// So long after it was written or last read. A read that finds less than a tenth of the time gone leaves the end where
    /// it is, so that a value that is read all the time is not written all the time.
    Sliding(Duration),
}

/// What a write says besides its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How long the value is to live. Without it: as long as the value that it replaces was given, counted anew, and for ever
    /// where that has no end; where there is none to replace, as long as the namespace says.
    pub ttl: Option<Ttl>,
    /// The epoch that the writer believes to be in. Without it the write is compared by revision alone.
    pub epoch: Option<Epoch>,
    /// Name of the writer's key.
    pub by: Option<Arc<str>>,
}

/// A content to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// The bytes.
    pub content: Bytes,
    /// Their media type; content of a JSON type has to be JSON.
    pub content_type: Arc<str>,
    /// Their shape.
    pub schema: Option<Schema>,
    /// The rest.
    pub terms: Terms,
}

/// A revision that was read; its hash has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub meta: Meta,
    /// Its content.
    pub content: Bytes,
}

/// A page of keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// Those that have a value, and what their heads are; [`StateError::Damaged`] where that cannot be read.
    pub items: Vec<(Key, Result<Meta, StateError>)>,
    /// The name after which the next page begins: that of the last key that was looked at, which may have none. `None` when
    /// nothing is left.
    pub next: Option<String>,
}

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Swept {
    /// Values whose time was over, and which are tombstones now.
    pub expired: u64,
    /// Tombstones that were forgotten.
    pub forgotten: u64,
    /// Keys that could not be read or written, those included that were found so in the last ten minutes and were passed
    /// over.
    pub failed: u64,
    /// One that was found so by this sweep, and why.
    pub why: Option<(Key, StateError)>,
    /// Whether there may be more that is due, and it is worth to come again at once.
    pub more: bool,
}
