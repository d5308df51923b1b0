//! Tiles that were checked: hashed up, each against its parent, to the root of a signed tree head.

use std::collections::BTreeMap;

use bytes::Bytes;
use thiserror::Error;

use crate::shape::{Node, parts_of, tile_at};
use crate::{Hash, Level, Tile, TreeHead};

/// Tiles of one height that belong to one tree head: every hash in them is under its root.
#[derive(Clone, Debug)]
pub struct Tiles {
    head: TreeHead,
    height: u8,
    /// The hashes, by level and index of the tile.
    hashes: BTreeMap<(u8, u64), Bytes>,
}

/// Why tiles are not believed, or do not suffice.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TileError {
    /// One that is needed is not there.
    #[error("missing {0}")]
    Missing(Tile),
    /// One does not belong to the tree: another height, beyond its right edge, another width, or there twice.
    #[error("{0} is no tile of a tree of {1} records")]
    Foreign(Tile, u64),
    /// One has another number of bytes than its hashes need.
    #[error("downloaded inconsistent tile: {tile} has {bytes} bytes instead of {}", tile.bytes())]
    Length {
        /// Which one.
        tile: Tile,
        /// How many it has.
        bytes: usize,
    },
    /// The right edge of the tree does not hash to the root. At least one of its tiles is wrong; which, nobody can say.
    #[error("downloaded inconsistent tile: the right edge is not that of a {0}")]
    Edge(TreeHead),
    /// One does not hash to what its parent has for it.
    #[error("downloaded inconsistent tile: {0} does not belong under its parent")]
    Child(Tile),
    /// The record or the prefix that was asked for is beyond the tree.
    #[error("cannot validate record {asked} in tree of size {size}")]
    Beyond {
        /// What was asked for.
        asked: u64,
        /// The records of the tree.
        size: u64,
    },
}

impl Tiles {
    /// Checks tiles, of one height and in any order, against a head: those of the right edge against the root, all others
    /// against their parents, which have to be among them.
    ///
    /// # Errors
    /// [`TileError`] when there is one among them that is not proven, or one is missing to prove them.
    pub fn check(head: TreeHead, tiles: &[(Tile, Bytes)]) -> Result<Self, TileError> {
        let height = tiles.first().map_or(Tile::HEIGHT, |(tile, _)| tile.height);
        let mut checked = Self { head, height, hashes: BTreeMap::new() };
        for (tile, bytes) in tiles {
            checked.take(*tile, bytes)?;
        }
        if checked.root_of(head.size)? != head.root {
            return Err(TileError::Edge(head));
        }
        // The edge is proven as a whole: where a tile there is not full, the root is made of all its hashes.
        for (&(level, index), bytes) in &checked.hashes {
            let tile = checked.tile_at(level, index)?;
            if tile.is_full() && checked.hash_of(Node { level: (level + 1) * height, index })? != Hash::above(bytes) {
                return Err(TileError::Child(tile));
            }
        }
        Ok(checked)
    }

    /// The hash of a record.
    ///
    /// # Errors
    /// [`TileError::Beyond`] when the tree has no such record, [`TileError::Missing`] when its tile is not here.
    pub fn record_hash(&self, id: u64) -> Result<Hash, TileError> {
        if id >= self.head.size {
            return Err(TileError::Beyond { asked: id, size: self.head.size });
        }
        self.hash_of(Node::record(id))
    }

    /// The root of the tree's first `older` records: what the root of an earlier tree has to be.
    ///
    /// # Errors
    /// [`TileError::Beyond`] when the tree has fewer records, [`TileError::Missing`] when a tile is not here.
    pub fn prefix_root(&self, older: u64) -> Result<Hash, TileError> {
        if older > self.head.size {
            return Err(TileError::Beyond { asked: older, size: self.head.size });
        }
        self.root_of(older)
    }

    /// The bytes of a tile of hashes: it, or the beginning of a wider one at its place. `None` when no such one is here.
    #[must_use]
    pub fn bytes_of(&self, tile: Tile) -> Option<Bytes> {
        let Level::Hashes(level) = tile.level else { return None };
        let bytes = self.hashes.get(&(level, tile.index)).filter(|_| tile.height == self.height)?;
        let length = usize::try_from(tile.bytes()).ok().filter(|length| *length <= bytes.len())?;
        Some(bytes.slice(..length))
    }

    /// The head that all of it belongs to.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.head
    }

    /// The hash of a complete part of the tree.
    pub(crate) fn hash_of(&self, node: Node) -> Result<Hash, TileError> {
        let place = node.place(self.height);
        let tile = self.tile_at(place.level, place.index)?;
        let bytes = self.hashes.get(&(place.level, place.index)).ok_or(TileError::Missing(tile))?;
        let in_bytes = |hashes: u64| usize::try_from(hashes).unwrap_or(usize::MAX).saturating_mul(Hash::LENGTH);
        let hashes = bytes.get(in_bytes(place.first)..in_bytes(place.first + place.count));
        hashes.map(Hash::above).ok_or(TileError::Missing(tile))
    }

    /// The root of the first `size` records.
    fn root_of(&self, size: u64) -> Result<Hash, TileError> {
        let mut root = None;
        for part in parts_of(size).rev() {
            let left = self.hash_of(part)?;
            root = Some(root.map_or(left, |right| Hash::of_node(left, right)));
        }
        Ok(root.unwrap_or(Hash::OF_NOTHING))
    }

    /// The tile at a place of this tree.
    fn tile_at(&self, level: u8, index: u64) -> Result<Tile, TileError> {
        let nowhere = Tile { height: self.height, level: Level::Hashes(level), index, width: 1 };
        tile_at(self.head.size, self.height, level, index).ok_or(TileError::Foreign(nowhere, self.head.size))
    }

    /// Takes one in that has the place, the width and the length of a tile of this tree.
    fn take(&mut self, tile: Tile, bytes: &Bytes) -> Result<(), TileError> {
        let foreign = TileError::Foreign(tile, self.head.size);
        let Level::Hashes(level) = tile.level else { return Err(foreign) };
        let is_height = tile.height == self.height && (1..=Tile::MAX_HEIGHT).contains(&tile.height);
        if !is_height || tile_at(self.head.size, tile.height, level, tile.index) != Some(tile) {
            return Err(foreign);
        }
        if bytes.len() as u64 != tile.bytes() {
            return Err(TileError::Length { tile, bytes: bytes.len() });
        }
        match self.hashes.insert((level, tile.index), bytes.clone()) {
            None => Ok(()),
            Some(_) => Err(foreign),
        }
    }
}
