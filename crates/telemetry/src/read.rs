//! Reading records back, through connections of its own that cannot write.
//!
//! Blocks are walked from the one with the largest id downwards. What a block holds is kept until every block that may
//! hold something newer has been looked at: a page is exact, whatever the order in which records arrived.
//!
//! A connection is opened for each question: questions are rare, an idle one would hold memory, and a file that was
//! moved aside in between is never read by mistake.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};
use serde::Deserialize;
use tradewind_core::{DecisionId, UnixMillis};

use crate::block::{SPAN, outcome_bit, quoted_model, unpack};
use crate::error::JournalError;
use crate::file::FILE_NAME;
use crate::json::id_of;
use crate::record::Outcome;

/// How much one question may look at: records of blocks that are unpacked, and blocks that are passed over.
const LOOKED_AT: usize = 200_000;

/// Which records to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only calls for this model, as the caller named it.
    pub model: Option<String>,
    /// Only calls of the key of this name.
    pub key: Option<String>,
    /// Only calls that ended so.
    pub outcome: Option<Outcome>,
    /// Only calls that came in at this time or later.
    pub since: Option<UnixMillis>,
    /// Only calls with a smaller id: [`Page::next`] of the page before.
    pub before: Option<DecisionId>,
    /// How many at most; 0 means 100, more than 1000 means 1000.
    pub limit: usize,
}

/// Records, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Each as one line of JSON.
    pub records: Vec<String>,
    /// Where to go on, when not everything was looked at: the limit was reached, or 200,000 records were passed over.
    /// Blocks of records that cannot be meant count as one record.
    pub next: Option<DecisionId>,
}

impl Query {
    /// The number of records that a page holds at most.
    pub const MOST: usize = 1000;

    fn limit(&self) -> usize {
        match self.limit {
            0 => 100,
            limit => limit.min(Self::MOST),
        }
    }
}

fn open(folder: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(folder.join(FILE_NAME), flags)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    Ok(connection)
}

/// The record of `id` as one line of JSON.
pub(crate) fn get(folder: &Path, id: DecisionId) -> Result<Option<String>, JournalError> {
    let number = id.number();
    let connection = open(folder)?;
    let mut statement = connection
        .prepare("SELECT packed FROM blocks WHERE last >= ?1 AND last <= ?2 AND first <= ?1 ORDER BY last")?;
    let mut blocks = statement.query(params![number.cast_signed(), end_of_span(number)])?;
    while let Some(row) = blocks.next()? {
        let text = unpack(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
        if let Some(line) = text.lines().find(|line| id_of(line) == Some(id)) {
            return Ok(Some(line.to_owned()));
        }
    }
    Ok(None)
}

/// The largest id in any block that begins at `first` or below, and holds or passes it.
fn end_of_span(first: u64) -> i64 {
    first.saturating_add(SPAN).min(i64::MAX as u64).cast_signed()
}

/// The newest records that `query` asks for.
pub(crate) fn list(folder: &Path, query: &Query) -> Result<Page, JournalError> {
    list_within(folder, query, LOOKED_AT)
}

fn list_within(folder: &Path, query: &Query, bound: usize) -> Result<Page, JournalError> {
    let mut connection = open(folder)?;
    // One view for both statements, whatever is deleted meanwhile.
    let view = connection.transaction()?;
    let mut walk = view.prepare(
        "SELECT rowid, first, last, count, outcomes, models FROM blocks
         WHERE last >= ?1 AND last <= ?2 ORDER BY last DESC",
    )?;
    let mut fetch = view.prepare("SELECT packed FROM blocks WHERE rowid = ?1")?;
    let mut found = Found::new(query);
    let mut blocks = walk.query(params![found.since.cast_signed(), end_of_span(found.before.saturating_sub(1))])?;
    let mut looked_at = 0;
    while let Some(row) = blocks.next()? {
        let (first, last) = (row.get::<_, i64>(1)?.unsigned_abs(), row.get::<_, i64>(2)?.unsigned_abs());
        found.settle(Some(last));
        if found.is_full() {
            break;
        }
        if first >= found.before {
            continue;
        }
        // Not before the walk has passed the point it began at: the next page has to get further.
        if looked_at >= bound && last + 1 < found.before {
            found.page.next = Some(DecisionId::from_number(last + 1));
            return Ok(found.page);
        }
        let models = row.get_ref(5)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        if !found.may_be_in(row.get(4)?, models) {
            looked_at += 1;
            continue;
        }
        looked_at += row.get::<_, u32>(3)? as usize;
        let text = fetch.query_row([row.get::<_, i64>(0)?], |row| {
            row.get_ref(0)?.as_blob().map(unpack).map_err(rusqlite::Error::from)
        })??;
        for line in text.lines() {
            found.look_at(line)?;
        }
    }
    found.settle(None);
    Ok(found.page)
}

/// What was found so far.
struct Found<'q> {
    query: &'q Query,
    since: u64,
    before: u64,
    limit: usize,
    /// What the file's column of models has to contain.
    model: Option<String>,
    /// Certain: nothing newer is left to be found.
    page: Page,
    /// The newest that are not certain yet; never more than still fit.
    waiting: BTreeMap<u64, String>,
}

/// What filters look at in a line.
#[derive(Deserialize)]
struct Shown<'l> {
    #[serde(borrow)]
    model: Cow<'l, str>,
    #[serde(borrow)]
    outcome: Cow<'l, str>,
    #[serde(borrow, default)]
    key: Option<Cow<'l, str>>,
}

impl<'q> Found<'q> {
    fn new(query: &'q Query) -> Self {
        Self {
            query,
            since: query.since.map_or(0, |since| DecisionId::first_at(since).number()),
            before: query.before.map_or(i64::MAX as u64, DecisionId::number),
            limit: query.limit(),
            model: query.model.as_deref().map(quoted_model),
            page: Page::default(),
            waiting: BTreeMap::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.page.records.len() == self.limit
    }

    /// Whether a block with these outcomes and models can hold something that is asked for.
    fn may_be_in(&self, outcomes: u8, models: Option<&str>) -> bool {
        self.query.outcome.is_none_or(|outcome| outcomes & outcome_bit(outcome) != 0)
            && self.model.as_deref().zip(models).is_none_or(|(model, models)| models.contains(model))
    }

    /// Keeps `line` if it is asked for and there is room.
    fn look_at(&mut self, line: &str) -> Result<(), JournalError> {
        let id = id_of(line).ok_or(JournalError::Damaged)?.number();
        let room = self.limit - self.page.records.len();
        let too_old =
            self.waiting.len() >= room && self.waiting.first_key_value().is_some_and(|(oldest, _)| id < *oldest);
        if id < self.since || id >= self.before || too_old {
            return Ok(());
        }
        let query = self.query;
        if query.model.is_some() || query.outcome.is_some() || query.key.is_some() {
            let shown: Shown<'_> = serde_json::from_str(line).map_err(|_| JournalError::Damaged)?;
            if query.model.as_ref().is_some_and(|model| *model != shown.model)
                || query.outcome.is_some_and(|outcome| outcome.name() != shown.outcome)
                || query.key.as_deref().is_some_and(|key| shown.key.as_deref() != Some(key))
            {
                return Ok(());
            }
        }
        self.waiting.insert(id, line.to_owned());
        if self.waiting.len() > room {
            self.waiting.pop_first();
        }
        Ok(())
    }

    /// Moves to the page what is newer than anything still to come: the next block ends at `last`.
    fn settle(&mut self, last: Option<u64>) {
        while !self.is_full()
            && let Some(newest) = self.waiting.last_entry()
            && last.is_none_or(|last| *newest.key() > last)
        {
            let (id, line) = newest.remove_entry();
            self.page.records.push(line);
            if self.is_full() {
                self.page.next = Some(DecisionId::from_number(id));
            }
        }
    }
}

#[cfg(test)]
mod tests;
