//! Which tiles a proof needs.

use std::collections::BTreeSet;

use crate::Tile;
use crate::shape::{Node, parts_of, tile_at};

/// The tiles of height `height` that show which hash the record `id` has in a tree of `size` records: those of the tree's
/// right edge, which the root is made from, the record's own, and those between. Parents stand before their children. There
/// are none when the tree has no such record.
///
/// # Panics
/// When `height` is not 1 to [`Tile::MAX_HEIGHT`].
#[must_use]
pub fn tiles_of_record(height: u8, size: u64, id: u64) -> Vec<Tile> {
    if id >= size { Vec::new() } else { tiles_of(height, size, std::iter::once(Node::record(id))) }
}

/// The tiles of height `height` of a tree of `size` records that show which root its first `older` records have. Parents
/// stand before their children. There are none when the tree has fewer records than that.
///
/// # Panics
/// When `height` is not 1 to [`Tile::MAX_HEIGHT`].
#[must_use]
pub fn tiles_of_prefix(height: u8, size: u64, older: u64) -> Vec<Tile> {
    if older > size { Vec::new() } else { tiles_of(height, size, parts_of(older)) }
}

fn tiles_of(height: u8, size: u64, nodes: impl Iterator<Item = Node>) -> Vec<Tile> {
    assert!((1..=Tile::MAX_HEIGHT).contains(&height), "tiles have a height of 1 to 30, not {height}");
    let mut tiles = BTreeSet::new();
    for node in parts_of(size) {
        let place = node.place(height);
        tiles.extend(tile_at(size, height, place.level, place.index));
    }
    for node in nodes {
        let mut place = node.place(height);
        // Upwards, until one is there already: that one is shown by those above it, or by the root.
        while let Some(tile) = tile_at(size, height, place.level, place.index) {
            if !tiles.insert(tile) {
                break;
            }
            place = Node { level: (place.level + 1) * height, index: place.index }.place(height);
        }
    }
    // By height and level: from the highest level downwards.
    tiles.into_iter().rev().collect()
}
