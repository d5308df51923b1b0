//! What can go wrong, in an engine and above it.

use crate::meta::{Meta, MetaError, Schema};
use crate::name::{Epoch, NameError};

/// What an engine could not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The write was sent and no answer came: it may have happened, and may still happen.
    #[error("whether it was written is not known: {0}")]
    Unknown(String),
    /// The store cannot be reached or used; nothing was written.
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
    /// There is no room; nothing was written, reads go on.
    #[error("the store is full: {0}")]
    Full(String),
    /// What lies there is not what was written.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// Which key, revision or file, and what is wrong with it.
        what: String,
    },
    /// The engine cannot take a record or piece of this size.
    #[error("{size} bytes are more than the engine's {limit}")]
    TooLarge {
        /// Bytes that were to be written.
        size: u64,
        /// Bytes that it takes.
        limit: u64,
    },
    /// Too much is waiting to be written; nothing was.
    #[error("the store is busy")]
    Busy,
    /// The changes after this place are not kept any more, or it is a place of another store.
    #[error("the changes after this place are not kept any more")]
    CursorGone,
    /// The engine cannot do this.
    #[error("the engine cannot do this: {0}")]
    Unsupported(&'static str),
}

impl StoreError {
    /// What lies there is not what was written.
    #[must_use]
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

/// Why a hand-off token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Not a token of this store, or changed since.
    #[error("the token was not given out here, or was changed")]
    Forged,
    /// Its time is over.
    #[error("the token's time is over")]
    Late,
    /// It has more of its life left than a token ever has: the clock was set back since, or another gateway's is ahead.
    #[error("the token is of a time to come: a clock was set back, or two clocks disagree")]
    Early,
    /// It was redeemed.
    #[error("the token was redeemed already")]
    Redeemed,
    /// The key was handed over since, by another token.
    #[error("the key was handed over since by another token")]
    Replayed,
    /// The holder wrote, or the value was deleted, after the token was given out.
    #[error("the value has changed since the token was given out")]
    Stale,
}

/// What [`State`](crate::State) could not do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StateError {
    /// There is no such key, revision or namespace; a deleted key is none.
    #[error("there is nothing under this key")]
    NotFound,
    /// The value's time is over, or the revision is not kept any more.
    #[error("what was asked for is gone: its time is over, or the revision is not kept any more")]
    Gone,
    /// The head is not what the write's condition says.
    #[error("the value has changed since the revision that this write replaces")]
    Lost {
        /// The head that is there, unless there is no value.
        head: Option<Box<Meta>>,
    },
    /// The key was handed over: the writer does not hold it any more.
    #[error("the key was handed over and is in epoch {epoch} now")]
    Fenced {
        /// The head's epoch.
        epoch: Epoch,
    },
    /// The content is over the namespace's limit.
    #[error("{size} bytes are more than the {limit} that a value may have here")]
    TooLarge {
        /// Bytes of the content.
        size: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// The content has a schema that its reader does not know: another one, or a newer version.
    #[error("the content has the schema {found}, and its reader knows {known} and older")]
    OtherSchema {
        /// The content's.
        found: Schema,
        /// The newest that the reader knows.
        known: Schema,
    },
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A content type, schema or writer's name is none.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The content is said to be JSON and is not.
    #[error("the content is not JSON: {0}")]
    NotJson(String),
    /// A patch, an addition or a difference does not fit the content.
    #[error("the change does not fit the content: {0}")]
    BadPatch(String),
    /// A hand-off token is refused.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// The changes after this place are not kept any more.
    #[error("the changes after this place are not kept any more")]
    CursorGone,
    /// What lies there is not what was written. Never returned as a value.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// Which key and revision, and what is wrong with it.
        what: String,
    },
    /// The content is sealed with a key that is not configured.
    #[error("the content is sealed and its key is not there: {0}")]
    NoKey(String),
    /// Whether the write happened is not known: read, then decide.
    #[error("whether it was written is not known: {0}")]
    Unknown(String),
    /// The store cannot be reached or used; nothing was written.
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
    /// There is no room; nothing was written, reads go on.
    #[error("the store is full: {0}")]
    Full(String),
    /// Too much is waiting to be written, or too many write the same key; nothing was written.
    #[error("the store is busy")]
    Busy,
}

impl From<StoreError> for StateError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unknown(why) => Self::Unknown(why),
            StoreError::Unavailable(why) => Self::Unavailable(why),
            StoreError::Full(why) => Self::Full(why),
            StoreError::Damaged { what } => Self::Damaged { what },
            StoreError::TooLarge { size, limit } => Self::TooLarge { size, limit },
            StoreError::Busy => Self::Busy,
            StoreError::CursorGone => Self::CursorGone,
            StoreError::Unsupported(what) => Self::Unavailable(what.to_owned()),
        }
    }
}
