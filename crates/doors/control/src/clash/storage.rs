//! `/storage/KEY`: what dashboards keep here, as they wrote it.

use tradewind_door::{Response, json_response};
use tradewind_ways::{NoRoom, Ways};

use super::answer::{Wrong, done};
use super::path::Route;

const TOO_LARGE: &str = "payload exceeds 1MB limit";

/// What is kept under `key`, `null` when there is nothing.
pub(crate) fn get(ways: &Ways, key: &str) -> Response {
    json_response(200, ways.stored(key).unwrap_or_else(|| "null".to_owned()))
}

/// Keeps one JSON value.
pub(crate) fn put(ways: &Ways, key: &str, body: &[u8]) -> Result<Response, Wrong> {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).map_err(|_| Wrong::Body)?;
    let text = std::str::from_utf8(body).map_err(|_| Wrong::Body)?;
    match ways.store(key, Some(text)) {
        Ok(()) => Ok(done()),
        Err(NoRoom::Bytes) => Err(Wrong::said(413, TOO_LARGE)),
        Err(NoRoom::Keys) => Err(Wrong::said(413, NoRoom::Keys.to_string())),
    }
}

/// What is said of a body that is too large to be read, in words of its own for this path.
pub(crate) fn refusal(route: &Route, wrong: Wrong) -> Wrong {
    match (route, wrong) {
        (Route::Storage(_), Wrong::TooLarge(_)) => Wrong::said(413, TOO_LARGE),
        (_, wrong) => wrong,
    }
}

/// Forgets what is kept under `key`.
pub(crate) fn delete(ways: &Ways, key: &str) -> Response {
    let _ = ways.store(key, None); // forgetting needs no room
    done()
}
