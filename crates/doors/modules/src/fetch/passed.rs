//! What is asked of a checksum database through here, as the go command does it: passed on, and kept for when nobody can be
//! asked.
//!
//! Where this mount checks with the same database, what was checked here is given in place of what an upstream says: a lookup
//! then holds nothing but an authenticated record, so that also a go command is safe that does not check as it should.

use std::sync::Arc;

use bytes::Bytes;
use tradewind_core::{FaultKind, UnixMillis};
use tradewind_ledger::{Level, Tile};

use super::head::not_cached;
use super::mount::{Database, Mount};
use super::{Fetcher, Taken};
use crate::failure::Failure;
use crate::name::{Asked, ModuleVersion, SumdbAsked};
use crate::section::Verify;
use crate::store::{Answer, AnswerKey};
use crate::sumdb::{Kept, SumdbError};
use crate::upstream::SUMDB_LARGEST;

impl Fetcher {
    /// What a checksum database says.
    ///
    /// # Errors
    /// When it says that there is no such thing, or cannot be asked and did not say before.
    pub(crate) async fn passed(
        self: &Arc<Self>,
        mount: &Arc<Mount>,
        asked: &SumdbAsked,
        offline: bool,
    ) -> Result<(Bytes, Taken), Failure> {
        let name = asked.name().as_str();
        let own = mount.database.as_ref().filter(|database| &*database.name == name);
        // Whichever database it is: the name of a private module is not passed on.
        if let SumdbAsked::Lookup { version, .. } = asked
            && mount.is_private(&version.path)
        {
            return Err(Failure::missing(format!("{version} is private: no checksum database is asked about it")));
        }
        if let (SumdbAsked::Supported { .. }, Some(_)) = (asked, own) {
            return Ok((Bytes::new(), Taken::Stored));
        }
        if let (SumdbAsked::Lookup { version, .. }, Some(database)) = (asked, own)
            && mount.database_of(&version.path).is_some()
            && !offline
        {
            return self.looked_up(database, version).await;
        }
        let key = AnswerKey::Sumdb { name: name.into(), path: path_of(asked).into() };
        let tile = match asked {
            SumdbAsked::Tile { path, .. } => path.parse().ok(),
            _ => None,
        };
        // A tile is what it is for ever.
        if let SumdbAsked::Tile { .. } = asked {
            if let (Some(tile), Some(_)) = (tile, own)
                && mount.verify != Verify::Off
                && let Some(bytes) = self.checked_tile(name, tile).await
            {
                return Ok((bytes, Taken::Stored));
            }
            if let Some(kept) = self.kept(mount, &key).await {
                return Ok((kept.body, Taken::Stored));
            }
        }
        let failure = if offline {
            not_cached()
        } else {
            match self.ask(mount, own, asked).await {
                Ok(bytes) => match misfit(tile, &bytes) {
                    Some(failure) => failure,
                    None => {
                        self.keep(mount, key, &bytes).await;
                        return Ok((bytes, Taken::Fetched));
                    }
                },
                Err(failure) => failure,
            }
        };
        if failure.is_upstreams() || offline {
            if let Some(kept) = self.kept(mount, &key).await {
                return Ok((kept.body, Taken::Stale));
            }
            if own.is_some()
                && let Some(bytes) = self.checked_before(name, asked).await
            {
                return Ok((bytes, Taken::Stale));
            }
        }
        Err(failure)
    }

    /// A lookup that is checked before it is passed on.
    async fn looked_up(&self, database: &Database, of: &ModuleVersion) -> Result<(Bytes, Taken), Failure> {
        match database.client.answer(of).await {
            Ok((_, answer)) => Ok((answer, Taken::Fetched)),
            Err(SumdbError::NotThere(why)) => Err(Failure::missing(why)),
            Err(SumdbError::Misbehaved(misbehaviour)) => Err(Failure::unverified(misbehaviour.told())),
            Err(error) => {
                // What was checked before is given where nobody could be asked, never in the place of a bad answer.
                let kept = match &error {
                    SumdbError::Unreachable(_) => self.store.lookup(&database.name, of).await,
                    _ => None,
                };
                let failure = || Failure::upstream(FaultKind::ServerError, 502, error.to_string());
                kept.map(|kept| (kept, Taken::Stale)).ok_or_else(failure)
            }
        }
    }

    async fn ask(&self, mount: &Mount, own: Option<&Database>, asked: &SumdbAsked) -> Result<Bytes, Failure> {
        match own {
            Some(database) => database.source.ask(&encoded(asked)).await,
            None => mount.chain.get(&Asked::Sumdb(asked.clone()), SUMDB_LARGEST).await.map(|(bytes, _)| bytes),
        }
    }

    /// What was checked here when it was needed, for somebody who asks for it without a network.
    async fn checked_before(&self, name: &str, asked: &SumdbAsked) -> Option<Bytes> {
        match asked {
            SumdbAsked::Latest { .. } => self.store.head(name).await.ok()?,
            SumdbAsked::Lookup { version, .. } => self.store.lookup(name, version).await,
            SumdbAsked::Tile { path, .. } => self.checked_tile(name, path.parse().ok()?).await,
            SumdbAsked::Supported { .. } => None,
        }
    }

    /// A tile that was checked: it, or the beginning of the full one at its place.
    async fn checked_tile(&self, name: &str, tile: Tile) -> Option<Bytes> {
        if let Some(bytes) = self.store.tile(name, tile).await {
            return Some(bytes);
        }
        let width = usize::try_from(tile.bytes()).ok()?;
        if tile.is_full() || matches!(tile.level, Level::Records) {
            return None;
        }
        let full = self.store.tile(name, tile.full()).await?;
        (full.len() >= width).then(|| full.slice(..width))
    }

    async fn kept(&self, mount: &Mount, key: &AnswerKey) -> Option<Answer> {
        let (tree, key) = (mount.tree.clone(), key.clone());
        self.blocking(move |store| store.answer(&tree, &key)).await.ok()?
    }

    async fn keep(&self, mount: &Mount, key: AnswerKey, bytes: &Bytes) {
        let now = self.clock.wall();
        let answer = Answer {
            body: bytes.clone(),
            fetched: now,
            fresh_until: UnixMillis(now.0),
            upstream: String::new(),
            checked: None,
        };
        let tree = mount.tree.clone();
        // What cannot be kept is given all the same.
        let _ = self.storing(move |store| store.keep_answer(&tree, &key, &answer)).await;
    }
}

/// Why these bytes cannot be that tile, if so: a page of somebody in between would otherwise be kept for ever. Tiles of records
/// may have any length.
fn misfit(tile: Option<Tile>, bytes: &Bytes) -> Option<Failure> {
    let tile = tile.filter(|tile| !matches!(tile.level, Level::Records) && tile.bytes() != bytes.len() as u64)?;
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
