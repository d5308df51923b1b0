//! Versioned state that outlives the agents that made it: one set of promises over several engines.
//!
//! Two layers. [`Store`] is what varies: an engine keeps [`Record`]s and pieces, decides one atomic compare-and-set for each
//! [`Commit`], and tells of changes in order; it never looks into a body. [`State`] is everything else, once: conditions,
//! hashes and chain, packing, sealing, expiry, epochs, patches, merges, forks, pins, restoring, and hand-off. It knows no
//! engine, and nothing but the binary names one.
//!
//! The promises: every write states its condition, and of two writers on one revision exactly one wins; a snapshot is
//! immutable, and a read that does not hash to what its record says is an error, never a value; a number of a revision
//! does not come twice within [`TOMBSTONE_KEPT`] of a deletion, unless an engine loses what it acknowledged, and what is made from
//! a content is written on the revision that it was made from and on no other of its number; what was acknowledged is as durable as [`Facts`] says.

pub mod agent;
pub mod change;
mod embedded;
mod error;
pub mod handoff;
mod meta;
mod name;
pub mod nats;
mod pack;
mod record;
pub mod redis;
pub mod seal;
mod servers;
mod settings;
pub mod sqlite;
pub mod state;
mod store;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
mod told;
pub mod wal;

pub use error::{StateError, StoreError, TokenRefusal};
pub use meta::{Kind, MAX_BY, MAX_CONTENT_TYPE, MAX_SCHEMA_NAME, Meta, MetaError, Nonce, Schema};
pub use name::{Epoch, Hash, Key, MAX_KEY_NAME, MAX_NAMESPACE, NameError, Namespace, Rev};
pub use record::{Body, MAX_RECORD, PieceId, Record, RecordError};
pub use settings::{DEFAULT_KEEP, MAX_KEEP, MAX_VALUE, NamespaceSettings, OnConflict, Settings, TOMBSTONE_KEPT};
pub use state::State;
pub use store::{
    After, Commit, Committed, Cursor, Durability, Event, Expected, Facts, KeyHead, ParseCursorError, Pin, Revision,
    Store,
};
pub use told::{Changes, Passed};
