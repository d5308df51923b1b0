//! `tradewind key`: making, listing and revoking keys, with and without a running gateway.

use std::os::unix::fs::PermissionsExt;
use std::thread;

use serde_json::Value;

use crate::program::{Ended, Place};

fn key(place: &Place, arguments: &[&str]) -> Ended {
    place.tradewind(&[&["key"], arguments, &["--data-dir", "data"]].concat())
}

fn list(place: &Place) -> Vec<(String, String)> {
    let ended = key(place, &["list", "--json"]);
    let Value::Array(keys) = serde_json::from_str(&ended.stdout).unwrap() else { panic!("{}", ended.stdout) };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    keys.iter().map(|key| (text(&key["name"]), text(&key["state"]))).collect()
}

#[test]
fn a_key_is_made_listed_and_revoked() {
    let place = Place::new();
    let made = key(&place, &["create", "ci", "--usd", "50", "--per", "month", "--allow", "models/*"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let secret = made.stdout.trim_end();
    assert!(secret.starts_with("tw-") && secret.len() == 46 && !secret.contains(['+', '/', '=', '\n']), "{secret}");
    assert!(!made.stderr.contains(secret), "the secret is data");
    assert_eq!(
        made.stderr,
        "made the key `ci` in data/keys.json; its secret is shown this once
  may use   models/*
  budget    $50.00 a month; targets without a price do not answer it
a running gateway takes it within a second; from then on every call needs a key
"
    );
    let path = place.path().join("data/keys.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(secret) && text.contains("\"sha256\""), "{text}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let again = key(&place, &["create", "ci"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        again.stderr,
        "error: there is a key named `ci` already\n  = hint: choose another name, or revoke it first with `tradewind \
         key revoke ci`\n"
    );
    let json = key(&place, &["create", "ann", "--json", "--expires", "30d", "--rpm", "5"]);
    let made: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((made["name"].as_str(), made["rpm"].as_u64()), (Some("ann"), Some(5)));
    assert!(made["secret"].as_str().unwrap().starts_with("tw-"));

    let revoked = key(&place, &["revoke", "ci"]);
    assert_eq!(revoked.stderr, "revoked the key `ci`; a running gateway refuses it within a second\n");
    assert!(key(&place, &["revoke", "ci"]).stderr.starts_with("error: the key `ci` was revoked already, at 2"));
    assert_eq!(
        key(&place, &["revoke", "an"]).stderr,
        "error: there is no key named `an`\n  = hint: did you mean `ann`?\n"
    );
    key(&place, &["create", "ci"]);
    let states = [("ci", "revoked"), ("ann", "valid"), ("ci", "valid")];
    assert_eq!(list(&place), states.map(|(name, state)| (name.to_owned(), state.to_owned())));
}

#[test]
fn what_cannot_be_a_key_is_refused_and_nothing_is_written() {
    let place = Place::new();
    for (arguments, said) in [
        (&["create", "a/b"][..], "error: a key's name has letters, digits, dots, hyphens and underscores only"),
        (&["create", "a", "--allow", "model/x"], "error: --allow: the pattern `model/x` does not begin with a door"),
        (&["create", "a", "--rpm", "0"], "error: --rpm: `rpm` is zero"),
        (&["create", "a", "--usd", "0", "--per", "day"], "error: --usd 0: a budget is more than nothing"),
        (&["create", "a", "--usd", "nan", "--per", "day"], "error: --usd NaN: a budget is more than nothing"),
        (&["create", "a", "--expires", "30"], "error: --expires `30` is not understood"),
        (&["revoke", "a"], "error: there is no key named `a`"),
    ] {
        let ended = key(&place, arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(ended.stderr.starts_with(said), "{arguments:?}: {}", ended.stderr);
    }
    for arguments in [&["create", "a", "--usd", "5"][..], &["create", "a", "--per", "day"], &["create"], &["revoke"]] {
        assert_eq!(key(&place, arguments).code, Some(2), "{arguments:?}");
    }
    assert!(!place.path().join("data").exists());
    assert_eq!(key(&place, &["list"]).stderr, "there are no keys; `tradewind key create NAME` makes one\n");
}

#[test]
fn keys_of_the_configuration_are_listed_and_stay_there() {
    let place = Place::new();
    place.file("tradewind.yaml", "data-dir: data\nkeys: [{name: ann, secret: tw-0123456789abcdef}]\n");
    let made = place.tradewind(&["key", "create", "ann"]);
    assert_eq!(made.stderr, "error: the key `ann` is in tradewind.yaml already\n  = hint: choose another name\n");
    let made = place.tradewind(&["key", "create", "bob"]);
    assert!(made.stderr.ends_with("a running gateway takes it within a second\n"), "{}", made.stderr);
    assert!(place.path().join("data/keys.json").exists());
    let revoked = place.tradewind(&["key", "revoke", "ann"]);
    assert_eq!(
        revoked.stderr,
        "error: the key `ann` is in the configuration\n  = hint: take its entry out of `keys` in tradewind.yaml: a \
         running gateway sees it within a second\n"
    );
    let listed = place.tradewind(&["key", "list"]).stdout;
    assert!(listed.contains("ann   valid  configuration") && listed.contains("bob   valid  created"), "{listed}");
    assert!(!listed.contains("0123456789"), "{listed}");
}

#[test]
fn keys_that_are_made_at_once_are_all_there() {
    let place = Place::new();
    thread::scope(|scope| {
        for number in 0..8 {
            let place = &place;
            scope.spawn(move || {
                let made = key(place, &["create", &format!("k{number}")]);
                assert_eq!(made.code, Some(0), "{}", made.stderr);
            });
        }
    });
    assert_eq!(list(&place).len(), 8);
}

#[test]
fn a_broken_file_is_left_alone() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("data")).unwrap();
    let path = place.file("data/keys.json", "{\"version\": 1, \"keys\": [");
    for arguments in [&["create", "a"][..], &["list"], &["revoke", "a"]] {
        let ended = key(&place, arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(
            ended.stderr,
            "error[TW4001]: data/keys.json: not a file of keys: EOF while parsing a list at line 1 column 24\n  = hint: \
             put back an earlier copy, or delete the file and make the keys again with `tradewind key create`\n"
        );
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"version\": 1, \"keys\": [");
}
