//! What the server answers, read strictly: what cannot be read is damage, not a default.

use std::sync::Arc;

use bytes::Bytes;
use redis::Value;

use super::head::{self, Beginning, Head};
use super::link::refusal;
use super::{keys, sealed};
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::store::{Committed, Cursor, Event, KeyHead, Revision};

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

pub(super) fn text(value: Value) -> Result<String, StoreError> {
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

/// The answers to several commits, one for each, which the stream tells of under this mark.
pub(super) fn several(answer: Value, asked: usize, mark: u64) -> Result<Vec<Outcome>, StoreError> {
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
            *place = Cursor { major: places.next().ok_or_else(|| strange("no place"))?, minor: mark };
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

/// Those of several namespaces that can be read, in order, and whether these are all.
pub(super) fn namespaces(answer: Value) -> Result<(Vec<Namespace>, bool), StoreError> {
    let names = items(answer)?;
    let many = names.len();
    let read = |name| Namespace::stored(&text(name).ok()?).ok();
    let mut found: Vec<Namespace> = names.into_iter().filter_map(read).collect();
    found.sort();
    let all = found.len() == many;
    Ok((found, all))
}

/// Where to look on, and the namespaces among the names of keys that were found.
pub(super) fn scanned(answer: Value) -> Result<(u64, Vec<Namespace>), StoreError> {
    let Ok([next, names]) = <[Value; 2]>::try_from(items(answer)?) else { return Err(strange("no names")) };
    let read = |name| keys::namespace_of(&text(name).ok()?);
    Ok((number(next)?, items(names)?.into_iter().filter_map(read).collect()))
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

/// An entry in the stream: all commits that went together, and which of them were done.
struct Entry {
    /// The number of the last change that it tells of.
    last: u64,
    told: Bytes,
    done: Bytes,
}

impl Entry {
    fn read(entry: Value) -> Result<Self, StoreError> {
        let Ok([id, fields]) = <[Value; 2]>::try_from(items(entry)?) else { return Err(strange("no entry")) };
        let Ok([_, told, _, done]) = <[Value; 4]>::try_from(items(fields)?) else {
            return Err(strange("another entry"));
        };
        let number: Option<u64> = text(id)?.strip_prefix("1-").and_then(|number| number.parse().ok());
        let last = number.ok_or_else(|| strange("a place of another stream"))?;
        Ok(Self { last, told: bytes(told)?, done: bytes(done)? })
    }

    /// The place of one of its changes.
    fn place(&self, number: u64) -> Cursor {
        Cursor { major: number, minor: sealed::mark(&self.told) }
    }

    /// The number of the last change before it.
    fn before(&self) -> Result<u64, StoreError> {
        let count = self.done.iter().filter(|done| **done == b'y').count() as u64;
        self.last.checked_sub(count).ok_or_else(|| strange("a place of another stream"))
    }

    fn events(&self, namespace: &Namespace) -> Result<Vec<Event>, StoreError> {
        let told = sealed::Changes::read(namespace, &self.told)?;
        if told.len() != self.done.len() || self.done.iter().any(|done| !matches!(done, b'y' | b'n')) {
            return Err(strange("another entry"));
        }
        let done = told.into_iter().zip(&self.done).filter(|(_, done)| **done == b'y');
        let event = |(number, ((key, meta), _))| Event { cursor: self.place(number), key, meta };
        Ok((self.before()? + 1..).zip(done).map(event).collect())
    }
}

/// The place of the last change in a part of a stream that has one entry, or none.
pub(super) fn last_place(answer: Value) -> Result<Cursor, StoreError> {
    let Some(entry) = items(answer)?.into_iter().next() else { return Ok(Cursor::START) };
    let entry = Entry::read(entry)?;
    Ok(entry.place(entry.last))
}

/// A part of a stream from a place on.
pub(super) struct Part {
    /// That place with its mark.
    pub(super) place: Cursor,
    pub(super) later: Vec<Event>,
}

/// Reads a part of a stream that begins with the entry that `place` is in.
///
/// # Errors
/// [`StoreError::CursorGone`] when another change has that place, or nobody can say.
pub(super) fn changes(answer: Value, namespace: &Namespace, place: Cursor) -> Result<Part, StoreError> {
    let mut part = Part { place, later: Vec::new() };
    let mut is_there = place == Cursor::START;
    for entry in items(answer)? {
        let entry = Entry::read(entry)?;
        if entry.last == place.major || entry.before()? < place.major {
            part.place = entry.place(place.major);
            if place.minor != 0 && part.place != place {
                return Err(StoreError::CursorGone);
            }
            is_there = true;
        }
        // What was told need not be read again.
        if entry.last > place.major {
            let events = entry.events(namespace)?;
            part.later.extend(events.into_iter().filter(|event| event.cursor.major > place.major));
        }
    }
    // A number alone may stand right before the first entry that is kept.
    if is_there || place.minor == 0 && !part.later.is_empty() { Ok(part) } else { Err(StoreError::CursorGone) }
}
