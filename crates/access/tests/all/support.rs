//! Keys, headers and times for the tests.

use http::{HeaderMap, HeaderValue};
use tradewind_access::{Access, Grant, Reach, StoredKey};
use tradewind_core::{Moment, UnixMillis, Usd};
use tradewind_policy::{Amount, Budget, CallerKey, KeyHash, KeyTerms, Period, Problems, Root, Shared};

/// 2026-11-20, a Friday.
pub(crate) const FRIDAY: UnixMillis = UnixMillis(1_795_132_800_000);
pub(crate) const DAY: u64 = 86_400_000;

pub(crate) fn secret(name: &str) -> String {
    format!("tw-the-secret-of-{name}")
}

pub(crate) fn stored(name: &str, terms: KeyTerms) -> StoredKey {
    StoredKey::new(name, KeyHash::of(secret(name).as_bytes()), FRIDAY, terms)
}

/// The keys of a document.
pub(crate) fn document(yaml: &str) -> Vec<CallerKey> {
    let mut problems = Problems::new();
    let root = Root::parse(yaml, &|_| None, &[], &mut problems);
    let shared = Shared::decode(&root, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render("test.yaml", yaml));
    shared.keys
}

pub(crate) fn bearer(secret: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {secret}")).unwrap());
    headers
}

pub(crate) fn budget(usd: f64, per: Period) -> KeyTerms {
    KeyTerms { budget: Some(Budget { usd: Amount(usd), per }), ..KeyTerms::default() }
}

pub(crate) fn grant_of(access: &Access, name: &str) -> Grant {
    access.authenticate(&bearer(&secret(name)), FRIDAY).unwrap()
}

/// One key with these terms.
pub(crate) fn one(terms: KeyTerms) -> (Access, Grant) {
    let access = Access::new(Reach::Loopback);
    access.set_created(&[stored("ci", terms)]).unwrap();
    let grant = grant_of(&access, "ci");
    (access, grant)
}

pub(crate) fn usd(cents: u64) -> Usd {
    Usd::from_pico(cents * 10_000_000_000)
}

pub(crate) fn at(millis: u64) -> Moment {
    Moment::from_micros(millis * 1000)
}
