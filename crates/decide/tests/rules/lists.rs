//! `RULE-SET`, and lists in mihomo's binary form, which mihomo 1.19.32 has made (`convert-ruleset`).

use std::sync::Arc;

use tradewind_decide::rules::{Geo, ListError, Lists, Meta, Resolved, RuleList, RuleSet};
use tradewind_policy::ways::{RuleBehavior, RuleFormat};

use crate::support::{rules, said, to, to_address};

const DOMAINS: &[u8] = include_bytes!("fixtures/domain.mrs");
const RANGES: &[u8] = include_bytes!("fixtures/ipcidr.mrs");

fn with_list(main: &[&str], list: RuleList) -> RuleSet {
    let mut lists = Lists::default();
    lists.insert("rs".into(), Arc::new(list));
    RuleSet::new(&rules(main, &[]), &lists, &Geo::default()).expect("rules that need no data")
}

fn lines(behavior: RuleBehavior, lines: &[&str]) -> RuleList {
    RuleList::from_lines(behavior, lines.iter().copied(), &Geo::default()).expect("few lines")
}

#[test]
fn lists_ask_for_addresses_as_their_lines_do() {
    let after = "IP-CIDR,8.0.0.0/8,P2,no-resolve";
    let resolved = |address: [u8; 4]| Meta { resolved: Resolved::Ip(address.into()), ..to("x.test") };
    for (rule, behavior, payload, before, of_ten, of_eight) in [
        ("RULE-SET,rs,P1", RuleBehavior::IpCidr, "10.0.0.0/8", "?ip", "P1", "P2"),
        ("RULE-SET,rs,P1,no-resolve", RuleBehavior::IpCidr, "10.0.0.0/8", "P0", "P0", "P0"),
        ("RULE-SET,rs,P1", RuleBehavior::Classical, "IP-CIDR,10.0.0.0/8", "?ip", "P1", "P2"),
        ("RULE-SET,rs,P1", RuleBehavior::Classical, "IP-CIDR,10.0.0.0/8,no-resolve", "P0", "P0", "P0"),
        ("RULE-SET,rs,P1,no-resolve", RuleBehavior::Classical, "IP-CIDR,10.0.0.0/8", "P0", "P0", "P0"),
        ("RULE-SET,rs,P1", RuleBehavior::Classical, "NOT,((IP-CIDR,10.0.0.0/8))", "?ip", "P0", "P1"),
        ("RULE-SET,rs,P1", RuleBehavior::Domain, "x.test", "P1", "P1", "P1"),
    ] {
        let set = with_list(&[rule, after, "MATCH,P0"], lines(behavior, &[payload]));
        let said =
            [to("x.test"), resolved([10, 1, 1, 1]), resolved([8, 8, 8, 8])].map(|meta| said(set.first_match(&meta)));
        assert_eq!(said, [before, of_ten, of_eight], "{rule} {payload}");
    }
    // A name that the list has needs no address, whatever else is in it.
    let set = with_list(&["RULE-SET,rs,P1"], lines(RuleBehavior::Classical, &["IP-CIDR,10.0.0.0/8", "DOMAIN,x.test"]));
    assert_eq!(said(set.first_match(&to("x.test"))), "P1");
}

#[test]
fn a_list_about_the_caller_has_both_ends_changed() {
    let local = Meta { source: [127, 0, 0, 1].into(), source_port: 80, ..to("x.test") };
    for (behavior, line, expected) in [
        (RuleBehavior::IpCidr, "127.0.0.1/32", "P1"),
        (RuleBehavior::Classical, "IP-CIDR,127.0.0.1/32", "P1"),
        (RuleBehavior::Classical, "SRC-IP-CIDR,127.0.0.1/32", "P0"),
        (RuleBehavior::Classical, "DST-PORT,443", "P0"),
        (RuleBehavior::Classical, "DST-PORT,80", "P1"),
        (RuleBehavior::Classical, "SRC-PORT,443", "P1"),
        (RuleBehavior::Classical, "DOMAIN,x.test", "P1"),
        (RuleBehavior::Domain, "x.test", "P1"),
    ] {
        let set = with_list(&["RULE-SET,rs,P1,src", "MATCH,P0"], lines(behavior, &[line]));
        assert_eq!(said(set.first_match(&local)), expected, "{line}");
    }
    let set =
        with_list(&["RULE-SET,rs,P1,src", "MATCH,P0"], lines(RuleBehavior::Classical, &["SRC-IP-CIDR,10.0.0.0/8"]));
    assert_eq!(said(set.first_match(&to_address("10.1.1.1"))), "P1");
}

#[test]
fn lists_are_swapped_without_the_rules() {
    let main = ["RULE-SET,rs,P1", "AND,((RULE-SET,rs),(NETWORK,udp)),P2", "MATCH,P0"];
    let set = RuleSet::new(&rules(&main, &[]), &Lists::default(), &Geo::default()).unwrap();
    assert_eq!(said(set.first_match(&to("x.test"))), "P0", "a list that has not come fits nothing");
    let mut lists = Lists::default();
    lists.insert("rs".into(), Arc::new(self::lines(RuleBehavior::Domain, &["x.test"])));
    let with = set.with_lists(&lists);
    assert_eq!(said(with.first_match(&to("x.test"))), "P1");
    assert_eq!(said(set.first_match(&to("x.test"))), "P0");
    lists.remove("rs");
    assert_eq!(said(with.with_lists(&lists).first_match(&to("x.test"))), "P0");
}

#[test]
fn mihomos_binary_domains() {
    let list = RuleList::parse(RuleBehavior::Domain, RuleFormat::Mrs, DOMAINS, &Geo::default()).unwrap();
    assert_eq!((list.count(), list.skipped()), (13, &[] as &[String]));
    let set = with_list(&["RULE-SET,rs,yes"], list);
    for (host, expected) in [
        ("a.com", "yes"),
        ("x.a.com", "-"),
        ("b.com", "yes"),
        ("y.x.b.com", "yes"),
        ("c.com", "-"),
        ("x.c.com", "yes"),
        ("y.x.c.com", "-"),
        ("d.com", "-"),
        ("y.x.d.com", "yes"),
        ("x.e.com", "-"),
        ("y.x.e.com", "yes"),
        ("x.y.f.com", "yes"),
        ("x.f.com", "-"),
        ("g.com", "-"),
        ("x.g.com", "yes"),
        ("z.y.x.g.com", "yes"),
        ("single", "yes"),
        ("xn--fsqu00a.com", "yes"),
        ("h.com", "yes"),
        ("h.x.com", "-"),
        ("up.com", "yes"),
        ("x.i.com", "-"),
        ("y.x.i.com", "yes"),
        ("y.j.x.com", "yes"),
    ] {
        assert_eq!(said(set.first_match(&to(host))), expected, "{host}");
    }
}

#[test]
fn mihomos_binary_ranges() {
    let list = RuleList::parse(RuleBehavior::IpCidr, RuleFormat::Mrs, RANGES, &Geo::default()).unwrap();
    assert_eq!(list.count(), 6);
    let set = with_list(&["RULE-SET,rs,yes"], list);
    for (address, expected) in [
        ("10.255.0.1", "yes"),
        ("11.0.0.0", "-"),
        ("192.168.255.255", "yes"),
        ("192.169.0.0", "-"),
        ("1.2.3.4", "yes"),
        ("1.2.3.5", "-"),
        ("0.0.0.0", "yes"),
        ("0.0.0.1", "-"),
        ("255.255.255.255", "yes"),
        ("2001:db8:ffff::1", "yes"),
        ("2001:db9::", "-"),
    ] {
        assert_eq!(said(set.first_match(&to_address(address))), expected, "{address}");
    }
}

#[test]
fn a_binary_list_that_is_not_whole_is_refused() {
    let read = |behavior, bytes: &[u8]| RuleList::parse(behavior, RuleFormat::Mrs, bytes, &Geo::default());
    for whole in [DOMAINS, RANGES] {
        let behavior = if whole == DOMAINS { RuleBehavior::Domain } else { RuleBehavior::IpCidr };
        for length in 0..whole.len() {
            assert!(matches!(read(behavior, &whole[..length]), Err(ListError::NotMrs(_))), "{length}");
        }
        for place in 0..whole.len() * 8 {
            let mut broken = whole.to_vec();
            broken[place / 8] ^= 1 << (place % 8);
            // What the checksum does not cover is how the frame is described, and that says how to read it.
            if let Ok(list) = read(behavior, &broken) {
                assert_eq!(list.count(), if whole == DOMAINS { 13 } else { 6 }, "bit {place}");
            }
        }
    }
    let other = read(RuleBehavior::IpCidr, DOMAINS).unwrap_err();
    assert_eq!(other.to_string(), "the list is of behavior domain, and ipcidr was asked for");
    assert!(matches!(read(RuleBehavior::Classical, RANGES), Err(ListError::OtherBehavior { .. })));
}
