//! Proofs without tiles: what is proven is accepted, and nothing else.

use bytes::Bytes;
use tradewind_ledger::{
    Hash, Level, ProofError, Tile, Tiles, TreeHead, check_prefix, check_record, tiles_of_prefix, tiles_of_record,
};

use crate::log::Log;
use crate::log_of;

fn head(log: &Log, size: u64) -> TreeHead {
    TreeHead { size, root: Hash::from(log.root(size)) }
}

fn checked(log: &Log, size: u64, plan: Vec<Tile>) -> Tiles {
    let bytes = |tile: &Tile| {
        let Level::Hashes(level) = tile.level else { panic!("{tile} has no hashes") };
        Bytes::from(log.tile(tile.height, level, tile.index, tile.width).unwrap())
    };
    let tiles: Vec<_> = plan.into_iter().map(|tile| (tile, bytes(&tile))).collect();
    Tiles::check(head(log, size), &tiles).unwrap()
}

/// Flips one bit of each hash in turn.
fn altered(proof: &[Hash]) -> impl Iterator<Item = Vec<Hash>> {
    (0..proof.len()).map(|place| {
        let mut other = proof.to_vec();
        let mut bytes = *other[place].as_bytes();
        bytes[place % 32] ^= 0x40;
        other[place] = bytes.into();
        other
    })
}

#[test]
fn prefixes_are_proven_with_the_tiles_that_show_them() {
    let log = log_of(70, "record");
    for size in 1..=70 {
        for older in 0..=size {
            let tiles = checked(&log, size, tiles_of_prefix(2, size, older));
            let proof = tiles.prefix_proof(older).unwrap();
            let (old, new) = (head(&log, older), head(&log, size));
            assert_eq!(check_prefix(&proof, old, new), Ok(()), "{older} of {size}");
            assert!(proof.len() <= 8);
            assert_eq!(proof.is_empty(), older == 0 || older == size);
            for bad in altered(&proof) {
                assert_eq!(check_prefix(&bad, old, new), Err(ProofError));
            }
            let longer = [&proof[..], &[Hash::OF_NOTHING]].concat();
            assert_eq!(check_prefix(&longer, old, new), Err(ProofError));
            if let [shorter @ .., _] = &proof[..] {
                assert_eq!(check_prefix(shorter, old, new), Err(ProofError));
            }
            let forged = TreeHead { root: Hash::of_record(b"forged"), ..old };
            assert_eq!(check_prefix(&proof, forged, new), Err(ProofError));
            let forged = TreeHead { root: Hash::of_record(b"forged"), ..new };
            assert_eq!(check_prefix(&proof, old, forged).is_ok(), older == 0, "nothing is the beginning of anything");
            if older < size {
                assert_eq!(check_prefix(&proof, new, old), Err(ProofError));
            }
        }
    }
    let tiles = checked(&log, 70, tiles_of_prefix(2, 70, 3));
    assert!(tiles.prefix_proof(71).is_err() && tiles.record_proof(70).is_err());
}

#[test]
fn records_are_proven_with_the_tiles_that_show_them() {
    let log = log_of(70, "record");
    for size in 1..=70 {
        for id in 0..size {
            let proof = checked(&log, size, tiles_of_record(2, size, id)).record_proof(id).unwrap();
            let (tree, record) = (head(&log, size), Hash::of_record(log.record(id).as_bytes()));
            assert_eq!(check_record(&proof, tree, id, record), Ok(()), "{id} of {size}");
            for bad in altered(&proof) {
                assert_eq!(check_record(&bad, tree, id, record), Err(ProofError));
            }
            for other in (0..=size).filter(|other| *other != id) {
                assert_eq!(check_record(&proof, tree, other, record), Err(ProofError), "{id} as {other} of {size}");
            }
            assert_eq!(check_record(&proof, tree, id, Hash::of_record(b"forged")), Err(ProofError));
            assert_eq!(check_record(&proof, TreeHead { root: record, ..tree }, id, record).is_ok(), size == 1);
        }
    }
    assert_eq!(ProofError.to_string(), "invalid transparency proof");
}
