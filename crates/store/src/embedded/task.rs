//! What an engine's one writing thread is asked to do.

use std::collections::HashSet;

use tokio::sync::oneshot;
use tradewind_core::UnixMillis;

use crate::error::StoreError;
use crate::name::{Key, Rev};
use crate::record::{Body, Record};
use crate::store::{Commit, Committed, Pin};

/// What a record takes beside its content, in bytes: for bounds of queues.
const OVERHEAD: usize = 512;

/// One change to the store.
#[derive(Debug)]
pub(crate) enum Task {
    /// [`Store::commit`](crate::Store::commit).
    Commit(Box<Commit>),
    /// [`Store::extend`](crate::Store::extend).
    Extend { key: Key, rev: Rev, expires_at: UnixMillis },
    /// [`Store::pin`](crate::Store::pin).
    Pin { key: Key, rev: Rev, pin: Pin },
    /// [`Store::prune`](crate::Store::prune).
    Prune { key: Key, keep: u32 },
    /// [`Store::forget`](crate::Store::forget).
    Forget { key: Key, rev: Rev },
}

impl Task {
    /// About how many bytes it brings, so that a queue and a group can be bounded.
    pub(crate) fn bytes(&self) -> usize {
        let of = |record: &Record| match &record.body {
            Body::Whole(bytes) | Body::Delta { bytes, .. } => bytes.len(),
            Body::Pieces(ids) => ids.len() * 32,
            Body::None => 0,
        };
        OVERHEAD
            + match self {
                Self::Commit(commit) => {
                    of(&commit.record)
                        + commit.parent_again.as_ref().map_or(0, of)
                        + commit.pieces.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
                }
                Self::Pin { pin: Pin::On(record), .. } => of(record),
                _ => 0,
            }
    }
}

/// Whether every piece that a revision names is either brought with it, or one of the head's that it replaces, so that it
/// cannot have gone in between.
pub(crate) fn brings_all_pieces(before: Option<&Record>, commit: &Commit) -> bool {
    let ids = commit.record.body.pieces();
    if ids.is_empty() {
        return true;
    }
    let mut there: HashSet<_> = before.map_or(&[][..], |head| head.body.pieces()).iter().collect();
    there.extend(commit.pieces.iter().map(|(id, _)| id));
    ids.iter().all(|id| there.contains(id))
}

/// How a task went.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Committed(Committed),
    /// Whether there was something to do it to.
    Was(bool),
    /// How many revisions are gone.
    Removed(u64),
}

/// A task and who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

impl Outcome {
    /// What became of a commit.
    ///
    /// # Panics
    /// When the task was another one.
    pub(crate) fn committed(self) -> Committed {
        match self {
            Self::Committed(committed) => committed,
            other => panic!("a commit was answered with {other:?}"),
        }
    }

    /// Whether there was something to do it to; see [`Outcome::committed`].
    pub(crate) fn was(self) -> bool {
        match self {
            Self::Was(was) => was,
            other => panic!("a change was answered with {other:?}"),
        }
    }

    /// How many revisions are gone; see [`Outcome::committed`].
    pub(crate) fn removed(self) -> u64 {
        match self {
            Self::Removed(count) => count,
            other => panic!("a prune was answered with {other:?}"),
        }
    }
}
