//! What has to hold for any bytes at all that stand in a rule, a list of rules or a data file. A broken rule is a panic.

use std::net::IpAddr;
use std::sync::Arc;

use tradewind_decide::rules::{Geo, Lists, Meta, Need, Process, Resolved, RuleList, RuleSet, Verdict};
use tradewind_policy::ways::{Condition, KnownNames, Rule, RuleBehavior, RuleFormat, Rules};

/// Rules, a line each: a good one is the same when it is read again, and says something of every connection.
pub(crate) fn lines(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut rules = Rules::default();
    for line in text.lines() {
        let _ = Condition::parse(line);
        let Ok(rule) = Rule::parse(line, KnownNames::ANY) else { continue };
        assert!(!rule.target.is_empty() && !rule.type_name().is_empty());
        assert_eq!(Rule::parse(line, KnownNames::ANY).as_ref(), Ok(&rule));
        rules.main.push(rule);
    }
    let _ = rules.check_circles();
    // Rules that need data files do not come further than this.
    if let Ok(set) = RuleSet::new(&rules, &Lists::default(), &Geo::default()) {
        let host = text.lines().next().and_then(|line| line.split(',').nth(1)).unwrap_or("a.example.com");
        ask(&set, host);
    }
}

/// A list of rules. The first byte says of which behaviour and format, and whether a binary list is packed here.
pub(crate) fn list(bytes: &[u8]) {
    let [choice, bytes @ ..] = bytes else { return };
    let behavior = [RuleBehavior::Domain, RuleBehavior::IpCidr, RuleBehavior::Classical][usize::from(choice % 3)];
    let format = [RuleFormat::Yaml, RuleFormat::Text, RuleFormat::Mrs][usize::from(choice / 3 % 3)];
    let packed = if format == RuleFormat::Mrs && *choice >= 128 { packed(bytes) } else { bytes.to_vec() };
    let Ok(list) = RuleList::parse(behavior, format, &packed, &Geo::default()) else { return };
    assert!(list.skipped().iter().all(|reason| reason.chars().count() <= 200));
    let mut lists = Lists::default();
    lists.insert("list".into(), Arc::new(list));
    for line in ["RULE-SET,list,P", "RULE-SET,list,P,no-resolve", "RULE-SET,list,P,src"] {
        let main = vec![Rule::parse(line, KnownNames::ANY).expect("a rule")];
        let set = RuleSet::new(&Rules { main, sub: Vec::new() }, &lists, &Geo::default()).expect("no data is needed");
        ask(&set, "a.b.example.com");
    }
}

/// A Zstandard frame (RFC 8878) of raw blocks without a checksum: what is in it is what is to be tried.
fn packed(bytes: &[u8]) -> Vec<u8> {
    // One segment, its size in four bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend((bytes.len() as u32).to_le_bytes());
    let blocks = bytes.chunks(65_536);
    let last = blocks.len().saturating_sub(1);
    for (number, block) in blocks.enumerate() {
        let header = (block.len() as u32) << 3 | u32::from(number == last);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(block);
    }
    if bytes.is_empty() {
        frame.extend([1, 0, 0]);
    }
    frame
}

/// A data file: countries, autonomous systems and sites are all tried.
pub(crate) fn data(bytes: &[u8]) {
    let lines = ["GEOIP,cn,P", "GEOIP,!cn,P", "SRC-GEOIP,us,P", "IP-ASN,13335,P", "GEOSITE,cn,P", "GEOSITE,!cn@ads,P"];
    let mut geo = Geo::default();
    let _ = geo.set_countries(bytes.to_vec());
    let _ = geo.set_asn(bytes.to_vec());
    let _ = geo.set_sites(bytes.to_vec());
    for line in lines {
        let main = vec![Rule::parse(line, KnownNames::ANY).expect("a rule")];
        if let Ok(set) = RuleSet::new(&Rules { main, sub: Vec::new() }, &Lists::default(), &geo) {
            ask(&set, "www.example.cn");
        }
    }
}

/// Asks about connections; who has told everything that was asked for gets an answer.
fn ask(set: &RuleSet, host: &str) {
    for address in [IpAddr::from([1, 2, 3, 4]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])] {
        let name = Meta { host: Some(host.into()), source: address, ..Meta::default() };
        let addressed = Meta { destination: Some(address), ..Meta::default() };
        for mut meta in [name, addressed] {
            for _ in 0..3 {
                match set.first_match(&meta) {
                    Verdict::Need(Need::ResolvedIp) => meta.resolved = Resolved::Ip(address),
                    Verdict::Need(Need::Process) => {
                        meta.process = Some(Process { name: host.into(), path: host.into() });
                        meta.process_asked = true;
                    }
                    Verdict::Match { index, .. } => {
                        assert!(index < set.len());
                        break;
                    }
                    Verdict::None => break,
                }
            }
            assert!(!matches!(set.first_match(&meta), Verdict::Need(_)), "everything is known now");
        }
    }
}
