//! [`State`] over the engine: what callers see, whatever lies below.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tradewind_core::UnixMillis;

use super::records::{EPOCH, FakeClock, key};
use crate::error::{StateError, TokenRefusal};
use crate::meta::{Kind, Meta, Schema};
use crate::name::{Epoch, Key, Rev};
use crate::record::Body;
use crate::seal::{MasterKey, Masters, Sealer};
use crate::settings::{NamespaceSettings, OnConflict, Settings, TOMBSTONE_KEPT};
use crate::state::{At, Condition, New, State, Terms, Ttl};
use crate::store::{After, Store};

fn state(store: Arc<dyn Store>) -> (State, Arc<FakeClock>) {
    let clock = FakeClock::new();
    let mut settings = Settings::default();
    let merging = NamespaceSettings { on_conflict: OnConflict::Merge, ..NamespaceSettings::default() };
    settings.namespaces.insert(key("merging", "x").namespace, merging);
    (State::new(store, settings, clock.clone(), None), clock)
}

fn new(content: impl Into<Bytes>, content_type: &str) -> New {
    New { content: content.into(), content_type: Arc::from(content_type), schema: None, terms: Terms::default() }
}

fn json(content: &str) -> New {
    new(content.to_owned(), "application/json")
}

async fn text(state: &State, key: &Key, at: At) -> String {
    let value = state.get(key, at).await.expect("a value");
    String::from_utf8(value.content.to_vec()).expect("text")
}

fn lost(error: &StateError) -> Option<u64> {
    match error {
        StateError::Lost { head } => Some(head.as_ref().map_or(0, |head| head.rev.get())),
        _ => None,
    }
}

/// Written, read, replaced, patched, added to, deleted, written again; lost where the condition does not hold.
pub async fn a_state_is_written_and_read(store: Arc<dyn Store>) {
    let (state, _) = state(store);
    let key = key("threads", "alice/1");
    assert_eq!(state.get(&key, At::Head).await, Err(StateError::NotFound));
    let error = state.put(&key, Condition::At(Rev::FIRST), json("{}")).await.expect_err("there is nothing");
    assert_eq!(lost(&error), Some(0));
    let mut first = json(r#"{"list":[1]}"#);
    first.schema = Some(Schema::new("thread", 3).expect("a schema"));
    first.terms.by = Some(Arc::from("laptop"));
    let meta = state.put(&key, Condition::Absent, first).await.expect("a first");
    assert_eq!((meta.rev, meta.parent, meta.size, meta.kind), (Rev::FIRST, None, 12, Kind::Value));
    assert_eq!(state.get(&key, At::Head).await.expect("a value").meta, meta);
    let error = state.put(&key, Condition::Absent, json("1")).await.expect_err("there is one");
    assert_eq!(lost(&error), Some(1));
    let patch = br#"[{"op":"add","path":"/list/-","value":2}]"#;
    let second = state.patch(&key, meta.rev, patch, Terms::default()).await.expect("a patch");
    assert_eq!((second.schema.as_ref(), second.rev.get()), (meta.schema.as_ref(), 2));
    assert!(second.follows(Some(&meta.chain)));
    assert_eq!(text(&state, &key, At::Head).await, r#"{"list":[1,2]}"#);
    assert_eq!(text(&state, &key, At::Rev(meta.rev)).await, r#"{"list":[1]}"#);
    assert_eq!(lost(&state.patch(&key, meta.rev, patch, Terms::default()).await.expect_err("stale")), Some(2));
    let third = state.put(&key, Condition::At(second.rev), json("[1]")).await.expect("a third");
    let fourth = state.append(&key, third.rev, Bytes::from_static(b"[2, 3]"), Terms::default()).await.expect("more");
    assert_eq!(text(&state, &key, At::Head).await, "[1,2, 3]");
    let deleted = state.delete(&key, fourth.rev, Terms::default()).await.expect("a deletion");
    assert_eq!((deleted.kind, deleted.rev.get()), (Kind::Deleted, 5));
    assert_eq!(state.get(&key, At::Head).await, Err(StateError::NotFound));
    assert_eq!(text(&state, &key, At::Rev(fourth.rev)).await, "[1,2, 3]");
    assert_eq!(lost(&state.delete(&key, deleted.rev, Terms::default()).await.expect_err("nothing")), Some(0));
    assert!(state.list(&key.namespace, "", None, 9).await.expect("a list").items.is_empty());
    // Numbers go on: nobody who still holds an old one can take the new value for it.
    let again = state.put(&key, Condition::Absent, json("[]")).await.expect("a new one");
    assert_eq!((again.rev.get(), again.parent.map(Rev::get)), (6, Some(5)));
    assert_eq!(state.list(&key.namespace, "alice/", None, 9).await.expect("a list").items, [(key.clone(), Ok(again))]);
    merges(&state).await;
}

/// Two writers of different members both win where the namespace merges, and of the same one only one.
async fn merges(state: &State) {
    let key = key("merging", "k");
    let base = state.put(&key, Condition::Absent, json(r#"{"a":1,"b":1}"#)).await.expect("a first").rev;
    state.put(&key, Condition::At(base), json(r#"{"a":2,"b":1}"#)).await.expect("one writer");
    let merged = state.put(&key, Condition::At(base), json(r#"{"a":1,"b":2}"#)).await.expect("the other");
    assert_eq!(merged.rev.get(), 3);
    assert_eq!(text(state, &key, At::Head).await, r#"{"a":2,"b":2}"#);
    let error = state.put(&key, Condition::At(base), json(r#"{"a":3,"b":1}"#)).await.expect_err("the same member");
    assert_eq!(lost(&error), Some(3));
}

/// Differences between revisions, a whole one each sixteenth, restored, forked, pinned, pruned, compared, checked.
pub async fn a_state_keeps_its_history(store: Arc<dyn Store>) {
    let (state, _) = state(store.clone());
    let key = key("threads", "history");
    let mut random = fastrand::Rng::with_seed(5);
    let words: Vec<String> = (0..3000).map(|_| format!("{:x}", random.u32(..))).collect();
    let content = |number: usize| format!("[{number},\"{}\"]", words[number * 10..number * 10 + 1000].join(" "));
    let mut last = state.put(&key, Condition::Absent, json(&content(1))).await.expect("a first");
    let mut metas = vec![last.clone()];
    for number in 2..=40 {
        last = state.put(&key, Condition::At(last.rev), json(&content(number))).await.expect("the next");
        metas.push(last.clone());
    }
    for number in 9..=40 {
        let rev = Rev::new(number as u64).expect("a number");
        let value = state.get(&key, At::Rev(rev)).await.expect("a revision");
        assert_eq!((&value.meta, &value.content[..]), (&metas[number - 1], content(number).as_bytes()));
    }
    assert_eq!(state.get(&key, At::Rev(metas[7].rev)).await, Err(StateError::Gone));
    assert_eq!(state.get(&key, At::Rev(last.rev.next())).await, Err(StateError::NotFound));
    if store.facts().rewrites {
        let small = store.revision(&key, metas[20].rev).await.expect("a revision").expect("it is kept");
        assert!(small.body.stored_size() < content(21).len() / 3, "{}", small.body.stored_size());
        let sixteenth = store.revision(&key, metas[31].rev).await.expect("a revision").expect("it is kept");
        assert!(matches!(sixteenth.body, Body::Whole(_)), "revision 32 is no step on the way to an older one");
    }
    let patch = state.diff(&key, metas[9].rev, metas[10].rev).await.expect("a difference");
    assert!(patch.contains("\"replace\""), "{patch}");
    state.pin(&key, metas[9].rev, true).await.expect("a pin");
    assert_eq!(state.prune(&key, 3).await, Ok(28));
    assert_eq!(text(&state, &key, At::Rev(metas[9].rev)).await, content(10));
    assert_eq!(state.pin(&key, metas[10].rev, true).await, Err(StateError::Gone));
    let history = state.history(&key, None, 10).await.expect("a history");
    assert_eq!(
        history.iter().map(|revision| (revision.meta.rev.get(), revision.pinned)).collect::<Vec<_>>(),
        [(40, false), (39, false), (38, false), (10, true)]
    );
    let restored = state.restore(&key, metas[9].rev, Condition::At(last.rev), Terms::default()).await.expect("again");
    assert_eq!((restored.rev.get(), restored.hash), (41, metas[9].hash));
    let fork = Key::new(key.namespace.clone(), "forked").expect("a key");
    let forked = state.fork(&key, At::Rev(metas[38].rev), &fork, Terms::default()).await.expect("a fork");
    assert_eq!((forked.rev, forked.hash), (Rev::FIRST, metas[38].hash));
    assert_eq!(lost(&state.fork(&key, At::Head, &fork, Terms::default()).await.expect_err("it is there")), Some(1));
    let checked = state.check(|_| ()).await.expect("a check");
    assert_eq!((checked.keys, checked.revisions, checked.damages), (2, 6, Vec::new()));
}

/// Fixed and sliding ends: gone for readers at once, told to watchers by the sweep, forgotten a day later.
pub async fn a_state_expires(store: Arc<dyn Store>) {
    let (state, clock) = state(store);
    let (fixed, sliding) = (key("ttl", "fixed"), key("ttl", "sliding"));
    let with = |ttl| New { terms: Terms { ttl: Some(ttl), ..Terms::default() }, ..json("1") };
    let minute = Duration::from_secs(60);
    let first = state.put(&fixed, Condition::Absent, with(Ttl::Fixed(minute))).await.expect("a value");
    state.put(&sliding, Condition::Absent, with(Ttl::Sliding(minute))).await.expect("a value");
    let mut events = state.watch(&fixed.namespace, "", After::Now);
    clock.pass(Duration::from_secs(50));
    // The next write is given as long as the first was.
    let second = state.put(&fixed, Condition::At(first.rev), json("2")).await.expect("a value");
    assert_eq!(second.expires_at.map(|at| at.0 - second.created_at.0), Some(60_000));
    assert!(state.get(&sliding, At::Head).await.is_ok());
    clock.pass(Duration::from_secs(59));
    assert!(state.get(&fixed, At::Head).await.is_ok());
    assert!(state.get(&sliding, At::Head).await.is_ok());
    clock.pass(Duration::from_secs(1));
    assert_eq!(state.get(&fixed, At::Head).await, Err(StateError::Gone));
    assert!(state.get(&sliding, At::Head).await.is_ok());
    assert_eq!(lost(&state.put(&fixed, Condition::At(second.rev), json("3")).await.expect_err("gone")), Some(0));
    let swept = state.sweep(100).await.expect("a sweep");
    assert_eq!((swept.expired, swept.forgotten, swept.more), (1, 0, false));
    let event = events.next().await.expect("an event").expect("an event");
    assert_eq!((event.meta.rev, event.meta.kind), (second.rev, Kind::Value));
    let event = events.next().await.expect("an event").expect("an event");
    assert_eq!((event.key, event.meta.kind, event.meta.rev.get()), (fixed.clone(), Kind::Expired, 3));
    // Written again before the sweep came by: the end is told of first.
    clock.pass(Duration::from_secs(61));
    let again = state.put(&sliding, Condition::Absent, json("4")).await.expect("a new value");
    assert_eq!((again.rev.get(), again.expires_at), (3, None));
    let event = events.next().await.expect("an event").expect("an event");
    assert_eq!((event.key, event.meta.kind), (sliding.clone(), Kind::Expired));
    assert_eq!(events.next().await.expect("an event").expect("an event").meta, again);
    assert_eq!(state.sweep(100).await.expect("a sweep").expired, 0);
    clock.pass(TOMBSTONE_KEPT);
    assert_eq!(state.sweep(100).await.expect("a sweep").forgotten, 1);
    assert_eq!(state.get(&fixed, At::Head).await, Err(StateError::NotFound));
    assert_eq!(state.put(&fixed, Condition::Absent, json("5")).await.expect("a value").rev, Rev::FIRST);
}

/// A clock that jumps moves ends, and nothing else: what lives goes on to live, what was buried stays buried, numbers, chain
/// and epochs go on, and a token is late or early, and never good twice.
pub async fn a_clock_jumps(store: Arc<dyn Store>) {
    let (state, clock) = state(store);
    let (mortal, sliding, lasting) = (key("jumps", "mortal"), key("jumps", "sliding"), key("jumps", "lasting"));
    let minute = Duration::from_secs(60);
    let with = |ttl| New { terms: Terms { ttl: Some(ttl), ..Terms::default() }, ..json("1") };
    let at = |millis: u64| UnixMillis(EPOCH.0 + millis);
    let (day, year) = (86_400_000, 31_536_000_000);
    // Far from what a server's own clock takes for the present, in both directions.
    clock.set(at(year));
    let first = state.put(&mortal, Condition::Absent, with(Ttl::Fixed(minute))).await.expect("a value");
    state.put(&sliding, Condition::Absent, with(Ttl::Sliding(minute))).await.expect("a value");
    let kept = state.put(&lasting, Condition::Absent, json("[1]")).await.expect("a value");
    let given = state.hand_off(&lasting, kept.rev, None, minute).await.expect("a token");
    let refused = async || state.redeem(&given.token, Terms::default()).await.map(|value| value.meta.epoch);
    // Back by a day: nothing is over, what is written now ends earlier, and a read moves no end back.
    clock.set(at(year - day));
    assert_eq!(state.sweep(9).await.expect("a sweep").expired, 0);
    assert_eq!(state.get(&sliding, At::Head).await.expect("a value").meta.expires_at, Some(at(year + 60_000)));
    assert_eq!(refused().await, Err(TokenRefusal::Early.into()));
    let second = state.put(&mortal, Condition::At(first.rev), json("2")).await.expect("a value");
    assert_eq!(second.expires_at, Some(at(year - day + 60_000)));
    // Ahead by a year: all that ends has, and is buried once.
    clock.set(at(2 * year));
    for key in [&mortal, &sliding] {
        assert_eq!(state.get(key, At::Head).await, Err(StateError::Gone));
    }
    assert_eq!(refused().await, Err(TokenRefusal::Late.into()));
    assert_eq!(state.sweep(9).await.expect("a sweep").expired, 2);
    assert_eq!(state.sweep(9).await.expect("a sweep").expired, 0);
    // Back again: it stays buried, its tombstone stays, and the next one goes on from there.
    clock.set(at(year));
    assert_eq!(state.get(&mortal, At::Head).await, Err(StateError::Gone));
    assert_eq!(state.sweep(9).await.expect("a sweep").forgotten, 0);
    let third = state.put(&mortal, Condition::Absent, with(Ttl::Never)).await.expect("a value");
    assert_eq!((third.rev.get(), third.parent.map(Rev::get), third.expires_at), (4, Some(3), None));
    let history = state.history(&mortal, None, 9).await.expect("a history");
    assert!(history.windows(2).all(|pair| pair[0].meta.follows(Some(&pair[1].meta.chain))), "{history:?}");
    // The token is good within its time, and once, wherever the clock jumps then.
    assert_eq!(refused().await.map(Epoch::get), Ok(1));
    for millis in [year, year + 59_000, year - 1_000] {
        clock.set(at(millis));
        assert_eq!(refused().await, Err(TokenRefusal::Redeemed.into()));
    }
    // A day after the jump ahead the other's tombstone is forgotten; one that was written over is none.
    clock.set(at(2 * year + 2 * day));
    assert_eq!(state.sweep(9).await.expect("a sweep").forgotten, 1);
    assert_eq!(text(&state, &mortal, At::Head).await, "1");
    assert_eq!(state.check(|_| ()).await.expect("a check").damages, Vec::new());
}

/// A key changes hands once a token; every other use of it is refused by its own word.
pub async fn a_state_is_handed_over(store: Arc<dyn Store>) {
    let (state, clock) = state(store.clone());
    let key = key("agents", "one");
    let first = state.put(&key, Condition::Absent, json("[1]")).await.expect("a value");
    let life = Duration::from_secs(30);
    let given = state.hand_off(&key, first.rev, None, life).await.expect("a token");
    let refused = |outcome: Result<crate::state::Value, StateError>| match outcome {
        Err(StateError::Token(why)) => why,
        other => panic!("{other:?}"),
    };
    let mut forged = given.token.clone();
    forged.replace_range(30..31, if &given.token[30..31] == "A" { "B" } else { "A" });
    assert_eq!(refused(state.redeem(&forged, Terms::default()).await), TokenRefusal::Forged);
    // Another gateway on the same store redeems.
    let (second_gateway, _) = self::state(store);
    let value = second_gateway.redeem(&given.token, Terms::default()).await.expect("the key");
    assert_eq!((value.meta.rev.get(), value.meta.epoch.get(), &value.content[..]), (2, 1, &b"[1]"[..]));
    assert_eq!(refused(state.redeem(&given.token, Terms::default()).await), TokenRefusal::Redeemed);
    // The old holder is fenced, before anything is said of the revision.
    let mut late = json("[1,2]");
    late.terms.epoch = Some(Epoch::FIRST);
    for rev in [first.rev, value.meta.rev] {
        let outcome = state.put(&key, Condition::At(rev), late.clone()).await;
        assert_eq!(outcome, Err(StateError::Fenced { epoch: value.meta.epoch }));
    }
    late.terms.epoch = Some(value.meta.epoch);
    let third = state.put(&key, Condition::At(value.meta.rev), late).await.expect("the new holder's");
    // Written after asking; late; replayed.
    let stale = state.hand_off(&key, third.rev, Some(third.epoch), life).await.expect("a token");
    let other = state.hand_off(&key, third.rev, Some(third.epoch), life).await.expect("a token");
    state.redeem(&other.token, Terms::default()).await.expect("one of the two");
    assert_eq!(refused(state.redeem(&stale.token, Terms::default()).await), TokenRefusal::Replayed);
    let head = state.meta(&key, At::Head).await.expect("a head");
    let stale = state.hand_off(&key, head.rev, None, life).await.expect("a token");
    let head = state.append(&key, head.rev, Bytes::from_static(b"[3]"), Terms::default()).await.expect("more");
    assert_eq!(refused(state.redeem(&stale.token, Terms::default()).await), TokenRefusal::Stale);
    let late = state.hand_off(&key, head.rev, None, life).await.expect("a token");
    clock.pass(life);
    assert_eq!(refused(state.redeem(&late.token, Terms::default()).await), TokenRefusal::Late);
}

/// A growing list of 400 KB: pieces are shared, each line costs the same, every kept revision reads back.
pub async fn a_conversation_grows(store: Arc<dyn Store>) {
    let (state, _) = state(store.clone());
    let key = key("threads", "long");
    let mut random = fastrand::Rng::with_seed(6);
    let mut line = |number: usize| {
        let noise: String = (0..2000).map(|_| random.alphanumeric()).collect();
        format!("{{\"turn\":{number},\"text\":\"{noise}\"}}")
    };
    let mut whole = vec![line(0)];
    let mut last: Meta = state.put(&key, Condition::Absent, json(&format!("[{}]", whole[0]))).await.expect("a first");
    for number in 1..200 {
        whole.push(line(number));
        let addition = Bytes::from(format!("[{}]", whole[number]));
        last = state.append(&key, last.rev, addition, Terms::default()).await.expect("a line");
    }
    // As another gateway reads it, which remembers nothing.
    let (other, _) = self::state(store);
    assert_eq!(text(&other, &key, At::Head).await, format!("[{}]", whole.join(",")));
    for back in [1, 16, 31] {
        let rev = Rev::new(last.rev.get() - back as u64).expect("a number");
        assert_eq!(text(&other, &key, At::Rev(rev)).await, format!("[{}]", whole[..200 - back].join(",")));
    }
    let forked = Key::new(key.namespace.clone(), "fork").expect("a key");
    other.fork(&key, At::Head, &forked, Terms::default()).await.expect("a fork");
    let checked = other.check(|_| ()).await.expect("a check");
    assert_eq!((checked.keys, checked.revisions, checked.damages), (2, 33, Vec::new()));
}

/// With a master key nothing that was written can be found in what is kept, and nobody reads it without. Another master key
/// takes its place, and no value is written for that.
pub async fn a_state_that_is_sealed(store: Arc<dyn Store>) {
    let masters = |current: (u8, &str), previous: Option<(u8, &str)>| {
        let master = |(byte, id): (u8, &str)| MasterKey::new(id, &[byte; 32]).expect("a key");
        let masters = Masters::new(master(current), previous.map(master).into_iter().collect()).expect("masters");
        State::new(store.clone(), Settings::default(), FakeClock::new(), Some(Arc::new(Sealer::new(masters))))
    };
    let sealed = |byte: u8, id: &str| masters((byte, id), None);
    let state = sealed(7, "one");
    let (short, long) = (key("sealed", "short"), key("sealed", "long"));
    let secret = "a secret that is told again and again. ";
    let mut last = state.put(&short, Condition::Absent, new(secret.repeat(200), "text/plain")).await.expect("a value");
    for _ in 0..3 {
        last = state.append(&short, last.rev, Bytes::from(secret), Terms::default()).await.expect("more");
    }
    state.put(&long, Condition::Absent, new(secret.repeat(5000), "text/plain")).await.expect("a long value");
    let other = sealed(7, "one");
    assert_eq!(text(&other, &short, At::Rev(Rev::FIRST)).await, secret.repeat(200));
    assert_eq!(text(&other, &short, At::Head).await, secret.repeat(203));
    assert_eq!(text(&other, &long, At::Head).await, secret.repeat(5000));
    assert_eq!(other.check(|_| ()).await.expect("a check").damaged, 0);
    let wrong = sealed(8, "two");
    assert!(matches!(wrong.get(&short, At::Head).await, Err(StateError::NoKey(_))));
    let (none, _) = self::state(store.clone());
    assert!(matches!(none.get(&long, At::Head).await, Err(StateError::NoKey(_))));
    for key in [&short, &long] {
        let head = store.head(key).await.expect("a head").expect("it is there");
        let mut kept = head.encode();
        for piece in store.pieces(&key.namespace, head.body.pieces()).await.expect("pieces") {
            kept.extend_from_slice(&piece.expect("a piece"));
        }
        assert!(!kept.windows(8).any(|window| window == b"a secret"));
    }
    let before = store.head(&short).await.expect("a head");
    let both = masters((8, "two"), Some((7, "one")));
    assert_eq!((both.rewrap().await, both.rewrap().await), (Ok(1), Ok(0)));
    assert_eq!(store.head(&short).await.expect("a head"), before);
    let rotated = sealed(8, "two");
    assert_eq!(text(&rotated, &short, At::Head).await, secret.repeat(203));
    assert_eq!(text(&rotated, &long, At::Head).await, secret.repeat(5000));
    let retired = sealed(7, "one");
    assert!(matches!(retired.get(&short, At::Head).await, Err(StateError::NoKey(_))));
}
