//! What has to hold for any bytes at all that are to change a kept value, or to open one. A broken rule is a panic.

use serde_json::Value;
use tradewind_core::Secret;
use tradewind_store::change::{
    DisjointJson, Format, MAX_CONFLICTS, MergeError, Merger, Patch, Sides, append, check_json, diff,
};
use tradewind_store::handoff::{MAX_TOKEN, Signer};
use tradewind_store::seal::{KeyRecord, MasterKey, Masters, Place, Sealer};
use tradewind_store::{Key, Namespace, Rev, TokenRefusal};

const LIMIT: usize = 64 * 1024;

/// A document, a byte 0x1e, and a JSON Patch, an addition, or another document.
pub(crate) fn change(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == 0x1e).unwrap_or(bytes.len());
    let (document, change) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    // What is no JSON is survived; nothing is said about what comes out.
    let is_json = check_json(document).is_ok();
    if let Ok(patch) = Patch::parse(change) {
        let patched = patch.apply(document, LIMIT);
        if let (true, Ok(patched)) = (is_json, &patched) {
            assert!(patched.len() <= LIMIT, "a limit is a limit");
            check_json(patched).expect("JSON stays JSON");
            between(document, patched);
        }
        if patch.is_empty() && is_json {
            assert_eq!(patched.as_deref(), Ok(document), "nothing changes nothing");
        }
    }
    if let Ok(tail) = append(Format::Json, document, change, LIMIT) {
        let whole = tail.on(document);
        assert!(whole.starts_with(&document[..tail.keep]) && whole.len() <= LIMIT);
        if is_json {
            check_json(&whole).expect("JSON stays JSON");
            between(document, &whole);
        }
    }
    between(document, change);
}

/// The difference of two documents, and merges with them.
fn between(from: &[u8], to: &[u8]) {
    let difference = diff(from, to);
    let sides = Sides { base: b"{}", head: from, new: to, limit: 2 * LIMIT };
    let merged = DisjointJson.merge(sides);
    if check_json(from).is_err() || check_json(to).is_err() {
        return;
    }
    let difference = difference.expect("both are JSON");
    let patch = Patch::parse(difference.as_bytes()).expect("a difference is a patch");
    let there = patch.apply(from, usize::MAX).expect("and it fits");
    check_json(&there).expect("JSON stays JSON");
    assert_eq!(diff(&there, to).as_deref(), Ok("[]"), "nothing is left to be done");
    // The oracle reads no number that is out of bounds.
    if let (Ok(there), Ok(to)) = (serde_json::from_slice::<Value>(&there), serde_json::from_slice::<Value>(to)) {
        assert_eq!(there, to, "it is what the difference led to");
    }
    if let Err(MergeError::Conflicts(conflicts)) = &merged {
        assert!((1..=MAX_CONFLICTS).contains(&conflicts.paths.len()));
    }
    // Where one side has changed nothing, the other's is what comes out.
    for (head, new) in [(from, to), (to, from)] {
        let merged =
            DisjointJson.merge(Sides { base: from, head, new, limit: LIMIT }).expect("nothing to quarrel about");
        assert_eq!(diff(&merged, to).as_deref(), Ok("[]"));
    }
}

/// A hand-off token.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let ours = Signer::new(&Secret::new([7; 32]));
    match ours.read(text) {
        Ok(token) => {
            assert!(text.len() <= MAX_TOKEN);
            assert_eq!(ours.write(&token), text, "one spelling");
        }
        Err(refusal) => assert_eq!(refusal, TokenRefusal::Forged),
    }
    assert_eq!(Signer::new(&Secret::new([8; 32])).read(text), Err(TokenRefusal::Forged), "another store's");
}

/// The record of a data key, and a sealed body.
pub(crate) fn sealed(bytes: &[u8]) {
    let master = MasterKey::new("fuzz", &[200; 32]).expect("32 bytes");
    let sealer = Sealer::new(Masters::new(master, Vec::new()).expect("one key"));
    let namespace = Namespace::parse("fuzz").expect("a name");
    if let Ok(record) = KeyRecord::decode(bytes) {
        assert_eq!(KeyRecord::decode(&record.encode()).as_ref(), Ok(&record));
    }
    let _ = sealer.admit(&namespace, bytes);
    // The same data key each time, so that a header can be found.
    let record = br#"{"version":1,"master":"fuzz","wrapped":"Eox38nhS3YFQ+VUEdnpSCbwHflW9ynO8/8pjCb78cxPb9s/VTPIWaC5Xbg5oQtiY87oMLzqgHgEJ5hubLfo+ofpSTP1bjtrG"}"#;
    let data = sealer.admit(&namespace, record).expect("it was wrapped with this key");
    let key = Key::parse("fuzz", "key").expect("a name");
    let place = Place::Body { key: &key, rev: Rev::FIRST };
    if let Ok(plain) = data.open(place, bytes) {
        assert_eq!(&plain[..], b"state", "nobody without the key has sealed another");
    }
    let again = data.seal(place, bytes).expect("the system has random bytes");
    assert_eq!(data.open(place, &again).as_deref(), Ok(bytes));
}
