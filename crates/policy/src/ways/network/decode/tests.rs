//! What `networks` may be, and every refusal.

use super::*;
use crate::yaml::parse_yaml;

/// Code, path and message.
type Told = (Code, String, String);

fn read(text: &str) -> (Option<Vec<Network>>, Vec<Told>) {
    let mut problems = Problems::new();
    let root = parse_yaml(text, &mut problems).expect("is YAML");
    let networks = decode_networks(root.get("networks"), &mut problems);
    let told = |problem: &Problem| (problem.code, problem.path.clone(), problem.message.clone());
    (networks, problems.list().into_iter().map(told).collect())
}

/// The one network with this match.
fn matches(text: &str) -> Match {
    let (networks, problems) = read(&format!("networks: [{{name: n, match: {text}}}]"));
    assert_eq!(problems, [], "{text}");
    networks.expect("has the section").remove(0).matches
}

/// The one problem with this document.
fn refusal(text: &str) -> Told {
    let (_, mut problems) = read(text);
    assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    problems.remove(0)
}

#[test]
fn no_section_is_something_else_than_an_empty_one() {
    for text in ["{}", "networks:", "networks: null"] {
        assert_eq!(read(text), (None, vec![]), "{text}");
    }
    assert_eq!(read("networks: []"), (Some(vec![]), vec![]));
}

#[test]
fn every_key_is_a_text_or_a_list() {
    let one = matches(
        "{name: en0, iface-type: WiFi, ssid: corp, bssid: AA-BB-CC-DD-EE-FF, gateway-ip: 10.0.0.1,
          gateway-mac: aabbccddeeff, subnets: 10.1.2.3/8, dns-suffix: Corp.Example.com}",
    );
    let ip = |text: &str| text.parse::<IpAddr>().expect(text);
    let block = Block {
        name: vec!["en0".into()],
        iface_type: vec!["wifi".into()],
        ssid: vec!["corp".into()],
        bssid: vec!["aa:bb:cc:dd:ee:ff".into()],
        gateway_ip: vec![(ip("10.0.0.1"), 32)],
        gateway_mac: vec!["aa:bb:cc:dd:ee:ff".into()],
        subnets: vec![(ip("10.0.0.0"), 8)],
    };
    assert_eq!(one, Match { interface: block, dns_suffix: vec!["corp.example.com".into()], ..Match::default() });
    let many =
        matches("{ssid: [a, B, a b], gateway-ip: [192.168.0.0/16, fe80::1%en0, ::1], subnets: ['2001:db8::/32']}");
    assert_eq!(many.interface.ssid, ["a", "B", "a b"]);
    assert_eq!(many.interface.gateway_ip, [(ip("192.168.0.0"), 16), (ip("fe80::1"), 128), (ip("::1"), 128)]);
    assert_eq!(many.interface.subnets, [(ip("2001:db8::"), 32)]);
}

#[test]
fn combinators_stand_in_each_other() {
    let read = matches("{any: [{ssid: a}, {all: [{name: b}, {not: {dns-suffix: c}}]}], iface-type: wifi}");
    let ssid =
        |name: &str| Match { interface: Block { ssid: vec![name.into()], ..Block::default() }, ..Match::default() };
    let name = Match { interface: Block { name: vec!["b".into()], ..Block::default() }, ..Match::default() };
    let suffix = Match { dns_suffix: vec!["c".into()], ..Match::default() };
    let all =
        Match { all: Some(vec![name, Match { not: Some(Box::new(suffix)), ..Match::default() }]), ..Match::default() };
    assert_eq!(read.any, Some(vec![ssid("a"), all]));
    assert_eq!(read.interface.iface_type, ["wifi"]);
}

#[test]
fn names_are_one_networks_own() {
    let with_name = |name: &str| format!("networks: [{{name: {name}, match: {{ssid: a}}}}]");
    for (name, message) in [
        ("default", "no network may be named `default`"),
        ("<none>", "no network may be named `<none>`"),
        ("''", "the text is empty"),
        ("null", "expected text, found nothing"),
        ("5", "expected text, found the number 5"),
        ("[a]", "expected text, found a list"),
    ] {
        let expected = (Code::ConfigBadValue, "networks[0].name".to_owned(), message.to_owned());
        assert_eq!(refusal(&with_name(name)), expected);
    }
    let missing = refusal("networks: [{match: {ssid: a}}]");
    assert_eq!(missing, (Code::ConfigBadValue, "networks[0]".to_owned(), "`name` is missing".to_owned()));
    let twice =
        refusal("networks: [{name: a, match: {ssid: a}}, {name: b, match: {ssid: b}}, {name: a, match: {ssid: c}}]");
    let message = "a network named `a` is there already".to_owned();
    assert_eq!(twice, (Code::ConfigBadValue, "networks[2].name".to_owned(), message));
    // Only these two words are taken, and case counts.
    for name in ["Default", "none", "'<None>'", "GLOBAL", "' '"] {
        assert_eq!(read(&with_name(name)).1, [], "{name}");
    }
}

#[test]
fn a_network_has_two_keys() {
    let (code, path, _) = refusal("networks: [{name: a, match: {ssid: a}, target: b}]");
    assert_eq!((code, &*path), (Code::ConfigUnknownKey, "networks[0].target"));
    for (text, path, message) in [
        ("networks: {}", "networks", "expected a list, found a map"),
        ("networks: office", "networks", "expected a list, found the text `office`"),
        ("networks: [office]", "networks[0]", "expected a map, found the text `office`"),
        ("networks: [null]", "networks[0]", "expected a map, found nothing"),
        ("networks: [{name: a}]", "networks[0]", "`match` is missing"),
        ("networks: [{name: a, match: }]", "networks[0].match", "expected a map, found nothing"),
        ("networks: [{name: a, match: [{ssid: a}]}]", "networks[0].match", "expected a map, found a list"),
    ] {
        assert_eq!(refusal(text), (Code::ConfigBadValue, path.to_owned(), message.to_owned()));
    }
}

#[test]
fn what_cannot_be_meant_in_a_block_is_refused() {
    let value = Code::ConfigBadValue;
    let key = Code::ConfigUnknownKey;
    for (text, code, path) in [
        ("{}", value, ""),
        ("{wifi: a}", key, ".wifi"),
        ("{iface_type: wifi}", key, ".iface_type"),
        ("{metered: true}", key, ".metered"),
        ("{metered: null}", key, ".metered"),
        ("{ssid: ''}", value, ".ssid"),
        ("{ssid: []}", value, ".ssid"),
        ("{ssid: [a, '']}", value, ".ssid[1]"),
        ("{ssid: null}", value, ".ssid"),
        ("{ssid: 5}", value, ".ssid"),
        ("{ssid: [a, 5]}", value, ".ssid[1]"),
        ("{ssid: [a, null]}", value, ".ssid[1]"),
        ("{ssid: true}", value, ".ssid"),
        ("{ssid: {a: b}}", value, ".ssid"),
        ("{ssid: [[a]]}", value, ".ssid[0]"),
        ("{name: ''}", value, ".name"),
        ("{dns-suffix: []}", value, ".dns-suffix"),
        ("{dns-suffix: [a, 1]}", value, ".dns-suffix[1]"),
        ("{iface-type: tun}", value, ".iface-type"),
        ("{iface-type: [wifi, lan]}", value, ".iface-type[1]"),
        ("{gateway-ip: gateway}", value, ".gateway-ip"),
        ("{gateway-ip: 10.0.0.01}", value, ".gateway-ip"),
        ("{gateway-ip: 10.0.0.0/33}", value, ".gateway-ip"),
        ("{gateway-ip: [10.0.0.1, fe80::%en0/64]}", value, ".gateway-ip[1]"),
        ("{subnets: 10.0.0.1}", value, ".subnets"),
        ("{subnets: [10.0.0.0/8, 10.0.0.0/08]}", value, ".subnets[1]"),
        ("{bssid: aabb.ccdd.eeff}", value, ".bssid"),
        ("{bssid: aa:bb:cc:dd:ee-ff}", value, ".bssid"),
        ("{gateway-mac: [aabbccddeeff, x]}", value, ".gateway-mac[1]"),
        ("{any: []}", value, ".any"),
        ("{any: {ssid: a}}", value, ".any"),
        ("{any: null}", value, ".any"),
        ("{any: [{ssid: a}, {}]}", value, ".any[1]"),
        ("{any: [a]}", value, ".any[0]"),
        ("{all: []}", value, ".all"),
        ("{all: a}", value, ".all"),
        ("{all: [{ssid: a, bad: b}]}", key, ".all[0].bad"),
        ("{not: []}", value, ".not"),
        ("{not: [{ssid: a}]}", value, ".not"),
        ("{not: {}}", value, ".not"),
        ("{not: null}", value, ".not"),
        ("{not: {metered: true}}", key, ".not.metered"),
    ] {
        let (found, at, message) = refusal(&format!("networks: [{{name: n, match: {text}}}]"));
        assert_eq!((found, at), (code, format!("networks[0].match{path}")), "{text}: {message}");
    }
}

#[test]
fn a_block_with_a_mistake_never_becomes_a_wider_one() {
    let (networks, problems) = read(
        "networks:
          - {name: a, match: {ssid: x, subnets: bad}}
          - {name: b, match: {any: [{ssid: x}, {bssid: bad}]}}
          - {name: c, match: {ssid: x, not: {}}}
          - {name: d, match: {ssid: x}}",
    );
    let names: Vec<String> =
        networks.expect("has the section").iter().map(|network| network.name.to_string()).collect();
    assert_eq!((names, problems.len()), (vec!["d".to_owned()], 3));
}

#[test]
fn messages_say_what_is_wrong_and_what_would_be_right() {
    let mut problems = Problems::new();
    let text = "networks:\n  - name: office\n    match: {bssid: aabb.ccdd.eeff, sid: corp}\n";
    let root = parse_yaml(text, &mut problems).expect("is YAML");
    decode_networks(root.get("networks"), &mut problems);
    let shown = problems.render("t.yaml", text);
    let expected = "not six pairs of hexadecimal digits, separated by `:`, by `-`, or not at all";
    assert!(shown.contains(&format!("the text `aabb.ccdd.eeff` is {expected}")), "{shown}");
    assert!(shown.contains("unknown key `sid`") && shown.contains("did you mean `ssid`?"), "{shown}");
}
