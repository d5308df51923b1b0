//! All rules, compiled.

use std::sync::Arc;

use smallvec::SmallVec;
use thiserror::Error;
use tradewind_policy::ways::Rules;

use super::compiled::Facts;
use super::domains::Host;
use super::geo::{Geo, GeoError};
use super::level::{Answer, Level, Walk};
use super::lists::{Lists, RuleList};
use super::{Meta, Resolved};

/// Something that has to be found out before the rules can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// The address of the name: `Meta::resolved`.
    ResolvedIp,
    /// The caller's process: `Meta::process`, `uid` and `process_asked`.
    Process,
}

/// What the rules say of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict<'a> {
    /// A rule fits.
    Match {
        /// Its place in `rules`, from 0; the place of the `SUB-RULE` for one among sub-rules.
        index: usize,
        /// The proxy or group.
        target: &'a Arc<str>,
        /// The rule, for people: the `SUB-RULE` for one among sub-rules, as mihomo shows it.
        rule: &'a RuleInfo,
    },
    /// Something has to be found out before.
    Need(Need),
    /// None fits.
    None,
}

/// A rule, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// The name of its type in the controller API, `DomainSuffix`.
    pub type_name: &'static str,
    /// Its payload.
    pub payload: Arc<str>,
    /// The proxy or group, or the name of sub-rules.
    pub target: Arc<str>,
    /// How many entries of a data file it stands for, as the controller API shows it: -1 when it is none of those.
    pub size: i64,
}

/// Rules that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{rule}: {cause}")]
pub struct BuildError {
    /// The rule, `GeoSite,cn`.
    pub rule: String,
    /// Why.
    #[source]
    pub cause: GeoError,
}

/// The rules of a document, compiled. Cheap to copy.
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: Arc<Compilation>,
    /// The lists that rules name, in the order of `rules.lists`; `None` for one that has not come yet.
    lists: Arc<[Option<Arc<RuleList>>]>,
    /// The places of rules in `rules` that do not count, in order.
    disabled: Arc<[u32]>,
}

#[derive(Debug)]
struct Compilation {
    main: Level,
    sub: Vec<Level>,
    /// The names of lists.
    lists: Vec<Arc<str>>,
}

impl RuleSet {
    /// Compiles rules.
    ///
    /// # Errors
    /// A rule about countries, autonomous systems or sites whose data file is not there, or has not got the list.
    pub fn new(rules: &Rules, lists: &Lists, geo: &Geo) -> Result<Self, BuildError> {
        let mut names = Vec::new();
        let main = Level::new(&rules.main, false, rules, &mut names, geo)?;
        let sub = rules.sub.iter().map(|(_, sub)| Level::new(sub, true, rules, &mut names, geo));
        let sub = sub.collect::<Result<_, _>>()?;
        let set = Compilation { main, sub, lists: names };
        Ok(Self { rules: Arc::new(set), lists: [].into(), disabled: [].into() }.with_lists(lists))
    }

    /// The same rules with other lists; nothing is compiled again.
    #[must_use]
    pub fn with_lists(&self, lists: &Lists) -> Self {
        let found = self.rules.lists.iter().map(|name| lists.get(name).cloned()).collect();
        Self { lists: found, ..self.clone() }
    }

    /// The same rules without those at these places in `rules`; none of them fits, whatever is asked.
    #[must_use]
    pub fn with_disabled(&self, places: impl IntoIterator<Item = usize>) -> Self {
        let mut disabled: Vec<u32> = places.into_iter().filter_map(|place| u32::try_from(place).ok()).collect();
        disabled.sort_unstable();
        disabled.dedup();
        Self { disabled: disabled.into(), ..self.clone() }
    }

    /// Whether the rule at this place does not count.
    #[must_use]
    pub fn is_disabled(&self, index: usize) -> bool {
        u32::try_from(index).is_ok_and(|place| self.disabled.binary_search(&place).is_ok())
    }

    /// How many rules there are in `rules`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.main.rules.len()
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.main.rules.is_empty()
    }

    /// The rules of `rules`, for people, in order.
    pub fn infos(&self) -> impl ExactSizeIterator<Item = &RuleInfo> {
        self.rules.main.rules.iter().map(|rule| &rule.info)
    }

    /// The first rule in order that fits.
    ///
    /// `IP-CIDR` and its like ask for the address of a name ([`Need::ResolvedIp`]) when their turn comes and it is not
    /// known; with `no-resolve` they do not fit then. Once some rule has asked, the address is there for all rules after it.
    /// Within logical rules, something is asked for only where it can change the answer.
    #[must_use]
    pub fn first_match(&self, meta: &Meta) -> Verdict<'_> {
        self.first_match_from(meta, 0)
    }

    /// The first rule in order that fits, from the place `start` on: for a connection that cannot go where the rule before
    /// leads (`PASS`, or datagrams to a way out for streams). A rule before `start` that has asked for the address of the
    /// name counts as having asked when the address is in `meta`.
    #[must_use]
    pub fn first_match_from(&self, meta: &Meta, start: usize) -> Verdict<'_> {
        let Ok(start) = u32::try_from(start) else { return Verdict::None };
        let host = meta.host.as_deref().map(Host::new);
        let facts = Facts {
            meta,
            host: host.as_ref(),
            source: meta.source.to_canonical(),
            address: meta.destination.map(|address| address.to_canonical()),
            may_resolve: meta.host.is_some() && meta.destination.is_none(),
            swapped: false,
            lists: &self.lists,
        };
        let mut in_vain: SmallVec<[bool; 32]> = SmallVec::from_elem(false, self.rules.sub.len());
        let mut walk = Walk { facts, levels: &self.rules.sub, in_vain: &mut in_vain, depth: 0 };
        if start > 0 && walk.facts.may_resolve && meta.resolved != Resolved::NotAsked {
            walk.resolve();
        }
        match self.rules.main.first(&mut walk, start, &self.disabled) {
            Answer::Target(index, target) => Verdict::Match { index, target, rule: &self.rules.main.rules[index].info },
            Answer::Need(need) => Verdict::Need(need),
            Answer::Nothing => Verdict::None,
        }
    }
}
