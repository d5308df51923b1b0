//! `network-policy`: which keys and targets it may have.

use crate::{notes, refusals, ways};

const BASE: &str = "networks: [{name: office, match: {ssid: corp}}, {name: home, match: {ssid: hearth}}]
proxies: [{name: a, type: http, server: h, port: 1}, {name: b, type: socks5, server: h, port: 1}]
proxy-providers: {p: {type: http, url: \"http://h/x\"}}
";

fn group(fields: &str) -> String {
    format!("{BASE}proxy-groups: [{{name: g, {fields}}}]\n")
}

/// The problems without their places.
fn messages(fields: &str) -> Vec<String> {
    let found = refusals(&group(fields));
    found.iter().map(|line| line.split_once(' ').map_or(line.as_str(), |(_, rest)| rest).to_owned()).collect()
}

#[test]
fn targets_are_members_that_are_known_or_may_come() {
    for fields in [
        "type: select, proxies: [a, b], network-policy: {office: a, home: b, default: a}",
        "type: select, proxies: [a, DIRECT], network-policy: {default: DIRECT}",
        "type: select, include-all-proxies: true, filter: ^a, network-policy: {office: a}",
        // Whatever comes in from elsewhere may be called so.
        "type: select, use: [p], network-policy: {office: from-p}",
        "type: select, include-all: true, network-policy: {office: from-p, home: b}",
        "type: select, include-all-providers: true, network-policy: {office: from-p}",
        // A filter is for what comes in from elsewhere.
        "type: select, proxies: [b], filter: ^a, network-policy: {office: b}",
    ] {
        assert_eq!(messages(fields), [""; 0], "{fields}");
        assert!(ways(&group(fields)).groups[0].network_policy.is_some());
    }
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let path = "proxy-groups[0].network-policy";
    let whose = "proxy group[0]: g: network-policy";
    let no_member = |network: &str, target: &str, hint: &str| {
        format!("TW4004 {path}.{network}: {whose}: '{target}' is not a member of the group{hint}")
    };
    for (fields, message) in [
        ("type: select, proxies: [a], network-policy: {office: b}", no_member("office", "b", "")),
        ("type: select, proxies: [a], network-policy: {office: nope}", no_member("office", "nope", "")),
        ("type: select, proxies: [a], network-policy: {office: aa}", no_member("office", "aa", "")),
        ("type: select, proxies: [a], network-policy: {office: DIRECT}", no_member("office", "DIRECT", "")),
        ("type: select, proxies: [a], network-policy: {office: GLOBAL}", no_member("office", "GLOBAL", "")),
        // A name that something else has will not come in from a provider.
        ("type: select, use: [p], network-policy: {office: a}", no_member("office", "a", "")),
        ("type: select, use: [p], network-policy: {office: GLOBAL}", no_member("office", "GLOBAL", "")),
        (
            "type: select, include-all: true, exclude-filter: ^a, network-policy: {office: a}",
            no_member("office", "a", ""),
        ),
        (
            "type: select, include-all: true, exclude-type: Http, network-policy: {office: a}",
            no_member("office", "a", ""),
        ),
        (
            "type: select, proxies: [a, b], exclude-filter: ^a, network-policy: {office: a}",
            no_member("office", "a", ""),
        ),
        (
            "type: select, include-all-proxies: true, filter: ^b, network-policy: {office: a}",
            no_member("office", "a", ""),
        ),
        (
            "type: select, proxies: [REJECT-DROP], network-policy: {office: REJECT-DORP}",
            no_member("office", "REJECT-DORP", " (did you mean `REJECT-DROP`?)"),
        ),
        (
            "type: select, proxies: [a], network-policy: {ofice: nope}",
            format!("TW4004 {path}.ofice: {whose}: network 'ofice' is not defined (did you mean `office`?)"),
        ),
        (
            "type: select, proxies: [a], network-policy: {\"<none>\": a}",
            format!("TW4004 {path}.<none>: {whose}: network '<none>' is not defined (define it in `networks`)"),
        ),
        (
            "type: select, proxies: [a], network-policy: {}",
            format!(
                "TW4003 {path}: `network-policy` is empty (write the name of a network, or default, and the member to use there)"
            ),
        ),
        (
            "type: select, proxies: [a], network-policy: ~",
            format!(
                "TW4003 {path}: `network-policy` is empty (write the name of a network, or default, and the member to use there)"
            ),
        ),
        ("type: select, proxies: [a], network-policy: [a]", format!("TW4003 {path}: expected a map, found a list")),
        (
            "type: select, proxies: [a], network-policy: {office: [a]}",
            format!("TW4003 {path}.office: expected text, found a list"),
        ),
        (
            "type: url-test, proxies: [a], network-policy: {office: a}",
            format!(
                "TW4003 {path}: proxy group[0]: `network-policy` is for groups of type `select` (remove it, or change the type)"
            ),
        ),
        (
            "type: fallback, proxies: [a], network-policy: ~",
            format!(
                "TW4003 {path}: proxy group[0]: `network-policy` is for groups of type `select` (remove it, or change the type)"
            ),
        ),
    ] {
        assert_eq!(messages(fields), [message], "{fields}");
    }
}

#[test]
fn a_network_that_no_policy_names_is_said() {
    let text = group("type: select, proxies: [a], network-policy: {office: a}");
    assert_eq!(notes(&text), ["1:56 networks[1].name: no `network-policy` names the network `home`"]);
}

#[test]
fn without_networks_only_the_default_can_be_named() {
    let text = |network: &str| {
        format!("proxy-groups: [{{name: g, type: select, proxies: [DIRECT], network-policy: {{{network}: DIRECT}}}}]")
    };
    assert_eq!(refusals(&text("default")), [""; 0]);
    assert_eq!(refusals(&text("office")).len(), 1);
}
