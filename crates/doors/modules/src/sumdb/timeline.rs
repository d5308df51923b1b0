//! The one history of a database that is believed: tree heads in a row, each the beginning of the next.
//!
//! The last head is what is kept, here and on the disk: a later one takes its place only after it was shown to continue it
//! and was kept. One that forks off, or that cannot be kept, changes nothing.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tradewind_ledger::{Tile, TreeHead, Verifier, open_note, tiles_of_prefix};

use super::Kept;
use super::evidence::{Fork, Problem};
use super::reader::Reader;

/// The first line of the notes in which checksum databases sign their heads.
const ORIGIN: &str = "go.sum database tree";

/// How often in a row another head may come first before this one gives up. Each time the last head has grown, and behind it
/// this one is an earlier one, so that it takes a crowd.
const TRIES: usize = 1000;

/// The last head that was seen.
pub(super) struct Timeline {
    verifier: Verifier,
    kept: Arc<dyn Kept>,
    /// `None` before what is kept was read.
    last: Mutex<Option<Last>>,
    /// Whoever holds it may read and change what is kept, and `last` with it.
    alone: tokio::sync::Mutex<()>,
}

/// The last head, and what is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Last {
    signed: Signed,
    /// The note that is kept, as far as it is known: that of the last head, unless somebody else has put another there.
    stored: Option<Bytes>,
}

/// A head with the note that it was signed in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Signed {
    pub(super) head: TreeHead,
    /// Empty for the head that everything starts with, which nobody signs.
    pub(super) note: Bytes,
}

impl Timeline {
    pub(super) fn new(verifier: Verifier, kept: Arc<dyn Kept>) -> Self {
        Self { verifier, kept, last: Mutex::new(None), alone: tokio::sync::Mutex::new(()) }
    }

    /// Takes in the head of a signed note, when it lies on the same timeline as the last one: as the new last one, which is
    /// then kept, or as an earlier one. Gives a head that both belong to.
    pub(super) async fn merge(&self, note: Bytes, reader: &Reader) -> Result<TreeHead, Problem> {
        let signed = self.open(note)?;
        let mut last = self.last().await?;
        // No lock is held while tiles are fetched. When the last head is another one afterwards, this one is compared again.
        for _ in 0..TRIES {
            if signed.head.size <= last.signed.head.size {
                compare(&signed, &last.signed, reader).await?;
                return Ok(last.signed.head);
            }
            compare(&last.signed, &signed, reader).await?;
            match self.advance(&last, &signed, reader).await? {
                None => return Ok(signed.head),
                Some(other) => last = other,
            }
        }
        Err(self.not_kept(&format!("others kept {TRIES} heads meanwhile")))
    }

    /// The last head that was seen; the empty tree's before there was any.
    pub(super) async fn head(&self) -> Result<TreeHead, Problem> {
        self.last().await.map(|last| last.signed.head)
    }

    /// The last head; what is kept is read the first time.
    async fn last(&self) -> Result<Last, Problem> {
        if let Some(last) = self.last.lock().clone() {
            return Ok(last);
        }
        let _alone = self.alone.lock().await;
        if let Some(last) = self.last.lock().clone() {
            return Ok(last);
        }
        let last = self.stored().await?;
        *self.last.lock() = Some(last.clone());
        Ok(last)
    }

    /// Reads what is kept.
    async fn stored(&self) -> Result<Last, Problem> {
        let name = self.verifier.name();
        let stored = self.kept.head(name).await;
        let stored = stored.map_err(|error| Problem::Kept(format!("reading the last tree head of {name}: {error}")))?;
        let signed = match &stored {
            None => Signed { head: TreeHead::EMPTY, note: Bytes::new() },
            Some(note) => self.open(note.clone()).map_err(|problem| {
                Problem::Kept(format!("the last tree head kept of {name} cannot be believed: {}", problem.summary()))
            })?,
        };
        Ok(Last { signed, stored })
    }

    /// Checks the signature of a head.
    pub(super) fn open(&self, note: Bytes) -> Result<Signed, Problem> {
        let forged = |why: String| Problem::Forged { why, head: None, tiles: Vec::new() };
        let opened = open_note(&note, std::slice::from_ref(&self.verifier));
        let opened = opened.map_err(|error| forged(format!("reading tree note: {error}")))?;
        let head = TreeHead::parse(&opened.text, ORIGIN).map_err(|error| forged(format!("reading tree: {error}")))?;
        Ok(Signed { head, note })
    }

    /// Puts `next`, which continues `from`, in its place. Gives what is there instead, when that is no longer `from`.
    async fn advance(&self, from: &Last, next: &Signed, reader: &Reader) -> Result<Option<Last>, Problem> {
        let _alone = self.alone.lock().await;
        let now = self.last.lock().clone().unwrap_or_else(|| from.clone());
        if now != *from {
            return Ok(Some(now));
        }
        let kept = self.kept.keep_head(self.verifier.name(), now.stored.clone(), next.note.clone()).await;
        if kept.map_err(|error| self.not_kept(&error.to_string()))? {
            *self.last.lock() = Some(Last { signed: next.clone(), stored: Some(next.note.clone()) });
            return Ok(None);
        }
        // Another process has kept one. It belongs to the same timeline, or one of the two was shown a fork.
        let stored = self.stored().await?;
        let (older, newer) = match stored.signed.head.size < now.signed.head.size {
            true => (&stored.signed, &now.signed),
            false => (&now.signed, &stored.signed),
        };
        compare(older, newer, reader).await?;
        let other = Last { signed: newer.clone(), stored: stored.stored.clone() };
        *self.last.lock() = Some(other.clone());
        Ok(Some(other))
    }

    fn not_kept(&self, why: &str) -> Problem {
        Problem::Kept(format!("keeping the tree head of {}: {why}", self.verifier.name()))
    }
}

/// Checks that the records of `older` are the first ones of `newer`.
async fn compare(older: &Signed, newer: &Signed, reader: &Reader) -> Result<(), Problem> {
    let (root, proof) = match older.head.size {
        0 => (TreeHead::EMPTY.root, Vec::new()),
        size if size == newer.head.size => (newer.head.root, Vec::new()),
        size => {
            let tiles = reader.read(newer.head, &tiles_of_prefix(Tile::HEIGHT, newer.head.size, size)).await?;
            let missing = |error| Problem::Kept(format!("checking {} against {}: {error}", older.head, newer.head));
            let root = tiles.prefix_root(size).map_err(missing)?;
            (root, if root == older.head.root { Vec::new() } else { tiles.prefix_proof(size).map_err(missing)? })
        }
    };
    if root == older.head.root {
        return Ok(());
    }
    Err(Problem::Fork(Box::new(Fork { older: older.clone(), newer: newer.clone(), root, proof })))
}
