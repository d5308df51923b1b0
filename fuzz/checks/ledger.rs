//! What has to hold for any bytes at all that come from a checksum database. A broken rule is a panic.

use tradewind_ledger::{
    Hash, Level, Record, Tile, Tiles, TreeHead, Verifier, open_note, tiles_of_prefix, tiles_of_record,
};

/// Of the notes among the seeds.
const KEYS: [&str; 2] = [
    "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
];

/// A signed note, and a tree head in it. Also a verifier key.
pub(crate) fn note(bytes: &[u8]) {
    let keys = KEYS.map(|key| Verifier::parse(key).expect("it is one"));
    if let Ok(note) = open_note(bytes, &keys) {
        // Nobody without the key can have signed another text: it is one of the seeds.
        assert!(bytes.starts_with(note.text.as_bytes()), "the text is what stands before the signatures");
        assert!(note.text.starts_with("go.sum database tree\n") || note.text.starts_with("If you think cryptography"));
        assert!(open_note(bytes, &keys[..0]).is_err(), "nobody is known");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (origin, _) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(head) = TreeHead::parse(text, origin) {
        assert!(text.starts_with(&format!("{origin}\n{}\n{}\n", head.size, head.root)), "one spelling");
    }
    if let Ok(key) = Verifier::parse(text) {
        assert!(key.to_string().eq_ignore_ascii_case(text), "one spelling, but for the hexadecimal digits");
    }
}

/// The answer to a lookup.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(record) = Record::parse(bytes) else { return };
    let written = [format!("{}\n{}\n", record.id, record.text).as_bytes(), record.note].concat();
    assert_eq!(written, bytes, "one spelling");
    assert!(!record.text.contains("\n\n") && record.text.ends_with('\n') && !record.text.starts_with('\n'));
    assert_eq!(record.hash(), Hash::of_record(record.text.as_bytes()));
    // More bytes behind it change nothing about the record.
    let longer = [bytes, b"\n\n"].concat();
    let again = Record::parse(&longer).expect("it was one");
    assert_eq!((again.id, again.text), (record.id, record.text));
}

/// The path of a tile; and the first bytes as the sizes of two trees, whose tiles are then nothing but the rest.
pub(crate) fn tile(bytes: &[u8]) {
    if let Ok(path) = std::str::from_utf8(bytes)
        && let Ok(tile) = path.parse::<Tile>()
    {
        assert_eq!(tile.path(), path, "one spelling");
        assert!((1..=Tile::MAX_HEIGHT).contains(&tile.height) && tile.width >= 1 && tile.width <= tile.full().width);
    }
    let Some((sizes, data)) = bytes.split_first_chunk::<17>() else { return };
    let number = |at: usize| u64::from_be_bytes(sizes[at..at + 8].try_into().expect("eight bytes"));
    let (size, id, height) = (number(0), number(8), 1 + sizes[16] % Tile::MAX_HEIGHT);
    let head = TreeHead { size: size & TreeHead::MAX_SIZE, root: Hash::of_record(data) };
    for plan in [tiles_of_record(height, head.size, id), tiles_of_prefix(height, head.size, id)] {
        assert!(plan.len() <= 2 * 64, "{} tiles", plan.len());
        for tile in &plan {
            assert!(matches!(tile.level, Level::Hashes(_)));
            assert_eq!(tile.path().parse(), Ok(*tile), "a tile of a tree has a path");
        }
        let bytes = bytes::Bytes::copy_from_slice(data);
        let tiles: Vec<_> = plan.iter().map(|tile| (*tile, bytes.clone())).collect();
        assert!(Tiles::check(head, &tiles).is_err(), "the hash of a record is no root");
    }
}
