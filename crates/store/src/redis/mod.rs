//! State in Redis or Valkey, from 7.0 on: shared by several gateways.
//!
//! A commit is one transaction and one round trip, but for one that the server has to be sent the script for, and one behind a
//! watch that is about to begin; see `commit.rs` for those that come together. The records are put where nobody looks, and
//! one Lua script compares, names them in the heads, prunes and adds to the stream of changes. What is kept where stands in
//! `keys.rs` and at the head of `lua/common.lua`, and how a flipped bit in it is found in `sealed.rs`. Nothing is left to
//! Redis's own expiry: [`State`](crate::State) buries what is due, so that every end of a value is a revision and an event
//! like any other. Not for Redis Cluster; the server has to keep what it was given (`maxmemory-policy noeviction`), and only
//! `appendonly yes` with `appendfsync always` makes an acknowledged write outlive a crash.
//!
//! An answer that did not come is [`StoreError::Unknown`], never a failure: see `link.rs`.
//!
//! Refused: one Redis string for each key under `WATCH`/`MULTI` (three round trips, and a race costs all of them),
//! `RedisJSON` (a module that most servers do not have), keyspace notifications (lost over a reconnect).

mod commit;
mod facts;
mod head;
mod keys;
mod link;
mod reply;
mod script;
mod sealed;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use tradewind_core::{Secret, UnixMillis};

use self::commit::{Commits, distinct};
use self::keys::Space;
use self::link::Link;
use self::script::Script;
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};
use crate::record::{PieceId, Record};
use crate::store::{After, Commit, Committed, Cursor, Facts, KeyHead, Pin, Revision, Store};
use crate::told::Changes;

/// Changes of a namespace that a watch can go back, at least, as long as it has a key. Redis removes older ones by whole
/// nodes, so that a few more are there.
pub const EVENTS_KEPT: u64 = 10_000;
/// No meta of a record is longer: what `meta.rs` allows for texts, and the rest.
const META_ROOM: usize = 1_024;
/// The greatest revision: scripts count in floating point, and tell all numbers apart up to here.
const MAX_REV: u64 = 1 << 53;
/// Keys that one script lists, so that it holds up nobody for long.
const LIST_STEP: usize = 500;
/// Pieces that are asked for at once: 64 of 64 KiB.
const PIECES_STEP: usize = 64;

/// Where a Redis is and how to trust it.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://[user:password@]host[:port][/database]`; `rediss://` with TLS.
    pub address: Secret<String>,
    /// The certificates that the server's has to go back to, in PEM; without them those of the system.
    pub roots: Option<Vec<u8>>,
}

/// State in a Redis.
pub struct Redis {
    link: Arc<Link>,
    commits: Commits,
    facts: Facts,
}

impl Redis {
    /// Connects, looks how the server is set up, and whether it lets us send what a commit is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be reached, does not let us in or run scripts, or is older than 7.0;
    /// [`StoreError::Unsupported`] for an address that is none, and for a cluster.
    pub async fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        let link = Arc::new(Link::new(settings)?);
        let facts = facts::facts(&link).await?;
        // Commits are transactions with a script: whoever may not send one is told now. No namespace has this name.
        let keys = [&b"tw:{}:heads"[..], b"tw:{}:records"];
        let [source, digest] = [Script::by_source, Script::by_digest].map(|call| call(Script::Head, &keys, &[b"none"]));
        for command in [redis::cmd("MULTI"), redis::cmd("DISCARD"), source, digest] {
            link.read(&command).await?;
        }
        Ok(Self { commits: Commits::new(link.clone())?, link, facts })
    }

    async fn read_head(&self, key: &Key) -> Result<Option<Arc<Record>>, StoreError> {
        let space = Space::of(&key.namespace);
        let keys = [&space.heads()[..], &space.records()];
        let answer = self.link.read_script(Script::Head, &keys, &[key.name().as_bytes()]).await?;
        Ok(reply::record(key, answer)?.map(Arc::new))
    }

    async fn read_revision(&self, key: &Key, rev: Rev) -> Result<Option<Record>, StoreError> {
        let space = Space::of(&key.namespace);
        let keys = [&space.heads()[..], &space.key(key), &space.records()];
        let args = [key.name().as_bytes(), &sealed::field(rev)];
        reply::revision(key, rev, self.link.read_script(Script::Revision, &keys, &args).await?)
    }

    async fn write(&self, commit: Commit) -> Result<Committed, StoreError> {
        if commit.record.meta.rev.get() > MAX_REV {
            let head = self.read_head(&commit.key).await?;
            let is = commit.expected.holds(head.as_deref().map(|head| &head.meta));
            let too_great = StoreError::Unsupported("Redis counts revisions up to 2^53");
            return if is { Err(too_great) } else { Ok(Committed::Lost(head)) };
        }
        self.commits.write(&commit).await
    }

    async fn read_list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeyHead>, StoreError> {
        let space = Space::of(namespace);
        let end = keys::range_end(prefix);
        let mut start = keys::range_start(prefix, after);
        let mut found: Vec<KeyHead> = Vec::new();
        while found.len() < limit {
            let step = (limit - found.len()).min(LIST_STEP);
            let (many, room) = (step.to_string(), META_ROOM.to_string());
            let args = [space.prefix(), &start, &end, many.as_bytes(), room.as_bytes()];
            let answer = self.link.read_script(Script::List, &[&space.names()], &args).await?;
            let heads = reply::heads(answer, namespace)?;
            let last_step = heads.len() < step;
            found.extend(heads);
            match found.last() {
                Some((key, _)) if !last_step => start = keys::range_start(prefix, Some(key.name())),
                _ => break,
            }
        }
        Ok(found)
    }

    async fn read_keys(
        &self,
        namespace: &Namespace,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Key>, StoreError> {
        let mut command = redis::cmd("ZRANGEBYLEX");
        command.arg(Space::of(namespace).names()).arg(keys::range_start("", after)).arg(keys::range_end(""));
        command.arg("LIMIT").arg(0).arg(at_most(limit));
        reply::keys(self.link.read(&command).await?, namespace)
    }

    /// The namespaces that can be read, and whether these are all.
    async fn readable_namespaces(&self) -> Result<(Vec<Namespace>, bool), StoreError> {
        reply::namespaces(self.link.read(redis::cmd("SMEMBERS").arg(keys::NAMESPACES)).await?)
    }

    async fn read_namespaces(&self) -> Result<Vec<Namespace>, StoreError> {
        let (mut namespaces, all) = self.readable_namespaces().await?;
        if !all {
            // The names of their keys say it too; it only takes longer to look through them.
            let mut next = 0;
            loop {
                let mut command = redis::cmd("SCAN");
                command.arg(next).arg("MATCH").arg(keys::NAMES).arg("COUNT").arg(LIST_STEP);
                let (behind, mut found) = reply::scanned(self.link.read(&command).await?)?;
                namespaces.append(&mut found);
                if behind == 0 {
                    break;
                }
                next = behind;
            }
        }
        namespaces.sort();
        namespaces.dedup();
        Ok(namespaces)
    }

    async fn read_pieces(&self, namespace: &Namespace, ids: &[PieceId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let space = Space::of(namespace);
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(PIECES_STEP) {
            let mut command = redis::cmd("HMGET");
            command.arg(space.pieces());
            for id in ids {
                command.arg(&id.0[..]);
            }
            found.append(&mut reply::pieces(self.link.read(&command).await?, ids)?);
        }
        Ok(found)
    }

    async fn read_due(&self, now: UnixMillis, limit: usize) -> Result<Vec<(Key, Meta)>, StoreError> {
        let (now, room) = (now.0.to_string(), META_ROOM.to_string());
        let (namespaces, _) = self.readable_namespaces().await?;
        let each = namespaces.iter().map(async |namespace| {
            let space = Space::of(namespace);
            let mut many = limit;
            loop {
                let asked = at_most(many).to_string();
                let args = [space.prefix(), now.as_bytes(), asked.as_bytes(), room.as_bytes()];
                let answer = self.link.read_script(Script::Due, &[&space.due()], &args).await?;
                let (heads, damaged) = reply::readable_heads(answer, namespace)?;
                // What cannot be read must not keep what is due behind it from its end.
                if damaged == 0 || heads.len() >= limit || heads.len() + damaged < many {
                    return Ok(heads);
                }
                many = many.saturating_add(damaged);
            }
        });
        let mut due = Vec::new();
        for found in join_all(each).await {
            match found {
                Ok(found) => due.extend(found),
                // Nor must a namespace whose times cannot be read at all.
                Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        due.sort_by_key(|(_, meta)| meta.expires_at);
        due.truncate(limit);
        Ok(due)
    }
}

/// How many of something, as the server can count.
fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// What waits for changes holds the link: it goes with the store.
impl Drop for Redis {
    fn drop(&mut self) {
        self.link.close();
    }
}

impl Store for Redis {
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
        async move {
            let space = Space::of(&key.namespace);
            let keys = [&space.heads()[..], &space.key(key), &space.due()];
            let args = [key.name().as_bytes(), &sealed::field(rev), &sealed::end(key, rev, expires_at)];
            reply::yes(self.link.write_script(Script::Extend, &keys, &args).await?)
        }
        .boxed()
    }

    fn history<'a>(
        &'a self,
        key: &'a Key,
        before: Option<Rev>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Revision>, StoreError>> {
        async move {
            let space = Space::of(&key.namespace);
            let (before, many) = (before.map_or(0, Rev::get).to_string(), limit.to_string());
            let room = META_ROOM.to_string();
            let keys = [&space.heads()[..], &space.key(key)];
            let args = [space.prefix(), key.name().as_bytes(), before.as_bytes(), many.as_bytes(), room.as_bytes()];
            reply::history(key, self.link.read_script(Script::History, &keys, &args).await?)
        }
        .boxed()
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
        self.read_keys(namespace, after, limit).boxed()
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
        async move {
            let space = Space::of(&key.namespace);
            let (record, pieces, chain) = match &pin {
                Pin::On(record) => {
                    (sealed::record(key, record), distinct(record.body.pieces()), &record.meta.chain.0[..])
                }
                Pin::Off => (Vec::new(), Vec::new(), &[][..]),
            };
            let room = META_ROOM.to_string();
            let keys = [&space.heads()[..], &space.key(key)];
            let args =
                [space.prefix(), key.name().as_bytes(), &sealed::field(rev), &record, &pieces, chain, room.as_bytes()];
            reply::yes(self.link.write_script(Script::Pin, &keys, &args).await?)
        }
        .boxed()
    }

    fn prune<'a>(&'a self, key: &'a Key, keep: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        async move {
            let space = Space::of(&key.namespace);
            let keep = keep.max(1).to_string();
            let keys = [&space.heads()[..], &space.key(key)];
            let args = [space.prefix(), key.name().as_bytes(), keep.as_bytes()];
            reply::count(self.link.write_script(Script::Prune, &keys, &args).await?)
        }
        .boxed()
    }

    fn latest<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Result<Cursor, StoreError>> {
        watch::latest(Arc::clone(&self.link), namespace.clone()).boxed()
    }

    fn watch<'a>(&'a self, namespace: &'a Namespace, prefix: &'a str, after: After) -> Changes {
        watch::stream(Arc::clone(&self.link), namespace, prefix, after)
    }

    fn due(&self, now: UnixMillis, limit: usize) -> BoxFuture<'_, Result<Vec<(Key, Meta)>, StoreError>> {
        self.read_due(now, limit).boxed()
    }

    fn forget<'a>(&'a self, key: &'a Key, rev: Rev) -> BoxFuture<'a, Result<bool, StoreError>> {
        async move {
            let space = Space::of(&key.namespace);
            let keys = [&space.heads()[..], &space.key(key)];
            let args = [space.prefix(), key.name().as_bytes(), &sealed::field(rev)];
            reply::yes(self.link.write_script(Script::Forget, &keys, &args).await?)
        }
        .boxed()
    }

    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.link.close();
        async { Ok(()) }.boxed()
    }
}
