//! Trees: every size, every record, every prefix, at several heights of tiles; and nothing that was altered passes.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use tradewind_ledger::{Hash, Level, Tile, TileError, Tiles, TreeHead, tiles_of_prefix, tiles_of_record};

use crate::log::Log;
use crate::log_of;

fn head(log: &Log, size: u64) -> TreeHead {
    TreeHead { size, root: Hash::from(log.root(size)) }
}

fn record_hash(log: &Log, id: u64) -> Hash {
    Hash::from(log.hash(id, id + 1))
}

fn bytes_of(log: &Log, tile: Tile) -> Bytes {
    let Level::Hashes(level) = tile.level else { panic!("{tile} has no hashes") };
    log.tile(tile.height, level, tile.index, tile.width).unwrap_or_else(|| panic!("no {tile}")).into()
}

fn fetch(log: &Log, tiles: &[Tile]) -> Vec<(Tile, Bytes)> {
    tiles.iter().map(|tile| (*tile, bytes_of(log, *tile))).collect()
}

#[test]
fn every_record_of_every_tree_up_to_600_is_proven() {
    let log = log_of(600, "record");
    for height in [1, 2, 3, 8, 30] {
        // Tiles and checks are the same for many records of a tree of one size.
        for size in 1..=600 {
            let mut checked: BTreeMap<Vec<Tile>, Tiles> = BTreeMap::new();
            // At the small heights each plan is another one: not every record of every size there.
            let step = if height == 8 || height == 30 || size <= 130 { 1 } else { 1 + size / 17 };
            for id in (0..size).step_by(usize::try_from(step).unwrap()) {
                let plan = tiles_of_record(height, size, id);
                let tiles = checked
                    .entry(plan.clone())
                    .or_insert_with(|| Tiles::check(head(&log, size), &fetch(&log, &plan)).unwrap());
                assert_eq!(tiles.record_hash(id), Ok(record_hash(&log, id)), "record {id} of {size}, height {height}");
            }
            assert_eq!(tiles_of_record(height, size, size), []);
        }
    }
}

#[test]
fn every_prefix_of_every_tree_up_to_300_is_proven() {
    let log = log_of(300, "record");
    for height in [1, 2, 8] {
        for size in 1..=300 {
            let mut checked: BTreeMap<Vec<Tile>, Tiles> = BTreeMap::new();
            let step = if height == 8 || size <= 66 { 1 } else { 7 };
            for older in (0..=size).step_by(step) {
                let plan = tiles_of_prefix(height, size, older);
                let tiles = checked
                    .entry(plan.clone())
                    .or_insert_with(|| Tiles::check(head(&log, size), &fetch(&log, &plan)).unwrap());
                assert_eq!(
                    tiles.prefix_root(older),
                    Ok(Hash::from(log.root(older))),
                    "{older} of {size}, height {height}"
                );
            }
            assert_eq!(tiles_of_prefix(height, size, size + 1), []);
        }
    }
}

#[test]
fn the_tiles_of_a_large_tree_are_few_and_in_order() {
    // sum.golang.org of November 2026, and the largest tree there can be.
    for (size, id, most) in [(63_096_908, 60_295_460, 6), (TreeHead::MAX_SIZE, 12_345_678_901, 15)] {
        let tiles = tiles_of_record(8, size, id);
        assert!(tiles.len() <= most, "{tiles:?}");
        let levels: Vec<Level> = tiles.iter().map(|tile| tile.level).collect();
        assert!(levels.is_sorted_by(|above, below| above >= below), "parents first: {tiles:?}");
        assert!(tiles.iter().all(|tile| tile.path().parse() == Ok(*tile)));
    }
    let paths: Vec<String> = tiles_of_record(8, 63_096_908, 60_295_460).iter().map(Tile::path).collect();
    assert_eq!(
        paths,
        [
            "tile/8/3/000.p/3",
            "tile/8/2/003.p/194",
            "tile/8/1/962.p/200",
            "tile/8/1/920",
            "tile/8/0/x246/472.p/76",
            "tile/8/0/x235/529"
        ]
    );
}

#[test]
fn what_is_not_in_the_tiles_is_not_answered() {
    let log = log_of(700, "record");
    let tiles = Tiles::check(head(&log, 700), &fetch(&log, &tiles_of_record(8, 700, 5))).unwrap();
    assert_eq!(tiles.record_hash(255), Ok(record_hash(&log, 255)));
    let missing = Tile { height: 8, level: Level::Hashes(0), index: 1, width: 256 };
    assert_eq!(tiles.record_hash(256), Err(TileError::Missing(missing)));
    assert_eq!(tiles.prefix_root(300), Err(TileError::Missing(missing)));
    assert_eq!(tiles.record_hash(700), Err(TileError::Beyond { asked: 700, size: 700 }));
    assert_eq!(tiles.record_hash(u64::MAX), Err(TileError::Beyond { asked: u64::MAX, size: 700 }));
    assert_eq!(tiles.prefix_root(701), Err(TileError::Beyond { asked: 701, size: 700 }));
    assert_eq!(tiles.head(), head(&log, 700));
    assert_eq!(TileError::Beyond { asked: 9, size: 5 }.to_string(), "cannot validate record 9 in tree of size 5");
}

#[test]
fn the_bytes_of_a_checked_tile_are_given_and_those_of_its_beginning() {
    let log = log_of(700, "record");
    let tiles = Tiles::check(head(&log, 700), &fetch(&log, &tiles_of_record(8, 700, 600))).unwrap();
    let tile = |path: &str| path.parse::<Tile>().unwrap();
    for there in ["tile/8/0/002.p/188", "tile/8/0/002.p/7", "tile/8/1/000.p/2", "tile/8/1/000.p/1"] {
        assert_eq!(tiles.bytes_of(tile(there)), Some(bytes_of(&log, tile(there))), "{there}");
    }
    for not_there in ["tile/8/0/002.p/189", "tile/8/0/002", "tile/8/0/001", "tile/4/0/002.p/7", "tile/8/data/002.p/7"] {
        assert_eq!(tiles.bytes_of(tile(not_there)), None, "{not_there}");
    }
}

#[test]
fn an_empty_tree_has_one_root() {
    let tiles = Tiles::check(TreeHead::EMPTY, &[]).unwrap();
    assert_eq!(tiles.prefix_root(0), Ok(Hash::OF_NOTHING));
    let other = TreeHead { size: 0, root: Hash::of_record(b"") };
    assert_eq!(Tiles::check(other, &[]).unwrap_err(), TileError::Edge(other));
}

#[test]
fn tiles_that_prove_nothing_are_not_taken() {
    let log = log_of(700, "record");
    let plan = tiles_of_record(8, 700, 5);
    let good = fetch(&log, &plan);
    let tree = head(&log, 700);
    assert!(Tiles::check(tree, &good).is_ok());
    let reversed: Vec<_> = good.iter().rev().cloned().collect();
    assert!(Tiles::check(tree, &reversed).is_ok(), "the order does not matter");
    for left_out in 0..good.len() {
        let mut fewer = good.clone();
        let (tile, _) = fewer.remove(left_out);
        // Only the record's own tile is not needed for the others.
        let is_needed = tile.path() != "tile/8/0/000";
        assert_eq!(Tiles::check(tree, &fewer).is_err(), is_needed, "without {tile}");
    }
    let tile = |height, level, index, width| Tile { height, level, index, width };
    let zeros = |tile: Tile| (tile, Bytes::from(vec![0; usize::try_from(tile.bytes()).unwrap()]));
    for foreign in [
        tile(8, Level::Hashes(0), 3, 256),
        tile(8, Level::Hashes(0), 2, 256),
        tile(8, Level::Hashes(0), 1, 255),
        tile(8, Level::Hashes(0), u64::MAX, 1),
        tile(8, Level::Hashes(1), 0, 256),
        tile(8, Level::Hashes(2), 0, 1),
        tile(8, Level::Hashes(255), 0, 1),
        tile(8, Level::Records, 1, 256),
        tile(4, Level::Hashes(0), 0, 16),
    ] {
        let mut more = good.clone();
        more.push(zeros(foreign));
        assert_eq!(Tiles::check(tree, &more).unwrap_err(), TileError::Foreign(foreign, 700));
    }
    // A full tile of the tree that hangs under nothing that was checked.
    let mut twice = good.clone();
    twice.push(good[0].clone());
    assert_eq!(Tiles::check(tree, &twice).unwrap_err(), TileError::Foreign(good[0].0, 700));
    let unproven = tile(8, Level::Hashes(0), 1, 256);
    let mut more = good;
    more.push(zeros(unproven));
    assert_eq!(Tiles::check(tree, &more).unwrap_err(), TileError::Child(unproven));
}

#[test]
fn a_tile_whose_parent_is_missing_is_not_taken() {
    // Three levels: the record's tile hangs under a full one of the level above.
    let log = log_of(90, "record");
    let good = fetch(&log, &tiles_of_record(2, 90, 3));
    let paths: Vec<String> = good.iter().map(|(tile, _)| tile.path()).collect();
    assert_eq!(
        paths,
        [
            "tile/2/3/000.p/1",
            "tile/2/2/001.p/1",
            "tile/2/2/000",
            "tile/2/1/005.p/2",
            "tile/2/1/000",
            "tile/2/0/022.p/2",
            "tile/2/0/000"
        ]
    );
    for parent in ["tile/2/1/000", "tile/2/2/000"] {
        let fewer: Vec<_> = good.iter().filter(|(tile, _)| tile.path() != parent).cloned().collect();
        assert_eq!(Tiles::check(head(&log, 90), &fewer).unwrap_err(), TileError::Missing(parent.parse().unwrap()));
    }
}

#[test]
fn truncated_and_oversized_tiles_are_refused() {
    let log = log_of(700, "record");
    let good = fetch(&log, &tiles_of_record(8, 700, 5));
    for place in 0..good.len() {
        let (tile, bytes) = &good[place];
        let long = [&bytes[..], &[0; 32]].concat();
        for other in
            [&bytes[..0], &bytes[..bytes.len() - 1], &bytes[..bytes.len() - 32], &long[..bytes.len() + 1], &long]
        {
            let mut tiles = good.clone();
            tiles[place].1 = Bytes::copy_from_slice(other);
            let error = Tiles::check(head(&log, 700), &tiles).unwrap_err();
            assert_eq!(error, TileError::Length { tile: *tile, bytes: other.len() });
            assert!(error.to_string().starts_with("downloaded inconsistent tile"), "{error}");
        }
    }
}

#[test]
fn no_flipped_bit_of_any_tile_passes() {
    let log = log_of(90, "record");
    for (height, size, id) in [(1, 21, 7), (2, 90, 3), (2, 64, 63), (8, 90, 50)] {
        let good = fetch(&log, &tiles_of_record(height, size, id));
        for place in 0..good.len() {
            for byte in 0..good[place].1.len() {
                for bit in 0..8 {
                    let mut tiles = good.clone();
                    let mut bytes = tiles[place].1.to_vec();
                    bytes[byte] ^= 1 << bit;
                    tiles[place].1 = bytes.into();
                    let error = Tiles::check(head(&log, size), &tiles).unwrap_err();
                    assert!(matches!(error, TileError::Edge(_) | TileError::Child(_)), "{error}");
                }
            }
        }
    }
}

#[test]
fn no_other_root_and_no_other_size_passes() {
    let log = log_of(90, "record");
    for size in 1..=90 {
        let good = fetch(&log, &tiles_of_record(2, size, size / 2));
        let tree = head(&log, size);
        for bit in 0..256 {
            let mut root = *tree.root.as_bytes();
            root[bit / 8] ^= 1 << (bit % 8);
            let other = TreeHead { size, root: root.into() };
            assert_eq!(Tiles::check(other, &good).unwrap_err(), TileError::Edge(other));
        }
        for other in (1..=90).filter(|other| *other != size) {
            assert!(Tiles::check(TreeHead { size: other, ..tree }, &good).is_err(), "{size} as {other}");
        }
    }
}

#[test]
fn tiles_of_another_log_do_not_pass() {
    let (ours, theirs) = (log_of(700, "record"), log_of(700, "recorD"));
    let good = fetch(&ours, &tiles_of_record(8, 700, 5));
    for place in 0..good.len() {
        let mut tiles = good.clone();
        tiles[place].1 = bytes_of(&theirs, tiles[place].0);
        assert!(Tiles::check(head(&ours, 700), &tiles).is_err());
    }
    let all = fetch(&theirs, &tiles_of_record(8, 700, 5));
    assert_eq!(Tiles::check(head(&ours, 700), &all).unwrap_err(), TileError::Edge(head(&ours, 700)));
}

proptest! {
    #[test]
    fn any_tree_and_record_at_any_height(size in 1..2000_u64, id: u64, older: u64, height in 1..=10_u8) {
        thread_local!(static LOG: Log = log_of(2000, "record"));
        let (id, older) = (id % size, older % (size + 1));
        LOG.with(|log| {
            let mut plan = tiles_of_record(height, size, id);
            let tiles = Tiles::check(head(log, size), &fetch(log, &plan)).unwrap();
            assert_eq!(tiles.record_hash(id), Ok(record_hash(log, id)));
            // Both at once: plans of one tree can be put together.
            plan.extend(tiles_of_prefix(height, size, older));
            plan.sort();
            plan.dedup();
            let tiles = Tiles::check(head(log, size), &fetch(log, &plan)).unwrap();
            assert_eq!(tiles.record_hash(id), Ok(record_hash(log, id)));
            assert_eq!(tiles.prefix_root(older), Ok(Hash::from(log.root(older))));
        });
    }

    #[test]
    fn any_tiles_are_checked_without_a_panic(
        size in prop_oneof![0..600_u64, any::<u64>()],
        tiles in prop::collection::vec((prop_oneof![0..40_u8, any::<u8>()], any::<Option<u8>>(), any::<u64>(), 0..600_u32, 0..300_usize), 0..6),
    ) {
        let tiles: Vec<(Tile, Bytes)> = tiles
            .into_iter()
            .map(|(height, level, index, width, hashes)| {
                let level = level.map_or(Level::Records, Level::Hashes);
                (Tile { height, level, index: index >> (index % 64), width }, Bytes::from(vec![7; hashes * 32]))
            })
            .collect();
        for (tile, _) in &tiles {
            prop_assert_eq!(tile.is_full() && tile.height > 31, false, "{}", tile);
        }
        if let Err(error) = Tiles::check(TreeHead { size, root: Hash::OF_NOTHING }, &tiles) {
            prop_assert!(error.to_string().len() < 200, "{}", error);
        }
    }
}
