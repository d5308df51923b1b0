//! The one way of a write: judge it by the head, make the revision, commit, and when another was faster, judge again.

use std::sync::Arc;

use bytes::Bytes;
use tradewind_core::UnixMillis;

use crate::error::StateError;
use crate::meta::{Kind, Meta, check_by};
use crate::name::{Epoch, Key, Rev};
use crate::record::Record;
use crate::settings::Rules;
use crate::store::{Commit, Committed, Expected};

use super::body::damaged;
use super::draft::Draft;
use super::hot::{Hot, Known};
use super::{Condition, State, Terms};

/// How often a write is judged anew because another was faster, or merged again, before it gives up. Each time somebody else
/// has won.
pub(super) const TRIES: usize = 16;

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

pub(super) fn check_size(rules: &Rules, size: usize) -> Result<(), StateError> {
    let size = size as u64;
    if size <= rules.max_value { Ok(()) } else { Err(StateError::TooLarge { size, limit: rules.max_value }) }
}
