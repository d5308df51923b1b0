//! What a server says of itself: its version, and whether it keeps what it is given.

use redis::Value;

use super::EVENTS_KEPT;
use super::link::Link;
use super::reply::text;
use crate::error::StoreError;
use crate::store::{Durability, Facts};

/// # Errors
/// [`StoreError::Unavailable`] when it is too old, [`StoreError::Unsupported`] when it is a part of a cluster.
pub(super) async fn facts(link: &Link) -> Result<Facts, StoreError> {
    let about = text(link.read(redis::cmd("INFO").arg("server")).await?)?;
    let told = |name: &str| about.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    if told("redis_mode:") == "cluster" {
        return Err(StoreError::Unsupported(
            "a Redis cluster keeps no state: the address has to be that of a single server",
        ));
    }
    let version = told("redis_version:");
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    if major < 7 {
        return Err(StoreError::Unavailable(format!("{} is {version}; 7.0 is the oldest that works", link.place())));
    }
    let mut notes = Vec::new();
    let mut durability = Durability::Server;
    // A server of others may not tell; that is no reason not to use it.
    let asked = ["appendonly", "appendfsync", "maxmemory-policy"];
    match link.read(redis::cmd("CONFIG").arg("GET").arg(&asked[..])).await.ok().and_then(settings) {
        None => notes.push("The server does not tell how it keeps what it is given.".to_owned()),
        Some(found) => {
            let is = |name: &str, value: &str| found.iter().any(|(key, is)| key == name && is == value);
            if is("appendonly", "yes") && is("appendfsync", "always") {
                durability = Durability::Fsync;
            } else {
                notes.push(
                    "An acknowledged write can be lost in a crash of the server: only `appendonly yes` with \
                     `appendfsync always` keeps it."
                        .to_owned(),
                );
            }
            if !is("maxmemory-policy", "noeviction") {
                notes.push("The server may throw values away: set `maxmemory-policy noeviction`.".to_owned());
            }
        }
    }
    notes.push("A replica that takes over may lack the last acknowledged writes.".to_owned());
    Ok(Facts {
        engine: "redis",
        durability,
        place: link.place().to_owned(),
        rewrites: true,
        events_kept: EVENTS_KEPT,
        notes,
    })
}

fn settings(answer: Value) -> Option<Vec<(String, String)>> {
    let Value::Map(pairs) = answer else { return None };
    pairs.into_iter().map(|(key, value)| Some((text(key).ok()?, text(value).ok()?))).collect()
}
