//! What has to hold of agents that keep their state, over the engine that is the oracle of all.

mod staged;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tradewind_core::{Clock, Moment, UnixMillis};

use super::*;
use crate::error::{StoreError, TokenRefusal};
use crate::name::{Epoch, Key, Namespace, Rev};
use crate::settings::{NamespaceSettings, OnConflict, Settings};
use crate::state::{At, Condition, New, State, Terms};
use crate::suite::Memory;

use staged::{Act, Staged};

/// A clock that is set.
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn now(&self) -> Moment {
        Moment::START
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

const NOW: u64 = 1_795_294_621_123;

fn store(settings: Settings) -> (Arc<State>, Arc<SetClock>) {
    let clock = Arc::new(SetClock(AtomicU64::new(NOW)));
    (Arc::new(State::new(Arc::new(Memory::new()), settings, clock.clone(), None)), clock)
}

fn key(name: &str) -> Key {
    Key::parse("agents", name).unwrap()
}

fn new(content: &str, schema: Option<Schema>) -> New {
    New {
        content: Bytes::copy_from_slice(content.as_bytes()),
        content_type: Arc::from("application/json"),
        schema,
        terms: Terms::default(),
    }
}

fn schema(version: u32) -> Schema {
    Schema::new("counter", version).unwrap()
}

/// An agent that counts and has a name, in the third version of its schema.
#[derive(Debug, Default, PartialEq)]
struct Counter {
    count: u64,
    name: String,
}

impl StatefulAgent for Counter {
    fn take_snapshot(&self) -> Result<Snapshot, AgentError> {
        Snapshot::json(schema(3), &json!({"count": self.count, "name": self.name}))
    }

    fn restore_from(&mut self, snapshot: &Snapshot) -> Result<(), AgentError> {
        #[derive(serde::Deserialize)]
        struct Kept {
            count: u64,
            name: String,
        }
        let kept: Kept = snapshot.read_json()?;
        (self.count, self.name) = (kept.count, kept.name);
        Ok(())
    }
}

/// Version 1 is a number, version 2 an object with a count, version 3 has a name too.
fn upcasters() -> Upcasters {
    Upcasters::new("counter", 1)
        .unwrap()
        .then_json(|count| if count.is_u64() { Ok(json!({ "count": count })) } else { Err("not a count".to_owned()) })
        .then_patch(r#"[{"op":"add","path":"/name","value":"nobody"}]"#)
        .unwrap()
}

fn keeper(state: &Arc<State>, name: &str) -> Keeper {
    Keeper::new(state.clone(), key(name), Arc::new(upcasters()), Some(Arc::from("tests")))
}

#[tokio::test]
async fn what_one_agent_saves_another_goes_on_with() {
    let (state, _) = store(Settings::default());
    let mut first = Counter { count: 1, name: "Ann".to_owned() };
    let mut at_home = keeper(&state, "a");
    assert_eq!(at_home.save(&first).await.unwrap().rev, Rev::FIRST);
    first.count = 2;
    let meta = at_home.save(&first).await.unwrap();
    assert_eq!((meta.rev.get(), meta.schema, meta.by.as_deref()), (2, Some(schema(3)), Some("tests")));

    let mut second = Counter::default();
    let mut elsewhere = keeper(&state, "a");
    elsewhere.load(&mut second).await.unwrap();
    assert_eq!(second, first);
    assert_eq!(elsewhere.held(), at_home.held());
}

#[tokio::test]
async fn a_twin_overwrites_nothing() {
    let (state, _) = store(Settings::default());
    let agent = Counter::default();
    let (mut one, mut twin) = (keeper(&state, "a"), keeper(&state, "a"));
    one.save(&agent).await.unwrap();
    let lost = |outcome: Result<_, AgentError>| matches!(outcome, Err(AgentError::State(StateError::Lost { .. })));
    assert!(lost(twin.save(&agent).await), "it would have created it");
    twin.load(&mut Counter::default()).await.unwrap();
    one.save(&Counter { count: 5, ..Counter::default() }).await.unwrap();
    assert!(lost(twin.save(&agent).await));
    let mut seen = Counter::default();
    twin.load(&mut seen).await.unwrap();
    assert_eq!(seen.count, 5);
    twin.save(&agent).await.unwrap();
}

#[tokio::test]
async fn older_versions_are_brought_up_to_date_one_at_a_time() {
    let (state, _) = store(Settings::default());
    for (name, content, version) in
        [("1", "7", 1), ("2", r#"{"count":7}"#, 2), ("3", r#"{"count":7,"name":"nobody"}"#, 3)]
    {
        state.put(&key(name), Condition::Absent, new(content, Some(schema(version)))).await.unwrap();
        let mut agent = Counter::default();
        let mut keeper = keeper(&state, name);
        keeper.load(&mut agent).await.unwrap();
        assert_eq!(agent, Counter { count: 7, name: "nobody".to_owned() }, "version {version}");
        assert_eq!(keeper.save(&agent).await.unwrap().schema, Some(schema(3)));
    }
}

#[tokio::test]
async fn what_this_release_does_not_know_is_refused() {
    let (state, _) = store(Settings::default());
    let other = Schema::new("other", 1).unwrap();
    for (name, content, written, why) in [
        ("newer", "{}", Some(schema(4)), UpcastError::Newer { found: schema(4), known: schema(3) }),
        ("old", "{}", Some(schema(0)), UpcastError::TooOld { found: schema(0), oldest: 1 }),
        ("other", "{}", Some(other.clone()), UpcastError::Other { found: other.clone(), known: schema(3) }),
        ("none", "{}", None, UpcastError::None),
        ("bad", "true", Some(schema(1)), UpcastError::Failed { from: 1, why: "not a count".to_owned() }),
    ] {
        state.put(&key(name), Condition::Absent, new(content, written)).await.unwrap();
        let mut agent = Counter { count: 1, name: "before".to_owned() };
        let mut keeper = keeper(&state, name);
        assert_eq!(keeper.load(&mut agent).await.unwrap_err(), AgentError::Upcast(why), "{name}");
        assert_eq!((agent.count, keeper.held()), (1, None), "{name}: nothing has changed");
    }
    let reader = upcasters().unversioned(1);
    assert_eq!(&reader.upcast(None, Bytes::from_static(b"7")).unwrap()[..], br#"{"count":7,"name":"nobody"}"#);
    assert!(matches!(reader.upcast(None, Bytes::from_static(b"{")), Err(UpcastError::Failed { from: 1, .. })));
}

#[tokio::test]
async fn a_dry_run_says_what_would_fail_and_writes_nothing() {
    let (state, _) = store(Settings::default());
    for number in 0..600 {
        let (content, version) = match number % 6 {
            0 => (json!({"count": number, "name": "n"}).to_string(), 3),
            1 => (json!({"count": number}).to_string(), 2),
            2 => (json!(-1).to_string(), 1),
            3 => ("{}".to_owned(), 4),
            _ => (json!(number).to_string(), 1),
        };
        state.put(&key(&format!("p/{number}")), Condition::Absent, new(&content, Some(schema(version)))).await.unwrap();
    }
    state.put(&key("q"), Condition::Absent, new("{}", None)).await.unwrap();
    state.delete(&key("p/0"), Rev::FIRST, Terms::default()).await.unwrap();
    let namespace = Namespace::parse("agents").unwrap();
    let mut told = 0;
    let report = dry_run(&state, &namespace, "p/", &upcasters(), |_| told += 1).await.unwrap();
    let counts = (report.tried, report.current, report.upcast, report.failed, report.passed, told);
    assert_eq!(counts, (599, 99, 300, 200, 0, 599));
    assert_eq!(report.failures.len(), 200);
    let first = &report.failures[0];
    assert_eq!((first.key.name(), first.schema.as_ref().unwrap().version), ("p/104", 1));
    assert_eq!(first.why, "the upcaster from version 1 failed: not a count");
    let history = state.history(&key("p/1"), None, 10).await.unwrap();
    assert_eq!(history.len(), 1, "nothing was written");
    let report = dry_run(&state, &namespace, "", &upcasters(), |_| {}).await.unwrap();
    assert_eq!((report.tried, report.failed), (600, 201));
    assert_eq!(report.failures.last().unwrap().why, "the content has no schema");
}

async fn take_over(state: &Arc<State>, token: &str, agent: &mut Counter) -> Result<Keeper, AgentError> {
    Keeper::take_over(state.clone(), token, Arc::new(upcasters()), None, agent).await
}

async fn refusal(state: &Arc<State>, token: &str) -> TokenRefusal {
    match take_over(state, token, &mut Counter::default()).await.err() {
        Some(AgentError::State(StateError::Token(why))) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_is_handed_over_once_and_its_old_holder_is_fenced() {
    let (state, clock) = store(Settings::default());
    let agent = Counter { count: 3, name: "Ann".to_owned() };
    let mut laptop = keeper(&state, "a");
    assert!(matches!(laptop.hand_off(Duration::MAX).await, Err(AgentError::State(StateError::NotFound))));
    laptop.save(&agent).await.unwrap();
    let handed = laptop.hand_off(Duration::from_secs(30)).await.unwrap();

    let mut moved = Counter::default();
    let mut phone = take_over(&state, &handed.token, &mut moved).await.unwrap();
    assert_eq!(moved, agent);
    assert_eq!(phone.held(), Some((Rev::new(2).unwrap(), Epoch::new(1).unwrap())));

    let fenced = laptop.save(&agent).await.unwrap_err();
    assert_eq!(fenced, AgentError::State(StateError::Fenced { epoch: Epoch::new(1).unwrap() }));
    phone.save(&moved).await.unwrap();
    assert_eq!(refusal(&state, &handed.token).await, TokenRefusal::Redeemed);

    // A token that is not redeemed in time, by a clock that runs and by one that jumps.
    let handed = phone.hand_off(Duration::from_secs(30)).await.unwrap();
    clock.0.store(NOW + 30_000, Ordering::Relaxed);
    assert_eq!(refusal(&state, &handed.token).await, TokenRefusal::Late);
    clock.0.store(NOW - 3_600_000, Ordering::Relaxed);
    assert_eq!(refusal(&state, &handed.token).await, TokenRefusal::Early);
    clock.0.store(NOW + 29_999, Ordering::Relaxed);
    phone.save(&moved).await.unwrap();
    assert_eq!(refusal(&state, &handed.token).await, TokenRefusal::Stale);
}

#[tokio::test]
async fn a_token_for_what_this_release_cannot_read_stays_good() {
    let (state, _) = store(Settings::default());
    state.put(&key("a"), Condition::Absent, new("{}", Some(schema(4)))).await.unwrap();
    let handed = state.hand_off(&key("a"), Rev::FIRST, None, Duration::from_secs(60)).await.unwrap();
    let old = take_over(&state, &handed.token, &mut Counter::default()).await;
    let newer = UpcastError::Newer { found: schema(4), known: schema(3) };
    assert_eq!(old.err().unwrap(), AgentError::Upcast(newer));
    assert_eq!(state.redeem(&handed.token, Terms::default()).await.unwrap().meta.epoch.get(), 1);
}

fn random() -> fastrand::Rng {
    fastrand::Rng::with_seed(7)
}

async fn no_wait(_: Duration) {}

#[tokio::test]
async fn of_many_who_take_one_step_one_succeeds() {
    for on_conflict in [OnConflict::Refuse, OnConflict::Merge] {
        let mut settings = Settings::default();
        let own = NamespaceSettings { on_conflict, ..NamespaceSettings::default() };
        settings.namespaces.insert(Namespace::parse("agents").unwrap(), own);
        let (state, _) = store(settings);
        let job = key("job");
        let mut rev = state.put(&job, Condition::Absent, new(r#"{"at":"idle","n":1}"#, None)).await.unwrap().rev;
        for (from, to) in [("idle", "busy"), ("busy", "idle"), ("idle", "busy")] {
            let tries = (0..20).map(|_| {
                let (state, job) = (state.clone(), job.clone());
                async move {
                    let machine = Machine::new(&state, &job, "/at", Retry::default(), Terms::default());
                    machine.transition(from, to, rev, &mut random(), no_wait).await
                }
            });
            let outcomes = join_all(tries).await;
            let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
            assert_eq!(won.len(), 1, "{on_conflict:?}: {from} to {to}: {outcomes:?}");
            for outcome in &outcomes {
                assert!(
                    matches!(outcome, Ok(_) | Err(TransitionError::Elsewhere { .. })),
                    "{on_conflict:?}: {outcome:?}"
                );
            }
            rev = won[0].rev;
        }
        let there = state.get(&job, At::Head).await.unwrap();
        assert_eq!((&there.content[..], there.meta.rev.get()), (&br#"{"at":"busy","n":1}"#[..], 4));
    }
}

#[tokio::test]
async fn a_step_goes_on_what_others_wrote_and_stops_where_they_moved_the_machine() {
    let (state, _) = store(Settings::default());
    let job = key("job");
    state.put(&job, Condition::Absent, new(r#"{"at":"idle"}"#, None)).await.unwrap();
    state.patch(&job, Rev::FIRST, br#"[{"op":"add","path":"/note","value":1}]"#, Terms::default()).await.unwrap();
    let machine = |place| Machine::new(&state, &job, place, Retry::default(), Terms::default());
    let at = machine("/at");
    let meta = at.transition("idle", "busy", Rev::FIRST, &mut random(), no_wait).await.unwrap();
    assert_eq!(&state.get(&job, At::Head).await.unwrap().content[..], br#"{"at":"busy","note":1}"#);

    let error = at.transition("idle", "busy", meta.rev, &mut random(), no_wait).await.unwrap_err();
    let elsewhere = TransitionError::Elsewhere { from: "idle".to_owned(), found: "busy".to_owned(), rev: meta.rev };
    assert_eq!(error, elsewhere);
    for place in ["/note", "/nothing", "at", ""] {
        let error = machine(place).transition("idle", "busy", meta.rev, &mut random(), no_wait).await.unwrap_err();
        assert_eq!(error, TransitionError::NoPlace { place: place.to_owned(), rev: meta.rev }, "{place}");
    }
    let epoch = Terms { epoch: Epoch::new(1), ..Terms::default() };
    let fenced = Machine::new(&state, &job, "/at", Retry::default(), epoch);
    let error = fenced.transition("busy", "idle", meta.rev, &mut random(), no_wait).await.unwrap_err();
    assert!(matches!(error, TransitionError::State(StateError::Fenced { .. })), "{error}");
    state.delete(&job, meta.rev, Terms::default()).await.unwrap();
    let error = at.transition("busy", "idle", meta.rev, &mut random(), no_wait).await.unwrap_err();
    assert_eq!(error, TransitionError::State(StateError::NotFound));

    let twice = key("twice");
    state.put(&twice, Condition::Absent, new(r#"{"at":"idle","at":"idle"}"#, None)).await.unwrap();
    let machine = Machine::new(&state, &twice, "/at", Retry::default(), Terms::default());
    let error = machine.transition("idle", "busy", Rev::FIRST, &mut random(), no_wait).await.unwrap_err();
    assert!(matches!(error, TransitionError::State(StateError::BadPatch(_))), "{error}");
}

/// State over an engine that fails as it is told, and the place of a job in it that is idle.
async fn staged(on_conflict: OnConflict) -> (Arc<Staged>, Arc<State>, Key) {
    let staged = Arc::new(Staged::default());
    let mut settings = Settings::default();
    let own = NamespaceSettings { on_conflict, ..NamespaceSettings::default() };
    settings.namespaces.insert(Namespace::parse("agents").unwrap(), own);
    let clock = Arc::new(SetClock(AtomicU64::new(NOW)));
    let state = Arc::new(State::new(staged.clone(), settings, clock, None));
    let job = key("job");
    state.put(&job, Condition::Absent, new(r#"{"at":"idle","n":0}"#, None)).await.unwrap();
    (staged, state, job)
}

/// Another writer, who comes first with a patch.
fn overtaken(staged: &Staged, job: &Key, patch: &'static str) -> Act {
    let clock = Arc::new(SetClock(AtomicU64::new(NOW)));
    let other = Arc::new(State::new(staged.memory.clone(), Settings::default(), clock, None));
    let job = job.clone();
    Act::After(Box::new(move || {
        let (other, job) = (other.clone(), job.clone());
        Box::pin(async move {
            let rev = other.meta(&job, At::Head).await.unwrap().rev;
            other.patch(&job, rev, patch.as_bytes(), Terms::default()).await.unwrap();
        })
    }))
}

const ELSEWHERE: &str = r#"[{"op":"add","path":"/n","value":1}]"#;

#[tokio::test]
async fn tries_are_bounded_and_waits_are_drawn() {
    let (staged, state, job) = staged(OnConflict::Refuse).await;
    let retry = Retry { attempts: 5, ..Retry::default() };
    let machine = Machine::new(&state, &job, "/at", retry, Terms::default());
    let waits = RefCell::new(Vec::new());
    let sleep = async |wait: Duration| waits.borrow_mut().push(wait);
    let waited = || std::mem::take(&mut *waits.borrow_mut());

    // Overtaken every time: five tries, no wait after the first of them, and none after the last.
    staged.acts.lock().extend((0..9).map(|_| overtaken(&staged, &job, ELSEWHERE)));
    let error = machine.transition("idle", "busy", Rev::FIRST, &mut random(), sleep).await.unwrap_err();
    assert_eq!(error, TransitionError::Overtaken(5));
    assert_eq!((waited().len(), staged.acts.lock().len()), (3, 4));
    // Overtaken four times, and then not.
    staged.acts.lock().clear();
    waited();
    let rev = state.meta(&job, At::Head).await.unwrap().rev;
    staged.acts.lock().extend((0..4).map(|_| overtaken(&staged, &job, ELSEWHERE)));
    machine.transition("idle", "busy", rev, &mut random(), sleep).await.unwrap();
    assert_eq!(waited().len(), 3);

    // Busy and unreachable: nothing was written, so it is tried again after a wait each time.
    let rev = state.meta(&job, At::Head).await.unwrap().rev;
    let down = StoreError::Unavailable("down".to_owned());
    staged.acts.lock().extend([StoreError::Busy, down.clone(), StoreError::Busy].map(Act::Fail));
    let meta = machine.transition("busy", "idle", rev, &mut random(), sleep).await.unwrap();
    let waits_then = waited();
    assert_eq!((meta.rev, waits_then.len()), (rev.next(), 3));
    assert!(
        waits_then.iter().zip([5, 10, 20]).all(|(wait, most)| *wait <= Duration::from_millis(most)),
        "{waits_then:?}"
    );
    staged.acts.lock().extend((0..5).map(|_| Act::Fail(down.clone())));
    let error = machine.transition("idle", "busy", meta.rev, &mut random(), sleep).await.unwrap_err();
    assert_eq!(error, TransitionError::State(StateError::Unavailable("down".to_owned())));
    assert_eq!((waited().len(), staged.acts.lock().len()), (4, 0));
}

#[tokio::test]
async fn what_may_have_happened_is_not_tried_again() {
    let (staged, state, job) = staged(OnConflict::Refuse).await;
    let machine = Machine::new(&state, &job, "/at", Retry::default(), Terms::default());
    staged.acts.lock().push_back(Act::DoneUnknown);
    let error = machine.transition("idle", "busy", Rev::FIRST, &mut random(), no_wait).await.unwrap_err();
    assert!(matches!(error, TransitionError::State(StateError::Unknown(_))), "{error}");
    assert_eq!(state.get(&job, At::Head).await.unwrap().meta.rev.get(), 2);

    // A keeper that reads then sees its own write, and goes on from it.
    let mut agent = Counter::default();
    let mut keeper = keeper(&state, "agent");
    staged.acts.lock().push_back(Act::DoneUnknown);
    let error = keeper.save(&agent).await.unwrap_err();
    assert!(matches!(error, AgentError::State(StateError::Unknown(_))), "{error}");
    assert!(matches!(keeper.save(&agent).await, Err(AgentError::State(StateError::Lost { .. }))), "it is there");
    keeper.load(&mut agent).await.unwrap();
    assert_eq!(keeper.save(&agent).await.unwrap().rev.get(), 2);
}

#[tokio::test]
async fn a_step_that_is_overtaken_by_the_same_step_is_not_taken() {
    for on_conflict in [OnConflict::Refuse, OnConflict::Merge] {
        for first in [
            r#"[{"op":"replace","path":"/at","value":"busy"}]"#,
            r#"[{"op":"replace","path":"/at","value":"busy"},{"op":"add","path":"/by","value":"other"}]"#,
            r#"[{"op":"replace","path":"/at","value":"done"}]"#,
        ] {
            let (staged, state, job) = staged(on_conflict).await;
            staged.acts.lock().push_back(overtaken(&staged, &job, first));
            let machine = Machine::new(&state, &job, "/at", Retry::default(), Terms::default());
            let error = machine.transition("idle", "busy", Rev::FIRST, &mut random(), no_wait).await.unwrap_err();
            assert!(matches!(error, TransitionError::Elsewhere { .. }), "{on_conflict:?} {first}: {error}");
            assert_eq!(state.meta(&job, At::Head).await.unwrap().rev.get(), 2, "{on_conflict:?} {first}");
        }
    }
}

#[test]
fn waits_grow_to_a_bound_and_differ() {
    let retry = Retry { attempts: 10, first: Duration::from_millis(10), most: Duration::from_millis(100) };
    let mut random = random();
    for attempt in 1..200 {
        let longest = Duration::from_millis(10 << (attempt - 1).min(4)).min(retry.most);
        let waits: Vec<Duration> = (0..100).map(|_| retry.wait(attempt, &mut random)).collect();
        assert!(waits.iter().all(|wait| *wait <= longest), "{attempt}");
        assert!(waits.iter().any(|wait| *wait > longest / 2), "{attempt}");
        assert!(waits.iter().any(|wait| *wait < longest / 2), "{attempt}");
    }
    assert_eq!(Retry { first: Duration::ZERO, ..retry }.wait(1, &mut random), Duration::ZERO);
    let endless = Retry { first: Duration::MAX, most: Duration::MAX, attempts: 1 };
    assert!(endless.wait(u32::MAX, &mut random) <= Duration::from_nanos(u64::MAX));
}

#[test]
fn json_steps_keep_what_a_patch_does_not_touch() {
    let reader = Upcasters::new("n", 1).unwrap().then_patch(r#"[{"op":"remove","path":"/old"}]"#).unwrap();
    let content = Bytes::from_static(br#"{"old":1,"big":12345678901234567890123}"#);
    let there = reader.upcast(Some(&Schema::new("n", 1).unwrap()), content).unwrap();
    assert_eq!(&there[..], br#"{"big":12345678901234567890123}"#);
    assert!(Upcasters::new("n", 1).unwrap().then_patch("{}").is_err());
    assert!(Upcasters::new("a b", 1).is_err());
    let read: Value = serde_json::from_slice(&there).unwrap();
    assert!(read["big"].is_f64(), "which a `Value` makes of it");
}
