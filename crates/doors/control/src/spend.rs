//! `GET /api/v1/spend`: what was used and what it cost, by day, key, model and target. Read off the threads that serve
//! calls; at most [`MOST`] rows and for [`PATIENCE`].

use std::time::Duration;

use serde_json::{Map, Value, json};
use tradewind_core::{Code, TargetId};
use tradewind_door::{Refusal, Response, json_response};
use tradewind_telemetry::{Day, JournalError, Spend, SpendRow};

use crate::query::SpendQuery;

/// The most rows of an answer: a month of 100 keys that use 16 models or targets each. Some 10 MB.
const MOST: usize = 50_000;
/// How long reading the book may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The rows that `query` asks for; with `own`, only those of that key.
pub(crate) async fn rows(spend: Spend, query: SpendQuery, own: Option<String>) -> Result<Response, Refusal> {
    let failed = |why: String| Refusal::new(Code::Internal, format!("what was spent cannot be read: {why}"));
    let (from, to) = (query.from, query.to);
    let asking = tokio::task::spawn_blocking(move || {
        let key = own.or(query.key);
        let rows = spend.query_at_most(from, to, key.as_deref(), query.by, MOST)?;
        Ok::<_, JournalError>(rows.map(|rows| page(from, to, &rows)))
    });
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(Ok(Some(page)))) => Ok(json_response(200, page)),
        Ok(Ok(Ok(None))) => Err(Refusal::new(
            Code::BadField,
            format!(
                "these days have more than {MOST} rows: ask for fewer days (`from`, `to`), for one `key`, or tell less \
                 apart (`by`, such as by=day,model)"
            ),
        )
        .in_field("by")),
        Ok(Ok(Err(error))) => Err(failed(error.to_string())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("it took longer than {} s", PATIENCE.as_secs()))),
    }
}

/// The body of the answer. Row by row, so that there is only one in pieces at a time.
fn page(from: Day, to: Day, rows: &[SpendRow]) -> String {
    let mut page = format!("{{\"from\":\"{from}\",\"rows\":[");
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            page.push(',');
        }
        page.push_str(&shown(row).to_string());
    }
    page.push_str(&format!("],\"to\":\"{to}\"}}"));
    page
}

/// A row: what it is about, then its sums. `usd` is exact to a millionth of a millionth of a dollar.
fn shown(row: &SpendRow) -> Value {
    let mut shown = Map::new();
    if let Some(day) = row.day {
        shown.insert("day".to_owned(), day.to_string().into());
    }
    let (key, model) = (row.key.as_deref(), row.model.as_deref());
    for (name, value) in [("key", key), ("model", model), ("target", row.target.as_ref().map(TargetId::as_str))] {
        if let Some(value) = value {
            // Calls without a key, a known model or a target.
            let value = if value.is_empty() { Value::Null } else { Value::from(value) };
            shown.insert(name.to_owned(), value);
        }
    }
    let totals = &row.totals;
    for (name, count) in totals.counts() {
        shown.insert(name.to_owned(), count.into());
    }
    shown.insert("usd".to_owned(), json!(totals.cost));
    Value::Object(shown)
}
