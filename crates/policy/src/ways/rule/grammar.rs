//! One line into one rule, one condition of a logical rule or of a list into one condition.
//!
//! As mihomo does it: parts are split at commas, spaces around them do not count, types are in any case, what follows the
//! target is looked at for `no-resolve` and `src` and not minded otherwise. Expressions and logical rules have commas of
//! their own, so the last part of theirs is the target.

use std::sync::Arc;

use super::{
    AddressSuffix, Cidr, Condition, InboundKinds, LONGEST_PATTERN, Pattern, Ranges, Rule, RuleError, RuleKind,
    Transport, Wildcard, logic, to_ascii,
};

/// The longest line, in bytes.
pub const LONGEST_RULE: usize = 16 * 1024;

/// Asks for names that are defined elsewhere in the document.
#[derive(Clone, Copy)]
pub struct KnownNames<'a> {
    /// Whether a proxy or a group has this name, the built-in ones included.
    pub is_way: &'a dyn Fn(&str) -> bool,
    /// Whether a list of rules (`rule-providers`) has this name.
    pub is_list: &'a dyn Fn(&str) -> bool,
    /// Whether some sub-rules have this name.
    pub is_sub_rules: &'a dyn Fn(&str) -> bool,
}

impl KnownNames<'_> {
    /// Takes every name.
    pub const ANY: KnownNames<'static> = KnownNames { is_way: &|_| true, is_list: &|_| true, is_sub_rules: &|_| true };
}

impl Rule {
    /// Reads `TYPE,PAYLOAD,TARGET[,no-resolve|src]`, or `MATCH,TARGET`, and asks for the names in it.
    ///
    /// # Errors
    /// The first of what is wrong with the line, in mihomo's order: parts, target, payload.
    pub fn parse(line: &str, known: KnownNames<'_>) -> Result<Self, RuleError> {
        bounded(line)?;
        let parts: Vec<&str> = line.split(',').map(trim).collect();
        let kind = parts[0].to_ascii_uppercase();
        if kind == "MATCH" {
            let target = parts.get(1).filter(|target| !target.is_empty()).ok_or(RuleError::Format)?;
            if !(known.is_way)(target) {
                return Err(RuleError::NoProxy((*target).into()));
            }
            return Ok(Self::everything(*target));
        }
        if parts.len() < 2 || (parts.len() < 3 && !has_commas(&kind)) {
            return Err(RuleError::Format);
        }
        let (payload, target, parameters) = if has_commas(&kind) {
            let (_, rest) = line.split_once(',').ok_or(RuleError::Format)?;
            let (payload, target) = rest.rsplit_once(',').unwrap_or(("", rest));
            (trim(payload), trim(target), [].as_slice())
        } else {
            (parts[1], parts[2], &parts[3..])
        };
        if target.is_empty() {
            return Err(RuleError::Format);
        }
        if kind == "SUB-RULE" {
            if !(known.is_sub_rules)(target) {
                return Err(RuleError::NoSubRule(target.into()));
            }
        } else if !(known.is_way)(target) {
            return Err(RuleError::NoProxy(target.into()));
        }
        let mut reader = Reader { is_list: Some(known.is_list), level: 0, conditions: 0 };
        Ok(Self { condition: reader.condition(&kind, payload, parameters)?, target: target.into() })
    }
}

impl Condition {
    /// Reads a line of a classical list, `TYPE,PAYLOAD[,no-resolve|src]`.
    ///
    /// # Errors
    /// What is wrong with the line; `MATCH`, `RULE-SET` and `SUB-RULE` have no place in a list.
    pub fn parse(line: &str) -> Result<Self, RuleError> {
        bounded(line)?;
        let kind = line.split(',').next().map(trim).unwrap_or_default().to_ascii_uppercase();
        if let "MATCH" | "SUB-RULE" = kind.as_str() {
            return Err(RuleError::NotInList(kind.into()));
        }
        Reader { is_list: None, level: 0, conditions: 0 }.targetless(line)
    }
}

/// Reads conditions, and knows how deep it is and how much it has read.
pub(super) struct Reader<'a> {
    /// Whether a list of rules has this name; `None` within a list, where no other list may be named.
    is_list: Option<&'a dyn Fn(&str) -> bool>,
    pub(super) level: usize,
    pub(super) conditions: usize,
}

impl Reader<'_> {
    /// Reads `TYPE,PAYLOAD[,no-resolve|src]`.
    pub(super) fn targetless(&mut self, line: &str) -> Result<Condition, RuleError> {
        let (kind, rest) = line.split_once(',').unwrap_or((line, ""));
        let kind = trim(kind).to_ascii_uppercase();
        if has_commas(&kind) {
            return self.condition(&kind, trim(rest), &[]);
        }
        let parts: Vec<&str> = rest.split(',').map(trim).collect();
        self.condition(&kind, parts[0], &parts[1..])
    }

    fn condition(&mut self, kind: &str, payload: &str, parameters: &[&str]) -> Result<Condition, RuleError> {
        if payload.is_empty() {
            return Err(RuleError::NoPayload(kind.into()));
        }
        let no_resolve = parameters.contains(&"no-resolve");
        let source = is_about_source(kind) || (parameters.contains(&"src") && is_about_address(kind));
        let (kind, payload) = match kind {
            "AND" | "OR" | "NOT" | "SUB-RULE" => logic::read(self, kind, payload)?,
            "RULE-SET" => (self.list(payload)?, payload.into()),
            _ => read(kind, payload)?,
        };
        Ok(Condition { kind, payload, no_resolve, source })
    }

    fn list(&self, name: &str) -> Result<RuleKind, RuleError> {
        match self.is_list {
            Some(is_list) if is_list(name) => Ok(RuleKind::RuleSet(name.into())),
            Some(_) => Err(RuleError::NoRuleSet(name.into())),
            None => Err(RuleError::NotInList("RULE-SET".into())),
        }
    }
}

/// Only spaces: a tab is part of a name, as with mihomo.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(' ')
}

fn bounded(line: &str) -> Result<(), RuleError> {
    if line.len() > LONGEST_RULE {
        return Err(RuleError::TooLong { length: line.len(), most: LONGEST_RULE });
    }
    Ok(())
}

/// Whether payloads of this type have commas of their own.
fn has_commas(kind: &str) -> bool {
    matches!(kind, "AND" | "OR" | "NOT" | "SUB-RULE" | "DOMAIN-REGEX" | "PROCESS-NAME-REGEX" | "PROCESS-PATH-REGEX")
}

/// Whether the type is about the caller's address by itself.
fn is_about_source(kind: &str) -> bool {
    matches!(kind, "SRC-GEOIP" | "SRC-IP-ASN" | "SRC-IP-CIDR" | "SRC-IP-SUFFIX")
}

/// Whether `src` means something.
fn is_about_address(kind: &str) -> bool {
    matches!(kind, "IP-CIDR" | "IP-CIDR6" | "IP-SUFFIX" | "IP-ASN" | "GEOIP" | "RULE-SET")
}

/// The value, and the payload as it is shown.
fn read(kind: &str, payload: &str) -> Result<(RuleKind, Arc<str>), RuleError> {
    let as_written: Arc<str> = payload.into();
    let cidr = || payload.parse::<Cidr>().map(RuleKind::IpCidr).map_err(|_| RuleError::Payload);
    let suffix = || payload.parse::<AddressSuffix>().map(RuleKind::IpSuffix).map_err(|_| RuleError::Payload);
    let ports = || Ranges::parse(payload, u16::MAX.into());
    let read = match kind {
        "DOMAIN" => RuleKind::Domain(domain(payload)?),
        "DOMAIN-SUFFIX" => RuleKind::DomainSuffix(domain(payload)?),
        "DOMAIN-KEYWORD" => RuleKind::DomainKeyword(text(&payload.to_lowercase())?),
        "DOMAIN-WILDCARD" => RuleKind::DomainWildcard(Wildcard::new(&to_ascii(payload))?),
        "DOMAIN-REGEX" => RuleKind::DomainRegex(Pattern::new(payload)?),
        "GEOSITE" => {
            let (negated, category) = negatable(payload);
            RuleKind::GeoSite { category, negated }
        }
        "IP-CIDR" | "IP-CIDR6" | "SRC-IP-CIDR" => cidr()?,
        "IP-SUFFIX" | "SRC-IP-SUFFIX" => suffix()?,
        "IP-ASN" | "SRC-IP-ASN" => RuleKind::IpAsn(as_written.clone()),
        "GEOIP" | "SRC-GEOIP" => {
            let (negated, country) = negatable(payload);
            return Ok((RuleKind::GeoIp { country, negated }, payload.to_lowercase().into()));
        }
        "DST-PORT" => RuleKind::DestinationPort(ports()?),
        "SRC-PORT" => RuleKind::SourcePort(ports()?),
        "IN-PORT" => RuleKind::InboundPort(ports()?),
        "IN-TYPE" => {
            let (kinds, shown) = InboundKinds::parse(payload)?;
            return Ok((RuleKind::InboundType(kinds), shown));
        }
        "IN-USER" => RuleKind::InboundUser(names(payload, "in user")?),
        "IN-NAME" => RuleKind::InboundName(names(payload, "in name")?),
        "PROCESS-NAME" => RuleKind::ProcessName(text(payload)?),
        "PROCESS-PATH" => RuleKind::ProcessPath(text(payload)?),
        "PROCESS-NAME-REGEX" => RuleKind::ProcessNameRegex(Pattern::new(payload)?),
        "PROCESS-PATH-REGEX" => RuleKind::ProcessPathRegex(Pattern::new(payload)?),
        "PROCESS-NAME-WILDCARD" => RuleKind::ProcessNameWildcard(Wildcard::new(payload)?),
        "PROCESS-PATH-WILDCARD" => RuleKind::ProcessPathWildcard(Wildcard::new(payload)?),
        "UID" => RuleKind::Uid(Ranges::parse(payload, u32::MAX)?),
        "NETWORK" => match payload.to_ascii_lowercase().as_str() {
            "tcp" => return Ok((RuleKind::Network(Transport::Tcp), Arc::from("tcp"))),
            "udp" => return Ok((RuleKind::Network(Transport::Udp), Arc::from("udp"))),
            _ => return Err(RuleError::Network),
        },
        "DSCP" => RuleKind::Dscp(Ranges::parse(payload, u32::MAX).map_err(dscp).and_then(six_bits)?),
        "REMATCH-NAME" => return Err(RuleError::NotBuilt("REMATCH-NAME")),
        _ => return Err(RuleError::UnknownType(kind.into())),
    };
    let is_domain = matches!(kind, "DOMAIN" | "DOMAIN-SUFFIX" | "DOMAIN-KEYWORD" | "DOMAIN-WILDCARD");
    Ok((read, if is_domain { payload.to_lowercase().into() } else { as_written }))
}

fn dscp(error: RuleError) -> RuleError {
    match error {
        RuleError::Range(range) => RuleError::DscpRange(range),
        other => other,
    }
}

fn six_bits(ranges: Ranges) -> Result<Ranges, RuleError> {
    if ranges.largest() > 63 { Err(RuleError::Dscp) } else { Ok(ranges) }
}

fn text(payload: &str) -> Result<Arc<str>, RuleError> {
    if payload.len() > LONGEST_PATTERN {
        return Err(RuleError::TooLong { length: payload.len(), most: LONGEST_PATTERN });
    }
    Ok(payload.into())
}

/// A name as connections have it: in its ASCII form, without the root's dot.
fn domain(payload: &str) -> Result<Arc<str>, RuleError> {
    text(payload)?;
    let ascii = to_ascii(payload);
    Ok(ascii.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(&ascii).into())
}

fn negatable(payload: &str) -> (bool, Arc<str>) {
    let lower = payload.to_lowercase();
    match lower.strip_prefix('!') {
        Some(rest) => (true, rest.into()),
        None => (false, lower.into()),
    }
}

fn names(payload: &str, what: &'static str) -> Result<Arc<[Arc<str>]>, RuleError> {
    let name = |name: &str| Some(trim(name)).filter(|name| !name.is_empty()).map(Arc::from);
    let names: Option<Arc<[Arc<str>]>> = payload.split('/').map(name).collect();
    names.ok_or(RuleError::EmptyName(what))
}
