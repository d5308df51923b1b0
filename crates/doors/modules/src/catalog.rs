//! `catalog` and `index`: what is stored here, for people and for other proxies.
//!
//! `catalog?pageSize=1000&token=…` answers as Athens does, page by page; `index?since=…&limit=…` as index.golang.org does, by
//! the time at which a version came here. Both are made of a look at the folder, at most one every few seconds, and show what
//! the caller's key may have and the rules let through.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Mutex;
use tradewind_access::Grant;
use tradewind_core::{Clock, Moment, UnixMillis, percent_decoded};

use crate::failure::{Failure, FailureKind};
use crate::fetch::Mount;
use crate::store::{Row, Store};

/// How old a look at the folder may be.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Versions on a page, when nothing is said, and at most.
const USUAL_PAGE: usize = 1000;
const LARGEST_PAGE: usize = 10_000;
/// Lines of an index, when nothing is said, and at most: as index.golang.org.
const USUAL_LINES: usize = 2000;
const MOST_LINES: usize = 20_000;

/// The last look at the folder.
#[derive(Default)]
pub(crate) struct Catalog(Mutex<Option<(Moment, Arc<Vec<Row>>)>>);

#[derive(Serialize)]
struct Page<'a> {
    modules: Vec<Entry<'a>>,
    next: String,
}

#[derive(Serialize)]
struct Entry<'a> {
    module: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    path: &'a str,
    version: &'a str,
    timestamp: String,
}

impl Catalog {
    /// The catalog or the index of a mount.
    ///
    /// # Errors
    /// When the folder cannot be read, or the query is none.
    pub(crate) async fn answer(
        &self,
        store: &Store,
        mount: &Mount,
        what: &str,
        query: &str,
        grant: &Grant,
        clock: &Arc<dyn Clock>,
    ) -> Result<Bytes, Failure> {
        let rows = self.rows(store, clock).await?;
        let own = rows.iter().filter(|row| row.tree == mount.tree);
        let allowed = own.filter(|row| grant.is_anyone() || grant.allows(&format!("modules/{}", row.of.path)));
        let now = clock.wall();
        let allowed = allowed.filter(|row| mount.rules.judge(&row.of, row.time, &row.licences, now).is_ok());
        if what == "catalog" { page(allowed, query) } else { index(allowed, query) }
    }

    /// All versions, by module and version.
    async fn rows(&self, store: &Store, clock: &Arc<dyn Clock>) -> Result<Arc<Vec<Row>>, Failure> {
        // Held while the folder is looked at, so that a hundred callers cost one look.
        let mut last = self.0.lock().await;
        let now = clock.now();
        if let Some((at, rows)) = &*last
            && now.since(*at) < LOOK_EVERY
        {
            return Ok(Arc::clone(rows));
        }
        let store = store.clone();
        let looking = tokio::task::spawn_blocking(move || store.survey());
        let survey = looking.await.map_err(|_| Failure::internal("looking at the store broke off"))??;
        let rows = Arc::new(survey.rows);
        *last = Some((now, Arc::clone(&rows)));
        Ok(rows)
    }
}

fn page<'a>(rows: impl Iterator<Item = &'a Row>, query: &str) -> Result<Bytes, Failure> {
    let size = number(query, "pageSize", USUAL_PAGE, LARGEST_PAGE)?;
    let after = parameter(query, "token").unwrap_or_default();
    // The token is the last entry of the page before.
    let (after_path, after_version) = after.split_once('@').unwrap_or((&after, ""));
    let mut behind = rows.filter(|row| {
        let (path, version) = (row.of.path.as_str(), row.of.version.as_str());
        path > after_path || (path == after_path && is_behind(version, after_version))
    });
    let modules: Vec<Entry<'_>> = behind
        .by_ref()
        .take(size)
        .map(|row| Entry { module: row.of.path.as_str(), version: row.of.version.as_str() })
        .collect();
    let is_more = behind.next().is_some();
    let next = modules.last().filter(|_| is_more).map(|last| format!("{}@{}", last.module, last.version));
    let page = Page { modules, next: next.unwrap_or_default() };
    Ok(serde_json::to_vec(&page).expect("strings can be written as JSON").into())
}

/// Whether `version` comes after `other`, in the order of versions.
fn is_behind(version: &str, other: &str) -> bool {
    use crate::name::Version;
    match (Version::parse(version), Version::parse(other)) {
        (Ok(version), Ok(other)) => version > other,
        _ => true,
    }
}

fn index<'a>(rows: impl Iterator<Item = &'a Row>, query: &str) -> Result<Bytes, Failure> {
    let most = number(query, "limit", USUAL_LINES, MOST_LINES)?;
    let since = match parameter(query, "since") {
        None => UnixMillis(0),
        Some(text) => UnixMillis::parse_rfc3339(&text)
            .ok_or_else(|| bad(format!("since={text} is no time such as 2027-01-31T00:00:00Z")))?,
    };
    let mut rows: Vec<&Row> = rows.filter(|row| row.fetched >= since).collect();
    rows.sort_by_key(|row| row.fetched);
    let mut lines = Vec::new();
    for row in rows.into_iter().take(most) {
        let line =
            Line { path: row.of.path.as_str(), version: row.of.version.as_str(), timestamp: row.fetched.rfc3339() };
        serde_json::to_writer(&mut lines, &line).expect("strings can be written as JSON");
        lines.push(b'\n');
    }
    Ok(lines.into())
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| percent_decoded(value))?;
    Some(value).filter(|value| !value.is_empty())
}

fn number(query: &str, name: &str, usual: usize, most: usize) -> Result<usize, Failure> {
    let Some(text) = parameter(query, name) else { return Ok(usual) };
    let number: usize = text.parse().map_err(|_| bad(format!("{name}={text} is no number")))?;
    Ok(number.clamp(1, most))
}

fn bad(reason: String) -> Failure {
    Failure::new(FailureKind::Path, 400, reason)
}
