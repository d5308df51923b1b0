//! A live group: its members, and what it has picked.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tradewind_core::Moment;
use tradewind_policy::ways::{self as policy, Balance, GroupKind};
use tradewind_runtime::Live;

use crate::health::Health;
use crate::node::Member;
use crate::pick::{Seen, by_key, fastest, first_alive, first_built, in_turn, key_of, site};

/// How long a caller stays with its member after its last call.
const STICKS_FOR: Duration = Duration::from_secs(600);
/// Callers that are remembered for each group.
const MOST_STICKY: usize = 1000;

/// A group.
#[derive(Debug)]
pub struct Group {
    /// As the document has it.
    pub spec: policy::Group,
    /// What tests of the group itself have shown.
    pub health: Arc<Health>,
    /// What it remembers; the same over reloads.
    pub state: Arc<GroupState>,
    members: Live<Vec<Member>>,
    has_built: AtomicBool,
    is_direct: AtomicBool,
}

/// What a group remembers.
#[derive(Debug, Default)]
pub struct GroupState {
    /// What was chosen: by hand or by network in `select`, fixed by hand in `url-test` and `fallback`.
    chosen: Mutex<Option<Arc<str>>>,
    /// What `url-test` has picked last.
    present: Mutex<Option<Arc<str>>>,
    turn: AtomicUsize,
    sticky: Mutex<FxHashMap<u64, (Arc<str>, Moment)>>,
    /// When it was last used, in microseconds of the clock; 0 for never.
    used: AtomicU64,
}

impl GroupState {
    /// What was chosen by hand or by network.
    #[must_use]
    pub fn chosen(&self) -> Option<Arc<str>> {
        self.chosen.lock().clone()
    }

    pub(crate) fn choose(&self, name: Option<Arc<str>>) {
        *self.chosen.lock() = name;
    }

    pub(crate) fn used_at(&self) -> Option<Moment> {
        Some(self.used.load(Ordering::Relaxed)).filter(|micros| *micros > 0).map(Moment::from_micros)
    }
}

/// What a pick may depend on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    /// The name or address that the connection leads to.
    pub(crate) host: &'a str,
    /// Who asks; nobody on the network when the gateway itself does.
    pub(crate) source: Option<IpAddr>,
    /// When.
    pub(crate) now: Moment,
}

impl Group {
    pub(crate) fn new(spec: policy::Group, health: Arc<Health>, state: Arc<GroupState>) -> Self {
        let (has_built, is_direct) = (AtomicBool::new(true), AtomicBool::new(true));
        Self { spec, health, state, members: Live::new(Vec::new()), has_built, is_direct }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.spec.name
    }

    /// Who may be picked, in order.
    #[must_use]
    pub fn members(&self) -> Arc<Vec<Member>> {
        self.members.get()
    }

    pub(crate) fn set_members(&self, members: Vec<Member>) {
        self.members.swap(members);
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Member> {
        self.members.look().iter().find(|member| **member.name() == *name).cloned()
    }

    /// Whether a member has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.look().iter().any(|member| **member.name() == *name)
    }

    /// Whether what it picks is built; true without members.
    #[must_use]
    pub fn is_built(&self) -> bool {
        let chosen = || self.state.chosen().and_then(|name| self.member(&name));
        match self.spec.kind {
            GroupKind::Select => chosen().map_or_else(|| self.has_built(), |member| member.is_built()),
            _ => self.has_built(),
        }
    }

    /// Whether it has something built to pick by itself.
    pub(crate) fn has_built(&self) -> bool {
        self.has_built.load(Ordering::Relaxed)
    }

    /// Whether it has nothing but `DIRECT` and its like.
    pub(crate) fn is_direct(&self) -> bool {
        self.is_direct.load(Ordering::Relaxed)
    }

    /// Finds out what its members are, after the same of groups within; once for each group, in however many it stands.
    pub(crate) fn settle(&self, settled: &mut FxHashSet<Arc<str>>) {
        if !settled.insert(self.name().clone()) {
            return;
        }
        let members = self.members.look();
        for member in members.iter() {
            if let Member::Group(inner) = member {
                inner.settle(settled);
            }
        }
        let begins_with_first = matches!(self.spec.kind, GroupKind::Select | GroupKind::Fallback);
        let has_built = members.iter().all(Member::has_built)
            || members.iter().any(|member| member.has_built() && !member.is_direct())
            || (begins_with_first && members.first().is_some_and(Member::has_built));
        self.has_built.store(has_built, Ordering::Relaxed);
        self.is_direct.store(members.iter().all(Member::is_direct), Ordering::Relaxed);
    }

    /// What it would pick now, as far as that does not depend on the call; `None` for `load-balance` and without members.
    #[must_use]
    pub fn now(&self) -> Option<Member> {
        match self.spec.kind {
            GroupKind::LoadBalance(_) => None,
            _ => self.pick(&Asked::default()),
        }
    }

    /// Picks for a call, and notes that the group is in use.
    pub(crate) fn use_for(&self, asked: &Asked<'_>) -> Option<Member> {
        // A clock that stands at its origin would look like never.
        self.state.used.store(asked.now.micros().max(1), Ordering::Relaxed);
        self.pick(asked)
    }

    /// Picks as for a call, without noting that the group is in use.
    pub(crate) fn look(&self, asked: &Asked<'_>) -> Option<Member> {
        self.pick(asked)
    }

    fn pick(&self, asked: &Asked<'_>) -> Option<Member> {
        let members = self.members.look();
        let chosen = self.state.chosen.lock().clone();
        let chosen = chosen.and_then(|name| members.iter().find(|member| **member.name() == *name));
        let seen = || seen(&members, &self.spec);
        let index = match self.spec.kind {
            GroupKind::Select => return chosen.or_else(|| first_of(&members)).cloned(),
            GroupKind::UrlTest { .. } | GroupKind::Fallback
                if chosen.is_some_and(|member| member.seen(&self.spec.test_url).alive && member.is_built()) =>
            {
                return chosen.cloned();
            }
            GroupKind::UrlTest { tolerance } => {
                let mut present = self.state.present.lock();
                let before = present.as_ref().and_then(|name| members.iter().position(|member| member.name() == name));
                let picked = fastest(&seen(), before, tolerance);
                if picked != before {
                    *present = picked.map(|index| members[index].name().clone());
                }
                picked
            }
            GroupKind::Fallback => first_alive(&seen()),
            GroupKind::LoadBalance(Balance::RoundRobin) => {
                in_turn(&seen(), self.state.turn.fetch_add(1, Ordering::Relaxed))
            }
            GroupKind::LoadBalance(Balance::ConsistentHashing) => {
                by_key(&seen(), key_of(&[site(asked.host).as_bytes()]))
            }
            GroupKind::LoadBalance(Balance::StickySessions) => self.sticky(&members, &seen(), asked),
        };
        if let Some(index) = index {
            return members.get(index).cloned();
        }
        // One that is not built is used, and fails by its own name.
        members.iter().find(|member| !member.is_built()).cloned()
    }

    fn sticky(&self, members: &[Member], seen: &[Seen], asked: &Asked<'_>) -> Option<usize> {
        let source = match asked.source {
            None => [0; 16],
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
            Some(IpAddr::V6(address)) => address.octets(),
        };
        let key = key_of(&[&source, site(asked.host).as_bytes()]);
        let mut sticky = self.state.sticky.lock();
        let known = sticky.get(&key).filter(|(_, used)| asked.now.since(*used) < STICKS_FOR);
        let known = known.and_then(|(name, _)| members.iter().position(|member| member.name() == name));
        let picked = known.filter(|index| seen[*index].alive).or_else(|| by_key(seen, key))?;
        if sticky.len() >= MOST_STICKY && !sticky.contains_key(&key) {
            sticky.retain(|_, (_, used)| asked.now.since(*used) < STICKS_FOR);
            if sticky.len() >= MOST_STICKY {
                sticky.clear();
            }
        }
        sticky.insert(key, (members[picked].name().clone(), asked.now));
        Some(picked)
    }
}

/// What is known of each member. Where one is not built, `DIRECT` is none that could be picked, since it would go in the place
/// of what cannot; unless it comes first all the same.
fn seen(members: &[Member], group: &policy::Group) -> Vec<Seen> {
    let mut seen: Vec<Seen> = members.iter().map(|member| member.seen(&group.test_url)).collect();
    if let Some(unbuilt) = seen.iter().position(|seen| !seen.built) {
        let before = if group.kind == GroupKind::Fallback { unbuilt } else { 0 };
        for (seen, member) in seen.iter_mut().zip(members).skip(before) {
            seen.built &= !member.is_direct();
        }
    }
    seen
}

/// What a `select` group begins with: its first member. When that one is not built, the next that is, but never `DIRECT`
/// in the place of a proxy: then the first stays, and using it fails.
fn first_of(members: &[Member]) -> Option<&Member> {
    let first = members.first()?;
    if first.is_built() {
        return Some(first);
    }
    let built: Vec<Seen> = members
        .iter()
        .map(|member| Seen { built: member.is_built() && !member.is_direct(), alive: true, delay: 0 })
        .collect();
    first_built(&built).map_or(Some(first), |index| members.get(index))
}
