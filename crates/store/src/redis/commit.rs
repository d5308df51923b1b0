//! Commits: those that come together go together.
//!
//! A commit that finds no other on its way is sent at once, alone. While [`ON_THE_WAY`] calls wait for their answers, further
//! commits gather and go with the next one, at most [`TOGETHER`] of them: the server's work for a call is as much as that for
//! a commit. They share nothing else: each is compared, done, lost or refused for itself. What is sent is a future that all
//! who wait for it drive, so that it goes on when one of them is dropped.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::Value;
use tokio::sync::Semaphore;

use super::EVENTS_KEPT;
use super::keys::Space;
use super::link::{Fault, Link};
use super::reply;
use super::script::Script;
use crate::error::StoreError;
use crate::name::{Hash, Rev};
use crate::record::{Body, PieceId, Record};
use crate::store::{Commit, Committed, Expected};

/// Calls that wait for their answers at once.
const ON_THE_WAY: usize = 3;
/// Commits in one call.
const TOGETHER: usize = 32;
/// Bytes of commits in one call; a single one may have more.
const BYTES_TOGETHER: usize = 1 << 20;
/// Of so many commits one has old changes removed.
const TRIM_EVERY: u32 = 16;

/// A commit as the script takes it.
struct Prepared {
    key: Vec<u8>,
    changes: Vec<u8>,
    /// The arguments, one behind the other, and where each ends.
    args: Vec<u8>,
    ends: Vec<usize>,
}

impl Prepared {
    fn new(commit: &Commit) -> Self {
        let Commit { key, expected, record, parent_again, pieces, keep } = commit;
        let space = Space::of(&key.namespace);
        let meta = &record.meta;
        let room = record.body.stored_size() + pieces.iter().map(|(_, bytes)| 32 + bytes.len()).sum::<usize>();
        let mut new = Self {
            key: space.key(key),
            changes: space.changes(),
            args: Vec::with_capacity(room + 1_024),
            ends: Vec::with_capacity(13 + 2 * pieces.len()),
        };
        new.number(expected.rev().map_or(0, Rev::get));
        new.arg(&match expected {
            Expected::Is(_, chain) => mark(chain),
            Expected::Absent | Expected::At(_) => Vec::new(),
        });
        new.number(meta.rev.get());
        new.arg(&mark(&meta.chain));
        new.number(meta.expires_at.map_or(0, |at| at.0));
        let mut flags = Vec::with_capacity(3);
        if meta.kind.is_tombstone() {
            flags.push(b't');
        }
        if parent_again.as_ref().is_some_and(|parent| !parent.body.pieces().is_empty()) {
            flags.push(b'c');
        }
        if fastrand::u32(..TRIM_EVERY) == 0 {
            flags.push(b'x');
        }
        new.arg(&flags);
        new.number(meta.rev.get().saturating_sub(u64::from((*keep).max(1))));
        new.arg(&record.encode());
        new.arg(&Record { meta: meta.clone(), body: Body::None }.encode());
        new.arg(key.name().as_bytes());
        new.arg(&parent_again.as_ref().map(Record::encode).unwrap_or_default());
        new.arg(&distinct(record.body.pieces()));
        new.number(pieces.len() as u64);
        for (id, bytes) in pieces {
            new.arg(&id.0);
            new.arg(bytes);
        }
        new
    }

    fn arg(&mut self, bytes: &[u8]) {
        self.args.extend_from_slice(bytes);
        self.ends.push(self.args.len());
    }

    fn number(&mut self, number: u64) {
        use std::io::Write as _;
        write!(self.args, "{number}").expect("writing to a vector does not fail");
        self.ends.push(self.args.len());
    }

    fn all_args(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.args[start..*end])
    }
}

/// Enough of a chain to tell it from another of the same length: 64 bits of it.
fn mark(chain: &Hash) -> Vec<u8> {
    chain.0[..8]
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// The names of pieces, each once, in a row.
pub(super) fn distinct(ids: &[PieceId]) -> Vec<u8> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.iter().flat_map(|id| id.0).collect()
}

/// What came back for each of those that went together; each takes its own.
type Answers = Arc<Mutex<Vec<Option<Result<Value, Fault>>>>>;
type Sending = Shared<BoxFuture<'static, Answers>>;

/// Commits that wait to be sent; `None` once they are on their way.
type Waiting = Arc<Mutex<Option<Vec<Prepared>>>>;

struct Gathering {
    waiting: Waiting,
    bytes: usize,
    sending: Sending,
}

/// Sends commits.
pub(super) struct Commits {
    link: Arc<Link>,
    on_the_way: Arc<Semaphore>,
    gathering: Mutex<Option<Gathering>>,
}

impl Commits {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link, on_the_way: Arc::new(Semaphore::new(ON_THE_WAY)), gathering: Mutex::default() }
    }

    pub(super) async fn write(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let (sending, at) = self.join(Prepared::new(commit));
        let answers = sending.await;
        let answer = answers.lock()[at].take().expect("each takes its own answer, once");
        reply::committed(answer.map_err(Fault::of_write)?)
    }

    /// Joins those that wait, or begins to gather others. Which place it has among them.
    fn join(&self, prepared: Prepared) -> (Sending, usize) {
        let size = prepared.args.len();
        let mut gathering = self.gathering.lock();
        if let Some(open) = &mut *gathering
            && open.bytes + size <= BYTES_TOGETHER
            && let Some(waiting) = &mut *open.waiting.lock()
            && waiting.len() < TOGETHER
        {
            open.bytes += size;
            waiting.push(prepared);
            return (open.sending.clone(), waiting.len() - 1);
        }
        let waiting: Waiting = Arc::new(Mutex::new(Some(vec![prepared])));
        let sending = send(self.link.clone(), self.on_the_way.clone(), waiting.clone()).boxed().shared();
        *gathering = Some(Gathering { waiting, bytes: size, sending: sending.clone() });
        (sending, 0)
    }
}

async fn send(link: Arc<Link>, on_the_way: Arc<Semaphore>, waiting: Waiting) -> Answers {
    let _turn = on_the_way.acquire().await.expect("it is never closed");
    let commits = waiting.lock().take().expect("they are sent once");
    let kept = EVENTS_KEPT.to_string();
    let keys: Vec<&[u8]> = commits.iter().flat_map(|one| [&one.key[..], &one.changes[..]]).collect();
    let mut args: Vec<&[u8]> = Vec::with_capacity(1 + commits.len() * 13);
    args.push(kept.as_bytes());
    for commit in &commits {
        args.extend(commit.all_args());
    }
    let answer = link.run(Script::Commit, &keys, &args).await;
    let answers = match answer {
        Ok(answer) => match reply::several(answer, commits.len()) {
            Ok(answers) => answers.into_iter().map(|answer| Some(Ok(answer))).collect(),
            // They were done or not; what came back does not say.
            Err(error) => vec![Some(Err(Fault::NoAnswer(error.to_string()))); commits.len()],
        },
        Err(fault) => vec![Some(Err(fault)); commits.len()],
    };
    Arc::new(Mutex::new(answers))
}
