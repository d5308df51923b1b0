//! Names of tiles: pieces of a log's tree that are fetched and kept as one file each.
//!
//! A tile of height *h* at level *l* has up to 2^*h* hashes of the tree's level *h·l*, those from index·2^*h* on. A full tile
//! is the lower part of one node of the tile above it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{Hash, TreeHead};

/// One piece of a log's tree, or of its records.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tile {
    /// Levels of the tree that it covers, 1 to [`Tile::MAX_HEIGHT`]; [`Tile::HEIGHT`] for the go command.
    pub height: u8,
    /// What it holds.
    pub level: Level,
    /// Which one of its level, the first being 0.
    pub index: u64,
    /// How many hashes or records it has: 2^height, or fewer at the right edge of the tree.
    pub width: u32,
}

/// What a tile holds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// The records themselves (`data`).
    Records,
    /// Hashes: level 0 those of records, each further one *height* levels of the tree higher.
    Hashes(u8),
}

/// A path that names no tile.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("malformed tile path {0:?}")]
pub struct TilePathError(String);

impl Tile {
    /// The height of the tiles that the go command asks for.
    pub const HEIGHT: u8 = 8;
    /// The greatest height that a path may name.
    pub const MAX_HEIGHT: u8 = 30;
    /// Bytes of the longest path that is looked at.
    const MAX_PATH: usize = 64;

    /// Its path, `tile/8/0/x001/234.p/5` for example: without a slash in front.
    #[must_use]
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// Whether it has all the hashes that a tile of its height can have, so that it will never change.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width > 0 && self.width == self.full_width()
    }

    /// The full tile at its place.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: self.full_width(), ..self }
    }

    /// The bytes of a tile of hashes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.width) * Hash::LENGTH as u64
    }

    /// 0 for a height that no tile has: nothing is full then.
    fn full_width(self) -> u32 {
        1_u32.checked_shl(u32::from(self.height)).unwrap_or(0)
    }

    /// Whether its numbers are those of a tile that a tree can have.
    fn is_possible(self) -> bool {
        let lowest = match self.level {
            Level::Records => Some(0),
            Level::Hashes(level) => u32::from(level).checked_mul(u32::from(self.height)).filter(|lowest| *lowest < 63),
        };
        let Some(lowest) = lowest else { return false };
        let first = self.index.checked_mul(u64::from(self.full_width()));
        first
            .and_then(|first| first.checked_add(u64::from(self.width) - 1))
            .is_some_and(|last| last < TreeHead::MAX_SIZE >> lowest)
    }
}

impl FromStr for Tile {
    type Err = TilePathError;

    /// Reads a path as [`Tile::path`] writes it, and no other spelling.
    fn from_str(path: &str) -> Result<Self, TilePathError> {
        let tile = if path.len() <= Self::MAX_PATH { read(path) } else { None };
        tile.filter(|tile| tile.is_possible() && tile.path() == path)
            .ok_or_else(|| TilePathError(path.chars().take(Self::MAX_PATH).collect()))
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "tile/{}/", self.height)?;
        match self.level {
            Level::Records => formatter.write_str("data/")?,
            Level::Hashes(level) => write!(formatter, "{level}/")?,
        }
        // Three digits at a time, all but the last ones behind an `x`, so that no folder gets large.
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            if place > 0 { write!(formatter, "x{group:03}/")? } else { write!(formatter, "{group:03}")? }
        }
        if self.is_full() { Ok(()) } else { write!(formatter, ".p/{}", self.width) }
    }
}

/// The tile that a path seems to name; whether it is spelt as it should be is seen by writing it again.
fn read(path: &str) -> Option<Tile> {
    let (height, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let (level, rest) = rest.split_once('/')?;
    let height = height.parse().ok().filter(|height| (1..=Tile::MAX_HEIGHT).contains(height))?;
    let level = if level == "data" { Level::Records } else { Level::Hashes(level.parse().ok()?) };
    let (places, width) = match rest.split_once(".p/") {
        Some((places, width)) => (places, width.parse().ok().filter(|width| (1..1 << height).contains(width))?),
        None => (rest, 1 << height),
    };
    let mut index: u64 = 0;
    for group in places.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let value: u64 = digits.parse().ok().filter(|value| *value < 1000)?;
        index = index.checked_mul(1000)?.checked_add(value)?;
    }
    Some(Tile { height, level, index, width })
}
