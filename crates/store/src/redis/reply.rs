//! What the server answers, read strictly: what cannot be read is damage, not a default.

use std::sync::Arc;

use bytes::Bytes;
use redis::Value;

use super::EVENTS_KEPT;
use super::head::{self, Beginning, Head};
use super::link::{Link, refusal};
use super::sealed;
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::store::{Committed, Cursor, Durability, Event, Facts, KeyHead, Revision};

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

fn beginning(value: Value) -> Result<Beginning, StoreError> {
    Beginning::read(&bytes(value)?).ok_or_else(|| strange("half a head"))
}

/// `[head, record]` or nothing.
pub(super) fn record(key: &Key, answer: Value) -> Result<Option<Record>, StoreError> {
    let mut items = items(answer)?.into_iter();
    let Some(head) = items.next() else { return Ok(None) };
    // The head names a revision that is not there.
    let Some(stored) = items.next().filter(|stored| *stored != Value::Nil) else { return Err(strange("half a head")) };
    let mut record = sealed::read_record(key, &bytes(stored)?)?;
    beginning(head)?.complete(key, &mut record.meta)?;
    Ok(Some(record))
}

/// `[record, its end where that was moved]` or nothing.
pub(super) fn revision(key: &Key, rev: Rev, answer: Value) -> Result<Option<Record>, StoreError> {
    let mut items = items(answer)?.into_iter();
    let Some(stored) = items.next() else { return Ok(None) };
    let moved = items.next().ok_or_else(|| strange("half a revision"))?;
    let mut record = sealed::read_record(key, &bytes(stored)?)?;
    if record.meta.rev != rev {
        return Err(strange("another revision"));
    }
    set_end(key, &mut record.meta, moved)?;
    Ok(Some(record))
}

fn set_end(key: &Key, meta: &mut Meta, moved: Value) -> Result<(), StoreError> {
    let moved = if moved == Value::Nil { Bytes::new() } else { bytes(moved)? };
    if let Some(at) = sealed::read_end(key, meta.rev, &moved)? {
        meta.expires_at = Some(at);
    }
    Ok(())
}

/// What came back for one of several commits.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It was done as it was given: the place of the change.
    Done(Cursor),
    /// It was done: the place, and the head that the script made. `None` where something hangs on the key.
    Made(Cursor, Option<Made>),
    /// The head that is there instead, or an error.
    Other(Value),
}

/// A head that the script made, and the one that it took the place of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) head: Head,
    pub(super) before: Option<Head>,
}

/// The place of a change, or the head that is there instead.
pub(super) fn committed(key: &Key, outcome: Outcome) -> Result<Committed, StoreError> {
    match outcome {
        Outcome::Done(place) | Outcome::Made(place, _) => Ok(Committed::Done(place)),
        Outcome::Other(Value::ServerError(error)) => Err(refusal(error.code(), format!("{error:?}"))),
        Outcome::Other(head) => Ok(Committed::Lost(record(key, head)?.map(Arc::new))),
    }
}

/// The answers to several commits, one for each.
pub(super) fn several(answer: Value, asked: usize) -> Result<Vec<Outcome>, StoreError> {
    let mut answers = items(answer)?.into_iter();
    let (Some(Value::Int(last)), Some(Value::Int(done))) = (answers.next(), answers.next()) else {
        return Err(strange("no place"));
    };
    // All were done as they were given, or each is told of.
    let done = if done == 1 { asked } else { 0 };
    if answers.len() + done != asked {
        return Err(strange("another list"));
    }
    let mut outcomes = Vec::with_capacity(asked);
    outcomes.resize(done, Outcome::Done(Cursor::START));
    outcomes.extend(answers.map(|answer| match answer {
        Value::BulkString(heads) => {
            let (head, before) = heads.split_at(heads.len().min(head::SIZE));
            Outcome::Made(Cursor::START, Head::read(head).map(|head| Made { head, before: Head::read(before) }))
        }
        other => Outcome::Other(other),
    }));
    // The last one that was done has the last place, and the others those before it.
    let mut places = (1..=u64::try_from(last).map_err(|_| strange("a negative place"))?).rev();
    for outcome in outcomes.iter_mut().rev() {
        if let Outcome::Done(place) | Outcome::Made(place, _) = outcome {
            *place = Cursor::at(places.next().ok_or_else(|| strange("no place"))?);
        }
    }
    Ok(outcomes)
}

/// 1 or 0.
pub(super) fn yes(answer: Value) -> Result<bool, StoreError> {
    number(answer).map(|number| number == 1)
}

pub(super) fn count(answer: Value) -> Result<u64, StoreError> {
    number(answer)
}

/// The beginning of the head, and `[moved end, pinned, beginning of the record]` again and again.
pub(super) fn history(key: &Key, answer: Value) -> Result<Vec<Revision>, StoreError> {
    let mut items = items(answer)?.into_iter();
    let Some(head) = items.next() else { return Ok(Vec::new()) };
    let head = beginning(head)?;
    threes(items, |moved, pinned, stored| {
        let mut meta = sealed::read_meta(key, &bytes(stored)?)?;
        if head.names(meta.rev) {
            head.complete(key, &mut meta)?;
        } else {
            set_end(key, &mut meta, moved)?;
        }
        Ok(Revision { meta, pinned: yes(pinned)? })
    })
}

/// `[name, beginning of the head, beginning of the record]` again and again.
pub(super) fn heads(answer: Value, namespace: &Namespace) -> Result<Vec<KeyHead>, StoreError> {
    threes(items(answer)?.into_iter(), |name, head, stored| {
        let key = key(namespace, &text(name)?)?;
        let meta = described(&key, head, stored);
        Ok((key, meta))
    })
}

/// The same without those that are damaged, and how many these are.
pub(super) fn readable_heads(answer: Value, namespace: &Namespace) -> Result<(Vec<(Key, Meta)>, usize), StoreError> {
    let items = items(answer)?.into_iter();
    let all = threes(items, |name, head, stored| {
        let key = text(name).and_then(|name| key(namespace, &name)).ok();
        Ok(key.and_then(|key| described(&key, head, stored).ok().map(|meta| (key, meta))))
    })?;
    let count = all.len();
    let heads: Vec<_> = all.into_iter().flatten().collect();
    let damaged = count - heads.len();
    Ok((heads, damaged))
}

fn described(key: &Key, head: Value, stored: Value) -> Result<Meta, StoreError> {
    let mut meta = sealed::read_meta(key, &bytes(stored)?)?;
    beginning(head)?.complete(key, &mut meta)?;
    Ok(meta)
}

fn threes<T>(
    mut items: impl Iterator<Item = Value>,
    read: impl Fn(Value, Value, Value) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut all = Vec::new();
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

/// Names of keys.
pub(super) fn keys(answer: Value, namespace: &Namespace) -> Result<Vec<Key>, StoreError> {
    let read = |name| Key::new(namespace.clone(), &text(name)?).map_err(|error| StoreError::damaged(error.to_string()));
    items(answer)?.into_iter().map(read).collect()
}

/// Each piece, or nil.
pub(super) fn pieces(answer: Value, ids: &[PieceId]) -> Result<Vec<Option<Bytes>>, StoreError> {
    let found = items(answer)?;
    if found.len() != ids.len() {
        return Err(strange("another list"));
    }
    let read = |(item, id)| match item {
        Value::Nil => Ok(None),
        item => sealed::read_piece(id, &bytes(item)?).map(Some),
    };
    found.into_iter().zip(ids).map(read).collect()
}

/// The place of the change that an entry in the stream is called by.
fn place_of(id: Value) -> Result<u64, StoreError> {
    let number: Option<u64> = text(id)?.strip_prefix("1-").and_then(|number| number.parse().ok());
    number.ok_or_else(|| strange("a place of another stream"))
}

/// The place of the last change in a part of a stream that has one entry, or none: 0.
pub(super) fn last_place(answer: Value) -> Result<u64, StoreError> {
    let Some(entry) = items(answer)?.into_iter().next() else { return Ok(0) };
    place_of(items(entry)?.into_iter().next().ok_or_else(|| strange("no entry"))?)
}

/// The changes after `place` in a part of a stream. An entry has all commits that went together, and which of them were done.
pub(super) fn changes(answer: Value, namespace: &Namespace, place: u64) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    for entry in items(answer)? {
        let Ok([id, fields]) = <[Value; 2]>::try_from(items(entry)?) else { return Err(strange("no entry")) };
        let Ok([_, told, _, done]) = <[Value; 4]>::try_from(items(fields)?) else {
            return Err(strange("another entry"));
        };
        let (told, done) = (sealed::Changes::read(namespace, &bytes(told)?)?, bytes(done)?);
        if told.len() != done.len() || done.iter().any(|done| !matches!(done, b'y' | b'n')) {
            return Err(strange("another entry"));
        }
        let count = done.iter().filter(|done| **done == b'y').count() as u64;
        let before = place_of(id)?.checked_sub(count).ok_or_else(|| strange("a place of another stream"))?;
        let done = told.into_iter().zip(done).filter(|(_, done)| *done == b'y');
        let of_entry =
            (before + 1..).zip(done).map(|(at, ((key, meta), _))| Event { cursor: Cursor::at(at), key, meta });
        events.extend(of_entry.filter(|event| event.cursor.major > place));
    }
    Ok(events)
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
