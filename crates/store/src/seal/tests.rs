//! What has to hold of seals.

use proptest::prelude::*;

use super::*;
use crate::name::Rev;
use crate::record::PieceId;

fn master(id: &str, byte: u8) -> MasterKey {
    MasterKey::new(id, &[byte; 32]).unwrap()
}

fn sealer(current: MasterKey, previous: Vec<MasterKey>) -> Sealer {
    Sealer::new(Masters::new(current, previous).unwrap())
}

fn namespace(name: &str) -> Namespace {
    Namespace::parse(name).unwrap()
}

fn key(namespace: &str, name: &str) -> Key {
    Key::parse(namespace, name).unwrap()
}

fn rev(number: u64) -> Rev {
    Rev::new(number).unwrap()
}

#[test]
fn a_body_opens_in_its_place_alone() {
    let sealer = sealer(master("one", 200), vec![]);
    let chats = namespace("chats");
    let data = sealer.admit(&chats, &sealer.fresh(&chats).unwrap()).unwrap();
    let home = key("chats", "a/b");
    let place = Place::Body { key: &home, rev: rev(7) };
    let sealed = data.seal(place, b"state").unwrap();
    assert_eq!(sealed.len(), 5 + OVERHEAD);
    assert_eq!(&data.open(place, &sealed).unwrap()[..], b"state");

    let others = [(key("chats", "a/b"), 8), (key("chats", "a/c"), 7), (key("chat", "a/b"), 7)];
    for (key, number) in &others {
        let elsewhere = Place::Body { key, rev: rev(*number) };
        assert_eq!(data.open(elsewhere, &sealed), Err(SealError::Damaged("a body")), "{key} {number}");
    }
    let id = PieceId([1; 32]);
    let piece = Place::Piece { namespace: &chats, id: &id };
    assert_eq!(data.open(piece, &sealed), Err(SealError::Damaged("a piece")));
    let sealed = data.seal(piece, b"piece").unwrap();
    assert_eq!(&data.open(piece, &sealed).unwrap()[..], b"piece");
    let elsewhere = Place::Piece { namespace: &chats, id: &PieceId([2; 32]) };
    assert_eq!(data.open(elsewhere, &sealed), Err(SealError::Damaged("a piece")));
}

#[test]
fn every_byte_of_a_sealed_body_counts() {
    let sealer = sealer(master("one", 200), vec![]);
    let chats = namespace("chats");
    let data = sealer.admit(&chats, &sealer.fresh(&chats).unwrap()).unwrap();
    let home = key("chats", "a");
    let place = Place::Body { key: &home, rev: rev(1) };
    for plain in [&b""[..], b"state"] {
        let sealed = data.seal(place, plain).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            let error = data.open(place, &changed).unwrap_err();
            match at {
                0 => assert_eq!(error, SealError::Version(0)),
                1..9 => assert!(matches!(error, SealError::OtherKey { .. }), "{at}"),
                _ => assert_eq!(error, SealError::Damaged("a body"), "{at}"),
            }
            assert_eq!(data.open(place, &sealed[..at]), Err(SealError::Damaged("a body")), "cut at {at}");
        }
        assert_eq!(data.open(place, &[&sealed[..], b"x"].concat()), Err(SealError::Damaged("a body")));
    }
}

#[test]
fn one_content_is_never_sealed_the_same_twice_and_its_name_is_of_the_namespace() {
    let sealer = sealer(master("one", 200), vec![]);
    let admit = |name: &str| sealer.admit(&namespace(name), &sealer.fresh(&namespace(name)).unwrap()).unwrap();
    let (chats, notes) = (admit("chats"), admit("notes"));
    let home = key("chats", "a");
    let place = Place::Body { key: &home, rev: rev(1) };
    assert_ne!(chats.seal(place, b"state").unwrap(), chats.seal(place, b"state").unwrap());
    assert_eq!(chats.piece_id(b"piece"), chats.piece_id(b"piece"));
    assert_ne!(chats.piece_id(b"piece"), notes.piece_id(b"piece"));
    assert_ne!(chats.piece_id(b"piece").0, crate::name::Hash::of(b"piece").0);
    let sealed = chats.seal(place, b"state").unwrap();
    let error = notes.open(place, &sealed).unwrap_err();
    assert_eq!(error, SealError::OtherKey { found: chats.id(), known: notes.id() });
}

#[test]
fn a_new_master_key_rewraps_the_data_key_and_nothing_else() {
    let chats = namespace("chats");
    let home = key("chats", "a");
    let place = Place::Body { key: &home, rev: rev(1) };
    let before = sealer(master("old", 200), vec![]);
    let record = before.fresh(&chats).unwrap();
    let sealed = before.admit(&chats, &record).unwrap().seal(place, b"state").unwrap();
    assert_eq!(before.rewrap(&chats, &record), Ok(None), "it is the current one's already");

    let both = sealer(master("new", 201), vec![master("old", 200)]);
    let rewrapped = both.rewrap(&chats, &record).unwrap().expect("it was another's");
    assert_eq!(&both.admit(&chats, &record).unwrap().open(place, &sealed).unwrap()[..], b"state");
    assert_eq!(both.rewrap(&chats, &rewrapped), Ok(None));

    let after = sealer(master("new", 201), vec![]);
    let error = after.admit(&chats, &record).unwrap_err();
    assert_eq!(error, SealError::NoMaster { namespace: chats.clone(), master: "old".to_owned() });
    assert!(after.data_key(&chats).is_none());
    assert_eq!(&after.admit(&chats, &rewrapped).unwrap().open(place, &sealed).unwrap()[..], b"state");
    assert!(after.data_key(&chats).is_some());
}

#[test]
fn a_wrapped_key_is_of_its_namespace_and_its_master() {
    let one = sealer(master("one", 200), vec![]);
    let record = one.fresh(&namespace("chats")).unwrap();
    let damaged = SealError::Damaged("a wrapped data key");
    assert_eq!(one.admit(&namespace("notes"), &record).unwrap_err(), damaged);
    let same_name = sealer(master("one", 201), vec![]);
    assert_eq!(same_name.admit(&namespace("chats"), &record).unwrap_err(), damaged);
    let text = String::from_utf8(record).unwrap();
    for (from, to, error) in [
        ("\"version\":1", "\"version\":2", SealError::Version(2)),
        ("\"wrapped\":\"", "\"wrapped\":\"A", damaged.clone()),
        ("\"wrapped\":\"", "\"wrapped\":\"!", damaged.clone()),
        ("{", "{\"more\":1,", damaged.clone()),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_eq!(one.admit(&namespace("chats"), changed.as_bytes()).unwrap_err(), error, "{to}");
    }
    let padded = format!("{text}{}", " ".repeat(MAX_KEY_RECORD));
    assert_eq!(one.admit(&namespace("chats"), padded.as_bytes()).unwrap_err(), damaged);
}

#[test]
fn a_master_key_is_32_random_bytes() {
    let bytes: Vec<u8> = (0..32).map(|number| number * 7 + 3).collect();
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
    let upper = hexadecimal.to_uppercase();
    for form in [bytes.clone(), hexadecimal.clone().into(), upper.into(), format!(" {base64}\r\n").into(), url.into()] {
        assert_eq!(MasterKey::new("k", &form).unwrap().secret()[..], bytes[..], "{form:?}");
    }
    let error = |bytes: &[u8]| MasterKey::new("k", bytes).unwrap_err();
    assert_eq!(error(b"correct horse battery staple 123"), SealError::Password);
    assert_eq!(error(b"correct horse battery staple 123\n"), SealError::Password);
    for bad in [&b""[..], b"secret", &bytes[..31], &hexadecimal.as_bytes()[..63], "g".repeat(64).as_bytes()] {
        assert_eq!(error(bad), SealError::BadMaster, "{bad:?}");
    }
    for bad in ["", "a b", "a/b", "é", &"a".repeat(65)] {
        assert_eq!(MasterKey::new(bad, &bytes).unwrap_err(), SealError::BadMasterId, "{bad}");
    }
    let twice = Masters::new(master("a", 200), vec![master("b", 201), master("a", 202)]);
    assert_eq!(twice.unwrap_err(), SealError::SameMasterId("a".to_owned()));
}

#[test]
fn no_secret_is_printed() {
    let sealer = sealer(MasterKey::new("k", &[0xab; 32]).unwrap(), vec![]);
    let chats = namespace("chats");
    sealer.admit(&chats, &sealer.fresh(&chats).unwrap()).unwrap();
    let printed = format!("{sealer:?}");
    assert!(printed.contains("MasterKey(k)") && printed.contains("DataKey("), "{printed}");
    assert!(!printed.contains("171") && !printed.contains("abab"), "{printed}");
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        plain in proptest::collection::vec(any::<u8>(), 0..3000),
        secret in any::<[u8; 32]>(),
        number in 1..u64::MAX / 2,
    ) {
        let data = DataKey::new(&Secret::new(secret));
        let home = key("n", "k");
        let place = Place::Body { key: &home, rev: rev(number) };
        let sealed = data.seal(place, &plain).unwrap();
        prop_assert_eq!(&data.open(place, &sealed).unwrap()[..], &plain[..]);
    }

    #[test]
    fn bytes_from_elsewhere_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), own in any::<bool>()) {
        let data = DataKey::new(&Secret::new([1; 32]));
        let bytes = if own { [&[1][..], &data.id().0, &bytes].concat() } else { bytes };
        let home = key("n", "k");
        let place = Place::Body { key: &home, rev: rev(1) };
        prop_assert!(data.open(place, &bytes).is_err());
        prop_assert!(KeyRecord::decode(&bytes).is_err());
    }
}
