//! What others have signed and proven: answers of sum.golang.org of several years, and proofs of the Certificate Transparency
//! log Argon 2020 of Google, as they were given to clients.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tradewind_ledger::{Hash, NoteError, Record, TreeHead, Verifier, check_prefix, check_record, open_note};

const KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
const ORIGIN: &str = "go.sum database tree";

/// A lookup of 2026.
const CHI: &str = "60295460
github.com/go-chi/chi/v5 v5.3.2 h1:5YQkICvTCSZ25hoRsyJazN0scjzKGiu4VAUc7H1o1nY=
github.com/go-chi/chi/v5 v5.3.2/go.mod h1:R+tYY2hNuVUUjxoPtqUdgBqevM9s9njzkTLutVsOCto=

go.sum database tree
63096908
8lHrQPRYe4KT4WQ9/Qk8/taKnD6IRHbFgfN7vQE2Y54=

\u{2014} sum.golang.org Az3gri/oVBN1jAhNZ/iS+W31psFAWRT20/GyrhpU6taFwulQGetBkH5S7wpGXdS935jiIGiUUAXBVHzT/P6fYhqAmAk=
";

/// Heads of 2020 and 2023; the latter with cosignatures of a witness, by two algorithms.
const HEADS: [(&str, u64); 2] = [
    (
        "go.sum database tree
756113
k9nFMBuXq8uk+9SQNxs/Vadri2XDkaoo96u4uMa0qE0=

\u{2014} sum.golang.org Az3grgIHxiDLRpsKUElIX5vJMlFS79SqfQDSgHQmON922lNdJ5zxF8SSPPcah3jhIkpG8LSKNaWXiy7IldOSDCt4Pwk=
",
        756_113,
    ),
    (
        "go.sum database tree
15081221
BoMMe1wd25Tco0mYGROkyqxHZWx+hcSCtMV315Lu6Lg=

\u{2014} sum.golang.org Az3grilD7vQqTrv66jRgKM84Y80KTprrSt4bKmiOPxgmS5ZVBTeCl6dUvjYnN13R+C8j0jGY1WnUADGMkok3U0m2Zgo=
\u{2014} test.example.com qTGhC3917mAr6hGh+T55tNjxaej/D/GQivJZRIj7XGdAcQOTqfMWIPgp/v/904LEduN/h2sSRtHUJXUL4b9Gm7Bz4Qc=
\u{2014} test.example.com /Pa7Y/dUvWMAAAAAQVwkQVi81ArPV7BIaQYrMIxyzY0m8a4BdeeBhSKd3PviPK4/3Sd+NKSc5N7PDTCfAkUSVniN+R2oKIggA4iiDQ==
",
        15_081_221,
    ),
];

fn open(note: &[u8]) -> Result<TreeHead, NoteError> {
    let note = open_note(note, &[Verifier::parse(KEY).unwrap()])?;
    Ok(TreeHead::parse(&note.text, ORIGIN).unwrap())
}

#[test]
fn answers_of_the_checksum_database_open() {
    let record = Record::parse(CHI.as_bytes()).unwrap();
    assert_eq!(record.id, 60_295_460);
    assert_eq!(record.text.lines().count(), 2);
    let head = open(record.note).unwrap();
    assert_eq!(head.size, 63_096_908);
    assert_eq!(head.root.to_string(), "8lHrQPRYe4KT4WQ9/Qk8/taKnD6IRHbFgfN7vQE2Y54=");
    for (note, size) in HEADS {
        assert_eq!(open(note.as_bytes()).unwrap().size, size);
    }
}

#[test]
fn no_flipped_bit_of_a_signed_head_passes() {
    let note = Record::parse(CHI.as_bytes()).unwrap().note;
    for place in 0..note.len() {
        for bit in 0..8 {
            let mut altered = note.to_vec();
            altered[place] ^= 1 << bit;
            assert!(open(&altered).is_err(), "byte {place}, bit {bit}");
        }
    }
}

#[test]
fn the_head_of_another_note_under_the_signature_is_refused() {
    let [(first, _), (second, _)] = HEADS;
    let (text, _) = first.split_once("\n\n").unwrap();
    let (_, signatures) = second.split_once("\n\n").unwrap();
    let error = NoteError::Invalid { name: "sum.golang.org".to_owned(), hash: 0x033d_e0ae };
    assert_eq!(open(format!("{text}\n\n{signatures}").as_bytes()), Err(error));
    // The signature taken away, the cosignatures left.
    let stripped: String =
        second.lines().filter(|line| !line.contains("sum.golang.org")).map(|line| format!("{line}\n")).collect();
    assert_eq!(open(stripped.as_bytes()), Err(NoteError::Unverified));
}

fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().unwrap().iter().map(|hash| Hash::parse(hash.as_str().unwrap()).unwrap()).collect()
}

fn argon() -> TreeHead {
    TreeHead { size: 961_984_013, root: Hash::parse("dwlueapdd7LaOEnX2W2Wp9v2XE+KzejHRQGHwEx0oaM=").unwrap() }
}

#[test]
fn a_record_of_a_log_with_a_thousand_million_is_proven() {
    let entry: Value = serde_json::from_str(include_str!("../data/argon2020-entry.json")).unwrap();
    let proof: Value = serde_json::from_str(include_str!("../data/argon2020-proof.json")).unwrap();
    let leaf = STANDARD.decode(entry["entries"][0]["leaf_input"].as_str().unwrap()).unwrap();
    let path = hashes(&proof["audit_path"]);
    assert_eq!(check_record(&path, argon(), 10_000, Hash::of_record(&leaf)), Ok(()));
    assert!(check_record(&path, argon(), 10_001, Hash::of_record(&leaf)).is_err());
    assert!(check_record(&path, argon(), 10_000, Hash::of_record(&leaf[1..])).is_err());
    assert!(check_record(&path[1..], argon(), 10_000, Hash::of_record(&leaf)).is_err());
}

#[test]
fn the_beginning_of_a_log_with_a_thousand_million_is_proven() {
    let proof: Value = serde_json::from_str(include_str!("../data/argon2020-consistency.json")).unwrap();
    let proof = hashes(&proof["consistency"]);
    let root = Hash::parse("AuIZ5V6sDUj1vn3Y1K85oOaQ7y+FJJKtyRTl1edIKBQ=").unwrap();
    assert_eq!(check_prefix(&proof, TreeHead { size: 3_654_490, root }, argon()), Ok(()));
    assert!(check_prefix(&proof, TreeHead { size: 3_654_491, root }, argon()).is_err());
    assert!(check_prefix(&proof[1..], TreeHead { size: 3_654_490, root }, argon()).is_err());
}
