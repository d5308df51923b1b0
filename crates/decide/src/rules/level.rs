//! The rules of one level, `rules` or one of `sub-rules`, and the first of them that fits.
//!
//! What is asked is always the first rule in order. Rules about a whole name or a range, which most rules are, are found by
//! tables that give the first place among those that fit; all others are asked in turn, and only those before the place
//! that the tables gave. That both ways say the same is shown by `tests/equal.rs`.

use std::net::IpAddr;
use std::sync::Arc;

use tradewind_policy::ways::{Cidr, MOST_SUB_RULES, Rule, RuleKind, Rules};

use super::Resolved;
use super::addresses::AddressPlaces;
use super::compiled::{Compiled, Facts, Test, Truth};
use super::domains::{DomainTable, DomainTableBuilder, Host};
use super::geo::Geo;
use super::set::{BuildError, Need, RuleInfo};

/// No place.
const NOWHERE: u32 = u32::MAX;

/// One rule.
#[derive(Debug)]
pub(super) struct One {
    condition: Compiled,
    pub(super) info: RuleInfo,
    leads: Leads,
}

/// Where a rule leads when it fits.
#[derive(Clone, Copy, Debug)]
enum Leads {
    /// To a proxy or group.
    Target,
    /// To the sub-rules of this number.
    Sub(usize),
    /// Nowhere: it decides nothing.
    Nowhere,
}

impl One {
    fn new(rule: &Rule, is_sub: bool, rules: &Rules, lists: &mut Vec<Arc<str>>, geo: &Geo) -> Result<Self, BuildError> {
        let told = |cause| BuildError { rule: format!("{},{}", rule.type_name(), rule.payload()), cause };
        let condition = Compiled::new(&rule.condition, lists, geo).map_err(told)?;
        let leads = match rule.condition.kind {
            // That sub-rules of a name are there is for the document to see to.
            RuleKind::SubRules(_) => {
                let number = rules.sub.iter().position(|(name, _)| *name == rule.target);
                number.map_or(Leads::Nowhere, Leads::Sub)
            }
            _ if is_sub && &*rule.target == "PASS-RULE" => Leads::Nowhere,
            _ => Leads::Target,
        };
        let info = RuleInfo {
            type_name: rule.type_name(),
            payload: rule.payload().clone(),
            target: rule.target.clone(),
            size: condition.size(),
        };
        Ok(Self { condition, info, leads })
    }
}

/// The rules of one level.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) rules: Vec<One>,
    /// Names, each with where its places are in `name_places`.
    names: DomainTable<NamePlaces>,
    name_places: Box<[u32]>,
    /// Ranges of destinations for which a name may be resolved, and where those rules are.
    resolved: AddressPlaces,
    resolving: Box<[u32]>,
    /// Ranges of destinations with `no-resolve`.
    unresolved: AddressPlaces,
    /// Ranges of callers.
    callers: AddressPlaces,
    /// Where all other rules are.
    others: Box<[u32]>,
}

/// Where the places of a name are: first those of `DOMAIN`, which fit the name itself, then those of `DOMAIN-SUFFIX`. Both
/// are in order.
#[derive(Clone, Copy, Debug)]
struct NamePlaces {
    whole: u32,
    suffix: u32,
    end: u32,
}

/// What a level says.
pub(super) enum Answer<'a> {
    /// The rule at this place fits, and leads to this proxy or group.
    Target(usize, &'a Arc<str>),
    Need(Need),
    Nothing,
}

/// What goes along while levels are asked.
pub(super) struct Walk<'w, 'r> {
    pub(super) facts: Facts<'w>,
    /// The levels of `sub-rules`.
    pub(super) levels: &'r [Level],
    /// For each of them whether it is being asked, or was and had nothing, with what is known of the address now. So each
    /// is asked at most twice, however many rules lead to it.
    pub(super) in_vain: &'w mut [bool],
    /// How many sub-rules have led here.
    pub(super) depth: usize,
}

impl Walk<'_, '_> {
    /// Takes what the address of the name is; for when somebody has looked.
    pub(super) fn resolve(&mut self) {
        if let Resolved::Ip(address) = self.facts.meta.resolved {
            self.facts.address = Some(address.to_canonical());
        }
        self.facts.may_resolve = false;
        self.in_vain.fill(false);
    }

    /// Takes it once a rule wants to know.
    fn ask_address(&mut self) -> Result<(), Need> {
        if self.facts.meta.resolved == Resolved::NotAsked {
            return Err(Need::ResolvedIp);
        }
        self.resolve();
        Ok(())
    }
}

impl Level {
    /// Compiles the rules of a level. In `sub-rules` a rule that leads to `PASS-RULE` decides nothing.
    pub(super) fn new(
        list: &[Rule],
        is_sub: bool,
        rules: &Rules,
        lists: &mut Vec<Arc<str>>,
        geo: &Geo,
    ) -> Result<Self, BuildError> {
        let list =
            list.iter().map(|rule| One::new(rule, is_sub, rules, lists, geo)).collect::<Result<Vec<One>, _>>()?;
        let mut names = DomainTableBuilder::new();
        let mut named: Vec<(Arc<str>, bool, u32)> = Vec::new();
        let (mut resolved, mut unresolved, mut callers) = (Vec::new(), Vec::new(), Vec::new());
        let mut others = Vec::new();
        for (rule, place) in list.iter().zip(0_u32..) {
            match &rule.condition {
                _ if matches!(rule.leads, Leads::Nowhere) => {}
                _ if matches!(rule.leads, Leads::Sub(_)) => others.push(place),
                Compiled { test: Test::Domain(name), .. } => named.push((name.clone(), false, place)),
                Compiled { test: Test::Suffix(name), .. } => named.push((name.clone(), true, place)),
                Compiled { test: Test::Cidr(range), source: true, .. } => callers.push((*range, place)),
                Compiled { test: Test::Cidr(range), no_resolve: true, .. } => unresolved.push((*range, place)),
                Compiled { test: Test::Cidr(range), .. } => resolved.push((*range, place)),
                _ => others.push(place),
            }
        }
        named.sort();
        let mut start = 0;
        for same in named.chunk_by(|a, b| a.0 == b.0) {
            let whole = same.iter().filter(|(_, is_suffix, _)| !is_suffix).count() as u32;
            let places = NamePlaces { whole: start, suffix: start + whole, end: start + same.len() as u32 };
            names.push(&same[0].0, places);
            start = places.end;
        }
        let places_of = |ranges: &[(Cidr, u32)]| ranges.iter().map(|(_, place)| *place).collect();
        Ok(Self {
            names: names.build(|first, _| first),
            name_places: named.iter().map(|(_, _, place)| *place).collect(),
            resolving: places_of(&resolved),
            resolved: AddressPlaces::new(&resolved),
            unresolved: AddressPlaces::new(&unresolved),
            callers: AddressPlaces::new(&callers),
            others: others.into(),
            rules: list,
        })
    }

    /// The first rule from `start` on that fits. `disabled` are places that do not count.
    pub(super) fn first<'r>(&'r self, walk: &mut Walk<'_, 'r>, start: u32, disabled: &[u32]) -> Answer<'r> {
        let mut from = start;
        loop {
            let counts = |place: u32| place >= from && disabled.binary_search(&place).is_err();
            let in_tables = self.in_tables(&walk.facts, &counts);
            // The first range that would have to be compared with the address of the name.
            let asks = if walk.facts.may_resolve {
                let after = self.resolving.partition_point(|place| *place < from);
                self.resolving[after..].iter().copied().find(|place| counts(*place)).unwrap_or(NOWHERE)
            } else {
                NOWHERE
            };
            let limit = in_tables.min(asks);
            let knew = walk.facts.may_resolve;
            let after = self.others.partition_point(|place| *place < from);
            let others = self.others[after..].iter().copied().take_while(|place| *place < limit);
            let mut again = None;
            for place in others.filter(|place| counts(*place)) {
                match self.ask(place, walk) {
                    Answer::Nothing => {}
                    answer => return answer,
                }
                if walk.facts.may_resolve != knew {
                    // The tables see more now, of the rules after this one.
                    again = Some(place + 1);
                    break;
                }
            }
            if again.is_none() && asks < in_tables {
                if let Err(need) = walk.ask_address() {
                    return Answer::Need(need);
                }
                again = Some(asks);
            }
            match again {
                Some(place) => from = place,
                None => return self.target(in_tables),
            }
        }
    }

    /// The first place among those of all tables.
    fn in_tables(&self, facts: &Facts<'_>, counts: &impl Fn(u32) -> bool) -> u32 {
        let mut first = facts.host.map_or(NOWHERE, |host| self.named(host, counts));
        let mut take = |places: &AddressPlaces, address: IpAddr| {
            first = first.min(places.first(address, counts).unwrap_or(NOWHERE));
        };
        take(&self.callers, facts.source);
        if let Some(address) = facts.address {
            take(&self.resolved, address);
            take(&self.unresolved, address);
        }
        first
    }

    fn named(&self, host: &Host<'_>, counts: &impl Fn(u32) -> bool) -> u32 {
        let mut first = NOWHERE;
        if self.names.is_empty() {
            return first;
        }
        for (hash, name, is_whole) in host.endings() {
            let Some(places) = self.names.get(hash, name) else { continue };
            let mut take = |from: u32, until: u32| {
                let places = &self.name_places[from as usize..until as usize];
                first = first.min(places.iter().copied().find(|place| counts(*place)).unwrap_or(NOWHERE));
            };
            take(places.suffix, places.end);
            if is_whole {
                take(places.whole, places.suffix);
            }
        }
        first
    }

    fn target(&self, place: u32) -> Answer<'_> {
        match self.rules.get(place as usize) {
            Some(rule) => Answer::Target(place as usize, &rule.info.target),
            None => Answer::Nothing,
        }
    }

    /// Asks one rule, and the sub-rules that it leads to.
    fn ask<'r>(&'r self, place: u32, walk: &mut Walk<'_, 'r>) -> Answer<'r> {
        let rule = &self.rules[place as usize];
        let mut truth = rule.condition.ask(&walk.facts);
        if truth == Truth::Needs(Need::ResolvedIp) {
            if let Err(need) = walk.ask_address() {
                return Answer::Need(need);
            }
            truth = rule.condition.ask(&walk.facts);
        }
        match (truth, rule.leads) {
            (Truth::No, _) => Answer::Nothing,
            (Truth::Needs(need), _) => Answer::Need(need),
            (Truth::Yes, Leads::Nowhere) => Answer::Nothing,
            (Truth::Yes, Leads::Target) => Answer::Target(place as usize, &rule.info.target),
            (Truth::Yes, Leads::Sub(sub)) => {
                // The document is checked for sub-rules that lead too far; here what is deeper does not fit.
                if walk.in_vain[sub] || walk.depth == MOST_SUB_RULES {
                    return Answer::Nothing;
                }
                walk.in_vain[sub] = true;
                walk.depth += 1;
                let answer = walk.levels[sub].first(walk, 0, &[]);
                walk.depth -= 1;
                match answer {
                    Answer::Target(_, target) => Answer::Target(place as usize, target),
                    other => other,
                }
            }
        }
    }
}
