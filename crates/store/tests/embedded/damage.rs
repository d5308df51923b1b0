//! Files that end early, and files with a flipped bit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tradewind_store::suite::{ToHarm, a_damaged_earlier_revision_is_told, a_damaged_head_is_told, before_damage};
use tradewind_store::{Body, Commit, Durability, Hash, PieceId, Rev, Settings, State, Store, StoreError};

use crate::support::{BOTH, Engine, StillClock, block_on, commit, content, done, key, of_pieces, record, rev, whole};

const KEYS: usize = 12;
const REVISIONS: u64 = 12;

fn name(number: usize) -> String {
    format!("key/{number}")
}

/// A store with some keys; the last one is a tombstone. Closed, or as a killed process leaves it.
fn filled(engine: Engine, closed: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let store = engine.open(&folder.path().join("open"), Durability::Fsync);
        for number in 1..=REVISIONS {
            for name in (0..KEYS).map(name) {
                done(&*store, commit(&key(&name), whole(number, &content(&name, number, 700)), 8)).await;
            }
        }
        done(&*store, commit(&key(&name(KEYS - 1)), record(REVISIONS + 1, Body::None, b""), 8)).await;
        if closed {
            store.close().await.unwrap();
        }
        // Nobody writes now: what a copy has is what the files have.
        copy(&folder.path().join("open"), &folder.path().join("state"));
    });
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // The index of SQLite's log is made anew by whoever opens it after a kill.
        if !entry.file_name().to_str().unwrap().ends_with("-shm") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn file(folder: &Path, part: &str) -> PathBuf {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().contains(part))
        .unwrap()
}

/// Reads everything. How many revisions are not there; nothing that is there is anything else than what was written.
async fn read_all(store: &dyn Store, what: &str) -> Result<u64, StoreError> {
    let mut missing = 0;
    for (number, name) in (0..KEYS).map(|number| (number, name(number))) {
        let key = key(&name);
        let last = REVISIONS + u64::from(number == KEYS - 1);
        if let Some(head) = store.head(&key).await? {
            assert!(same(&name, &head), "{what}: the head of {name}");
        }
        for number in last - 7..=last {
            match store.revision(&key, rev(number)).await? {
                Some(found) => {
                    assert_eq!(found.meta.rev, rev(number));
                    assert!(same(&name, &found), "{what}: revision {number} of {name}");
                }
                None => missing += 1,
            }
        }
        for kept in store.history(&key, None, 100).await? {
            let wanted = store.revision(&key, kept.meta.rev).await?.unwrap();
            assert_eq!(kept.meta, wanted.meta, "{what}");
        }
    }
    for (key, meta) in store.list(&key("x").namespace, "", None, 100).await? {
        let meta = meta?;
        let wanted = whole(meta.rev.get(), &content(key.name(), meta.rev.get(), 700)).meta;
        assert!(meta.kind.is_tombstone() || meta == wanted, "{what}: {key} in the list");
    }
    Ok(missing)
}

fn same(name: &str, found: &tradewind_store::Record) -> bool {
    let number = found.meta.rev.get();
    *found == whole(number, &content(name, number, 700)) || *found == record(REVISIONS + 1, Body::None, b"")
}

/// The newest revision of each key that is there, in the order that they were written.
async fn heads(store: &dyn Store) -> Vec<u64> {
    let mut heads = Vec::new();
    for name in (0..KEYS).map(name) {
        heads.push(store.head(&key(&name)).await.unwrap().map_or(0, |head| head.meta.rev.get()));
    }
    heads
}

#[test]
fn a_log_that_ends_anywhere_gives_all_that_was_finished() {
    for (engine, part) in [(Engine::Sqlite, "-wal"), (Engine::Wal, "log-")] {
        let folder = filled(engine, false);
        let state = folder.path().join("state");
        let log = file(&state, part);
        let whole_log = std::fs::read(&log).unwrap();
        let mut before = 0;
        for length in (0..=whole_log.len()).step_by(whole_log.len() / 150).chain([whole_log.len()]) {
            let torn = folder.path().join("torn");
            copy(&state, &torn);
            std::fs::File::options().write(true).open(file(&torn, part)).unwrap().set_len(length as u64).unwrap();
            block_on(async {
                let store = engine.open(&torn, Durability::Fsync);
                read_all(&*store, &format!("{engine:?} cut at {length}")).await.unwrap();
                // Written key by key and round by round: what is there is all that was written up to some moment.
                let heads = heads(&*store).await;
                let sum: u64 = heads.iter().sum();
                assert!(sum >= before, "more of the log gives no less");
                before = sum;
                let most = heads[0];
                assert!(heads.windows(2).all(|pair| pair[0] >= pair[1] || pair[1] == REVISIONS + 1), "{heads:?}");
                assert!(heads.iter().all(|head| *head + 1 >= most), "{heads:?}");
                // And it can be written to.
                let next = heads[0] + 1;
                done(&*store, commit(&key(&name(0)), whole(next, &content(&name(0), next, 700)), 8)).await;
            });
            std::fs::remove_dir_all(&torn).unwrap();
        }
        assert_eq!(before, KEYS as u64 * REVISIONS + 1);
    }
}

/// Flips bits all over a file, one at a time, and says what became of each: refused to open, an error of a read, revisions
/// missing, or nothing at all (unused bytes).
fn flip(engine: Engine, closed: bool, part: &str, samples: usize) -> [usize; 4] {
    let folder = filled(engine, closed);
    let state = folder.path().join("state");
    let length = std::fs::metadata(file(&state, part)).unwrap().len() as usize;
    let mut became = [0; 4];
    for sample in 0..samples {
        let bit = length * 8 / samples * sample + sample * 7919 % (length * 8 / samples);
        let flipped = folder.path().join("flipped");
        copy(&state, &flipped);
        let path = file(&flipped, part);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::File::create(&path).and_then(|mut file| std::io::Write::write_all(&mut file, &bytes)).unwrap();
        let what = format!("{engine:?} {part} bit {bit}");
        let outcome = match engine.try_open(&flipped, Durability::Fsync) {
            Err(StoreError::Damaged { .. } | StoreError::Unavailable(_)) => 0,
            Err(other) => panic!("{what}: {other}"),
            Ok(store) => match block_on(read_all(&*store, &what)) {
                Err(StoreError::Damaged { .. }) => 1,
                Err(other) => panic!("{what}: {other}"),
                Ok(0) => 3,
                // What a start cuts off, it tells of.
                Ok(missing) => {
                    assert!(
                        !store.facts().notes.is_empty(),
                        "{what}: {missing} revisions are missing, and nobody says so"
                    );
                    2
                }
            },
        };
        became[outcome] += 1;
        std::fs::remove_dir_all(&flipped).unwrap();
    }
    became
}

#[test]
fn a_flipped_bit_in_the_file_of_sqlite_is_never_a_value() {
    let [refused, read, missing, _] = flip(Engine::Sqlite, true, "state.db", 800);
    assert!(missing == 0, "a page that is harmed is told from a row that is not there");
    assert!(refused + read > 300, "most bytes are rows and indexes: {refused} refused, {read} read");
}

/// A page of the index that finds keys by their names is not what was written: what it led to is damaged, and not absent.
#[test]
fn a_key_that_its_index_has_lost_is_damaged_and_not_absent() {
    let folder = filled(Engine::Sqlite, true);
    let state = folder.path().join("state");
    let path = file(&state, "state.db");
    let root: usize = {
        let file = rusqlite::Connection::open(&path).unwrap();
        let read = "SELECT rootpage FROM sqlite_schema WHERE name = 'keys_by_name'";
        file.query_row(read, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
    };
    let mut bytes = std::fs::read(&path).unwrap();
    let page = &mut bytes[(root - 1) * 4096..root * 4096];
    let name = name(3).into_bytes();
    let at = page.windows(name.len()).position(|window| window == name).expect("its only page is its root");
    page[at] ^= 4;
    std::fs::File::create(&path).and_then(|mut file| std::io::Write::write_all(&mut file, &bytes)).unwrap();
    block_on(async {
        let store = Engine::Sqlite.open(&state, Durability::Fsync);
        let key = key("key/3");
        let damaged = |said: Result<String, StoreError>| {
            assert!(matches!(&said, Err(StoreError::Damaged { what }) if what.contains("a page of it")), "{said:?}");
        };
        damaged(store.head(&key).await.map(|head| format!("{head:?}")));
        damaged(store.list(&key.namespace, "", None, 100).await.map(|list| format!("{list:?}")));
        damaged(store.commit(commit(&key, whole(1, b"begun again"), 8)).await.map(|done| format!("{done:?}")));
        let state = State::new(store, Settings::default(), Arc::new(StillClock), None);
        let checked = state.check(|_| ()).await.unwrap();
        assert_eq!((checked.keys, checked.damaged, checked.damages.len()), (0, 1, 1));
        let told = checked.damages[0].to_string();
        assert!(told.starts_with("the list of namespaces: state.db, or a page of it: "), "{told}");
    });
}

#[test]
fn a_flipped_bit_in_the_log_of_sqlite_is_found() {
    let [refused, ..] = flip(Engine::Sqlite, false, "-wal", 200);
    assert!(refused > 190, "all but the last transaction: {refused}");
}

#[test]
fn a_flipped_bit_in_a_log_of_wal_is_found() {
    let [refused, _, missing, nothing] = flip(Engine::Wal, true, "log-", 600);
    // The mark at the end alone looks unfinished, and has nothing in it.
    assert!(refused >= 598 && missing == 0 && nothing <= 2, "{refused} refused, {missing} missing, {nothing} unseen");
    let [refused, ..] = flip(Engine::Wal, false, "log-", 200);
    assert!(refused > 190, "all but the last entry: {refused}");
}

#[test]
fn a_flipped_bit_in_a_snapshot_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    block_on(async {
        let store = Engine::Wal.open(&state, Durability::Os);
        for number in 1..=1_400 {
            done(&*store, commit(&key("large"), whole(number, &content("large", number, 60_000)), 2)).await;
        }
    });
    let snapshot = file(&state, "snapshot-");
    let bytes = std::fs::read(&snapshot).unwrap();
    for sample in 0..200 {
        let bit = bytes.len() * 8 / 200 * sample;
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::File::create(&snapshot).and_then(|mut file| std::io::Write::write_all(&mut file, &flipped)).unwrap();
        let found = Engine::Wal.try_open(&state, Durability::Os).err();
        assert!(matches!(found, Some(StoreError::Damaged { .. })), "bit {bit}: {found:?}");
    }
    std::fs::File::create(&snapshot).and_then(|mut file| std::io::Write::write_all(&mut file, &bytes)).unwrap();
    let store = Engine::Wal.open(&state, Durability::Os);
    let head = block_on(store.head(&key("large"))).unwrap().unwrap();
    assert_eq!(head.meta.rev, Rev::new(1_400).unwrap());
}

/// Without a sync, a loss of power can leave later entries on disk and an earlier one not: what follows is lost, and told.
#[test]
fn a_hole_in_the_log_is_forgiven_where_nothing_was_promised() {
    let folder = filled(Engine::Wal, false);
    let state = folder.path().join("state");
    let log = file(&state, "log-");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0);
    std::fs::File::create(&log).and_then(|mut file| std::io::Write::write_all(&mut file, &bytes)).unwrap();
    let found = Engine::Wal.try_open(&state, Durability::Fsync).err();
    assert!(matches!(found, Some(StoreError::Damaged { .. })), "{found:?}");
    block_on(async {
        let store = Engine::Wal.open(&state, Durability::Os);
        let notes = store.facts().notes;
        assert!(notes.len() == 1 && notes[0].contains("acknowledged writes were lost"), "{notes:?}");
        assert!(read_all(&*store, "with a hole").await.unwrap() > 0);
        let heads = heads(&*store).await;
        assert!((1..REVISIONS).contains(&heads[0]) && heads.windows(2).all(|pair| pair[0] >= pair[1]), "{heads:?}");
        let next = heads[0] + 1;
        done(&*store, commit(&key(&name(0)), whole(next, &content(&name(0), next, 700)), 8)).await;
        store.close().await.unwrap();
        drop(store);
        let again = Engine::Wal.open(&state, Durability::Fsync);
        assert!(again.facts().notes.is_empty());
        assert_eq!(again.head(&key(&name(0))).await.unwrap().unwrap().meta.rev, rev(next));
    });
}

/// A revision of the harmed key is not what was written: what of it is told, and that nothing else is concerned.
fn harmed<F: Future<Output = ()>>(revision: u64, holds: impl FnOnce(Arc<dyn Store>, ToHarm) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let keys = block_on(async {
        let store = Engine::Sqlite.open(folder.path(), Durability::Os);
        let keys = before_damage(&store).await;
        store.close().await.unwrap();
        keys
    });
    let connection = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    // The key in the middle.
    let change = "UPDATE revisions SET meta = CAST(x'00' || substr(meta, 2) AS BLOB)
                  WHERE place IN (SELECT place FROM revisions WHERE rev = ?1 ORDER BY place LIMIT 1 OFFSET 1)";
    assert_eq!(connection.execute(change, [revision.cast_signed()]).unwrap(), 1);
    drop(connection);
    block_on(holds(Engine::Sqlite.open(folder.path(), Durability::Os), keys));
}

#[test]
fn a_damaged_head_concerns_its_key_alone() {
    harmed(3, a_damaged_head_is_told);
}

#[test]
fn a_damaged_earlier_revision_concerns_its_key_alone() {
    harmed(2, a_damaged_earlier_revision_is_told);
}

/// A damaged old revision is removed when its time has come, like any other, and does not stop new ones.
#[test]
fn a_damaged_old_revision_does_not_end_a_conversation() {
    let folder = tempfile::tempdir().unwrap();
    let key = key("conversation");
    let first = vec![0; 900];
    let turn = |number: u64| {
        let own = vec![u8::try_from(number).unwrap(); 900];
        let all = if number < 8 { vec![first.clone(), own.clone()] } else { vec![own.clone()] };
        let pieces = [own, first.clone()].map(|piece| (PieceId(Hash::of(&piece).0), piece.into())).to_vec();
        let brought = if number == 1 { 2 } else { 1 };
        Commit { pieces: pieces[..brought].to_vec(), ..commit(&key, of_pieces(number, &all), 4) }
    };
    let id = PieceId(Hash::of(&first).0);
    block_on(async {
        let store = Engine::Sqlite.open(folder.path(), Durability::Os);
        for number in 1..=5 {
            done(&*store, turn(number)).await;
        }
        store.close().await.unwrap();
    });
    let connection = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    let change = "UPDATE revisions SET body = CAST(x'00' || substr(body, 2) AS BLOB) WHERE rev = 2";
    assert_eq!(connection.execute(change, []).unwrap(), 1);
    drop(connection);
    block_on(async {
        let store = Engine::Sqlite.open(folder.path(), Durability::Os);
        let damaged = store.revision(&key, rev(2)).await;
        assert!(matches!(damaged, Err(StoreError::Damaged { .. })), "{damaged:?}");
        for number in 6..=7 {
            done(&*store, turn(number)).await;
            assert!(store.pieces(&key.namespace, &[id]).await.unwrap()[0].is_some(), "the head names it");
        }
        assert_eq!(store.history(&key, None, 10).await.unwrap().len(), 4);
        for number in 8..=11 {
            done(&*store, turn(number)).await;
        }
        assert_eq!(store.pieces(&key.namespace, &[id]).await.unwrap(), [None], "its run has ended");
    });
}

#[test]
fn files_of_others_are_refused() {
    for engine in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let name = if engine == Engine::Sqlite { "state.db" } else { "log-00000001" };
        std::fs::File::create(folder.path().join(name))
            .and_then(|mut file| std::io::Write::write_all(&mut file, &content("junk", 1, 9_000)))
            .unwrap();
        match engine.try_open(folder.path(), Durability::Os) {
            Err(StoreError::Damaged { .. }) => {}
            // Junk looks like a write that was never finished, and is told of.
            Ok(store) => assert_eq!((engine, store.facts().notes.len()), (Engine::Wal, 1)),
            Err(other) => panic!("{engine:?}: {other}"),
        }
    }
}
