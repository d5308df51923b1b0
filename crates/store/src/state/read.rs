//! Reads: what was asked for, whole and checked, or why it cannot be had.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::StateError;
use crate::meta::{Kind, Meta};
use crate::name::{Key, Rev};
use crate::pack;
use crate::record::{Body, Record};
use crate::seal::Place;

use super::body::{check, damaged};
use super::draft::later;
use super::hot::{Hot, Known};
use super::write::same;
use super::{At, State, Value};

/// The most differences between a revision and its content. Writes make 15 at most; more is damage.
const MAX_STEPS: usize = 64;
/// How often a read begins again because what it reads was replaced and removed meanwhile.
const TRIES: usize = 8;

impl State {
    /// Reads a revision and checks its hash. A read of the head lets a sliding time begin again.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when there is no such key or revision, or the value was deleted; [`StateError::Gone`] when
    /// its time is over or the revision is not kept any more; [`StateError::Damaged`]; [`StateError::Busy`] when it was
    /// replaced and removed again and again while it was read; those of the engine.
    pub async fn get(&self, key: &Key, at: At) -> Result<Value, StateError> {
        match at {
            At::Head => self.get_head(key).await,
            At::Rev(rev) => self.get_rev(key, rev).await,
        }
    }

    /// Reads what is known of a revision without its content. No time begins again.
    ///
    /// # Errors
    /// Those of [`State::get`].
    pub async fn meta(&self, key: &Key, at: At) -> Result<Meta, StateError> {
        match at {
            At::Head => Ok(self.head_value(key).await?.meta.clone()),
            At::Rev(rev) => Ok(self.revision_value(key, rev).await?.meta),
        }
    }

    async fn get_head(&self, key: &Key) -> Result<Value, StateError> {
        let mut missing: Option<Arc<Record>> = None;
        for _ in 0..TRIES {
            let record = self.head_value(key).await?;
            if missing.is_some_and(|missing| same(&missing.meta, &record.meta)) {
                return Err(damaged(key, record.meta.rev, "a piece of it is not there"));
            }
            let content = match self.with_known(key, record.clone()).content {
                Known::All(content) => content,
                _ => match self.content(key, &record).await? {
                    Some((content, known)) => {
                        self.remember(key, Hot { record: record.clone(), content: known });
                        content
                    }
                    None => {
                        missing = Some(record);
                        continue;
                    }
                },
            };
            let meta = self.slide(key, record.meta.clone()).await;
            return Ok(Value { meta, content });
        }
        Err(StateError::Busy)
    }

    /// The record of a head that is a value.
    async fn head_value(&self, key: &Key) -> Result<Arc<Record>, StateError> {
        let record = self.store.head(key).await?.ok_or(StateError::NotFound)?;
        self.is_value(&record.meta)?;
        Ok(record)
    }

    async fn get_rev(&self, key: &Key, rev: Rev) -> Result<Value, StateError> {
        let (record, content) = self.record_and_content(key, rev).await?;
        Ok(Value { meta: record.meta, content })
    }

    /// The record of a revision that is a value, and the content of this very record.
    pub(super) async fn record_and_content(&self, key: &Key, rev: Rev) -> Result<(Record, Bytes), StateError> {
        let mut missing: Option<Record> = None;
        for _ in 0..TRIES {
            let record = self.revision_value(key, rev).await?;
            // Neither removed, nor rewritten as a difference or pinned meanwhile: then its parts have to be there.
            if missing.is_some_and(|missing| missing.body == record.body) {
                return Err(damaged(key, rev, "what its content is made of is not there"));
            }
            if let Some(content) = self.content_of_any(key, &record).await? {
                return Ok((record, content));
            }
            missing = Some(record);
        }
        Err(StateError::Busy)
    }

    /// The record of a revision that is a value.
    async fn revision_value(&self, key: &Key, rev: Rev) -> Result<Record, StateError> {
        if let Some(record) = self.store.revision(key, rev).await? {
            self.is_value(&record.meta)?;
            return Ok(record);
        }
        match self.store.head(key).await? {
            Some(head) if head.meta.rev >= rev => Err(StateError::Gone),
            _ => Err(StateError::NotFound),
        }
    }

    fn is_value(&self, meta: &Meta) -> Result<(), StateError> {
        match meta.kind {
            Kind::Deleted => Err(StateError::NotFound),
            Kind::Expired => Err(StateError::Gone),
            Kind::Value if meta.has_expired(self.now()) => Err(StateError::Gone),
            Kind::Value => Ok(()),
        }
    }

    /// The content of a revision, whatever it is kept as; `None` when something that it is made of is not there.
    pub(super) async fn content_of_any(&self, key: &Key, record: &Record) -> Result<Option<Bytes>, StateError> {
        let mut differences = Vec::new();
        let mut base = record.clone();
        while let Body::Delta { on, bytes } = &base.body {
            if differences.len() == MAX_STEPS || *on <= base.meta.rev {
                return Err(damaged(key, record.meta.rev, "its differences have no end"));
            }
            differences.push((base.meta.rev, bytes.clone()));
            let Some(next) = self.store.revision(key, *on).await? else { return Ok(None) };
            base = next;
        }
        let known = self.remembered(key).filter(|hot| same(&hot.record.meta, &base.meta)).map(|hot| hot.content);
        let mut content = match known {
            Some(Known::All(content)) => content,
            _ => match self.content(key, &base).await? {
                Some((content, _)) => content,
                None => return Ok(None),
            },
        };
        if differences.is_empty() {
            return Ok(Some(content));
        }
        for (rev, bytes) in differences.into_iter().rev() {
            let difference = self.open(Place::Body { key, rev }, &bytes).await?;
            content = pack::apply(&difference, &content).map_err(|error| damaged(key, rev, &error.to_string()))?;
        }
        check(key, record, crate::name::Hash::of(&content), content.len() as u64)?;
        Ok(Some(content))
    }

    /// Lets a sliding time begin again, when a tenth of it has gone. A failure to do so does not fail the read.
    async fn slide(&self, key: &Key, mut meta: Meta) -> Meta {
        let (Some(time), Some(expires_at)) = (meta.sliding, meta.expires_at) else { return meta };
        let fresh = later(self.now(), time);
        let tenth = u64::try_from(time.as_millis() / 10).unwrap_or(u64::MAX);
        if fresh.0.saturating_sub(expires_at.0) >= tenth.max(1)
            && matches!(self.store.extend(key, meta.rev, fresh).await, Ok(true))
        {
            meta.expires_at = Some(fresh);
        }
        meta
    }
}
