//! What the server answers, read strictly: what cannot be read is damage, not a default.

use std::sync::Arc;

use bytes::Bytes;
use redis::Value;
use tradewind_core::UnixMillis;

use super::EVENTS_KEPT;
use super::link::{Link, refusal};
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::Record;
use crate::store::{Committed, Cursor, Durability, Event, Facts, Revision};

fn strange(what: &str) -> StoreError {
    StoreError::damaged(format!("Redis answers with {what}"))
}

fn items(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        Value::Nil => Ok(Vec::new()),
        _ => Err(strange("no list")),
    }
}

fn bytes(value: Value) -> Result<Bytes, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(Bytes::from(bytes)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(Bytes::from(text)),
        Value::Okay => Ok(Bytes::from_static(b"OK")),
        _ => Err(strange("no text")),
    }
}

fn text(value: Value) -> Result<String, StoreError> {
    String::from_utf8(bytes(value)?.into()).map_err(|_| strange("a text that is not UTF-8"))
}

fn number(value: Value) -> Result<u64, StoreError> {
    match value {
        Value::Int(number) => u64::try_from(number).map_err(|_| strange("a negative number")),
        other => text(other)?.parse().map_err(|_| strange("no number")),
    }
}

/// When a head expires: it stands beside its record, because a sliding time moves it. Empty: as the record says.
fn set_expiry(meta: &mut Meta, expires: Value) -> Result<(), StoreError> {
    let expires = text(expires)?;
    if !expires.is_empty() {
        let at: u64 = expires.parse().map_err(|_| strange("no time"))?;
        meta.expires_at = (at != 0).then_some(UnixMillis(at));
    }
    Ok(())
}

fn decode(stored: &Bytes) -> Result<Record, StoreError> {
    Record::decode(stored).map_err(|error| StoreError::damaged(error.to_string()))
}

fn decode_meta(stored: &[u8]) -> Result<Meta, StoreError> {
    Record::decode_meta(stored).map_err(|error| StoreError::damaged(error.to_string()))
}

/// `[expires, record]` or nothing.
pub(super) fn record(answer: Value) -> Result<Option<Record>, StoreError> {
    let mut items = items(answer)?.into_iter();
    let Some(expires) = items.next() else { return Ok(None) };
    // The head names a revision that is not there.
    let Some(stored) = items.next().filter(|stored| *stored != Value::Nil) else { return Err(strange("half a head")) };
    let mut record = decode(&bytes(stored)?)?;
    set_expiry(&mut record.meta, expires)?;
    Ok(Some(record))
}

/// `[head, pins, record, end]`, each or nil: the end where it was moved.
pub(super) fn revision(answer: Value, rev: Rev) -> Result<Option<Record>, StoreError> {
    let Ok([head, pins, stored, expires]) = <[Value; 4]>::try_from(items(answer)?) else {
        return Err(strange("another list"));
    };
    if stored == Value::Nil || head == Value::Nil {
        return Ok(None);
    }
    let low = text(head)?.split(' ').nth(1).and_then(|low| low.parse::<u64>().ok());
    if rev.get() < low.ok_or_else(|| strange("half a head"))? {
        // Lies there until it is removed, unless it is pinned.
        let pins = if pins == Value::Nil { String::new() } else { text(pins)? };
        if !pins.split(' ').any(|pinned| pinned == rev.get().to_string()) {
            return Ok(None);
        }
    }
    let mut record = decode(&bytes(stored)?)?;
    if record.meta.rev != rev {
        return Err(strange("another revision"));
    }
    if expires != Value::Nil {
        set_expiry(&mut record.meta, expires)?;
    }
    Ok(Some(record))
}

/// The place of a change, or the head that is there instead.
pub(super) fn committed(answer: Value) -> Result<Committed, StoreError> {
    match answer {
        Value::ServerError(error) => Err(refusal(error.code(), format!("{error:?}"))),
        Value::Array(_) => Ok(Committed::Lost(record(answer)?.map(Arc::new))),
        place => Ok(Committed::Done(Cursor::at(place_of(&text(place)?)?))),
    }
}

/// The place of the change `1-N`: one more, because Redis begins with `1-0` and a watch with 0.
fn place_of(id: &str) -> Result<u64, StoreError> {
    let number: Option<u64> = id.strip_prefix("1-").and_then(|number| number.parse().ok());
    number.and_then(|number| number.checked_add(1)).ok_or_else(|| strange("a place of another stream"))
}

/// The answers to several commits, one for each.
pub(super) fn several(answer: Value, asked: usize) -> Result<Vec<Value>, StoreError> {
    items(answer).and_then(|answers| if answers.len() == asked { Ok(answers) } else { Err(strange("another list")) })
}

/// 1 or 0.
pub(super) fn yes(answer: Value) -> Result<bool, StoreError> {
    number(answer).map(|number| number == 1)
}

pub(super) fn count(answer: Value) -> Result<u64, StoreError> {
    number(answer)
}

/// `[expires, pinned, beginning of the record]` again and again.
pub(super) fn history(answer: Value) -> Result<Vec<Revision>, StoreError> {
    threes(answer, |expires, pinned, stored| {
        let mut meta = decode_meta(&bytes(stored)?)?;
        set_expiry(&mut meta, expires)?;
        Ok(Revision { meta, pinned: yes(pinned)? })
    })
}

/// `[name, expires, beginning of the record]` again and again.
pub(super) fn heads(answer: Value, namespace: &Namespace) -> Result<Vec<(Key, Meta)>, StoreError> {
    threes(answer, |name, expires, stored| {
        let mut meta = decode_meta(&bytes(stored)?)?;
        set_expiry(&mut meta, expires)?;
        Ok((key(namespace, &text(name)?)?, meta))
    })
}

fn threes<T>(answer: Value, read: impl Fn(Value, Value, Value) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
    let items = items(answer)?;
    let mut all = Vec::with_capacity(items.len() / 3);
    let mut items = items.into_iter();
    while let Some(first) = items.next() {
        let (Some(second), Some(third)) = (items.next(), items.next()) else { return Err(strange("a cut list")) };
        all.push(read(first, second, third)?);
    }
    Ok(all)
}

fn key(namespace: &Namespace, name: &str) -> Result<Key, StoreError> {
    Key::new(namespace.clone(), name).map_err(|error| StoreError::damaged(error.to_string()))
}

pub(super) fn namespaces(answer: Value) -> Result<Vec<Namespace>, StoreError> {
    let read = |name| Namespace::stored(&text(name)?).map_err(|error| StoreError::damaged(error.to_string()));
    let mut found: Vec<Namespace> = items(answer)?.into_iter().map(read).collect::<Result<_, StoreError>>()?;
    found.sort();
    Ok(found)
}

pub(super) fn optional_bytes(answer: Value, asked: usize) -> Result<Vec<Option<Bytes>>, StoreError> {
    let found = items(answer)?;
    if found.len() != asked {
        return Err(strange("another list"));
    }
    found.into_iter().map(|item| if item == Value::Nil { Ok(None) } else { bytes(item).map(Some) }).collect()
}

/// The changes in a part of a stream, each with its name.
pub(super) fn changes(answer: Value, namespace: &Namespace) -> Result<Vec<Event>, StoreError> {
    let read = |entry| {
        let Ok([id, fields]) = <[Value; 2]>::try_from(items(entry)?) else { return Err(strange("no entry")) };
        let cursor = Cursor::at(place_of(&text(id)?)?);
        let Ok([_, name, _, stored]) = <[Value; 4]>::try_from(items(fields)?) else {
            return Err(strange("another entry"));
        };
        Ok(Event { cursor, key: key(namespace, &text(name)?)?, meta: decode_meta(&bytes(stored)?)? })
    };
    items(answer)?.into_iter().map(read).collect()
}

/// What the server says of itself: its version and whether it keeps what it is given.
pub(super) async fn facts(link: &Link) -> Result<Facts, StoreError> {
    let about = text(link.read(redis::cmd("INFO").arg("server")).await?)?;
    let version = about.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default();
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
