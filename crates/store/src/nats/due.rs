//! Which heads have an end: an index in memory, for a stream has none. It follows the stream from where it was, headers
//! only, whenever it is asked, and holds nothing but keys whose head has a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_nats::jetstream::consumer::DeliverPolicy;
use futures_util::future::join_all;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tradewind_core::UnixMillis;

use super::names::Space;
use super::watch::read_headers;
use super::{Nats, names, streams, sweep};
use crate::error::StoreError;
use crate::meta::Meta;
use crate::name::{Key, Namespace, Rev};

/// Ends that are looked at together.
const STEP: usize = 256;

/// The heads with an end, of all namespaces that were asked about.
#[derive(Default)]
pub(super) struct Due {
    spaces: Mutex<FxHashMap<Namespace, Arc<tokio::sync::Mutex<Index>>>>,
}

/// The end of a stream, and the connection over which it was seen, by [`Link::connection`](super::link::Link::connection).
#[derive(Clone, Copy, Default)]
struct End {
    connection: u64,
    place: u64,
}

/// Those of one namespace.
#[derive(Default)]
struct Index {
    /// Up to where the stream was read.
    read: End,
    heads: FxHashMap<Key, Meta>,
    times: BTreeSet<(UnixMillis, Key)>,
    /// When pieces were last swept.
    swept: Option<UnixMillis>,
}

impl Index {
    fn remove(&mut self, key: &Key) {
        if let Some(meta) = self.heads.remove(key)
            && let Some(at) = meta.expires_at
        {
            self.times.remove(&(at, key.clone()));
        }
    }

    fn set(&mut self, key: Key, meta: Meta) {
        self.remove(&key);
        if let Some(at) = meta.expires_at {
            self.times.insert((at, key.clone()));
            self.heads.insert(key, meta);
        }
    }
}

impl Due {
    fn of(&self, namespace: &Namespace) -> Arc<tokio::sync::Mutex<Index>> {
        self.spaces.lock().entry(namespace.clone()).or_default().clone()
    }

    /// A key whose tombstone is forgotten, or is not the head any more, is not due: its going makes no message.
    pub(super) async fn forget(&self, key: &Key, rev: Rev) {
        let index = self.of(&key.namespace);
        let mut index = index.lock().await;
        if index.heads.get(key).is_some_and(|meta| meta.rev == rev) {
            index.remove(key);
        }
    }
}

impl Nats {
    pub(super) async fn read_due(&self, now: UnixMillis, limit: usize) -> Result<Vec<(Key, Meta)>, StoreError> {
        // By what the streams say of themselves, in one request: this is asked every second.
        let mut connection = self.link.connection();
        let mut streams = streams::everything(&self.link).await?.streams;
        // Which connection it was asked over is certain only where it was the same all the while.
        while connection != self.link.connection() {
            connection = self.link.connection();
            streams = streams::everything(&self.link).await?.streams;
        }
        let ends = streams.iter().filter(|stream| stream.state.messages > 0).filter_map(|stream| {
            Some((names::namespace_of(&stream.config.name)?, End { connection, place: stream.state.last_seq }))
        });
        let each = ends.map(|(namespace, end)| self.due_in(namespace, end, now, limit));
        // A stream that cannot be read must not keep the keys of others from their end; if none can, that is told.
        let (read, failed): (Vec<_>, Vec<_>) = join_all(each).await.into_iter().partition(Result::is_ok);
        if read.is_empty()
            && let Some(Err(error)) = failed.into_iter().next()
        {
            return Err(error);
        }
        let mut due: Vec<_> = read.into_iter().flatten().flatten().collect();
        due.sort_by(|(one_key, one), (other_key, other)| (one.expires_at, one_key).cmp(&(other.expires_at, other_key)));
        due.truncate(limit);
        Ok(due)
    }

    async fn due_in(
        &self,
        namespace: Namespace,
        end: End,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<(Key, Meta)>, StoreError> {
        let namespace = &namespace;
        let index = self.due.of(namespace);
        let mut index = index.lock().await;
        self.follow(namespace, end, &mut index).await?;
        let mut due = Vec::new();
        let mut place = None;
        while due.len() < limit {
            // In steps, because an end may have been moved, and the index does not know.
            let ends = index.times.iter().take_while(|(at, _)| *at <= now);
            let step = ends.skip_while(|end| place.as_ref().is_some_and(|place| *end <= place)).take(STEP).cloned();
            let step: Vec<(UnixMillis, Key)> = step.collect();
            let Some(last) = step.last() else { break };
            place = Some(last.clone());
            let known = step.into_iter().filter_map(|(_, key)| index.heads.get(&key).cloned().map(|meta| (key, meta)));
            let mut known: Vec<(Key, Meta)> = known.collect();
            self.put_readable_ends(namespace, known.iter_mut().map(|(key, meta)| (&*key, meta)).collect()).await?;
            for (key, meta) in known {
                if meta.has_expired(now) {
                    due.push((key, meta));
                } else {
                    index.set(key, meta);
                }
            }
        }
        due.sort_by_key(|(_, meta)| meta.expires_at);
        due.truncate(limit);
        if sweep::is_due(index.swept, now) {
            index.swept = Some(now);
            match self.sweep_pieces(namespace, sweep::PERIOD).await {
                // What a damaged record names is not known: all pieces stay.
                Ok(_) | Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(due)
    }

    async fn follow(&self, namespace: &Namespace, end: End, index: &mut Index) -> Result<(), StoreError> {
        let space = Space::of(namespace);
        if index.read.connection != end.connection || end.place < index.read.place {
            // A server that lost its latest messages gives their places to others; or it is another stream of the same name.
            *index = Index { swept: index.swept, ..Index::default() };
        }
        if end.place == index.read.place {
            return Ok(());
        }
        let from = match index.read.place {
            0 => DeliverPolicy::LastPerSubject,
            read => DeliverPolicy::ByStartSequence { start_sequence: read + 1 },
        };
        let filter = space.all_records();
        read_headers(&self.link, &space.stream(), &filter, from, |subject, _, about| {
            // One that is damaged must not keep the others from being buried; every read of it says so.
            if let (Ok(key), Ok(about)) = (space.key(namespace, subject), about) {
                index.set(key, about.meta);
            }
            Ok(())
        })
        .await?;
        index.read = end;
        Ok(())
    }
}
