//! Commits: those that come together go together.
//!
//! A commit that finds no other on its way is sent at once, alone. While [`ON_THE_WAY`] calls wait for their answers, further
//! commits of a namespace gather and go with its next one, at most [`TOGETHER`] of them: the server's work for a call, with
//! reading and writing the heads and telling of the changes, is as much as that for several records. They share nothing
//! else: each is compared, done, lost or refused for itself. What is sent is a future that all who wait for it drive, so that
//! it goes on when one of them is dropped.
//!
//! What goes together is a transaction of two commands: one puts the records where nobody looks yet (`head.rs`), for Lua takes
//! about a nanosecond for each byte that it is given; the other is the script, which removes those again that lost. A head that
//! was written here before is given as a whole, and what it becomes: comparing it is all there is to do then. Such commits go
//! by themselves.

use std::borrow::Cow;
use std::sync::{Arc, Weak};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use redis::Cmd;
use rustc_hash::FxHashMap;
use tokio::sync::Semaphore;

use super::EVENTS_KEPT;
use super::head::{Heads, Known, PLACE, SIZE, Whole, mark, place};
use super::keys::Space;
use super::link::{Fault, Link};
use super::reply::{self, Outcome};
use super::script::Script;
use super::sealed;
use crate::error::StoreError;
use crate::name::Namespace;
use crate::record::PieceId;
use crate::store::{Commit, Committed, Expected};

/// Calls that wait for their answers at once.
const ON_THE_WAY: usize = 3;
/// Commits in one call.
const TOGETHER: usize = 32;
/// Bytes of commits in one call; a single one may have more.
const BYTES_TOGETHER: usize = 1 << 20;
/// Of so many calls one has old changes removed.
const TRIM_EVERY: u32 = 16;

/// Bytes that say what a commit is: see `lua/commit.lua`.
const CONTROL: usize = 61;
/// The head is compared by its number alone.
const NUMBER_ALONE: u8 = 1;
/// The new head is a tombstone.
const TOMBSTONE: u8 = 2;
/// There is more than the record.
const MORE: u8 = 4;

/// A commit as the script takes it.
struct Prepared {
    name: Box<str>,
    control: [u8; CONTROL],
    /// The whole head that is expected, and what it becomes, where the script need not look.
    whole: Option<Whole>,
    /// Where the record is put, and the record.
    place: [u8; PLACE],
    record: Vec<u8>,
    /// The parent again and the pieces, where there are any.
    more: Vec<Vec<u8>>,
}

impl Prepared {
    /// Asks `heads` whether the head is known, and for a stamp. What is known when it is done as a whole.
    fn new(commit: &Commit, heads: &Heads) -> (Self, Option<Known>) {
        let Commit { key, expected, record, parent_again, pieces, keep } = commit;
        let meta = &record.meta;
        let ids = record.body.pieces();
        let mut flags = 0;
        if matches!(expected, Expected::At(_)) {
            flags |= NUMBER_ALONE;
        }
        if meta.kind.is_tombstone() {
            flags |= TOMBSTONE;
        }
        let mut more = Vec::new();
        if parent_again.is_some() || !ids.is_empty() || !pieces.is_empty() {
            flags |= MORE;
            more.reserve_exact(3 + 2 * pieces.len());
            more.push(parent_again.as_ref().map(|parent| sealed::record(key, parent)).unwrap_or_default());
            more.push(distinct(ids));
            more.push(pieces.len().to_string().into_bytes());
            for (id, bytes) in pieces {
                more.push(id.0.to_vec());
                more.push(sealed::piece(id, bytes));
            }
        }
        let mut control = [0; CONTROL];
        match expected {
            Expected::Absent => {}
            Expected::At(rev) => control[..8].copy_from_slice(&sealed::field(*rev)),
            Expected::Is(rev, chain) => control[..16].copy_from_slice(&mark(*rev, chain)),
        }
        control[16..32].copy_from_slice(&mark(meta.rev, &meta.chain));
        control[32..40].copy_from_slice(&meta.expires_at.map_or(0, |at| at.0).to_be_bytes());
        let removed = meta.rev.get().saturating_sub(u64::from((*keep).max(1)));
        control[40..48].copy_from_slice(&removed.to_be_bytes());
        control[60] = flags;
        let known = if more.is_empty() { heads.follow(key, expected, meta, removed) } else { None };
        let (whole, next) = known.unzip();
        let stamp = whole.as_ref().map_or_else(|| heads.stamp(), |whole: &Whole| whole.head.stamp());
        control[48..60].copy_from_slice(&stamp);
        let prepared = Self {
            name: Box::from(key.name()),
            control,
            whole,
            place: place(&stamp, meta.rev.get()),
            record: sealed::record(key, record),
            more,
        };
        (prepared, next)
    }

    fn size(&self) -> usize {
        self.record.len() + self.more.iter().map(Vec::len).sum::<usize>()
    }
}

/// The names of pieces, each once, in a row.
pub(super) fn distinct(ids: &[PieceId]) -> Vec<u8> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.iter().flat_map(|id| id.0).collect()
}

/// What came back for each of those that went together; each takes its own.
type Answers = Arc<Mutex<Vec<Option<Result<Outcome, Fault>>>>>;
type Sending = Shared<BoxFuture<'static, Answers>>;

/// Commits that wait to be sent; `None` once they are on their way.
type Waiting = Arc<Mutex<Option<Vec<Prepared>>>>;

/// Held by those who wait alone: with the last of them it is gone, and gives up its place among those that want to be sent.
/// Nobody would drive it any more, and what it was given it would keep.
struct Gathering {
    waiting: Weak<Mutex<Option<Vec<Prepared>>>>,
    bytes: usize,
    sending: WeakShared<BoxFuture<'static, Answers>>,
}

/// What gathers for a namespace, which tells of all that goes together as one entry in one stream; and whether it has whole
/// heads, which the script sees to at once.
type Which = (Namespace, bool);
type Gatherings = Arc<Mutex<FxHashMap<Which, Gathering>>>;

/// Sends commits.
pub(super) struct Commits {
    link: Arc<Link>,
    on_the_way: Arc<Semaphore>,
    gatherings: Gatherings,
    heads: Heads,
}

impl Commits {
    /// # Errors
    /// As [`Heads::new`].
    pub(super) fn new(link: Arc<Link>) -> Result<Self, StoreError> {
        let on_the_way = Arc::new(Semaphore::new(ON_THE_WAY));
        Ok(Self { link, on_the_way, gatherings: Arc::default(), heads: Heads::new()? })
    }

    pub(super) async fn write(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let (prepared, next) = Prepared::new(commit, &self.heads);
        let (sending, at) = self.join(&commit.key.namespace, prepared);
        let answers = sending.await;
        let answer = answers.lock()[at].take().expect("each takes its own answer, once");
        let outcome = answer.map_err(Fault::of_write)?;
        match (&outcome, next) {
            (Outcome::Done(_), Some(next)) => self.heads.set(&commit.key, next),
            (Outcome::Made(_, Some(made)), _) => self.heads.set_after(&commit.key, made.head, made.before),
            _ => {}
        }
        reply::committed(&commit.key, outcome)
    }

    /// Joins those that wait, or begins to gather others. Which place it has among them.
    fn join(&self, namespace: &Namespace, prepared: Prepared) -> (Sending, usize) {
        let size = prepared.size();
        let which = (namespace.clone(), prepared.whole.is_some());
        let mut gatherings = self.gatherings.lock();
        if let Some(open) = gatherings.get_mut(&which)
            && open.bytes + size <= BYTES_TOGETHER
            && let (Some(sending), Some(waiting)) = (open.sending.upgrade(), open.waiting.upgrade())
            && let Some(waiting) = &mut *waiting.lock()
            && waiting.len() < TOGETHER
            // Those of one key go one behind the other: the heads are read once for all of a call.
            && waiting.iter().all(|other| other.name != prepared.name)
        {
            open.bytes += size;
            waiting.push(prepared);
            return (sending, waiting.len() - 1);
        }
        let waiting: Waiting = Arc::new(Mutex::new(Some(vec![prepared])));
        let turn = Turn {
            link: self.link.clone(),
            on_the_way: self.on_the_way.clone(),
            gatherings: self.gatherings.clone(),
            which: which.clone(),
            waiting: waiting.clone(),
        };
        let sending = turn.send().boxed().shared();
        if let Some(weak) = sending.downgrade() {
            gatherings.insert(which, Gathering { waiting: Arc::downgrade(&waiting), bytes: size, sending: weak });
        }
        (sending, 0)
    }
}

/// One call: what it needs.
struct Turn {
    link: Arc<Link>,
    on_the_way: Arc<Semaphore>,
    gatherings: Gatherings,
    which: Which,
    waiting: Waiting,
}

impl Turn {
    async fn send(self) -> Answers {
        let _turn = self.on_the_way.acquire().await.expect("it is never closed");
        let commits = self.waiting.lock().take().expect("they are sent once");
        {
            let mut gatherings = self.gatherings.lock();
            if gatherings.get(&self.which).is_some_and(|now| now.waiting.as_ptr() == Arc::as_ptr(&self.waiting)) {
                gatherings.remove(&self.which);
            }
        }
        let answers = match self.call(&commits).await {
            Ok(outcomes) => outcomes.into_iter().map(|outcome| Some(Ok(outcome))).collect(),
            Err(fault) => vec![Some(Err(fault)); commits.len()],
        };
        Arc::new(Mutex::new(answers))
    }

    async fn call(&self, commits: &[Prepared]) -> Result<Vec<Outcome>, Fault> {
        self.link.questions.answered(&self.which.0).await.map_err(Fault::NotSent)?;
        let space = Space::of(&self.which.0);
        let (many, kept) = (commits.len().to_string(), EVENTS_KEPT.to_string());
        let mut control = Vec::with_capacity(commits.len() * CONTROL);
        let mut changes = sealed::Changes::new();
        for commit in commits {
            control.extend_from_slice(&commit.control);
            changes.add(&commit.name, sealed::meta_in(&commit.record));
        }
        let changes = changes.finish(&self.which.0);
        let kept = if fastrand::u32(..TRIM_EVERY) == 0 { kept.as_bytes() } else { &[] };
        let wholes = Wholes::new(&space, commits);
        let mut args: Vec<&[u8]> = Vec::with_capacity(10 + commits.len() * 3);
        args.extend([space.prefix(), many.as_bytes(), kept, &control, &changes]);
        args.extend([wholes.many.as_bytes(), &wholes.expected]);
        args.extend(commits.iter().map(|commit| commit.name.as_bytes()));
        args.extend(wholes.rest.iter().map(|part| &part[..]));
        args.extend(commits.iter().flat_map(|commit| &commit.more).map(|more| &more[..]));
        let bytes: usize = commits.iter().map(|commit| commit.record.len() + PLACE).sum();
        let mut records = Cmd::with_capacity(2 + commits.len() * 2, bytes + 64);
        records.arg("HSET").arg(space.records());
        for commit in commits {
            records.arg(&commit.place[..]).arg(&commit.record);
        }
        let keys = [&space.heads()[..], &space.changes()];
        let answer = self.link.run_behind(records, Script::Commit, &keys, &args).await?;
        // They were done or not; what came back may not say.
        let outcomes = reply::several(answer, commits.len(), sealed::mark(&changes));
        outcomes.map_err(|error| Fault::NoAnswer(error.to_string()))
    }
}

/// What the script is given about whole heads; they go by themselves.
struct Wholes<'a> {
    many: String,
    expected: Vec<u8>,
    rest: Vec<Cow<'a, [u8]>>,
}

impl<'a> Wholes<'a> {
    fn new(space: &Space, commits: &'a [Prepared]) -> Self {
        let mut expected = Vec::with_capacity(commits.len() * SIZE);
        let mut rest: Vec<Cow<'a, [u8]>> = Vec::with_capacity(2 + 2 * commits.len());
        let mut turns = Vec::new();
        for commit in commits {
            let Some(whole) = &commit.whole else { return Self::default() };
            expected.extend_from_slice(&whole.expected);
            rest.push(Cow::Borrowed(commit.name.as_bytes()));
            rest.push(Cow::Owned(whole.head.bytes().to_vec()));
            turns.extend(whole.turn.as_ref().map(|turn| (&commit.name, turn)));
        }
        let number = |number: usize| Cow::Owned(number.to_string().into_bytes());
        rest.push(number(turns.len()));
        for (name, turn) in &turns {
            rest.push(Cow::Owned(space.key_named(name)));
            rest.extend([&turn.first[..], &turn.note].map(Cow::Borrowed));
            rest.push(number(turn.runs.len()));
            rest.extend(turn.runs.iter().map(|run| Cow::Borrowed(&run[..])));
        }
        rest.push(number(turns.iter().map(|(_, turn)| turn.records.len()).sum()));
        rest.extend(turns.iter().flat_map(|(_, turn)| &turn.records).map(|record| Cow::Borrowed(&record[..])));
        Self { many: commits.len().to_string(), expected, rest }
    }
}

impl Default for Wholes<'_> {
    fn default() -> Self {
        Self { many: "0".to_owned(), expected: Vec::new(), rest: Vec::new() }
    }
}
