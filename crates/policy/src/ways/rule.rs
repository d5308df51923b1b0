//! Rules by destination, in mihomo's grammar: `TYPE,PAYLOAD,TARGET[,no-resolve|src]`.
//!
//! A rule is read once, here, into values that a matcher can use as they are: ranges, patterns, prefixes. Whether what it
//! names exists is asked in the same step ([`KnownNames`]), since that is the order in which mihomo finds mistakes. Texts of
//! errors are mihomo's, so that what people find about them fits; the whole of a message is `rules[0] [LINE] error: TEXT`,
//! or `sub-rules[NAME][0] [LINE] error: TEXT`.

mod address;
mod circles;
mod domain;
mod error;
mod grammar;
mod inbound;
mod logic;
mod pattern;
mod ranges;

use std::sync::Arc;

pub use self::address::{AddressSuffix, Cidr, ParseCidrError};
pub use self::circles::MOST_SUB_RULES;
pub use self::domain::{LONGEST_DOMAIN, to_ascii};
pub use self::error::RuleError;
pub use self::grammar::{KnownNames, LONGEST_RULE};
pub use self::inbound::{InboundKind, InboundKinds};
pub use self::logic::{MOST_CONDITIONS, MOST_NESTING};
pub use self::pattern::{LONGEST_PATTERN, Pattern, Wildcard};
pub use self::ranges::{MOST_RANGES, Ranges};

/// All rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// `rules`, in order; the first that fits decides.
    pub main: Vec<Rule>,
    /// `sub-rules`, by name.
    pub sub: Vec<(Arc<str>, Vec<Rule>)>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// When it fits.
    pub condition: Condition,
    /// The proxy or group, or the name of the sub-rules of a `SUB-RULE`.
    pub target: Arc<str>,
}

impl Rule {
    /// The rule that fits everything: `MATCH,target`.
    #[must_use]
    pub fn everything(target: impl Into<Arc<str>>) -> Self {
        let condition = Condition { kind: RuleKind::Match, payload: Arc::from(""), no_resolve: false, source: false };
        Self { condition, target: target.into() }
    }

    /// The name of its type in the controller API, `DomainSuffix`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.condition.type_name()
    }

    /// Its payload as the controller API shows it; empty for `MATCH`.
    #[must_use]
    pub fn payload(&self) -> &Arc<str> {
        &self.condition.payload
    }
}

/// When a rule fits: a rule without its target, as it stands in logical rules and in lists of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is compared.
    pub kind: RuleKind,
    /// The payload as the controller API shows it: domains in lower case, logical rules written out. Empty for `MATCH`.
    pub payload: Arc<str>,
    /// `no-resolve`: a name is not resolved for this rule.
    pub no_resolve: bool,
    /// `src`, and every `SRC-` type: about the caller's address instead of the destination's.
    pub source: bool,
}

impl Condition {
    /// The name of its type in the controller API, `DomainSuffix`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match (&self.kind, self.source) {
            (RuleKind::Match, _) => "Match",
            (RuleKind::Domain(_), _) => "Domain",
            (RuleKind::DomainSuffix(_), _) => "DomainSuffix",
            (RuleKind::DomainKeyword(_), _) => "DomainKeyword",
            (RuleKind::DomainWildcard(_), _) => "DomainWildcard",
            (RuleKind::DomainRegex(_), _) => "DomainRegex",
            (RuleKind::GeoSite { .. }, _) => "GeoSite",
            (RuleKind::IpCidr(_), false) => "IPCIDR",
            (RuleKind::IpCidr(_), true) => "SrcIPCIDR",
            (RuleKind::IpSuffix(_), false) => "IPSuffix",
            (RuleKind::IpSuffix(_), true) => "SrcIPSuffix",
            (RuleKind::IpAsn(_), false) => "IPASN",
            (RuleKind::IpAsn(_), true) => "SrcIPASN",
            (RuleKind::GeoIp { .. }, false) => "GeoIP",
            (RuleKind::GeoIp { .. }, true) => "SrcGeoIP",
            (RuleKind::DestinationPort(_), _) => "DstPort",
            (RuleKind::SourcePort(_), _) => "SrcPort",
            (RuleKind::InboundPort(_), _) => "InPort",
            (RuleKind::InboundType(_), _) => "InType",
            (RuleKind::InboundUser(_), _) => "InUser",
            (RuleKind::InboundName(_), _) => "InName",
            (RuleKind::ProcessName(_), _) => "ProcessName",
            (RuleKind::ProcessPath(_), _) => "ProcessPath",
            (RuleKind::ProcessNameRegex(_), _) => "ProcessNameRegex",
            (RuleKind::ProcessPathRegex(_), _) => "ProcessPathRegex",
            (RuleKind::ProcessNameWildcard(_), _) => "ProcessNameWildcard",
            (RuleKind::ProcessPathWildcard(_), _) => "ProcessPathWildcard",
            (RuleKind::Uid(_), _) => "Uid",
            (RuleKind::Network(_), _) => "Network",
            (RuleKind::Dscp(_), _) => "DSCP",
            (RuleKind::RuleSet(_), _) => "RuleSet",
            (RuleKind::And(_), _) => "AND",
            (RuleKind::Or(_), _) => "OR",
            (RuleKind::Not(_), _) => "NOT",
            (RuleKind::SubRules(_), _) => "SubRules",
        }
    }
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// What is compared with what.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleKind {
    /// `MATCH`: everything.
    Match,
    /// `DOMAIN`: the name is this one. Lower case, in its ASCII form.
    Domain(Arc<str>),
    /// `DOMAIN-SUFFIX`: the name is this one or ends in a dot and this. Lower case, in its ASCII form.
    DomainSuffix(Arc<str>),
    /// `DOMAIN-KEYWORD`: the name has this in it. Lower case.
    DomainKeyword(Arc<str>),
    /// `DOMAIN-WILDCARD`.
    DomainWildcard(Wildcard),
    /// `DOMAIN-REGEX`.
    DomainRegex(Pattern),
    /// `GEOSITE`: the name is in a category of the file of sites.
    GeoSite {
        /// Lower case, with its attributes: `google@cn`.
        category: Arc<str>,
        /// `!cn`: the name is in none of them.
        negated: bool,
    },
    /// `IP-CIDR`, `IP-CIDR6`, `SRC-IP-CIDR`.
    IpCidr(Cidr),
    /// `IP-SUFFIX`, `SRC-IP-SUFFIX`: the last bits of the address are these.
    IpSuffix(AddressSuffix),
    /// `IP-ASN`, `SRC-IP-ASN`: the address belongs to this autonomous system. As written: what is no number fits nothing.
    IpAsn(Arc<str>),
    /// `GEOIP`, `SRC-GEOIP`: the address is in this country, or in this list of the file; `lan` for private addresses.
    GeoIp {
        /// Lower case.
        country: Arc<str>,
        /// `!cn`, with a file of lists only.
        negated: bool,
    },
    /// `DST-PORT`.
    DestinationPort(Ranges),
    /// `SRC-PORT`.
    SourcePort(Ranges),
    /// `IN-PORT`: the port of ours that the caller came in by.
    InboundPort(Ranges),
    /// `IN-TYPE`.
    InboundType(InboundKinds),
    /// `IN-USER`: the caller's user name is one of these.
    InboundUser(Arc<[Arc<str>]>),
    /// `IN-NAME`: the name of the listener is one of these.
    InboundName(Arc<[Arc<str>]>),
    /// `PROCESS-NAME`: the caller's program, without regard to case.
    ProcessName(Arc<str>),
    /// `PROCESS-PATH`.
    ProcessPath(Arc<str>),
    /// `PROCESS-NAME-REGEX`.
    ProcessNameRegex(Pattern),
    /// `PROCESS-PATH-REGEX`.
    ProcessPathRegex(Pattern),
    /// `PROCESS-NAME-WILDCARD`.
    ProcessNameWildcard(Wildcard),
    /// `PROCESS-PATH-WILDCARD`.
    ProcessPathWildcard(Wildcard),
    /// `UID` of the caller's process.
    Uid(Ranges),
    /// `NETWORK`.
    Network(Transport),
    /// `DSCP` of the caller's packets.
    Dscp(Ranges),
    /// `RULE-SET`: fits what the list of this name has.
    RuleSet(Arc<str>),
    /// `AND`: all of these.
    And(Vec<Condition>),
    /// `OR`: one of these.
    Or(Vec<Condition>),
    /// `NOT`: not this.
    Not(Box<Condition>),
    /// `SUB-RULE`: when this fits, the rules of that name are asked.
    SubRules(Box<Condition>),
}

#[cfg(test)]
mod tests;
