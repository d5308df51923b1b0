//! Query strings.

use tradewind_core::{Clock, Code, DecisionId, UnixMillis, parse_duration};
use tradewind_door::Refusal;
use tradewind_telemetry::{Day, GroupBy, Outcome, Query};

/// Reads the query of `GET /api/v1/decisions`.
pub(crate) fn decisions_query(text: &str, clock: &dyn Clock) -> Result<Query, Refusal> {
    let mut query = Query::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value);
        match name {
            "model" => query.model = Some(value),
            "key" => query.key = Some(value),
            "outcome" => {
                let outcome = Outcome::from_name(&value).ok_or_else(|| {
                    let names: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
                    bad("outcome", &format!("is one of {}", names.join(", ")))
                })?;
                query.outcome = Some(outcome);
            }
            "since" => query.since = Some(since(&value, clock)?),
            "before" => {
                let id: DecisionId = value.parse().map_err(|error| bad("before", &format!("{error}")))?;
                query.before = Some(id);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=Query::MOST).contains(limit));
                query.limit = limit.ok_or_else(|| bad("limit", &format!("is a number from 1 to {}", Query::MOST)))?;
            }
            other => {
                let other: String = other.chars().take(40).collect();
                let message = format!("there is no filter `{other}`: use model, key, outcome, since, before, limit");
                return Err(Refusal::new(Code::BadField, message));
            }
        }
    }
    Ok(query)
}

/// Reads the query of `GET /api/v1/way-out`: the URL, and the way that is asked about.
pub(crate) fn way_out_query(text: &str) -> Result<(String, Option<String>), Refusal> {
    let (mut url, mut via) = (None, None);
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "url" => url = Some(decoded(value)),
            "via" => via = Some(decoded(value)),
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(Refusal::new(Code::BadField, format!("there is no `{other}`: use url and via")));
            }
        }
    }
    let url = url.ok_or_else(|| bad("url", "is missing: /api/v1/way-out?url=https://example.com/"))?;
    Ok((url, via))
}

/// What `GET /api/v1/spend` is asked for.
#[derive(Debug)]
pub(crate) struct SpendQuery {
    /// The first day.
    pub(crate) from: Day,
    /// The last day.
    pub(crate) to: Day,
    /// One key only.
    pub(crate) key: Option<String>,
    /// What is told apart.
    pub(crate) by: GroupBy,
}

/// Without `from`, the last this many days.
const USUAL_DAYS: u32 = 31;

/// Reads the query of `GET /api/v1/spend`.
pub(crate) fn spend_query(text: &str, clock: &dyn Clock) -> Result<SpendQuery, Refusal> {
    let today = Day::of(clock.wall());
    let by = GroupBy { day: true, key: true, model: true, target: true };
    let mut query = SpendQuery { from: Day(today.0.saturating_sub(USUAL_DAYS - 1)), to: today, key: None, by };
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value);
        let day = |field| Day::parse(&value).ok_or_else(|| bad(field, "is a day in UTC like 2026-11-21"));
        match name {
            "from" => query.from = day("from")?,
            "to" => query.to = day("to")?,
            "key" => query.key = Some(value),
            "by" => {
                query.by = GroupBy::default();
                for part in value.split(',') {
                    match part {
                        "day" => query.by.day = true,
                        "key" => query.by.key = true,
                        "model" => query.by.model = true,
                        "target" => query.by.target = true,
                        _ => return Err(bad("by", "is a list of day, key, model and target, such as by=day,key")),
                    }
                }
            }
            other => {
                let other: String = other.chars().take(40).collect();
                let message = format!("there is no filter `{other}`: use from, to, key, by");
                return Err(Refusal::new(Code::BadField, message));
            }
        }
    }
    Ok(query)
}

/// A time: RFC 3339, milliseconds since the epoch, or how long ago (`15m`).
fn since(value: &str, clock: &dyn Clock) -> Result<UnixMillis, Refusal> {
    if let Some(at) = UnixMillis::parse_rfc3339(value) {
        return Ok(at);
    }
    if value.len() >= 12
        && let Ok(millis) = value.parse()
    {
        return Ok(UnixMillis(millis));
    }
    let ago = parse_duration(value)
        .map_err(|_| bad("since", "is a time like 2026-11-21T20:57:00Z, or how long ago, like 15m"))?;
    let millis = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    Ok(UnixMillis(clock.wall().0.saturating_sub(millis)))
}

fn bad(field: &'static str, what: &str) -> Refusal {
    Refusal::new(Code::BadField, format!("`{field}` {what}")).in_field(field)
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    tradewind_core::percent_decoded(&spaced)
}
