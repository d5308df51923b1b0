//! Changes as the log has them: what was decided, not what was asked, so that playing them again decides nothing.
//!
//! An entry of the log: a version, the number of its first change, the number of its first event, how many changes there
//! are, and then each. Numbers are little-endian and of fixed width.

use std::sync::Arc;

use bytes::Bytes;
use tradewind_core::UnixMillis;

use crate::error::StoreError;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};

const VERSION: u8 = 1;

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op {
    /// A new head, its parent made small, the pieces that it brings; how many revisions stay.
    Commit { key: Key, record: Arc<Record>, again: Option<Arc<Record>>, pieces: Vec<(PieceId, Bytes)>, keep: u32 },
    /// The head's time ends later.
    Extend { key: Key, expires_at: UnixMillis },
    /// A revision is pinned, as this record, or not any more.
    Pin { key: Key, rev: Rev, whole: Option<Arc<Record>> },
    /// How many revisions stay.
    Prune { key: Key, keep: u32 },
    /// The key goes.
    Forget { key: Key },
}

impl Op {
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Commit { key, .. }
            | Self::Extend { key, .. }
            | Self::Pin { key, .. }
            | Self::Prune { key, .. }
            | Self::Forget { key } => key,
        }
    }
}

/// An entry of the log.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    /// The number of the first change.
    pub(super) first: u64,
    /// The number of the first event; only commits are events.
    pub(super) first_event: u64,
    pub(super) ops: Vec<Op>,
}

impl Group {
    /// Writes it behind what is in `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.first_event.to_le_bytes());
        count(out, self.ops.len());
        for op in &self.ops {
            out.push(match op {
                Op::Commit { .. } => 1,
                Op::Extend { .. } => 2,
                Op::Pin { .. } => 3,
                Op::Prune { .. } => 4,
                Op::Forget { .. } => 5,
            });
            put_key(out, op.key());
            match op {
                Op::Commit { record, again, pieces, keep, .. } => {
                    out.extend_from_slice(&keep.to_le_bytes());
                    put_bytes(out, &record.encode());
                    put_optional(out, again.as_deref());
                    count(out, pieces.len());
                    for (id, bytes) in pieces {
                        out.extend_from_slice(&id.0);
                        put_bytes(out, bytes);
                    }
                }
                Op::Extend { expires_at, .. } => out.extend_from_slice(&expires_at.0.to_le_bytes()),
                Op::Pin { rev, whole, .. } => {
                    out.extend_from_slice(&rev.get().to_le_bytes());
                    put_optional(out, whole.as_deref());
                }
                Op::Prune { keep, .. } => out.extend_from_slice(&keep.to_le_bytes()),
                Op::Forget { .. } => {}
            }
        }
    }

    /// Reads what [`Group::encode`] wrote.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub(super) fn decode(entry: &[u8]) -> Result<Self, StoreError> {
        let mut reader = Reader::new(entry);
        reader.version(VERSION)?;
        let (first, first_event) = (reader.u64()?, reader.u64()?);
        // Every change has at least a byte: what is said to come cannot be more than there is.
        let count = reader.u32()? as usize;
        let mut ops = Vec::with_capacity(count.min(entry.len()));
        for _ in 0..count {
            let kind = reader.u8()?;
            let key = reader.key()?;
            ops.push(match kind {
                1 => {
                    let keep = reader.u32()?;
                    let record = Arc::new(reader.record()?);
                    let again = reader.optional()?.map(Arc::new);
                    let count = reader.u32()?;
                    let pieces = (0..count)
                        .map(|_| Ok((PieceId(reader.array()?), Bytes::copy_from_slice(reader.bytes()?))))
                        .collect::<Result<_, StoreError>>()?;
                    Op::Commit { key, record, again, pieces, keep }
                }
                2 => Op::Extend { key, expires_at: UnixMillis(reader.u64()?) },
                3 => Op::Pin { key, rev: reader.rev()?, whole: reader.optional()?.map(Arc::new) },
                4 => Op::Prune { key, keep: reader.u32()? },
                5 => Op::Forget { key },
                _ => return Err(impossible("kind of change")),
            });
        }
        reader.end()?;
        Ok(Self { first, first_event, ops })
    }
}

pub(super) fn put_key(out: &mut Vec<u8>, key: &Key) {
    put_namespace(out, &key.namespace);
    out.extend_from_slice(&u16::try_from(key.name().len()).expect("at most 512").to_le_bytes());
    out.extend_from_slice(key.name().as_bytes());
}

pub(super) fn put_namespace(out: &mut Vec<u8>, namespace: &Namespace) {
    out.push(u8::try_from(namespace.as_str().len()).expect("at most 64"));
    out.extend_from_slice(namespace.as_str().as_bytes());
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A record is never empty: no bytes are none.
fn put_optional(out: &mut Vec<u8>, record: Option<&Record>) {
    match record {
        Some(record) => put_bytes(out, &record.encode()),
        None => count(out, 0),
    }
}

pub(super) fn count(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u32::try_from(number).expect("a group has at most 64 MiB").to_le_bytes());
}

/// Reads entries; never past their end, and never allocates more than they have.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(entry: &'a [u8]) -> Self {
        Self { rest: entry }
    }

    /// Checks the first byte.
    pub(super) fn version(&mut self, known: u8) -> Result<(), StoreError> {
        match self.u8()? {
            version if version == known => Ok(()),
            version => Err(StoreError::Unavailable(format!(
                "an entry of the log has version {version}, this release knows {known}"
            ))),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| impossible("length"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, StoreError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, StoreError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, StoreError> {
        self.array().map(u64::from_le_bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| impossible("length"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], StoreError> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn text(&mut self, length: usize) -> Result<&'a str, StoreError> {
        std::str::from_utf8(self.take(length)?).map_err(|_| impossible("text"))
    }

    pub(super) fn namespace(&mut self) -> Result<Namespace, StoreError> {
        let length = usize::from(self.u8()?);
        Namespace::stored(self.text(length)?).map_err(|_| impossible("namespace"))
    }

    pub(super) fn key(&mut self) -> Result<Key, StoreError> {
        let namespace = self.namespace()?;
        let length = usize::from(u16::from_le_bytes(self.array()?));
        Key::new(namespace, self.text(length)?).map_err(|_| impossible("key"))
    }

    pub(super) fn rev(&mut self) -> Result<Rev, StoreError> {
        Rev::new(self.u64()?).ok_or_else(|| impossible("revision"))
    }

    pub(super) fn record(&mut self) -> Result<Record, StoreError> {
        // A copy: what shares the entry's bytes would keep all of the entry in memory.
        let bytes = Bytes::copy_from_slice(self.bytes()?);
        Record::decode(&bytes).map_err(|error| StoreError::damaged(format!("an entry of the log: {error}")))
    }

    fn optional(&mut self) -> Result<Option<Record>, StoreError> {
        if self.rest.starts_with(&[0; 4]) {
            return self.u32().map(|_| None);
        }
        self.record().map(Some)
    }

    pub(super) fn end(&self) -> Result<(), StoreError> {
        if self.rest.is_empty() { Ok(()) } else { Err(impossible("end")) }
    }
}

pub(super) fn impossible(field: &str) -> StoreError {
    StoreError::damaged(format!("an entry of the log has an impossible {field}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::meta::{Kind, Meta};
    use crate::name::{Epoch, Hash};
    use crate::record::Body;

    fn record(rev: u64, body: Body) -> Arc<Record> {
        let meta = Meta {
            rev: Rev::new(rev).unwrap(),
            parent: Rev::new(rev - 1),
            kind: if body == Body::None { Kind::Deleted } else { Kind::Value },
            content_type: Arc::from("text/plain"),
            schema: None,
            hash: Hash([1; 32]),
            chain: Hash([2; 32]),
            size: 3,
            created_at: UnixMillis(4),
            expires_at: None,
            sliding: None,
            epoch: Epoch::FIRST,
            by: None,
            handoff: None,
        };
        Arc::new(Record { meta, body })
    }

    fn group() -> Group {
        let key = Key::new(Namespace::reserved("own"), "a/b").unwrap();
        let id = PieceId([9; 32]);
        let ops = vec![
            Op::Commit {
                key: key.clone(),
                record: record(2, Body::Pieces(vec![id, id])),
                again: Some(record(1, Body::Delta { on: Rev::new(2).unwrap(), bytes: Bytes::from_static(b"less") })),
                pieces: vec![(id, Bytes::from_static(b"piece"))],
                keep: 7,
            },
            Op::Commit { key: key.clone(), record: record(3, Body::None), again: None, pieces: Vec::new(), keep: 1 },
            Op::Extend { key: key.clone(), expires_at: UnixMillis(u64::MAX) },
            Op::Pin {
                key: key.clone(),
                rev: Rev::FIRST,
                whole: Some(record(1, Body::Whole(Bytes::from_static(b"x")))),
            },
            Op::Pin { key: key.clone(), rev: Rev::FIRST, whole: None },
            Op::Prune { key: key.clone(), keep: 2 },
            Op::Forget { key },
        ];
        Group { first: 11, first_event: 5, ops }
    }

    #[test]
    fn entries_read_back() {
        for group in [group(), Group { first: 1, first_event: 1, ops: Vec::new() }] {
            let mut entry = Vec::new();
            group.encode(&mut entry);
            assert_eq!(Group::decode(&entry), Ok(group));
        }
    }

    #[test]
    fn what_is_cut_or_goes_on_is_no_entry() {
        let mut entry = Vec::new();
        group().encode(&mut entry);
        for length in 0..entry.len() {
            assert!(Group::decode(&entry[..length]).is_err(), "{length}");
        }
        entry.push(0);
        assert!(Group::decode(&entry).is_err());
        entry[0] = 2;
        assert!(matches!(Group::decode(&entry), Err(StoreError::Unavailable(why)) if why.contains("version 2")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_entry_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            Group::decode(&bytes).ok();
        }

        #[test]
        fn a_changed_entry_is_an_entry_or_an_error(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut entry = Vec::new();
            group().encode(&mut entry);
            let at = at.index(entry.len());
            entry[at] = byte;
            if let Ok(read) = Group::decode(&entry) {
                let mut again = Vec::new();
                read.encode(&mut again);
                prop_assert_eq!(Group::decode(&again), Ok(read));
            }
        }
    }
}
