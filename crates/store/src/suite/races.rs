//! Races: of several writers of one revision one wins, and nobody ever sees a step back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::records::{commit, following, key, record};
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::Key;
use crate::store::{Committed, Store};

/// What became of a race.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raced {
    /// Commits that were done.
    pub won: u64,
    /// Commits that were lost.
    pub lost: u64,
    /// Commits whose outcome is not known.
    pub unknown: u64,
    /// Commits that were refused for another reason.
    pub refused: u64,
}

/// An operation on one key, as its caller saw it.
#[derive(Clone, Copy, Debug)]
struct Operation {
    /// Before it was asked for.
    begun: u64,
    /// After it was answered.
    ended: u64,
    /// The revision that was written, or seen.
    rev: u64,
    /// Whether it was written.
    wrote: bool,
}

/// A record of what callers saw of one key, and whether a register with compare-and-set can have answered so.
///
/// General checkers of linearizability search through the orders that are possible. Here every write names the revision it
/// makes, so that there is only one order that can be meant, and it is enough to look whether it fits: no revision was made
/// twice; whoever began after another had ended saw at least what that one did; and nobody saw what nobody had begun to
/// write. That is sufficient, since the operations sorted by revision, the writer of each first, are then a legal order.
#[derive(Debug, Default)]
pub struct Register {
    clock: AtomicU64,
    operations: parking_lot::Mutex<Vec<Operation>>,
}

impl Register {
    /// The present; to be taken before something is asked for.
    pub fn begin(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// A revision was written.
    pub fn wrote(&self, begun: u64, rev: u64) {
        self.end(begun, rev, true);
    }

    /// A revision was seen to be the head; 0 is none.
    pub fn saw(&self, begun: u64, rev: u64) {
        self.end(begun, rev, false);
    }

    fn end(&self, begun: u64, rev: u64, wrote: bool) {
        let ended = self.clock.fetch_add(1, Ordering::SeqCst);
        self.operations.lock().push(Operation { begun, ended, rev, wrote });
    }

    /// Checks all of it. `unknown` says whether there were writes whose outcome nobody knows: then what was seen need not
    /// have been written by somebody who knows of it.
    ///
    /// # Panics
    /// When no register can have answered so.
    pub fn check(&self, unknown: bool) {
        let mut operations = self.operations.lock().clone();
        let mut writers: Vec<(u64, u64)> =
            operations.iter().filter(|operation| operation.wrote).map(|write| (write.rev, write.begun)).collect();
        writers.sort_unstable();
        assert!(writers.windows(2).all(|pair| pair[0].0 < pair[1].0), "a revision was made twice");
        let mut by_end = operations.clone();
        by_end.sort_unstable_by_key(|operation| operation.ended);
        operations.sort_unstable_by_key(|operation| operation.begun);
        let (mut ended, mut seen) = (by_end.iter().peekable(), 0);
        for operation in &operations {
            while let Some(earlier) = ended.next_if(|earlier| earlier.ended < operation.begun) {
                seen = seen.max(earlier.rev);
            }
            let least = if operation.wrote { seen + 1 } else { seen };
            assert!(operation.rev >= least, "after revision {seen}: {operation:?}");
            if !operation.wrote && operation.rev > 0 && !unknown {
                let writer = writers.binary_search_by_key(&operation.rev, |writer| writer.0);
                let begun = writer.map(|place| writers[place].1);
                assert!(begun.is_ok_and(|begun| begun < operation.ended), "seen before it was written: {operation:?}");
            }
        }
    }
}

/// Lets `writers` race for one key until it has had `rounds` revisions, each compared with a register. The key is new.
///
/// # Panics
/// When two win, when none does, or when the history has a hole.
pub async fn race(store: &Arc<dyn Store>, key: &Key, writers: usize, rounds: u64) -> Raced {
    race_between(std::slice::from_ref(store), key, writers, rounds).await
}

/// The same over several ways to one store, as gateways on several machines have them: writers take them in turn.
///
/// # Panics
/// When two win, when none does, or when the history has a hole; and without a store.
pub async fn race_between(stores: &[Arc<dyn Store>], key: &Key, writers: usize, rounds: u64) -> Raced {
    let register = Arc::new(Register::default());
    let mut racers = JoinSet::new();
    for writer in 0..writers {
        let (store, key, register) = (stores[writer % stores.len()].clone(), key.clone(), register.clone());
        racers.spawn(async move { racer(&*store, &key, writer, rounds, &register).await });
    }
    let mut raced = Raced::default();
    while let Some(outcome) = racers.join_next().await {
        let outcome = outcome.expect("a racer that does not fail");
        raced.won += outcome.won;
        raced.lost += outcome.lost;
        raced.unknown += outcome.unknown;
        raced.refused += outcome.refused;
    }
    register.check(raced.unknown > 0);
    for store in stores {
        let head = store.head(key).await.expect("a head").expect("somebody won");
        assert!(raced.won <= head.meta.rev.get() && head.meta.rev.get() <= raced.won + raced.unknown, "{raced:?}");
    }
    raced
}

/// One writer: commits on the head that it last heard of, until the key has had so many revisions.
async fn racer(store: &dyn Store, key: &Key, writer: usize, rounds: u64, register: &Register) -> Raced {
    let mut raced = Raced::default();
    let mut head: Option<Meta> = None;
    loop {
        let seen = head.as_ref().map_or(0, |head| head.rev.get());
        if seen >= rounds {
            return raced;
        }
        let body = format!("{writer} after {seen}");
        let next = match &head {
            None => record(body.as_bytes()),
            Some(head) => following(head, body.as_bytes()),
        };
        let begun = register.begin();
        match store.commit(commit(key, &next)).await {
            Ok(Committed::Done(_)) => {
                register.wrote(begun, next.meta.rev.get());
                raced.won += 1;
                head = Some(next.meta);
            }
            Ok(Committed::Lost(found)) => {
                register.saw(begun, found.as_ref().map_or(0, |found| found.meta.rev.get()));
                raced.lost += 1;
                head = found.map(|found| found.meta.clone());
            }
            Err(error) => {
                match error {
                    StoreError::Unknown(_) => raced.unknown += 1,
                    StoreError::Unavailable(_) | StoreError::Busy | StoreError::Full(_) => raced.refused += 1,
                    other => panic!("{other}"),
                }
                tokio::task::yield_now().await;
                let begun = register.begin();
                if let Ok(found) = store.head(key).await {
                    register.saw(begun, found.as_ref().map_or(0, |found| found.meta.rev.get()));
                    head = found.map(|found| found.meta.clone());
                }
            }
        }
    }
}

/// Eight writers, one key: each revision has one author, and losers are told of the winner.
pub async fn one_writer_wins(store: Arc<dyn Store>) {
    let key = key("race", "k");
    let raced = race(&store, &key, 8, 100).await;
    assert_eq!(raced.unknown + raced.refused, 0, "{raced:?}");
    let history = store.history(&key, None, 100).await.expect("a history");
    assert_eq!(history.len(), 32);
    for pair in history.windows(2) {
        assert!(pair[0].meta.follows(Some(&pair[1].meta.chain)), "{:?}", pair[0].meta.rev);
    }
}

/// Readers beside a writer: what was acknowledged is seen by every read that begins after, whatever it reads by.
pub async fn readers_see_no_step_back(store: Arc<dyn Store>) {
    const ROUNDS: u64 = 60;
    let key = key("race", "read");
    let register = Arc::new(Register::default());
    let mut readers = JoinSet::new();
    for reader in 0..4 {
        let (store, key, register) = (store.clone(), key.clone(), register.clone());
        readers.spawn(async move {
            let mut seen = 0;
            while seen < ROUNDS {
                let begun = register.begin();
                seen = match reader {
                    0 => {
                        store.history(&key, None, 1).await.expect("a history").first().map(|first| first.meta.rev.get())
                    }
                    1 => store
                        .list(&key.namespace, "", None, 1)
                        .await
                        .expect("a list")
                        .first()
                        .map(|(_, meta)| meta.as_ref().expect("a head").rev.get()),
                    _ => store.head(&key).await.expect("a head").map(|head| head.meta.rev.get()),
                }
                .unwrap_or(0);
                register.saw(begun, seen);
                tokio::task::yield_now().await;
            }
        });
    }
    let raced = racer(&*store, &key, 0, ROUNDS, &register).await;
    assert_eq!(raced, Raced { won: ROUNDS, ..Raced::default() });
    while let Some(reader) = readers.join_next().await {
        reader.expect("a reader that does not fail");
    }
    register.check(false);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(operations: &[(u64, u64, u64, bool)]) -> Register {
        let operations = operations.iter().map(|&(begun, ended, rev, wrote)| Operation { begun, ended, rev, wrote });
        Register { clock: AtomicU64::new(100), operations: parking_lot::Mutex::new(operations.collect()) }
    }

    #[test]
    fn what_a_register_can_answer_is_let_pass() {
        register(&[(0, 3, 1, true), (1, 2, 0, false), (1, 9, 1, false), (4, 8, 2, true), (5, 6, 2, false)])
            .check(false);
    }

    #[test]
    fn what_no_register_answers_is_found() {
        for wrong in [
            &[(0, 1, 1, true), (2, 3, 1, true)][..],
            &[(0, 1, 1, true), (2, 3, 0, false)],
            &[(0, 1, 1, true), (2, 3, 2, false), (4, 5, 2, true)],
            &[(0, 1, 1, true), (2, 3, 2, true), (4, 5, 1, false)],
            &[(0, 1, 3, false)],
        ] {
            let result = std::panic::catch_unwind(|| register(wrong).check(false));
            assert!(result.is_err(), "{wrong:?}");
        }
    }
}
