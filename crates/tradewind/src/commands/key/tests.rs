//! What is said about keys, word by word.

use std::path::Path;

use insta::assert_snapshot;
use tradewind_access::StoredKey;
use tradewind_core::{Device, UnixMillis};
use tradewind_policy::{Amount, Budget, KeyHash, KeyTerms, Period, Problems, Root, Shared, Timestamp, Unpriced};

use super::create::{expires, said};
use super::{Keys, print};
use crate::caller_keys::KeysFile;

/// 2026-11-20T00:00:00Z
const NOW: UnixMillis = UnixMillis(1_795_132_800_000);

fn full() -> StoredKey {
    let terms = KeyTerms {
        tenant: Some("build".to_owned()),
        role: Some("machine".to_owned()),
        region: Some("eu".to_owned()),
        device: Some(Device::Ci),
        tags: vec!["batch".to_owned(), "nightly".to_owned()],
        allow: Some(vec!["models/*".to_owned(), "control/read".to_owned()]),
        budget: Some(Budget { usd: Amount(50.0), per: Period::Month }),
        unpriced: Unpriced::Refuse,
        rpm: Some(600),
        tpm: Some(200_000),
        expires: Some(Timestamp(UnixMillis(NOW.0 + 86_400_000))),
    };
    StoredKey::new("ci-build", KeyHash::of(b"one"), NOW, terms)
}

fn keys() -> Keys {
    let created = KeysFile::of(Path::new("/srv/tradewind"));
    Keys { created, document: Vec::new(), name: "tradewind.yaml".to_owned() }
}

#[test]
fn a_new_key_says_what_it_may() {
    assert_snapshot!(said(&full(), &keys(), false), @"
    made the key `ci-build` in /srv/tradewind/keys.json; its secret is shown this once
      may use   models/* control/read
      caller    tenant build, role machine, region eu, device ci, tags batch nightly
      budget    $50.00 a month; targets without a price do not answer it
      requests  600 a minute
      tokens    200000 a minute
      expires   2026-11-21 00:00Z
    a running gateway takes it within a second
    ");
    let plain = StoredKey::new("plain", KeyHash::of(b"two"), NOW, KeyTerms::default());
    assert_snapshot!(said(&plain, &keys(), true), @"
    made the key `plain` in /srv/tradewind/keys.json; its secret is shown this once
      may use   everything but control
    a running gateway takes it within a second; from then on every call needs a key
    ");
}

#[test]
fn the_list_shows_everything_but_the_secret() {
    let yaml = "keys: [{name: ann, secret: tw-0123456789abcdef, tenant: crew, budget: {usd: 0.005, per: total}, \
                unpriced: allow}]";
    let mut problems = Problems::new();
    let shared = Shared::decode(&Root::parse(yaml, &|_| None, &[], &mut problems), &mut problems);
    assert!(problems.is_empty());
    let mut revoked = StoredKey::new("old", KeyHash::of(b"three"), NOW, KeyTerms::default());
    revoked.revoked = Some(Timestamp(NOW));
    let later = UnixMillis(NOW.0 + 86_400_000);
    let rows = [
        print::Row::document(&shared.keys[0], later),
        print::Row::created(&full(), later),
        print::Row::created(&revoked, later),
    ];
    assert_snapshot!(print::table(&rows), @"
    NAME      STATE    FROM           TENANT  BUDGET          RPM  TPM     EXPIRES            MAY USE
    ann       valid    configuration  crew    $0.005 in all   -    -       -                  everything but control
    ci-build  expired  created        build   $50.00 a month  600  200000  2026-11-21 00:00Z  models/* control/read
    old       revoked  created        -       -               -    -       -                  everything but control
    ");
    let json: Vec<String> = rows.iter().map(|row| print::as_json(row).to_string()).collect();
    assert_snapshot!(json.join("\n"), @r#"
    {"allow":null,"budget":{"per":"total","usd":0.005},"created":null,"device":null,"expires":null,"name":"ann","region":null,"revoked":null,"role":null,"rpm":null,"source":"configuration","state":"valid","tags":[],"tenant":"crew","tpm":null,"unpriced":"allow"}
    {"allow":["models/*","control/read"],"budget":{"per":"month","usd":50.0},"created":"2026-11-20T00:00:00.000Z","device":"ci","expires":"2026-11-21T00:00:00.000Z","name":"ci-build","region":"eu","revoked":null,"role":"machine","rpm":600,"source":"created","state":"expired","tags":["batch","nightly"],"tenant":"build","tpm":200000,"unpriced":"refuse"}
    {"allow":null,"budget":null,"created":"2026-11-20T00:00:00.000Z","device":null,"expires":null,"name":"old","region":null,"revoked":"2026-11-20T00:00:00.000Z","role":null,"rpm":null,"source":"created","state":"revoked","tags":[],"tenant":null,"tpm":null,"unpriced":"refuse"}
    "#);
}

#[test]
fn keys_end_after_a_span_or_at_a_time() {
    assert_eq!(expires("30d", NOW).unwrap().0, UnixMillis(NOW.0 + 30 * 86_400_000));
    assert_eq!(expires("2027-01-31T00:00:00Z", NOW).unwrap().to_string(), "2027-01-31T00:00:00.000Z");
    for (text, said) in [
        ("30", "is not understood"),
        ("soon", "is not understood"),
        ("400d", "is not understood"),
        ("", "is not understood"),
        ("0d", "is over already"),
        ("2026-11-19T23:59:59Z", "is over already"),
    ] {
        let error = expires(text, NOW).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}
