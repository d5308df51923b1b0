//! Pieces that nothing names any more are removed by mark and sweep, an hour after they were written at the earliest.
//!
//! Why nothing is removed that a record names, however many gateways write meanwhile: a commit writes all pieces anew that
//! its parent does not have, which makes them young; and those that it shares with its parent are named by it, which was
//! the head when everything was marked, or came later and was a commit itself. What is removed is the message that was
//! seen, not the subject: a piece that was written anew in between stays.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use bytes::Bytes;
use rustc_hash::FxHashSet;
use serde_json::{Value, json};
use tradewind_core::UnixMillis;

use super::commit::Sent;
use super::link::Fault;
use super::names::Space;
use super::watch::{read_headers, read_places};
use super::{Nats, stored};
use crate::error::StoreError;
use crate::name::Namespace;
use crate::record::PieceId;

/// How often a namespace is swept, and how old a piece has to be.
pub(super) const PERIOD: Duration = Duration::from_secs(3_600);

/// Whether it is time again.
pub(super) fn is_due(last: Option<UnixMillis>, now: UnixMillis) -> bool {
    last.is_none_or(|last| u128::from(now.0.saturating_sub(last.0)) >= PERIOD.as_millis())
}

impl Nats {
    /// Removes the pieces of a namespace that no kept or pinned revision names and that were written so long ago, by the
    /// server's clock. How many. [`Store::due`](crate::Store::due) does it for pieces of an hour ago; shorter times endanger
    /// commits that are on their way.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the server cannot be reached.
    pub async fn sweep_pieces(&self, namespace: &Namespace, age: Duration) -> Result<u64, StoreError> {
        let space = Space::of(namespace);
        let mut pieces: Vec<(u64, PieceId, UnixMillis)> = Vec::new();
        read_places(&self.link, &space.beside(), &space.all_pieces(), |subject, place, written| {
            pieces.extend(space.piece_id(subject).map(|id| (place, id, written)));
        })
        .await?;
        if pieces.is_empty() {
            return Ok(0);
        }
        let now = self.server_time(&space).await?;
        pieces.retain(|(_, _, written)| u128::from(now.0.saturating_sub(written.0)) >= age.as_millis());
        let named = self.named_pieces(namespace, &space).await?;
        pieces.retain(|(_, id, _)| !named.contains(id));
        let what = ["STREAM.MSG.DELETE.", &space.beside()].concat();
        for (place, _, _) in &pieces {
            // A message that is gone already was written anew, or swept by another gateway.
            let request = json!({"seq": place, "no_erase": true});
            let _ = self.link.api::<Value>(&what, &request).await.map_err(Fault::of_read)?;
        }
        Ok(pieces.len() as u64)
    }

    /// What the server's clock shows: pieces are as old as it says, whatever ours shows.
    async fn server_time(&self, space: &Space) -> Result<UnixMillis, StoreError> {
        match self.send(space.clock(), HeaderMap::new(), Bytes::new()).await? {
            Sent::At(_) => {}
            Sent::Other | Sent::NoStream => return Err(Fault::Nobody.of_write()),
        }
        let mut time = UnixMillis(0);
        read_places(&self.link, &space.beside(), &space.clock(), |_, _, written| time = written).await?;
        Ok(time)
    }

    async fn named_pieces(&self, namespace: &Namespace, space: &Space) -> Result<FxHashSet<PieceId>, StoreError> {
        let mut subjects = FxHashSet::default();
        read_headers(&self.link, &space.stream(), &space.all_records(), DeliverPolicy::All, |subject, _, about| {
            if about?.has_pieces() {
                subjects.insert(subject.to_owned());
            }
            Ok(())
        })
        .await?;
        let mut named = FxHashSet::default();
        for subject in subjects {
            let key = space.key(namespace, &subject)?;
            for (_, message) in self.kept_whole(&key).await?.revisions {
                if message.about()?.has_pieces() {
                    named.extend(message.record()?.body.pieces().iter().copied());
                }
            }
        }
        // Keys whose records have no pieces any more may have pinned ones that do.
        for pin in
            stored::all(&self.link, &space.beside(), &space.all_pins(), self.streams.replicas()).await?.whole()?
        {
            named.extend(pin.record()?.body.pieces().iter().copied());
        }
        Ok(named)
    }
}
