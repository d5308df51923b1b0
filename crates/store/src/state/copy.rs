//! Copies a whole store into another engine: `tradewind state migrate`.
//!
//! Records and pieces are carried over as they are, sealed ones too, with their numbers, chains and pins, so that every
//! holder of a revision finds it there. Cursors of watches are the engine's own and begin anew. What was copied is read back
//! and compared, and of each key what the target lists at the end too. A copy that was interrupted goes on where it stopped when it is started again; until it has ended, the
//! target is not to be used.
//!
//! What is damaged in the source keeps nothing else from being copied: it is left out and named. A key whose newest revision
//! cannot be read is left out whole, because an earlier one would pass for its value.

use std::collections::{HashMap, HashSet};
use std::fmt;

use bytes::Bytes;

use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{Body, PieceId, Record};
use crate::seal::{key_of, keys_namespace};
use crate::settings::MAX_KEEP;
use crate::store::{Commit, Committed, Expected, Pin, Revision, Store};

/// Keys, revisions and pieces that are asked for at a time.
const PAGE: usize = 128;
/// The most revisions of a key, besides pinned ones, that are carried over: no gateway keeps more. An engine may be set up for
/// as many as it is told to keep, and some never take that back.
const MAX_CARRIED: u32 = MAX_KEEP;
/// How often the history of a key is listed anew because the source was written to while it was copied.
const PASSES: usize = 16;

/// How far a copy is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Keys that there are to copy.
    pub keys_in_all: u64,
    /// Keys that are done, those included that were there already.
    pub keys: u64,
    /// Revisions that were written.
    pub revisions: u64,
    /// Bytes of their bodies and pieces.
    pub bytes: u64,
    /// What is damaged in the source, and was not copied.
    pub left_out: Vec<LeftOut>,
}

/// Something that was not copied because it is damaged in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Of which key.
    pub key: Key,
    /// How much of it.
    pub part: Part,
    /// What is wrong with it.
    pub why: String,
}

/// How much of a key is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything: its newest revision cannot be read.
    Key,
    /// Every revision but the newest: nobody can say which there are.
    Earlier,
    /// One revision, which is not the newest.
    Revision(Rev),
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, part, why } = self;
        match part {
            Part::Key => write!(f, "{key}: {why}"),
            Part::Earlier => write!(f, "{key}, all but its newest revision: {why}"),
            Part::Revision(rev) => write!(f, "{key}, revision {rev}: {why}"),
        }
    }
}

/// Why a copy stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// The store that is read.
    #[error("the source: {0}")]
    Source(StoreError),
    /// The store that is written.
    #[error("the target: {0}")]
    Target(StoreError),
    /// The target has something else under this key.
    #[error("the target has another history under {0}: it has to be empty, or hold an interrupted copy of this source")]
    Other(Key),
    /// What the target has is not what was written: its content, what it is, or its pin.
    #[error("revision {rev} of {key} was written to the target, which has it not, or as something else")]
    Differs {
        /// Where.
        key: Key,
        /// Which revision.
        rev: Rev,
    },
    /// More revisions of a key than the target keeps, or than are carried over; nothing of it was written now.
    #[error(
        "{key} has more revisions besides pinned ones than the {most} that the target keeps: prune it to {most} first"
    )]
    TooMany {
        /// Of which key.
        key: Key,
        /// How many can be carried over.
        most: u32,
    },
    /// The target has later revisions of a key, but not this one: it could not be read when they were copied, or was pinned
    /// since.
    #[error("the target has later revisions of {key}, behind which {rev} cannot be written: empty it, and begin anew")]
    TooLate {
        /// Of which key.
        key: Key,
        /// Which revision.
        rev: Rev,
    },
    /// The newest revision that was copied is a difference to one that is not there.
    #[error(
        "the newest revision of {0} cannot be read in the target: the source is damaged, or written to all the time"
    )]
    Unreadable(Key),
}

/// Copies everything from one engine to another, but for the gateway's own memory (the reserved namespace `_gateway` and its
/// data key), which belongs to one gateway and not to the store. `progress` is told after each revision. Of a key, the newest
/// revisions without a gap between their numbers come over, and all pinned ones; what is neither, goes with the next write
/// anyway. What is damaged is left out and named: [`Copied::left_out`].
///
/// What is written to the source meanwhile may be missing in the target; starting again brings it over.
///
/// # Errors
/// Any [`CopyError`]; starting again goes on.
pub async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    mut progress: impl FnMut(&Copied) + Send,
) -> Result<Copied, CopyError> {
    let mut copied = Copied::default();
    let before = to.namespaces().await.map_err(CopyError::Target)?;
    let mut namespaces = from.namespaces().await.map_err(CopyError::Source)?;
    namespaces.retain(|namespace| *namespace != gateway());
    for namespace in &namespaces {
        let mut after = None;
        while let Some(keys) = page(from, namespace, &mut after).await? {
            copied.keys_in_all += keys.len() as u64;
        }
    }
    for namespace in &namespaces {
        let mut after = None;
        while let Some(keys) = page(from, namespace, &mut after).await? {
            for key in keys {
                match copy_key(from, to, &key, &mut copied, &mut progress).await {
                    Ok(()) => copied.keys += 1,
                    Err(CopyError::Source(StoreError::Damaged { what: why })) => {
                        copied.left_out.push(LeftOut { key, part: Part::Key, why });
                    }
                    Err(error) => return Err(error),
                }
                progress(&copied);
            }
        }
    }
    for namespace in before.iter().filter(|namespace| **namespace != gateway()) {
        no_other_values(from, to, namespace).await?;
    }
    Ok(copied)
}

/// Refuses a target with a value that the source does not have: its own, or one that was copied earlier, and in the source was
/// deleted and forgotten since.
async fn no_other_values(from: &dyn Store, to: &dyn Store, namespace: &Namespace) -> Result<(), CopyError> {
    let own = key_of(&gateway());
    let mut after = None::<String>;
    loop {
        let page = to.list(namespace, "", after.as_deref(), PAGE).await.map_err(CopyError::Target)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.name().to_owned());
        for (key, meta) in page {
            let is_value = !meta.map_err(CopyError::Target)?.kind.is_tombstone() && key != own;
            if !is_value {
                continue;
            }
            match from.head(&key).await {
                Ok(None) => return Err(CopyError::Other(key)),
                Ok(Some(_)) | Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(CopyError::Source(error)),
            }
        }
    }
}

/// What a gateway remembers for itself.
fn gateway() -> Namespace {
    Namespace::reserved("gateway")
}

/// The next keys of a namespace; `None` after the last.
async fn page(
    from: &dyn Store,
    namespace: &Namespace,
    after: &mut Option<String>,
) -> Result<Option<Vec<Key>>, CopyError> {
    let keys = from.list(namespace, "", after.as_deref(), PAGE).await.map_err(CopyError::Source)?;
    let Some((last, _)) = keys.last() else { return Ok(None) };
    *after = Some(last.name().to_owned());
    let own = (*namespace == keys_namespace()).then(|| key_of(&gateway()));
    Ok(Some(keys.into_iter().map(|(key, _)| key).filter(|key| Some(key) != own.as_ref()).collect()))
}

/// Copies a key until its newest revision can be read in the target: a revision that was listed may have become a difference
/// to a later one, which was not.
async fn copy_key(
    from: &dyn Store,
    to: &dyn Store,
    key: &Key,
    copied: &mut Copied,
    progress: &mut (impl FnMut(&Copied) + Send),
) -> Result<(), CopyError> {
    for _ in 0..PASSES {
        let Pass { wanted, left_out } = copy_listed(from, to, key, copied, progress).await?;
        let head = to.head(key).await.map_err(CopyError::Target)?;
        if matches!(head.as_ref().map(|head| &head.body), Some(Body::Delta { .. })) {
            continue;
        }
        compare(to, key, &wanted).await?;
        copied.left_out.extend(left_out);
        return Ok(());
    }
    Err(CopyError::Unreadable(key.clone()))
}

/// What became of the revisions that were listed.
struct Pass {
    /// What the target has to have now: those that the source keeps, as they were read there. Not those that it had let go of
    /// by then.
    wanted: Vec<Revision>,
    /// What is damaged.
    left_out: Vec<LeftOut>,
}

/// Finds each of these in the history of the target, as it is here.
async fn compare(to: &dyn Store, key: &Key, wanted: &[Revision]) -> Result<(), CopyError> {
    let there = history(to, key).await.map_err(CopyError::Target)?;
    let there: HashMap<Rev, Revision> = there.into_iter().map(|one| (one.meta.rev, one)).collect();
    match wanted.iter().find(|one| there.get(&one.meta.rev) != Some(one)) {
        Some(one) => Err(CopyError::Differs { key: key.clone(), rev: one.meta.rev }),
        None => Ok(()),
    }
}

/// Copies what the history of a key lists now.
///
/// # Errors
/// Damage of the source only where nothing of the key is to be copied.
async fn copy_listed(
    from: &dyn Store,
    to: &dyn Store,
    key: &Key,
    copied: &mut Copied,
    progress: &mut (impl FnMut(&Copied) + Send),
) -> Result<Pass, CopyError> {
    let Listed { mut revisions, unlisted } = listed(from, key).await?;
    let there = history(to, key).await.map_err(CopyError::Target)?;
    // The target's revisions have to be the source's own, or ones that the source has pruned since.
    for old in &there {
        let same = revisions.iter().find(|revision| revision.meta.rev == old.meta.rev);
        if same.is_some_and(|same| same.meta.chain != old.meta.chain) {
            return Err(CopyError::Other(key.clone()));
        }
    }
    let mut head = there.first().map(|newest| newest.meta.clone());
    if head.as_ref().is_some_and(|head| revisions.first().is_none_or(|newest| newest.meta.rev < head.rev)) {
        return Err(CopyError::Other(key.clone()));
    }
    let most = to.most_revisions().unwrap_or(u32::MAX).min(MAX_CARRIED);
    // What came over before the history could not be listed any more stays, as far as there is room for it.
    let keep = if unlisted.is_none() { kept(&revisions) } else { kept(&there).saturating_add(1).min(most) };
    if keep > most {
        return Err(CopyError::TooMany { key: key.clone(), most });
    }
    let newest = revisions.first().map(|newest| newest.meta.rev);
    if let Some(newest) = newest
        && head.as_ref().is_none_or(|head| head.rev < newest)
    {
        // Before anything is written: what comes before it is not to be taken for the value.
        is_whole(from, key, newest).await.map_err(CopyError::Source)?;
    }
    let is_listed = unlisted.is_none();
    let left_out = unlisted.into_iter().map(|why| LeftOut { key: key.clone(), part: Part::Earlier, why }).collect();
    let mut pass = Pass { wanted: Vec::new(), left_out };
    let pinned: HashSet<Rev> = revisions.iter().filter(|one| one.pinned).map(|one| one.meta.rev).collect();
    revisions.reverse();
    for mut revision in revisions {
        let rev = revision.meta.rev;
        let is_there = there.iter().find(|old| old.meta.rev == rev);
        let is_kept = revision.pinned || newest.is_some_and(|newest| newest.get() - rev.get() < u64::from(keep));
        let brought = match is_there {
            Some(old) => {
                let is_head = head.as_ref().is_some_and(|head| head.rev == rev);
                if let Some(end) = revision.meta.expires_at.filter(|end| is_head && Some(*end) > old.meta.expires_at) {
                    // Read in the source since an earlier copy, which let its time begin again.
                    to.extend(key, rev, end).await.map_err(CopyError::Target)?;
                }
                Ok(Some(revision.meta.clone()))
            }
            None if head.as_ref().is_none_or(|head| head.rev < rev) => {
                match bring(from, to, key, rev, head.as_ref(), keep).await {
                    Ok(Some((meta, bytes))) => {
                        copied.bytes += bytes;
                        copied.revisions += 1;
                        head = Some(meta.clone());
                        progress(copied);
                        Ok(Some(meta))
                    }
                    other => other.map(|_| None),
                }
            }
            // What is not kept has gone with a commit; what is could not be read by then either, or was not pinned.
            None => match is_whole(from, key, rev).await {
                Ok(true) if is_kept => return Err(CopyError::TooLate { key: key.clone(), rev }),
                other => other.map(|_| None).map_err(CopyError::Source),
            },
        };
        match brought {
            Ok(Some(meta)) => revision.meta = meta,
            // The source has pruned it since.
            Ok(None) => continue,
            Err(CopyError::Source(StoreError::Damaged { what: why })) if Some(rev) != newest => {
                pass.left_out.push(LeftOut { key: key.clone(), part: Part::Revision(rev), why });
                continue;
            }
            Err(error) => return Err(error),
        }
        let was_pinned = is_there.is_some_and(|old| old.pinned);
        if revision.pinned && !was_pinned {
            // As the source has it, which made it whole for this: in the target it may be a difference to one that goes.
            let Some(record) = from.revision(key, rev).await.map_err(CopyError::Source)? else { continue };
            to.pin(key, rev, Pin::On(Box::new(record))).await.map_err(CopyError::Target)?;
        }
        // Which ones are pinned is not known where the history cannot be listed.
        revision.pinned |= was_pinned && !is_listed;
        if is_kept {
            pass.wanted.push(revision);
        }
    }
    if !is_listed || there.is_empty() {
        return Ok(pass);
    }
    // What was let go of since an interrupted copy brought it.
    for old in there.iter().filter(|old| old.pinned && !pinned.contains(&old.meta.rev)) {
        to.pin(key, old.meta.rev, Pin::Off).await.map_err(CopyError::Target)?;
    }
    // What an interrupted copy brought, and the source has pruned since.
    to.prune(key, keep).await.map_err(CopyError::Target)?;
    Ok(pass)
}

/// What is to be copied of a key, the newest first.
struct Listed {
    revisions: Vec<Revision>,
    /// Why the newest one only.
    unlisted: Option<String>,
}

async fn listed(from: &dyn Store, key: &Key) -> Result<Listed, CopyError> {
    match history(from, key).await {
        Ok(revisions) => Ok(Listed { revisions, unlisted: None }),
        Err(StoreError::Damaged { what }) => {
            // One of them is damaged: another than the newest, perhaps.
            let head = from.head(key).await.map_err(CopyError::Source)?;
            let newest = head.map(|head| Revision { meta: head.meta.clone(), pinned: false });
            Ok(Listed { revisions: newest.into_iter().collect(), unlisted: Some(what) })
        }
        Err(error) => Err(CopyError::Source(error)),
    }
}

/// Whether a revision is still there, with all of its pieces.
async fn is_whole(from: &dyn Store, key: &Key, rev: Rev) -> Result<bool, StoreError> {
    let Some(record) = from.revision(key, rev).await? else { return Ok(false) };
    pieces_of(from, key, rev, record.body.pieces()).await.map(|pieces| pieces.is_some())
}

/// Copies one revision behind `head`: what it is, and the bytes that were written. `None` when it was pruned since the
/// history was read.
async fn bring(
    from: &dyn Store,
    to: &dyn Store,
    key: &Key,
    rev: Rev,
    head: Option<&Meta>,
    keep: u32,
) -> Result<Option<(Meta, u64)>, CopyError> {
    let Some(record) = from.revision(key, rev).await.map_err(CopyError::Source)? else { return Ok(None) };
    let bytes = copy_record(from, to, key, Expected::head(head), &record, keep).await?;
    Ok(bytes.map(|bytes| (record.meta, bytes)))
}

/// How many revisions a key keeps besides pinned ones, given its history with the newest first: as many as follow each other
/// down to the last one that is not pinned.
fn kept(revisions: &[Revision]) -> u32 {
    let newest = revisions.first().map_or(0, |newest| newest.meta.rev.get());
    let together = (0..).zip(revisions).take_while(|(count, revision)| revision.meta.rev.get() + count == newest);
    let last = together.filter(|(_, revision)| !revision.pinned).last();
    u32::try_from(last.map_or(1, |(count, _)| count + 1)).unwrap_or(u32::MAX)
}

/// All revisions of a key, the newest first.
async fn history(store: &dyn Store, key: &Key) -> Result<Vec<Revision>, StoreError> {
    let mut all: Vec<Revision> = Vec::new();
    loop {
        let before = all.last().map(|oldest| oldest.meta.rev);
        let page = store.history(key, before, PAGE).await?;
        let full = page.len() == PAGE;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

/// Writes one record with its pieces, and reads it back. Bytes that were written; `None` when the source has it no more.
async fn copy_record(
    from: &dyn Store,
    to: &dyn Store,
    key: &Key,
    expected: Expected,
    record: &Record,
    keep: u32,
) -> Result<Option<u64>, CopyError> {
    let head = to.head(key).await.map_err(CopyError::Target)?;
    let there: HashSet<&PieceId> = head.as_deref().map_or(&[][..], |head| head.body.pieces()).iter().collect();
    let mut wanted: Vec<PieceId> = record.body.pieces().iter().filter(|id| !there.contains(id)).copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let pieces = pieces_of(from, key, record.meta.rev, &wanted).await.map_err(CopyError::Source)?;
    let Some(pieces) = pieces else { return Ok(None) };
    let bytes = record.body.stored_size() + pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>();
    let commit =
        Commit { key: key.clone(), expected, record: record.clone(), parent_again: None, pieces: pieces.clone(), keep };
    match to.commit(commit).await.map_err(CopyError::Target)? {
        Committed::Done(_) => {}
        // A copy that was broken off had it on its way, and it came in after this one had looked.
        Committed::Lost(Some(there)) if there.meta.rev == record.meta.rev && there.meta.chain == record.meta.chain => {}
        Committed::Lost(_) => return Err(CopyError::Other(key.clone())),
    }
    let back = to.revision(key, record.meta.rev).await.map_err(CopyError::Target)?;
    let pieces_back = fetch(to, &key.namespace, &wanted).await.map_err(CopyError::Target)?;
    if back.as_ref() != Some(record) || pieces_back.as_ref() != Some(&pieces) {
        return Err(CopyError::Differs { key: key.clone(), rev: record.meta.rev });
    }
    Ok(Some(bytes as u64))
}

/// Pieces of a revision with their names; `None` when they were removed with it meanwhile.
async fn pieces_of(
    from: &dyn Store,
    key: &Key,
    rev: Rev,
    ids: &[PieceId],
) -> Result<Option<Vec<(PieceId, Bytes)>>, StoreError> {
    let pieces = fetch(from, &key.namespace, ids).await?;
    if pieces.is_none() && from.revision(key, rev).await?.is_some() {
        return Err(StoreError::damaged(format!("revision {rev} of {key}: a piece of it is not there")));
    }
    Ok(pieces)
}

/// Pieces with their names; `None` when one is not there.
async fn fetch(
    store: &dyn Store,
    namespace: &Namespace,
    ids: &[PieceId],
) -> Result<Option<Vec<(PieceId, Bytes)>>, StoreError> {
    let mut pieces = Vec::with_capacity(ids.len());
    for names in ids.chunks(PAGE) {
        for (id, piece) in names.iter().zip(store.pieces(namespace, names).await?) {
            let Some(piece) = piece else { return Ok(None) };
            pieces.push((*id, piece));
        }
    }
    Ok(Some(pieces))
}
