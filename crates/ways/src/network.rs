//! Which network the machine is in, and the groups that follow it.
//!
//! The rules of following are `decide::network`'s; this keeps the context, its time to live and a machine for each group,
//! sets the members, and remembers both over a restart. Everything happens under one lock, so that a choice by hand and a
//! change of the network have an order; nothing waits under it.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tradewind_core::Clock;
use tradewind_decide::network::{
    Applied, Context, ContextError, Explanation, GetAnswer, GroupView, LastMatch, Machine, Note, PutAnswer, Record,
    Snapshot, Source, Step, Turn, Why, explain, matched,
};
use tradewind_policy::ways::Network;

use crate::kept::Kept;

/// A group that can follow the network: of proxies, or of model targets.
pub trait Follower: Send + Sync {
    /// Its name, `models/NAME` for a model.
    fn name(&self) -> &Arc<str>;
    /// Its policy, in the order of the file.
    fn policy(&self) -> &[(Arc<str>, Arc<str>)];
    /// What is selected.
    fn current(&self) -> Arc<str>;
    /// Whether a member of this name may be selected now.
    fn has(&self, member: &str) -> bool;
    /// Selects a member. False when that is not possible.
    fn set(&self, member: &Arc<str>) -> bool;
}

/// Who said what the network looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A host pushed it. It holds until it ends or is deleted.
    Pushed,
    /// Our own sampler.
    Sampled,
}

/// Why a context was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The body.
    #[error("{}", .0.message)]
    Context(ContextError),
    /// The document tells no networks apart.
    #[error("the configuration has no networks")]
    NoNetworks,
}

/// What of a document is followed.
pub(crate) struct Document {
    /// The networks that it tells apart.
    pub(crate) networks: Option<Arc<[Network]>>,
    /// Groups of proxies.
    pub(crate) proxies: Vec<Arc<dyn Follower>>,
    /// Groups of model targets.
    pub(crate) models: Vec<Arc<dyn Follower>>,
    /// Whether what is selected is remembered over a restart.
    pub(crate) store: bool,
}

/// The driver.
pub(crate) struct Driver {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Told when the end of the context has moved.
    moved: Notify,
    /// Told when a pushed context has gone: the sampler's turn.
    free: Notify,
}

#[derive(Default)]
struct State {
    networks: Option<Arc<[Network]>>,
    followers: Vec<Arc<dyn Follower>>,
    /// The groups of proxies come first, as many as this.
    proxies: usize,
    machines: FxHashMap<Arc<str>, Machine>,
    snapshot: Option<(Snapshot, Origin)>,
    generation: u64,
    /// Whether the members of a group have changed since the last evaluation.
    dirty: bool,
    /// The present network, as it was last found out.
    present: Option<Arc<str>>,
    /// What the sampler could not read.
    notes: Vec<Note>,
    store: bool,
    /// Whether there were records at the start.
    goes_on: bool,
}

impl Driver {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default(), moved: Notify::new(), free: Notify::new() }
    }

    /// Begins to follow, after a start: as the records say where there are any, with the default of each policy where
    /// there are none.
    pub(crate) fn start(&self, document: Document, kept: &Kept) {
        let mut state = self.state.lock();
        state.goes_on = document.store && kept.has_records();
        state.take_document(document);
        state.admit(kept);
    }

    /// Goes on with another document. When a context is known, every group is set to what its policy says, whoever
    /// selected before.
    pub(crate) fn reload(&self, document: Document, kept: &Kept) {
        let mut state = self.state.lock();
        state.take_document(document);
        state.forget_gone(kept);
        let present = state.snapshot.as_ref().map(|(snapshot, _)| snapshot.context.clone());
        if let Some(context) = present {
            let matched = state.matched(&context);
            state.present.clone_from(&matched);
            state.evaluate_all(matched.as_ref(), true, kept);
            return;
        }
        state.admit(kept);
    }

    /// Takes the groups of models in place of those before; the others stay as they are, and what was chosen by hand as well.
    pub(crate) fn set_models(&self, models: Vec<Arc<dyn Follower>>, kept: &Kept) {
        let mut state = self.state.lock();
        let proxies = state.followers[..state.proxies].to_vec();
        state.take_followers(proxies, models);
        state.forget_gone(kept);
        state.admit(kept);
        // A sample may have come before the models.
        let Some(context) = state.snapshot.as_ref().map(|(snapshot, _)| snapshot.context.clone()) else { return };
        let matched = state.matched(&context);
        let models = state.followers[state.proxies..].to_vec();
        for follower in &models {
            state.evaluate(follower, matched.as_ref(), false, kept);
        }
    }

    /// The name of the present network.
    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.state.lock().present.clone()
    }

    /// Who selected in a group that follows, in words.
    pub(crate) fn followed(&self, group: &str) -> Option<String> {
        let state = self.state.lock();
        let machine = state.machines.get(group)?;
        let words = match (machine.source(), machine.last()) {
            (Source::Unknown, _) => return None,
            (Source::Manual, _) => "chosen by hand".to_owned(),
            (Source::Auto, Some(LastMatch::Network(name))) => format!("the network is {name}"),
            (Source::Auto, _) => "no network fits".to_owned(),
        };
        Some(words)
    }

    /// The groups of models.
    pub(crate) fn models(&self) -> Vec<Arc<dyn Follower>> {
        let state = self.state.lock();
        state.followers[state.proxies..].to_vec()
    }

    /// A host says what the network looks like. The second value says whether that is another network than before.
    ///
    /// # Errors
    /// When the body is refused, or there are no networks.
    pub(crate) fn put(&self, body: &[u8], kept: &Kept) -> Result<(PutAnswer, bool), PutError> {
        // Before the body: whoever pushes into nothing should hear that first.
        if self.state.lock().networks.is_none() {
            return Err(PutError::NoNetworks);
        }
        let context = Context::parse(body).map_err(PutError::Context)?;
        self.take(context, Origin::Pushed, Vec::new(), kept).ok_or(PutError::NoNetworks)
    }

    /// The sampler says what the network looks like; not heard while a pushed context holds.
    pub(crate) fn sampled(&self, context: Context, notes: Vec<Note>, kept: &Kept) -> Option<PutAnswer> {
        self.take(context, Origin::Sampled, notes, kept).map(|(answer, _)| answer)
    }

    /// Nothing when there are no networks, or a sample comes while a pushed context holds.
    fn take(&self, context: Context, origin: Origin, notes: Vec<Note>, kept: &Kept) -> Option<(PutAnswer, bool)> {
        let mut state = self.state.lock();
        let is_pushed = matches!(&state.snapshot, Some((_, Origin::Pushed)));
        if state.networks.is_none() || (origin == Origin::Sampled && is_pushed) {
            return None;
        }
        let (now, wall) = (self.clock.now(), self.clock.wall());
        state.generation += 1;
        let generation = state.generation;
        let matched = state.matched(&context);
        state.present.clone_from(&matched);
        let before = state.snapshot.as_ref().map(|(before, _)| before.context.fingerprint());
        let is_another = before.is_none_or(|before| before != context.fingerprint());
        let nothing_missing = state.machines.values().all(|machine| !machine.is_missing());
        let nothing_dirty = !state.dirty;
        let is_light = matches!(
            &state.snapshot,
            Some((before, from)) if *from == origin && before.is_light(&context, nothing_missing, nothing_dirty)
        );
        let applied = if is_light {
            if let Some((snapshot, _)) = &mut state.snapshot {
                snapshot.renew(&context, now, wall, generation);
            }
            state.standing(matched.as_ref())
        } else {
            state.snapshot = Some((Snapshot::new(context, now, wall, generation), origin));
            state.notes = notes;
            state.evaluate_all(matched.as_ref(), false, kept)
        };
        let expires_at = state.snapshot.as_ref().and_then(|(snapshot, _)| snapshot.expires_at());
        drop(state);
        self.moved.notify_one();
        Some((PutAnswer { matched_network: matched, applied, expires_at }, is_another))
    }

    /// What is known of the network, and how each group stands.
    pub(crate) fn get(&self) -> GetAnswer {
        let state = self.state.lock();
        let groups = state.views();
        let Some((snapshot, _)) = &state.snapshot else { return GetAnswer { groups, ..GetAnswer::default() } };
        GetAnswer {
            context: Some(snapshot.context.clone()),
            matched_network: state.matched(&snapshot.context),
            groups,
            expires_at: snapshot.expires_at(),
            age_seconds: Some(snapshot.age_seconds(self.clock.now())),
        }
    }

    /// Forgets the context; the groups stay where they are.
    pub(crate) fn delete(&self) {
        self.state.lock().forget();
        self.moved.notify_one();
        self.free.notify_one();
    }

    /// Why a network fits, or none; and who said what the network looks like. `None` without a context.
    pub(crate) fn explain(&self) -> Option<(Explanation, Origin)> {
        let state = self.state.lock();
        let (snapshot, origin) = state.snapshot.as_ref()?;
        Some((explain(state.networks.as_deref().unwrap_or_default(), &snapshot.context, &state.notes), *origin))
    }

    /// Somebody selects a member of a group. `set` does it and says whether it could be done.
    pub(crate) fn manual<E>(&self, group: &str, kept: &Kept, set: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut state = self.state.lock();
        set()?;
        if let Some(follower) = state.followers.iter().find(|follower| **follower.name() == *group).cloned() {
            state.machines.entry(follower.name().clone()).or_default().manual();
            state.remember(&follower, kept);
        }
        Ok(())
    }

    /// The members of some group have changed: groups whose policy could not be followed for want of a member are looked at
    /// now, the others with the next context.
    pub(crate) fn members_changed(&self, kept: &Kept) {
        let mut state = self.state.lock();
        let context = state.snapshot.as_ref().map(|(snapshot, _)| snapshot.context.clone());
        let matched = context.and_then(|context| state.matched(&context));
        let followers = state.followers.clone();
        for follower in followers {
            if state.machines.get(follower.name()).is_some_and(Machine::is_missing) {
                state.evaluate(&follower, matched.as_ref(), false, kept);
            }
        }
        state.dirty = true;
    }

    /// Whether a document tells networks apart.
    pub(crate) fn has_networks(&self) -> bool {
        self.state.lock().networks.is_some()
    }

    /// Removes the context when its time is over. Never ends.
    pub(crate) async fn keep_time(&self) {
        loop {
            let armed = {
                let state = self.state.lock();
                let remaining = state.snapshot.as_ref().and_then(|(snapshot, _)| snapshot.remaining(self.clock.now()));
                remaining.map(|remaining| (remaining, state.generation))
            };
            let Some((remaining, generation)) = armed else {
                self.moved.notified().await;
                continue;
            };
            tokio::select! {
                () = self.moved.notified() => {}
                () = tokio::time::sleep(remaining) => {
                    let mut state = self.state.lock();
                    let now = self.clock.now();
                    if state.snapshot.as_ref().is_some_and(|(snapshot, _)| snapshot.is_over(generation, now)) {
                        state.forget();
                        self.free.notify_one();
                    }
                }
            }
        }
    }

    /// Waits until a pushed context has gone.
    pub(crate) async fn freed(&self) {
        self.free.notified().await;
    }
}

impl State {
    fn take_document(&mut self, document: Document) {
        let Document { networks, proxies, models, store } = document;
        self.networks = networks;
        self.store = store;
        self.take_followers(proxies, models);
    }

    fn take_followers(&mut self, mut proxies: Vec<Arc<dyn Follower>>, models: Vec<Arc<dyn Follower>>) {
        self.proxies = proxies.len();
        proxies.extend(models);
        self.followers = proxies;
        self.dirty = true;
    }

    /// Forgets the groups that are in the document no more.
    fn forget_gone(&mut self, kept: &Kept) {
        let Self { machines, followers, .. } = self;
        machines.retain(|name, _| {
            let stays = followers.iter().any(|follower| follower.name() == name);
            if !stays {
                kept.set_record(name, None);
            }
            stays
        });
    }

    fn matched(&self, context: &Context) -> Option<Arc<str>> {
        matched(self.networks.as_deref()?, context).map(|network| network.name.clone())
    }

    fn forget(&mut self) {
        self.snapshot = None;
        self.present = None;
        self.generation += 1;
    }

    fn evaluate_all(&mut self, matched: Option<&Arc<str>>, forced: bool, kept: &Kept) -> Vec<Applied> {
        self.dirty = false;
        let followers = self.followers.clone();
        followers.iter().map(|follower| self.evaluate(follower, matched, forced, kept)).collect()
    }

    /// Begins with the groups that are new here, as after a start: where there were records, as these say, and a group
    /// without one waits for a context; without records, with the default of its policy.
    fn admit(&mut self, kept: &Kept) {
        self.dirty = false;
        let followers = self.followers.clone();
        for follower in &followers {
            if self.machines.contains_key(follower.name()) {
                continue;
            }
            if !self.goes_on {
                self.evaluate(follower, None, false, kept);
                continue;
            }
            let name = follower.name();
            if let Some(member) = kept.selected(name).filter(|member| follower.has(member)) {
                follower.set(&Arc::from(member));
            }
            let Some(record) = kept.record(name) else { continue };
            match Record::parse(record.to_string().as_bytes()) {
                Ok(record) => {
                    self.machines.insert(name.clone(), Machine::restored(&record));
                }
                Err(_) => kept.set_record(name, None),
            }
        }
    }

    fn evaluate(
        &mut self,
        follower: &Arc<dyn Follower>,
        matched: Option<&Arc<str>>,
        forced: bool,
        kept: &Kept,
    ) -> Applied {
        let current = follower.current();
        let turn = Turn { group: follower.name(), policy: follower.policy(), matched, current: &current };
        let machine = self.machines.entry(follower.name().clone()).or_default();
        let step: Step = machine.evaluate(&turn, forced, |member| follower.has(member));
        let row = match &step.set {
            Some(member) if !follower.set(member) => machine.set_failed(step),
            _ => step.row,
        };
        // Also when it is there already, perhaps by chance: it is what is selected from now on.
        if matches!(row.reason, Why::Matched | Why::AlreadySelected | Why::Default) {
            follower.set(&row.applied_proxy);
            if self.store {
                kept.select(follower.name(), Some(&row.applied_proxy));
            }
        }
        self.remember(follower, kept);
        row
    }

    /// Remembers who selected in a group, and what for.
    fn remember(&self, follower: &Arc<dyn Follower>, kept: &Kept) {
        if !self.store {
            return;
        }
        let record = self.machines.get(follower.name()).and_then(Machine::record);
        // What the record writes is JSON.
        let record = record.and_then(|record| serde_json::from_str(&record.to_json()).ok());
        if record.is_some() {
            kept.set_record(follower.name(), record);
        }
    }

    fn standing(&self, matched: Option<&Arc<str>>) -> Vec<Applied> {
        let unknown = Machine::new();
        let standing = self.followers.iter().map(|follower| {
            let current = follower.current();
            let turn = Turn { group: follower.name(), policy: follower.policy(), matched, current: &current };
            self.machines.get(follower.name()).unwrap_or(&unknown).standing(&turn)
        });
        standing.collect()
    }

    fn views(&self) -> Vec<GroupView> {
        let unknown = Machine::new();
        let views = self.followers.iter().map(|follower| {
            let machine = self.machines.get(follower.name()).unwrap_or(&unknown);
            GroupView::new(follower.name(), &follower.current(), machine)
        });
        views.collect()
    }
}
