//! A commit: one message, taken by the server only if the last one of its subject is the head that is expected.

use std::sync::Arc;
use std::time::Duration;

use async_nats::header::{HeaderMap, HeaderValue, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::about::{ABOUT, Letter};
use super::link::{ApiError, Fault};
use super::names::Space;
use super::places::Place;
use super::stored;
use super::{Nats, REVISIONS_PER_KEY};
use crate::error::StoreError;
use crate::name::{Key, Namespace};
use crate::record::{PieceId, Record};
use crate::store::{Commit, Committed, Cursor, Expected};

/// Pieces that are on their way at once: 16 of 64 KiB.
const PIECES_AT_ONCE: usize = 16;
/// How often a commit is sent when what is known of streams and places turns out to be old. Each time it is certain that it
/// did not happen before.
const ATTEMPTS: u32 = 9;
/// The pause before the third attempt; each later one is twice as long. Several servers need a moment until a stream that was
/// made has a leader; and a leader refuses what does not follow a write that it has only just passed on, of which it tells
/// nobody before the others have it.
const PAUSE: Duration = Duration::from_millis(4);

/// Waits before the next attempt: once, what was known was old, and that is mended at once.
async fn pause_after(attempt: u32) {
    if let Some(doublings) = attempt.checked_sub(1) {
        tokio::time::sleep(PAUSE * 2_u32.pow(doublings)).await;
    }
}

/// Reads what the server says to a message: the place where it lies, or why it does not take it.
pub(super) fn taken(answer: &[u8]) -> Result<Result<u64, ApiError>, String> {
    #[derive(serde::Deserialize)]
    struct Taken {
        error: Option<ApiError>,
        seq: Option<u64>,
    }
    match serde_json::from_slice(answer) {
        Ok(Taken { error: Some(error), .. }) => Ok(Err(error)),
        Ok(Taken { seq: Some(place), .. }) => Ok(Ok(place)),
        Ok(Taken { .. }) => Err("NATS does not say where a message lies".to_owned()),
        Err(error) => Err(format!("NATS answers with what cannot be read: {error}")),
    }
}

/// What became of a message.
pub(super) enum Sent {
    /// It lies at this place.
    At(u64),
    /// It was not taken: the last message of its subject is another.
    Other,
    /// It was not taken: there is no such stream.
    NoStream,
}

impl Nats {
    pub(super) async fn write(&self, commit: Commit) -> Result<Committed, StoreError> {
        let Commit { key, expected, record, pieces, keep, .. } = commit;
        let keep = keep.min(REVISIONS_PER_KEY);
        self.link.questions.answered(&key.namespace).await?;
        self.streams.ready(&self.link, &key.namespace, keep).await?;
        if !pieces.is_empty() {
            self.write_pieces(&key.namespace, pieces, keep).await?;
        }
        let space = Space::of(&key.namespace);
        let subject = space.record(&key);
        let (rev, chain) = (record.meta.rev, record.meta.chain);
        let least = rev.get().saturating_sub(u64::from(keep.max(1))) + 1;
        let mut letter = Letter::of(record);
        let mut connection = self.link.connection();
        let mut parent = match expected {
            // A server takes a first revision over a newest one that it finds damaged, and so is asked what it counts.
            Expected::Absent if stored::subjects(&self.link, &space, &subject).await?.is_empty() => {
                Some((0, rev.get()))
            }
            Expected::Absent => None,
            _ => self.places.get(&key, connection).filter(|place| place.fits(expected)).map(Place::parent),
        };
        for attempt in 0..ATTEMPTS {
            let (at, low) = match parent {
                Some(parent) => parent,
                None => match self.place_of(&key, expected).await? {
                    Ok(parent) => parent,
                    Err(head) => return Ok(Committed::Lost(head)),
                },
            };
            let low = low.max(least);
            let mut headers = HeaderMap::new();
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(at));
            headers.insert(ABOUT, letter.about(&subject, low, least, at));
            match self.send(subject.clone(), headers, letter.payload()).await? {
                Sent::At(at) => {
                    self.places.set(&key, Place { rev, chain, at, low, connection });
                    return Ok(Committed::Done(Cursor::at(at)));
                }
                Sent::Other => {
                    self.places.remove(&key);
                    parent = None;
                    connection = self.link.connection();
                    pause_after(attempt).await;
                }
                Sent::NoStream => {
                    self.streams.forget(&key.namespace);
                    self.streams.ready(&self.link, &key.namespace, keep).await?;
                    pause_after(attempt).await;
                }
            }
        }
        Err(StoreError::Busy)
    }

    /// Where the head lies that is expected, and the lowest revision that it keeps; the inner error is the head that is
    /// there instead.
    async fn place_of(
        &self,
        key: &Key,
        expected: Expected,
    ) -> Result<Result<(u64, u64), Option<Arc<Record>>>, StoreError> {
        match self.find_head(key).await? {
            // One whose content is damaged can be replaced: who brings another needs nothing of it.
            Some((place, _)) if place.fits(expected) => Ok(Ok(place.parent())),
            // The first revision has nothing before it.
            None if expected == Expected::Absent => Ok(Ok((0, 1))),
            None => Ok(Err(None)),
            Some(_) => self.read_head(key).await.map(Err),
        }
    }

    /// Sends a message to a stream.
    pub(super) async fn send(&self, subject: String, headers: HeaderMap, payload: Bytes) -> Result<Sent, StoreError> {
        let answer = match self.link.ask(subject, Some(headers), payload).await {
            Ok(answer) => answer,
            Err(Fault::Nobody) => return Ok(Sent::NoStream),
            Err(fault) => return Err(fault.of_write()),
        };
        match taken(&answer.payload).map_err(StoreError::Unknown)? {
            Ok(place) => Ok(Sent::At(place)),
            Err(error) if ApiError::WRONG_LAST.contains(&error.err_code) => Ok(Sent::Other),
            Err(error) => Err(error.into_error()),
        }
    }

    /// Writes pieces before the record that names them; one that no record comes to name is swept in time.
    async fn write_pieces(
        &self,
        namespace: &Namespace,
        pieces: Vec<(PieceId, Bytes)>,
        keep: u32,
    ) -> Result<(), StoreError> {
        let space = Space::of(namespace);
        let sending = pieces.into_iter().map(|(id, bytes)| {
            let subject = space.piece(&id);
            async move {
                for attempt in 0..ATTEMPTS {
                    match self.send(subject.clone(), HeaderMap::new(), bytes.clone()).await {
                        Ok(Sent::At(_)) => return Ok(()),
                        Ok(Sent::Other | Sent::NoStream) => {
                            self.streams.forget(namespace);
                            self.streams.ready(&self.link, namespace, keep).await?;
                            pause_after(attempt).await;
                        }
                        // The record was not sent: nothing has happened that anybody can see.
                        Err(StoreError::Unknown(why)) => return Err(StoreError::Unavailable(why)),
                        Err(error) => return Err(error),
                    }
                }
                Err(StoreError::Busy)
            }
        });
        stream::iter(sending).buffer_unordered(PIECES_AT_ONCE).try_collect::<()>().await
    }
}
