//! State in NATS JetStream, from server 2.11 on: shared by several gateways.
//!
//! A namespace is a stream, a key a subject, a revision a message. A commit is one message with
//! `Nats-Expected-Last-Subject-Sequence`: the server takes it only if the head is the one that is expected. What is kept
//! where stands in `names.rs`.
//!
//! What is different from other engines, and why:
//!  * a stream keeps the last messages of each subject, so that a record cannot be rewritten ([`Facts::rewrites`] is false)
//!    and a watch goes back as far as these reach: it is told when that is not far enough, see `watch.rs`;
//!  * a stream keeps at least [`EVENTS_PER_KEY`] messages of a key for that; those beyond the key's own number are there
//!    for watches and are no revisions any more;
//!  * a commit that asks for more than [`REVISIONS_PER_KEY`] revisions keeps that many ([`Store::most_revisions`]);
//!  * nothing is left to the server's own expiry (`Nats-TTL`): when a message goes, the one before it is the last of its
//!    subject again, and when all go, numbers begin anew and an old holder's condition holds. [`State`](crate::State)
//!    buries what is due; an update cannot lose a time to live by this, because it is part of each record;
//!  * long contents lie in pieces beside the records. They are written before the record that names them, and those that
//!    no record names are swept an hour later, see `sweep.rs`.
//!
//! The server writes to disk every two minutes by itself; only `sync_interval: always` makes an acknowledged write outlive a
//! crash of its machine. An answer that did not come is [`StoreError::Unknown`], see `link.rs`.
//!
//! Refused: the key-value layer (its `update` cannot carry what we need beside the value, and its bucket is one for all
//! keys, with one number of revisions), one message with all state of a key. Batches of several callers' commits (ADR-50):
//! an atomic one is kept in a folder of its own until it is whole, and 32 messages take twenty times as long in one as one by
//! one; a fast one, with one answer for all, does not say where each message lies, and was no faster with 64 callers.

mod about;
mod beside;
mod commit;
mod due;
mod leader;
mod link;
mod names;
mod places;
mod stored;
mod streams;
mod sweep;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rustc_hash::FxHashMap;
use tradewind_core::{Secret, UnixMillis};

use self::due::Due;
use self::link::Link;
use self::names::Space;
use self::places::{Place, Places};
use self::stored::Stored;
use self::streams::Streams;
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::store::{After, Commit, Committed, Cursor, Durability, Facts, KeyHead, Pin, Revision, Store};
use crate::told::Changes;

/// Changes of one key that a watch can go back, at least.
pub const EVENTS_PER_KEY: u32 = 64;
/// Revisions of one key that are kept, at most. A stream never forgets that it was told to keep more, and each look at older
/// revisions reads all of them.
pub const REVISIONS_PER_KEY: u32 = 1_024;

/// Where a NATS is, how to trust it and how to keep things in it.
#[derive(Clone, Debug)]
pub struct NatsSettings {
    /// `nats://[user:password@]host[:port]` or with a token for the user; `tls://` with TLS; several with `,` between them.
    pub address: Secret<String>,
    /// The certificates that the servers' have to go back to, in PEM; without them those of the system.
    pub roots: Option<Vec<u8>>,
    /// How many servers keep each message, 1 to 5; for streams that are made from now on.
    pub replicas: usize,
}

/// State in a NATS.
pub struct Nats {
    link: Arc<Link>,
    streams: Streams,
    places: Places,
    due: Due,
}

impl Nats {
    /// Connects.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no server can be reached, lets us in, is 2.11 at least and has JetStream;
    /// [`StoreError::Unsupported`] for an address that is none.
    pub async fn open(settings: &NatsSettings) -> Result<Self, StoreError> {
        let link = Arc::new(Link::open(settings).await?);
        // Without JetStream nobody answers.
        streams::everything(&link).await?;
        let streams = Streams::new(settings.replicas.clamp(1, 5));
        Ok(Self { link, streams, places: Places::default(), due: Due::default() })
    }

    /// The newest message of a key. A server that finds it damaged answers as if there were none, and so is asked what it
    /// counts.
    async fn last(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let space = Space::of(&key.namespace);
        let (stream, subject) = (space.stream(), space.record(key));
        let last = stored::last(&self.link, &stream, &subject, self.streams.replicas()).await?;
        if last.is_some() || stored::subjects(&self.link, &space, &subject).await?.is_empty() {
            return Ok(last);
        }
        // It may have been written just now.
        match stored::last(&self.link, &stream, &subject, self.streams.replicas()).await? {
            None if stored::subjects(&self.link, &space, &subject).await?.is_empty() => Ok(None),
            None => Err(StoreError::damaged(format!("the server cannot read the newest message of {subject}"))),
            last => Ok(last),
        }
    }

    async fn read_head(&self, key: &Key) -> Result<Option<Arc<Record>>, StoreError> {
        let Some((_, stored)) = self.find_head(key).await? else { return Ok(None) };
        let mut record = stored.record()?;
        self.put_end(key, &mut record.meta).await?;
        Ok(Some(Arc::new(record)))
    }

    /// Where the head lies, and the message, whose content is not looked at.
    async fn find_head(&self, key: &Key) -> Result<Option<(Place, Stored)>, StoreError> {
        let connection = self.link.connection();
        let Some(stored) = self.last(key).await? else {
            self.places.remove(key);
            return Ok(None);
        };
        let about = stored.about()?;
        let place =
            Place { rev: about.meta.rev, chain: about.meta.chain, at: stored.place, low: about.low, connection };
        self.places.set(key, place);
        Ok(Some((place, stored)))
    }

    /// The revisions of a key that are kept, the oldest first, as messages; with them what was pinned.
    async fn kept(&self, key: &Key) -> Result<Kept, StoreError> {
        let space = Space::of(&key.namespace);
        let mut kept = Kept::default();
        let mut commits = Vec::new();
        let all = stored::all(&self.link, &space.stream(), &space.record(key), self.streams.replicas()).await?;
        kept.damaged = all.damaged;
        for message in all.messages {
            let about = match message.about() {
                Ok(about) => about,
                Err(error) => {
                    kept.damaged = Some(error);
                    continue;
                }
            };
            kept.low = about.low;
            kept.first = kept.first.or(Some(message.place));
            commits.push((message.place, about.least));
            kept.revisions.push((about.meta.rev, message));
        }
        if commits.is_empty() {
            return Ok(kept);
        }
        kept.revisions.retain(|(rev, _)| rev.get() >= kept.low);
        let pins = stored::all(&self.link, &space.beside(), &space.pins(key), self.streams.replicas()).await?;
        kept.damaged = kept.damaged.or(pins.damaged);
        for pin in pins.messages {
            let Some(rev) = Space::rev(&pin.subject) else { continue };
            // Of a revision that the server lost, or of another life of the key: the one that lies there is not pinned.
            let lies_there = kept.revisions.iter().find(|(other, _)| *other == rev);
            if let Some((_, lies_there)) = lies_there
                && let (Ok(one), Ok(other)) = (pin.about(), lies_there.about())
                && one.meta.chain != other.meta.chain
            {
                continue;
            }
            match beside::unpinned_under(&pin) {
                None => kept.pinned.insert(rev, pin),
                // Let go of: it stays until a commit removes it. Of many more commits than a stream keeps, one has.
                Some(under) => {
                    let since = commits.iter().skip_while(|(place, _)| *place < under);
                    let stays = since.clone().next().is_some_and(|(place, _)| *place == under)
                        && since.skip(1).all(|(_, least)| *least <= rev.get());
                    if stays { kept.loose.insert(rev, pin) } else { None }
                }
            };
        }
        Ok(kept)
    }

    /// The same, where none of them is damaged.
    async fn kept_whole(&self, key: &Key) -> Result<Kept, StoreError> {
        let mut kept = self.kept(key).await?;
        kept.damaged.take().map_or(Ok(kept), Err)
    }

    async fn read_revision(&self, key: &Key, rev: Rev) -> Result<Option<Record>, StoreError> {
        let mut kept = self.kept(key).await?;
        let found = match (kept.pinned.remove(&rev), kept.loose.remove(&rev)) {
            (Some(pin), _) | (None, Some(pin)) => Some(pin),
            (None, None) => kept.revisions.into_iter().find(|(other, _)| *other == rev).map(|(_, message)| message),
        };
        let Some(message) = found else {
            // It may be the one that cannot be read.
            return kept.damaged.map_or(Ok(None), Err);
        };
        let mut record = message.record()?;
        self.put_end(key, &mut record.meta).await?;
        Ok(Some(record))
    }

    async fn read_history(&self, key: &Key, before: Option<Rev>, limit: usize) -> Result<Vec<Revision>, StoreError> {
        let kept = self.kept_whole(key).await?;
        let mut found = BTreeMap::new();
        for (message, pinned) in
            kept.pinned.values().map(|pin| (pin, true)).chain(kept.loose.values().map(|pin| (pin, false)))
        {
            let meta = message.record()?.meta;
            found.insert(meta.rev, Revision { meta, pinned });
        }
        for (rev, message) in &kept.revisions {
            if !found.contains_key(rev) {
                found.insert(*rev, Revision { meta: message.about()?.meta, pinned: false });
            }
        }
        let newest_first = found.into_values().rev();
        let mut page: Vec<Revision> =
            newest_first.filter(|one| before.is_none_or(|before| one.meta.rev < before)).take(limit).collect();
        self.put_ends(&key.namespace, page.iter_mut().map(|one| (key, &mut one.meta)).collect()).await?;
        Ok(page)
    }

    /// All keys behind `after`, in order, foreign ones too that could be ours by their names.
    async fn read_keys(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<Key>, StoreError> {
        let space = Space::of(namespace);
        let mut keys = Vec::new();
        for subject in stored::subjects(&self.link, &space, &space.records_with(prefix)).await? {
            // What cannot be a key was not written by us, and nobody can ask for it.
            let Ok(key) = space.key(namespace, &subject) else { continue };
            if key.name().starts_with(prefix) && after.is_none_or(|after| key.name() > after) {
                keys.push(key);
            }
        }
        keys.sort();
        Ok(keys)
    }

    async fn read_list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeyHead>, StoreError> {
        let space = Space::of(namespace);
        let mut keys = self.read_keys(namespace, prefix, after).await?.into_iter();
        let mut found: Vec<KeyHead> = Vec::new();
        // Again where some are gone by now, or were never ours: a page that is not full is the last one.
        while found.len() < limit {
            let page: Vec<Key> = keys.by_ref().take(limit - found.len()).collect();
            if page.is_empty() {
                break;
            }
            let subjects: Vec<String> = page.iter().map(|key| space.record(key)).collect();
            let heads = stored::last_of_each(&self.link, &space.stream(), &subjects, self.streams.replicas()).await?;
            let mut heads: FxHashMap<String, Stored> =
                heads.into_iter().map(|message| (message.subject.clone(), message)).collect();
            for (key, subject) in page.into_iter().zip(subjects) {
                let message = match heads.remove(&subject) {
                    Some(message) => message,
                    // The server leaves out what it cannot read, and what follows it.
                    None => match self.last(&key).await {
                        Ok(Some(message)) => message,
                        Ok(None) => continue,
                        Err(error @ StoreError::Damaged { .. }) => {
                            found.push((key, Err(error)));
                            continue;
                        }
                        Err(error) => return Err(error),
                    },
                };
                match message.about() {
                    Ok(about) => found.push((key, Ok(about.meta))),
                    Err(error) if self.is_ours(&space, &message).await? => found.push((key, Err(error))),
                    Err(_) => {}
                }
            }
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let metas = found.iter_mut().filter_map(|(key, meta)| Some((&*key, meta.as_mut().ok()?))).collect();
        for (key, error) in self.put_readable_ends(namespace, metas).await? {
            if let Ok(at) = found.binary_search_by(|(other, _)| other.cmp(&key)) {
                found[at].1 = Err(error);
            }
        }
        Ok(found)
    }

    /// Whether a message that cannot be read is a revision that was damaged, or lies over revisions, and not just a message of
    /// somebody else.
    async fn is_ours(&self, space: &Space, message: &Stored) -> Result<bool, StoreError> {
        if message.has_about() {
            return Ok(true);
        }
        let all = stored::all(&self.link, &space.stream(), &message.subject, self.streams.replicas()).await?;
        Ok(all.damaged.is_some() || all.messages.iter().any(Stored::has_about))
    }

    async fn read_namespaces(&self) -> Result<Vec<Namespace>, StoreError> {
        let everything = streams::everything(&self.link).await?;
        if let Some(missing) = everything.missing.first() {
            let (place, more) = (self.link.place(), everything.missing.len() - 1);
            let why = format!("{place}: no server answers for the stream {missing} and {more} more");
            return Err(StoreError::Unavailable(why));
        }
        let mut found = Vec::new();
        for stream in everything.streams {
            let Some(namespace) = names::namespace_of(&stream.config.name) else { continue };
            let space = Space::of(&namespace);
            // Marks of watches are no keys.
            if stream.state.messages > 0
                && stored::is_any(&self.link, &space.stream(), &space.all_records(), self.streams.replicas()).await?
            {
                found.push(namespace);
            }
        }
        found.sort();
        Ok(found)
    }

    async fn remove_older(&self, key: &Key, keep: u32) -> Result<u64, StoreError> {
        let kept = self.kept_whole(key).await?;
        let Some((newest, head)) = kept.revisions.last() else { return Ok(0) };
        let oldest = newest.get().saturating_sub(u64::from(keep.max(1)));
        let (mut removed, mut first_kept) = (0, head.place);
        for (rev, message) in kept.revisions.iter().rev() {
            if rev.get() > oldest {
                first_kept = message.place;
            } else if !kept.pinned.contains_key(rev) && !kept.loose.contains_key(rev) {
                removed += 1;
            }
        }
        let space = Space::of(&key.namespace);
        for rev in kept.loose.keys().filter(|rev| rev.get() <= oldest) {
            self.purge(&space.beside(), &space.pin(key, *rev), None).await?;
            removed += 1;
        }
        if kept.first.is_some_and(|first| first < first_kept) {
            // A watch that is not as far as what stays would find other changes before it learns of the gap.
            self.remove_records(key, first_kept, first_kept).await?;
        }
        Ok(removed)
    }
}

/// What is kept of a key.
#[derive(Default)]
struct Kept {
    /// The lowest revision that is kept unpinned.
    low: u64,
    /// The revisions in the stream, the oldest first; pinned ones among them.
    revisions: Vec<(Rev, Stored)>,
    /// Those that are pinned.
    pinned: BTreeMap<Rev, Stored>,
    /// Those that were pinned and are kept until a commit removes them.
    loose: BTreeMap<Rev, Stored>,
    /// The place of the first message, which may be kept for watches alone.
    first: Option<u64>,
    /// Why one of them cannot be read.
    damaged: Option<StoreError>,
}

impl Store for Nats {
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Arc<Record>>, StoreError>> {
        self.read_head(key).boxed()
    }

    fn revision<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<Option<Record>, StoreError>> {
        self.read_revision(key, rev).boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, StoreError>> {
        self.write(commit).boxed()
    }

    fn extend<'a>(&'a self, key: &'a Key, rev: Rev, expires_at: UnixMillis) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.move_end(key, rev, expires_at).boxed()
    }

    fn history<'a>(
        &'a self,
        key: &'a Key,
        before: Option<Rev>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        self.read_history(key, before, limit).boxed()
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<KeyHead>, StoreError>> {
        self.read_list(namespace, prefix, after, limit).boxed()
    }

    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Key>, StoreError>> {
        async move {
            let mut keys = self.read_keys(namespace, "", after).await?;
            keys.truncate(limit);
            Ok(keys)
        }
        .boxed()
    }

    fn namespaces(&self) -> BoxFuture<'_, Result<Vec<Namespace>, StoreError>> {
        self.read_namespaces().boxed()
    }

    fn pieces<'a>(
        &'a self,
        namespace: &'a Namespace,
        ids: &'a [PieceId],
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>, StoreError>> {
        self.read_pieces(namespace, ids).boxed()
    }

    fn pin<'a>(&'a self, key: &'a Key, rev: Rev, pin: Pin) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.write_pin(key, rev, pin).boxed()
    }

    fn prune<'a>(&'a self, key: &'a Key, keep: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.remove_older(key, keep).boxed()
    }

    fn latest<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Result<Cursor, StoreError>> {
        async move {
            let info = leader::info(&self.link, &Space::of(namespace).stream()).await?;
            Ok(info.map_or(Cursor::START, |info| Cursor::at(info.state.last_seq)))
        }
        .boxed()
    }

    fn watch<'a>(&'a self, namespace: &'a Namespace, prefix: &'a str, after: After) -> Changes {
        watch::stream(Arc::clone(&self.link), namespace, prefix, after)
    }

    fn due(&self, now: UnixMillis, limit: usize) -> BoxFuture<'_, Result<Vec<(Key, Meta)>, StoreError>> {
        self.read_due(now, limit).boxed()
    }

    fn forget<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.remove_key(key, rev).boxed()
    }

    fn facts(&self) -> Facts {
        let mut notes = vec![
            format!(
                "A watch can go back {EVENTS_PER_KEY} changes of a key, or as many as its revisions if these are more, \
                     and not behind a deleted key that was forgotten or revisions that were pruned by hand."
            ),
            "A page of a list makes the server tell the names of all keys under the whole segments of the prefix."
                .to_owned(),
            format!("At most {REVISIONS_PER_KEY} revisions of a key are kept, also where more are asked for."),
            "An acknowledged write can be lost in a crash of the server's machine unless the server has \
             `sync_interval: always`, or the stream has three replicas."
                .to_owned(),
        ];
        if self.streams.replicas() > 1 {
            notes.push("Lists and histories may come from a replica that is a moment behind.".to_owned());
        }
        Facts {
            engine: "nats",
            durability: Durability::Server,
            place: self.link.place().to_owned(),
            rewrites: false,
            events_kept: 0,
            notes,
        }
    }

    fn most_revisions(&self) -> Option<u32> {
        Some(REVISIONS_PER_KEY)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.link.close().await;
            Ok(())
        }
        .boxed()
    }
}
