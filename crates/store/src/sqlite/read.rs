//! What is read, and how: each read is one snapshot of the file.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tradewind_core::UnixMillis;

use crate::embedded::{Older, Past};
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::sqlite::heads::Entry;
use crate::sqlite::readers::Readers;
use crate::sqlite::ring::{self, Layout};
use crate::sqlite::row::{self, place};
use crate::sqlite::{error, pieces};
use crate::store::{Cursor, Event, KeyHead, Revision};

/// What a query of rows gives: SQLite may fail, and so may each row.
type Rows<T> = rusqlite::Result<Result<Vec<T>, StoreError>>;

/// Puts both kinds of error into one.
pub(super) fn settle<T>(found: rusqlite::Result<Result<T, StoreError>>) -> Result<T, StoreError> {
    found.map_err(|e| error::of(&e))?
}

/// What is said of a key: where its revisions lie.
struct Where {
    id: i64,
    /// What was said to be the head; see [`ring`](crate::sqlite::ring).
    said: u64,
    ring: u32,
    layout: Layout,
}

/// The number of a namespace.
pub(super) fn namespace_id(connection: &Connection, namespace: &Namespace) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM namespaces WHERE name = ?1")?
        .query_row([namespace.as_str()], |row| row.get(0))
        .optional()
}

/// What is said of a key.
fn find(connection: &Connection, namespace: i64, key: &Key) -> rusqlite::Result<Option<Result<Where, StoreError>>> {
    connection
        .prepare_cached("SELECT id, rev, ring, layout, sum FROM keys WHERE namespace = ?1 AND name = ?2")?
        .query_row(params![namespace, key.name()], |row| found(row, 0, key))
        .optional()
}

/// What is said of a key, out of the columns from `first` on.
fn found(row: &Row<'_>, first: usize, key: &Key) -> rusqlite::Result<Result<Where, StoreError>> {
    let (id, rev): (i64, i64) = (row.get(first)?, row.get(first + 1)?);
    let (ring, layout, sum): (i64, i64, i64) = (row.get(first + 2)?, row.get(first + 3)?, row.get(first + 4)?);
    let said = rev.cast_unsigned();
    let wanted = |ring, layout| row::key_sum(key.namespace.as_str(), key.name(), id, said, ring, layout);
    Ok(match (u32::try_from(ring), Layout::of(layout)) {
        (Ok(ring @ 1..), Some(layout)) if i64::from(wanted(ring, layout)) == sum => {
            Ok(Where { id, said, ring, layout })
        }
        _ => Err(StoreError::damaged(format!("{key}: what is said of it is not what was written"))),
    })
}

/// The same, by the names of a key.
fn find_key(connection: &Connection, key: &Key) -> rusqlite::Result<Option<Result<Where, StoreError>>> {
    match namespace_id(connection, &key.namespace)? {
        Some(namespace) => find(connection, namespace, key),
        None => Ok(None),
    }
}

impl Where {
    fn record(
        &self,
        connection: &Connection,
        key: &Key,
        rev: u64,
    ) -> rusqlite::Result<Option<Result<Record, StoreError>>> {
        let in_ring = connection
            .prepare_cached("SELECT rev, state, meta, body FROM revisions WHERE place = ?1")?
            .query_row([place(self.id, rev, self.ring)], |row| row::record_of(key, row))
            .optional()?;
        let hole = in_ring.is_none() && self.layout == Layout::Even;
        match in_ring {
            Some(Ok((_, record))) if record.meta.rev.get() == rev => return Ok(Some(Ok(record))),
            Some(Err(error)) => return Ok(Some(Err(error))),
            _ => {}
        }
        let number = rev.cast_signed();
        if self.layout == Layout::Mixed {
            let apart = connection
                .prepare_cached("SELECT rev, state, meta, body FROM apart WHERE key = ?1 AND rev = ?2")?
                .query_row([self.id, number], |row| row::record_of(key, row))
                .optional()?;
            if let Some(found) = apart {
                return Ok(Some(found.map(|(_, record)| record)));
            }
        }
        // Nothing there is usually right; a row whose place was damaged is still found by its number.
        let strayed = connection
            .prepare_cached("SELECT 1 FROM revisions WHERE place BETWEEN ?1 AND ?2 AND rev = ?3")?
            .exists([row::first_place(self.id), row::last_place(self.id), number])?;
        Ok((strayed || hole || rev == self.said).then(|| Err(missing(key, rev))))
    }

    /// The number of the head.
    fn newest(&self, connection: &Connection, key: &Key) -> rusqlite::Result<Result<u64, StoreError>> {
        match self.layout {
            Layout::Even => ring::newest(connection, key, self.id, self.said, self.ring),
            Layout::Loose | Layout::Mixed => Ok(Ok(self.said)),
        }
    }

    fn head_meta(&self, connection: &Connection, key: &Key) -> rusqlite::Result<Result<Meta, StoreError>> {
        let newest = match self.newest(connection, key)? {
            Ok(newest) => newest,
            Err(error) => return Ok(Err(error)),
        };
        let found = connection
            .prepare_cached("SELECT rev, state, meta FROM revisions WHERE place = ?1")?
            .query_row([place(self.id, newest, self.ring)], |row| {
                Ok(row::meta(key, Some(newest), row.get(1)?, row.get_ref(2)?.as_blob()?))
            })
            .optional()?;
        Ok(found.unwrap_or_else(|| Err(missing(key, newest))))
    }
}

pub(super) fn missing(key: &Key, rev: u64) -> StoreError {
    StoreError::damaged(format!("revision {rev} of {key} is not where it should be"))
}

/// The head of a key, and where it lies.
///
/// # Errors
/// Those of SQLite.
pub(super) fn head(
    connection: &Connection,
    namespace: i64,
    key: &Key,
) -> rusqlite::Result<Option<Result<Entry, StoreError>>> {
    let at = match find(connection, namespace, key)? {
        Some(Ok(at)) => at,
        Some(Err(error)) => return Ok(Some(Err(error))),
        None => return Ok(None),
    };
    let newest = match at.newest(connection, key)? {
        Ok(newest) => newest,
        Err(error) => return Ok(Some(Err(error))),
    };
    let head = at.record(connection, key, newest)?.unwrap_or_else(|| Err(missing(key, newest)));
    Ok(Some(head.map(|head| Entry { id: at.id, head: Arc::new(head), ring: at.ring, layout: at.layout })))
}

/// See [`Store::revision`](crate::Store::revision).
pub(super) fn revision(connection: &Connection, key: &Key, rev: Rev) -> Result<Option<Record>, StoreError> {
    let look = || {
        // One snapshot for all that follows.
        let snapshot = connection.unchecked_transaction()?;
        match find_key(&snapshot, key)? {
            Some(Ok(at)) => at.record(&snapshot, key, rev.get()),
            Some(Err(error)) => Ok(Some(Err(error))),
            None => Ok(None),
        }
    };
    look().map_err(|e| error::of(&e))?.transpose()
}

/// See [`Store::history`](crate::Store::history).
pub(super) fn history(
    connection: &Connection,
    key: &Key,
    before: Option<Rev>,
    limit: usize,
) -> Result<Vec<Revision>, StoreError> {
    let look = || -> Rows<Revision> {
        let snapshot = connection.unchecked_transaction()?;
        let at = match find_key(&snapshot, key)? {
            Some(Ok(at)) => at,
            Some(Err(error)) => return Ok(Err(error)),
            None => return Ok(Ok(Vec::new())),
        };
        let before = before.and_then(|rev| i64::try_from(rev.get()).ok()).unwrap_or(i64::MAX);
        let read = |row: &Row<'_>| {
            let rev = row.get::<_, i64>(0)?.cast_unsigned();
            let state: i64 = row.get(1)?;
            let meta = row::meta(key, Some(rev), state, row.get_ref(2)?.as_blob()?);
            Ok(meta.map(|meta| Revision { meta, pinned: state & row::PINNED != 0 }))
        };
        let in_ring = snapshot
            .prepare_cached(
                "SELECT rev, state, meta FROM revisions WHERE place BETWEEN ?1 AND ?2 AND rev < ?3
                 ORDER BY rev DESC LIMIT ?4",
            )?
            .query_map(params![row::first_place(at.id), row::last_place(at.id), before, count(limit)], read)?
            .collect::<rusqlite::Result<Result<Vec<_>, _>>>()?;
        let mut history = match in_ring {
            Ok(history) if history.len() < limit && at.layout == Layout::Mixed => history,
            other => return Ok(other),
        };
        // All that lies apart is older than what is in the ring.
        let apart = snapshot
            .prepare_cached(
                "SELECT rev, state, meta FROM apart WHERE key = ?1 AND rev < ?2 ORDER BY rev DESC LIMIT ?3",
            )?
            .query_map(params![at.id, before, count(limit - history.len())], read)?
            .collect::<rusqlite::Result<Result<Vec<_>, _>>>()?;
        Ok(apart.map(|apart| {
            history.extend(apart);
            history
        }))
    };
    settle(look())
}

/// See [`Store::list`](crate::Store::list).
pub(super) fn list(
    connection: &Connection,
    namespace: &Namespace,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<KeyHead>, StoreError> {
    let look = || -> Rows<KeyHead> {
        let snapshot = connection.unchecked_transaction()?;
        let Some(id) = namespace_id(&snapshot, namespace)? else { return Ok(Ok(Vec::new())) };
        // Text compares by its bytes: names that begin with the prefix come after it, and together.
        let mut statement = snapshot.prepare_cached(
            "SELECT name, id, rev, ring, layout, sum FROM keys WHERE namespace = ?1 AND name >= ?2 AND name > ?3
             ORDER BY name LIMIT ?4",
        )?;
        let mut rows = statement.query(params![id, prefix, after.unwrap_or(""), count(limit)])?;
        let mut heads = Vec::new();
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str()?;
            if !name.starts_with(prefix) {
                break;
            }
            let Ok(key) = Key::new(namespace.clone(), name) else {
                return Ok(Err(StoreError::damaged(format!("a key of {namespace} has an impossible name"))));
            };
            let meta = match found(row, 1, &key)? {
                Ok(at) => at.head_meta(&snapshot, &key)?,
                Err(error) => Err(error),
            };
            heads.push((key, meta));
        }
        Ok(Ok(heads))
    };
    settle(look())
}

/// See [`Store::keys`](crate::Store::keys).
pub(super) fn keys(
    connection: &Connection,
    namespace: &Namespace,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Key>, StoreError> {
    let look = || -> Rows<Key> {
        let Some(id) = namespace_id(connection, namespace)? else { return Ok(Ok(Vec::new())) };
        connection
            .prepare_cached("SELECT name FROM keys WHERE namespace = ?1 AND name > ?2 ORDER BY name LIMIT ?3")?
            .query_map(params![id, after.unwrap_or(""), count(limit)], |row| {
                let key = Key::new(namespace.clone(), row.get_ref(0)?.as_str()?);
                Ok(key.map_err(|_| StoreError::damaged(format!("a key of {namespace} has an impossible name"))))
            })?
            .collect()
    };
    settle(look())
}

/// See [`Store::due`](crate::Store::due).
pub(super) fn due(connection: &Connection, now: UnixMillis, limit: usize) -> Result<Vec<(Key, Meta)>, StoreError> {
    let look = || -> Rows<(Key, Meta)> {
        let snapshot = connection.unchecked_transaction()?;
        let mut statement = snapshot.prepare_cached(
            "SELECT n.name, k.name, k.id, k.rev, k.ring, k.layout, k.sum FROM keys k JOIN namespaces n ON n.id = k.namespace
             WHERE k.due <= ?1 ORDER BY k.due",
        )?;
        let mut rows = statement.query([i64::try_from(now.0).unwrap_or(i64::MAX)])?;
        let mut heads = Vec::new();
        while heads.len() < limit
            && let Some(row) = rows.next()?
        {
            // One that is damaged must not keep the others from being buried; `check` and every read name it.
            let Ok(namespace) = namespace_of(row, 0)? else { continue };
            let Ok(key) = Key::new(namespace, row.get_ref(1)?.as_str()?) else { continue };
            if let Ok(at) = found(row, 2, &key)?
                && let Ok(meta) = at.head_meta(&snapshot, &key)?
                && meta.has_expired(now)
            {
                heads.push((key, meta));
            }
        }
        Ok(Ok(heads))
    };
    settle(look())
}

fn namespace_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Result<Namespace, StoreError>> {
    let text = row.get_ref(column)?.as_str()?;
    Ok(Namespace::stored(text).map_err(|error| StoreError::damaged(format!("namespace {text:?}: {error}"))))
}

/// See [`Store::namespaces`](crate::Store::namespaces).
pub(super) fn namespaces(connection: &Connection) -> Result<Vec<Namespace>, StoreError> {
    let find = || -> Rows<Namespace> {
        connection
            .prepare_cached(
                "SELECT name FROM namespaces n WHERE EXISTS (SELECT 1 FROM keys WHERE namespace = n.id) ORDER BY name",
            )?
            .query_map([], |row| namespace_of(row, 0))?
            .collect()
    };
    settle(find())
}

/// See [`Store::pieces`](crate::Store::pieces).
pub(super) fn pieces(
    connection: &Connection,
    namespace: &Namespace,
    ids: &[PieceId],
) -> Result<Vec<Option<Bytes>>, StoreError> {
    let find = || {
        let Some(namespace) = namespace_id(connection, namespace)? else { return Ok(vec![None; ids.len()]) };
        ids.iter().map(|id| pieces::read(connection, namespace, id)).collect::<rusqlite::Result<_>>()
    };
    find().map_err(|e| error::of(&e))
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// See [`Sqlite::inspect`](crate::sqlite::Sqlite::inspect).
pub(super) fn inspect(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let look = || {
        let mut found: Vec<String> = connection
            .prepare("PRAGMA integrity_check(100)")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        found.retain(|line| line != "ok");
        Ok(found)
    };
    look().map_err(|e| error::of(&e))
}

/// Changes that are in the file only.
pub(super) struct OldEvents(pub(super) Arc<Readers>);

impl Older for OldEvents {
    fn read(
        &self,
        namespace: Namespace,
        prefix: Arc<str>,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Past, StoreError>> {
        let readers = self.0.clone();
        Box::pin(
            async move { readers.ask(move |connection| events(connection, &namespace, &prefix, after, limit)).await },
        )
    }
}

fn events(
    connection: &Connection,
    namespace: &Namespace,
    prefix: &str,
    after: u64,
    limit: usize,
) -> Result<Past, StoreError> {
    let find = || -> rusqlite::Result<Result<Past, StoreError>> {
        // One snapshot for all that follows.
        let snapshot = connection.unchecked_transaction()?;
        let (oldest, newest): (Option<u64>, Option<u64>) = snapshot
            .prepare_cached("SELECT min(cursor), max(cursor) FROM events")?
            .query_row([], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
        let (Some(oldest), Some(newest)) = (oldest, newest) else { return Ok(Err(StoreError::CursorGone)) };
        if after + 1 < oldest {
            return Ok(Err(StoreError::CursorGone));
        }
        let id = namespace_id(&snapshot, namespace)?;
        let mut statement = snapshot.prepare_cached(
            "SELECT cursor, name, meta FROM events WHERE cursor > ?1 AND namespace = ?2 ORDER BY cursor",
        )?;
        let mut rows = statement.query(params![after.cast_signed(), id])?;
        let mut found = Vec::new();
        let mut upto = newest;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(1)?.as_str()?;
            if !name.starts_with(prefix) {
                continue;
            }
            let event = Key::new(namespace.clone(), name)
                .map_err(|error| StoreError::damaged(format!("a change in {namespace}: {error}")))
                .and_then(|key| {
                    Ok((
                        row::meta(
                            &key,
                            None,
                            0,
                            row.get_ref(2).map_err(|e| error::of(&e))?.as_blob().unwrap_or_default(),
                        )?,
                        key,
                    ))
                });
            let cursor = number(row, 0)?.unwrap_or_default();
            match event {
                Ok((meta, key)) => found.push(Event { cursor: Cursor::at(cursor), key, meta }),
                Err(error) => return Ok(Err(error)),
            }
            if found.len() == limit {
                upto = cursor;
                break;
            }
        }
        Ok(Ok(Past { events: found, upto }))
    };
    settle(find())
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned))
}

/// The numbers of the oldest and the newest change.
pub(super) fn range_of_events(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    connection.query_row("SELECT min(cursor), max(cursor) FROM events", [], |row| {
        let newest = number(row, 1)?.unwrap_or(0);
        Ok((number(row, 0)?.unwrap_or(newest + 1), newest))
    })
}

/// All namespaces with their numbers, those without keys too.
pub(super) fn namespace_ids(connection: &Connection) -> Result<Vec<(Namespace, i64)>, StoreError> {
    let find = || -> Rows<(Namespace, i64)> {
        connection
            .prepare("SELECT name, id FROM namespaces")?
            .query_map([], |row| {
                let id = row.get(1)?;
                Ok(namespace_of(row, 0)?.map(|namespace| (namespace, id)))
            })?
            .collect()
    };
    settle(find())
}
