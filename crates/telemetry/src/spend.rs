//! The spend book: how many calls, tokens and dollars went to which key, model and target on which day (UTC).
//!
//! A call is booked in memory when it is closed, before its record is queued; the journal's thread writes what is in memory
//! to the table `spend` in the transaction of its next batch. So a kill loses what the batch would have held and no more,
//! a record that the full queue drops is booked all the same, and deleting old records does not touch the book.
//!
//! Whoever reads sees each call exactly once: nothing moves from memory to the table between the beginning of a read's view
//! of the table and its look at memory (`gate`). Refused: adding up the journal's records, which are pruned after days.

mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashMap;
use tradewind_core::{TargetId, UnixMillis, Usage, Usd};

use crate::error::JournalError;
use crate::record::Record;
use crate::share::shares;

pub(crate) use table::{TABLE, forget, salvage, write};

/// Calls are spread over so many locks.
const SHARDS: usize = 8;
/// Rows that one lock keeps for the next batch at most; when nothing can be written for long, further ones are booked
/// under their key, with [`OTHER`] as model and target.
const ROWS: usize = 4096;
/// Stands for models and targets that there is no room for.
const OTHER: &str = "other";
/// Stands for the target of calls that were given a kept answer.
const KEPT: &str = "cache";
/// Rows older than this many days are deleted.
const KEPT_DAYS: u32 = 800;

/// A day in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(
    /// Days since 1970-01-01.
    pub u32,
);

impl Day {
    /// The day of this time.
    #[must_use]
    pub fn of(time: UnixMillis) -> Self {
        Self(u32::try_from(time.0 / 86_400_000).unwrap_or(u32::MAX))
    }

    /// Its first millisecond.
    #[must_use]
    pub const fn start(self) -> UnixMillis {
        UnixMillis(self.0 as u64 * 86_400_000)
    }

    /// Reads `2026-11-21`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let whole = (text.len() == 10).then(|| UnixMillis::parse_rfc3339(&format!("{text}T00:00:00Z")))??;
        // A 31st of February would be another day.
        Some(Self::of(whole)).filter(|day| day.to_string() == text)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.start().rfc3339().split('T').next().unwrap_or_default())
    }
}

/// What was used and what it cost. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls; each counts once, at the target that answered, or the last one tried.
    pub calls: u64,
    /// Prompt tokens, the cached ones included.
    pub input: u64,
    /// Answer tokens, the reasoning ones included.
    pub output: u64,
    /// Prompt tokens that providers read from their caches.
    pub cached: u64,
    /// Answer tokens spent on reasoning.
    pub reasoning: u64,
    /// Those of `input` and `output` that the gateway counted itself.
    pub estimated: u64,
    /// What it cost, as far as the prices are known.
    pub cost: Usd,
    /// Uses of targets that have no price: what they cost is not in `cost`.
    pub unpriced: u64,
}

impl Totals {
    fn add_use(&mut self, usage: Usage, cost: Option<Usd>) {
        self.add(Self {
            calls: 0,
            input: usage.input,
            output: usage.output,
            cached: usage.cached,
            reasoning: usage.reasoning,
            estimated: if usage.estimated { usage.input.saturating_add(usage.output) } else { 0 },
            cost: cost.unwrap_or_default(),
            unpriced: u64::from(cost.is_none()),
        });
    }

    /// The counts by the names that they have wherever they are shown.
    #[must_use]
    pub const fn counts(&self) -> [(&'static str, u64); 7] {
        [
            ("calls", self.calls),
            ("input", self.input),
            ("output", self.output),
            ("cached", self.cached),
            ("reasoning", self.reasoning),
            ("estimated", self.estimated),
            ("unpriced", self.unpriced),
        ]
    }

    /// Adds `more`.
    pub fn add(&mut self, more: Self) {
        let Self { calls, input, output, cached, reasoning, estimated, cost, unpriced } = more;
        for (sum, more) in [
            (&mut self.calls, calls),
            (&mut self.input, input),
            (&mut self.output, output),
            (&mut self.cached, cached),
            (&mut self.reasoning, reasoning),
            (&mut self.estimated, estimated),
            (&mut self.unpriced, unpriced),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.cost += cost;
    }
}

/// By what the rows of an answer are told apart; the rest is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupBy {
    /// By day.
    pub day: bool,
    /// By the caller's key.
    pub key: bool,
    /// By the model that the caller's name was resolved to.
    pub model: bool,
    /// By target.
    pub target: bool,
}

/// One row of an answer. What was not asked to be told apart is `None`; an empty text stands for calls without a key, a
/// known model or a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRow {
    /// The day.
    pub day: Option<Day>,
    /// The name of the caller's key.
    pub key: Option<Arc<str>>,
    /// The entry of `models`, or the target, that the caller asked for.
    pub model: Option<Arc<str>>,
    /// Who answered.
    pub target: Option<TargetId>,
    /// The sums.
    pub totals: Totals,
}

/// What a row of the book is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct About {
    pub(crate) day: Day,
    pub(crate) key: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) target: TargetId,
}

type Rows = FxHashMap<About, Totals>;

/// The spend book of one journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spend(Arc<Book>);

#[derive(Debug)]
struct Book {
    /// The journal's; `None` when nothing is ever written.
    folder: Option<PathBuf>,
    shards: [Mutex<Rows>; SHARDS],
    /// Held while rows go from memory to the table, and while a reader begins.
    gate: Mutex<()>,
    nothing: Arc<str>,
    nobody: TargetId,
    kept: TargetId,
}

impl Spend {
    /// A book that is never written down, for tests and for a gateway without a journal.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(None)
    }

    /// The book as it stands in the file of the journal in `folder`, to be read only. Another process may be writing it:
    /// what that one has not written yet, as much as a batch holds, is not seen.
    ///
    /// # Errors
    /// When there is no journal, or the file is of another program or version.
    pub fn of_file(folder: &Path) -> Result<Self, JournalError> {
        table::check(folder)?;
        Ok(Self::of_journal(folder))
    }

    /// The book of the journal in `folder`.
    pub(crate) fn of_journal(folder: &Path) -> Self {
        Self::new(Some(folder.to_owned()))
    }

    fn new(folder: Option<PathBuf>) -> Self {
        Self(Arc::new(Book {
            folder,
            shards: Default::default(),
            gate: Mutex::default(),
            nothing: Arc::from(""),
            nobody: TargetId::new(""),
            kept: TargetId::new(KEPT),
        }))
    }

    /// Books a closed call on the day on which it came in: one that a kept answer was given to under the target
    /// [`KEPT`], at no cost. What was refused before any target was asked is not booked.
    pub fn add(&self, record: &Record) {
        let was_kept = record.choice.as_ref().is_some_and(|choice| choice.cache.is_some());
        if record.attempts.is_empty() && !was_kept {
            return;
        }
        let book = &*self.0;
        let about = |target: Option<&TargetId>| About {
            day: Day::of(record.at),
            key: record.key.clone().unwrap_or_else(|| book.nothing.clone()),
            model: record.resolved.clone().unwrap_or_else(|| book.nothing.clone()),
            target: target.unwrap_or(&book.nobody).clone(),
        };
        let tried = |number: usize| record.attempts.get(number).map(|attempt| &attempt.target);
        if was_kept && record.attempts.is_empty() {
            let mut rows = book.shards[record.id.number() as usize % SHARDS].lock();
            book.row(&mut rows, about(Some(&book.kept))).calls += 1;
            return;
        }
        let home = record.chosen.as_ref().or_else(|| tried(record.attempts.len().wrapping_sub(1)));
        let used = shares(record);
        // Neighbours in time have other low bits.
        let mut rows = book.shards[record.id.number() as usize % SHARDS].lock();
        book.row(&mut rows, about(home)).calls += 1;
        for share in &used {
            book.row(&mut rows, about(share.attempt.and_then(tried).or(home))).add_use(share.usage, share.cost);
        }
    }

    /// What `key` has cost on each day from `since` on, the oldest first: for carrying budgets on after a start.
    ///
    /// # Errors
    /// When the journal's file cannot be read.
    pub fn days(&self, key: &str, since: Day) -> Result<Vec<(Day, Usd)>, JournalError> {
        let group = GroupBy { day: true, ..GroupBy::default() };
        let rows = self.query(since, Day(u32::MAX), Some(key), group)?;
        Ok(rows.into_iter().filter_map(|row| row.day.map(|day| (day, row.totals.cost))).collect())
    }

    /// The sums over the days from `from` to `to`, both included, of `key` or of all; in the order of what they are told
    /// apart by.
    ///
    /// # Errors
    /// When the journal's file cannot be read.
    pub fn query(&self, from: Day, to: Day, key: Option<&str>, group: GroupBy) -> Result<Vec<SpendRow>, JournalError> {
        self.query_at_most(from, to, key, group, usize::MAX).map(Option::unwrap_or_default)
    }

    /// The same, when it is at most `most` rows; `None` when it is more, which is found out without making them all.
    ///
    /// # Errors
    /// When the journal's file cannot be read.
    pub fn query_at_most(
        &self,
        from: Day,
        to: Day,
        key: Option<&str>,
        group: GroupBy,
        most: usize,
    ) -> Result<Option<Vec<SpendRow>>, JournalError> {
        let mut sums: BTreeMap<About, Totals> = BTreeMap::new();
        let (nothing, nobody) = (&self.0.nothing, &self.0.nobody);
        // Says whether there is room for more.
        let mut count = |about: &About, totals: Totals| {
            if about.day < from || about.day > to || key.is_some_and(|key| *key != *about.key) {
                return true;
            }
            let shown = |asked: bool, text: &Arc<str>| if asked { text.clone() } else { nothing.clone() };
            let group = About {
                day: if group.day { about.day } else { Day::default() },
                key: shown(group.key, &about.key),
                model: shown(group.model, &about.model),
                target: if group.target { &about.target } else { nobody }.clone(),
            };
            sums.entry(group).or_default().add(totals);
            sums.len() <= most
        };
        let gate = self.0.gate.lock();
        let view = self.0.folder.as_deref().map(table::View::begin).transpose()?;
        let fits = self.0.shards.iter().all(|shard| shard.lock().iter().all(|(about, totals)| count(about, *totals)));
        drop(gate);
        if !fits {
            return Ok(None);
        }
        if let Some(mut view) = view
            && !view.each(from, to, key, |about, totals| count(&about, totals))?
        {
            return Ok(None);
        }
        let rows = sums
            .into_iter()
            .map(|(about, totals)| SpendRow {
                day: group.day.then_some(about.day),
                key: group.key.then_some(about.key),
                model: group.model.then_some(about.model),
                target: group.target.then_some(about.target),
                totals,
            })
            .collect();
        Ok(Some(rows))
    }

    /// Takes what is in memory, to be written. Nobody reads until it is settled.
    pub(crate) fn take(&self) -> Taken<'_> {
        let gate = self.0.gate.lock();
        let mut rows = Rows::default();
        for shard in &self.0.shards {
            let shard = std::mem::take(&mut *shard.lock());
            if rows.is_empty() {
                rows = shard;
                continue;
            }
            for (about, totals) in shard {
                rows.entry(about).or_default().add(totals);
            }
        }
        Taken { book: &self.0, rows, _gate: gate }
    }

    /// Whether there is something to write.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.shards.iter().any(|shard| !shard.lock().is_empty())
    }

    /// The oldest day that is kept at this time.
    pub(crate) fn oldest_kept(now: UnixMillis) -> Day {
        Day(Day::of(now).0.saturating_sub(KEPT_DAYS))
    }
}

impl Book {
    /// The row to book on; when there is no room for another one, its key's row for everything else.
    fn row<'r>(&self, rows: &'r mut Rows, mut about: About) -> &'r mut Totals {
        if rows.len() >= ROWS && !rows.contains_key(&about) {
            about.model = Arc::from(OTHER);
            about.target = TargetId::new(OTHER);
        }
        rows.entry(about).or_default()
    }
}

/// Rows on their way from memory to the table. They go back to memory when this is dropped before they were written.
pub(crate) struct Taken<'b> {
    book: &'b Book,
    rows: Rows,
    _gate: MutexGuard<'b, ()>,
}

impl Taken<'_> {
    pub(crate) const fn rows(&self) -> &Rows {
        &self.rows
    }

    /// They are in the table.
    pub(crate) fn written(mut self) {
        self.rows.clear();
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let mut shard = self.book.shards[0].lock();
        for (about, totals) in self.rows.drain() {
            self.book.row(&mut shard, about).add(totals);
        }
    }
}

#[cfg(test)]
mod tests;
