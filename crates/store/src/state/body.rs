//! Contents become bodies, and bodies contents.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use ring::digest;

use crate::error::StateError;
use crate::name::{Hash, Key, Namespace, Rev};
use crate::pack::{self, MAX_PIECE, MAX_WHOLE};
use crate::record::{Body, PieceId, Record};
use crate::seal::{DataKey, Place};
use crate::settings::MAX_VALUE;

use super::State;
use super::hot::{Known, Tail};

/// Pieces that are worked on before other tasks of the thread get their turn: about 256 KiB.
const TURN: usize = 8;
/// Pieces that are asked for at a time: about 4 MiB.
const FETCH: usize = 128;
/// Pieces behind the last cut, at most. Each addition is one, until they are joined by a cut, or are too many: additions would
/// otherwise write all of the end anew each time, on average three times the 5 KB of a turn of a conversation.
pub(super) const MAX_OPEN: usize = 16;

/// A content, ready to become a body.
pub(super) enum Content {
    /// There is none: a tombstone.
    None,
    /// Short enough to lie in the record.
    Whole { hash: Hash, bytes: Bytes },
    /// Cut into pieces.
    Long(Long),
}

/// A long content.
pub(super) struct Long {
    pub(super) hash: Hash,
    pub(super) size: u64,
    /// All of its pieces, in order.
    pub(super) ids: Vec<PieceId>,
    /// Those whose bytes are at hand, each once.
    pub(super) at_hand: Vec<(PieceId, Bytes)>,
    pub(super) tail: Arc<Tail>,
}

/// The part of a long content that is cut already.
pub(super) struct Before {
    pub(super) hashed: digest::Context,
    pub(super) length: u64,
    pub(super) ids: Vec<PieceId>,
}

impl Before {
    /// Nothing.
    pub(super) fn nothing() -> Self {
        Self { hashed: digest::Context::new(&digest::SHA256), length: 0, ids: Vec::new() }
    }
}

impl Content {
    pub(super) fn hash(&self) -> Hash {
        match self {
            Self::None => Hash::of(b""),
            Self::Whole { hash, .. } => *hash,
            Self::Long(long) => long.hash,
        }
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Whole { bytes, .. } => bytes.len() as u64,
            Self::Long(long) => long.size,
        }
    }

    /// What the next write wants to know of it.
    pub(super) fn known(&self) -> Known {
        match self {
            Self::None => Known::Nothing,
            Self::Whole { bytes, .. } => Known::All(bytes.clone()),
            Self::Long(long) => Known::Tail(long.tail.clone()),
        }
    }
}

/// Cuts and hashes what comes after `before`, which is not empty, in turns.
pub(super) async fn cut(before: Before, rest: Bytes, data_key: Option<&DataKey>) -> Long {
    let Before { mut hashed, length: mut start, mut ids } = before;
    let (mut at_hand, mut seen, mut at) = (Vec::new(), HashSet::new(), 0);
    loop {
        let piece = rest.slice(at..at + pack::first_piece(&rest[at..]));
        let last = at + piece.len() == rest.len();
        let before_piece = last.then(|| hashed.clone());
        hashed.update(&piece);
        let id = piece_id(&piece, data_key);
        ids.push(id);
        if seen.insert(id) {
            at_hand.push((id, piece.clone()));
        }
        at += piece.len();
        if let Some(before) = before_piece {
            // A copy, so that the end of a content does not keep all of it in memory.
            let tail = Tail { before, start, bytes: Bytes::copy_from_slice(&piece), pieces: vec![piece.len()] };
            let size = start + piece.len() as u64;
            return Long { hash: Hash::from_digest(hashed.finish()), size, ids, at_hand, tail: Arc::new(tail) };
        }
        start += piece.len() as u64;
        if at_hand.len() % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Makes the end of a content longer. `rest` is all that comes behind the last cut, now: its first `kept` bytes as before, and
/// at its end `closing` bytes that the next addition will move.
pub(super) async fn lengthen(
    tail: &Tail,
    ids: &[PieceId],
    rest: Bytes,
    kept: usize,
    closing: usize,
    data_key: Option<&DataKey>,
) -> Long {
    let closed = ids.len().saturating_sub(tail.pieces.len());
    let mut ids_now = ids[..closed].to_vec();
    let (mut hashed, start) = (tail.before.clone(), tail.start);
    if pack::first_piece(&rest) < rest.len() {
        return cut(Before { hashed, length: start, ids: ids_now }, rest, data_key).await;
    }
    let stays = |end: &mut usize, length: &usize| {
        *end += length;
        (*end <= kept).then_some(*length)
    };
    let mut pieces: Vec<usize> = tail.pieces.iter().scan(0, stays).collect();
    // What is added, and what closes it.
    if pieces.len() + 2 > MAX_OPEN {
        pieces.clear();
    }
    ids_now.extend_from_slice(&ids[closed..closed + pieces.len()]);
    let (mut at, mut at_hand) = (pieces.iter().sum(), Vec::with_capacity(2));
    for end in [rest.len() - closing, rest.len()] {
        if end > at {
            let piece = rest.slice(at..end);
            let id = piece_id(&piece, data_key);
            ids_now.push(id);
            pieces.push(piece.len());
            at_hand.push((id, piece));
            at = end;
        }
    }
    hashed.update(&rest);
    let size = start + rest.len() as u64;
    let tail = Tail { before: tail.before.clone(), start, bytes: rest, pieces };
    Long { hash: Hash::from_digest(hashed.finish()), size, ids: ids_now, at_hand, tail: Arc::new(tail) }
}

fn piece_id(piece: &[u8], data_key: Option<&DataKey>) -> PieceId {
    data_key.map_or_else(|| PieceId(Hash::of(piece).0), |key| key.piece_id(piece))
}

/// Packs and, with a data key, seals.
pub(super) fn wrap(packed: Vec<u8>, data_key: Option<&DataKey>, place: Place<'_>) -> Result<Bytes, StateError> {
    let Some(key) = data_key else { return Ok(packed.into()) };
    let sealed = key.seal(place, &packed)?;
    let mut out = Vec::with_capacity(1 + sealed.len());
    out.push(pack::SEALED);
    out.extend_from_slice(&sealed);
    Ok(out.into())
}

impl State {
    /// Makes a content ready to be written.
    pub(super) async fn ready(&self, namespace: &Namespace, content: Bytes) -> Result<Content, StateError> {
        if content.len() <= MAX_WHOLE {
            return Ok(Content::Whole { hash: Hash::of(&content), bytes: content });
        }
        let data_key = self.data_key(namespace).await?;
        Ok(Content::Long(cut(Before::nothing(), content, data_key.as_deref()).await))
    }

    /// The body of a content, and the pieces of it that the parent does not have.
    pub(super) async fn body(
        &self,
        key: &Key,
        rev: Rev,
        content: &Content,
        parent: Option<&Record>,
    ) -> Result<(Body, Vec<(PieceId, Bytes)>), StateError> {
        let data_key = self.data_key(&key.namespace).await?;
        let data_key = data_key.as_deref();
        match content {
            Content::None => Ok((Body::None, Vec::new())),
            Content::Whole { bytes, .. } => {
                Ok((Body::Whole(wrap(pack::pack(bytes), data_key, Place::Body { key, rev })?), Vec::new()))
            }
            Content::Long(long) => {
                let there: HashSet<&PieceId> = parent.map_or(&[][..], |parent| parent.body.pieces()).iter().collect();
                let mut fresh = Vec::new();
                for (id, piece) in long.at_hand.iter().filter(|(id, _)| !there.contains(id)) {
                    let place = Place::Piece { namespace: &key.namespace, id };
                    fresh.push((*id, wrap(pack::pack(piece), data_key, place)?));
                    if fresh.len() % TURN == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                Ok((Body::Pieces(long.ids.clone()), fresh))
            }
        }
    }

    /// Opens what was sealed; what was not, comes back as it is.
    pub(super) async fn open(&self, place: Place<'_>, bytes: &Bytes) -> Result<Bytes, StateError> {
        if bytes.first() != Some(&pack::SEALED) {
            return Ok(bytes.clone());
        }
        let namespace = match place {
            Place::Body { key, .. } => &key.namespace,
            Place::Piece { namespace, .. } => namespace,
        };
        Ok(self.known_data_key(namespace).await?.open(place, &bytes[1..])?)
    }

    /// The content of a record that is whole or in pieces, checked against its hash, and what the next write wants to know.
    /// `None` when a piece is not there, which is no damage if the revision was removed meanwhile.
    pub(super) async fn content(&self, key: &Key, record: &Record) -> Result<Option<(Bytes, Known)>, StateError> {
        let meta = &record.meta;
        match &record.body {
            Body::Whole(bytes) => {
                let packed = self.open(Place::Body { key, rev: meta.rev }, bytes).await?;
                let content =
                    pack::unpack(&packed, MAX_WHOLE).map_err(|error| damaged(key, meta.rev, &error.to_string()))?;
                check(key, record, Hash::of(&content), content.len() as u64)?;
                Ok(Some((content.clone(), Known::All(content))))
            }
            Body::Pieces(ids) => self.join(key, record, ids).await,
            Body::None => Err(damaged(key, meta.rev, "a value has no body")),
            Body::Delta { .. } => Err(damaged(key, meta.rev, "the newest revision is a difference")),
        }
    }

    async fn join(&self, key: &Key, record: &Record, ids: &[PieceId]) -> Result<Option<(Bytes, Known)>, StateError> {
        let meta = &record.meta;
        if meta.size > MAX_VALUE || ids.is_empty() {
            return Err(damaged(key, meta.rev, "its size is impossible"));
        }
        let mut content = Vec::with_capacity(usize::try_from(meta.size).expect("at most 16 MiB"));
        let mut hashed = digest::Context::new(&digest::SHA256);
        // Where each of the last pieces begins, and what was hashed before it.
        let mut last = Vec::with_capacity(MAX_OPEN);
        for (page, names) in ids.chunks(FETCH).enumerate() {
            let pieces = self.store.pieces(&key.namespace, names).await?;
            for (index, (id, piece)) in names.iter().zip(pieces).enumerate() {
                let Some(piece) = piece else { return Ok(None) };
                let packed = self.open(Place::Piece { namespace: &key.namespace, id }, &piece).await?;
                let piece = pack::unpack(&packed, MAX_PIECE)
                    .map_err(|error| damaged(key, meta.rev, &format!("piece {id}: {error}")))?;
                if (content.len() + piece.len()) as u64 > meta.size {
                    return Err(damaged(key, meta.rev, "its pieces are longer than it is"));
                }
                if page * FETCH + index + MAX_OPEN >= ids.len() {
                    last.push((content.len(), hashed.clone()));
                }
                hashed.update(&piece);
                content.extend_from_slice(&piece);
                if index % TURN == TURN - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
        check(key, record, Hash::from_digest(hashed.finish()), content.len() as u64)?;
        let tail = tail(&content, last);
        Ok(Some((content.into(), Known::Tail(Arc::new(tail)))))
    }
}

/// The end of a content: the pieces behind the last one that ends at a cut. `last` is where some of the last ones begin, and
/// what was hashed before each, the last one's too.
fn tail(content: &[u8], mut last: Vec<(usize, digest::Context)>) -> Tail {
    let (mut start, mut before) = last.pop().expect("there is a last piece");
    let mut pieces = vec![content.len() - start];
    while let Some((earlier, hashed)) = last.pop() {
        if pack::ends_at_a_cut(&content[earlier..start]) || content.len() - earlier > MAX_PIECE {
            break;
        }
        pieces.push(start - earlier);
        (start, before) = (earlier, hashed);
    }
    pieces.reverse();
    Tail { before, start: start as u64, bytes: Bytes::copy_from_slice(&content[start..]), pieces }
}

/// Whether a content is what its record says.
pub(super) fn check(key: &Key, record: &Record, hash: Hash, size: u64) -> Result<(), StateError> {
    if hash == record.meta.hash && size == record.meta.size {
        return Ok(());
    }
    Err(damaged(key, record.meta.rev, "its content does not have the hash that was written with it"))
}

pub(super) fn damaged(key: &Key, rev: Rev, what: &str) -> StateError {
    StateError::Damaged { what: format!("revision {rev} of {key}: {what}") }
}
