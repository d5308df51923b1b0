//! The tables of `RuleSet` say exactly what reading the rules one after the other says.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use tradewind_decide::rules::{Geo, Lists, Meta, Process, Resolved, RuleList, RuleSet, Verdict};
use tradewind_policy::ways::{KnownNames, Rule, RuleBehavior, Rules, Transport};

use crate::plain::{PlainLists, Said, first_match};

/// Names of few letters, so that rules meet connections.
fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "com", "ab"]), 1..4).prop_map(|labels| labels.join("."))
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..3, 0_u8..3).prop_map(|(a, b)| IpAddr::from([10, a, 0, b])),
        (0_u8..3).prop_map(|a| IpAddr::from([8, 8, 8, a])),
        (0_u16..3).prop_map(|a| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, a])),
    ]
}

fn range() -> impl Strategy<Value = String> {
    let length = prop::sample::select(vec![0_u8, 7, 8, 15, 16, 23, 31, 32]);
    (address(), length, 0_u8..=128)
        .prop_map(|(address, four, six)| format!("{address}/{}", if address.is_ipv4() { four } else { six }))
}

/// A rule without target, at most as deep in others as said; `true` when it may name a list.
fn condition(depth: u32, may_list: bool) -> BoxedStrategy<String> {
    let options = || prop::sample::select(vec!["", ",no-resolve", ",src", ",src,no-resolve"]);
    let leaf = prop_oneof![
        3 => name().prop_map(|name| format!("DOMAIN,{name}")),
        3 => name().prop_map(|name| format!("DOMAIN-SUFFIX,{name}")),
        1 => name().prop_map(|name| format!("DOMAIN-KEYWORD,{name}")),
        6 => (range(), options()).prop_map(|(range, options)| format!("IP-CIDR,{range}{options}")),
        1 => options().prop_map(|options| format!("GEOIP,lan{options}")),
        1 => prop::sample::select(vec!["80", "443", "1-1000"]).prop_map(|port| format!("DST-PORT,{port}")),
        1 => prop::sample::select(vec!["curl", "go"]).prop_map(|name| format!("PROCESS-NAME,{name}")),
        1 => prop::sample::select(vec!["tcp", "udp"]).prop_map(|network| format!("NETWORK,{network}")),
    ];
    let list = (prop::sample::select(vec!["l0", "l1", "l2", "gone"]), options())
        .prop_map(|(name, options)| format!("RULE-SET,{name}{options}"));
    let leaf = if may_list { prop_oneof![9 => leaf, 2 => list].boxed() } else { leaf.boxed() };
    if depth == 0 {
        return leaf;
    }
    let inner = move || condition(depth - 1, may_list);
    prop_oneof![
        8 => leaf,
        1 => prop::collection::vec(inner(), 1..4).prop_map(|inner| format!("AND,(({}))", inner.join("),("))),
        1 => prop::collection::vec(inner(), 1..4).prop_map(|inner| format!("OR,(({}))", inner.join("),("))),
        1 => inner().prop_map(|inner| format!("NOT,(({inner}))")),
    ]
    .boxed()
}

/// Puts the target where it belongs.
fn with_target(condition: &str, target: &str) -> String {
    let has_commas = ["AND,", "OR,", "NOT,"].iter().any(|kind| condition.starts_with(kind));
    let parts: Vec<&str> = condition.splitn(3, ',').collect();
    match parts.as_slice() {
        [kind, payload, options] if !has_commas => format!("{kind},{payload},{target},{options}"),
        _ => format!("{condition},{target}"),
    }
}

/// Rules of one level; those of a lower number than `subs` may be led to.
fn level(most: usize, subs: usize) -> impl Strategy<Value = Vec<Rule>> {
    let sub = (0_usize..10).prop_map(move |number| Some(number).filter(|number| *number < subs));
    let rule = (condition(2, true), sub, 0..40);
    prop::collection::vec(rule, 0..most).prop_map(|rules| {
        let line = |(place, (condition, sub, pass)): (usize, (String, Option<usize>, i32))| match sub {
            Some(sub) => format!("SUB-RULE,({condition}),s{sub}"),
            None if pass == 0 => with_target(&condition, "PASS-RULE"),
            None => with_target(&condition, &format!("P{place}")),
        };
        let lines = rules.into_iter().enumerate().map(line);
        lines
            .map(|line| Rule::parse(&line, KnownNames::ANY).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect()
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    (level(14, 3), level(5, 0), level(5, 1), level(5, 2)).prop_map(|(mut main, s0, s1, s2)| {
        // `PASS-RULE` is a target like any other there, and no number.
        main.retain(|rule| &*rule.target != "PASS-RULE");
        Rules { main, sub: vec![("s0".into(), s0), ("s1".into(), s1), ("s2".into(), s2)] }
    })
}

fn domain_line() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "com", "ab", "*"]);
    (prop::sample::select(vec!["", "+.", "."]), prop::collection::vec(label, 1..4))
        .prop_map(|(front, labels)| format!("{front}{}", labels.join(".")))
}

fn lists() -> impl Strategy<Value = PlainLists> {
    let domains = prop::collection::vec(domain_line(), 0..8);
    let ranges = prop::collection::vec(range(), 0..6);
    let classical = prop::collection::vec(condition(1, false), 0..6);
    (domains, ranges, classical).prop_map(|(domains, ranges, classical)| {
        PlainLists::from([
            ("l0".to_owned(), (RuleBehavior::Domain, domains)),
            ("l1".to_owned(), (RuleBehavior::IpCidr, ranges)),
            ("l2".to_owned(), (RuleBehavior::Classical, classical)),
        ])
    })
}

fn meta() -> impl Strategy<Value = Meta> {
    let resolved = prop_oneof![Just(Resolved::NotAsked), Just(Resolved::Failed), address().prop_map(Resolved::Ip)];
    let process = prop::option::of(prop::sample::select(vec!["curl", "go", "wget"]));
    let place = prop_oneof![
        4 => name().prop_map(|name| (Some(name), None)),
        2 => address().prop_map(|address| (None, Some(address))),
        1 => (name(), address()).prop_map(|(name, address)| (Some(name), Some(address))),
        1 => Just((None, None)),
    ];
    (place, resolved, process, any::<bool>(), any::<bool>(), address(), any::<bool>()).prop_map(
        |((host, destination), resolved, process, process_asked, udp, source, port)| Meta {
            network: if udp { Transport::Udp } else { Transport::Tcp },
            host: host.map(Arc::from),
            destination,
            resolved,
            process: process.map(|name| Process { name: name.into(), path: name.into() }),
            process_asked,
            source,
            source_port: 443,
            destination_port: if port { 443 } else { 8080 },
            ..Meta::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn tables_say_what_reading_in_order_says(
        rules in rules(),
        lists in lists(),
        metas in prop::collection::vec(meta(), 12),
        disabled in prop::collection::vec(0_usize..14, 0..3),
        start in prop_oneof![3 => Just(0_usize), 1 => 0_usize..14],
    ) {
        let geo = Geo::default();
        let mut taken = Lists::default();
        for (name, (behavior, lines)) in &lists {
            let list = RuleList::from_lines(*behavior, lines.iter().map(String::as_str), &geo).unwrap();
            prop_assert_eq!(list.skipped(), &[] as &[String]);
            prop_assert_eq!(list.count(), lines.len());
            taken.insert(name.as_str().into(), Arc::new(list));
        }
        let set = RuleSet::new(&rules, &taken, &geo).unwrap().with_disabled(disabled.iter().copied());
        for meta in metas {
            let said = match set.first_match_from(&meta, start) {
                Verdict::Match { index, target, rule } => {
                    prop_assert_eq!(&rule.payload, rules.main[index].payload());
                    Said::Match(index, target.trim_start_matches('P').parse().unwrap())
                }
                Verdict::Need(need) => Said::Need(need),
                Verdict::None => Said::None,
            };
            prop_assert_eq!(said, first_match(&rules, &lists, &disabled, &meta, start), "{:?}", meta);
        }
    }
}
