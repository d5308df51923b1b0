//! `GET /api/v1/spend`: what was used and what it cost, by day, key, model and target.

use serde_json::{Map, Value, json};
use tradewind_core::{Code, TargetId};
use tradewind_door::{Refusal, Response, json_response};
use tradewind_telemetry::{Spend, SpendRow};

use crate::query::SpendQuery;

/// The rows that `query` asks for; with `own`, only those of that key.
pub(crate) async fn rows(spend: Spend, query: SpendQuery, own: Option<String>) -> Result<Response, Refusal> {
    let failed = |why: String| Refusal::new(Code::Internal, format!("what was spent cannot be read: {why}"));
    let (from, to) = (query.from, query.to);
    let asking = tokio::task::spawn_blocking(move || {
        let key = own.or(query.key);
        spend.query(from, to, key.as_deref(), query.by)
    });
    let rows = match asking.await {
        Ok(Ok(rows)) => rows,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(error) => return Err(failed(error.to_string())),
    };
    let rows: Vec<Value> = rows.iter().map(shown).collect();
    let body = json!({"from": from.to_string(), "to": to.to_string(), "rows": rows});
    Ok(json_response(200, body.to_string()))
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
