//! What is kept of checksum databases over a restart.

use std::io;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tradewind_ledger::Tile;

use crate::name::ModuleVersion;

/// Keeps what was checked, by the name of the database. Of the tree head alone everything depends: without it a database could
/// show another history to each who has forgotten. Tiles and lookups save requests, and answer without a network; they are
/// checked again whenever they are read, so that a damaged file costs a request.
pub trait Kept: Send + Sync {
    /// The signed note with the last tree head, as it was kept; `None` when there never was one.
    ///
    /// # Errors
    /// When it cannot be told. That must not look like `None`.
    fn head<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Option<Bytes>>>;

    /// Keeps `next` in the place of `last`, atomically and durably. `false` when by now something other than `last` is kept.
    ///
    /// # Errors
    /// When it could not be written; `last` is then still kept.
    fn keep_head<'a>(&'a self, name: &'a str, last: Option<Bytes>, next: Bytes) -> BoxFuture<'a, io::Result<bool>>;

    /// A tile, as it was kept. Any failure is `None`.
    fn tile<'a>(&'a self, name: &'a str, tile: Tile) -> BoxFuture<'a, Option<Bytes>>;

    /// Keeps a tile that was checked, in the place of an earlier one.
    fn keep_tile<'a>(&'a self, name: &'a str, tile: Tile, bytes: Bytes) -> BoxFuture<'a, ()>;

    /// The answer to a lookup, as it was kept. Any failure is `None`.
    fn lookup<'a>(&'a self, name: &'a str, of: &'a ModuleVersion) -> BoxFuture<'a, Option<Bytes>>;

    /// Keeps the answer to a lookup that was checked, in the place of an earlier one.
    fn keep_lookup<'a>(&'a self, name: &'a str, of: &'a ModuleVersion, answer: Bytes) -> BoxFuture<'a, ()>;

    /// Keeps what shows that a database, or somebody in between, did wrong: text, below 256 KiB. The same text need be kept
    /// once only.
    fn evidence<'a>(&'a self, name: &'a str, text: String) -> BoxFuture<'a, ()>;
}
