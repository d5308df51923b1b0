//! The holder of an agent's key: what it read or wrote last, and in which epoch, goes with every write.

use std::sync::Arc;
use std::time::Duration;

use super::{AgentError, Snapshot, StatefulAgent, Upcasters};
use crate::meta::Meta;
use crate::name::{Epoch, Key, Rev};
use crate::state::{At, Condition, HandedOff, New, State, Terms, Value};

/// Holds one key for an agent.
///
/// Every [`Keeper::save`] is on the condition that the key is where this keeper left it, and in the epoch that it held it
/// in: a twin of the agent, or a device that took the key over, makes it fail with
/// [`StateError::Lost`](crate::StateError::Lost) or [`StateError::Fenced`](crate::StateError::Fenced), and nothing is
/// overwritten. After `Lost` the agent may load and do its work again; after `Fenced` somebody else holds the key.
/// After [`StateError::Unknown`](crate::StateError::Unknown) it loads, to see whether it was written.
pub struct Keeper {
    state: Arc<State>,
    key: Key,
    upcasters: Arc<Upcasters>,
    by: Option<Arc<str>>,
    held: Option<(Rev, Epoch)>,
}

impl Keeper {
    /// A keeper that has not seen its key yet: its first save creates it, and fails when it is there.
    #[must_use]
    pub const fn new(state: Arc<State>, key: Key, upcasters: Arc<Upcasters>, by: Option<Arc<str>>) -> Self {
        Self { state, key, upcasters, by, held: None }
    }

    /// Takes a key over with a token, and gives the agent its state. The old holder's next write is refused.
    ///
    /// A token is good once: where the content is of a schema that this release does not know, it is refused before it is
    /// redeemed.
    ///
    /// # Errors
    /// [`StateError::Token`](crate::StateError::Token) with each refusal; those of [`Keeper::load`].
    pub async fn take_over(
        state: Arc<State>,
        token: &str,
        upcasters: Arc<Upcasters>,
        by: Option<Arc<str>>,
        agent: &mut impl StatefulAgent,
    ) -> Result<Self, AgentError> {
        let said = state.token(token).await?;
        let mut keeper = Self::new(state, said.key.clone(), upcasters, by);
        if let Ok(value) = keeper.state.get(&said.key, At::Rev(said.rev)).await {
            keeper.snapshot(&value)?;
        }
        let value = keeper.state.redeem(token, keeper.terms()).await?;
        keeper.give(&value, agent)?;
        Ok(keeper)
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The revision and the epoch that the key was left at.
    #[must_use]
    pub const fn held(&self) -> Option<(Rev, Epoch)> {
        self.held
    }

    /// Reads the newest snapshot, brings it up to date, and gives it to the agent. Nothing is written: the next save is of
    /// the newest version.
    ///
    /// # Errors
    /// [`StateError::NotFound`](crate::StateError::NotFound) and [`StateError::Gone`](crate::StateError::Gone) when there
    /// is none; [`AgentError::Upcast`]; [`AgentError::Restore`]; the other errors of a read. The keeper holds what it held
    /// before.
    pub async fn load(&mut self, agent: &mut impl StatefulAgent) -> Result<Meta, AgentError> {
        let value = self.state.get(&self.key, At::Head).await?;
        self.give(&value, agent)?;
        Ok(value.meta)
    }

    /// Takes a snapshot and writes it.
    ///
    /// # Errors
    /// [`AgentError::Snapshot`]; those of a write.
    pub async fn save(&mut self, agent: &impl StatefulAgent) -> Result<Meta, AgentError> {
        let snapshot = agent.take_snapshot()?;
        let condition = self.held.map_or(Condition::Absent, |(rev, _)| Condition::At(rev));
        let new = New {
            content: snapshot.content,
            content_type: snapshot.content_type,
            schema: Some(snapshot.schema),
            terms: self.terms(),
        };
        let meta = self.state.put(&self.key, condition, new).await?;
        self.held = Some((meta.rev, meta.epoch));
        Ok(meta)
    }

    /// A token for the next holder, good for `life`, at most 60 seconds, and until this keeper saves again.
    ///
    /// # Errors
    /// [`StateError::NotFound`](crate::StateError::NotFound) when nothing was loaded or saved yet; those of a write.
    pub async fn hand_off(&self, life: Duration) -> Result<HandedOff, AgentError> {
        let (rev, epoch) = self.held.ok_or(crate::StateError::NotFound)?;
        Ok(self.state.hand_off(&self.key, rev, Some(epoch), life).await?)
    }

    fn terms(&self) -> Terms {
        Terms { epoch: self.held.map(|(_, epoch)| epoch), by: self.by.clone(), ..Terms::default() }
    }

    fn give(&mut self, value: &Value, agent: &mut impl StatefulAgent) -> Result<(), AgentError> {
        agent.restore_from(&self.snapshot(value)?)?;
        self.held = Some((value.meta.rev, value.meta.epoch));
        Ok(())
    }

    fn snapshot(&self, value: &Value) -> Result<Snapshot, AgentError> {
        let content = self.upcasters.upcast(value.meta.schema.as_ref(), value.content.clone())?;
        Ok(Snapshot { content, content_type: value.meta.content_type.clone(), schema: self.upcasters.newest().clone() })
    }
}
