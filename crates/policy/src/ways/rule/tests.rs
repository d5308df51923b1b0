//! The grammar, against what mihomo 1.19.32 says of the same lines (`mihomo -t`, and `GET /rules` for those it takes).

use super::*;

/// `DIRECT` and `P` are ways, `rs` is a list, `sr` are sub-rules.
fn parse(line: &str) -> Result<Rule, RuleError> {
    let known = KnownNames {
        is_way: &|name| matches!(name, "DIRECT" | "P"),
        is_list: &|name| name == "rs",
        is_sub_rules: &|name| name == "sr",
    };
    Rule::parse(line, known)
}

#[test]
fn every_type_has_the_name_and_payload_that_mihomo_shows() {
    for (line, type_name, payload) in [
        ("DOMAIN,Example.COM,DIRECT", "Domain", "example.com"),
        ("domain,x,DIRECT", "Domain", "x"),
        (" DOMAIN , x.com , DIRECT ", "Domain", "x.com"),
        ("DOMAIN,x.com.,DIRECT", "Domain", "x.com."),
        ("DOMAIN,x\t,DIRECT", "Domain", "x\t"),
        ("DOMAIN,x.com,DIRECT,foo,bar", "Domain", "x.com"),
        ("DOMAIN-SUFFIX,例子.COM,DIRECT", "DomainSuffix", "例子.com"),
        ("DOMAIN-KEYWORD,Goo,DIRECT", "DomainKeyword", "goo"),
        ("DOMAIN-WILDCARD,*.Exa?ple.com,DIRECT", "DomainWildcard", "*.exa?ple.com"),
        ("DOMAIN-REGEX,^a{1,2}\\.com$,DIRECT", "DomainRegex", "^a{1,2}\\.com$"),
        ("DOMAIN-REGEX,a,b,DIRECT", "DomainRegex", "a,b"),
        ("GEOSITE,CN,DIRECT", "GeoSite", "CN"),
        ("GEOSITE,!cn,DIRECT", "GeoSite", "!cn"),
        ("IP-CIDR,10.1.2.3/8,DIRECT", "IPCIDR", "10.1.2.3/8"),
        ("IP-CIDR,10.1.2.3/8,DIRECT,src", "SrcIPCIDR", "10.1.2.3/8"),
        ("IP-CIDR,10.0.0.0/8,DIRECT,src,no-resolve", "SrcIPCIDR", "10.0.0.0/8"),
        ("IP-CIDR6,2001:db8::1/32,DIRECT", "IPCIDR", "2001:db8::1/32"),
        ("IP-CIDR6,10.0.0.0/8,DIRECT", "IPCIDR", "10.0.0.0/8"),
        ("IP-SUFFIX,8.8.8.8/24,DIRECT", "IPSuffix", "8.8.8.8/24"),
        ("IP-ASN,13335,DIRECT", "IPASN", "13335"),
        ("IP-ASN,AS13335,DIRECT", "IPASN", "AS13335"),
        ("GEOIP,LAN,DIRECT", "GeoIP", "lan"),
        ("GEOIP,CN,DIRECT,src", "SrcGeoIP", "cn"),
        ("SRC-GEOIP,cn,DIRECT", "SrcGeoIP", "cn"),
        ("SRC-IP-ASN,9808,DIRECT", "SrcIPASN", "9808"),
        ("SRC-IP-CIDR,192.168.1.201/32,DIRECT", "SrcIPCIDR", "192.168.1.201/32"),
        ("SRC-IP-SUFFIX,192.168.1.201/8,DIRECT", "SrcIPSuffix", "192.168.1.201/8"),
        ("DST-PORT,80/443/8000-9000,DIRECT", "DstPort", "80/443/8000-9000"),
        ("DST-PORT, 80 / 81 - 90 ,DIRECT", "DstPort", "80 / 81 - 90"),
        ("SRC-PORT,7777,DIRECT", "SrcPort", "7777"),
        ("IN-PORT,7890,DIRECT", "InPort", "7890"),
        ("IN-TYPE,socks/HTTP,DIRECT", "InType", "SOCKS/HTTP"),
        ("IN-USER,mihomo/x,DIRECT", "InUser", "mihomo/x"),
        ("IN-NAME,ss/y,DIRECT", "InName", "ss/y"),
        ("PROCESS-NAME,Curl,DIRECT", "ProcessName", "Curl"),
        ("PROCESS-PATH,/usr/bin/Wget,DIRECT", "ProcessPath", "/usr/bin/Wget"),
        ("PROCESS-NAME-REGEX,curl$,DIRECT", "ProcessNameRegex", "curl$"),
        ("PROCESS-PATH-REGEX,.*bin/wget,DIRECT", "ProcessPathRegex", ".*bin/wget"),
        ("PROCESS-NAME-WILDCARD,*cur?,DIRECT", "ProcessNameWildcard", "*cur?"),
        ("PROCESS-PATH-WILDCARD,/usr/*/wget,DIRECT", "ProcessPathWildcard", "/usr/*/wget"),
        ("UID,1001/1005-1007,DIRECT", "Uid", "1001/1005-1007"),
        ("UID,0-4294967295,DIRECT", "Uid", "0-4294967295"),
        ("NETWORK,UDP,DIRECT", "Network", "udp"),
        ("DSCP,4/8-10,DIRECT", "DSCP", "4/8-10"),
        ("RULE-SET,rs,DIRECT", "RuleSet", "rs"),
        ("RULE-SET,rs,DIRECT,src", "RuleSet", "rs"),
        ("AND,((DOMAIN,Baidu.com),(NETWORK,UDP)),DIRECT", "AND", "((Domain,baidu.com) && (Network,udp))"),
        ("OR,((NETWORK,UDP),(DOMAIN,baidu.com)),P", "OR", "((Network,udp) || (Domain,baidu.com))"),
        ("NOT,((DOMAIN,baidu.com)),P", "NOT", "(!(Domain,baidu.com))"),
        ("AND,((IP-CIDR,10.0.0.0/8,no-resolve),(NETWORK,udp)),P", "AND", "((IPCIDR,10.0.0.0/8) && (Network,udp))"),
        (
            "AND,((DOMAIN,x),(AND,((DOMAIN,y),(NOT,((NETWORK,udp)))))),DIRECT",
            "AND",
            "((Domain,x) && (AND,((Domain,y) && (NOT,(!(Network,udp))))))",
        ),
        ("OR, ( ( DOMAIN , x ) , ( NETWORK , udp ) ) ,DIRECT", "OR", "((Domain,x) || (Network,udp))"),
        ("OR,((DOMAIN,x)(NETWORK,udp)),DIRECT", "OR", "((Domain,x) || (Network,udp))"),
        ("OR,((DOMAIN,x,y),(NETWORK,udp)),DIRECT", "OR", "((Domain,x) || (Network,udp))"),
        ("OR,((DOMAIN-REGEX,a(b|c)d{1,2}),(NETWORK,udp)),P", "OR", "((DomainRegex,a(b|c)d{1,2}) || (Network,udp))"),
        ("AND,((DOMAIN,x),(RULE-SET,rs)),DIRECT", "AND", "((Domain,x) && (RuleSet,rs))"),
        ("SUB-RULE,(NETWORK,tcp),sr", "SubRules", "(NETWORK,tcp)"),
        ("SUB-RULE,(OR,((NETWORK,tcp),(DOMAIN,x))),sr", "SubRules", "(OR,((NETWORK,tcp),(DOMAIN,x)))"),
        ("MATCH,DIRECT", "Match", ""),
        ("match , DIRECT", "Match", ""),
        ("MATCH,DIRECT,no-resolve", "Match", ""),
    ] {
        let rule = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!((rule.type_name(), &**rule.payload()), (type_name, payload), "{line}");
    }
}

#[test]
fn bad_lines_are_told_in_mihomos_words() {
    for (line, told) in [
        ("FOO,x,DIRECT", "unsupported rule type: FOO"),
        ("foo,x,DIRECT", "unsupported rule type: FOO"),
        ("FOO,x,nope", "proxy [nope] not found"),
        ("FOO", "format invalid"),
        ("FOO,x", "format invalid"),
        ("", "format invalid"),
        ("  ", "format invalid"),
        (",", "format invalid"),
        ("DOMAIN", "format invalid"),
        ("DOMAIN,x", "format invalid"),
        ("DOMAIN,x,", "format invalid"),
        ("FINAL,DIRECT", "format invalid"),
        ("MATCH", "format invalid"),
        ("MATCH,", "format invalid"),
        ("MATCH,nope", "proxy [nope] not found"),
        ("MATCH,x,DIRECT", "proxy [x] not found"),
        ("DOMAIN,,DIRECT", "missing subsequent parameters: DOMAIN"),
        ("FOO,,DIRECT", "missing subsequent parameters: FOO"),
        ("DOMAIN,x,direct", "proxy [direct] not found"),
        ("DOMAIN-REGEX,a,DIRECT,no-resolve", "proxy [no-resolve] not found"),
        ("DOMAIN-REGEX,a", "proxy [a] not found"),
        ("DOMAIN-REGEX,DIRECT", "missing subsequent parameters: DOMAIN-REGEX"),
        ("DOMAIN-REGEX,[,nope", "proxy [nope] not found"),
        ("DOMAIN-REGEX,[,DIRECT", "error parsing regexp: unclosed character class"),
        ("IP-CIDR,10.0.0.0,DIRECT", "payloadRule error"),
        ("IP-CIDR,10.0.0.0/33,DIRECT", "payloadRule error"),
        ("IP-CIDR,fe80::1%eth0/64,DIRECT", "payloadRule error"),
        ("IP-CIDR,x,nope", "proxy [nope] not found"),
        ("IP-CIDR,10.0.0.0/8,no-resolve", "proxy [no-resolve] not found"),
        ("IP-SUFFIX,8.8.8.8,DIRECT", "payloadRule error"),
        ("DST-PORT,x,DIRECT", "payloadRule error, invalid range: x"),
        ("DST-PORT,80/443/*,DIRECT", "payloadRule error, invalid range: *"),
        ("DST-PORT,//,DIRECT", "payloadRule error"),
        ("UID,x,DIRECT", "payloadRule error, invalid range: x"),
        ("IN-TYPE,foo,DIRECT", "unknown type: FOO"),
        ("IN-TYPE,/HTTP,DIRECT", "in type couldn't be empty"),
        ("IN-USER,a//b,DIRECT", "in user couldn't be empty"),
        ("IN-NAME,a//b,DIRECT", "in name couldn't be empty"),
        ("PROCESS-NAME-WILDCARD,a,b,DIRECT", "proxy [b] not found"),
        ("NETWORK,icmp,DIRECT", "unsupported network type, only TCP/UDP"),
        ("DSCP,64,DIRECT", "DSCP couldn't be negative or exceed 63"),
        ("DSCP,1-64,DIRECT", "DSCP couldn't be negative or exceed 63"),
        ("DSCP,x,DIRECT", "parse DSCP rule fail: invalid range: x"),
        ("RULE-SET,none,DIRECT", "rule set [none] not found"),
        ("RULE-SET,none,nope", "proxy [nope] not found"),
        ("AND", "format invalid"),
        ("AND,DIRECT", "missing subsequent parameters: AND"),
        ("AND,((DOMAIN,x),(NETWORK,tcp)),", "format invalid"),
        ("AND,(()),DIRECT", "[] format is error"),
        ("AND,((),(NETWORK,tcp)),DIRECT", "[] format is error"),
        ("AND,((DOMAIN,x),(NETWORK,udp),DIRECT", "format error is missing )"),
        ("AND,((DOMAIN,x))),DIRECT", "missing '('"),
        ("AND,)(,DIRECT", "payload format error"),
        ("OR,((DOMAIN,x),(NETWORK,udp))x,DIRECT", "payload format error"),
        ("OR,y((DOMAIN,x),(NETWORK,udp)),DIRECT", "payload format error"),
        ("AND,((FOO,x),(NETWORK,udp)),DIRECT", "unsupported rule type: FOO"),
        ("AND,(((DOMAIN,x),(NETWORK,tcp))),DIRECT", "unsupported rule type: (DOMAIN"),
        ("AND,((DOMAIN,x),(MATCH)),DIRECT", "unsupported rule type [MATCH] on logic rule"),
        ("AND,((DOMAIN,x),(SUB-RULE,(NETWORK,tcp),sr)),DIRECT", "unsupported rule type [SUB-RULE] on logic rule"),
        ("AND,((DOMAIN,x),(RULE-SET,none)),DIRECT", "rule set [none] not found"),
        ("AND,((IP-CIDR,10.0.0.0/8,src),(NETWORK,udp)),DIRECT,no-resolve", "proxy [no-resolve] not found"),
        ("AND,((AND,((A))),(NETWORK,tcp)),DIRECT", "missing subsequent parameters: A"),
        ("AND,((DOMAIN,)),DIRECT", "missing subsequent parameters: DOMAIN"),
        ("AND,((IN-TYPE,x),(NETWORK,tcp)),DIRECT", "unknown type: X"),
        ("NOT,((DOMAIN,x),(DOMAIN,y)),DIRECT", "not rule must contain one rule"),
        ("NOT,(),DIRECT", "not rule must contain one rule"),
        ("OR,((DOMAIN-REGEX,a(b),(NETWORK,udp)),DIRECT", "format error is missing )"),
        ("OR,((DST-PORT,x),(NETWORK,udp)),DIRECT", "payloadRule error, invalid range: x"),
        ("OR,((DOMAIN),(NETWORK,udp)),DIRECT", "missing subsequent parameters: DOMAIN"),
        ("SUB-RULE", "format invalid"),
        ("SUB-RULE,(NETWORK,tcp),zz", "sub-rule [zz] not found"),
        ("SUB-RULE,NETWORK,tcp,sr", "Sub-Rule rule must contain one rule"),
        ("SUB-RULE,((NETWORK,tcp)),sr", "unsupported rule type: (NETWORK"),
        ("SUB-RULE,(FOO,tcp),sr", "unsupported rule type: FOO"),
        ("SUB-RULE,(MATCH),sr", "unsupported rule type [MATCH] on logic rule"),
        ("SUB-RULE,(NETWORK,tcp)", "sub-rule [tcp)] not found"),
        ("SUB-RULE,,sr", "missing subsequent parameters: SUB-RULE"),
        ("SUB-RULE,(),sr", "[] format is error"),
        ("SUB-RULE,(SUB-RULE,(NETWORK,tcp),sr),sr", "unsupported rule type [SUB-RULE] on logic rule"),
        ("SCRIPT,x,DIRECT", "unsupported rule type: SCRIPT"),
    ] {
        assert_eq!(parse(line).map_err(|error| error.to_string()).err().as_deref(), Some(told), "{line}");
    }
}

#[test]
fn what_mihomo_takes_and_cannot_mean_is_refused() {
    for (line, told) in [
        // mihomo cuts the number to 16 bits and matches port 4464.
        ("DST-PORT,70000,DIRECT", "payloadRule error, invalid range: 70000"),
        ("UID,5000000000,DIRECT", "payloadRule error, invalid range: 5000000000"),
        ("DSCP,300,DIRECT", "DSCP couldn't be negative or exceed 63"),
        // These fit everything, or leave out what they cannot read.
        ("AND,(),DIRECT", "and rule must contain a rule, as in ((DOMAIN,example.com),(NETWORK,tcp))"),
        ("OR,(),DIRECT", "or rule must contain a rule, as in ((DOMAIN,example.com),(NETWORK,tcp))"),
        ("AND,(DOMAIN,x),DIRECT", "payload format error"),
        ("AND,((DOMAIN,x),NETWORK,tcp),DIRECT", "payload format error"),
        ("NOT,((DOMAIN,x)x),DIRECT", "payload format error"),
        ("SUB-RULE,(NETWORK,tcp)x,sr", "Sub-Rule rule must contain one rule"),
        // There are no sub-rules of this name, so that nothing would ever be decided.
        ("SUB-RULE,(DOMAIN,x),DIRECT", "sub-rule [DIRECT] not found"),
        ("REMATCH-NAME,x,DIRECT", "rule type REMATCH-NAME is not built"),
    ] {
        assert_eq!(parse(line).map_err(|error| error.to_string()).err().as_deref(), Some(told), "{line}");
    }
    for pattern in ["^(?!x).*$", "(a)\\1"] {
        let line = format!("DOMAIN-REGEX,{pattern},DIRECT");
        assert!(matches!(parse(&line), Err(RuleError::Regex(_))), "{line}");
    }
}

#[test]
fn options_are_read_where_they_mean_something() {
    let options = |line: &str| {
        let rule = parse(line).unwrap();
        (rule.condition.no_resolve, rule.condition.source)
    };
    assert_eq!(options("IP-CIDR,10.0.0.0/8,DIRECT"), (false, false));
    assert_eq!(options("IP-CIDR,10.0.0.0/8,DIRECT, no-resolve "), (true, false));
    assert_eq!(options("IP-CIDR,10.0.0.0/8,DIRECT,NO-RESOLVE"), (false, false));
    assert_eq!(options("IP-CIDR,10.0.0.0/8,DIRECT,foo,src"), (false, true));
    assert_eq!(options("SRC-IP-CIDR,10.0.0.0/8,DIRECT"), (false, true));
    assert_eq!(options("RULE-SET,rs,DIRECT,src,no-resolve"), (true, true));
    assert_eq!(options("DOMAIN,x,DIRECT,src"), (false, false));
    assert_eq!(options("SRC-PORT,1,DIRECT,src"), (false, false));
    let RuleKind::And(inner) = parse("AND,((IP-CIDR,10.0.0.0/8,no-resolve),(GEOIP,cn,src)),P").unwrap().condition.kind
    else {
        panic!("it is one")
    };
    assert_eq!((inner[0].no_resolve, inner[0].source), (true, false));
    assert_eq!((inner[1].no_resolve, inner[1].source), (false, true));
}

#[test]
fn names_are_compared_in_their_ascii_form_without_the_roots_dot() {
    let domain = |line: &str| match parse(line).unwrap().condition.kind {
        RuleKind::Domain(name) | RuleKind::DomainSuffix(name) | RuleKind::DomainKeyword(name) => name.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(domain("DOMAIN,X.com.,DIRECT"), "x.com");
    assert_eq!(domain("DOMAIN-SUFFIX,例子.COM,DIRECT"), "xn--fsqu00a.com");
    assert_eq!(domain("DOMAIN-KEYWORD,Google.,DIRECT"), "google.");
    assert_eq!(domain("DOMAIN,.,DIRECT"), ".");
}

#[test]
fn every_bound_holds() {
    let too_long = |length, most| Err(RuleError::TooLong { length, most });
    let line = format!("DOMAIN,{},DIRECT", "a".repeat(LONGEST_RULE));
    assert_eq!(parse(&line).map(|_| ()), too_long(line.len(), LONGEST_RULE));
    assert_eq!(Condition::parse(&line).map(|_| ()), too_long(line.len(), LONGEST_RULE));
    let line = format!("DOMAIN,{},DIRECT", "a".repeat(LONGEST_PATTERN + 1));
    assert_eq!(parse(&line).map(|_| ()), too_long(LONGEST_PATTERN + 1, LONGEST_PATTERN));
    let nested = |depth: usize| format!("{}NETWORK,tcp{},P", "NOT,((".repeat(depth), "))".repeat(depth));
    assert!(parse(&nested(MOST_NESTING)).is_ok());
    assert_eq!(parse(&nested(MOST_NESTING + 1)), Err(RuleError::TooDeep));
    let wide = |count: usize| format!("OR,({}),P", "(UID,1)".repeat(count));
    assert!(parse(&wide(MOST_CONDITIONS)).is_ok());
    assert_eq!(parse(&wide(MOST_CONDITIONS + 1)), Err(RuleError::TooManyConditions));
}

#[test]
fn lists_take_rules_without_a_target() {
    let told = |line: &str| Condition::parse(line).map_err(|error| error.to_string()).err();
    assert_eq!(told("DOMAIN,x.com"), None);
    assert_eq!(told("IP-CIDR,10.0.0.0/8,no-resolve"), None);
    assert_eq!(told("MATCH").as_deref(), Some("unsupported rule type on classical rule-set: MATCH"));
    assert_eq!(
        told("SUB-RULE,(NETWORK,tcp)").as_deref(),
        Some("unsupported rule type on classical rule-set: SUB-RULE")
    );
    assert_eq!(told("RULE-SET,rs").as_deref(), Some("unsupported rule type on classical rule-set: RULE-SET"));
    assert_eq!(told("# comment").as_deref(), Some("missing subsequent parameters: # COMMENT"));
}

#[test]
fn sub_rules_that_lead_to_themselves_are_told() {
    let rules = |lines: &[(&str, &str)]| {
        let mut rules = Rules::default();
        for (name, line) in lines {
            let rule = Rule::parse(line, KnownNames::ANY).unwrap();
            match rules.sub.iter_mut().find(|(known, _)| **known == **name) {
                Some((_, list)) => list.push(rule),
                None => rules.sub.push(((*name).into(), vec![rule])),
            }
        }
        rules.check_circles().map_err(|error| error.to_string())
    };
    let circle = |names: &str| Err(format!("sub-rule error: circular references [{names}]"));
    assert_eq!(rules(&[("a", "SUB-RULE,(UID,1),b"), ("b", "SUB-RULE,(UID,1),a")]), circle("a->b->a"));
    assert_eq!(rules(&[("a", "SUB-RULE,(UID,1),a")]), circle("a->a"));
    // A target that only has the name of sub-rules leads nowhere.
    assert_eq!(rules(&[("a", "DOMAIN,x,a")]), Ok(()));
    let diamond =
        [("a", "SUB-RULE,(UID,1),b"), ("a", "SUB-RULE,(UID,1),c"), ("b", "SUB-RULE,(UID,1),c"), ("c", "UID,1,P")];
    assert_eq!(rules(&diamond), Ok(()));
    let chain = |count: usize| {
        let lines: Vec<(String, String)> =
            (0..count).map(|number| (format!("s{number}"), format!("SUB-RULE,(UID,1),s{}", number + 1))).collect();
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, line)| (name.as_str(), line.as_str())).collect();
        rules(&lines)
    };
    assert_eq!(chain(MOST_SUB_RULES - 1), Ok(()));
    assert_eq!(chain(5000), Err("sub-rule error: more than 32 lead to each other in a row".to_owned()));
}

mod anything {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_line_is_the_end_of_it(line in "[(),!A-Z0-9a-z./*+:\\-\\[ ä]{0,80}") {
            let _ = parse(&line);
            let _ = Condition::parse(&line);
        }

        #[test]
        fn logic_with_anything_in_it(inner in "[(),DOMAINOTRx ]{0,60}", kind in "AND|OR|NOT|SUB-RULE") {
            let _ = parse(&format!("{kind},({inner}),P"));
            let _ = parse(&format!("{kind},{inner},P"));
        }
    }
}
