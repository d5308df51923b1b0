//! What goes on beside the calls: tests of members, fetching of lists, the time of contexts.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::task::{Id, JoinSet};
use tradewind_core::Moment;
use tradewind_policy::ways::GroupKind;

use crate::node::Member;
use crate::pick::key_of;
use crate::probe::{Expected, Question};
use crate::provider::Provider;
use crate::rules::List;
use crate::set::WaySet;
use crate::testing::test_all;
use crate::ways::{Inner, Needs};

/// How often it is looked at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A list that could not be fetched is fetched again after this, then after twice as long, and so on, up to an hour.
const FIRST_RETRY: Duration = Duration::from_secs(15);
const LAST_RETRY: Duration = Duration::from_secs(3600);

/// Lists that are fetched at once; one more waits for its turn.
const MOST_FETCHES: usize = 8;
/// Groups and lists that are tested at once.
const MOST_ROUNDS: usize = 16;
/// Times that are remembered.
const MOST_DUE: usize = 65_536;

/// When what is not done again is done.
const NEVER: Moment = Moment::from_micros(u64::MAX);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts all of it.
pub(crate) fn start(inner: &Arc<Inner>, spawn: impl Fn(Task)) {
    let ways = inner.clone();
    spawn(Box::pin(async move { ways.network.keep_time().await }));
    spawn(Box::pin(keep_fetched(inner.clone())));
    spawn(Box::pin(keep_tested(inner.clone())));
}

/// When something is due, by name.
#[derive(Default)]
struct Due(FxHashMap<String, (Moment, Duration)>);

impl Due {
    /// Whether `name` is due; what was never seen is.
    fn is(&self, name: &str, now: Moment) -> bool {
        self.0.get(name).is_none_or(|(at, _)| now >= *at)
    }

    fn again(&mut self, name: &str, at: Moment) {
        // Names of what is gone stay; they are few, and are not kept for ever.
        if self.0.len() >= MOST_DUE {
            self.0.clear();
        }
        self.0.insert(name.to_owned(), (at, FIRST_RETRY));
    }

    /// Forgets all but these.
    fn forget_others(&mut self, names: &FxHashSet<&str>) {
        self.0.retain(|name, _| names.contains(&**name));
    }

    fn retry(&mut self, name: &str, now: Moment) {
        let wait = self.0.get(name).map_or(FIRST_RETRY, |(_, wait)| *wait);
        self.0.insert(name.to_owned(), (now + wait, (wait * 2).min(LAST_RETRY)));
    }
}

/// A list, of either kind.
enum Listed {
    Proxies(Arc<Provider>),
    Rules(Arc<List>),
}

impl Listed {
    /// All lists of the present document.
    fn all(inner: &Inner) -> Vec<Self> {
        let (set, rules) = (inner.set.get(), inner.rules.get());
        let proxies = set.providers.iter().cloned().map(Self::Proxies);
        proxies.chain(rules.lists.all().iter().cloned().map(Self::Rules)).collect()
    }

    /// What it is and why it should be brought up to date, if it should: a list that has failed waits to be tried again for
    /// the same reason, and not for another one.
    fn key(&self, inner: &Inner) -> Option<String> {
        let Needs { base, folder, clock, .. } = &inner.needs;
        let (what, name, reason) = match self {
            Self::Proxies(provider) => ("proxies", provider.name(), provider.reason(base, folder, clock.wall())),
            Self::Rules(list) => ("rules", &list.spec.name, list.reason(base, folder, clock.wall())),
        };
        reason.map(|reason| format!("{what} {name} {reason:x}"))
    }

    async fn update(self, inner: Arc<Inner>) -> bool {
        match self {
            Self::Proxies(provider) => inner.update(&provider).await.is_ok(),
            Self::Rules(list) => inner.update_rules(&list).await.is_ok(),
        }
    }
}

/// Fetches lists when their time has come, and reads files that have changed.
async fn keep_fetched(inner: Arc<Inner>) {
    let mut due = Due::default();
    // A server that says nothing holds up no other list.
    let mut running: JoinSet<bool> = JoinSet::new();
    let mut fetching: FxHashMap<Id, String> = FxHashMap::default();
    let mut set = inner.set.get();
    loop {
        let present = inner.set.get();
        if !Arc::ptr_eq(&present, &set) {
            // Another document may have what was missing: nothing waits to be tried again.
            (set, due) = (present, Due::default());
        }
        let all = Listed::all(&inner).into_iter();
        let wanted: Vec<(String, Listed)> = all.filter_map(|list| Some((list.key(&inner)?, list))).collect();
        due.forget_others(&wanted.iter().map(|(key, _)| &**key).collect());
        for (key, list) in wanted {
            if running.len() >= MOST_FETCHES {
                break;
            }
            if due.is(&key, inner.needs.clock.now()) && !fetching.values().any(|other| *other == key) {
                let task = running.spawn(list.update(inner.clone()));
                fetching.insert(task.id(), key);
            }
        }
        tokio::select! {
            Some(ended) = running.join_next_with_id() => {
                let (id, is_done) = ended.unwrap_or_else(|error| (error.id(), false));
                let Some(key) = fetching.remove(&id) else { continue };
                if is_done { due.again(&key, NEVER) } else { due.retry(&key, inner.needs.clock.now()) }
            }
            () = pause(&inner) => {}
        }
    }
}

/// Tests the members of groups that pick by themselves, and of lists, when their time has come.
async fn keep_tested(inner: Arc<Inner>) {
    let mut due = Due::default();
    // One that takes long holds up no other.
    let mut running: JoinSet<()> = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let set = inner.set.get();
        for round in rounds(&set) {
            let now = inner.needs.clock.now();
            if running.len() >= MOST_ROUNDS {
                break;
            }
            if !due.is(&round.key, now) || !is_wanted(&due, &round, now) {
                continue;
            }
            let next = if round.interval.is_zero() { NEVER } else { now + round.interval };
            due.again(&round.key, next);
            let inner = inner.clone();
            running.spawn(async move {
                let (members, limit) = (round.members.into_iter(), round.limit);
                test_all(&inner, members, &Arc::new(round.question), &round.expected, limit).await;
            });
        }
        drop(set);
        pause(&inner).await;
    }
}

/// The members of a group or a list, as they are tested together.
struct Round {
    /// What it is, and everything that makes a test of it another one: a change is due at once.
    key: String,
    question: Question,
    expected: Expected,
    members: Vec<Member>,
    interval: Duration,
    limit: Duration,
    lazy: bool,
    used: Option<Moment>,
}

/// All that may be tested.
fn rounds(set: &WaySet) -> Vec<Round> {
    let picking = set.groups.iter().filter(|group| !matches!(group.spec.kind, GroupKind::Select));
    let groups = picking.filter_map(|group| {
        let spec = &group.spec;
        let members = group.members().to_vec();
        let used = group.state.used_at();
        round(
            "group",
            &spec.name,
            (&spec.test_url, &spec.expected_status),
            members,
            (spec.interval, spec.timeout),
            spec.lazy,
            used,
        )
    });
    let lists = set.providers.iter().filter_map(|provider| {
        let check = provider.health_check()?;
        let members: Vec<Member> = provider.nodes().iter().cloned().map(Member::Node).collect();
        // In use as long as a group is that has them.
        let using = set.groups.iter().filter(|group| group.spec.members.uses(provider.name()));
        let used = using.filter_map(|group| group.state.used_at()).max();
        round(
            "list",
            provider.name(),
            (&check.url, &check.expected_status),
            members,
            (check.interval, check.timeout),
            check.lazy,
            used,
        )
    });
    groups.chain(lists).collect()
}

fn round(
    what: &str,
    name: &str,
    (url, expected): (&str, &str),
    members: Vec<Member>,
    (interval, limit): (Duration, Duration),
    lazy: bool,
    used: Option<Moment>,
) -> Option<Round> {
    if members.is_empty() {
        return None;
    }
    let names: Vec<&[u8]> = members.iter().map(|member| member.name().as_bytes()).collect();
    let key = format!("{what} {name} {url} {expected} {} {:x}", interval.as_secs(), key_of(&names));
    let (question, expected) = (Question::parse(url).ok()?, Expected::parse(expected)?);
    Some(Round { key, question, expected, members, interval, limit, lazy, used })
}

/// What is lazy is tested at the start, and then only while it is in use.
fn is_wanted(due: &Due, round: &Round, now: Moment) -> bool {
    let in_use = round.used.is_some_and(|used| now.since(used) <= round.interval.max(LOOK_EVERY));
    !round.lazy || !due.0.contains_key(&round.key) || in_use
}

async fn pause(inner: &Inner) {
    let _ = tokio::time::timeout(LOOK_EVERY, inner.reloaded.notified()).await; // whichever comes first
}
