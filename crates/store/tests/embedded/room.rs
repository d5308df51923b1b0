//! What lies in the files stays in proportion to what is in the store, also while it is written as fast as it goes.

use std::path::Path;

use tradewind_store::Durability;

use crate::support::{BOTH, Engine, block_on, commit, content, done, key, whole};

const LENGTH: usize = 40_000;
const ROUNDS: u64 = 150;
const KEYS: usize = 10;

fn bytes_of(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap();
    // Some may go while they are counted.
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |file| file.len())).sum()
}

/// 60 MB are written of which less than a megabyte stays. What may lie beside it: for wal the logs of two snapshots, of 3 MiB
/// and three quarters of that; for SQLite its log of 8 MiB, and what went beyond.
#[test]
fn files_stay_small_while_they_are_written() {
    for engine in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let most = match engine {
            Engine::Wal => 10 << 20,
            Engine::Sqlite => 16 << 20,
        };
        block_on(async {
            let store = engine.open(folder.path(), Durability::Os);
            for number in 1..=ROUNDS {
                for name in 0..KEYS {
                    let name = format!("key/{name}");
                    done(&*store, commit(&key(&name), whole(number, &content(&name, number, LENGTH)), 2)).await;
                }
                let bytes = bytes_of(folder.path());
                assert!(bytes < most, "{bytes} bytes lie in the files of {engine:?} after {number} rounds");
            }
        });
    }
}
