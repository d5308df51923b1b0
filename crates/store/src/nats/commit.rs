//! A commit: one message, taken by the server only if the last one of its subject is the head that is expected.

use std::sync::Arc;

use async_nats::header::{HeaderMap, HeaderValue, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::link::{ApiError, Fault, read};
use super::names::Space;
use super::places::Place;
use super::stored::{ABOUT, About};
use super::{Nats, REVISIONS_PER_KEY};
use crate::error::StoreError;
use crate::name::{Key, Namespace};
use crate::record::{Body, PieceId, Record};
use crate::store::{Commit, Committed, Cursor, Expected};

/// Pieces that are on their way at once: 16 of 64 KiB.
const PIECES_AT_ONCE: usize = 16;
/// How often a commit is sent when what is known of streams and places turns out to be old. Each time it is certain that it
/// did not happen before.
const ATTEMPTS: usize = 4;

/// What the server says to a message that it took.
#[derive(serde::Deserialize)]
pub(super) struct Taken {
    pub(super) seq: u64,
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
        self.streams.ready(&self.link, &key.namespace, keep).await?;
        self.write_pieces(&key.namespace, pieces, keep).await?;

        let subject = Space::of(&key.namespace).record(&key);
        let encoded = Bytes::from(record.encode());
        let described = Record { meta: record.meta.clone(), body: Body::None }.encode();
        let rev = record.meta.rev;
        let least = rev.get().saturating_sub(u64::from(keep.max(1))) + 1;
        let has_pieces = matches!(record.body, Body::Pieces(_));
        let mut parent = match expected {
            Expected::Absent => Some((0, rev.get())),
            _ => self.places.get(&key).filter(|place| place.fits(expected)).map(|place| (place.at, place.low)),
        };
        for _ in 0..ATTEMPTS {
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
            headers.insert(ABOUT, About::write(low, least, at, has_pieces, &described).as_str());
            match self.send(subject.clone(), headers, encoded.clone()).await? {
                Sent::At(at) => {
                    self.places.set(&key, Place { rev, chain: record.meta.chain, at, low });
                    return Ok(Committed::Done(Cursor::at(at)));
                }
                Sent::Other => {
                    self.places.remove(&key);
                    parent = None;
                }
                Sent::NoStream => {
                    self.streams.forget(&key.namespace);
                    self.streams.ready(&self.link, &key.namespace, keep).await?;
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
        let head = self.read_head_at(key).await?;
        if !expected.holds(head.as_ref().map(|(_, record)| &record.meta)) {
            return Ok(Err(head.map(|(_, record)| Arc::new(record))));
        }
        // The first revision has nothing before it.
        Ok(Ok(head.map_or((0, 1), |(place, _)| (place.at, place.low))))
    }

    /// Sends a message to a stream.
    pub(super) async fn send(&self, subject: String, headers: HeaderMap, payload: Bytes) -> Result<Sent, StoreError> {
        let answer = match self.link.ask(subject, Some(headers), payload).await {
            Ok(answer) => answer,
            Err(Fault::Nobody) => return Ok(Sent::NoStream),
            Err(fault) => return Err(fault.of_write()),
        };
        match read::<Taken>(&answer.payload).map_err(StoreError::Unknown)? {
            Ok(taken) => Ok(Sent::At(taken.seq)),
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
                for _ in 0..ATTEMPTS {
                    match self.send(subject.clone(), HeaderMap::new(), bytes.clone()).await {
                        Ok(Sent::At(_)) => return Ok(()),
                        Ok(Sent::Other | Sent::NoStream) => {
                            self.streams.forget(namespace);
                            self.streams.ready(&self.link, namespace, keep).await?;
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
