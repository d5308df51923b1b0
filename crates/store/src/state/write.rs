//! The one way of a write: judge it by the head, make the revision, commit, and when another was faster, judge again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tradewind_core::UnixMillis;

use crate::change::{ChangeError, DisjointJson, Format, Merger, Patch, Sides, check_json};
use crate::error::StateError;
use crate::meta::{Kind, Meta, Nonce, Schema, check_by, check_content_type};
use crate::name::{Epoch, Hash, Key, Rev};
use crate::pack::{self, MAX_WHOLE, MIN_DIFFERENCE, WHOLE_EACH};
use crate::record::{Body, Record};
use crate::seal::Place;
use crate::settings::{OnConflict, Rules, TOMBSTONE_KEPT};
use crate::store::{Commit, Committed, Expected};

use super::body::{Content, damaged, wrap};
use super::hot::{Hot, Known};
use super::{At, Condition, MAX_PAGE, New, State, Terms, Ttl};

/// How often a write is judged anew because another was faster, or merged again, before it gives up. Each time somebody else
/// has won.
const TRIES: usize = 16;

/// A revision to be written, but for what its parent decides.
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) content: Content,
    /// `None` is what the parent has.
    pub(super) content_type: Option<Arc<str>>,
    pub(super) schema: Option<Schema>,
    pub(super) terms: Terms,
    /// The token that is redeemed with it; the epoch is then the next one.
    pub(super) handoff: Option<Nonce>,
    /// The chain of the head that the content was made from, where it was: it goes on no other, even of the same number.
    pub(super) of: Option<Hash>,
}

impl Draft {
    pub(super) fn tombstone(kind: Kind, terms: Terms) -> Self {
        Self { kind, content: Content::None, content_type: None, schema: None, terms, handoff: None, of: None }
    }
}

/// What the head is believed to be.
struct Seen {
    head: Option<Hot>,
    /// Whether the engine was asked just now, or said so itself.
    certain: bool,
}

/// What is to happen with a write.
enum Verdict {
    /// It may replace the head.
    Write,
    /// The head is a value whose time is over, and is buried first, so that watchers are told.
    Bury,
    /// What is believed is not good enough to refuse it.
    Look,
}

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

    /// Writes a draft under its condition.
    pub(super) async fn write(&self, key: &Key, condition: Condition, draft: Draft) -> Result<Meta, StateError> {
        if let Some(by) = &draft.terms.by {
            check_by(by)?;
        }
        let mut seen = self.believed(key, condition, draft.terms.epoch).await?;
        for _ in 0..TRIES {
            let now = self.now();
            let head = seen.head.as_ref();
            let (outcome, next) = match judge(condition, draft.terms.epoch, head, seen.certain, now)? {
                Verdict::Look => {
                    seen = self.look(key).await?;
                    continue;
                }
                Verdict::Bury => {
                    let expired = Draft::tombstone(Kind::Expired, Terms::default());
                    (self.replace(key, head, &expired, now).await?, false)
                }
                Verdict::Write if draft.of.is_some_and(|of| head.is_none_or(|head| head.record.meta.chain != of)) => {
                    let head = head.map(|head| Box::new(head.record.meta.clone()));
                    return Err(StateError::Lost { head });
                }
                Verdict::Write => (self.replace(key, head, &draft, now).await?, true),
            };
            match outcome {
                Ok(meta) if next => return Ok(meta),
                // Buried. What is remembered is no ground to refuse the write: another may have followed.
                Ok(_) => seen = self.look(key).await?,
                Err(found) => seen = Seen { head: found, certain: true },
            }
        }
        Err(StateError::Busy)
    }

    /// What the head is believed to be when a write begins: nobody is asked where the commit itself will tell.
    async fn believed(&self, key: &Key, condition: Condition, epoch: Option<Epoch>) -> Result<Seen, StateError> {
        let known = self.remembered(key);
        match condition {
            Condition::At(rev) => match known {
                Some(hot) if hot.record.meta.rev == rev => Ok(Seen { head: Some(hot), certain: false }),
                _ => self.look(key).await,
            },
            Condition::Absent if epoch.is_some() || known.is_some() => self.look(key).await,
            Condition::Absent => Ok(Seen { head: None, certain: false }),
        }
    }

    /// Asks the engine for the head.
    async fn look(&self, key: &Key) -> Result<Seen, StateError> {
        let head = self.store.head(key).await?.map(|record| self.with_known(key, record));
        Ok(Seen { head, certain: true })
    }

    /// What is known of the content of a head that the engine told of.
    pub(super) fn with_known(&self, key: &Key, record: Arc<Record>) -> Hot {
        let content = match self.remembered(key) {
            Some(known) if same(&known.record.meta, &record.meta) => known.content,
            Some(known) if known.record.meta.rev >= record.meta.rev => {
                // Of another life of the key, or of one whose last writes a server lost: never to be believed again. (Or
                // written just now, and read anew.)
                self.heads.forget(key);
                Known::Nothing
            }
            _ => Known::Nothing,
        };
        Hot { record, content }
    }

    /// The head, which has to be a value of this revision and epoch that has not expired.
    pub(super) async fn head_at(&self, key: &Key, rev: Rev, terms: &Terms) -> Result<Hot, StateError> {
        let mut seen = self.believed(key, Condition::At(rev), terms.epoch).await?;
        loop {
            match judge(Condition::At(rev), terms.epoch, seen.head.as_ref(), seen.certain, self.now())? {
                Verdict::Write => return Ok(seen.head.expect("only a head that is there fits a revision")),
                Verdict::Look | Verdict::Bury => seen = self.look(key).await?,
            }
        }
    }

    /// The content of a head, from what is known of it or from the engine.
    pub(super) async fn whole(&self, key: &Key, head: &Hot) -> Result<(Bytes, Known), StateError> {
        if let Known::All(content) = &head.content {
            return Ok((content.clone(), head.content.clone()));
        }
        if let Some(found) = self.content(key, &head.record).await? {
            return Ok(found);
        }
        // A piece that is not there was removed with the revision, by whoever wrote the next one; or it was lost.
        let newer = self.look(key).await?.head;
        if newer.as_ref().is_some_and(|newer| same(&newer.record.meta, &head.record.meta)) {
            return Err(damaged(key, head.record.meta.rev, "a piece of it is not there"));
        }
        let value = newer.filter(|newer| !newer.record.meta.is_gone(self.now()));
        Err(StateError::Lost { head: value.map(|newer| Box::new(newer.record.meta.clone())) })
    }

    /// Commits a draft in the place of `head`. `Err` is what is there instead.
    pub(super) async fn replace(
        &self,
        key: &Key,
        head: Option<&Hot>,
        draft: &Draft,
        now: UnixMillis,
    ) -> Result<Result<Meta, Option<Hot>>, StateError> {
        let rules = self.settings.of(&key.namespace);
        let parent = head.map(|head| &*head.record);
        let meta = self.meta_of(parent.map(|parent| &parent.meta), draft, &rules, now);
        let (body, pieces) = self.body(key, meta.rev, &draft.content, parent).await?;
        let parent_again = self.parent_again(key, head, draft, meta.rev, &rules).await?;
        let record = Record { meta: meta.clone(), body };
        let written = Arc::new(record.clone());
        let expected = Expected::head(parent.map(|parent| &parent.meta));
        let commit = Commit { key: key.clone(), expected, record, parent_again, pieces, keep: rules.keep };
        match self.store.commit(commit).await {
            Ok(Committed::Done(_)) => {
                if parent.is_none() {
                    // The first revision of a life: whatever is remembered, with a greater number too, is of another.
                    self.heads.forget(key);
                }
                self.remember(key, Hot { record: written, content: draft.content.known() });
                Ok(Ok(meta))
            }
            Ok(Committed::Lost(found)) => {
                self.heads.forget(key);
                Ok(Err(found.map(|record| Hot { record, content: Known::Nothing })))
            }
            Err(error) => {
                self.heads.forget(key);
                Err(error.into())
            }
        }
    }

    fn meta_of(&self, parent: Option<&Meta>, draft: &Draft, rules: &Rules, now: UnixMillis) -> Meta {
        let rev = parent.map_or(Rev::FIRST, |parent| parent.rev.next());
        let content_type = match (&draft.content_type, parent) {
            (Some(content_type), _) => content_type.clone(),
            (None, Some(parent)) => parent.content_type.clone(),
            (None, None) => crate::record::shared_content_type("application/octet-stream"),
        };
        let epoch = parent.map_or(Epoch::FIRST, |parent| parent.epoch);
        let hash = draft.content.hash();
        let schema = draft.schema.clone();
        let chain = parent.map(|parent| &parent.chain);
        let chain = Meta::link(chain, rev, draft.kind, &hash, &content_type, schema.as_ref());
        let (expires_at, sliding) = match draft.kind {
            Kind::Value => lifetime(draft.terms.ttl, parent, rules, now),
            Kind::Deleted | Kind::Expired => (Some(later(now, TOMBSTONE_KEPT)), None),
        };
        Meta {
            rev,
            parent: parent.map(|parent| parent.rev),
            kind: draft.kind,
            content_type,
            schema,
            hash,
            chain,
            size: draft.content.size(),
            created_at: now,
            expires_at,
            sliding,
            epoch: if draft.handoff.is_some() { epoch.next() } else { epoch },
            by: draft.terms.by.clone(),
            handoff: draft.handoff,
        }
    }

    /// The parent as a difference to the draft, where that is worth it.
    async fn parent_again(
        &self,
        key: &Key,
        head: Option<&Hot>,
        draft: &Draft,
        on: Rev,
        rules: &Rules,
    ) -> Result<Option<Record>, StateError> {
        let (Some(head), Content::Whole { bytes: base, .. }) = (head, &draft.content) else { return Ok(None) };
        let meta = &head.record.meta;
        let Body::Whole(packed) = &head.record.body else { return Ok(None) };
        let fits = rules.keep > 1
            && (MIN_DIFFERENCE as u64..=MAX_WHOLE as u64).contains(&meta.size)
            && !meta.rev.get().is_multiple_of(WHOLE_EACH)
            && self.rewrites;
        if !fits {
            return Ok(None);
        }
        // A parent that is damaged is left as it is: it is not this write's to lose.
        let Ok((content, _)) = self.whole(key, head).await else { return Ok(None) };
        let Some(difference) = pack::difference(&content, base, packed.len()) else { return Ok(None) };
        let data_key = self.data_key(&key.namespace).await?;
        let bytes = wrap(difference, data_key.as_deref(), Place::Body { key, rev: meta.rev })?;
        Ok(Some(Record { meta: meta.clone(), body: Body::Delta { on, bytes } }))
    }
}

/// Whether two records are of one revision.
pub(super) fn same(one: &Meta, other: &Meta) -> bool {
    one.rev == other.rev && one.chain == other.chain && one.hash == other.hash
}

/// Whether a write under this condition may replace `head`. Only what is certain refuses it.
fn judge(
    condition: Condition,
    epoch: Option<Epoch>,
    head: Option<&Hot>,
    certain: bool,
    now: UnixMillis,
) -> Result<Verdict, StateError> {
    let meta = head.map(|head| &head.record.meta);
    let verdict = judged(condition, epoch, meta, now);
    if certain || matches!(verdict, Ok(Verdict::Write)) { verdict } else { Ok(Verdict::Look) }
}

fn judged(
    condition: Condition,
    epoch: Option<Epoch>,
    head: Option<&Meta>,
    now: UnixMillis,
) -> Result<Verdict, StateError> {
    let current = head.map_or(Epoch::FIRST, |head| head.epoch);
    if epoch.is_some_and(|epoch| epoch != current) {
        return Err(StateError::Fenced { epoch: current });
    }
    let value = head.filter(|head| !head.is_gone(now));
    let lost = || Err(StateError::Lost { head: value.cloned().map(Box::new) });
    match condition {
        Condition::At(rev) if value.is_some_and(|value| value.rev == rev) => Ok(Verdict::Write),
        Condition::At(_) => lost(),
        Condition::Absent if value.is_some() => lost(),
        Condition::Absent if head.is_some_and(|head| !head.kind.is_tombstone()) => Ok(Verdict::Bury),
        Condition::Absent => Ok(Verdict::Write),
    }
}

/// When a value that is written now is gone: as its writer says, else as the value that it replaces was given, else as the
/// namespace says; a value that was given no end keeps none.
fn lifetime(
    ttl: Option<Ttl>,
    parent: Option<&Meta>,
    rules: &Rules,
    now: UnixMillis,
) -> (Option<UnixMillis>, Option<Duration>) {
    let given = || {
        let parent = parent.filter(|parent| !parent.kind.is_tombstone())?;
        let fixed = |at: UnixMillis| Ttl::Fixed(Duration::from_millis(at.0.saturating_sub(parent.created_at.0)));
        let given = parent.sliding.map(Ttl::Sliding).or_else(|| parent.expires_at.map(fixed));
        // A value without an end was given none.
        Some(given.unwrap_or(Ttl::Never))
    };
    let usual = || rules.ttl.map(|ttl| if rules.sliding { Ttl::Sliding(ttl) } else { Ttl::Fixed(ttl) });
    match ttl.or_else(given).or_else(usual) {
        None | Some(Ttl::Never) => (None, None),
        Some(Ttl::Fixed(time)) => (Some(later(now, time)), None),
        Some(Ttl::Sliding(time)) => (Some(later(now, time)), Some(Duration::from_millis(millis(time)))),
    }
}

pub(super) fn later(now: UnixMillis, time: Duration) -> UnixMillis {
    UnixMillis(now.0.saturating_add(millis(time)))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn check_size(rules: &Rules, size: usize) -> Result<(), StateError> {
    let size = size as u64;
    if size <= rules.max_value { Ok(()) } else { Err(StateError::TooLarge { size, limit: rules.max_value }) }
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
