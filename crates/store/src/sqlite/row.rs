//! How records lie in rows: their own encoding, cut in two behind the meta, so that lists and histories need not read bodies,
//! each part with a checksum behind it.
//!
//! SQLite does not see a flipped bit in a value. The checksum (CRC-32C, which finds every change of up to 32 neighbouring
//! bits) is bound to the key's name and the revision's number as well, so that a flip in those is found too: whatever is read
//! belongs to the key that it is given out under.

use bytes::Bytes;
use rusqlite::Row;

use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Rev};
use crate::record::{Body, Record};
use crate::sqlite::ring::Layout;

/// Bits of a place below the number of the key.
const SLOT_BITS: u32 = 36;
/// The greatest number of a key.
pub(super) const MAX_KEY: i64 = (1 << (63 - SLOT_BITS)) - 1;
/// A second ring of places, for moving a key's revisions to a ring of another size.
pub(super) const SECOND: i64 = 1 << (SLOT_BITS - 1);

/// Where a revision lies: the key's revisions go round in a ring of as many places as are kept, so that a new one takes the
/// place of the one that is pruned with it. One page is written, and nothing moves.
pub(super) fn place(key: i64, rev: u64, ring: u32) -> i64 {
    first_place(key) | (rev % u64::from(ring)).cast_signed()
}

/// The first place of a key.
pub(super) const fn first_place(key: i64) -> i64 {
    key << SLOT_BITS
}

/// The last place of a key.
pub(super) const fn last_place(key: i64) -> i64 {
    first_place(key) | ((1 << SLOT_BITS) - 1)
}

/// The two columns of a record.
pub(super) struct Columns {
    pub(super) meta: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// The revision is pinned.
pub(super) const PINNED: i64 = 1;
/// Its body names pieces.
pub(super) const PIECES: i64 = 4;

/// Cuts a record in two and seals both parts.
pub(super) fn columns(key: &Key, state: i64, record: &Record) -> Columns {
    let mut meta = record.encode();
    let mut body = meta.split_off(meta.len() - length_of(&record.body));
    let sum = crc32c::crc32c_append(seed(key, state), &meta);
    let body_sum = crc32c::crc32c_append(sum, &body);
    meta.extend_from_slice(&sum.to_le_bytes());
    body.extend_from_slice(&body_sum.to_le_bytes());
    Columns { meta, body }
}

/// The meta of a record alone, for a change: it has no state.
pub(super) fn event(key: &Key, columns: &Columns) -> Vec<u8> {
    let mut meta = columns.meta.clone();
    meta.truncate(meta.len() - 4);
    let sum = crc32c::crc32c_append(seed(key, 0), &meta);
    meta.extend_from_slice(&sum.to_le_bytes());
    meta
}

/// Reads the meta of revision `rev`, or of whatever revision it is.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(super) fn meta(key: &Key, rev: Option<u64>, state: i64, column: &[u8]) -> Result<Meta, StoreError> {
    let (bytes, _) = open(seed(key, state), column).ok_or_else(|| damaged(key, rev, "it is not what was written"))?;
    let meta = Record::decode_meta(bytes).map_err(|error| damaged(key, rev, &error.to_string()))?;
    if rev.is_some_and(|rev| rev != meta.rev.get()) {
        return Err(damaged(key, rev, "it lies in the place of another"));
    }
    Ok(meta)
}

/// Reads a record and its state out of the columns `rev`, `state`, `meta` and `body`.
///
/// # Errors
/// [`StoreError::Damaged`], and those of SQLite as its own kind.
pub(super) fn record_of(key: &Key, row: &Row<'_>) -> rusqlite::Result<Result<(i64, Record), StoreError>> {
    let rev = row.get::<_, i64>("rev")?.cast_unsigned();
    let state = row.get("state")?;
    let (meta, body) = (row.get_ref("meta")?.as_blob()?, row.get_ref("body")?.as_blob()?);
    Ok(record(key, rev, state, meta, body).map(|record| (state, record)))
}

fn record(key: &Key, rev: u64, state: i64, meta: &[u8], body: &[u8]) -> Result<Record, StoreError> {
    let rev = Some(rev);
    let not_written = || damaged(key, rev, "it is not what was written");
    let (meta, sum) = open(seed(key, state), meta).ok_or_else(not_written)?;
    let (body, _) = open(sum, body).ok_or_else(not_written)?;
    let whole = Bytes::from([meta, body].concat());
    let record = Record::decode(&whole).map_err(|error| damaged(key, rev, &error.to_string()))?;
    if rev != Some(record.meta.rev.get()) {
        return Err(damaged(key, rev, "it lies in the place of another"));
    }
    Ok(record)
}

/// The checksum of what is said of a key.
pub(super) fn key_sum(namespace: &str, name: &str, id: i64, rev: u64, ring: u32, layout: Layout) -> u32 {
    let mut sum = names_sum(namespace, name);
    for part in [&id.to_le_bytes()[..], &rev.to_le_bytes(), &ring.to_le_bytes(), &[layout as u8]] {
        sum = crc32c::crc32c_append(sum, part);
    }
    sum
}

/// What the checksums of a revision begin with.
fn seed(key: &Key, state: i64) -> u32 {
    crc32c::crc32c_append(names_sum(key.namespace.as_str(), key.name()), &state.to_le_bytes())
}

fn names_sum(namespace: &str, name: &str) -> u32 {
    let sum = crc32c::crc32c(namespace.as_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &[0]), name.as_bytes())
}

/// What lies before the checksum, and the checksum, when they fit.
fn open(seed: u32, column: &[u8]) -> Option<(&[u8], u32)> {
    let (bytes, sum) = column.split_last_chunk::<4>()?;
    let sum = u32::from_le_bytes(*sum);
    (crc32c::crc32c_append(seed, bytes) == sum).then_some((bytes, sum))
}

/// How many bytes of an encoded record its body takes; see [`Record::encode`].
fn length_of(body: &Body) -> usize {
    let behind_length = |length: usize, bytes: usize| leb128(length as u64) + bytes;
    1 + match body {
        Body::None => 0,
        Body::Whole(bytes) => behind_length(bytes.len(), bytes.len()),
        Body::Delta { on, bytes } => leb128(on.get()) + behind_length(bytes.len(), bytes.len()),
        Body::Pieces(ids) => behind_length(ids.len(), ids.len() * 32),
    }
}

/// Bytes of a number in LEB128.
const fn leb128(value: u64) -> usize {
    match value {
        0 => 1,
        _ => (value.ilog2() / 7 + 1) as usize,
    }
}

fn damaged(key: &Key, rev: Option<u64>, why: &str) -> StoreError {
    match rev.and_then(Rev::new) {
        Some(rev) => StoreError::damaged(format!("revision {rev} of {key}: {why}")),
        None => StoreError::damaged(format!("{key}: {why}")),
    }
}
