//! The shape of a log's tree: which nodes there are, and which tile each lies in.

use crate::{Level, Tile};

/// The root of a complete part of the tree: 2^level records, those from index·2^level on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Node {
    /// 0 for a record, at most 63.
    pub(crate) level: u8,
    pub(crate) index: u64,
}

/// Where the hashes below a node lie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// The level of the tile.
    pub(crate) level: u8,
    /// The index of the tile.
    pub(crate) index: u64,
    /// The first of its hashes in the tile.
    pub(crate) first: u64,
    /// How many they are: a power of two.
    pub(crate) count: u64,
}

impl Node {
    pub(crate) fn record(id: u64) -> Self {
        Self { level: 0, index: id }
    }

    /// The tile of this height that has the hashes below the node, or the hash itself.
    pub(crate) fn place(self, height: u8) -> Place {
        let within = self.level % height;
        let first = u128::from(self.index) << within;
        let index = u64::try_from(first >> height).expect("a tile's index is smaller than the node's, or the same");
        let first = u64::try_from(first & ((1 << height) - 1)).expect("less than 2^30");
        Place { level: self.level / height, index, first, count: 1 << within }
    }
}

/// The complete parts that a tree of `size` records is made of, the greatest first.
pub(crate) fn parts_of(size: u64) -> impl DoubleEndedIterator<Item = Node> {
    (0..64_u8)
        .rev()
        .filter(move |level| size >> level & 1 == 1)
        .map(move |level| Node { level, index: (size >> level) - 1 })
}

/// The tile at a place of a tree of `size` records, with the width that it has there; none outside of the tree.
pub(crate) fn tile_at(size: u64, height: u8, level: u8, index: u64) -> Option<Tile> {
    let lowest = u32::from(level) * u32::from(height);
    let hashes = size.checked_shr(lowest).unwrap_or(0);
    let first = index.checked_mul(1 << height)?;
    let width = hashes.checked_sub(first).filter(|rest| *rest > 0)?.min(1 << height);
    Some(Tile { height, level: Level::Hashes(level), index, width: u32::try_from(width).expect("at most 2^30") })
}
