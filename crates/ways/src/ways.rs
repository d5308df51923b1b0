//! The ways out of a running gateway: which one a connection takes, what was selected, and how it changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use smallvec::SmallVec;
use tradewind_core::{Clock, Fault, FaultKind};
use tradewind_decide::rules::Meta;
use tradewind_egress::{Chooser, Chosen, Destination, Dialing, Egress, Outbound, Roots};
use tradewind_policy::ways::{self as policy, GroupKind, Mode, Transport};
use tradewind_runtime::{Kind, Live, Supervisor};

use crate::connections::Connections;
use crate::fetch::Fetcher;
use crate::following::document;
use crate::geo::load_geo;
use crate::group::{Asked, Group};
use crate::kept::Kept;
use crate::logs::{Level, Logs};
use crate::memory::Memory;
use crate::network::Driver;
use crate::node::Member;
use crate::provider::Provider;
use crate::rules::{FindProcess, Lists, LiveRules, Ruling};
use crate::set::{GLOBAL, PASS, WaySet, WaysError};
use crate::source::Surroundings;
use crate::upkeep;

/// Groups within groups that are followed; the document is refused when there are loops, so that this is never reached.
const DEEPEST: usize = 32;

/// What the ways out need from the rest of the process.
pub struct Needs {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How connections are made.
    pub egress: Arc<Egress>,
    /// Who owns the tasks.
    pub supervisor: Supervisor,
    /// Whose certificates are trusted.
    pub roots: Roots,
    /// The data directory.
    pub folder: PathBuf,
    /// What relative paths of the document are relative to.
    pub base: PathBuf,
}

/// The ways out. Clones are the same ones.
#[derive(Clone)]
pub struct Ways(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) needs: Needs,
    pub(crate) set: Live<WaySet>,
    pub(crate) rules: Live<LiveRules>,
    pub(crate) memory: Memory,
    pub(crate) kept: Kept,
    pub(crate) network: Driver,
    pub(crate) fetcher: Fetcher,
    pub(crate) logs: Logs,
    mode: AtomicU8,
    connections: Arc<Connections>,
    filling: parking_lot::Mutex<()>,
    /// Told after each reload, for the tasks that go by the document.
    pub(crate) reloaded: tokio::sync::Notify,
}

/// Another document, ready to be put in place.
pub struct Prepared {
    set: WaySet,
    rules: LiveRules,
    notes: Vec<String>,
}

/// Why a member was not selected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// There is no proxy or group of this name.
    #[error("there is no proxy or group `{0}`")]
    Unknown(String),
    /// It picks by itself, or is no group.
    #[error("`{0}` is not a group in which a member can be selected")]
    NotSelectable(String),
    /// It has no such member.
    #[error("`{0}` has no member `{1}`")]
    NoMember(String, String),
}

/// Which way a connection of the relay takes, and why.
#[derive(Clone)]
pub struct Decided {
    /// The way.
    pub chosen: Chosen,
    /// The rule that decided; nothing when no rule was asked.
    pub ruling: Option<Ruling>,
}

impl Ways {
    /// Makes the ways of `spec` with what is remembered of former ones, and begins to follow the network. Lists that were
    /// fetched before are there at once; others come when [`Self::keep_up`] has fetched them. The second value has what a
    /// person should be told.
    ///
    /// # Errors
    /// When something of `spec` cannot be used.
    pub fn start(spec: policy::Ways, needs: Needs, kept: Kept) -> Result<(Self, Vec<String>), WaysError> {
        let mut notes = Vec::new();
        let memory = Memory::default();
        let fetcher = Fetcher::new(needs.egress.clone(), needs.roots.clone());
        let spec = Arc::new(spec);
        let (set, rules) = make(&spec, &needs, &memory, &fetcher, None, &mut notes)?;
        let network = Driver::new(needs.clock.clone());
        let mode = AtomicU8::new(mode_number(spec.mode));
        let inner = Arc::new(Inner {
            set: Live::new(set),
            rules: Live::new(rules),
            memory,
            kept,
            network,
            fetcher,
            logs: Logs::default(),
            mode,
            connections: Arc::default(),
            filling: parking_lot::Mutex::default(),
            reloaded: tokio::sync::Notify::new(),
            needs,
        });
        inner.restore_selections();
        inner.network.start(document(&inner, Vec::new()), &inner.kept);
        let ways = Self(inner.clone());
        inner.needs.egress.resolver().set(&spec.dns, &spec.hosts, &inner.needs.roots);
        inner.needs.egress.set_chooser(Arc::new(Weak(Arc::downgrade(&inner))));
        Ok((ways, notes))
    }

    /// Starts the tasks that test members, fetch lists and keep the time of contexts.
    pub fn keep_up(&self) {
        let supervisor = &self.0.needs.supervisor;
        upkeep::start(&self.0, |task| supervisor.spawn(Kind::Upkeep, task));
    }

    /// Makes everything of another document that could fail. Nothing has changed yet.
    ///
    /// # Errors
    /// When something of `spec` cannot be used.
    pub fn prepare(&self, spec: policy::Ways) -> Result<Prepared, WaysError> {
        let inner = &self.0;
        let mut notes = Vec::new();
        let (set, rules) = (inner.set.get(), inner.rules.get());
        let spec = Arc::new(spec);
        let made = make(&spec, &inner.needs, &inner.memory, &inner.fetcher, Some((&set, &rules)), &mut notes);
        made.map(|(set, rules)| Prepared { set, rules, notes })
    }

    /// Puts another document in place. What was selected stays as far as it is still there; connections stay as they are.
    /// Returns what a person should be told.
    pub fn put_in_place(&self, prepared: Prepared) -> Vec<String> {
        let inner = &self.0;
        let Prepared { set, rules, notes } = prepared;
        let spec = set.spec.clone();
        let is_other_mode = inner.set.look().spec.mode != spec.mode;
        inner.set.swap(set);
        inner.rules.swap(rules);
        if is_other_mode {
            self.set_mode(spec.mode);
        }
        inner.needs.egress.resolver().set(&spec.dns, &spec.hosts, &inner.needs.roots);
        // A list may have come between the two.
        inner.rules.get().refresh();
        inner.fill();
        let document = document(inner, inner.network.models());
        inner.network.reload(document, &inner.kept);
        inner.memory.forget_unused();
        inner.reloaded.notify_waiters();
        notes
    }

    /// The ways of the present document.
    #[must_use]
    pub fn set(&self) -> Arc<WaySet> {
        self.0.set.get()
    }

    /// The rules of the present document.
    #[must_use]
    pub fn rules(&self) -> Arc<LiveRules> {
        self.0.rules.get()
    }

    /// The connections of the relay.
    #[must_use]
    pub fn connections(&self) -> &Arc<Connections> {
        &self.0.connections
    }

    /// Lines for those who watch.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.0.logs
    }

    /// Time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.needs.clock
    }

    /// How connections are made.
    #[must_use]
    pub fn egress(&self) -> &Arc<Egress> {
        &self.0.needs.egress
    }

    /// What connections are opened with, within `limit`.
    #[must_use]
    pub fn dialing(&self, limit: Duration) -> Dialing {
        self.0.dialing(limit)
    }

    /// Whether the rules are asked.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self.0.mode.load(Ordering::Relaxed) {
            1 => Mode::Global,
            2 => Mode::Direct,
            _ => Mode::Rule,
        }
    }

    /// Changes whether the rules are asked, until the document says something else.
    pub fn set_mode(&self, mode: Mode) {
        self.0.mode.store(mode_number(mode), Ordering::Relaxed);
    }

    /// The way that a connection of the relay takes. Fetches the facts that rules need: addresses of names, processes.
    ///
    /// # Errors
    /// When the way that was decided on cannot be had; no other one is taken in its place.
    pub async fn decide(&self, meta: &mut Meta, find_process: &FindProcess) -> Result<Decided, Fault> {
        let inner = &self.0;
        match self.mode() {
            Mode::Direct => return Ok(Decided { chosen: inner.choose_for("DIRECT", meta)?, ruling: None }),
            Mode::Global => return Ok(Decided { chosen: inner.choose_for(GLOBAL, meta)?, ruling: None }),
            Mode::Rule => {}
        }
        let rules = inner.rules.get();
        let set = inner.set.get();
        let mut from = 0;
        let mut without_datagrams: Option<Arc<str>> = None;
        loop {
            let now = inner.needs.clock.wall();
            let found = rules.first_match(meta, from, now, inner.needs.egress.resolver(), find_process).await;
            let Some(found) = found else {
                if let Some(name) = without_datagrams {
                    // mihomo sends them directly; that would be a way around the proxy that was meant.
                    let detail = format!("`{name}` carries no datagrams, and no other rule says where these go");
                    return Err(Fault::new(FaultKind::WayRejected, detail).before_sending());
                }
                // mihomo's answer to a document whose rules leave something over.
                return Ok(Decided { chosen: inner.choose_for("DIRECT", meta)?, ruling: None });
            };
            let chosen = choose(&set, &found.target, &inner.asked(meta))?;
            let outbound = &chosen.outbound;
            // What is not built fails by its own name; it never makes room for the next rule.
            let carries_none = meta.network == Transport::Udp
                && outbound.is_built()
                && (!outbound.has_udp() || forbids_datagrams(&set, &chosen));
            if carries_none {
                without_datagrams.get_or_insert_with(|| outbound.name().clone());
            }
            if carries_none || PASS.contains(&&**outbound.name()) {
                from = found.index + 1;
                continue;
            }
            return Ok(Decided { chosen, ruling: Some(found) });
        }
    }

    /// The way that `name` stands for now.
    ///
    /// # Errors
    /// When nothing has this name.
    pub fn choose(&self, name: &str, to: &Destination) -> Result<Chosen, Fault> {
        Weak(Arc::downgrade(&self.0)).choose(name, to)
    }

    /// Selects `member` in a `select` group, or fixes it in a group that picks by itself, by hand.
    ///
    /// # Errors
    /// When there is no such group or member; then nothing has changed.
    pub fn select(&self, group: &str, member: &str) -> Result<(), SelectError> {
        let inner = &self.0;
        let set = inner.set.get();
        let found = set.get(group).ok_or_else(|| SelectError::Unknown(group.to_owned()))?;
        let Member::Group(found) = found else { return Err(SelectError::NotSelectable(group.to_owned())) };
        if matches!(found.spec.kind, GroupKind::LoadBalance(_)) {
            return Err(SelectError::NotSelectable(group.to_owned()));
        }
        inner.network.manual(group, &inner.kept, || {
            let member =
                found.member(member).ok_or_else(|| SelectError::NoMember(group.to_owned(), member.to_owned()))?;
            inner.put_selection(found, Some(member.name()));
            Ok(())
        })
    }

    /// Lets a group that picks by itself do so again.
    ///
    /// # Errors
    /// When there is no such group, or it is one in which something is always selected.
    pub fn unfix(&self, group: &str) -> Result<(), SelectError> {
        let set = self.0.set.get();
        let found = set.get(group).ok_or_else(|| SelectError::Unknown(group.to_owned()))?;
        match found {
            Member::Group(found) if matches!(found.spec.kind, GroupKind::UrlTest { .. } | GroupKind::Fallback) => {
                self.0.put_selection(found, None);
                Ok(())
            }
            _ => Err(SelectError::NotSelectable(group.to_owned())),
        }
    }

    /// Waits until another document is put in place.
    pub async fn reloaded(&self) {
        self.0.reloaded.notified().await;
    }

    /// What is remembered over a restart, for whoever writes it.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.0.kept
    }

    /// What was selected in a group of models, `models/NAME`, if that is to be remembered.
    #[must_use]
    pub fn selected_model(&self, name: &str) -> Option<String> {
        self.0.set.look().spec.store_selected.then(|| self.0.kept.selected(name)).flatten()
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }
}

impl Inner {
    pub(crate) fn dialing(self: &Arc<Self>, limit: Duration) -> Dialing {
        let chooser = Arc::new(Weak(Arc::downgrade(self)));
        Dialing { resolver: self.needs.egress.resolver().clone(), chooser, limit, forbid: None }
    }

    fn choose_for(&self, name: &str, meta: &Meta) -> Result<Chosen, Fault> {
        choose(&self.set.look(), name, &self.asked(meta))
    }

    fn asked<'a>(&self, meta: &'a Meta) -> Asked<'a> {
        Asked { host: meta.host.as_deref().unwrap_or(""), source: Some(meta.source), now: self.needs.clock.now() }
    }

    fn put_selection(&self, group: &Group, member: Option<&Arc<str>>) {
        group.state.choose(member.cloned());
        if self.set.look().spec.store_selected {
            self.kept.select(group.name(), member.map(|member| &**member));
        }
    }

    /// What was selected before the restart, as far as it is still there; a member that a list has not brought yet may come.
    fn restore_selections(&self) {
        let set = self.set.get();
        if !set.spec.store_selected {
            return;
        }
        for group in &set.groups {
            if let Some(member) = self.kept.selected(group.name()) {
                group.state.choose(Some(member.into()));
            }
        }
    }

    /// Brings a list up to date, and the groups that use it.
    pub(crate) async fn update(&self, provider: &Provider) -> Result<(), String> {
        let updated = provider.update(&self.around()).await;
        self.fill();
        self.network.members_changed(&self.kept);
        self.memory.forget_unused();
        if let Err(error) = &updated {
            let at = self.needs.clock.wall();
            self.logs.tell(Level::Warning, at, || format!("[Provider] {}: {error}", provider.name()));
        }
        updated
    }

    /// Finds the members of all groups anew.
    fn fill(&self) {
        // One after the other: the later must not put the earlier's members in place.
        let _turn = self.filling.lock();
        self.set.get().fill();
    }

    pub(crate) fn around(&self) -> Surroundings<'_> {
        let Needs { clock, roots, folder, base, .. } = &self.needs;
        Surroundings { memory: &self.memory, roots, base, folder, fetcher: &self.fetcher, now: clock.wall() }
    }
}

/// Picks along groups until a proxy is reached.
///
/// # Errors
/// When nothing has this name, or a group on the way has no member: nothing else is taken in its place.
pub(crate) fn choose(set: &WaySet, name: &str, asked: &Asked<'_>) -> Result<Chosen, Fault> {
    let broken = |detail: String| Fault::new(FaultKind::WayBroken, detail).before_sending();
    let mut chain: SmallVec<[Arc<str>; 4]> = SmallVec::new();
    let found = set.get(name).ok_or_else(|| broken(format!("no proxy and no group is called `{name}`")))?;
    let mut member = found.clone();
    for _ in 0..DEEPEST {
        chain.push(member.name().clone());
        match member {
            Member::Node(node) => {
                chain.reverse();
                return Ok(Chosen { outbound: node.outbound.clone(), chain });
            }
            Member::Group(group) => {
                let none =
                    || broken(format!("the group `{}` has no member: none of its lists has come yet", group.name()));
                member = group.use_for(asked).ok_or_else(none)?;
            }
        }
    }
    Err(broken(format!("`{name}` leads through more than {DEEPEST} groups")))
}

/// Whether a group on the way has `disable-udp`.
fn forbids_datagrams(set: &WaySet, chosen: &Chosen) -> bool {
    chosen.chain.iter().filter_map(|name| set.group(name)).any(|group| group.spec.disable_udp)
}

const fn mode_number(mode: Mode) -> u8 {
    match mode {
        Mode::Rule => 0,
        Mode::Global => 1,
        Mode::Direct => 2,
    }
}

fn make(
    spec: &Arc<policy::Ways>,
    needs: &Needs,
    memory: &Memory,
    fetcher: &Fetcher,
    before: Option<(&WaySet, &LiveRules)>,
    notes: &mut Vec<String>,
) -> Result<(WaySet, LiveRules), WaysError> {
    let Needs { clock, roots, folder, base, .. } = needs;
    let around = Surroundings { memory, roots, base, folder, fetcher, now: clock.wall() };
    let mut providers = Vec::new();
    for provider in &spec.proxy_providers {
        let known = before.and_then(|(before, _)| before.provider(&provider.name));
        // The list itself, so that what comes for one document is there in the other.
        if let Some(known) = known.filter(|known| known.spec == *provider) {
            providers.push(known.clone());
            continue;
        }
        let made = Provider::new(provider.clone())?;
        if let Err(error) = made.load(&around) {
            notes.push(format!("proxy-provider `{}`: {error}", provider.name));
        }
        providers.push(Arc::new(made));
    }
    let set = WaySet::new(spec.clone(), memory, roots, providers)?;
    let geo = load_geo(spec, &[base, folder], notes);
    let lists = Lists::load(spec, before.map(|(_, rules)| &rules.lists), &around, geo.clone(), notes);
    let rules = LiveRules::new(spec, lists, &geo).map_err(WaysError::Rules)?;
    Ok((set, rules))
}

/// The ways out as egress asks them, without keeping them alive.
struct Weak(std::sync::Weak<Inner>);

impl Chooser for Weak {
    fn choose(&self, name: &str, to: &Destination) -> Result<Chosen, Fault> {
        let inner = self.0.upgrade().ok_or_else(|| Fault::new(FaultKind::Draining, "the gateway is stopping"))?;
        let host = to.host.to_string();
        let asked = Asked { host: &host, source: None, now: inner.needs.clock.now() };
        choose(&inner.set.look(), name, &asked)
    }

    fn at(&self, server: &Destination) -> Option<Arc<Outbound>> {
        let set = self.0.upgrade()?.set.get();
        let is_it = |known: &Destination| {
            known.port == server.port && known.host.to_string().eq_ignore_ascii_case(&server.host.to_string())
        };
        let found = set.nodes.iter().find(|node| node.outbound.server().is_some_and(is_it));
        found.map(|node| node.outbound.clone())
    }
}
