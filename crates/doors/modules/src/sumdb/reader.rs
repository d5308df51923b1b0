//! Gets tiles, from what is kept or from the source, and believes them only once they were checked.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tradewind_ledger::{Level, Tile, TileError, Tiles, TreeHead};

use super::evidence::Problem;
use super::flights::{Flight, Flights};
use super::{Kept, Source, SourceError};

/// Reads tiles of one database.
pub(super) struct Reader {
    name: Arc<str>,
    source: Arc<dyn Source>,
    kept: Arc<dyn Kept>,
    flights: Flights<(Tile, Wanted), Result<Read, SourceError>>,
}

/// Where a tile may come from.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Wanted {
    /// From anywhere.
    Any,
    /// From the source: what is kept has turned out to be wrong.
    Fresh,
}

/// A tile that was read and not yet checked.
#[derive(Clone)]
struct Read {
    bytes: Bytes,
    is_kept: bool,
}

impl Reader {
    pub(super) fn new(name: Arc<str>, source: Arc<dyn Source>, kept: Arc<dyn Kept>) -> Self {
        Self { name, source, kept, flights: Flights::new() }
    }

    /// The tiles, checked up to the root of `head`. Those that had to be fetched are then kept.
    pub(super) async fn read(&self, head: TreeHead, tiles: &[Tile]) -> Result<Tiles, Problem> {
        match self.try_read(head, tiles, Wanted::Any).await {
            // A file that was damaged, or a tile of a head that has since turned out to be wrong: the source is asked again.
            Err(Unread::Wrong { has_kept: true, .. }) => self.try_read(head, tiles, Wanted::Fresh).await,
            other => other,
        }
        .map_err(|unread| match unread {
            Unread::Source(tile, SourceError::NotThere(why)) => {
                // Not "no such record": the database vouched for a tree that has this tile.
                Problem::Unreachable(format!("reading {tile}: {why}"))
            }
            Unread::Source(tile, SourceError::Unreachable(why)) => {
                Problem::Unreachable(format!("reading {tile}: {why}"))
            }
            Unread::Wrong { why: TileError::Length { tile, bytes }, .. } => {
                Problem::Garbled(TileError::Length { tile, bytes }.to_string())
            }
            Unread::Wrong { why, tiles, .. } => Problem::Forged { why: why.to_string(), head: Some(head), tiles },
        })
    }

    async fn try_read(&self, head: TreeHead, tiles: &[Tile], wanted: Wanted) -> Result<Tiles, Unread> {
        // Held until they are kept, so that whoever comes in the meantime finds either the flight or the file.
        let flights: Vec<Flight<_>> = tiles.iter().map(|tile| self.join(*tile, wanted)).collect();
        let mut read = Vec::with_capacity(tiles.len());
        let mut fetched = Vec::new();
        for (tile, answer) in tiles.iter().zip(join_all(flights.iter().cloned()).await) {
            let answer = answer.map_err(|error| Unread::Source(*tile, error))?;
            if !answer.is_kept {
                fetched.push((*tile, answer.bytes.clone()));
            }
            read.push((*tile, answer.bytes));
        }
        let has_kept = fetched.len() < read.len();
        let checked = match Tiles::check(head, &read) {
            Ok(checked) => checked,
            Err(why) => return Err(Unread::Wrong { why, tiles: read, has_kept }),
        };
        // Only now: whoever keeps something may do so before anybody waits for it.
        join_all(fetched.into_iter().map(|(tile, bytes)| self.kept.keep_tile(&self.name, tile, bytes))).await;
        drop(flights);
        Ok(checked)
    }

    fn join(&self, tile: Tile, wanted: Wanted) -> Flight<Result<Read, SourceError>> {
        self.flights.join((tile, wanted), || {
            let (name, source, kept) = (self.name.clone(), self.source.clone(), self.kept.clone());
            read(name, source, kept, tile, wanted).boxed()
        })
    }
}

/// Why there are no checked tiles.
enum Unread {
    /// One of them could not be had.
    Source(Tile, SourceError),
    /// They do not belong to the head.
    Wrong { why: TileError, tiles: Vec<(Tile, Bytes)>, has_kept: bool },
}

/// Reads one tile: a narrower one may also be the beginning of the full one, which is all that there is once it is full.
async fn read(
    name: Arc<str>,
    source: Arc<dyn Source>,
    kept: Arc<dyn Kept>,
    tile: Tile,
    wanted: Wanted,
) -> Result<Read, SourceError> {
    debug_assert!(matches!(tile.level, Level::Hashes(_)));
    let full = tile.full();
    if wanted == Wanted::Any {
        if let Some(bytes) = kept.tile(&name, tile).await {
            return Ok(Read { bytes, is_kept: true });
        }
        if !tile.is_full()
            && let Some(bytes) = kept.tile(&name, full).await.and_then(|bytes| beginning(full, tile, &bytes))
        {
            return Ok(Read { bytes, is_kept: true });
        }
    }
    match source.get(&format!("/{tile}")).await {
        Ok(bytes) => Ok(Read { bytes, is_kept: false }),
        Err(first) if tile.is_full() => Err(first),
        Err(first) => match source.get(&format!("/{full}")).await {
            Ok(bytes) => Ok(Read { bytes: beginning(full, tile, &bytes).unwrap_or(bytes), is_kept: false }),
            Err(_) => Err(first),
        },
    }
}

/// The bytes of `tile` out of those of the full one at its place.
fn beginning(full: Tile, tile: Tile, bytes: &Bytes) -> Option<Bytes> {
    let length = usize::try_from(tile.bytes()).ok()?;
    (bytes.len() as u64 == full.bytes()).then(|| bytes.slice(..length))
}
