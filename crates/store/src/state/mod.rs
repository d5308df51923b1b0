//! The semantics of state, once for every engine.
//!
//! What callers ask for (`put.rs` and its neighbours) becomes a draft (`draft.rs`), which goes through `write.rs`: what the
//! head is (`hot.rs` saves the read), whether the condition and the epoch hold, what the body is (`body.rs`), one commit;
//! whoever loses the commit is judged again by what is there now. Reads go through `read.rs`, which makes contents whole again
//! and lets nothing out that does not hash to what its record says.
//!
//! There is no lock here and no task: what is to happen by itself, [`State::sweep`], is driven by whoever owns the state.

mod append;
mod body;
mod check;
mod copy;
mod draft;
mod handoff;
mod hot;
mod keys;
mod life;
mod put;
mod read;
mod revisions;
#[cfg(test)]
mod tests;
mod words;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tradewind_core::{Clock, UnixMillis};

use crate::change::Merger;
use crate::error::StateError;
use crate::handoff::Signer;
use crate::name::{Key, Namespace};
use crate::seal::Sealer;
use crate::settings::Settings;
use crate::store::{After, Cursor, Facts, Store};
use crate::told::Changes;

pub use check::{Checked, Damage, MAX_DAMAGES};
pub use copy::{Copied, CopyError, LeftOut, Part, copy};
pub use handoff::HandedOff;
pub use revisions::MAX_PAGE;
pub use words::{At, Condition, Listed, New, Swept, Terms, Ttl, Value};

/// Versioned state: conditions, history, expiry, packing, sealing and hand-off over one engine.
pub struct State {
    store: Arc<dyn Store>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    sealer: Option<Arc<Sealer>>,
    mergers: BTreeMap<Namespace, Arc<dyn Merger>>,
    heads: hot::Heads,
    failing: life::Failing,
    /// Whether the engine takes a parent again.
    rewrites: bool,
    /// Signs hand-off tokens; its secret is read from the store, or made, when it is first needed.
    signer: OnceCell<Signer>,
}

impl State {
    /// State over `store`. With a sealer everything that is written from now on is sealed; what was written before stays as
    /// it is and can be read.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: Settings, clock: Arc<dyn Clock>, sealer: Option<Arc<Sealer>>) -> Self {
        let heads = hot::Heads::new(hot::BUDGET);
        let rewrites = store.facts().rewrites;
        Self {
            store,
            settings,
            clock,
            sealer,
            mergers: BTreeMap::new(),
            heads,
            failing: life::Failing::default(),
            rewrites,
            signer: OnceCell::new(),
        }
    }

    /// Registers how two writers' contents of `namespace` are merged, in place of the merge of disjoint changes of JSON.
    /// It is asked where the namespace's settings say [`OnConflict::Merge`](crate::OnConflict::Merge).
    #[must_use]
    pub fn with_merger(mut self, namespace: Namespace, merger: Arc<dyn Merger>) -> Self {
        self.mergers.insert(namespace, merger);
        self
    }

    /// Every namespace that has a key, in order.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn namespaces(&self) -> Result<Vec<Namespace>, StateError> {
        let mut namespaces = self.store.namespaces().await?;
        namespaces.retain(|namespace| !namespace.is_reserved());
        Ok(namespaces)
    }

    /// The place after the latest change of a namespace: a watch after it is told of everything later.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn latest(&self, namespace: &Namespace) -> Result<Cursor, StateError> {
        Ok(self.store.latest(namespace).await?)
    }

    /// Every later change to keys whose names begin with `prefix`, each once and in order: values, deletions, expiries. The
    /// stream ends after an error; one that was cut is gone on with after [`Changes::passed`].
    ///
    /// # Errors
    /// [`StateError::CursorGone`] as an item when changes after `after` are not kept any more.
    #[must_use]
    pub fn watch(&self, namespace: &Namespace, prefix: &str, after: After) -> Changes<StateError> {
        self.store.watch(namespace, prefix, after).map_errors(StateError::from)
    }

    /// What the engine says of itself.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.store.facts()
    }

    /// Lets the engine finish and close. Ends all watches; every later call fails.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn close(&self) -> Result<(), StateError> {
        Ok(self.store.close().await?)
    }

    fn now(&self) -> UnixMillis {
        self.clock.wall()
    }

    /// What is remembered of a head.
    fn remembered(&self, key: &Key) -> Option<hot::Hot> {
        self.heads.get(key, self.clock.now())
    }

    fn remember(&self, key: &Key, hot: hot::Hot) {
        self.heads.put(key, hot, self.clock.now());
    }
}
