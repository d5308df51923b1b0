//! Rules read one after the other, as somebody would who had no tables: what `RuleSet` has to agree with.
//!
//! Written from the meaning of the rules, over the values of the document; it shares nothing with what it judges but the
//! comparison of one pattern, range or wildcard with one text.

use std::collections::HashMap;
use std::net::IpAddr;

use tradewind_decide::rules::{Meta, Need, Resolved};
use tradewind_policy::ways::{Condition, Rule, RuleBehavior, RuleKind, Rules};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The place in `rules`, and the target's name.
    Match(usize, usize),
    Need(Need),
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    Needs(Need),
}

use Truth::{Needs, No, Yes};

/// Lists as their lines.
pub(crate) type PlainLists = HashMap<String, (RuleBehavior, Vec<String>)>;

pub(crate) struct Plain<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) lists: &'a PlainLists,
    pub(crate) disabled: &'a [usize],
    pub(crate) meta: &'a Meta,
    address: Option<IpAddr>,
    may_resolve: bool,
}

/// The first match from a place on; targets are numbers.
pub(crate) fn first_match(rules: &Rules, lists: &PlainLists, disabled: &[usize], meta: &Meta, start: usize) -> Said {
    let may_resolve = meta.host.is_some() && meta.destination.is_none();
    let mut plain = Plain { rules, lists, disabled, meta, address: meta.destination, may_resolve };
    if start > 0 && may_resolve && meta.resolved != Resolved::NotAsked {
        plain.resolve();
    }
    for (place, rule) in rules.main.iter().enumerate().skip(start) {
        if plain.disabled.contains(&place) {
            continue;
        }
        match plain.rule(rule) {
            Ok(None) => {}
            Ok(Some(target)) => return Said::Match(place, target),
            Err(need) => return Said::Need(need),
        }
    }
    Said::None
}

impl Plain<'_> {
    fn resolve(&mut self) {
        if let Resolved::Ip(address) = self.meta.resolved {
            self.address = Some(address);
        }
        self.may_resolve = false;
    }

    fn rule(&mut self, rule: &Rule) -> Result<Option<usize>, Need> {
        let mut truth = self.condition(&rule.condition, false, self.may_resolve);
        if truth == Needs(Need::ResolvedIp) {
            if self.meta.resolved == Resolved::NotAsked {
                return Err(Need::ResolvedIp);
            }
            self.resolve();
            truth = self.condition(&rule.condition, false, false);
        }
        match truth {
            No => Ok(None),
            Needs(need) => Err(need),
            Yes if !matches!(rule.condition.kind, RuleKind::SubRules(_)) => {
                Ok(Some(rule.target.trim_start_matches('P').parse().expect("targets are numbers")))
            }
            Yes => {
                let rules = self.rules;
                let found = rules.sub.iter().find(|(name, _)| *name == rule.target);
                for rule in found.map_or([].as_slice(), |(_, rules)| rules) {
                    if &*rule.target == "PASS-RULE" {
                        continue;
                    }
                    if let Some(target) = self.rule(rule)? {
                        return Ok(Some(target));
                    }
                }
                Ok(None)
            }
        }
    }

    fn address(&self, source: bool, swapped: bool, may_resolve: bool) -> Result<IpAddr, Truth> {
        if source != swapped {
            return Ok(self.meta.source);
        }
        match self.address {
            Some(address) => Ok(address),
            None if may_resolve && !source => Err(Needs(Need::ResolvedIp)),
            None => Err(No),
        }
    }

    fn condition(&self, condition: &Condition, swapped: bool, may_resolve: bool) -> Truth {
        let meta = self.meta;
        let may = may_resolve && !condition.no_resolve;
        let host = meta.host.as_deref();
        let fits = |fits: bool| if fits { Yes } else { No };
        let labels = |text: &str| text.split('.').rev().map(str::to_owned).collect::<Vec<_>>();
        let process = |test: &dyn Fn(&str) -> bool| match &meta.process {
            Some(process) => fits(test(&process.name)),
            None if meta.process_asked => No,
            None => Needs(Need::Process),
        };
        match &condition.kind {
            RuleKind::Match => Yes,
            RuleKind::Domain(name) => fits(host == Some(name)),
            RuleKind::DomainSuffix(name) => fits(host.is_some_and(|host| labels(host).starts_with(&labels(name)))),
            RuleKind::DomainKeyword(text) => fits(host.is_some_and(|host| host.contains(&**text))),
            RuleKind::IpCidr(range) => match self.address(condition.source, swapped, may) {
                Ok(address) => fits(range.contains(address)),
                Err(truth) => truth,
            },
            RuleKind::GeoIp { .. } => match self.address(condition.source, swapped, may) {
                Ok(IpAddr::V4(four)) => fits(four.is_private() || four.is_loopback()),
                Ok(IpAddr::V6(_)) => No,
                Err(truth) => truth,
            },
            RuleKind::DestinationPort(ports) => {
                fits(ports.contains(if swapped { meta.source_port } else { meta.destination_port }.into()))
            }
            RuleKind::ProcessName(name) => process(&|own| own == &**name),
            RuleKind::Network(network) => fits(meta.network == *network),
            RuleKind::RuleSet(name) => self.list(name, swapped != condition.source, may),
            RuleKind::And(inner) => {
                let truths: Vec<Truth> =
                    inner.iter().map(|inner| self.condition(inner, swapped, may_resolve)).collect();
                if truths.contains(&No) { No } else { needed(&truths).unwrap_or(Yes) }
            }
            RuleKind::Or(inner) => {
                let truths: Vec<Truth> =
                    inner.iter().map(|inner| self.condition(inner, swapped, may_resolve)).collect();
                if truths.contains(&Yes) { Yes } else { needed(&truths).unwrap_or(No) }
            }
            RuleKind::Not(inner) => match self.condition(inner, swapped, may_resolve) {
                Yes => No,
                No => Yes,
                needs => needs,
            },
            RuleKind::SubRules(inner) => self.condition(inner, swapped, may_resolve),
            other => panic!("no rule of this kind is made here: {other:?}"),
        }
    }

    /// The list fits when one line does; what a line needs counts only when no other fits.
    fn list(&self, name: &str, swapped: bool, may_resolve: bool) -> Truth {
        let Some((behavior, lines)) = self.lists.get(name) else { return No };
        let mut truths = Vec::new();
        for line in lines {
            truths.push(match behavior {
                RuleBehavior::Domain => {
                    let host = self.meta.host.as_deref();
                    if host.is_some_and(|host| is_domain_line(line, host)) { Yes } else { No }
                }
                RuleBehavior::IpCidr => self.condition(
                    &Condition::parse(&format!("IP-CIDR,{line}")).expect("a range"),
                    swapped,
                    may_resolve,
                ),
                RuleBehavior::Classical => {
                    self.condition(&Condition::parse(line).expect("a rule"), swapped, may_resolve)
                }
            });
        }
        if truths.contains(&Yes) { Yes } else { needed(&truths).unwrap_or(No) }
    }
}

/// What is asked for of several things: the address before the process, since it is the cheaper of the two.
fn needed(truths: &[Truth]) -> Option<Truth> {
    [Needs(Need::ResolvedIp), Needs(Need::Process)].into_iter().find(|needs| truths.contains(needs))
}

/// A line of a list of domains, by labels from the front.
fn is_domain_line(line: &str, host: &str) -> bool {
    let (least, most, line) = match (line.strip_prefix("+."), line.strip_prefix('.')) {
        (Some(rest), _) => (0, usize::MAX, rest),
        (_, Some(rest)) => (1, usize::MAX, rest),
        _ => (0, 0, line),
    };
    let (own, host): (Vec<&str>, Vec<&str>) = (line.split('.').collect(), host.split('.').collect());
    let Some(more) = host.len().checked_sub(own.len()) else { return false };
    (least..=most).contains(&more) && own.iter().zip(&host[more..]).all(|(own, label)| *own == "*" || own == label)
}
