//! The whole way of a check, from the answer of a lookup to the hash of its record.

use bytes::Bytes;
use tradewind_ledger::{Level, Record, Tile, Tiles, TreeHead, Verifier, open_note, tiles_of_record};

use crate::log::{Log, Signer};
use crate::log_of;

/// Whether a lookup's answer, with these tiles, shows that its record is in the log.
fn shows(answer: &[u8], key: &str, tiles: impl Fn(Tile) -> Option<Vec<u8>>) -> bool {
    let verifier = [Verifier::parse(key).unwrap()];
    let Ok(record) = Record::parse(answer) else { return false };
    let Ok(note) = open_note(record.note, &verifier) else { return false };
    let Ok(head) = TreeHead::parse(&note.text, "go.sum database tree") else { return false };
    let tiles: Option<Vec<(Tile, Bytes)>> = tiles_of_record(Tile::HEIGHT, head.size, record.id)
        .into_iter()
        .map(|tile| tiles(tile).map(|bytes| (tile, bytes.into())))
        .collect();
    let Some(tiles) = tiles else { return false };
    Tiles::check(head, &tiles).is_ok_and(|tiles| tiles.record_hash(record.id) == Ok(record.hash()))
}

#[test]
fn an_answer_is_shown_by_its_log_and_by_nothing_else() {
    let signer = Signer::new("sum.example.com", [3; 32]);
    let (ours, theirs) = (log_of(300, "record"), log_of(300, "other"));
    let key = signer.verifier();
    let of = |log: &Log, tile: Tile| match tile.level {
        Level::Hashes(level) => log.tile(tile.height, level, tile.index, tile.width),
        Level::Records => None,
    };
    for size in [1, 2, 3, 255, 256, 257, 300] {
        for id in [0, size / 2, size - 1] {
            let answer = ours.answer(&signer, size, id);
            assert!(shows(&answer, &key, |tile| of(&ours, tile)), "{id} of {size}");
            assert!(!shows(&answer, &key, |tile| of(&theirs, tile)));
            assert!(!shows(&answer, &key, |_| None));
            let stranger = Signer::new("sum.example.com", [4; 32]);
            assert!(!shows(&answer, &stranger.verifier(), |tile| of(&ours, tile)));
            // The head of one log over the record of the other.
            let record = format!("{id}\n{}\n", theirs.record(id));
            let mixed = [record.as_bytes(), &signer.sign(&ours.head(size))].concat();
            assert!(!shows(&mixed, &key, |tile| of(&ours, tile)));
        }
    }
}

#[test]
fn no_flipped_bit_of_an_answer_passes() {
    let signer = Signer::new("sum.example.com", [3; 32]);
    let log = log_of(300, "record");
    let honest = log.answer(&signer, 300, 41);
    for bit in 0..honest.len() * 8 {
        let mut answer = honest.clone();
        answer[bit / 8] ^= 1 << (bit % 8);
        let tiles = |tile: Tile| match tile.level {
            Level::Hashes(level) => log.tile(tile.height, level, tile.index, tile.width),
            Level::Records => None,
        };
        assert!(!shows(&answer, &signer.verifier(), tiles), "bit {bit}");
    }
}
