//! What is to be written, and what becomes of it when its parent is known: the meta of the new revision, the end of its time,
//! and the parent as a difference to it.

use std::sync::Arc;
use std::time::Duration;

use tradewind_core::UnixMillis;

use crate::error::StateError;
use crate::meta::{Kind, Meta, Nonce, Schema};
use crate::name::{Epoch, Hash, Key, Rev};
use crate::pack::{self, MAX_WHOLE, MIN_DIFFERENCE, WHOLE_EACH};
use crate::record::{Body, Record};
use crate::seal::Place;
use crate::settings::{Rules, TOMBSTONE_KEPT};

use super::body::{Content, wrap};
use super::hot::Hot;
use super::{State, Terms, Ttl};

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

impl State {
    pub(super) fn meta_of(&self, parent: Option<&Meta>, draft: &Draft, rules: &Rules, now: UnixMillis) -> Meta {
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
    pub(super) async fn parent_again(
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
