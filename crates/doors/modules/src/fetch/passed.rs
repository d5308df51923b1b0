//! What is asked of a checksum database through here, as the go command does it.
//!
//! Where this mount checks with the same database, all that is passed was checked here first: a lookup holds nothing but an
//! authenticated record, a tile belongs under a signed head, and a head continues the last one, so that also a go command is
//! safe that does not check as it should. What was checked is kept beside what the gateway needed itself. A tile that belongs
//! under no head that is known is passed on, and neither kept nor to be kept by anybody.
//!
//! What other databases say is passed on as it comes, and kept for when nobody can be asked: never in the place of an answer.

use std::sync::Arc;

use bytes::Bytes;
use tradewind_core::FaultKind;
use tradewind_ledger::{Level, Tile};

use super::head::not_cached;
use super::mount::{Database, Mount};
use super::{Fetcher, Taken};
use crate::failure::{Failure, FailureKind};
use crate::name::{Asked, SumdbAsked};
use crate::section::Verify;
use crate::store::{Answer, AnswerKey};
use crate::sumdb::{Kept, SumdbError};
use crate::upstream::SUMDB_LARGEST;

/// An answer of a checksum database.
pub(crate) struct Passed {
    pub(crate) bytes: Bytes,
    pub(crate) taken: Taken,
    /// Whether it was checked here. Nobody in between is to keep one that was not.
    pub(crate) is_checked: bool,
}

impl Passed {
    const fn checked(bytes: Bytes, taken: Taken) -> Self {
        Self { bytes, taken, is_checked: true }
    }

    const fn unchecked(bytes: Bytes, taken: Taken) -> Self {
        Self { bytes, taken, is_checked: false }
    }
}

impl Fetcher {
    /// What a checksum database says.
    ///
    /// # Errors
    /// When it says that there is no such thing, when what it says does not hold, or when it cannot be asked and did not say
    /// before.
    pub(crate) async fn passed(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        asked: &SumdbAsked,
        offline: bool,
    ) -> Result<Passed, Failure> {
        let name = asked.name().as_str();
        let own = mount.database.as_ref().filter(|database| &*database.name == name);
        // Whichever database it is: the name of a private module is not passed on.
        if let SumdbAsked::Lookup { version, .. } = asked
            && mount.is_private(&version.path)
        {
            return Err(Failure::missing(format!("{version} is private: no checksum database is asked about it")));
        }
        if let (SumdbAsked::Supported { .. }, Some(_)) = (asked, own) {
            return Ok(Passed::checked(Bytes::new(), Taken::Stored));
        }
        match own.filter(|_| mount.verify != Verify::Off) {
            Some(database) if offline => {
                let before = self.checked_before(&database.name, asked).await;
                before.map(|bytes| Passed::checked(bytes, Taken::Stale)).ok_or_else(not_cached)
            }
            Some(database) => self.passed_by_own(mount, database, asked).await,
            None => self.passed_by_other(mount, own, asked, offline).await,
        }
    }

    /// What the database says that this mount checks with.
    async fn passed_by_own(&self, mount: &Mount, database: &Database, asked: &SumdbAsked) -> Result<Passed, Failure> {
        let (answer, taken) = match asked {
            SumdbAsked::Supported { .. } => (Ok(Some(Bytes::new())), Taken::Stored),
            SumdbAsked::Latest { .. } => (database.client.latest().await.map(Some), Taken::Fetched),
            SumdbAsked::Lookup { version, .. } => {
                (database.client.answer(version).await.map(|(_, answer)| Some(answer)), Taken::Fetched)
            }
            SumdbAsked::Tile { path, .. } => match path.parse() {
                Ok(tile) => {
                    let is_kept = self.store.tile(&database.name, tile).await.is_some();
                    (database.client.tile(tile).await, if is_kept { Taken::Stored } else { Taken::Fetched })
                }
                Err(_) => (Ok(None), Taken::Fetched),
            },
        };
        match answer {
            Ok(Some(bytes)) => Ok(Passed::checked(bytes, taken)),
            Ok(None) => self.ask(mount, Some(database), asked).await.map(|bytes| Passed::unchecked(bytes, taken)),
            Err(SumdbError::NotThere(why)) => Err(Failure::missing(why)),
            Err(SumdbError::Misbehaved(misbehaviour)) => Err(Failure::unverified(misbehaviour.told())),
            Err(SumdbError::Kept(why)) => Err(Failure::new(FailureKind::Storage, 500, why)),
            Err(error) => {
                // What was checked before is given where nobody could be asked, never in the place of a bad answer.
                let before = match &error {
                    SumdbError::Unreachable(_) => self.checked_before(&database.name, asked).await,
                    _ => None,
                };
                let failure = || Failure::upstream(FaultKind::ServerError, 502, error.to_string());
                before.map(|bytes| Passed::checked(bytes, Taken::Stale)).ok_or_else(failure)
            }
        }
    }

    /// What another database says, or one that this mount does not check with.
    async fn passed_by_other(
        &self,
        mount: &Mount,
        own: Option<&Database>,
        asked: &SumdbAsked,
        offline: bool,
    ) -> Result<Passed, Failure> {
        let key = AnswerKey::Sumdb { name: asked.name().as_str().into(), path: path_of(asked).into() };
        let failure = match offline {
            true => not_cached(),
            false => match self.ask(mount, own, asked).await {
                Ok(bytes) => {
                    self.keep(mount, key, &bytes).await;
                    return Ok(Passed::unchecked(bytes, Taken::Fetched));
                }
                Err(failure) => failure,
            },
        };
        if (failure.is_upstreams() || offline)
            && let Some(kept) = self.kept(mount, &key).await
        {
            return Ok(Passed::unchecked(kept.body, Taken::Stale));
        }
        Err(failure)
    }

    async fn ask(&self, mount: &Mount, own: Option<&Database>, asked: &SumdbAsked) -> Result<Bytes, Failure> {
        let bytes = match own {
            Some(database) => database.source.ask(&encoded(asked)).await?,
            None => mount.chain.get(&Asked::Sumdb(asked.clone()), SUMDB_LARGEST).await?.0,
        };
        match misfit(asked, &bytes) {
            Some(failure) => Err(failure),
            None => Ok(bytes),
        }
    }

    /// What was checked here, for when nobody can be asked.
    async fn checked_before(&self, name: &str, asked: &SumdbAsked) -> Option<Bytes> {
        match asked {
            SumdbAsked::Latest { .. } => self.store.head(name).await.ok()?,
            SumdbAsked::Lookup { version, .. } => self.store.lookup(name, version).await,
            SumdbAsked::Tile { path, .. } => self.store.tile(name, path.parse().ok()?).await,
            SumdbAsked::Supported { .. } => None,
        }
    }

    async fn kept(&self, mount: &Mount, key: &AnswerKey) -> Option<Answer> {
        let (tree, key) = (mount.tree.clone(), key.clone());
        self.blocking(move |store| store.answer(&tree, &key)).await.ok()?
    }

    async fn keep(&self, mount: &Mount, key: AnswerKey, bytes: &Bytes) {
        let fetched = self.clock.wall();
        let answer = Answer { body: bytes.clone(), fetched, upstream: String::new(), checked: None };
        let tree = mount.tree.clone();
        // What cannot be kept is given all the same.
        let _ = self.storing(move |store| store.keep_answer(&tree, &key, &answer)).await;
    }
}

/// Why these bytes cannot be that tile, if so: a page of somebody in between would otherwise be kept for ever. Tiles of records
/// may have any length.
fn misfit(asked: &SumdbAsked, bytes: &Bytes) -> Option<Failure> {
    let SumdbAsked::Tile { path, .. } = asked else { return None };
    let tile: Tile = path.parse().ok()?;
    if matches!(tile.level, Level::Records) || tile.bytes() == bytes.len() as u64 {
        return None;
    }
    let reason = format!("the upstream answered with {} bytes for {tile}, which has {}", bytes.len(), tile.bytes());
    Some(Failure::upstream(FaultKind::BadShape, 502, reason))
}

/// The path below the database, not encoded.
fn path_of(asked: &SumdbAsked) -> String {
    match asked {
        SumdbAsked::Supported { .. } => "supported".to_owned(),
        SumdbAsked::Latest { .. } => "latest".to_owned(),
        SumdbAsked::Lookup { version, .. } => format!("lookup/{}", version.escaped()),
        SumdbAsked::Tile { path, .. } => path.to_string(),
    }
}

/// The path below the database, as it is sent.
fn encoded(asked: &SumdbAsked) -> String {
    let whole = Asked::Sumdb(asked.clone()).percent_encoded();
    let start = format!("sumdb/{}/", asked.name().as_str());
    whole.strip_prefix(&start).map_or_else(|| path_of(asked), str::to_owned)
}
