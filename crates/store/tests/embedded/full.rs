//! A disk that is full, a real one: writes are refused and have not happened, reads go on, and when there is room again
//! writes go on, without a restart.

use std::path::Path;

use tradewind_store::{Durability, StoreError};

use crate::disk::{Ballast, on_a_small_disk};
use crate::support::{Engine, block_on, commit, content, done, key, rev, whole};

const LENGTH: usize = 24_000;

fn name(number: usize) -> String {
    format!("value/{number}")
}

async fn fill(engine: Engine, folder: &Path) {
    // Without it there is room for the log and a snapshot of all that is in it, at the same time.
    let ballast = Ballast::new(folder, 14);
    let place = folder.join("state");
    let store = engine.open(&place, Durability::Fsync);
    let value = |number: usize| commit(&key(&name(number)), whole(1, &content(&name(number), 1, LENGTH)), 32);
    let mut written = Vec::new();
    let mut refused = Vec::new();
    for number in 0.. {
        match store.commit(value(number)).await {
            Ok(_) => written.push(number),
            Err(StoreError::Full(_)) => refused.push(number),
            Err(other) => panic!("{number}: {other}"),
        }
        if refused.len() == 20 {
            break;
        }
    }
    assert!(written.len() > 50, "{} were written", written.len());
    let read_all = async |written: &[usize], refused: &[usize]| {
        for number in written {
            let kept = store.revision(&key(&name(*number)), rev(1)).await.unwrap().unwrap();
            assert_eq!(kept, whole(1, &content(&name(*number), 1, LENGTH)));
        }
        for number in refused {
            assert!(store.head(&key(&name(*number))).await.unwrap().is_none(), "{number} was refused");
        }
    };
    read_all(&written, &refused).await;

    drop(ballast);
    // Those that were refused, and new ones.
    for number in refused.drain(..).chain(1_000_000..1_000_050) {
        done(&*store, value(number)).await;
        written.push(number);
    }
    read_all(&written, &refused).await;
    // SQLite may have no room to put its log into the file; what was acknowledged is in the log.
    assert!(matches!(store.close().await, Ok(()) | Err(StoreError::Full(_))));
    drop(store);
    let store = engine.open(&place, Durability::Fsync);
    assert_eq!(store.list(&key("x").namespace, "", None, 100_000).await.unwrap().len(), written.len());
    for number in &written {
        let head = store.head(&key(&name(*number))).await.unwrap().unwrap();
        assert_eq!(*head, whole(1, &content(&name(*number), 1, LENGTH)));
    }
}

#[test]
fn sqlite_on_a_full_disk() {
    on_a_small_disk(20, "full::sqlite_on_a_full_disk", |folder| block_on(fill(Engine::Sqlite, folder)));
}

#[test]
fn wal_on_a_full_disk() {
    on_a_small_disk(20, "full::wal_on_a_full_disk", |folder| block_on(fill(Engine::Wal, folder)));
}

/// Writes values until the store is full; the number of the one that is refused.
async fn first_refused(store: &dyn tradewind_store::Store) -> usize {
    for number in 1.. {
        match store.commit(commit(&key(&name(number)), whole(1, &content("x", 1, LENGTH)), 1)).await {
            Ok(_) => {}
            Err(StoreError::Full(_)) => return number,
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("it is never full")
}

/// A bound of one's own is refused in the same way, and what is deleted makes room.
#[test]
fn a_bound_on_memory_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let options = tradewind_store::wal::Options { durability: Durability::Os, max_bytes: 1 << 20 };
        let clock = std::sync::Arc::new(crate::support::StillClock);
        let store = tradewind_store::wal::Wal::open(folder.path(), options, clock).unwrap();
        let store: &dyn tradewind_store::Store = &store;
        let number = first_refused(store).await;
        assert!((40..44).contains(&number), "{number} of 24,000 bytes are a mebibyte");
        let tombstone = crate::support::record(2, tradewind_store::Body::None, b"");
        done(store, commit(&key(&name(1)), tombstone, 1)).await;
        done(store, commit(&key(&name(number)), whole(1, &content("x", 1, LENGTH)), 1)).await;
    });
}

#[test]
fn a_bound_on_the_file_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let options = tradewind_store::sqlite::Options {
            durability: Durability::Os,
            max_bytes: Some(1 << 20),
            ..tradewind_store::sqlite::Options::default()
        };
        let clock = std::sync::Arc::new(crate::support::StillClock);
        let sqlite = tradewind_store::sqlite::Sqlite::open(folder.path(), options, clock).unwrap();
        let store: &dyn tradewind_store::Store = &sqlite;
        let number = first_refused(store).await;
        assert!((30..44).contains(&number), "{number} of 24,000 bytes are a mebibyte");
        assert!(store.head(&key(&name(1))).await.unwrap().is_some());
        // Smaller than what was there, and in its place.
        done(store, commit(&key(&name(1)), whole(2, b"small"), 1)).await;
        done(store, commit(&key(&name(number)), whole(1, b"small"), 1)).await;
        assert_eq!(sqlite.inspect().await, Ok(Vec::new()));
    });
}
