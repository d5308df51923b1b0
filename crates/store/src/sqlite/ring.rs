//! How the revisions of a key lie in their ring, and how the newest is found among them.
//!
//! What is said of a key in `keys` names its head. To say it at each commit would change a page there beside the one that
//! the revision goes to: with many keys, half of all pages that a commit writes. Where a ring is full, and its revisions
//! follow one another, they tell themselves which is the newest: the one in front of the oldest. Such a key is *even*; of
//! its heads only every [`STRIDE`]th is said, and whoever reads goes on from there.
//!
//! In a full ring a place has one of two revisions, the new or the old one. A row that was lost or changed is therefore
//! noticed here as well as where each head is said.

use rusqlite::Connection;

use crate::error::StoreError;
use crate::name::Key;
use crate::sqlite::read::missing;
use crate::sqlite::row::{self, place};

/// Of an even key every so many heads are said. Its ring is a multiple of it, so that the places between two that are said
/// are neighbours.
const STRIDE: u32 = 8;

/// How the revisions of a key lie: the column `layout`, which is named for the first two in files of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Places may be empty.
    Loose = 0,
    /// Revisions may be pinned, or have pieces, and some lie apart; places may be empty.
    Mixed = 1,
    /// The ring is full and its revisions follow one another; the head is the one that was said, or one of the
    /// [`STRIDE`] - 1 after it.
    Even = 2,
}

impl Layout {
    /// Reads the column.
    pub(super) const fn of(column: i64) -> Option<Self> {
        match column {
            0 => Some(Self::Loose),
            1 => Some(Self::Mixed),
            2 => Some(Self::Even),
            _ => None,
        }
    }

    /// Whether it has to be said that this is the head.
    pub(super) fn says(self, rev: u64) -> bool {
        self != Self::Even || rev.is_multiple_of(u64::from(STRIDE))
    }
}

/// Whether a key whose newest revision is `rev` is even now. Looked at once in a round of the ring, because the whole ring is
/// read for it.
pub(super) fn is_even(connection: &Connection, id: i64, rev: u64, ring: u32) -> rusqlite::Result<bool> {
    if !ring.is_multiple_of(STRIDE) || !rev.is_multiple_of(u64::from(ring)) {
        return Ok(false);
    }
    let in_place: u32 = connection
        .prepare_cached(
            "SELECT count(*) FROM revisions WHERE place BETWEEN ?1 AND ?1 + ?2 - 1 AND place = ?1 + rev % ?2
             AND rev BETWEEN ?3 - ?2 + 1 AND ?3",
        )?
        .query_row([row::first_place(id), i64::from(ring), rev.cast_signed()], |row| row.get(0))?;
    Ok(in_place == ring)
}

/// The newest revision of an even key, of which `said` was said to be the head.
pub(super) fn newest(
    connection: &Connection,
    key: &Key,
    id: i64,
    said: u64,
    ring: u32,
) -> rusqlite::Result<Result<u64, StoreError>> {
    let mut statement = connection
        .prepare_cached("SELECT place, rev, state, meta FROM revisions WHERE place BETWEEN ?1 AND ?2 ORDER BY place")?;
    let first = place(id, said, ring);
    let mut rows = statement.query([first, first + i64::from(STRIDE) - 1])?;
    let mut newest = None;
    for (at, rev) in (first..).zip(said..said + u64::from(STRIDE)) {
        let Some(row) = rows.next()? else { return Ok(Err(missing(key, rev))) };
        let found = row.get::<_, i64>(1)?.cast_unsigned();
        if row.get::<_, i64>(0)? != at {
            return Ok(Err(missing(key, rev)));
        }
        if found == rev {
            newest = Some(rev);
            continue;
        }
        return Ok(match newest {
            // One flipped bit can make a new revision look like the old one of its place: only its meta tells.
            Some(newest) if found + u64::from(ring) == rev => {
                row::meta(key, Some(found), row.get(2)?, row.get_ref(3)?.as_blob()?).map(|_| newest)
            }
            _ => Err(missing(key, rev)),
        });
    }
    Ok(newest.ok_or_else(|| missing(key, said)))
}
