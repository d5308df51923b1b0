//! What these tests share: both engines behind one door, records without a `State`, and a clock that stands still.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tradewind_core::{Clock, Moment, UnixMillis};
use tradewind_store::sqlite::{self, Sqlite};
use tradewind_store::wal::{self, Wal};
use tradewind_store::{
    Body, Commit, Committed, Durability, Epoch, Expected, Hash, Key, Kind, Meta, PieceId, Record, Rev, Store,
    StoreError,
};

/// The engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Wal,
}

pub(crate) const BOTH: [Engine; 2] = [Engine::Sqlite, Engine::Wal];

impl Engine {
    pub(crate) fn try_open(self, folder: &Path, durability: Durability) -> Result<Arc<dyn Store>, StoreError> {
        let clock = Arc::new(StillClock);
        Ok(match self {
            Self::Sqlite => {
                let options = sqlite::Options { durability, ..sqlite::Options::default() };
                Arc::new(Sqlite::open(folder, options, clock)?)
            }
            Self::Wal => {
                let options = wal::Options { durability, ..wal::Options::default() };
                Arc::new(Wal::open(folder, options, clock)?)
            }
        })
    }

    pub(crate) fn open(self, folder: &Path, durability: Durability) -> Arc<dyn Store> {
        self.try_open(folder, durability).unwrap()
    }
}

/// Time does not pass.
pub(crate) struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Moment {
        Moment::START
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(1_795_000_000_000)
    }
}

/// A runtime for one test.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) fn key(name: &str) -> Key {
    Key::parse("tests", name).unwrap()
}

pub(crate) fn rev(number: u64) -> Rev {
    Rev::new(number).unwrap()
}

/// A value, or with an empty body of pieces whatever `body` is.
pub(crate) fn record(number: u64, body: Body, content: &[u8]) -> Record {
    let kind = if body == Body::None { Kind::Deleted } else { Kind::Value };
    let hash = Hash::of(content);
    let meta = Meta {
        rev: rev(number),
        parent: Rev::new(number - 1),
        kind,
        content_type: Arc::from("application/json"),
        schema: None,
        hash,
        chain: Meta::link(None, rev(number), kind, &hash, "application/json", None),
        size: content.len() as u64,
        created_at: UnixMillis(1_795_000_000_000),
        expires_at: None,
        sliding: None,
        epoch: Epoch::FIRST,
        by: Some(Arc::from("test")),
        handoff: None,
    };
    Record { meta, body }
}

/// A value that is kept whole.
pub(crate) fn whole(number: u64, content: &[u8]) -> Record {
    record(number, Body::Whole(Bytes::copy_from_slice(content)), content)
}

/// Bytes that tell whose they are: no two keys and revisions have the same.
pub(crate) fn content(key: &str, number: u64, length: usize) -> Vec<u8> {
    let mut seed = Hash::of(format!("{key} {number}").as_bytes()).0;
    let mut out = Vec::with_capacity(length + 32);
    while out.len() < length {
        out.extend_from_slice(&seed);
        seed = Hash::of(&seed).0;
    }
    out.truncate(length);
    out
}

/// A commit of revision `number` on the one before it.
pub(crate) fn commit(key: &Key, record: Record, keep: u32) -> Commit {
    let expected = match record.meta.parent {
        None => Expected::Absent,
        Some(parent) => Expected::At(parent),
    };
    Commit { key: key.clone(), expected, record, parent_again: None, pieces: Vec::new(), keep }
}

/// A revision whose content is `pieces`.
pub(crate) fn of_pieces(number: u64, pieces: &[Vec<u8>]) -> Record {
    let ids = pieces.iter().map(|piece| PieceId(Hash::of(piece).0)).collect();
    record(number, Body::Pieces(ids), &pieces.concat())
}

pub(crate) async fn done(store: &dyn Store, commit: Commit) {
    match store.commit(commit).await {
        Ok(Committed::Done(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// Whether a record of these tests is what was written.
pub(crate) fn is_sound(record: &Record) -> bool {
    match &record.body {
        Body::Whole(bytes) => Hash::of(bytes) == record.meta.hash && record.meta.follows(None),
        _ => true,
    }
}
