//! Which heads have an end: an index in memory, for a stream has none. It follows the stream from where it was, headers
//! only, whenever it is asked, and holds nothing but keys whose head has a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_nats::jetstream::consumer::DeliverPolicy;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tradewind_core::UnixMillis;

use super::names::Space;
use super::watch::read_headers;
use super::{Nats, streams, sweep};
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

/// Those of one namespace.
#[derive(Default)]
struct Index {
    /// Up to which place the stream was read.
    read: u64,
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
        // By the names of streams alone: this is asked every second, and a list of all keys is long.
        let namespaces = self.read_streams().await?;
        let each = namespaces.iter().map(|namespace| self.due_in(namespace, now, limit));
        let mut due: Vec<_> = try_join_all(each).await?.into_iter().flatten().collect();
        due.sort_by(|(one_key, one), (other_key, other)| (one.expires_at, one_key).cmp(&(other.expires_at, other_key)));
        due.truncate(limit);
        Ok(due)
    }

    async fn due_in(
        &self,
        namespace: &Namespace,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<(Key, Meta)>, StoreError> {
        let index = self.due.of(namespace);
        let mut index = index.lock().await;
        self.follow(namespace, &mut index).await?;
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
            self.put_ends(namespace, known.iter_mut().map(|(key, meta)| (&*key, meta)).collect()).await?;
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
            self.sweep_pieces(namespace, sweep::PERIOD).await?;
        }
        Ok(due)
    }

    async fn follow(&self, namespace: &Namespace, index: &mut Index) -> Result<(), StoreError> {
        let space = Space::of(namespace);
        let Some(info) = streams::info(&self.link, &space.stream()).await? else {
            *index = Index::default();
            return Ok(());
        };
        if info.state.last_seq < index.read {
            // Another stream with the same name: what was known is of the old one.
            *index = Index::default();
        }
        if info.state.last_seq == index.read {
            return Ok(());
        }
        let from = match index.read {
            0 => DeliverPolicy::LastPerSubject,
            read => DeliverPolicy::ByStartSequence { start_sequence: read + 1 },
        };
        let filter = space.all_records();
        read_headers(&self.link, &space.stream(), &filter, from, |subject, _, about| {
            let key = space.key(namespace, subject)?;
            index.set(key, about.meta);
            Ok(())
        })
        .await?;
        index.read = info.state.last_seq;
        Ok(())
    }
}
