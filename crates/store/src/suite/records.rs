//! Records to write, and a clock to set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tradewind_core::{Clock, Moment, UnixMillis};

use crate::meta::{Kind, Meta};
use crate::name::{Epoch, Hash, Key, Rev};
use crate::record::{Body, Record};
use crate::store::{Commit, Expected};

/// When everything happens: 2100-01-01, in milliseconds since the Unix epoch.
pub const EPOCH: UnixMillis = UnixMillis(4_102_444_800_000);

/// A key.
///
/// # Panics
/// When the texts are no names.
#[must_use]
pub fn key(namespace: &str, name: &str) -> Key {
    Key::parse(namespace, name).expect("a name that a test made up")
}

/// A first revision that holds `body` as it is.
#[must_use]
pub fn record(body: &[u8]) -> Record {
    let hash = Hash::of(body);
    let content_type: Arc<str> = Arc::from("text/plain");
    let meta = Meta {
        rev: Rev::FIRST,
        parent: None,
        kind: Kind::Value,
        chain: Meta::link(None, Rev::FIRST, Kind::Value, &hash, &content_type, None),
        content_type,
        schema: None,
        hash,
        size: body.len() as u64,
        created_at: EPOCH,
        expires_at: None,
        sliding: None,
        epoch: Epoch::FIRST,
        by: None,
        handoff: None,
    };
    Record { meta, body: Body::Whole(Bytes::copy_from_slice(body)) }
}

/// The revision after `parent`, which holds `body`.
#[must_use]
pub fn following(parent: &Meta, body: &[u8]) -> Record {
    let mut record = record(body);
    let meta = &mut record.meta;
    meta.rev = parent.rev.next();
    meta.parent = Some(parent.rev);
    meta.epoch = parent.epoch;
    meta.created_at = UnixMillis(parent.created_at.0 + 1);
    link(meta, parent);
    record
}

/// The tombstone after `parent`, to be forgotten at `at`.
#[must_use]
pub fn tombstone(parent: &Meta, kind: Kind, at: UnixMillis) -> Record {
    let mut record = following(parent, b"");
    record.meta.kind = kind;
    record.meta.expires_at = Some(at);
    link(&mut record.meta, parent);
    record.body = Body::None;
    record
}

fn link(meta: &mut Meta, parent: &Meta) {
    meta.chain = Meta::link(Some(&parent.chain), meta.rev, meta.kind, &meta.hash, &meta.content_type, None);
}

/// A commit on the parent that the record names, which keeps 32 revisions.
#[must_use]
pub fn commit(key: &Key, record: &Record) -> Commit {
    Commit {
        key: key.clone(),
        expected: record.meta.parent.map_or(Expected::Absent, Expected::At),
        record: record.clone(),
        parent_again: None,
        pieces: Vec::new(),
        keep: 32,
    }
}

/// A clock that stands still until it is set.
pub struct FakeClock(AtomicU64);

impl FakeClock {
    /// It shows [`EPOCH`].
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(EPOCH.0)))
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Sets it, backwards too.
    pub fn set(&self, at: UnixMillis) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Moment {
        Moment::from_micros(self.0.load(Ordering::SeqCst).saturating_mul(1000))
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}
