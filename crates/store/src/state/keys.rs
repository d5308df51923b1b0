//! Data keys: found in the store, or made there, under the condition that there is none.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{StateError, StoreError};
use crate::meta::{Kind, Meta};
use crate::name::{Epoch, Hash, Key, Namespace, Rev};
use crate::pack;
use crate::record::{Body, Record, shared_content_type};
use crate::seal::{DataKey, KeyRecord, SealError, Sealer, key_of, keys_namespace};
use crate::store::{Commit, Committed, Expected};

use super::State;

/// Data keys that the engine is asked for at a time.
const PAGE: usize = 256;

impl State {
    /// The data key of `namespace`, made when there is none; `None` when nothing is sealed here.
    pub(super) async fn data_key(&self, namespace: &Namespace) -> Result<Option<Arc<DataKey>>, StateError> {
        let Some(sealer) = &self.sealer else { return Ok(None) };
        if *namespace == keys_namespace() {
            return Ok(None);
        }
        if let Some(key) = sealer.data_key(namespace) {
            return Ok(Some(key));
        }
        let place = key_of(namespace);
        if let Some(record) = self.store.head(&place).await? {
            return self.admit_key(sealer, namespace, &record).map(Some);
        }
        let fresh = sealer.fresh(namespace)?;
        match self.store.commit(self.key_commit(place.clone(), None, &fresh)).await? {
            Committed::Done(_) => Ok(Some(sealer.admit(namespace, &fresh)?)),
            Committed::Lost(Some(record)) => self.admit_key(sealer, namespace, &record).map(Some),
            Committed::Lost(None) => Err(StateError::Busy),
        }
    }

    /// The data key of something that is sealed.
    pub(super) async fn known_data_key(&self, namespace: &Namespace) -> Result<Arc<DataKey>, StateError> {
        let Some(sealer) = &self.sealer else {
            return Err(StateError::NoKey(format!("{namespace} is sealed, and no key is configured")));
        };
        if let Some(key) = sealer.data_key(namespace) {
            return Ok(key);
        }
        match self.store.head(&key_of(namespace)).await? {
            Some(record) => self.admit_key(sealer, namespace, &record),
            None => Err(StateError::Damaged { what: format!("the data key of {namespace} is not there") }),
        }
    }

    fn admit_key(&self, sealer: &Sealer, namespace: &Namespace, record: &Record) -> Result<Arc<DataKey>, StateError> {
        Ok(sealer.admit(namespace, &content(record)?)?)
    }

    /// Wraps every data key with the current master key. Values are not written anew. How many were wrapped.
    ///
    /// # Errors
    /// [`StateError::NoKey`] when a data key is wrapped with a master key that is not configured, [`StateError::Damaged`] when
    /// the record of one is: those of others are wrapped nevertheless, nothing is lost, and it can be done again. Those of the
    /// engine.
    pub async fn rewrap(&self) -> Result<u64, StateError> {
        let Some(sealer) = &self.sealer else { return Ok(0) };
        let (mut wrapped, mut failed) = (0, None);
        for place in self.places_of_keys().await? {
            match self.rewrap_one(sealer, place).await {
                Ok(was) => wrapped += u64::from(was),
                Err(error @ (StateError::NoKey(_) | StateError::Damaged { .. })) => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(wrapped), Err)
    }

    /// Whether it was wrapped: with the current master key already, or by another gateway meanwhile, it is not.
    async fn rewrap_one(&self, sealer: &Sealer, place: Key) -> Result<bool, StateError> {
        let Some(record) = self.store.head(&place).await? else { return Ok(false) };
        let namespace = Namespace::stored(place.name())?;
        let Some(fresh) = sealer.rewrap(&namespace, &content(&record)?)? else { return Ok(false) };
        let committed = self.store.commit(self.key_commit(place, Some(&record.meta), &fresh)).await?;
        Ok(matches!(committed, Committed::Done(_)))
    }

    /// How many data keys are wrapped by each master key, by its id; not those whose record is damaged, which
    /// [`State::check`] names.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn masters_in_use(&self) -> Result<BTreeMap<String, u64>, StateError> {
        let mut masters = BTreeMap::new();
        for place in self.places_of_keys().await? {
            match self.master_of(&place).await {
                Ok(Some(master)) => *masters.entry(master).or_default() += 1,
                Ok(None) | Err(StateError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(masters)
    }

    async fn master_of(&self, place: &Key) -> Result<Option<String>, StateError> {
        let Some(record) = self.store.head(place).await? else { return Ok(None) };
        Ok(Some(KeyRecord::decode(&content(&record)?)?.master))
    }

    /// Where data keys lie: there are as many as namespaces.
    async fn places_of_keys(&self) -> Result<Vec<Key>, StateError> {
        let mut places: Vec<Key> = Vec::new();
        loop {
            let page = self.store.keys(&keys_namespace(), places.last().map(Key::name), PAGE).await?;
            let full = page.len() == PAGE;
            places.extend(page);
            if !full {
                return Ok(places);
            }
        }
    }

    /// A commit of a data key's record: plain, and only the newest is kept.
    fn key_commit(&self, key: Key, parent: Option<&Meta>, content: &[u8]) -> Commit {
        let rev = parent.map_or(Rev::FIRST, |parent| parent.rev.next());
        let hash = Hash::of(content);
        let content_type = shared_content_type("application/json");
        let chain = Meta::link(parent.map(|parent| &parent.chain), rev, Kind::Value, &hash, &content_type, None);
        let meta = Meta {
            rev,
            parent: parent.map(|parent| parent.rev),
            kind: Kind::Value,
            content_type,
            schema: None,
            hash,
            chain,
            size: content.len() as u64,
            created_at: self.now(),
            expires_at: None,
            sliding: None,
            epoch: Epoch::FIRST,
            by: None,
            handoff: None,
        };
        Commit {
            key,
            expected: Expected::head(parent),
            record: Record { meta, body: Body::Whole(pack::pack(content).into()) },
            parent_again: None,
            pieces: Vec::new(),
            keep: 1,
        }
    }
}

/// The content of a data key's record.
fn content(record: &Record) -> Result<Bytes, StateError> {
    let damaged = || StoreError::damaged("the record of a data key is not what was written");
    let Body::Whole(packed) = &record.body else { return Err(damaged().into()) };
    let content = pack::unpack(packed, pack::MAX_WHOLE).map_err(|_| damaged())?;
    if Hash::of(&content) == record.meta.hash { Ok(content) } else { Err(damaged().into()) }
}

impl From<SealError> for StateError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Damaged(_) | SealError::OtherKey { .. } | SealError::Version(_) => {
                Self::Damaged { what: error.to_string() }
            }
            SealError::NoRandom => Self::Unavailable(error.to_string()),
            _ => Self::NoKey(error.to_string()),
        }
    }
}
