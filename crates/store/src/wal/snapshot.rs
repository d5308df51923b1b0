//! Snapshots: everything at one moment, so that the log before it is not needed any more.
//!
//! Writing goes on while one is made. It is therefore not of one moment at all: each key is as it was when the snapshot came
//! to it. The log that was begun before makes it whole: each key carries the number of its last change, and what the snapshot
//! has already is not done again. Keys come first and pieces after them, so that a piece which is missing was let go of by a
//! change in that log.
//!
//! The file has the format of the log, with a checksum over each entry: `H` the head with the events that are kept, `K` some
//! keys, `P` some pieces, and `E` at the end, without which it is not whole.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use wal_db::Wal;

use crate::embedded::sync_folder;
use crate::error::StoreError;
use crate::name::{Key, Namespace};
use crate::record::{Body, PieceId, Record};
use crate::store::{Cursor, Event};
use crate::wal::log::{self, Generation, remove_before};
use crate::wal::op::{Reader, count, impossible, put_bytes, put_key, put_namespace};
use crate::wal::tree::{Entry, Kept, Tree, key_of};

const VERSION: u8 = 1;
/// An entry is written when it has about so many bytes.
const ENTRY_BYTES: usize = 1 << 20;
/// Keys that are copied under one lock.
const KEYS_AT_ONCE: usize = 64;
/// Events in one entry.
const EVENTS_AT_ONCE: usize = 4096;

/// What a snapshot says of itself.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The number of the last change before the log that was begun with it.
    pub(super) changes: u64,
    /// The number of the last event before it.
    pub(super) newest: u64,
    /// The events that were kept, up to that one.
    pub(super) events: Vec<Event>,
}

/// Writes a snapshot, and removes what it makes superfluous. The log of that generation was begun before.
///
/// # Errors
/// [`StoreError::Full`], [`StoreError::Unavailable`]: then everything is as it was.
pub(super) fn write(folder: &Path, generation: Generation, tree: &Tree, head: &Head) -> Result<(), StoreError> {
    let unfinished = generation.unfinished(folder);
    let written = fill(&unfinished, tree, head).and_then(|()| {
        // What the snapshot may have of the log already must not be there without it.
        File::open(generation.log(folder))
            .and_then(|log| log.sync_all())
            .and_then(|()| std::fs::rename(&unfinished, generation.snapshot(folder)))
            .and_then(|()| sync_folder(folder))
            .map_err(|error| log::unavailable(&unfinished, &error))
    });
    match written {
        Ok(()) => remove_before(folder, generation),
        Err(_) => {
            // Found and removed at the next start otherwise.
            std::fs::remove_file(&unfinished).ok();
        }
    }
    written
}

/// How many bytes the snapshot of a generation has; none when there is no such.
pub(super) fn bytes(folder: &Path, generation: Generation) -> u64 {
    std::fs::metadata(generation.snapshot(folder)).map_or(0, |file| file.len())
}

fn fill(path: &Path, tree: &Tree, head: &Head) -> Result<(), StoreError> {
    let file = log::open_file(path)?;
    let mut out = Out { file: &file, path, entry: Vec::new(), kind: 0, count: 0 };
    out.begin(b'H');
    out.entry.extend_from_slice(&head.changes.to_le_bytes());
    out.entry.extend_from_slice(&head.newest.to_le_bytes());
    out.end()?;
    for events in head.events.chunks(EVENTS_AT_ONCE) {
        out.begin(b'V');
        count(&mut out.entry, events.len());
        for event in events {
            out.entry.extend_from_slice(&event.cursor.major.to_le_bytes());
            put_key(&mut out.entry, &event.key);
            // A record without its body: only the meta of it is read back.
            put_bytes(&mut out.entry, &Record { meta: event.meta.clone(), body: Body::None }.encode());
        }
        out.end()?;
    }
    let spaces = tree.spaces();
    for (namespace, space) in &spaces {
        let mut after: Option<Arc<str>> = None;
        loop {
            let some = tree.some(space, after.as_ref(), KEYS_AT_ONCE);
            let Some((last, _)) = some.last() else { break };
            after = Some(last.clone());
            for (name, entry) in &some {
                out.key(&key_of(namespace, name), entry)?;
            }
        }
    }
    for (namespace, space) in &spaces {
        for (id, bytes) in tree.all_pieces(space) {
            out.piece(namespace, &id, &bytes)?;
        }
    }
    out.end()?;
    out.begin(b'E');
    out.end()?;
    file.sync().map_err(|error| log::of(path, &error))
}

/// Entries on their way to the file.
struct Out<'a> {
    file: &'a Wal,
    path: &'a Path,
    entry: Vec<u8>,
    kind: u8,
    count: u32,
}

impl Out<'_> {
    fn begin(&mut self, kind: u8) {
        self.entry.clear();
        self.entry.extend_from_slice(&[VERSION, kind]);
        self.kind = kind;
        self.count = 0;
    }

    fn end(&mut self) -> Result<(), StoreError> {
        if self.entry.is_empty() {
            return Ok(());
        }
        self.file.append(&self.entry).map(|_| ()).map_err(|error| log::of(self.path, &error))?;
        self.entry.clear();
        self.kind = 0;
        Ok(())
    }

    /// An entry of this kind with room for one thing more.
    fn with_room(&mut self, kind: u8) -> Result<(), StoreError> {
        if self.kind != kind || self.entry.len() > ENTRY_BYTES {
            self.end()?;
            self.begin(kind);
        }
        Ok(())
    }

    fn key(&mut self, key: &Key, entry: &Entry) -> Result<(), StoreError> {
        // A key with a long history may be more than an entry takes, and is spread over several.
        for (part, kept) in entry.revisions.chunks(16).enumerate() {
            self.with_room(b'K')?;
            put_key(&mut self.entry, key);
            self.entry.extend_from_slice(&entry.changed.to_le_bytes());
            self.entry.push(u8::from(part > 0));
            count(&mut self.entry, kept.len());
            for kept in kept {
                self.entry.push(u8::from(kept.pinned));
                put_bytes(&mut self.entry, &kept.record.encode());
            }
        }
        Ok(())
    }

    fn piece(&mut self, namespace: &Namespace, id: &PieceId, bytes: &Bytes) -> Result<(), StoreError> {
        self.with_room(b'P')?;
        put_namespace(&mut self.entry, namespace);
        self.entry.extend_from_slice(&id.0);
        put_bytes(&mut self.entry, bytes);
        Ok(())
    }
}

/// Reads a snapshot into `tree`, which is empty.
///
/// # Errors
/// [`StoreError::Damaged`], [`StoreError::Unavailable`].
pub(super) fn load(path: &Path, tree: &Tree) -> Result<Head, StoreError> {
    let file = log::open_file(path)?;
    if file.truncated_on_open() > 0 {
        return Err(StoreError::damaged(format!("{}: it is cut short", path.display())));
    }
    let mut head = Head::default();
    let mut whole = false;
    // A key that is spread over several entries waits for its last part.
    let mut pending: Option<(Key, Entry)> = None;
    let settle = |pending: &mut Option<(Key, Entry)>| {
        if let Some((key, entry)) = pending.take() {
            tree.restore(&key, entry);
        }
    };
    for entry in file.iter().map_err(|error| log::of(path, &error))? {
        let entry = entry.map_err(|error| log::of(path, &error))?;
        let mut reader = Reader::new(entry.data());
        reader.version(VERSION)?;
        match reader.u8()? {
            b'H' => {
                head.changes = reader.u64()?;
                head.newest = reader.u64()?;
                reader.end()?;
            }
            b'V' => {
                for _ in 0..reader.u32()? {
                    head.events.push(event(&mut reader)?);
                }
                reader.end()?;
            }
            b'K' => {
                while reader.end().is_err() {
                    let (key, entry, goes_on) = keep(&mut reader)?;
                    match &mut pending {
                        Some((last, first)) if goes_on && *last == key => first.revisions.extend(entry.revisions),
                        _ => {
                            settle(&mut pending);
                            pending = Some((key, entry));
                        }
                    }
                }
            }
            b'P' => {
                while reader.end().is_err() {
                    let namespace = reader.namespace()?;
                    let id = PieceId(reader.array()?);
                    tree.restore_pieces(&namespace, &[(id, Bytes::copy_from_slice(reader.bytes()?))]);
                }
            }
            b'E' => whole = true,
            _ => return Err(impossible("kind")),
        }
    }
    settle(&mut pending);
    if whole { Ok(head) } else { Err(StoreError::damaged(format!("{}: its end is missing", path.display()))) }
}

fn event(reader: &mut Reader<'_>) -> Result<Event, StoreError> {
    let cursor = Cursor::at(reader.u64()?);
    let key = reader.key()?;
    let meta = Record::decode_meta(reader.bytes()?)
        .map_err(|error| StoreError::damaged(format!("a change in a snapshot: {error}")))?;
    Ok(Event { cursor, key, meta })
}

fn keep(reader: &mut Reader<'_>) -> Result<(Key, Entry, bool), StoreError> {
    let key = reader.key()?;
    let changed = reader.u64()?;
    let goes_on = reader.u8()? != 0;
    let count = reader.u32()?;
    if count == 0 {
        return Err(impossible("number of revisions"));
    }
    let revisions = (0..count)
        .map(|_| Ok(Kept { pinned: reader.u8()? != 0, record: Arc::new(reader.record()?) }))
        .collect::<Result<_, StoreError>>()?;
    Ok((key, Entry { revisions, changed }, goes_on))
}
