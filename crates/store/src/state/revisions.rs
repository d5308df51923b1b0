//! Earlier revisions, and lists of keys: restored, forked, pinned, pruned, compared.

use crate::change::{Format, diff};
use crate::error::StateError;
use crate::meta::{Kind, Meta};
use crate::name::{Hash, Key, Namespace, Rev};
use crate::pack;
use crate::record::{Body, Record};
use crate::seal::Place;
use crate::store::{Pin, Revision};

use super::body::wrap;
use super::draft::Draft;
use super::write::check_size;
use super::{At, Condition, Listed, State, Terms, Value};

/// The most that one call of [`State::list`] or [`State::history`] gives.
pub const MAX_PAGE: usize = 1000;
/// Heads that [`State::list`] asks for at a time at least, once it has met one that is gone.
const MIN_PAGE: usize = 256;
/// How often it asks: a namespace of which everything was deleted is not looked through in one call.
const LOOKS: usize = 4;
/// How often a revision is restored or pinned anew because the key began another life meanwhile.
const TRIES: usize = 4;

impl State {
    /// Writes the content of an earlier revision as a new one, with its content type and schema.
    ///
    /// # Errors
    /// Those of [`State::get`] for `from`, those of [`State::put`] for the new one.
    pub async fn restore(&self, key: &Key, from: Rev, condition: Condition, terms: Terms) -> Result<Meta, StateError> {
        for _ in 0..TRIES {
            // Looked at before the content is read: a key that begins another life in between has another head by then, and
            // the content of the one life is not written on the other's.
            let head = self.store.head(key).await?;
            let value = self.get(key, At::Rev(from)).await?;
            let of = match condition {
                Condition::At(_) => head.map(|head| head.meta.chain),
                Condition::Absent => None,
            };
            match self.write_again(key, condition, value, of, terms.clone()).await {
                Err(StateError::Lost { head: Some(head) }) if condition == Condition::At(head.rev) => {}
                outcome => return outcome,
            }
        }
        Err(StateError::Busy)
    }

    /// Writes the content of a revision under another key, which has no value yet. Within a namespace, the pieces of a long
    /// content are shared.
    ///
    /// # Errors
    /// Those of [`State::get`] for `from`, those of [`State::put`] for `to`.
    pub async fn fork(&self, from: &Key, at: At, to: &Key, terms: Terms) -> Result<Meta, StateError> {
        let value = self.get(from, at).await?;
        self.write_again(to, Condition::Absent, value, None, terms).await
    }

    async fn write_again(
        &self,
        key: &Key,
        condition: Condition,
        value: Value,
        of: Option<Hash>,
        terms: Terms,
    ) -> Result<Meta, StateError> {
        check_size(&self.settings.of(&key.namespace), value.content.len())?;
        let draft = Draft {
            kind: Kind::Value,
            content: self.ready(&key.namespace, value.content).await?,
            content_type: Some(value.meta.content_type),
            schema: value.meta.schema,
            terms,
            handoff: None,
            of,
        };
        self.write(key, condition, draft).await
    }

    /// Pins a revision, so that it stays however many come after it, or lets go of it; what was let go of and is not among
    /// the newest goes with the next write.
    ///
    /// # Errors
    /// Those of [`State::get`] for the revision; [`StateError::Busy`] when it was replaced by another of its number again and
    /// again.
    pub async fn pin(&self, key: &Key, rev: Rev, on: bool) -> Result<(), StateError> {
        for _ in 0..TRIES {
            let pin = if on { self.pinned(key, rev).await? } else { Pin::Off };
            if self.store.pin(key, rev, pin).await? {
                return Ok(());
            }
            if on && self.store.revision(key, rev).await?.is_some() {
                // Another than the one that was read.
                continue;
            }
            return match self.store.head(key).await? {
                Some(head) if head.meta.rev >= rev => Err(StateError::Gone),
                _ => Err(StateError::NotFound),
            };
        }
        Err(StateError::Busy)
    }

    /// A revision as it is kept while it is pinned: not as a difference to one that may go.
    async fn pinned(&self, key: &Key, rev: Rev) -> Result<Pin, StateError> {
        let (record, content) = self.record_and_content(key, rev).await?;
        let body = match record.body {
            Body::Delta { .. } => {
                let data_key = self.data_key(&key.namespace).await?;
                let packed = pack::pack(&content);
                Body::Whole(wrap(packed, data_key.as_deref(), Place::Body { key, rev })?)
            }
            whole => whole,
        };
        Ok(Pin::On(Box::new(Record { meta: record.meta, body })))
    }

    /// Removes all but the newest `keep` revisions (at least 1) and the pinned ones. How many were removed.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn prune(&self, key: &Key, keep: u32) -> Result<u64, StateError> {
        Ok(self.store.prune(key, keep.max(1)).await?)
    }

    /// Revisions with a number smaller than `before`, the newest first, at most `limit` and at most [`MAX_PAGE`]; tombstones
    /// too.
    ///
    /// # Errors
    /// [`StateError::NotFound`] when there is no such key; those of the engine.
    pub async fn history(&self, key: &Key, before: Option<Rev>, limit: usize) -> Result<Vec<Revision>, StateError> {
        let revisions = self.store.history(key, before, limit.min(MAX_PAGE)).await?;
        if revisions.is_empty() && limit > 0 && self.store.head(key).await?.is_none() {
            return Err(StateError::NotFound);
        }
        Ok(revisions)
    }

    /// What changed from one revision to another, as a JSON Patch (RFC 6902).
    ///
    /// # Errors
    /// Those of [`State::get`]; [`StateError::BadPatch`] when one of them is not JSON.
    pub async fn diff(&self, key: &Key, from: Rev, to: Rev) -> Result<String, StateError> {
        let (from, to) = (self.get(key, At::Rev(from)).await?, self.get(key, At::Rev(to)).await?);
        if [&from, &to].iter().any(|value| Format::of(&value.meta.content_type) != Format::Json) {
            return Err(StateError::BadPatch("only revisions that are JSON can be compared".to_owned()));
        }
        diff(&from.content, &to.content).map_err(|error| StateError::BadPatch(error.to_string()))
    }

    /// The keys of a namespace that have a value, whose names begin with `prefix` and come after `after`, in the order of
    /// their names' bytes; at most `limit` and at most [`MAX_PAGE`]. One whose head is damaged is named with that error.
    ///
    /// There may be fewer, and none at all, though there are more: a call looks at some 4,000 heads at most, or 1,000 for a
    /// short page, and what was deleted or has expired is one for a day.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed, StateError> {
        let limit = limit.min(MAX_PAGE);
        let mut listed = Listed { items: Vec::new(), next: after.map(str::to_owned) };
        let mut asked = limit;
        for _ in 0..LOOKS {
            let page = self.store.list(namespace, prefix, listed.next.as_deref(), asked).await?;
            let full = page.len() == asked;
            // Behind tombstones there are often more: a short list is not to ask once for each of them.
            asked = limit.max(MIN_PAGE);
            let now = self.now();
            for (key, meta) in page {
                if listed.items.len() == limit {
                    return Ok(listed);
                }
                listed.next = Some(key.name().to_owned());
                // A damaged one may have a value: whoever looks for it is told.
                if meta.as_ref().map_or(true, |meta| !meta.is_gone(now)) {
                    listed.items.push((key, meta.map_err(StateError::from)));
                }
            }
            if !full || limit == 0 {
                listed.next = None;
                break;
            }
            if listed.items.len() == limit {
                break;
            }
        }
        Ok(listed)
    }
}
