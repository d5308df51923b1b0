//! One condition, and what it says of a connection.

use std::net::IpAddr;
use std::sync::Arc;

use tradewind_policy::ways::{
    AddressSuffix, Cidr, Condition, InboundKinds, Pattern, Ranges, RuleKind, Transport, Wildcard,
};

use super::domains::Host;
use super::geo::{AsnTest, CountryTest, Geo, GeoError, SiteTest};
use super::lists::RuleList;
use super::{Meta, Need, Process};

/// What a condition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// It fits.
    Yes,
    /// It does not.
    No,
    /// That depends on something that has to be found out first.
    Needs(Need),
}

impl From<bool> for Truth {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// A connection, and what may be seen of it at this point.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) meta: &'a Meta,
    /// `meta.host` with its hashes.
    pub(crate) host: Option<&'a Host<'a>>,
    /// The caller's address; one of the old kind is never written as one of the new.
    pub(crate) source: IpAddr,
    /// The destination's address as far as conditions may see it: a name that has been resolved for some rule is an
    /// address for all rules after it, `no-resolve` or not, and for none before.
    pub(crate) address: Option<IpAddr>,
    /// Whether a condition may still ask for the address of the name.
    pub(crate) may_resolve: bool,
    /// `RULE-SET,…,src`: what the conditions of the list say of the destination is asked of the caller, and the other way
    /// round, as mihomo does it.
    pub(crate) swapped: bool,
    /// The lists, by the number that [`Test::List`] has.
    pub(crate) lists: &'a [Option<Arc<RuleList>>],
}

/// A condition, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) test: Test,
    pub(crate) no_resolve: bool,
    pub(crate) source: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    Everything,
    Domain(Arc<str>),
    Suffix(Arc<str>),
    Keyword(Arc<str>),
    DomainWildcard(Wildcard),
    DomainRegex(Pattern),
    Site(SiteTest),
    Cidr(Cidr),
    AddressSuffix(AddressSuffix),
    Country(CountryTest),
    Asn(AsnTest),
    DestinationPort(Ranges),
    SourcePort(Ranges),
    InboundPort(Ranges),
    InboundType(InboundKinds),
    InboundUser(Arc<[Arc<str>]>),
    InboundName(Arc<[Arc<str>]>),
    ProcessName(Arc<str>),
    ProcessPath(Arc<str>),
    ProcessNameRegex(Pattern),
    ProcessPathRegex(Pattern),
    ProcessNameWildcard(Wildcard),
    ProcessPathWildcard(Wildcard),
    Uid(Ranges),
    Network(Transport),
    Dscp(Ranges),
    List(usize),
    And(Box<[Compiled]>),
    Or(Box<[Compiled]>),
    Not(Box<Compiled>),
}

impl Compiled {
    /// Makes a condition ready. `lists` are the names of lists; a list has the number of its place there.
    pub(crate) fn new(condition: &Condition, lists: &mut Vec<Arc<str>>, geo: &Geo) -> Result<Self, GeoError> {
        let many = |conditions: &[Condition], lists: &mut Vec<Arc<str>>| {
            conditions.iter().map(|condition| Self::new(condition, lists, geo)).collect::<Result<Box<[Self]>, _>>()
        };
        let test = match &condition.kind {
            RuleKind::Match => Test::Everything,
            RuleKind::Domain(name) => Test::Domain(name.clone()),
            RuleKind::DomainSuffix(name) => Test::Suffix(name.clone()),
            RuleKind::DomainKeyword(text) => Test::Keyword(text.clone()),
            RuleKind::DomainWildcard(wildcard) => Test::DomainWildcard(wildcard.clone()),
            RuleKind::DomainRegex(pattern) => Test::DomainRegex(pattern.clone()),
            RuleKind::GeoSite { category, negated } => Test::Site(geo.site(category, *negated)?),
            RuleKind::IpCidr(range) => Test::Cidr(*range),
            RuleKind::IpSuffix(suffix) => Test::AddressSuffix(*suffix),
            RuleKind::IpAsn(number) => Test::Asn(geo.asn(number)?),
            RuleKind::GeoIp { country, negated } => Test::Country(geo.country(country, *negated)?),
            RuleKind::DestinationPort(ranges) => Test::DestinationPort(ranges.clone()),
            RuleKind::SourcePort(ranges) => Test::SourcePort(ranges.clone()),
            RuleKind::InboundPort(ranges) => Test::InboundPort(ranges.clone()),
            RuleKind::InboundType(kinds) => Test::InboundType(*kinds),
            RuleKind::InboundUser(names) => Test::InboundUser(names.clone()),
            RuleKind::InboundName(names) => Test::InboundName(names.clone()),
            RuleKind::ProcessName(name) => Test::ProcessName(name.clone()),
            RuleKind::ProcessPath(path) => Test::ProcessPath(path.clone()),
            RuleKind::ProcessNameRegex(pattern) => Test::ProcessNameRegex(pattern.clone()),
            RuleKind::ProcessPathRegex(pattern) => Test::ProcessPathRegex(pattern.clone()),
            RuleKind::ProcessNameWildcard(wildcard) => Test::ProcessNameWildcard(wildcard.clone()),
            RuleKind::ProcessPathWildcard(wildcard) => Test::ProcessPathWildcard(wildcard.clone()),
            RuleKind::Uid(ranges) => Test::Uid(ranges.clone()),
            RuleKind::Network(transport) => Test::Network(*transport),
            RuleKind::Dscp(ranges) => Test::Dscp(ranges.clone()),
            RuleKind::RuleSet(name) => {
                let known = lists.iter().position(|known| known == name);
                Test::List(known.unwrap_or_else(|| {
                    lists.push(name.clone());
                    lists.len() - 1
                }))
            }
            RuleKind::And(conditions) => Test::And(many(conditions, lists)?),
            RuleKind::Or(conditions) => Test::Or(many(conditions, lists)?),
            RuleKind::Not(condition) => Test::Not(Box::new(Self::new(condition, lists, geo)?)),
            // The condition of a rule that leads to sub-rules; what it leads to is the rule's.
            RuleKind::SubRules(condition) => return Self::new(condition, lists, geo),
        };
        Ok(Self { test, no_resolve: condition.no_resolve, source: condition.source })
    }

    /// What the condition says of a connection.
    pub(crate) fn ask(&self, facts: &Facts<'_>) -> Truth {
        let meta = facts.meta;
        match &self.test {
            Test::Everything => Truth::Yes,
            Test::Domain(name) => named(meta, |host| host == &**name),
            Test::Suffix(suffix) => named(meta, |host| is_under(host, suffix)),
            Test::Keyword(text) => named(meta, |host| host.contains(&**text)),
            Test::DomainWildcard(wildcard) => named(meta, |host| wildcard.is_match(host)),
            Test::DomainRegex(pattern) => named(meta, |host| pattern.is_match(host)),
            Test::Site(site) => facts.host.is_some_and(|host| site.fits(host)).into(),
            Test::Cidr(range) => self.addressed(facts, |address| range.contains(address)),
            Test::AddressSuffix(suffix) => self.addressed(facts, |address| suffix.fits(address)),
            Test::Country(country) => self.addressed(facts, |address| country.fits(address)),
            Test::Asn(asn) => self.addressed(facts, |address| asn.fits(address)),
            Test::DestinationPort(ranges) if !facts.swapped => ranges.contains(meta.destination_port.into()).into(),
            Test::SourcePort(ranges) if facts.swapped => ranges.contains(meta.destination_port.into()).into(),
            Test::DestinationPort(ranges) | Test::SourcePort(ranges) => ranges.contains(meta.source_port.into()).into(),
            Test::InboundPort(ranges) => ranges.contains(meta.inbound_port.into()).into(),
            Test::InboundType(kinds) => kinds.contains(meta.inbound).into(),
            Test::InboundUser(names) => meta.inbound_user.as_ref().is_some_and(|user| names.contains(user)).into(),
            Test::InboundName(names) => names.contains(&meta.inbound_name).into(),
            Test::ProcessName(name) => by_process(meta, |process| process.name.eq_ignore_ascii_case(name)),
            Test::ProcessPath(path) => by_process(meta, |process| process.path.eq_ignore_ascii_case(path)),
            Test::ProcessNameRegex(pattern) => by_process(meta, |process| pattern.is_match(&process.name)),
            Test::ProcessPathRegex(pattern) => by_process(meta, |process| pattern.is_match(&process.path)),
            Test::ProcessNameWildcard(wildcard) => by_process(meta, |process| wildcard.is_match(&process.name)),
            Test::ProcessPathWildcard(wildcard) => by_process(meta, |process| wildcard.is_match(&process.path)),
            Test::Uid(ranges) => match meta.uid {
                Some(uid) => ranges.contains(uid).into(),
                None => unknown_process(meta),
            },
            Test::Network(transport) => (meta.network == *transport).into(),
            Test::Dscp(ranges) => ranges.contains(meta.dscp.into()).into(),
            Test::List(number) => match facts.lists.get(*number) {
                Some(Some(list)) => list.ask(facts, self.no_resolve, self.source),
                _ => Truth::No,
            },
            Test::And(conditions) => all(conditions.iter().map(|condition| condition.ask(facts))),
            Test::Or(conditions) => any(conditions.iter().map(|condition| condition.ask(facts))),
            Test::Not(condition) => match condition.ask(facts) {
                Truth::Yes => Truth::No,
                Truth::No => Truth::Yes,
                needs @ Truth::Needs(_) => needs,
            },
        }
    }

    /// How many entries of a data file it stands for; -1 when it is none of those.
    pub(crate) fn size(&self) -> i64 {
        let size = match &self.test {
            Test::Site(site) => Some(site.size()),
            Test::Country(country) if !self.source => Some(country.size()),
            _ => None,
        };
        size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1)
    }

    fn addressed(&self, facts: &Facts<'_>, fits: impl Fn(IpAddr) -> bool) -> Truth {
        address(facts, self.no_resolve, self.source).map_or_else(|unknown| unknown, |address| fits(address).into())
    }
}

/// The address that a condition is about, or what to say without it.
pub(super) fn address(facts: &Facts<'_>, no_resolve: bool, source: bool) -> Result<IpAddr, Truth> {
    if source != facts.swapped {
        return Ok(facts.source);
    }
    let may_resolve = facts.may_resolve && !no_resolve && !source;
    facts.address.ok_or(if may_resolve { Truth::Needs(Need::ResolvedIp) } else { Truth::No })
}

/// All of them: one that does not fit decides, whatever the others would need.
fn all(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut together = Truth::Yes;
    for truth in truths {
        match truth {
            Truth::Yes => {}
            Truth::No => return Truth::No,
            Truth::Needs(need) => together = needed(together, need),
        }
    }
    together
}

/// One of them: one that fits decides, whatever the others would need.
pub(super) fn any(truths: impl Iterator<Item = Truth>) -> Truth {
    let mut together = Truth::No;
    for truth in truths {
        match truth {
            Truth::No => {}
            Truth::Yes => return Truth::Yes,
            Truth::Needs(need) => together = needed(together, need),
        }
    }
    together
}

/// Of two things that are needed the address is asked for first: it is the cheaper one, and may settle the matter.
fn needed(before: Truth, need: Need) -> Truth {
    if before == Truth::Needs(Need::ResolvedIp) { before } else { Truth::Needs(need) }
}

fn named(meta: &Meta, fits: impl Fn(&str) -> bool) -> Truth {
    meta.host.as_deref().is_some_and(fits).into()
}

fn by_process(meta: &Meta, fits: impl Fn(&Process) -> bool) -> Truth {
    match &meta.process {
        Some(process) => fits(process).into(),
        None => unknown_process(meta),
    }
}

fn unknown_process(meta: &Meta) -> Truth {
    if meta.process_asked { Truth::No } else { Truth::Needs(Need::Process) }
}

/// Whether a name is this one, or ends in a dot and this.
pub(crate) fn is_under(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}
