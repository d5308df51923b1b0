//! Who is let in, and what becomes of keys when they change.

use http::{HeaderMap, HeaderValue};
use tradewind_access::{Access, Conflict, Denied, Grant, Reach, Source};
use tradewind_core::{Code, UnixMillis};
use tradewind_policy::{KeyTerms, MOST_KEYS, Period, Timestamp, Unpriced};

use crate::support::{DAY, FRIDAY, at, bearer, budget, document, grant_of, one, secret, stored, usd};

fn name(result: Result<Grant, Denied>) -> Result<String, Denied> {
    result.map(|grant| grant.name().map_or_else(String::new, |name| name.to_string()))
}

#[test]
fn without_any_key_this_machine_needs_none() {
    let access = Access::new(Reach::Loopback);
    let grant = access.authenticate(&bearer("whatever"), FRIDAY).unwrap();
    assert!(access.is_open() && grant.is_anyone() && grant.name().is_none());
    assert!(grant.allows("models/x") && grant.allows("control/write") && !grant.is_revoked());
    assert!(!grant.needs_price() && !grant.counts_tokens());
    grant.count_request(at(0)).unwrap();
    grant.reserve(u64::MAX, usd(u64::MAX / 1_000_000_000_000), at(0), FRIDAY).unwrap().settle(1, usd(1), at(1));
}

#[test]
fn a_gateway_that_others_can_reach_is_never_open() {
    let access = Access::new(Reach::Network);
    assert!(!access.is_open());
    assert_eq!(name(access.authenticate(&HeaderMap::new(), FRIDAY)), Err(Denied::Missing));
    access.set_created(&[stored("ci", KeyTerms::default())]).unwrap();
    access.set_created(&[]).unwrap();
    assert_eq!(name(access.authenticate(&bearer(&secret("ci")), FRIDAY)), Err(Denied::Unknown));
}

#[test]
fn the_secret_finds_its_key_wherever_it_stands() {
    let access = Access::new(Reach::Loopback);
    access
        .set_document(&document(
            "keys:
  - {name: plain, secret: tw-the-secret-of-plain}
  - {name: hashed, secret-sha256: d166cc869d8a55e602779bd75b6d5cfcd69fdb3a58f36630cd25fdcecfa6838e}",
        ))
        .unwrap();
    access.set_created(&[stored("created", KeyTerms::default())]).unwrap();
    for who in ["plain", "hashed", "created"] {
        assert_eq!(name(access.authenticate(&bearer(&secret(who)), FRIDAY)), Ok(who.to_owned()));
        for header in ["x-api-key", "api-key"] {
            let mut headers = HeaderMap::new();
            headers.insert(header, HeaderValue::from_str(&secret(who)).unwrap());
            assert_eq!(name(access.authenticate(&headers, FRIDAY)), Ok(who.to_owned()), "{header}");
        }
    }
    let mut both = bearer("a-placeholder-of-the-client");
    both.insert("x-api-key", HeaderValue::from_static("tw-the-secret-of-plain"));
    assert_eq!(name(access.authenticate(&both, FRIDAY)), Ok("plain".to_owned()));
    for wrong in ["", "tw-the-secret-of-plai", "tw-the-secret-of-plain2", "TW-secret-of-plain", "hashed"] {
        assert_eq!(name(access.authenticate(&bearer(wrong), FRIDAY)), Err(Denied::Unknown), "{wrong}");
    }
    // The hash itself opens nothing.
    let hash = "d166cc869d8a55e602779bd75b6d5cfcd69fdb3a58f36630cd25fdcecfa6838e";
    assert_eq!(name(access.authenticate(&bearer(hash), FRIDAY)), Err(Denied::Unknown));
    assert_eq!(name(access.authenticate(&HeaderMap::new(), FRIDAY)), Err(Denied::Missing));
}

#[test]
fn a_key_ends_when_its_time_is_over() {
    let expires = Some(Timestamp(UnixMillis(FRIDAY.0 + 1000)));
    let (access, _) = one(KeyTerms { expires, ..KeyTerms::default() });
    let ask = |millis| name(access.authenticate(&bearer(&secret("ci")), UnixMillis(FRIDAY.0 + millis)));
    assert_eq!(ask(999), Ok("ci".to_owned()));
    let denied = ask(1000).unwrap_err();
    assert_eq!(denied, Denied::Expired { name: "ci".into() });
    assert_eq!(denied.code(), Code::KeyRevoked);
    assert!(!access.is_open(), "a key whose time is over still keeps everybody else out");
}

#[test]
fn a_revoked_key_is_refused_and_its_streams_see_it() {
    let (access, grant) = one(KeyTerms::default());
    let mut key = stored("ci", KeyTerms { rpm: Some(5), ..KeyTerms::default() });
    access.set_created(std::slice::from_ref(&key)).unwrap();
    assert!(!grant.is_revoked(), "other terms are no other key");
    key.revoked = Some(Timestamp(FRIDAY));
    access.set_created(std::slice::from_ref(&key)).unwrap();
    assert!(grant.is_revoked());
    assert_eq!(name(access.authenticate(&bearer(&secret("ci")), FRIDAY)), Err(Denied::Revoked { name: "ci".into() }));
    assert!(!access.is_open(), "revoking the last key opens nothing");
    assert!(access.shown(FRIDAY)[0].revoked);

    // Somebody takes it back by hand: new calls are let in, the old stream stays ended.
    key.revoked = None;
    access.set_created(&[key]).unwrap();
    assert_eq!(name(access.authenticate(&bearer(&secret("ci")), FRIDAY)), Ok("ci".to_owned()));
    assert!(grant.is_revoked() && !grant_of(&access, "ci").is_revoked());
}

#[test]
fn a_key_that_is_gone_or_has_another_secret_ends_too() {
    let access = Access::new(Reach::Loopback);
    access
        .set_document(&document("keys: [{name: a, secret: tw-the-secret-of-a}, {name: b, secret: tw-the-secret-of-b}]"))
        .unwrap();
    let (a, b) = (grant_of(&access, "a"), grant_of(&access, "b"));
    access
        .set_document(&document("keys: [{name: a, secret: tw-the-secret-of-c}, {name: b, secret: tw-the-secret-of-b}]"))
        .unwrap();
    assert!(a.is_revoked() && !b.is_revoked());
    access.set_document(&document("keys: [{name: a, secret: tw-the-secret-of-c}]")).unwrap();
    assert!(b.is_revoked());
}

#[test]
fn keys_that_do_not_go_together_change_nothing() {
    let access = Access::new(Reach::Loopback);
    access.set_document(&document("keys: [{name: a, secret: tw-the-secret-of-a}]")).unwrap();
    let b = stored("b", KeyTerms::default());
    access.set_created(std::slice::from_ref(&b)).unwrap();
    let conflict = access.set_created(&[b.clone(), stored("a", KeyTerms::default())]).unwrap_err();
    assert_eq!(conflict, Conflict::Name { name: "a".to_owned() });
    let mut same = stored("a", KeyTerms::default());
    same.name = "c".to_owned();
    let conflict = access.set_created(&[b, same]).unwrap_err();
    assert_eq!(conflict, Conflict::Secret { first: "a".to_owned(), second: "c".to_owned() });
    let names: Vec<_> = access.shown(FRIDAY).into_iter().map(|key| (key.name.to_string(), key.source)).collect();
    assert_eq!(names, [("a".to_owned(), Source::Document), ("b".to_owned(), Source::Created)]);
    assert!(!grant_of(&access, "b").is_revoked());

    // The name of a revoked key is free.
    let mut revoked = stored("b", KeyTerms::default());
    revoked.revoked = Some(Timestamp(FRIDAY));
    let mut again = stored("b", KeyTerms::default());
    again.sha256 = tradewind_policy::KeyHash::of(b"another secret of b");
    access.set_created(&[revoked, again]).unwrap();
    assert_eq!(name(access.authenticate(&bearer("another secret of b"), FRIDAY)), Ok("b".to_owned()));
    assert!(matches!(access.authenticate(&bearer(&secret("b")), FRIDAY), Err(Denied::Revoked { .. })));
}

#[test]
fn a_conflict_does_not_save_a_key_that_was_revoked_or_taken_away() {
    let access = Access::new(Reach::Loopback);
    access.set_document(&document("keys: [{name: a, secret: tw-the-secret-of-a}]")).unwrap();
    let created = |name: &str| stored(name, KeyTerms::default());
    access.set_created(&[created("leaked"), created("gone"), created("good")]).unwrap();
    let (leaked, gone, good) = (grant_of(&access, "leaked"), grant_of(&access, "gone"), grant_of(&access, "good"));

    let mut revoked = created("leaked");
    revoked.revoked = Some(Timestamp(FRIDAY));
    let next = [revoked, created("good"), created("new"), created("a")];
    assert_eq!(access.set_created(&next), Err(Conflict::Name { name: "a".to_owned() }));
    assert!(leaked.is_revoked() && gone.is_revoked() && !good.is_revoked());
    let who = |who: &str| name(access.authenticate(&bearer(&secret(who)), FRIDAY));
    let is_revoked = |who: &str| Err(Denied::Revoked { name: who.into() });
    let rest_is_as_before = || {
        assert_eq!((who("leaked"), who("gone")), (is_revoked("leaked"), is_revoked("gone")));
        assert_eq!((who("good"), who("a")), (Ok("good".to_owned()), Ok("a".to_owned())));
        assert_eq!(who("new"), Err(Denied::Unknown), "what is new waits until all goes together");
    };
    rest_is_as_before();
    // Neither trying again nor another document brings them back.
    assert!(access.set_created(&next).is_err());
    access
        .set_document(&document("keys: [{name: a, secret: tw-the-secret-of-a}, {name: c, secret: tw-the-secret-of-c}]"))
        .unwrap();
    rest_is_as_before();
    assert!(!good.is_revoked());

    access.set_document(&document("keys: [{name: c, secret: tw-the-secret-of-c}]")).unwrap();
    // The name is free now, and the secret is another one's.
    let mut other = created("a");
    other.sha256 = tradewind_policy::KeyHash::of(b"another secret of a");
    access.set_created(&[next[0].clone(), created("good"), created("new"), other]).unwrap();
    assert_eq!((who("leaked"), who("gone")), (is_revoked("leaked"), Err(Denied::Unknown)));
    assert_eq!(who("new"), Ok("new".to_owned()));
    assert!(!good.is_revoked());
}

#[test]
fn a_conflict_never_opens_the_gateway() {
    let access = Access::new(Reach::Loopback);
    access.set_created(&[stored("last", KeyTerms::default())]).unwrap();
    let grant = grant_of(&access, "last");
    let twins = [stored("twin", KeyTerms::default()), stored("twin", KeyTerms::default())];
    assert!(access.set_created(&twins).is_err());
    assert!(grant.is_revoked() && !access.is_open());
}

#[test]
fn checking_a_document_changes_nothing() {
    let access = Access::new(Reach::Loopback);
    access.set_document(&document("keys: [{name: a, secret: tw-the-secret-of-a}]")).unwrap();
    access.set_created(&[stored("b", KeyTerms::default())]).unwrap();
    let grant = grant_of(&access, "a");
    let other = document("keys: [{name: c, secret: tw-the-secret-of-c}]");
    drop(access.check_document(&other).unwrap());
    assert!(!grant.is_revoked());
    assert_eq!(name(access.authenticate(&bearer(&secret("c")), FRIDAY)), Err(Denied::Unknown));
    let colliding = document("keys: [{name: b, secret: tw-the-secret-of-c}]");
    assert_eq!(access.check_document(&colliding).err(), Some(Conflict::Name { name: "b".to_owned() }));
    assert!(!grant.is_revoked());

    access.check_document(&other).unwrap().put_in_place();
    assert!(grant.is_revoked());
    assert_eq!(name(access.authenticate(&bearer(&secret("c")), FRIDAY)), Ok("c".to_owned()));
}

#[test]
fn spending_is_remembered_for_a_key_that_comes_later_as_long_as_there_is_room() {
    let access = Access::new(Reach::Loopback);
    access.set_created(&[stored("here", budget(1.0, Period::Month))]).unwrap();
    let day = u32::try_from(FRIDAY.0 / DAY).unwrap();
    for number in 1..2 * MOST_KEYS {
        access.restore(&format!("gone-{number}"), day, usd(70));
    }
    access.restore("late", day, usd(70));
    access.restore("here", day, usd(70));
    access.restore("gone-5", day - 1, usd(20));
    let terms = || budget(1.0, Period::Month);
    access.set_created(&[stored("here", terms()), stored("gone-5", terms())]).unwrap();
    let left = |name: &str, cents| grant_of(&access, name).reserve(1, usd(cents), at(0), FRIDAY).is_ok();
    assert!(!left("here", 31) && left("here", 30), "those that are there always have room");
    assert!(!left("gone-5", 11) && left("gone-5", 10));
    access.set_created(&[stored("late", terms())]).unwrap();
    assert!(left("late", 100), "there was no room for it");
}

#[test]
fn counters_stay_with_the_name() {
    let (access, grant) = one(KeyTerms { rpm: Some(2), ..budget(1.0, Period::Month) });
    grant.count_request(at(0)).unwrap();
    grant.reserve(1, usd(60), at(0), FRIDAY).unwrap().settle(1, usd(60), at(0));

    // Other terms, another secret, gone and there again: still the same account.
    access.set_created(&[]).unwrap();
    let mut key = stored("ci", KeyTerms { rpm: Some(2), ..budget(1.0, Period::Month) });
    key.sha256 = tradewind_policy::KeyHash::of(b"a new secret of ci");
    access.set_created(&[key]).unwrap();
    let grant = access.authenticate(&bearer("a new secret of ci"), FRIDAY).unwrap();
    grant.count_request(at(1)).unwrap();
    assert!(grant.count_request(at(2)).is_err());
    assert!(grant.reserve(1, usd(41), at(2), FRIDAY).is_err());
    assert!(grant.reserve(1, usd(40), at(2), FRIDAY).is_ok());
}

#[test]
fn what_is_shown_has_no_secret() {
    let access = Access::new(Reach::Loopback);
    let yaml = "keys: [{name: a, secret: tw-the-secret-of-a, tenant: build, role: machine, region: eu, device: ci, \
                tags: [batch], allow: [\"models/*\"], budget: {usd: 2, per: week}, unpriced: allow, rpm: 5, tpm: 6}]";
    access.set_document(&document(yaml)).unwrap();
    access.restore("a", 20_773, usd(50)); // the Monday of this week
    access.restore("a", 20_772, usd(9)); // the day before it
    let grant = grant_of(&access, "a");
    assert_eq!((grant.tenant().map(|it| &**it), grant.role().map(|it| &**it)), (Some("build"), Some("machine")));
    let _held = grant.reserve(1, usd(25), at(0), FRIDAY).unwrap();
    let shown = serde_json::to_value(access.shown(FRIDAY)).unwrap();
    assert_eq!(
        shown,
        serde_json::json!([{
            "name": "a", "source": "document", "tenant": "build", "role": "machine", "region": "eu",
            "device": "ci", "tags": ["batch"], "allow": ["models/*"],
            "budget": {"usd": 2.0, "per": "week"}, "unpriced": "allow", "rpm": 5, "tpm": 6, "expires": null,
            "revoked": false, "expired": false, "per": "week", "spent": 0.5, "reserved": 0.25,
            "resets": "2026-11-23T00:00:00.000Z"
        }])
    );
    for text in [shown.to_string(), format!("{access:?}"), format!("{grant:?}")] {
        assert!(!text.contains("tw-the-secret"), "{text}");
    }
}

#[test]
fn a_budget_wants_prices_unless_told_otherwise() {
    assert!(one(budget(1.0, Period::Day)).1.needs_price());
    assert!(!one(KeyTerms { unpriced: Unpriced::Allow, ..budget(1.0, Period::Day) }).1.needs_price());
    assert!(!one(KeyTerms::default()).1.needs_price());
    assert!(one(budget(1.0, Period::Day)).1.counts_tokens());
    assert!(one(KeyTerms { tpm: Some(1), ..KeyTerms::default() }).1.counts_tokens());
    assert!(!one(KeyTerms { rpm: Some(1), ..KeyTerms::default() }).1.counts_tokens());
    assert!(one(KeyTerms { tpm: Some(1), ..KeyTerms::default() }).1.has_token_rate());
    assert!(!one(budget(1.0, Period::Day)).1.has_token_rate() && !Grant::anyone().has_token_rate());
    let nobody = Grant::nobody();
    assert!(!nobody.allows("models/x") && !nobody.allows("control/read") && !nobody.is_anyone());
}
