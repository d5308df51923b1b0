//! The records of a checksum database for a bundle: all under one signed tree head, with the tiles that prove them.
//!
//! What was kept when each version was checked stands under the head of that moment. Put together like this, a client
//! would need the tiles between all of these heads as well. Under one head it needs the tiles of the records and of the
//! tree's right edge alone. A wider tile at the same place holds the narrower one, so that most of what is needed is kept
//! already; the rest is asked for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tradewind_ledger::{Record, Tile, Tiles, TreeHead, Verifier, open_note, tiles_of_prefix, tiles_of_record};

use super::trust::Database;
use crate::name::ModuleVersion;
use crate::store::Store;
use crate::sumdb::{MAX_ANSWER, Source};

/// The first line of a head's note.
const ORIGIN: &str = "go.sum database tree";

/// What a bundle has of one database.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// Records in the tree that they stand under.
    pub(super) size: u64,
    /// Its head as it was signed.
    pub(super) head: Bytes,
    pub(super) lookups: BTreeMap<ModuleVersion, Bytes>,
    pub(super) tiles: BTreeMap<Tile, Bytes>,
}

/// A record that is to be proven.
struct Wanted {
    of: ModuleVersion,
    id: u64,
    /// The answer without its note.
    record: Bytes,
}

#[derive(Clone)]
struct Head {
    head: TreeHead,
    note: Bytes,
}

/// Puts together what proves `versions`; those that the database does not have, or that nobody can be asked about, are
/// missing in it. `earlier` are the sizes of trees that whoever gets the bundle may know already.
///
/// # Errors
/// Why nothing can be proven.
pub(super) async fn assemble(
    store: &Store,
    database: &Database,
    versions: &[&ModuleVersion],
    earlier: &[u64],
) -> Result<Proofs, String> {
    let name = database.verifier.name();
    let source = database.source.as_deref();
    let mut heads = Vec::new();
    heads.extend(store.kept_head(name).ok().flatten().and_then(|note| Head::open(note, &database.verifier)));
    let mut wanted = Vec::new();
    for of in versions {
        let Some(answer) = lookup(store, source, name, of).await else { continue };
        let Ok(record) = Record::parse(&answer) else { continue };
        let (id, note) = (record.id, answer.slice_ref(record.note));
        let end = answer.len() - note.len();
        heads.extend(Head::open(note, &database.verifier));
        wanted.push(Wanted { of: (*of).clone(), id, record: answer.slice(..end) });
    }
    if wanted.is_empty() {
        return Ok(Proofs::default());
    }
    // The newest first; all are of one history, or they would not have been kept.
    heads.sort_by_key(|head| std::cmp::Reverse(head.head.size));
    heads.dedup_by_key(|head| head.head.size);
    let newest = heads.first().cloned().ok_or_else(|| format!("no tree head of {name} is kept"))?;
    // A head that needs nobody is as good as the newest.
    let from = |kept, source| From { store, kept, source, name };
    for head in heads {
        if let Ok(proofs) = prove(&from(true, None), &head, &wanted, earlier).await {
            return Ok(proofs);
        }
    }
    match prove(&from(true, source), &newest, &wanted, earlier).await {
        // A tile that is kept may be damaged, and then nothing that it is put together with holds.
        Err(_) if source.is_some() => prove(&from(false, source), &newest, &wanted, earlier).await,
        other => other,
    }
}

/// Where tiles are taken from.
struct From<'a> {
    store: &'a Store,
    /// Whether from what is kept, too.
    kept: bool,
    source: Option<&'a dyn Source>,
    /// The name of the database.
    name: &'a str,
}

async fn prove(from: &From<'_>, under: &Head, wanted: &[Wanted], earlier: &[u64]) -> Result<Proofs, String> {
    let (size, name) = (under.head.size, from.name);
    let mut needed = BTreeSet::new();
    for record in wanted {
        if record.id >= size {
            return Err(format!("the tree of {size} records has no record {}", record.id));
        }
        needed.extend(tiles_of_record(Tile::HEIGHT, size, record.id));
    }
    let mut tiles = BTreeMap::new();
    for place in needed {
        let bytes = from.tile(place).await;
        tiles.insert(place, bytes.ok_or_else(|| format!("{place} of {name} is not kept"))?);
    }
    let list: Vec<(Tile, Bytes)> = tiles.iter().map(|(tile, bytes)| (*tile, bytes.clone())).collect();
    let checked = Tiles::check(under.head, &list).map_err(|error| format!("{name}: {error}"))?;
    let mut lookups = BTreeMap::new();
    for Wanted { of, id, record } in wanted {
        let text = Record::parse(record).map_err(|error| error.to_string())?;
        if checked.record_hash(*id) != Ok(text.hash()) {
            return Err(format!("the record of {of} is not in the tree of {name}"));
        }
        let answer: Vec<u8> = [record.as_ref(), under.note.as_ref()].concat();
        lookups.insert(of.clone(), Bytes::from(answer));
    }
    // For those who have imported an earlier bundle. Without these tiles all else holds still.
    for older in earlier.iter().filter(|older| **older < size) {
        let mut found = Vec::new();
        for place in tiles_of_prefix(Tile::HEIGHT, size, *older) {
            found.extend(from.tile(place).await.map(|bytes| (place, bytes)));
        }
        if Tiles::check(under.head, &found).is_ok() {
            tiles.extend(found);
        }
    }
    Ok(Proofs { size, head: under.note.clone(), lookups, tiles })
}

impl Head {
    /// `None` when it is not signed by the database.
    fn open(note: Bytes, verifier: &Verifier) -> Option<Self> {
        let opened = open_note(&note, std::slice::from_ref(verifier)).ok()?;
        Some(Self { head: TreeHead::parse(&opened.text, ORIGIN).ok()?, note })
    }
}

async fn lookup(store: &Store, source: Option<&dyn Source>, name: &str, of: &ModuleVersion) -> Option<Bytes> {
    if let Some(answer) = store.kept_lookup(name, of) {
        return Some(answer);
    }
    source?.get(&format!("/lookup/{}", of.escaped())).await.ok().filter(|answer| answer.len() <= MAX_ANSWER)
}

impl From<'_> {
    async fn tile(&self, tile: Tile) -> Option<Bytes> {
        let length = usize::try_from(tile.bytes()).ok()?;
        let fits = |bytes: Bytes| (bytes.len() >= length).then(|| bytes.slice(..length));
        let kept = self.store.kept_tile(self.name, tile).filter(|_| self.kept);
        if let Some(bytes) = kept.and_then(fits) {
            return Some(bytes);
        }
        match self.source?.get(&format!("/{tile}")).await {
            Ok(bytes) => fits(bytes),
            Err(_) => fits(self.source?.get(&format!("/{}", tile.full())).await.ok()?),
        }
    }
}
