//! The network, as the rest of the process sees it: who says what it looks like, what follows it, and what is closed and read
//! anew when it is another one.

use std::sync::Arc;

use tradewind_decide::network::{Context, Explanation, GetAnswer, Note, PutAnswer};
use tradewind_policy::ways::SYSTEM;

use crate::group::Group;
use crate::logs::Level;
use crate::network::{Document, Follower, Origin, PutError};
use crate::node::Member;
use crate::ways::{Inner, Ways};

impl Ways {
    /// The name of the network that the machine is in; nothing when none fits, or nothing is known.
    #[must_use]
    pub fn network_name(&self) -> Option<Arc<str>> {
        self.inner().network.name()
    }

    /// Who selected in a group that follows the network, in words; nothing for other groups.
    #[must_use]
    pub fn followed(&self, group: &str) -> Option<String> {
        self.inner().network.followed(group)
    }

    /// Model groups that follow the network as well, in place of those before.
    pub fn follow_with(&self, models: Vec<Arc<dyn Follower>>) {
        self.inner().network.set_models(models, &self.inner().kept);
    }

    /// A choice of `member` made by hand in a group of models, `models/NAME`: `set` makes it, and says whether it could be made.
    ///
    /// # Errors
    /// What `set` says.
    pub fn select_model<E>(&self, name: &str, member: &str, set: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let inner = self.inner();
        inner.network.manual(name, &inner.kept, set)?;
        if inner.set.look().spec.store_selected {
            inner.kept.select(name, Some(member));
        }
        Ok(())
    }

    /// A host says what the network looks like.
    ///
    /// # Errors
    /// When the body is refused, or the document tells no networks apart.
    pub fn put_context(&self, body: &[u8]) -> Result<PutAnswer, PutError> {
        let (answer, is_another) = self.inner().network.put(body, &self.inner().kept)?;
        if is_another {
            self.network_changed();
        }
        Ok(answer)
    }

    /// Our own sampler says what the network looks like. Nothing while a pushed context holds.
    pub fn put_sample(&self, context: Context, notes: Vec<Note>) -> Option<PutAnswer> {
        self.inner().network.sampled(context, notes, &self.inner().kept)
    }

    /// What is known of the network.
    #[must_use]
    pub fn context(&self) -> GetAnswer {
        self.inner().network.get()
    }

    /// Forgets what is known of the network; the groups stay where they are.
    pub fn delete_context(&self) {
        self.inner().network.delete();
    }

    /// Why a network fits or none does, and who says what the network looks like. `None` when nothing is known.
    #[must_use]
    pub fn explain_context(&self) -> Option<(Explanation, Origin)> {
        self.inner().network.explain()
    }

    /// Tells the ways that depend on it that the network is another one: scripts are read anew.
    pub fn network_changed(&self) {
        let set = self.inner().set.get();
        let listed = set.providers.iter().flat_map(|provider| provider.nodes().to_vec());
        set.nodes.iter().cloned().chain(listed).for_each(|node| node.outbound.network_changed());
        if let Some(Member::Node(system)) = set.get(SYSTEM) {
            system.outbound.network_changed();
        }
        // Connections over addresses that are gone would be waited for, and names may mean other places here.
        self.inner().needs.egress.close_idle(None);
        self.inner().needs.egress.resolver().flush();
    }

    /// Whether the gateway is to look at the network itself: there are networks to tell apart, and nobody has switched it off.
    #[must_use]
    pub fn wants_samples(&self) -> bool {
        self.has_networks() && self.inner().set.look().spec.sample_network
    }

    /// Whether the document tells networks apart.
    #[must_use]
    pub fn has_networks(&self) -> bool {
        self.inner().network.has_networks()
    }

    /// Waits until a pushed context has gone: our own sampler's turn.
    pub async fn context_freed(&self) {
        self.inner().network.freed().await;
    }
}

/// What of the present document is followed.
pub(crate) fn document(inner: &Arc<Inner>, models: Vec<Arc<dyn Follower>>) -> Document {
    let set = inner.set.get();
    let following = set.groups.iter().filter(|group| group.spec.network_policy.is_some());
    let proxies =
        following.map(|group| Arc::new(Following { group: group.clone(), inner: Arc::downgrade(inner) }) as _);
    Document {
        networks: set.spec.networks.clone().map(Into::into),
        proxies: proxies.collect(),
        models,
        store: set.spec.store_selected,
    }
}

/// A group of proxies that follows the network.
struct Following {
    group: Arc<Group>,
    inner: std::sync::Weak<Inner>,
}

impl Follower for Following {
    fn name(&self) -> &Arc<str> {
        self.group.name()
    }

    fn policy(&self) -> &[(Arc<str>, Arc<str>)] {
        self.group.spec.network_policy.as_deref().unwrap_or_default()
    }

    fn current(&self) -> Arc<str> {
        self.group.now().map_or_else(|| Arc::from(""), |member| member.name().clone())
    }

    fn has(&self, member: &str) -> bool {
        self.group.has(member)
    }

    fn set(&self, member: &Arc<str>) -> bool {
        let had = self.group.has(member);
        if had {
            self.group.state.choose(Some(member.clone()));
            if let Some(inner) = self.inner.upgrade() {
                let at = inner.needs.clock.wall();
                inner.logs.tell(Level::Info, at, || format!("[Network] {} uses {member} now", self.group.name()));
            }
        }
        had
    }
}
