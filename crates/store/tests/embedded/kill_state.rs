//! kill -9 in a loop under 64 writers of state: as `kill.rs`, with everything above the engine, which makes differences,
//! pieces, pins and epochs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tradewind_store::{Body, Durability, Store};

use crate::support::{Engine, block_on};
use crate::writers::{Known, Told, WRITERS, state, write};

const CHILD: &str = "TRADEWIND_TEST_KILLED_STATE";
const ROUNDS: usize = 3;

fn write_for_ever(engine: Engine, durability: Durability, folder: &Path) {
    let state = Arc::new(state(engine.open(folder, durability)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // One call for each line, so that it is there whole or not at all.
    let tell = |told: Told| std::io::stdout().write_all(format!("{told}\n").as_bytes()).unwrap();
    runtime.block_on(write(state, tell, || false, |_| false));
}

/// What a line of the child tells; `None` is a line that says something else.
fn parsed(line: &str) -> Option<Told> {
    let words: Vec<&str> = line.split(' ').collect();
    Some(match words[..] {
        ["told", key, rev, by] => Told::Made { key: key.to_owned(), rev: rev.parse().ok()?, by: by.to_owned() },
        ["pinned", key, rev] => Told::Pinned { key: key.to_owned(), rev: rev.parse().ok()? },
        ["let-go", key, rev] => Told::LetGo { key: key.to_owned(), rev: rev.parse().ok()? },
        _ => return None,
    })
}

/// How many revisions are kept as differences, and how many in pieces: that is what could be half done.
async fn made_of(store: &dyn Store) -> [usize; 2] {
    let mut found = [0; 2];
    for namespace in store.namespaces().await.unwrap() {
        for (key, _) in store.list(&namespace, "", None, 1_000).await.unwrap() {
            for kept in store.history(&key, None, 1_000).await.unwrap() {
                match store.revision(&key, kept.meta.rev).await.unwrap().unwrap().body {
                    Body::Delta { .. } => found[0] += 1,
                    Body::Pieces(_) => found[1] += 1,
                    Body::Whole(_) | Body::None => {}
                }
            }
        }
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "the child is told by its environment what it is")]
fn killed(engine: Engine, durability: Durability, test: &str) {
    if let Some(folder) = std::env::var_os(CHILD) {
        return write_for_ever(engine, durability, Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut known = Known::default();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
        // Each time at another moment, in the middle of many writes.
        let enough = known.made + 20 * WRITERS + 611 * round;
        let mut killed = false;
        for line in lines {
            let Some(told) = parsed(&String::from_utf8(line.unwrap()).unwrap()) else { continue };
            known.note(told);
            if known.made >= enough && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "the child ended by itself");
        child.wait().unwrap();
        block_on(async {
            let store = engine.open(folder.path(), durability);
            let seen = known.verify(&state(store.clone()), 1).await;
            assert!(seen > 10 * WRITERS, "{seen} revisions");
            let [differences, pieces] = made_of(&*store).await;
            assert!(differences > WRITERS && pieces > 10, "{differences} differences, {pieces} of pieces");
            store.close().await.unwrap();
        });
    }
}

#[test]
fn state_on_killed_sqlite_on_disk() {
    killed(Engine::Sqlite, Durability::Fsync, "kill_state::state_on_killed_sqlite_on_disk");
}

#[test]
fn state_on_killed_sqlite_in_buffers() {
    killed(Engine::Sqlite, Durability::Os, "kill_state::state_on_killed_sqlite_in_buffers");
}

#[test]
fn state_on_killed_wal_on_disk() {
    killed(Engine::Wal, Durability::Fsync, "kill_state::state_on_killed_wal_on_disk");
}

#[test]
fn state_on_killed_wal_in_buffers() {
    killed(Engine::Wal, Durability::Os, "kill_state::state_on_killed_wal_in_buffers");
}
