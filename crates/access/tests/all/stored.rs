//! The file of created keys as text.

use proptest::prelude::*;
use tradewind_access::{StoredKeys, StoredKeysError};
use tradewind_core::{Device, UnixMillis};
use tradewind_policy::{KeyTerms, MOST_KEYS, Period, Timestamp, Unpriced};

use crate::support::{FRIDAY, budget, stored};

#[test]
fn what_is_written_reads_back() {
    let mut keys = StoredKeys::default();
    keys.add(stored("plain", KeyTerms::default())).unwrap();
    let terms = KeyTerms {
        tenant: Some("build".to_owned()),
        role: Some("machine".to_owned()),
        region: Some("eu".to_owned()),
        device: Some(Device::Ci),
        tags: vec!["batch".to_owned()],
        allow: Some(vec!["models/*".to_owned()]),
        unpriced: Unpriced::Allow,
        rpm: Some(5),
        tpm: Some(6),
        expires: Some(Timestamp(FRIDAY)),
        ..budget(0.1, Period::Week)
    };
    keys.add(stored("full", terms)).unwrap();
    keys.revoke("plain", FRIDAY).unwrap();
    let text = keys.print();
    assert_eq!(StoredKeys::parse(&text).unwrap(), keys);
    assert!(text.ends_with("}\n") && !text.contains("tw-the-secret"), "{text}");
    assert_eq!(StoredKeys::parse(&StoredKeys::default().print()).unwrap(), StoredKeys::default());
}

#[test]
fn a_file_that_is_not_right_is_refused_whole() {
    let hash = "0".repeat(64);
    let key = |more: &str| format!(r#"{{"name": "a", "sha256": "{hash}", "created": "2026-11-20T00:00:00Z"{more}}}"#);
    let file = |keys: &str| format!(r#"{{"version": 1, "keys": [{keys}]}}"#);
    assert_eq!(StoredKeys::parse(&file(&key(""))).unwrap().keys().len(), 1);
    for (text, message) in [
        (String::new(), "not a file of keys: EOF while parsing a value at line 1 column 0"),
        (
            "[]".to_owned(),
            "not a file of keys: invalid length 0, expected struct Head with 1 element at line 1 column 2",
        ),
        (r#"{"keys": []}"#.to_owned(), "not a file of keys: missing field `version` at line 1 column 12"),
        (r#"{"version": 2, "keys": {}}"#.to_owned(), "the file has version 2, and this program reads version 1"),
        (file(&key(r#", "rmp": 5"#)), "not a file of keys: unknown field `rmp`, expected one of "),
        (file(&key(r#", "rpm": -5"#)), "not a file of keys: invalid value: integer `-5`"),
        (file(&key(r#", "rpm": 0"#)), "the key `a`: `rpm`: `rpm` is zero: nothing could be called"),
        (
            file(&key(r#", "allow": ["model/*"]"#)),
            "the key `a`: `allow[0]`: the pattern `model/*` does not begin with a door",
        ),
        (file(&key(r#", "tags": ["a", "a"]"#)), "the key `a`: `tags[1]`: the tag is there already"),
        (file(&key(r#", "device": "phone""#)), "not a file of keys: unknown variant `phone`, expected one of "),
        (file(&key(r#", "budget": {"usd": 1}"#)), "not a file of keys: missing field `per`"),
        (file(&key(r#", "expires": "soon""#)), "not a file of keys: invalid value: string \"soon\""),
        (file(&key("")).replace("\"a\"", "\"a b\""), "the key `a b`: `name`: a key's name has letters"),
        (file(&[key(""), key("")].join(",")), "there is a key named `a` already"),
        (file(&[key(""), key("").replace("\"a\"", "\"b\"")].join(",")), "the secret of `b` is another key's as well"),
        (file(&key("")).replace(&hash, &hash[1..]), "not a file of keys: invalid value: other text, expected the 64 "),
    ] {
        let error = StoredKeys::parse(&text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text}\n  {error}");
        assert!(!error.contains("000000"), "no hash is shown: {error}");
    }
}

#[test]
fn names_are_taken_until_they_are_revoked() {
    let mut keys = StoredKeys::default();
    keys.add(stored("a", KeyTerms::default())).unwrap();
    assert!(matches!(keys.add(stored("a", KeyTerms::default())), Err(StoredKeysError::NameTaken(_))));
    assert!(matches!(keys.revoke("b", FRIDAY), Err(StoredKeysError::Unknown(_))));
    keys.revoke("a", FRIDAY).unwrap();
    let again = keys.revoke("a", UnixMillis(FRIDAY.0 + 1)).unwrap_err();
    assert_eq!(again.to_string(), "the key `a` was revoked already, at 2026-11-20T00:00:00.000Z");
    assert!(matches!(keys.add(stored("a", KeyTerms::default())), Err(StoredKeysError::SecretTaken(_))));
    let mut other = stored("other", KeyTerms::default());
    other.name = "a".to_owned();
    keys.add(other).unwrap();
    assert_eq!(keys.keys().len(), 2);
    let mut bad = stored("c", KeyTerms::default());
    bad.name = "c/d".to_owned();
    assert!(matches!(keys.add(bad), Err(StoredKeysError::BadKey { .. })));
}

#[test]
fn when_there_are_too_many_the_one_revoked_first_is_forgotten() {
    let mut keys = StoredKeys::default();
    for number in 0..MOST_KEYS {
        keys.add(stored(&format!("k{number}"), KeyTerms::default())).unwrap();
    }
    assert!(matches!(keys.add(stored("more", KeyTerms::default())), Err(StoredKeysError::TooMany)));
    keys.revoke("k7", UnixMillis(FRIDAY.0 + 1)).unwrap();
    keys.revoke("k9", FRIDAY).unwrap();
    keys.add(stored("more", KeyTerms::default())).unwrap();
    assert_eq!(keys.keys().len(), MOST_KEYS);
    let gone = |name: &str| !keys.keys().iter().any(|key| key.name == name);
    assert!(gone("k9") && !gone("k7"));
    assert_eq!(StoredKeys::parse(&keys.print()).unwrap().keys().len(), MOST_KEYS);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = StoredKeys::parse(&text);
    }
}
