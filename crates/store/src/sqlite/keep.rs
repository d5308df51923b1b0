//! What becomes of older revisions: pinned, pruned, moved, forgotten.
//!
//! A key whose revisions are plain, one after the other, needs none of this for a write: the new revision takes the place of
//! the one that is pruned with it. A key that was ever pinned, or has pieces, is looked through at each write; there are no
//! more rows than are kept.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};
use tradewind_core::UnixMillis;

use crate::error::StoreError;
use crate::name::{Key, Rev};
use crate::record::{PieceId, Record};
use crate::sqlite::heads::Entry;
use crate::sqlite::pieces;
use crate::sqlite::ring::Layout;
use crate::sqlite::row::{self, PIECES, PINNED, place};
use crate::sqlite::write::{Group, Stop, Writer, millis, set_head};
use crate::store::Pin;

impl Writer {
    pub(super) fn extend(
        &self,
        group: &mut Group<'_>,
        key: &Key,
        rev: Rev,
        expires_at: UnixMillis,
    ) -> Result<bool, Stop> {
        let Some(entry) = self.known(group, key)?.filter(|entry| entry.head.meta.rev == rev) else { return Ok(false) };
        if entry.head.meta.expires_at.is_none_or(|now| now >= expires_at) {
            return Ok(true);
        }
        let at = place(entry.id, rev.get(), entry.ring);
        let Some((state, mut record)) = self.in_ring(key, at)? else { return Ok(false) };
        record.meta.expires_at = Some(expires_at);
        self.rewrite(key, at, state, &record)?;
        self.set_due(entry.id, Some(millis(expires_at)))?;
        group.work.heads.insert(key.clone(), Some(Entry { head: Arc::new(record), ..entry }));
        Ok(true)
    }

    /// Writes a revision again, with its state.
    fn rewrite(&self, key: &Key, at: i64, state: i64, record: &Record) -> Result<(), Stop> {
        let columns = row::columns(key, state, record);
        self.connection
            .prepare_cached("UPDATE revisions SET state = ?2, meta = ?3, body = ?4 WHERE place = ?1")?
            .execute(params![at, state, columns.meta, columns.body])?;
        Ok(())
    }

    /// Writes a revision that lies apart again, with its state.
    fn rewrite_apart(&self, key: &Key, id: i64, state: i64, record: &Record) -> Result<(), Stop> {
        let columns = row::columns(key, state, record);
        self.connection
            .prepare_cached("UPDATE apart SET state = ?3, meta = ?4, body = ?5 WHERE key = ?1 AND rev = ?2")?
            .execute(params![id, record.meta.rev.get().cast_signed(), state, columns.meta, columns.body])?;
        Ok(())
    }

    pub(super) fn pin(&self, group: &mut Group<'_>, key: &Key, rev: Rev, pin: &Pin) -> Result<bool, Stop> {
        let Some(entry) = self.known(group, key)? else { return Ok(false) };
        let at = place(entry.id, rev.get(), entry.ring);
        let Some((state, stored)) = self.in_ring(key, at)?.filter(|(_, stored)| stored.meta.rev == rev) else {
            let Some((state, stored)) = self.lying_apart(key, entry.id, rev)? else { return Ok(false) };
            if is_of_another(&stored, pin) {
                return Ok(false);
            }
            // Apart, it holds its pieces by itself already, and was made whole when it was pinned.
            let state = if matches!(pin, Pin::On(_)) { state | PINNED } else { state & !PINNED };
            self.rewrite_apart(key, entry.id, state, &stored)?;
            return Ok(true);
        };
        if is_of_another(&stored, pin) {
            return Ok(false);
        }
        let namespace = self.namespace(group, &key.namespace)?;
        match pin {
            Pin::On(whole) if state & PINNED == 0 => {
                let body = if state & PIECES == 0 { &whole.body } else { &stored.body };
                if body.pieces().is_empty() == (state & PIECES != 0) || whole.meta.rev != rev {
                    return Err(Stop::Task(StoreError::Unsupported("pin a revision as another one")));
                }
                pieces::hold_all(&self.connection, namespace, stored.body.pieces())?;
                let record = Record { body: body.clone(), meta: stored.meta };
                self.rewrite(key, at, state | PINNED, &record)?;
                let entry = Entry { layout: Layout::Mixed, ..entry };
                set_head(group, key, &entry)?;
                group.work.heads.insert(key.clone(), Some(entry));
            }
            Pin::Off if state & PINNED != 0 => {
                pieces::release_all(&self.connection, namespace, stored.body.pieces())?;
                self.rewrite(key, at, state & !PINNED, &stored)?;
            }
            _ => {}
        }
        Ok(true)
    }

    pub(super) fn prune_now(&self, group: &mut Group<'_>, key: &Key, keep: u32) -> Result<u64, Stop> {
        let Some(entry) = self.known(group, key)? else { return Ok(0) };
        let limit = entry.head.meta.rev.get().saturating_sub(u64::from(keep.max(1)));
        let namespace = self.namespace(group, &key.namespace)?;
        let removed = self.prune(key, namespace, &entry, limit, &[])?;
        if removed > 0 && entry.layout == Layout::Even {
            let entry = Entry { layout: Layout::Loose, ..entry };
            set_head(group, key, &entry)?;
            group.work.heads.insert(key.clone(), Some(entry));
        }
        Ok(removed)
    }

    pub(super) fn forget(&self, group: &mut Group<'_>, key: &Key, rev: Rev) -> Result<bool, Stop> {
        let Some(entry) = self.known(group, key)? else { return Ok(false) };
        if entry.head.meta.rev != rev || !entry.head.meta.kind.is_tombstone() {
            return Ok(false);
        }
        let namespace = self.namespace(group, &key.namespace)?;
        // What is pinned moves apart, and is removed from there.
        self.prune(key, namespace, &entry, rev.get() - 1, &[])?;
        self.prune_apart(key, namespace, entry.id, i64::MAX, true)?;
        self.connection
            .prepare_cached("DELETE FROM revisions WHERE place BETWEEN ?1 AND ?2")?
            .execute([row::first_place(entry.id), row::last_place(entry.id)])?;
        self.connection.prepare_cached("DELETE FROM keys WHERE id = ?1")?.execute([entry.id])?;
        group.work.heads.insert(key.clone(), None);
        Ok(true)
    }

    /// Removes the revisions up to `limit`, but for the pinned ones, which move apart. How many are gone. `next` are the
    /// pieces of a revision that is about to follow on the newest one.
    pub(super) fn prune(
        &self,
        key: &Key,
        namespace: i64,
        entry: &Entry,
        limit: u64,
        next: &[PieceId],
    ) -> Result<u64, Stop> {
        let id = entry.id;
        let rows: Vec<(i64, u64, i64)> = self
            .connection
            .prepare_cached("SELECT place, rev, state FROM revisions WHERE place BETWEEN ?1 AND ?2 ORDER BY rev")?
            .query_map([row::first_place(id), row::last_place(id)], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned(), row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut removed = 0;
        for (index, (at, _, state)) in rows.iter().enumerate().take_while(|(_, (_, rev, _))| *rev <= limit) {
            if state & PIECES != 0 {
                let after = match rows.get(index + 1) {
                    None => Some(next.to_vec()),
                    Some((after, ..)) => self.pieces_in_ring(key, *after)?,
                };
                if let Some((going, after)) = self.pieces_in_ring(key, *at)?.zip(after) {
                    pieces::end_runs(&self.connection, namespace, &going, &after)?;
                }
            }
            if state & PINNED == 0 {
                removed += 1;
            } else {
                self.connection
                    .prepare_cached(
                        "INSERT INTO apart SELECT ?2, rev, state, meta, body FROM revisions WHERE place = ?1",
                    )?
                    .execute([*at, id])?;
            }
            self.connection.prepare_cached("DELETE FROM revisions WHERE place = ?1")?.execute([*at])?;
        }
        if entry.layout == Layout::Mixed {
            removed += self.prune_apart(key, namespace, id, limit.cast_signed(), false)?;
        }
        Ok(removed)
    }

    /// Removes what lies apart up to `limit` and is not pinned any more, or all of it. How many. The pieces of a damaged one
    /// stay.
    fn prune_apart(&self, key: &Key, namespace: i64, id: i64, limit: i64, all: bool) -> Result<u64, Stop> {
        let going = self
            .connection
            .prepare_cached(
                "SELECT rev, state, meta, body FROM apart WHERE key = ?1 AND rev <= ?2
                 AND (?3 OR state & 1 = 0)",
            )?
            .query_map(params![id, limit, all], |row| Ok((row.get::<_, i64>("rev")?, row::record_of(key, row)?)))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for (rev, record) in &going {
            if let Ok((_, record)) = record {
                pieces::release_all(&self.connection, namespace, record.body.pieces())?;
            }
            self.connection.prepare_cached("DELETE FROM apart WHERE key = ?1 AND rev = ?2")?.execute([id, *rev])?;
        }
        Ok(going.len() as u64)
    }

    /// Moves the revisions of a key to a ring of another size. They are no more than fit.
    pub(super) fn change_ring(&self, id: i64, ring: u32) -> rusqlite::Result<()> {
        let (first, last) = (row::first_place(id), row::last_place(id));
        self.connection
            .prepare_cached("UPDATE revisions SET place = ?1 + ?3 + rev % ?4 WHERE place BETWEEN ?1 AND ?2")?
            .execute(params![first, last, row::SECOND, ring])?;
        self.connection
            .prepare_cached("UPDATE revisions SET place = place - ?3 WHERE place BETWEEN ?1 + ?3 AND ?2")?
            .execute(params![first, last, row::SECOND])?;
        Ok(())
    }

    /// The pieces of a revision; `None` when it is damaged. Then nobody knows which runs go on or end with it, and holds are
    /// left as they are: a piece that stays too long is no harm, and a damaged old revision must not stop new ones.
    fn pieces_in_ring(&self, key: &Key, at: i64) -> Result<Option<Vec<PieceId>>, Stop> {
        match self.in_ring(key, at) {
            Ok(found) => Ok(Some(found.map_or(Vec::new(), |(_, record)| record.body.pieces().to_vec()))),
            Err(Stop::Group(StoreError::Damaged { .. })) => Ok(None),
            Err(stop) => Err(stop),
        }
    }

    fn in_ring(&self, key: &Key, at: i64) -> Result<Option<(i64, Record)>, Stop> {
        self.connection
            .prepare_cached("SELECT rev, state, meta, body FROM revisions WHERE place = ?1")?
            .query_row([at], |row| row::record_of(key, row))
            .optional()?
            .transpose()
            .map_err(Stop::Group)
    }

    fn lying_apart(&self, key: &Key, id: i64, rev: Rev) -> Result<Option<(i64, Record)>, Stop> {
        self.connection
            .prepare_cached("SELECT rev, state, meta, body FROM apart WHERE key = ?1 AND rev = ?2")?
            .query_row([id, rev.get().cast_signed()], |row| row::record_of(key, row))
            .optional()?
            .transpose()
            .map_err(Stop::Group)
    }
}

/// Whether what is to be pinned is another revision of the same number.
fn is_of_another(stored: &Record, pin: &Pin) -> bool {
    matches!(pin, Pin::On(whole) if whole.meta.rev == stored.meta.rev && whole.meta.chain != stored.meta.chain)
}
