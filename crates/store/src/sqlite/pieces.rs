//! Pieces are counted in the same transaction that writes what names them, so that neither a crash nor a prune can leave one
//! out or behind.
//!
//! A conversation that grows names all its pieces in every revision. What is counted are therefore not revisions but *runs*:
//! revisions of one key that follow each other and all name a piece hold it once. A commit touches only the pieces that it
//! adds, and a prune only those that the next revision does not have; both stay as short as the change is, however long the
//! content. A pinned revision holds its pieces once more by itself, because it stays when the run has passed.

use std::collections::HashSet;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::record::PieceId;

/// Adds a hold to pieces that `record` has and the revision before it has not; `bytes` are those that may be new.
///
/// # Errors
/// Those of SQLite. A piece that is neither there nor among `bytes` is an error of the caller:
/// [`rusqlite::Error::QueryReturnedNoRows`].
pub(super) fn begin_runs(
    connection: &Connection,
    namespace: i64,
    before: &[PieceId],
    after: &[PieceId],
    bytes: &[(PieceId, Bytes)],
) -> rusqlite::Result<()> {
    for id in only_in_first(after, before) {
        if hold(connection, namespace, id)? {
            continue;
        }
        let (_, new) = bytes.iter().find(|(given, _)| given == id).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        connection
            .prepare_cached("INSERT INTO pieces (namespace, id, holds) VALUES (?1, ?2, 1)")?
            .execute(params![namespace, id.0])?;
        connection
            .prepare_cached("INSERT INTO piece_bytes (number, bytes) VALUES (?1, ?2)")?
            .execute(params![connection.last_insert_rowid(), new.as_ref()])?;
    }
    Ok(())
}

/// Takes a hold from pieces that a revision that goes has, and the one after it has not.
///
/// # Errors
/// Those of SQLite.
pub(super) fn end_runs(
    connection: &Connection,
    namespace: i64,
    going: &[PieceId],
    after: &[PieceId],
) -> rusqlite::Result<()> {
    only_in_first(going, after).into_iter().try_for_each(|id| release(connection, namespace, id))
}

/// Adds a hold to each piece of a revision that is pinned.
///
/// # Errors
/// Those of SQLite.
pub(super) fn hold_all(connection: &Connection, namespace: i64, ids: &[PieceId]) -> rusqlite::Result<()> {
    only_in_first(ids, &[]).into_iter().try_for_each(|id| hold(connection, namespace, id).map(|_| ()))
}

/// Takes the hold of a revision that is not pinned any more.
///
/// # Errors
/// Those of SQLite.
pub(super) fn release_all(connection: &Connection, namespace: i64, ids: &[PieceId]) -> rusqlite::Result<()> {
    end_runs(connection, namespace, ids, &[])
}

/// The bytes of a piece.
///
/// # Errors
/// Those of SQLite.
pub(super) fn read(connection: &Connection, namespace: i64, id: &PieceId) -> rusqlite::Result<Option<Bytes>> {
    connection
        .prepare_cached(
            "SELECT bytes FROM piece_bytes WHERE number = (SELECT number FROM pieces WHERE namespace = ?1 AND id = ?2)",
        )?
        .query_row(params![namespace, id.0], |row| row.get::<_, Vec<u8>>(0))
        .optional()
        .map(|bytes| bytes.map(Bytes::from))
}

/// False when there is no such piece.
fn hold(connection: &Connection, namespace: i64, id: &PieceId) -> rusqlite::Result<bool> {
    let held = connection
        .prepare_cached("UPDATE pieces SET holds = holds + 1 WHERE namespace = ?1 AND id = ?2")?
        .execute(params![namespace, id.0])?;
    Ok(held > 0)
}

fn release(connection: &Connection, namespace: i64, id: &PieceId) -> rusqlite::Result<()> {
    let left: Option<(i64, i64)> = connection
        .prepare_cached("UPDATE pieces SET holds = holds - 1 WHERE namespace = ?1 AND id = ?2 RETURNING number, holds")?
        .query_row(params![namespace, id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((number, ..=0)) = left {
        connection.prepare_cached("DELETE FROM pieces WHERE number = ?1")?.execute([number])?;
        connection.prepare_cached("DELETE FROM piece_bytes WHERE number = ?1")?.execute([number])?;
    }
    Ok(())
}

/// Each of `first` that is not in `second`, once, in order.
fn only_in_first<'a>(first: &'a [PieceId], second: &[PieceId]) -> Vec<&'a PieceId> {
    let mut seen: HashSet<&PieceId> = second.iter().collect();
    first.iter().filter(|id| seen.insert(id)).collect()
}
