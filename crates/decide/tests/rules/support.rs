//! What the tests of rules share.

use std::sync::Arc;

use tradewind_decide::rules::{Geo, Lists, Meta, Need, RuleSet, Verdict};
use tradewind_policy::ways::{KnownNames, Rule, Rules};

/// Rules out of lines, and of sub-rules by name.
pub(crate) fn rules(main: &[&str], sub: &[(&str, &[&str])]) -> Rules {
    let read = |lines: &[&str]| lines.iter().map(|line| Rule::parse(line, KnownNames::ANY).expect("a rule")).collect();
    Rules { main: read(main), sub: sub.iter().map(|(name, lines)| (Arc::from(*name), read(lines))).collect() }
}

/// Rules without lists and data.
pub(crate) fn compiled(main: &[&str], sub: &[(&str, &[&str])]) -> RuleSet {
    RuleSet::new(&rules(main, sub), &Lists::default(), &Geo::default()).expect("rules that need no data")
}

/// A connection to a name.
pub(crate) fn to(host: &str) -> Meta {
    Meta { host: Some(host.into()), destination_port: 443, ..Meta::default() }
}

/// A connection to an address.
pub(crate) fn to_address(address: &str) -> Meta {
    Meta { destination: Some(address.parse().expect("an address")), destination_port: 443, ..Meta::default() }
}

/// A verdict as text: the target, `?ip`, `?process`, or `-`.
pub(crate) fn said(verdict: Verdict<'_>) -> String {
    match verdict {
        Verdict::Match { target, .. } => target.to_string(),
        Verdict::Need(Need::ResolvedIp) => "?ip".to_owned(),
        Verdict::Need(Need::Process) => "?process".to_owned(),
        Verdict::None => "-".to_owned(),
    }
}
