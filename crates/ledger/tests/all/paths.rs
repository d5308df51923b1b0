//! Paths of tiles.

use proptest::prelude::*;
use tradewind_ledger::{Level, Tile};

const fn hashes(height: u8, level: u8, index: u64, width: u32) -> Tile {
    Tile { height, level: Level::Hashes(level), index, width }
}

#[test]
fn paths_are_written_and_read() {
    for (path, tile) in [
        ("tile/4/0/001", hashes(4, 0, 1, 16)),
        ("tile/4/0/001.p/5", hashes(4, 0, 1, 5)),
        ("tile/3/5/x123/x456/078", hashes(3, 5, 123_456_078, 8)),
        ("tile/3/5/x123/x456/078.p/2", hashes(3, 5, 123_456_078, 2)),
        ("tile/1/0/x003/x057/500", hashes(1, 0, 3_057_500, 2)),
        ("tile/8/0/x001/234.p/5", hashes(8, 0, 1234, 5)),
        ("tile/8/0/999", hashes(8, 0, 999, 256)),
        ("tile/8/0/x001/000", hashes(8, 0, 1000, 256)),
        ("tile/8/7/000.p/1", hashes(8, 7, 0, 1)),
        ("tile/30/1/007.p/1073741823", hashes(30, 1, 7, (1 << 30) - 1)),
        ("tile/1/data/x003/x057/500", Tile { height: 1, level: Level::Records, index: 3_057_500, width: 2 }),
        ("tile/8/data/000.p/255", Tile { height: 8, level: Level::Records, index: 0, width: 255 }),
    ] {
        assert_eq!(tile.path(), path);
        assert_eq!(path.parse(), Ok(tile));
    }
}

#[test]
fn other_spellings_are_refused() {
    for path in [
        "",
        "tile",
        "tile/8/0",
        "tile/8/0/",
        "/tile/8/0/000",
        "tile/8/0/000/",
        "tile//0/000",
        "tile/8//000",
        "tile/3/5/123/456/078",
        "tile/3/-1/123/456/078",
        "tile/8/0/0",
        "tile/8/0/0000",
        "tile/8/0/x000/000",
        "tile/8/0/x001/x234",
        "tile/8/0/1234",
        "tile/8/0/x1/234",
        "tile/8/0/x0001/234",
        "tile/8/0/+01",
        "tile/8/0/-01",
        "tile/8/0/ 01",
        "tile/8/0/0x1",
        "tile/8/0/000.p",
        "tile/8/0/000.p/",
        "tile/8/0/000.p/0",
        "tile/8/0/000.p/256",
        "tile/8/0/000.p/257",
        "tile/8/0/000.p/05",
        "tile/8/0/000.p/+5",
        "tile/8/0/000.p/5/",
        "tile/8/0/000.p/5.p/5",
        "tile/8/0/x000.p/001",
        "tile/08/0/000",
        "tile/8/00/000",
        "tile/+8/0/000",
        "tile/0/0/000",
        "tile/31/0/000",
        "tile/8/8/000",
        "tile/8/64/000",
        "tile/8/256/000",
        "tile/8/data/../000",
        "tile/8/0/..",
        "tile/8/Data/000",
        "tile/8/entries/000",
        // Beyond the largest tree.
        "tile/8/7/x001/000",
        "tile/1/0/x009/x223/x372/x036/x854/x775/808",
        "tile/8/0/x999/x999/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/8/0/\u{664}\u{664}\u{664}",
    ] {
        assert!(path.parse::<Tile>().is_err(), "{path}");
    }
    let error = "x".repeat(1000).parse::<Tile>().unwrap_err().to_string();
    assert!(error.len() < 100, "what is shown is bounded: {error}");
}

#[test]
fn full_and_partial_tiles_know_their_sizes() {
    let partial = hashes(8, 0, 3, 5);
    assert!(!partial.is_full() && partial.full().is_full());
    assert_eq!((partial.bytes(), partial.full().bytes()), (160, 8192));
    assert_eq!(partial.full().full(), partial.full());
}

proptest! {
    #[test]
    fn any_path_that_is_read_is_written_the_same(path in "tile/[0-9]{1,2}/([0-9]{1,2}|data)/(x[0-9]{3}/){0,6}[0-9]{3}(\\.p/[0-9]{1,4})?") {
        if let Ok(tile) = path.parse::<Tile>() {
            prop_assert_eq!(tile.path(), path);
        }
    }

    #[test]
    fn any_tile_comes_back(height in 1..=30_u8, level in 0..4_u8, index in 0..1_u64 << 33, width in 1..=1_u32 << 30) {
        let tile = hashes(height, level, index, width.min(1 << height));
        if u32::from(height) * (u32::from(level) + 1) < 30 {
            prop_assert_eq!(tile.path().parse(), Ok(tile));
        }
    }
}
