//! The table of the spend book, in the journal's file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row, Transaction, params};
use rustc_hash::FxHashMap;
use tradewind_core::{TargetId, Usd};

use super::{About, Day, Totals};
use crate::error::JournalError;
use crate::file::{FILE_NAME, SCHEMA};

/// A step of the journal's schema. Files of the version before may have the table already.
pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS spend (
    day INTEGER NOT NULL,
    key TEXT NOT NULL,
    model TEXT NOT NULL,
    target TEXT NOT NULL,
    calls INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost_pico INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    PRIMARY KEY (day, key, model, target)
) STRICT, WITHOUT ROWID;
";

const COLUMNS: &str =
    "day, key, model, target, calls, input, output, cached, reasoning, estimated, cost_pico, unpriced";

/// A sum stops at SQLite's largest integer: 9.2 million dollars for a day, key, model and target.
const ADD: &str = "
INSERT INTO spend VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT DO UPDATE SET
    calls = min(calls, 9223372036854775807 - excluded.calls) + excluded.calls,
    input = min(input, 9223372036854775807 - excluded.input) + excluded.input,
    output = min(output, 9223372036854775807 - excluded.output) + excluded.output,
    cached = min(cached, 9223372036854775807 - excluded.cached) + excluded.cached,
    reasoning = min(reasoning, 9223372036854775807 - excluded.reasoning) + excluded.reasoning,
    estimated = min(estimated, 9223372036854775807 - excluded.estimated) + excluded.estimated,
    cost_pico = min(cost_pico, 9223372036854775807 - excluded.cost_pico) + excluded.cost_pico,
    unpriced = min(unpriced, 9223372036854775807 - excluded.unpriced) + excluded.unpriced
";

/// Adds `rows` to the table.
pub(crate) fn write(transaction: &Transaction<'_>, rows: &FxHashMap<About, Totals>) -> Result<(), JournalError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut add = transaction.prepare(ADD)?;
    let bounded = |number: u64| number.min(i64::MAX as u64).cast_signed();
    for (about, totals) in rows {
        add.execute(params![
            about.day.0,
            &*about.key,
            &*about.model,
            about.target.as_str(),
            bounded(totals.calls),
            bounded(totals.input),
            bounded(totals.output),
            bounded(totals.cached),
            bounded(totals.reasoning),
            bounded(totals.estimated),
            bounded(totals.cost.pico()),
            bounded(totals.unpriced),
        ])?;
    }
    Ok(())
}

/// Deletes what is older than `oldest`.
pub(crate) fn forget(connection: &Connection, oldest: Day) -> Result<(), JournalError> {
    connection.execute("DELETE FROM spend WHERE day < ?1", [oldest.0])?;
    Ok(())
}

/// What can still be read of the book in the file at `path`, which is damaged or was put aside for another reason.
pub(crate) fn salvage(path: &Path) -> FxHashMap<About, Totals> {
    let mut rows = FxHashMap::default();
    let Ok(connection) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else { return rows };
    let Ok(mut statement) = connection.prepare(&format!("SELECT {COLUMNS} FROM spend")) else { return rows };
    let Ok(mut found) = statement.query([]) else { return rows };
    while let Ok(Some(row)) = found.next() {
        let Ok((about, totals)) = read(row) else { break };
        rows.insert(about, totals);
    }
    rows
}

/// Whether there is a journal of ours in `folder`, with this table.
pub(super) fn check(folder: &Path) -> Result<(), JournalError> {
    if !folder.join(FILE_NAME).is_file() {
        return Err(JournalError::Missing { path: folder.to_owned() });
    }
    let connection = read_only(folder)?;
    SCHEMA.version(&connection)?;
    if connection.query_row("SELECT count(*) = 0 FROM sqlite_schema WHERE name = 'spend'", [], |row| row.get(0))? {
        return Err(JournalError::Foreign("the journal was written by a version that kept no book of what was spent"));
    }
    Ok(())
}

fn read_only(folder: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(folder.join(FILE_NAME), flags)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    Ok(connection)
}

/// The table as it was at one moment.
pub(super) struct View(Connection);

impl View {
    /// Fixes the moment.
    pub(super) fn begin(folder: &Path) -> Result<Self, JournalError> {
        let connection = read_only(folder)?;
        // A transaction sees what there is at its first look, whatever is committed later.
        connection.execute_batch("BEGIN; SELECT 1 FROM spend LIMIT 1")?;
        Ok(Self(connection))
    }

    /// Calls `each` with the rows of these days, both included, of `key` or of all, until it says no; whether it never did.
    pub(super) fn each(
        &mut self,
        from: Day,
        to: Day,
        key: Option<&str>,
        mut each: impl FnMut(About, Totals) -> bool,
    ) -> Result<bool, JournalError> {
        let mut statement = self.0.prepare(&format!(
            "SELECT {COLUMNS} FROM spend WHERE day >= ?1 AND day <= ?2 AND (?3 IS NULL OR key = ?3)"
        ))?;
        let mut rows = statement.query(params![from.0, to.0, key])?;
        while let Some(row) = rows.next()? {
            let (about, totals) = read(row)?;
            if !each(about, totals) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<(About, Totals)> {
    let text = |column: usize| row.get::<_, Arc<str>>(column);
    let number = |column: usize| row.get::<_, i64>(column).map(|number| number.max(0).unsigned_abs());
    let about = About {
        day: Day(row.get(0)?),
        key: text(1)?,
        model: text(2)?,
        target: TargetId::new(row.get_ref(3)?.as_str()?),
    };
    let totals = Totals {
        calls: number(4)?,
        input: number(5)?,
        output: number(6)?,
        cached: number(7)?,
        reasoning: number(8)?,
        estimated: number(9)?,
        cost: Usd::from_pico(number(10)?),
        unpriced: number(11)?,
    };
    Ok((about, totals))
}
