//! Syncs that take their time, or fail.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, future};
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::name::Rev;
use crate::sqlite::{Options, Sqlite};
use crate::store::{Committed as Done, Store};
use crate::suite::{FakeClock, commit, following, key, record, run};

/// So many that they do not fit into one group.
const MANY: usize = 1_500;
/// With the first one.
const KEYS: i64 = 1 + MANY as i64;

type Commit<'a> = BoxFuture<'a, Result<Done, StoreError>>;

/// A store whose syncs say that they have begun, on which thread, and end as they are told.
struct Slow {
    store: Sqlite,
    begun: Receiver<String>,
    end: Sender<io::Result<()>>,
    folder: TempDir,
}

impl Slow {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ((begin, begun), (end, ended)) = (mpsc::channel(), mpsc::channel::<io::Result<()>>());
        let shared = Mutex::new((begin, ended));
        let instead = move |sync: Sync| -> Sync {
            Arc::new(move || {
                let shared = shared.lock();
                shared.0.send(thread::current().name().unwrap_or_default().to_owned()).unwrap();
                shared.1.recv().unwrap().and_then(|()| sync())
            })
        };
        let store = Sqlite::open_with(folder.path(), Options::default(), FakeClock::new(), instead).unwrap();
        Self { store, begun, end, folder }
    }

    /// How many keys the file has.
    fn in_file(&self) -> i64 {
        let file = rusqlite::Connection::open(self.folder.path().join(schema::FILE_NAME)).unwrap();
        file.query_row("SELECT count(*) FROM keys", [], |row| row.get(0)).unwrap()
    }

    /// One group that is on its way to the disk, and the commits of the next two, the first of which fills a group.
    fn three_groups(&self) -> (Commit<'_>, Vec<Commit<'_>>) {
        let mut first = self.store.commit(commit(&key("n", "first"), &record(b"1")));
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(self.begun.recv().unwrap(), "state", "nobody else waits: the writer does it itself");
        let mut others: Vec<_> =
            (0..MANY).map(|n| self.store.commit(commit(&key("n", &format!("k{n}")), &record(b"1")))).collect();
        assert!(others.iter_mut().all(|other| other.as_mut().now_or_never().is_none()));
        (first, others)
    }
}

fn is_done(committed: &Result<Done, StoreError>) -> bool {
    matches!(committed, Ok(Done::Done(_)))
}

async fn reopened(slow: Slow) -> (Sqlite, TempDir) {
    let Slow { store, folder, end, .. } = slow;
    drop(end);
    store.close().await.unwrap();
    (Sqlite::open(folder.path(), Options::default(), FakeClock::new()).unwrap(), folder)
}

#[test]
fn the_next_group_is_worked_out_while_one_is_synced_and_committed_after_it() {
    run(async {
        let slow = Slow::open();
        let (first, others) = slow.three_groups();
        slow.end.send(Ok(())).unwrap();
        assert!(is_done(&first.await));
        assert_eq!(slow.begun.recv().unwrap(), "state-sync", "others wait: a thread does it beside the writer");
        assert_eq!(slow.in_file(), 1 + 1024);
        assert!(slow.begun.recv_timeout(Duration::from_millis(200)).is_err());
        assert_eq!(slow.in_file(), 1 + 1024, "nothing is committed before the group in front of it is on disk");
        slow.end.send(Ok(())).unwrap();
        assert_eq!(slow.begun.recv().unwrap(), "state");
        assert_eq!(slow.in_file(), KEYS);
        slow.end.send(Ok(())).unwrap();
        assert!(future::join_all(others).await.iter().all(is_done));
        let (again, _folder) = reopened(slow).await;
        assert_eq!(again.keys(&key("n", "first").namespace, None, 9_999).await.unwrap().len(), 1 + MANY);
    });
}

#[test]
fn nothing_is_told_before_it_is_durable() {
    run(async {
        let slow = Slow::open();
        let key = key("n", "k");
        let mut one = slow.store.commit(commit(&key, &record(b"1")));
        assert!(one.as_mut().now_or_never().is_none());
        slow.begun.recv().unwrap();
        assert_eq!(slow.in_file(), 1);
        let reads = future::join3(
            slow.store.head(&key),
            slow.store.history(&key, None, 9),
            slow.store.list(&key.namespace, "", None, 9),
        );
        let mut reads = std::pin::pin!(reads);
        assert!(timeout(Duration::from_millis(200), &mut reads).await.is_err(), "it was told");
        slow.end.send(Ok(())).unwrap();
        let (head, history, list) = reads.await;
        assert!(head.unwrap().is_some());
        assert_eq!((history.unwrap().len(), list.unwrap().len()), (1, 1));
        assert!(is_done(&one.await));
    });
}

#[test]
fn a_sync_that_fails_leaves_an_outcome_that_is_unknown_and_the_next_group_builds_on_what_is_safe() {
    run(async {
        let slow = Slow::open();
        let (first, mut others) = slow.three_groups();
        slow.end.send(Err(io::Error::other("the disk is gone"))).unwrap();
        let Err(StoreError::Unknown(why)) = first.await else { panic!("its outcome is not known") };
        assert!(why.contains("the disk is gone"), "{why}");
        assert_eq!(slow.begun.recv().unwrap(), "state-sync");
        slow.end.send(Err(io::Error::other("still"))).unwrap();
        assert_eq!(slow.begun.recv().unwrap(), "state");
        slow.end.send(Ok(())).unwrap();
        let last = others.split_off(1024);
        let unknown = |committed: &_| matches!(committed, Err(StoreError::Unknown(_)));
        assert!(future::join_all(others).await.iter().all(unknown));
        assert!(future::join_all(last).await.iter().all(is_done));
        let log = std::fs::metadata(slow.folder.path().join(format!("{}-wal", schema::FILE_NAME))).unwrap();
        assert!(log.len() < 1 << 20, "what was in doubt was moved into the file before: {}", log.len());
        // Whoever was told that it is unknown looks, and goes on.
        let key = key("n", "k7");
        let head = slow.store.head(&key).await.unwrap().unwrap();
        let mut next = slow.store.commit(commit(&key, &following(&head.meta, b"2")));
        assert!(next.as_mut().now_or_never().is_none());
        slow.begun.recv().unwrap();
        slow.end.send(Ok(())).unwrap();
        assert!(is_done(&next.await));
        let (again, _folder) = reopened(slow).await;
        assert_eq!(again.head(&key).await.unwrap().unwrap().meta.rev, Rev::new(2).unwrap());
        assert_eq!(again.keys(&key.namespace, None, 9_999).await.unwrap().len(), 1 + MANY);
    });
}

#[test]
fn while_the_log_is_in_doubt_and_cannot_be_moved_nothing_more_is_written() {
    run(async {
        let slow = Slow::open();
        let [a, b] = ["a", "b"].map(|name| key("n", name));
        let mut one = slow.store.commit(commit(&a, &record(b"1")));
        assert!(one.as_mut().now_or_never().is_none());
        slow.begun.recv().unwrap();
        // Another program reads the file as it is now, which holds its log where it is.
        let other = rusqlite::Connection::open(slow.folder.path().join(schema::FILE_NAME)).unwrap();
        other.execute_batch("BEGIN").unwrap();
        other.query_row("SELECT count(*) FROM keys", [], |row| row.get::<_, i64>(0)).unwrap();
        slow.end.send(Err(io::Error::other("the disk is gone"))).unwrap();
        assert!(matches!(one.await, Err(StoreError::Unknown(_))));
        let refused = slow.store.commit(commit(&b, &record(b"1"))).await;
        assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("log")), "{refused:?}");
        assert!(slow.store.head(&a).await.unwrap().is_some(), "reads go on");
        other.execute_batch("COMMIT").unwrap();
        let mut again = slow.store.commit(commit(&b, &record(b"1")));
        assert!(again.as_mut().now_or_never().is_none());
        slow.begun.recv().unwrap();
        slow.end.send(Ok(())).unwrap();
        assert!(is_done(&again.await));
    });
}
