//! What each type of rule fits, and when something is asked for. Where nothing else is said, measured on mihomo 1.19.32.

use std::net::IpAddr;

use tradewind_decide::rules::{Geo, Lists, Meta, Process, Resolved, RuleSet};
use tradewind_policy::ways::{InboundKind, Transport};

use crate::support::{compiled, rules, said, to, to_address};

/// What the rule says, with `MATCH,no` after it.
fn fits(rule: &str, meta: &Meta) -> bool {
    match said(compiled(&[rule, "MATCH,no"], &[]).first_match(meta)).as_str() {
        "P" => true,
        "no" => false,
        other => panic!("{rule} says {other}"),
    }
}

#[test]
fn names() {
    for (rule, host, expected) in [
        ("DOMAIN,x.com,P", "x.com", true),
        ("DOMAIN,x.com,P", "a.x.com", false),
        ("DOMAIN-SUFFIX,k.com,P", "k.com", true),
        ("DOMAIN-SUFFIX,k.com,P", "a.k.com", true),
        ("DOMAIN-SUFFIX,k.com,P", "ak.com", false),
        ("DOMAIN-SUFFIX,.d.com,P", "a.d.com", false),
        ("DOMAIN-SUFFIX,+.e.com,P", "a.e.com", false),
        ("DOMAIN-KEYWORD,KEY,P", "akeyb.com", true),
        ("DOMAIN-WILDCARD,*.G.com,P", "b.a.g.com", true),
        ("DOMAIN-WILDCARD,*.G.com,P", "g.com", false),
        ("DOMAIN-WILDCARD,h?.com,P", "h1.com", true),
        ("DOMAIN-WILDCARD,h?.com,P", "h12.com", false),
        ("DOMAIN-REGEX,^I+\\.com$,P", "iii.com", true),
        ("DOMAIN-REGEX,jj,P", "ajjb.com", true),
        // Ours: mihomo compares the letters as they are written on either side.
        ("DOMAIN,例子.com,P", "xn--fsqu00a.com", true),
        ("DOMAIN-SUFFIX,例子.info,P", "a.xn--fsqu00a.info", true),
        ("DOMAIN-WILDCARD,*.例子.net,P", "a.xn--fsqu00a.net", true),
        ("DOMAIN,y.com.,P", "y.com", true),
    ] {
        assert_eq!(fits(rule, &to(host)), expected, "{rule} on {host}");
        assert!(!fits(rule, &to_address("10.1.1.1")), "{rule} without a name");
    }
}

#[test]
fn addresses() {
    let known = |address: &str| Meta { resolved: Resolved::Ip(address.parse().unwrap()), ..to("x.test") };
    for (rule, address, expected) in [
        ("IP-CIDR,10.0.0.0/8,P", "10.1.2.3", true),
        ("IP-CIDR,10.0.0.0/8,P", "11.1.2.3", false),
        ("IP-CIDR,2001:db8::/32,P", "2001:db8::1", true),
        ("IP-SUFFIX,0.0.1.3/8,P", "10.1.2.3", true),
        ("IP-SUFFIX,0.0.1.3/8,P", "10.1.2.4", false),
        ("GEOIP,lan,P", "192.168.1.1", true),
        ("GEOIP,LAN,P", "100.64.0.1", false),
        ("NOT,((IP-CIDR,10.0.0.0/8)),P", "8.8.8.8", true),
        ("NOT,((IP-CIDR,10.0.0.0/8)),P", "10.1.1.1", false),
    ] {
        assert_eq!(fits(rule, &to_address(address)), expected, "{rule} on {address}");
        assert_eq!(fits(rule, &known(address)), expected, "{rule} on a name of {address}");
    }
    for mapped in [to_address("::ffff:10.1.2.3"), known("::ffff:10.1.2.3")] {
        assert!(fits("IP-CIDR,10.0.0.0/8,P", &mapped) && fits("GEOIP,lan,P", &mapped));
    }
    let from = Meta { source: IpAddr::from([127, 0, 0, 1]), ..to("x.test") };
    for rule in
        ["IP-CIDR,127.0.0.1/32,P,src", "SRC-IP-CIDR,127.0.0.1/32,P", "SRC-IP-SUFFIX,0.0.0.1/8,P", "SRC-GEOIP,lan,P"]
    {
        assert!(fits(rule, &from), "{rule}");
        assert!(!fits(rule, &Meta { source: IpAddr::from([8, 8, 8, 8]), ..from.clone() }), "{rule}");
    }
}

#[test]
fn ports_users_and_listeners() {
    let meta = Meta {
        network: Transport::Udp,
        inbound: InboundKind::Socks5,
        inbound_name: "DEFAULT-MIXED".into(),
        inbound_port: 7890,
        inbound_user: Some("bob".into()),
        source_port: 40000,
        dscp: 46,
        uid: Some(1000),
        ..to("x.test")
    };
    for (rule, expected) in [
        ("DST-PORT,80/443,P", true),
        ("DST-PORT,9-1,P", false),
        ("DST-PORT,500-1,P", true),
        ("SRC-PORT,40000,P", true),
        ("SRC-PORT,443,P", false),
        ("IN-PORT,7890,P", true),
        ("IN-PORT,7891,P", false),
        ("IN-TYPE,SOCKS/HTTP,P", true),
        ("IN-TYPE,SOCKS4/HTTPS,P", false),
        ("IN-TYPE,TUN,P", false),
        ("IN-USER,alice/bob,P", true),
        ("IN-USER,Bob,P", false),
        ("IN-NAME,DEFAULT-MIXED,P", true),
        ("IN-NAME,default-mixed,P", false),
        ("NETWORK,udp,P", true),
        ("NETWORK,TCP,P", false),
        ("DSCP,40-50,P", true),
        ("DSCP,0,P", false),
        ("UID,1000,P", true),
        ("UID,0-999,P", false),
    ] {
        assert_eq!(fits(rule, &meta), expected, "{rule}");
    }
}

#[test]
fn processes() {
    let process = Process { name: "python3.11".into(), path: "/opt/bin/python3.11".into() };
    let meta = Meta { process: Some(process), process_asked: true, ..to("x.test") };
    for (rule, expected) in [
        ("PROCESS-NAME,PYTHON3.11,P", true),
        ("PROCESS-NAME,python3,P", false),
        ("PROCESS-NAME,/opt/bin/python3.11,P", false),
        ("PROCESS-PATH,/OPT/bin/python3.11,P", true),
        ("PROCESS-NAME-REGEX,^PYTHON3\\.\\d+$,P", true),
        ("PROCESS-PATH-REGEX,bin/py,P", true),
        ("PROCESS-NAME-WILDCARD,PYTHON*,P", true),
        ("PROCESS-PATH-WILDCARD,/OPT/*,P", true),
        ("PROCESS-PATH-WILDCARD,/opt/?,P", false),
    ] {
        assert_eq!(fits(rule, &meta), expected, "{rule}");
        let unknown = to("x.test");
        assert_eq!(said(compiled(&[rule], &[]).first_match(&unknown)), "?process", "{rule}");
        assert!(!fits(rule, &Meta { process_asked: true, ..unknown }), "{rule}");
    }
    assert_eq!(said(compiled(&["UID,0,P"], &[]).first_match(&to("x.test"))), "?process");
}

#[test]
fn an_address_is_asked_for_when_a_rule_that_wants_it_is_reached() {
    let set = compiled(
        &[
            "DOMAIN,early.test,P0",
            "IP-CIDR,10.0.0.0/8,P1,no-resolve",
            "IP-CIDR,9.0.0.0/8,P2",
            "IP-CIDR,10.0.0.0/8,P3,no-resolve",
            "MATCH,P4",
        ],
        &[],
    );
    let ask = |host: &str, resolved| said(set.first_match(&Meta { resolved, ..to(host) }));
    assert_eq!(ask("early.test", Resolved::NotAsked), "P0");
    assert_eq!(ask("ten.test", Resolved::NotAsked), "?ip");
    // The first rule with `no-resolve` came before anybody had asked.
    assert_eq!(ask("ten.test", Resolved::Ip([10, 1, 2, 3].into())), "P3");
    assert_eq!(ask("ten.test", Resolved::Ip([9, 1, 2, 3].into())), "P2");
    assert_eq!(ask("none.test", Resolved::Failed), "P4");
    assert_eq!(said(set.first_match(&to_address("10.1.1.1"))), "P1");
    // An address that the caller asked for itself is there from the beginning.
    let both = Meta { destination: Some([10, 1, 1, 1].into()), ..to("x.test") };
    assert_eq!(said(set.first_match(&both)), "P1");
    // From a later place on: somebody has asked.
    let known = Meta { resolved: Resolved::Ip([10, 1, 2, 3].into()), ..to("ten.test") };
    assert_eq!(said(set.first_match_from(&known, 1)), "P1");
    assert_eq!(said(set.first_match_from(&known, 4)), "P4");
    assert_eq!(said(set.first_match_from(&known, 5)), "-");
}

#[test]
fn logic_asks_only_for_what_can_change_the_answer() {
    let ask = |rule: &str, meta: &Meta| said(compiled(&[rule, "MATCH,no"], &[]).first_match(meta));
    let meta = to("x.test");
    for (rule, expected) in [
        ("AND,((DOMAIN,x.test),(IP-CIDR,10.0.0.0/8)),P", "?ip"),
        ("AND,((IP-CIDR,10.0.0.0/8),(DOMAIN,y.test)),P", "no"),
        ("OR,((IP-CIDR,10.0.0.0/8),(DOMAIN,x.test)),P", "P"),
        ("OR,((IP-CIDR,10.0.0.0/8),(DOMAIN,y.test)),P", "?ip"),
        ("NOT,((IP-CIDR,10.0.0.0/8)),P", "?ip"),
        ("NOT,((IP-CIDR,10.0.0.0/8,no-resolve)),P", "P"),
        ("NOT,((AND,((PROCESS-NAME,x),(NETWORK,udp)))),P", "P"),
        ("AND,((PROCESS-NAME,x),(IP-CIDR,10.0.0.0/8)),P", "?ip"),
        ("OR,((PROCESS-NAME,x),(NOT,((NETWORK,udp)))),P", "P"),
    ] {
        assert_eq!(ask(rule, &meta), expected, "{rule}");
    }
    // The name has no address: what compares it does not fit.
    let failed = Meta { resolved: Resolved::Failed, ..meta };
    assert_eq!(ask("NOT,((IP-CIDR,10.0.0.0/8)),P", &failed), "P");
}

#[test]
fn sub_rules() {
    let set = compiled(
        &["SUB-RULE,(NETWORK,tcp),s", "MATCH,P0"],
        &[
            (
                "s",
                &[
                    "DOMAIN,a.com,P1",
                    "SUB-RULE,(DOMAIN,b.com),t",
                    "DOMAIN,pass.com,PASS",
                    "DOMAIN,pass.com,P9",
                    "DOMAIN,passr.com,PASS-RULE",
                    "DOMAIN,passr.com,P9",
                    "IP-CIDR,10.0.0.0/8,P7",
                ],
            ),
            ("t", &["MATCH,P2"]),
        ],
    );
    for (host, expected) in
        [("a.com", "P1"), ("b.com", "P2"), ("c.com", "?ip"), ("pass.com", "PASS"), ("passr.com", "P9")]
    {
        assert_eq!(said(set.first_match(&to(host))), expected, "{host}");
    }
    let failed = Meta { resolved: Resolved::Failed, ..to("c.com") };
    assert_eq!(said(set.first_match(&failed)), "P0");
    // Whoever sees that `PASS` leads nowhere goes on after the rule that led to the sub-rules.
    assert_eq!(said(set.first_match_from(&to("pass.com"), 1)), "P0");
    assert_eq!(said(set.first_match(&Meta { network: Transport::Udp, ..to("a.com") })), "P0");
}

#[test]
fn sub_rules_that_had_nothing_are_asked_again_once_the_address_is_there() {
    let again = "SUB-RULE,(NETWORK,tcp),s";
    let sub: &[&str] = &["IP-CIDR,10.0.0.0/8,P2,no-resolve"];
    let set = compiled(&[again, "IP-CIDR,9.0.0.0/8,P1", again, "MATCH,P0"], &[("s", sub)]);
    let known = Meta { resolved: Resolved::Ip([10, 1, 2, 3].into()), ..to("x.test") };
    assert_eq!(said(set.first_match(&known)), "P2");
    assert_eq!(said(set.first_match(&to("x.test"))), "?ip");
}

#[test]
fn sub_rules_that_all_lead_on_are_asked_once_each() {
    // Two ways on from each of 30: a thousand million if each were walked.
    let names: Vec<String> = (0..31).map(|number| format!("s{number}")).collect();
    let lines: Vec<[String; 2]> =
        (0..30).map(|number| [1, 2].map(|_| format!("SUB-RULE,(NETWORK,tcp),s{}", number + 1))).collect();
    let lines: Vec<[&str; 2]> = lines.iter().map(|[a, b]| [a.as_str(), b.as_str()]).collect();
    let lines = lines.iter().map(<[&str; 2]>::as_slice).chain([[].as_slice()]);
    let sub: Vec<(&str, &[&str])> = names.iter().map(String::as_str).zip(lines).collect();
    let set = compiled(&["SUB-RULE,(NETWORK,tcp),s0", "MATCH,P"], &sub);
    assert_eq!(said(set.first_match(&to("x.test"))), "P");
    // Where sub-rules are not there, which the document refuses before, nothing is decided.
    let set = compiled(&["SUB-RULE,(NETWORK,tcp),gone", "MATCH,P"], &[]);
    assert_eq!(said(set.first_match(&to("x.test"))), "P");
    // Nor do those that lead to themselves go round, which the document refuses before.
    let set = compiled(&["SUB-RULE,(NETWORK,tcp),a", "MATCH,P"], &[("a", &["SUB-RULE,(NETWORK,tcp),a"])]);
    assert_eq!(said(set.first_match(&to("x.test"))), "P");
}

#[test]
fn rules_can_be_taken_out() {
    let set = compiled(&["DOMAIN,x.test,P0", "DOMAIN-SUFFIX,x.test,P1", "DOMAIN,x.test,P2", "MATCH,P3"], &[]);
    for (disabled, expected) in
        [(&[][..], "P0"), (&[0], "P1"), (&[1, 0, 0], "P2"), (&[0, 1, 2], "P3"), (&[0, 1, 2, 3], "-")]
    {
        let set = set.with_disabled(disabled.iter().copied());
        assert_eq!(said(set.first_match(&to("x.test"))), expected, "{disabled:?}");
        assert_eq!(
            (0..4).filter(|place| set.is_disabled(*place)).count(),
            expected.trim_start_matches(['P', '-']).parse().unwrap_or(4)
        );
    }
    assert_eq!(
        set.infos().map(|info| info.type_name).collect::<Vec<_>>(),
        ["Domain", "DomainSuffix", "Domain", "Match"]
    );
    assert!(set.infos().all(|info| info.size == -1) && set.len() == 4 && !set.is_empty());
}

#[test]
fn a_rule_without_its_data_is_named() {
    for (rule, told) in [
        ("GEOSITE,cn,P", "GeoSite,cn: this rule needs a data file and none is there: put geosite.dat"),
        ("GEOIP,cn,P", "GeoIP,cn: this rule needs a data file and none is there: put geoip.metadb or country.mmdb"),
        ("AND,((SRC-IP-ASN,1),(NETWORK,tcp)),P", "AND,((SrcIPASN,1) && (Network,tcp)): this rule needs"),
    ] {
        let error = RuleSet::new(&rules(&[rule], &[]), &Lists::default(), &Geo::default()).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
}
