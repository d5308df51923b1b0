//! Writers on one key, each a task of its own: exactly one wins each revision, and everybody is told as a register tells.
//!
//! How many revisions are raced for in the system's buffers, for each engine, is that of the environment variable
//! `TRADEWIND_STATE_RACES`, else 200,000; on disk it is 5,000.

use tradewind_store::Durability;
use tradewind_store::suite::race;

use crate::support::{BOTH, Engine, key};

/// Two at a time, as often as that is said in all, and eight for the rest: then a group has losers of several rounds.
const WRITERS: [usize; 4] = [2, 2, 2, 8];

fn races(engine: Engine, durability: Durability, rounds: u64) {
    let folder = tempfile::tempdir().unwrap();
    let store = engine.open(folder.path(), durability);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for (number, writers) in WRITERS.into_iter().enumerate() {
            let key = key(&format!("register/{number}"));
            let rounds = rounds / WRITERS.len() as u64;
            let raced = race(&store, &key, writers, rounds).await;
            assert_eq!((raced.unknown, raced.refused), (0, 0), "{raced:?}");
            assert!(raced.won >= rounds && raced.lost > 0, "nobody was too late, so that it was no race: {raced:?}");
            let history = store.history(&key, None, 100).await.unwrap();
            assert_eq!(history[0].meta.rev.get(), raced.won, "{raced:?}");
            for pair in history.windows(2) {
                assert!(pair[0].meta.follows(Some(&pair[1].meta.chain)), "{:?}", pair[0].meta.rev);
            }
        }
        store.close().await.unwrap();
    });
}

fn in_buffers() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the one place in which these tests read how long they are to run")]
    let races = std::env::var("TRADEWIND_STATE_RACES");
    races.map_or(200_000, |races| races.parse().expect("TRADEWIND_STATE_RACES is a number"))
}

#[test]
fn one_writer_of_sqlite_wins_in_buffers() {
    races(Engine::Sqlite, Durability::Os, in_buffers());
}

#[test]
fn one_writer_of_wal_wins_in_buffers() {
    races(Engine::Wal, Durability::Os, in_buffers());
}

#[test]
fn one_writer_wins_5_000_times_on_disk() {
    for engine in BOTH {
        races(engine, Durability::Fsync, 5_000);
    }
}
