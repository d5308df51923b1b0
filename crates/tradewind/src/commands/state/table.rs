//! Lists of keys and of revisions, for people.

use std::fmt::Write as _;

use serde_json::Value;
use tradewind_core::UnixMillis;

use super::{minute, size};

/// Columns that are as wide as what stands in them, two spaces apart.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The time of an RFC 3339 text to the minute.
fn time(value: &Value) -> String {
    value.as_str().and_then(UnixMillis::parse_rfc3339).map_or_else(|| "-".to_owned(), minute)
}

fn bytes(value: &Value) -> String {
    size(value.as_u64().unwrap_or_default())
}

/// Whether a key in a list is one whose newest revision cannot be read.
pub(super) fn is_damaged(item: &Value) -> bool {
    item["error"].is_object()
}

/// Keys, one a line.
pub(super) fn keys(items: &[Value]) -> String {
    let mut rows = vec![["KEY", "REV", "SIZE", "WRITTEN", "EXPIRES", "BY"].map(str::to_owned).to_vec()];
    rows.extend(items.iter().map(|item| {
        if is_damaged(item) {
            let damaged = format!("damaged, {}", text(&item["error"]["code"]));
            return vec![text(&item["key"]), "-".to_owned(), "-".to_owned(), damaged];
        }
        vec![
            text(&item["key"]),
            item["rev"].to_string(),
            bytes(&item["size"]),
            time(&item["created-at"]),
            time(&item["expires-at"]),
            item["by"].as_str().unwrap_or("-").to_owned(),
        ]
    }));
    aligned(&rows)
}

/// Revisions, one a line.
pub(super) fn revisions(items: &[Value]) -> String {
    let mut rows = vec![["REV", "KIND", "SIZE", "WRITTEN", "EPOCH", "BY", "HASH", ""].map(str::to_owned).to_vec()];
    rows.extend(items.iter().map(|item| {
        vec![
            item["rev"].to_string(),
            text(&item["kind"]),
            bytes(&item["size"]),
            time(&item["created-at"]),
            item["epoch"].to_string(),
            item["by"].as_str().unwrap_or("-").to_owned(),
            text(&item["hash"]).chars().take(12).collect(),
            if item["pinned"] == true { "pinned".to_owned() } else { String::new() },
        ]
    }));
    aligned(&rows)
}

/// A change, in one line.
pub(super) fn change(item: &Value) -> String {
    let by = item["by"].as_str().map(|by| format!(" by {by}")).unwrap_or_default();
    let what = match item["kind"].as_str() {
        Some("value") => format!("{}{by}", bytes(&item["size"])),
        Some(kind) => format!("{kind}{by}"),
        None => "?".to_owned(),
    };
    format!(
        "{}  {}/{}  rev {}  {what}",
        time(&item["created-at"]),
        text(&item["namespace"]),
        text(&item["key"]),
        item["rev"]
    )
}
