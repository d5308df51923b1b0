//! What lies beside the records: pieces, pinned revisions, extended times, and how far keys were forgotten.

use async_nats::header::{HeaderMap, HeaderValue, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use tradewind_core::UnixMillis;

use super::Nats;
use super::about::{ABOUT, Letter};
use super::commit::Sent;
use super::link::{ApiError, Fault};
use super::names::Space;
use super::stored::{self, Stored};
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::PieceId;
use crate::store::Pin;

/// How often a number that only grows is written anew when another gateway was faster.
const ATTEMPTS: usize = 8;

/// The header of what was pinned and is not any more: the head's place at that time.
const UNPINNED: &str = "Tradewind-Unpinned";

/// Under which head what was pinned was let go of; `None` while it is pinned.
pub(super) fn unpinned_under(pin: &Stored) -> Option<u64> {
    pin.headers.get(UNPINNED).and_then(|head| head.as_str().parse().ok())
}

fn read_end(message: &Stored) -> Result<UnixMillis, StoreError> {
    let number = std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok());
    number.map(UnixMillis).ok_or_else(|| StoreError::damaged(format!("what lies under {}", message.subject)))
}

impl Nats {
    pub(super) async fn read_pieces(
        &self,
        namespace: &Namespace,
        ids: &[PieceId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let space = Space::of(namespace);
        let mut subjects: Vec<String> = ids.iter().map(|id| space.piece(id)).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut found = FxHashMap::default();
        for message in stored::last_of_each(&self.link, &space.beside(), &subjects, self.streams.replicas()).await? {
            if let Some(id) = space.piece_id(&message.subject) {
                found.insert(id, message.payload);
            }
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    pub(super) async fn write_pin(&self, key: &Key, rev: Rev, pin: Pin) -> Result<bool, StoreError> {
        let space = Space::of(&key.namespace);
        let kept = self.kept(key).await?;
        let known = kept.pinned.get(&rev).or_else(|| kept.loose.get(&rev));
        let lies_there = kept.revisions.iter().find(|(other, _)| *other == rev).map(|(_, message)| message);
        let Some(there) = lies_there.or(known) else { return kept.damaged.map_or(Ok(false), Err) };
        if let Pin::On(record) = &pin
            && there.about()?.meta.chain != record.meta.chain
        {
            return Ok(false);
        }
        let (headers, payload) = match (pin, known) {
            (Pin::On(record), _) => {
                let mut letter = Letter::of(*record);
                let mut headers = HeaderMap::new();
                headers.insert(ABOUT, letter.about(&space.pin(key, rev), 0, 0, 0));
                (headers, letter.payload())
            }
            (Pin::Off, Some(known)) if kept.pinned.contains_key(&rev) => {
                // A commit removes it, not this: the message says under which head it was let go of.
                let mut headers = HeaderMap::new();
                let head = kept.revisions.last().map_or(0, |(_, head)| head.place);
                headers.insert(UNPINNED, HeaderValue::from(head));
                if let Some(about) = known.headers.get(ABOUT) {
                    headers.insert(ABOUT, about.clone());
                }
                (headers, known.payload.clone())
            }
            (Pin::Off, _) => return Ok(true),
        };
        match self.send(space.pin(key, rev), headers, payload).await? {
            Sent::At(_) => Ok(true),
            Sent::Other | Sent::NoStream => Err(Fault::Nobody.of_write()),
        }
    }

    /// Removes the messages of a subject, those before a place or all.
    pub(super) async fn purge(&self, stream: &str, subject: &str, before: Option<u64>) -> Result<(), StoreError> {
        let request = match before {
            Some(before) => json!({"filter": subject, "seq": before}),
            None => json!({"filter": subject}),
        };
        match self.link.api::<Value>(&["STREAM.PURGE.", stream].concat(), &request).await.map_err(Fault::of_write)? {
            Ok(_) => Ok(()),
            Err(error) if error.err_code == ApiError::NO_STREAM => Ok(()),
            Err(error) => Err(error.into_error()),
        }
    }

    /// Puts in when a revision ends, where that was moved.
    pub(super) async fn put_end(&self, key: &Key, meta: &mut Meta) -> Result<(), StoreError> {
        if meta.expires_at.is_some() {
            let space = Space::of(&key.namespace);
            if let Some((_, at)) = self.moved_end(&space, key, meta.rev).await? {
                meta.expires_at = meta.expires_at.max(Some(at));
            }
        }
        Ok(())
    }

    /// The same for many at once.
    pub(super) async fn put_ends(
        &self,
        namespace: &Namespace,
        metas: Vec<(&Key, &mut Meta)>,
    ) -> Result<(), StoreError> {
        self.put_readable_ends(namespace, metas).await?.pop().map_or(Ok(()), |(_, error)| Err(error))
    }

    /// The same, where some may be damaged: whose, and how.
    pub(super) async fn put_readable_ends(
        &self,
        namespace: &Namespace,
        metas: Vec<(&Key, &mut Meta)>,
    ) -> Result<Vec<(Key, StoreError)>, StoreError> {
        let space = Space::of(namespace);
        let mut ends: FxHashMap<String, (&Key, &mut Meta)> = metas
            .into_iter()
            .filter(|(_, meta)| meta.expires_at.is_some())
            .map(|(key, meta)| (space.moved(key, meta.rev), (key, meta)))
            .collect();
        let subjects: Vec<String> = ends.keys().cloned().collect();
        let mut damaged = Vec::new();
        for message in stored::last_of_each(&self.link, &space.beside(), &subjects, self.streams.replicas()).await? {
            let Some((key, meta)) = ends.get_mut(&message.subject) else { continue };
            match read_end(&message) {
                Ok(at) => meta.expires_at = meta.expires_at.max(Some(at)),
                Err(error) => damaged.push((key.clone(), error)),
            }
        }
        Ok(damaged)
    }

    /// To when the end of a revision was moved, and where that is written.
    async fn moved_end(&self, space: &Space, key: &Key, rev: Rev) -> Result<Option<(u64, UnixMillis)>, StoreError> {
        let found = stored::last(&self.link, &space.beside(), &space.moved(key, rev), self.streams.replicas()).await?;
        found.map(|message| Ok((message.place, read_end(&message)?))).transpose()
    }

    pub(super) async fn move_end(&self, key: &Key, rev: Rev, expires_at: UnixMillis) -> Result<bool, StoreError> {
        let space = Space::of(&key.namespace);
        for _ in 0..ATTEMPTS {
            let Some(message) = self.last(key).await? else { return Ok(false) };
            let meta = message.about()?.meta;
            if meta.rev != rev {
                return Ok(false);
            }
            let known = self.moved_end(&space, key, rev).await?;
            // Without an end everything is earlier.
            let Some(at) = meta.expires_at.max(known.map(|(_, at)| at)) else { return Ok(true) };
            if expires_at <= at {
                return Ok(true);
            }
            let mut headers = HeaderMap::new();
            let place = known.map_or(0, |(place, _)| place);
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(place));
            let payload = Bytes::from(expires_at.0.to_string());
            match self.send(space.moved(key, rev), headers, payload).await? {
                Sent::At(_) => return Ok(true),
                Sent::Other => {}
                Sent::NoStream => return Err(Fault::Nobody.of_write()),
            }
        }
        Err(StoreError::Busy)
    }

    pub(super) async fn remove_key(&self, key: &Key, rev: Rev) -> Result<bool, StoreError> {
        let space = Space::of(&key.namespace);
        let Some(message) = self.last(key).await? else {
            self.due.forget(key, rev).await;
            return Ok(false);
        };
        let meta = message.about()?.meta;
        if meta.rev != rev || !meta.kind.is_tombstone() {
            return Ok(false);
        }
        self.purge(&space.beside(), &space.pins(key), None).await?;
        self.purge(&space.beside(), &space.all_moved(key), None).await?;
        // A revision that came in between lies behind the tombstone and stays.
        self.remove_records(key, message.place, message.place + 1).await?;
        self.places.remove(key);
        self.due.forget(key, rev).await;
        Ok(true)
    }

    /// Removes the records of a key that lie before a place, and says that no watch can go back behind `forgotten`.
    pub(super) async fn remove_records(&self, key: &Key, forgotten: u64, before: u64) -> Result<(), StoreError> {
        let space = Space::of(&key.namespace);
        let raised = match self.raise_forgotten(&space, forgotten).await {
            // What is removed makes room to say so.
            Err(StoreError::Full(_)) => false,
            raised => raised.map(|()| true)?,
        };
        self.purge(&space.stream(), &space.record(key), Some(before)).await?;
        if raised { Ok(()) } else { self.raise_forgotten(&space, forgotten).await }
    }

    /// Writes up to which place changes were removed: a watch from before it would not learn that they are gone.
    async fn raise_forgotten(&self, space: &Space, place: u64) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let (at, known) = super::watch::forgotten(&self.link, space, self.streams.replicas()).await?;
            if known >= place {
                return Ok(());
            }
            let mut headers = HeaderMap::new();
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(at));
            match self.send(space.forgotten(), headers, Bytes::from(place.to_string())).await? {
                Sent::At(_) => return Ok(()),
                Sent::Other => {}
                Sent::NoStream => return Err(Fault::Nobody.of_write()),
            }
        }
        Err(StoreError::Busy)
    }
}
