//! Looking through everything: does each content have its hash, and does each revision follow from the one before it.

use std::fmt;

use crate::error::StateError;
use crate::meta::{Kind, Meta};
use crate::name::{Hash, Key, Rev};
use crate::record::{Body, Record};

use super::State;

/// The most damages that are named; all of them are counted.
pub const MAX_DAMAGES: usize = 1000;
/// Keys and revisions that are asked for at a time.
const PAGE: usize = 256;
/// How often a revision that is rewritten while it is read is looked at again.
const TRIES: usize = 8;

/// Something that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// Where, as `namespace/key`, or which list it is that leads there.
    pub key: String,
    /// Which revision; `None` where it is not of one.
    pub rev: Option<Rev>,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rev {
            Some(rev) => write!(f, "{} revision {rev}: {}", self.key, self.what),
            None => write!(f, "{}: {}", self.key, self.what),
        }
    }
}

/// What a check has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// Keys, tombstones too.
    pub keys: u64,
    /// Revisions.
    pub revisions: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Keys whose time is over: values that are still to be removed, and tombstones that are to be forgotten. A gateway that
    /// runs leaves none, but for those that it says it cannot remove.
    pub overdue: u64,
    /// Damages in all.
    pub damaged: u64,
    /// The first [`MAX_DAMAGES`] of them.
    pub damages: Vec<Damage>,
}

impl Checked {
    fn damage(&mut self, key: &Key, rev: Rev, what: String) {
        self.add(Damage { key: key.to_string(), rev: Some(rev), what });
    }

    fn add(&mut self, damage: Damage) {
        self.damaged += 1;
        if self.damages.len() < MAX_DAMAGES {
            self.damages.push(damage);
        }
    }
}

impl State {
    /// Reads every revision of every key, the store's own too, from the engine itself, checks each content against its hash
    /// and each revision against the chain of the one before it, where that is still kept. `progress` is told after each key.
    ///
    /// What is written meanwhile may be seen or not; it is never taken for damage.
    ///
    /// # Errors
    /// Those of the engine, but for damage, which is counted; [`StateError::NoKey`].
    pub async fn check(&self, mut progress: impl FnMut(&Checked) + Send) -> Result<Checked, StateError> {
        let mut checked = Checked::default();
        let namespaces = match self.store.namespaces().await.map_err(StateError::from) {
            Err(StateError::Damaged { what }) => {
                checked.add(Damage { key: "the list of namespaces".to_owned(), rev: None, what });
                return Ok(checked);
            }
            namespaces => namespaces?,
        };
        for namespace in namespaces {
            let mut after = None::<String>;
            loop {
                let page = match self.store.keys(&namespace, after.as_deref(), PAGE).await.map_err(StateError::from) {
                    // Those behind are out of reach with it; the other namespaces are not.
                    Err(StateError::Damaged { what }) => {
                        let from = after.map_or_else(String::new, |last| format!(" after {last}"));
                        let key = format!("{namespace}/, its list of keys{from}");
                        checked.add(Damage { key, rev: None, what });
                        break;
                    }
                    page => page?,
                };
                let full = page.len() == PAGE;
                after = page.last().map(|key| key.name().to_owned());
                for key in page {
                    self.check_key(&key, &mut checked).await?;
                    progress(&checked);
                }
                if !full {
                    break;
                }
            }
        }
        Ok(checked)
    }

    async fn check_key(&self, key: &Key, checked: &mut Checked) -> Result<(), StateError> {
        checked.keys += 1;
        // From the newest down, so that the parent of a revision is the next one seen.
        let (mut before, mut newer) = (None, None::<Meta>);
        loop {
            let page = match self.store.history(key, before, PAGE).await.map_err(StateError::from) {
                Err(StateError::Damaged { what }) => {
                    checked.damage(key, before.unwrap_or(Rev::FIRST), what);
                    return Ok(());
                }
                page => page?,
            };
            let full = page.len() == PAGE;
            before = page.last().map(|revision| revision.meta.rev);
            for revision in page {
                let meta = revision.meta;
                checked.revisions += 1;
                checked.overdue += u64::from(newer.is_none() && meta.has_expired(self.now()));
                if let Some(child) = newer.filter(|child| child.parent == Some(meta.rev))
                    && !child.follows(Some(&meta.chain))
                {
                    checked.damage(key, child.rev, "it does not follow from the revision before it".to_owned());
                }
                if meta.parent.is_none() && !meta.follows(None) {
                    checked.damage(key, meta.rev, "its chain does not begin with it".to_owned());
                }
                self.check_content(key, &meta, checked).await?;
                newer = Some(meta);
            }
            if !full {
                return Ok(());
            }
        }
    }

    async fn check_content(&self, key: &Key, meta: &Meta, checked: &mut Checked) -> Result<(), StateError> {
        if meta.kind != Kind::Value {
            if meta.hash != Hash::of(b"") || meta.size != 0 {
                checked.damage(key, meta.rev, "a tombstone has the hash of a content".to_owned());
            }
            return Ok(());
        }
        checked.bytes += meta.size;
        // What is known of it must not stand in for what is stored.
        self.heads.forget(key);
        let mut missing: Option<Record> = None;
        for _ in 0..TRIES {
            let content = match self.store.revision(key, meta.rev).await {
                // Pruned meanwhile.
                Ok(None) => return Ok(()),
                Ok(Some(record)) if record.body == Body::None => {
                    checked.damage(key, meta.rev, "a value has no body".to_owned());
                    return Ok(());
                }
                // Neither removed, nor rewritten as a difference or pinned meanwhile: then its parts have to be there.
                Ok(Some(record)) if missing.as_ref().is_some_and(|missing| missing.body == record.body) => {
                    checked.damage(key, meta.rev, "what its content is made of is not there".to_owned());
                    return Ok(());
                }
                Ok(Some(record)) => {
                    let content = self.content_of_any(key, &record).await;
                    missing = Some(record);
                    content
                }
                Err(error) => Err(error.into()),
            };
            match content {
                Ok(Some(_)) => return Ok(()),
                // Rewritten or removed meanwhile: looked at again.
                Ok(None) => {}
                Err(StateError::Damaged { what }) => {
                    checked.damage(key, meta.rev, what);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
