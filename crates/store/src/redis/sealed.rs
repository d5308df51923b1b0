//! How records, changes and pieces lie in Redis: their own encoding with checksums.
//!
//! Redis does not see a flipped bit in a value. A checksum (CRC-32C, which finds every change of up to 32 neighbouring bits)
//! begins with the key's name, so that what is read belongs to the key that it is given out under. A record has two, behind
//! the meta and behind the body, so that lists and histories need not read bodies. The heads have a sum of their own, which
//! the scripts check: see `lua/common.lua`.

use bytes::Bytes;
use tradewind_core::UnixMillis;

use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};

/// Bytes of a checksum, and of a length.
const SUM: usize = 4;
/// Bytes before the meta of a record.
const BEFORE_META: usize = 2 * SUM;
/// Bytes of a moved end.
const END: usize = 8 + SUM;

/// A revision's number as scripts take it, and the field that it lies in.
pub(super) fn field(rev: Rev) -> [u8; 8] {
    rev.get().to_be_bytes()
}

/// Writes a record: the length of its meta and a checksum up to the end of that, the record, a checksum of all.
pub(super) fn record(key: &Key, record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(BEFORE_META + 200 + record.body.stored_size());
    out.extend_from_slice(&[0; BEFORE_META]);
    let end = record.encode_into(&mut out);
    let length = length(end - BEFORE_META);
    out[..SUM].copy_from_slice(&length);
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(seed(key), &length), &out[BEFORE_META..end]);
    out[SUM..BEFORE_META].copy_from_slice(&sum.to_be_bytes());
    let sum = crc32c::crc32c_append(sum, &out[end..]);
    out.extend_from_slice(&sum.to_be_bytes());
    out
}

/// The meta in a written record.
pub(super) fn meta_in(record: &[u8]) -> &[u8] {
    let (length, rest) = record.split_first_chunk::<SUM>().expect("it was written here");
    &rest[SUM..][..u32::from_be_bytes(*length) as usize]
}

/// Reads a record.
///
/// # Errors
/// [`StoreError::Damaged`], as of every function that reads.
pub(super) fn read_record(key: &Key, bytes: &Bytes) -> Result<Record, StoreError> {
    let (meta, sum) = checked_meta(key, bytes)?;
    let body = BEFORE_META + meta.len();
    let end = bytes.len().saturating_sub(SUM);
    if end < body || crc32c::crc32c_append(sum, &bytes[body..end]).to_be_bytes() != bytes[end..] {
        return Err(not_written(key));
    }
    Record::decode(&bytes.slice(BEFORE_META..end)).map_err(|error| damaged(key, &error.to_string()))
}

/// Reads the meta out of the beginning of a record.
pub(super) fn read_meta(key: &Key, beginning: &[u8]) -> Result<Meta, StoreError> {
    let (meta, _) = checked_meta(key, beginning)?;
    Record::decode_meta(meta).map_err(|error| damaged(key, &error.to_string()))
}

fn checked_meta<'a>(key: &Key, bytes: &'a [u8]) -> Result<(&'a [u8], u32), StoreError> {
    let parts = || {
        let (length, rest) = bytes.split_first_chunk::<SUM>()?;
        let (sum, rest) = rest.split_first_chunk::<SUM>()?;
        let meta = rest.get(..u32::from_be_bytes(*length) as usize)?;
        let found = crc32c::crc32c_append(crc32c::crc32c_append(seed(key), length), meta);
        (found.to_be_bytes() == *sum).then_some((meta, found))
    };
    parts().ok_or_else(|| not_written(key))
}

/// Writes when a revision expires, where that was moved.
pub(super) fn end(key: &Key, rev: Rev, at: UnixMillis) -> [u8; END] {
    let mut out = [0; END];
    out[..8].copy_from_slice(&at.0.to_be_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(seed(key), &field(rev)), &out[..8]);
    out[8..].copy_from_slice(&sum.to_be_bytes());
    out
}

/// Reads when a revision expires; `None` where that was not moved.
pub(super) fn read_end(key: &Key, rev: Rev, bytes: &[u8]) -> Result<Option<UnixMillis>, StoreError> {
    let Some((at, _)) = bytes.split_first_chunk::<8>() else {
        return if bytes.is_empty() { Ok(None) } else { Err(not_written(key)) };
    };
    let at = UnixMillis(u64::from_be_bytes(*at));
    if end(key, rev, at) == *bytes { Ok(Some(at)) } else { Err(not_written(key)) }
}

/// Writes a piece.
pub(super) fn piece(id: &PieceId, bytes: &[u8]) -> Vec<u8> {
    [bytes, &piece_sum(id, bytes)].concat()
}

/// Reads a piece.
pub(super) fn read_piece(id: &PieceId, stored: &Bytes) -> Result<Bytes, StoreError> {
    let end = stored.len().saturating_sub(SUM);
    if piece_sum(id, &stored[..end]) != stored[end..] {
        return Err(StoreError::damaged(format!("piece {id} is not what was written")));
    }
    Ok(stored.slice(..end))
}

fn piece_sum(id: &PieceId, bytes: &[u8]) -> [u8; SUM] {
    crc32c::crc32c_append(crc32c::crc32c(&id.0), bytes).to_be_bytes()
}

/// Changes of one namespace that are told together: of each the name and the meta, each behind its length, and a checksum.
pub(super) struct Changes(Vec<u8>);

impl Changes {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn add(&mut self, name: &str, meta: &[u8]) {
        for part in [name.as_bytes(), meta] {
            self.0.extend_from_slice(&length(part.len()));
            self.0.extend_from_slice(part);
        }
    }

    pub(super) fn finish(mut self, namespace: &Namespace) -> Vec<u8> {
        let sum = changes_sum(namespace, &self.0);
        self.0.extend_from_slice(&sum);
        self.0
    }

    /// Reads them.
    pub(super) fn read(namespace: &Namespace, stored: &[u8]) -> Result<Vec<(Key, Meta)>, StoreError> {
        let wrong = |why: &str| StoreError::damaged(format!("changes in {namespace}: {why}"));
        let cut = || wrong("they are not what was written");
        let (mut rest, sum) = stored.split_last_chunk::<SUM>().ok_or_else(cut)?;
        if changes_sum(namespace, rest) != *sum {
            return Err(cut());
        }
        let mut part = || -> Option<Option<&[u8]>> {
            if rest.is_empty() {
                return Some(None);
            }
            let (length, behind) = rest.split_first_chunk::<SUM>()?;
            let (part, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            rest = behind;
            Some(Some(part))
        };
        let mut all = Vec::new();
        while let Some(name) = part().ok_or_else(cut)? {
            let meta = part().flatten().ok_or_else(cut)?;
            let name = std::str::from_utf8(name).map_err(|error| wrong(&error.to_string()))?;
            let key = Key::new(namespace.clone(), name).map_err(|error| wrong(&error.to_string()))?;
            all.push((key, Record::decode_meta(meta).map_err(|error| wrong(&error.to_string()))?));
        }
        Ok(all)
    }
}

/// What marks changes that were told together: other changes have another, most likely, and none has 0.
pub(super) fn mark(changes: &[u8]) -> u64 {
    let sum = changes.last_chunk::<SUM>().copied().unwrap_or_default();
    1 << 32 | u64::from(u32::from_be_bytes(sum))
}

fn changes_sum(namespace: &Namespace, changes: &[u8]) -> [u8; SUM] {
    crc32c::crc32c_append(crc32c::crc32c(namespace.as_str().as_bytes()), changes).to_be_bytes()
}

fn length(bytes: usize) -> [u8; SUM] {
    u32::try_from(bytes).expect("names and metas are short").to_be_bytes()
}

fn seed(key: &Key) -> u32 {
    let sum = crc32c::crc32c(key.namespace.as_str().as_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &[0]), key.name().as_bytes())
}

fn not_written(key: &Key) -> StoreError {
    damaged(key, "it is not what was written")
}

pub(super) fn damaged(key: &Key, why: &str) -> StoreError {
    StoreError::damaged(format!("{key}: {why}"))
}
