//! What callers ask for in words of their own: a value put, patched or deleted, and two writers' values merged. All of them
//! are drafts in the end, which `write.rs` writes.

use crate::change::{ChangeError, DisjointJson, Format, Merger, Patch, Sides, check_json};
use crate::error::StateError;
use crate::meta::{Kind, Meta, check_content_type};
use crate::name::{Hash, Key, Rev};
use crate::settings::{OnConflict, Rules};

use super::draft::Draft;
use super::write::{TRIES, check_size, same};
use super::{At, Condition, MAX_PAGE, New, State, Terms};

impl State {
    /// Writes a value.
    ///
    /// In a namespace that merges, a write that lost its race is merged with what is there, if its base is still kept, and
    /// tried again; not past a deletion, an expiry or a hand-off: who lost the value does not write it.
    ///
    /// # Errors
    /// [`StateError::Lost`], [`StateError::Fenced`], [`StateError::TooLarge`], [`StateError::NotJson`],
    /// [`StateError::Meta`], [`StateError::Busy`] after 16 lost races; [`StateError::Unknown`] and the other errors of the
    /// engine.
    pub async fn put(&self, key: &Key, condition: Condition, new: New) -> Result<Meta, StateError> {
        let merges = self.settings.of(&key.namespace).on_conflict == OnConflict::Merge;
        self.put_or_merge(key, condition, new, None, merges).await
    }

    async fn put_or_merge(
        &self,
        key: &Key,
        condition: Condition,
        new: New,
        of: Option<Hash>,
        merges: bool,
    ) -> Result<Meta, StateError> {
        let rules = self.settings.of(&key.namespace);
        check_content_type(&new.content_type)?;
        check_size(&rules, new.content.len())?;
        if Format::of(&new.content_type) == Format::Json {
            check_json(&new.content).map_err(|error| StateError::NotJson(error.to_string()))?;
        }
        let draft = Draft {
            kind: Kind::Value,
            content: self.ready(&key.namespace, new.content.clone()).await?,
            content_type: Some(new.content_type.clone()),
            schema: new.schema.clone(),
            terms: new.terms.clone(),
            handoff: None,
            of,
        };
        match (self.write(key, condition, draft).await, condition) {
            (Err(StateError::Lost { head: Some(head) }), Condition::At(base)) if merges => {
                self.put_merged(key, base, of, head, new, &rules).await
            }
            (outcome, _) => outcome,
        }
    }

    /// Changes a JSON value by a JSON Patch (RFC 6902). Content type and schema stay.
    ///
    /// In a namespace that merges, what it makes is merged like a value; but a patch with a `test` is never: it is meant for
    /// no other content than the one that passed.
    ///
    /// # Errors
    /// [`StateError::BadPatch`] and those of [`State::put`].
    pub async fn patch(&self, key: &Key, rev: Rev, patch: &[u8], terms: Terms) -> Result<Meta, StateError> {
        let rules = self.settings.of(&key.namespace);
        let patch = Patch::parse(patch).map_err(bad_patch)?;
        if let Some(additions) = patch.additions() {
            // A conversation that grows: of a long one only the end is looked at.
            match self.append_once(key, rev, additions.as_bytes(), Some(Format::Json), &terms, &rules).await {
                // The value is no array, or another was faster: what follows says so, or merges.
                Err(StateError::BadPatch(_) | StateError::Lost { .. }) => {}
                outcome => return outcome,
            }
        }
        for _ in 0..TRIES {
            match self.patch_once(key, rev, &patch, &terms, &rules).await {
                // Not what was remembered under this number; and what is remembered now is.
                Err(StateError::Lost { head: Some(head) }) if head.rev == rev => {}
                outcome => return outcome,
            }
        }
        Err(StateError::Busy)
    }

    async fn patch_once(
        &self,
        key: &Key,
        rev: Rev,
        patch: &Patch<'_>,
        terms: &Terms,
        rules: &Rules,
    ) -> Result<Meta, StateError> {
        let merges = rules.on_conflict == OnConflict::Merge && !patch.has_test();
        let (meta, content) = match self.head_at(key, rev, terms).await {
            Ok(head) => (head.record.meta.clone(), self.whole(key, &head).await?.0),
            // The patch is made to what its writer saw, and the outcome merged.
            Err(StateError::Lost { head: Some(head) }) if merges => match self.get(key, At::Rev(rev)).await {
                Ok(base) => (base.meta, base.content),
                Err(_) => return Err(StateError::Lost { head: Some(head) }),
            },
            Err(error) => return Err(error),
        };
        if Format::of(&meta.content_type) != Format::Json {
            return Err(StateError::BadPatch("only JSON can be patched".to_owned()));
        }
        let limit = usize::try_from(rules.max_value).expect("at most 16 MiB");
        let content = patch.apply(&content, limit).map_err(|error| of_change(error, rules.max_value))?;
        let new =
            New { content: content.into(), content_type: meta.content_type, schema: meta.schema, terms: terms.clone() };
        self.put_or_merge(key, Condition::At(rev), new, Some(meta.chain), merges).await
    }

    /// Deletes a value: a tombstone takes its place, is kept for 24 hours, and until then the revisions before it can be
    /// read by number.
    ///
    /// # Errors
    /// Those of [`State::put`].
    pub async fn delete(&self, key: &Key, rev: Rev, terms: Terms) -> Result<Meta, StateError> {
        self.write(key, Condition::At(rev), Draft::tombstone(Kind::Deleted, terms)).await
    }

    async fn put_merged(
        &self,
        key: &Key,
        base: Rev,
        of: Option<Hash>,
        mut head: Box<Meta>,
        new: New,
        rules: &Rules,
    ) -> Result<Meta, StateError> {
        let merger: &dyn Merger = self.mergers.get(&key.namespace).map_or(&DisjointJson, |merger| &**merger);
        let lost = |head| Err(StateError::Lost { head: Some(head) });
        let Ok(base) = self.get(key, At::Rev(base)).await else { return lost(head) };
        if of.is_some_and(|of| of != base.meta.chain) {
            return lost(head);
        }
        let mut since = base.meta.clone();
        for _ in 0..TRIES {
            match self.same_value(key, since.rev, &head).await? {
                Some(before) if same(&before, &since) && before.epoch == base.meta.epoch => since = (*head).clone(),
                _ => return lost(head),
            }
            let alike = head.content_type == new.content_type
                && base.meta.content_type == new.content_type
                && head.schema == new.schema;
            let built_in = !self.mergers.contains_key(&key.namespace);
            if !alike || (built_in && Format::of(&new.content_type) != Format::Json) {
                return lost(head);
            }
            let theirs = match self.get(key, At::Rev(head.rev)).await {
                Ok(theirs) if same(&theirs.meta, &head) => theirs,
                Ok(_) | Err(StateError::Gone | StateError::NotFound) => return lost(head),
                Err(error) => return Err(error),
            };
            let limit = usize::try_from(rules.max_value).expect("at most 16 MiB");
            let sides = Sides { base: &base.content, head: &theirs.content, new: &new.content, limit };
            let Ok(merged) = merger.merge(sides) else { return lost(head) };
            check_size(rules, merged.len())?;
            let draft = Draft {
                kind: Kind::Value,
                content: self.ready(&key.namespace, merged.into()).await?,
                content_type: Some(new.content_type.clone()),
                schema: new.schema.clone(),
                terms: new.terms.clone(),
                handoff: None,
                of: Some(theirs.meta.chain),
            };
            match self.write(key, Condition::At(head.rev), draft).await {
                Err(StateError::Lost { head: Some(newer) }) => head = newer,
                outcome => return outcome,
            }
        }
        Err(StateError::Busy)
    }

    /// The revision `base`, if `head` is a later revision of the same value in the same hands: every one from `base` to
    /// `head` is kept, follows from the one before it, and is a value of one epoch.
    pub(super) async fn same_value(&self, key: &Key, base: Rev, head: &Meta) -> Result<Option<Meta>, StateError> {
        let steps = head.rev.get().saturating_sub(base.get());
        let Some(limit) = usize::try_from(steps).ok().filter(|steps| (1..MAX_PAGE).contains(steps)) else {
            return Ok(None);
        };
        let mut last = head.clone();
        for revision in self.store.history(key, Some(head.rev), limit).await? {
            let meta = revision.meta;
            let fits = last.parent == Some(meta.rev) && last.follows(Some(&meta.chain));
            if !fits || meta.kind != Kind::Value || meta.epoch != head.epoch {
                return Ok(None);
            }
            last = meta;
        }
        Ok((last.rev == base).then_some(last))
    }
}

/// What a change that cannot be made is called here.
pub(super) fn of_change(error: ChangeError, limit: u64) -> StateError {
    match error {
        ChangeError::TooLarge { .. } => StateError::TooLarge { size: limit + 1, limit },
        other => bad_patch(other),
    }
}

fn bad_patch(error: ChangeError) -> StateError {
    StateError::BadPatch(error.to_string())
}
