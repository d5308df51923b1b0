//! 64 writers of state that go on for ever, and what has to be there after whatever they write to was killed.
//!
//! They do all that changes a store: contents of 4 to 64 KiB that are put again with small changes, so that parents become
//! differences; long ones that grow by pieces; deletions, hand-offs, pins; and keys that many write at once. Everything that
//! was acknowledged is told, and compared with what is found.

mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tradewind_core::{Clock, Moment, UnixMillis};
use tradewind_store::state::{At, Condition, New, State, Terms};
use tradewind_store::{Key, Kind, Meta, Namespace, Rev, Settings, StateError, Store};

use plan::Deed;

pub(crate) const WRITERS: usize = 64;
/// Revisions that a key keeps. More than the distance between two that are kept whole.
const KEEP: u32 = 20;

/// Something that is certain from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// `by` made this revision of the key.
    Made { key: String, rev: u64, by: String },
    /// It stays, however many come after it.
    Pinned { key: String, rev: u64 },
    /// It is about to be let go of.
    LetGo { key: String, rev: u64 },
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made { key, rev, by } => write!(f, "told {key} {rev} {by}"),
            Self::Pinned { key, rev } => write!(f, "pinned {key} {rev}"),
            Self::LetGo { key, rev } => write!(f, "let-go {key} {rev}"),
        }
    }
}

/// State as these writers want it, with nothing remembered.
pub(crate) fn state(store: Arc<dyn Store>) -> State {
    let settings = Settings { keep: KEEP, ..Settings::default() };
    State::new(store, settings, Arc::new(StillClock), None)
}

/// Time does not pass.
struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Moment {
        Moment::START
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(4_102_444_800_000)
    }
}

fn namespace() -> Namespace {
    Namespace::parse("killed").unwrap()
}

fn key(name: &str) -> Key {
    Key::new(namespace(), name).unwrap()
}

/// Whether an error may be met with another attempt.
pub(crate) type Forgives = fn(&StateError) -> bool;

/// Lets all of them write until `stop` says so; each attempt that is forgiven is made again.
pub(crate) async fn write(
    state: Arc<State>,
    told: impl Fn(Told) + Clone + Send + Sync + 'static,
    stop: impl Fn() -> bool + Clone + Send + 'static,
    forgives: Forgives,
) {
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let writer = Writer { state: state.clone(), by: format!("writer-{number}"), told: told.clone(), forgives };
        // Long ones are for one in eight; whoever else would have them puts once more.
        let long = if number % 8 == 0 { format!("long/{number}") } else { format!("own/{number}") };
        let names = [format!("own/{number}"), long, format!("shared/{}", number % 4)];
        let (keys, stop) = (names.map(|name| key(&name)), stop.clone());
        writers.spawn(async move {
            for turn in 0.. {
                if stop() {
                    return;
                }
                let key = &keys[[0, 1, 1, 2, 0][turn % 5]];
                match writer.go_on(key).await {
                    Ok(()) => {}
                    Err(error) if forgives(&error) => tokio::task::yield_now().await,
                    Err(error) => panic!("{key}: {error}"),
                }
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
}

struct Writer<T> {
    state: Arc<State>,
    by: String,
    told: T,
    forgives: Forgives,
}

impl<T: Fn(Told)> Writer<T> {
    /// Makes the next revision of a key, or loses it to another writer.
    async fn go_on(&self, key: &Key) -> Result<(), StateError> {
        let head = match self.state.history(key, None, 1).await {
            Ok(newest) => newest.into_iter().next().map(|newest| newest.meta),
            Err(StateError::NotFound) => None,
            Err(error) => return Err(error),
        };
        if let Some(head) = head.as_ref().filter(|head| head.kind == Kind::Value && head.rev.get().is_multiple_of(5)) {
            match self.state.get(key, At::Rev(head.rev)).await {
                Ok(value) => assert_eq!(Some(&*value.content), plan::content(key, head.rev.get()).as_deref(), "{key}"),
                Err(StateError::Gone) if key.name().starts_with("shared/") => {}
                Err(error) => return Err(error),
            }
        }
        let next = head.as_ref().map_or(1, |head| head.rev.get() + 1);
        match self.make(key, head.map(|head| head.rev), next).await {
            Ok(made) => {
                assert_eq!(made.rev.get(), next, "{key}");
                (self.told)(Told::Made { key: key.name().to_owned(), rev: next, by: self.by.clone() });
                self.pin(key, next).await
            }
            // Another was faster; or it was this one, and nobody knew.
            Err(StateError::Lost { .. } | StateError::Token(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn make(&self, key: &Key, head: Option<Rev>, next: u64) -> Result<Meta, StateError> {
        let terms = || Terms { by: Some(Arc::from(&*self.by)), ..Terms::default() };
        let content_type = Arc::from("application/octet-stream");
        let new = || {
            let content = Bytes::from(plan::content(key, next).expect("a value"));
            New { content, content_type, schema: None, terms: terms() }
        };
        let head = || head.expect("only a first revision has none before it");
        match plan::deed(key, next) {
            Deed::Create => self.state.put(key, Condition::Absent, new()).await,
            Deed::Put => self.state.put(key, Condition::At(head()), new()).await,
            Deed::Append => self.state.append(key, head(), Bytes::from(plan::addition(key, next)), terms()).await,
            Deed::Delete => self.state.delete(key, head(), terms()).await,
            Deed::HandOver => {
                let given = self.state.hand_off(key, head(), None, Duration::from_secs(60)).await?;
                Ok(self.state.redeem(&given.token, terms()).await?.meta)
            }
        }
    }

    /// Pins what was made, if that is its turn, and lets go of what was pinned before it.
    async fn pin(&self, key: &Key, number: u64) -> Result<(), StateError> {
        let Some((pinned, before)) = plan::pin(key, number) else { return Ok(()) };
        let rev = |number| Rev::new(number).unwrap();
        let name = || key.name().to_owned();
        self.state.pin(key, rev(pinned), true).await?;
        (self.told)(Told::Pinned { key: name(), rev: pinned });
        let Some(before) = before else { return Ok(()) };
        (self.told)(Told::LetGo { key: name(), rev: before });
        match self.state.pin(key, rev(before), false).await {
            // The one who was to pin it was killed before.
            Err(StateError::Gone) => Ok(()),
            Err(error) if (self.forgives)(&error) => Ok(()),
            outcome => outcome,
        }
    }
}

/// What was told of all keys.
#[derive(Default)]
pub(crate) struct Known {
    keys: BTreeMap<String, Life>,
    /// Revisions that were told of.
    pub(crate) made: usize,
}

#[derive(Default)]
struct Life {
    /// Who made which revision.
    made: BTreeMap<u64, String>,
    pinned: BTreeSet<u64>,
}

impl Known {
    /// Takes note of what was told.
    pub(crate) fn note(&mut self, told: Told) {
        match told {
            Told::Made { key, rev, by } => {
                let before = self.keys.entry(key.clone()).or_default().made.insert(rev, by.clone());
                assert!(before.is_none(), "revision {rev} of {key} was made by {before:?} and by {by}");
                self.made += 1;
            }
            Told::Pinned { key, rev } => {
                self.keys.entry(key).or_default().pinned.insert(rev);
            }
            Told::LetGo { key, rev } => {
                self.keys.entry(key).or_default().pinned.remove(&rev);
            }
        }
    }

    /// Looks through all of `state`, which remembers nothing: what was told is there, what is there is what was written, and
    /// nothing is damaged. `kills` is how often a writer can have made a revision without hearing of it since it last told of
    /// one. How many revisions were read.
    pub(crate) async fn verify(&self, state: &State, kills: u64) -> usize {
        let mut seen = 0;
        for (name, life) in &self.keys {
            let key = key(name);
            let history = state.history(&key, None, 1_000).await.unwrap();
            let head = history[0].meta.rev.get();
            let last = life.made.last_key_value().map_or(0, |(last, _)| *last);
            let writers = if name.starts_with("shared/") { WRITERS as u64 } else { 1 };
            let most = last + kills * writers;
            assert!((last..=most).contains(&head), "{key}: {last} was acknowledged, {head} is there");
            let there: BTreeSet<u64> = history.iter().map(|kept| kept.meta.rev.get()).collect();
            for number in head.saturating_sub(u64::from(KEEP)) + 1..=head {
                assert!(there.contains(&number), "{key}: revision {number} is not there: {there:?}");
            }
            let pinned: BTreeSet<u64> =
                history.iter().filter(|kept| kept.pinned).map(|kept| kept.meta.rev.get()).collect();
            assert!(life.pinned.is_subset(&pinned), "{key}: {:?} were pinned, {pinned:?} are", life.pinned);
            for kept in &history {
                seen += 1;
                self.is_as_planned(state, &key, &kept.meta).await;
            }
        }
        let checked = state.check(|_| ()).await.unwrap();
        assert_eq!(checked.damages, Vec::new());
        // The keys of these writers, and the store's own for the tokens.
        assert!(checked.revisions as usize > seen && checked.keys as usize > self.keys.len(), "{checked:?}");
        seen
    }

    async fn is_as_planned(&self, state: &State, key: &Key, meta: &Meta) {
        let number = meta.rev.get();
        if let Some(by) = self.keys[key.name()].made.get(&number) {
            assert_eq!(meta.by.as_deref(), Some(&**by), "{key}: revision {number} is another's");
        }
        assert_eq!(meta.epoch.get(), plan::epoch(key, number), "{key}: revision {number}");
        match plan::content(key, number) {
            None => assert_eq!(meta.kind, Kind::Deleted, "{key}: revision {number}"),
            Some(content) => {
                let value =
                    state.get(key, At::Rev(meta.rev)).await.unwrap_or_else(|error| panic!("{key} {number}: {error}"));
                assert_eq!(value.meta, *meta, "{key}");
                assert!(value.content == content, "{key}: revision {number} is another content");
            }
        }
    }
}
