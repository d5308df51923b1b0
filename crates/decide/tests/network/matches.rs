//! Which network a context is.

use tradewind_decide::network::{explain, matched};

use crate::{context, networks};

/// Whether `block` fits the context that has these interfaces and domains. The explanation has to say the same.
fn fits(block: &str, interfaces: &str, domains: &str) -> bool {
    let networks = networks(&format!("  - {{name: n, match: {block}}}"));
    let context = context(&format!(r#"{{"version":1,"interfaces":[{interfaces}],"dns_suffix":[{domains}]}}"#));
    let fits = matched(&networks, &context).is_some();
    assert_eq!(explain(&networks, &context, &[]).matched_network.is_some(), fits, "{block}");
    fits
}

const WLAN: &str = r#"{"name":"wlan0","iface_type":"wifi","ssid":"Corp","bssid":"aa:bb:cc:dd:ee:ff",
    "gateway_ip":"10.1.1.1","gateway_mac":"11:22:33:44:55:66","subnets":["10.1.0.0/16","2001:db8:1::/48"],"metered":true}"#;

#[test]
fn each_key_is_compared_in_its_way() {
    for (block, expected) in [
        ("{name: wlan0}", true),
        ("{name: WLAN0}", false),
        ("{name: wlan}", false),
        ("{name: [eth0, wlan0]}", true),
        ("{iface-type: wifi}", true),
        ("{iface-type: WIFI}", true),
        ("{iface-type: [ethernet, vpn]}", false),
        ("{ssid: Corp}", true),
        ("{ssid: corp}", false),
        ("{ssid: [guest, Corp]}", true),
        ("{bssid: AA-BB-CC-DD-EE-FF}", true),
        ("{bssid: aa:bb:cc:dd:ee:fe}", false),
        ("{gateway-mac: '112233445566'}", true),
        ("{gateway-mac: aabbccddeeff}", false),
        ("{gateway-ip: 10.1.1.1}", true),
        ("{gateway-ip: 10.1.1.2}", false),
        ("{gateway-ip: 10.0.0.0/8}", true),
        ("{gateway-ip: 10.1.1.9/24}", true),
        ("{gateway-ip: [192.168.0.0/16, 10.1.1.0/30]}", true),
        ("{gateway-ip: 192.168.0.0/16}", false),
        ("{gateway-ip: 0.0.0.0/0}", true),
        ("{gateway-ip: '::/0'}", false),
        ("{subnets: 10.1.5.0/24}", true),
        ("{subnets: 10.0.0.0/8}", true),
        ("{subnets: 10.1.0.0/16}", true),
        ("{subnets: 10.2.0.0/16}", false),
        ("{subnets: 0.0.0.0/0}", true),
        ("{subnets: '2001:db8::/32'}", true),
        ("{subnets: '2001:db8:1:2::/64'}", true),
        ("{subnets: '2001:db8:2::/48'}", false),
        ("{subnets: [172.16.0.0/12, '::/0']}", true),
    ] {
        assert_eq!(fits(block, WLAN, ""), expected, "{block}");
    }
}

#[test]
fn families_never_mix() {
    for (block, interface, expected) in [
        ("{subnets: 0.0.0.0/0}", r#"{"name":"a","subnets":["2001:db8::/32"]}"#, false),
        ("{subnets: '::/0'}", r#"{"name":"a","subnets":["10.0.0.0/8"]}"#, false),
        ("{gateway-ip: 10.0.0.0/8}", r#"{"name":"a","gateway_ip":"::ffff:10.1.1.1"}"#, false),
        ("{gateway-ip: 10.1.1.1}", r#"{"name":"a","gateway_ip":"::ffff:10.1.1.1"}"#, false),
        ("{gateway-ip: '::ffff:10.1.1.1'}", r#"{"name":"a","gateway_ip":"::ffff:10.1.1.1"}"#, true),
        ("{gateway-ip: '::ffff:10.0.0.0/104'}", r#"{"name":"a","gateway_ip":"::ffff:10.1.1.1"}"#, true),
        ("{subnets: 10.0.0.0/8}", r#"{"name":"a","subnets":["::ffff:10.0.0.0/104"]}"#, false),
        ("{gateway-ip: fe80::1}", r#"{"name":"a","gateway_ip":"fe80::1%en0"}"#, true),
    ] {
        assert_eq!(fits(block, interface, ""), expected, "{block} {interface}");
    }
}

#[test]
fn one_interface_has_to_fulfil_all_keys_of_a_block() {
    let two = r#"{"name":"en0","iface_type":"ethernet","subnets":["10.0.0.0/8"]},{"name":"wlan0","iface_type":"wifi","ssid":"Corp"}"#;
    for (block, expected) in [
        ("{iface-type: wifi, ssid: Corp}", true),
        ("{iface-type: ethernet, ssid: Corp}", false),
        ("{all: [{iface-type: ethernet}, {ssid: Corp}]}", true),
        ("{iface-type: ethernet, any: [{ssid: Corp}]}", true),
        ("{iface-type: ethernet, not: {ssid: Corp}}", false),
        ("{iface-type: ethernet, not: {ssid: Corp, iface-type: ethernet}}", true),
        ("{name: en0, iface-type: ethernet, subnets: 10.9.0.0/16}", true),
        ("{name: wlan0, subnets: 10.9.0.0/16}", false),
    ] {
        assert_eq!(fits(block, two, ""), expected, "{block}");
    }
}

#[test]
fn what_is_not_said_fulfils_nothing() {
    let bare = r#"{"name":"a"}"#;
    for key in [
        "iface-type: wifi",
        "ssid: a",
        "bssid: aabbccddeeff",
        "gateway-ip: 0.0.0.0/0",
        "gateway-mac: aabbccddeeff",
        "subnets: [0.0.0.0/0, '::/0']",
        "dns-suffix: a",
    ] {
        for interfaces in [bare, ""] {
            assert!(!fits(&format!("{{{key}}}"), interfaces, ""), "{key}");
            assert!(fits(&format!("{{not: {{{key}}}}}"), interfaces, ""), "{key}");
            assert!(!fits(&format!("{{not: {{not: {{{key}}}}}}}"), interfaces, ""), "{key}");
        }
    }
    assert!(fits("{not: {name: b}}", "", "") && !fits("{name: b}", "", ""));
}

#[test]
fn domains_are_compared_whole() {
    for (block, domains, expected) in [
        ("{dns-suffix: corp.example.com}", r#""corp.example.com""#, true),
        ("{dns-suffix: CORP.example.com}", r#""corp.EXAMPLE.com""#, true),
        ("{dns-suffix: example.com}", r#""corp.example.com""#, false),
        ("{dns-suffix: corp.example.com}", r#""example.com""#, false),
        ("{dns-suffix: [a, b]}", r#""c","b""#, true),
        ("{dns-suffix: [a, b]}", r#""c""#, false),
        ("{dns-suffix: a}", "", false),
        ("{dns-suffix: a, name: x}", r#""a""#, false),
    ] {
        assert_eq!(fits(block, "", domains), expected, "{block} {domains}");
    }
    assert!(fits("{dns-suffix: a, iface-type: wifi}", WLAN, r#""a""#));
    assert!(!fits("{dns-suffix: b, iface-type: wifi}", WLAN, r#""a""#));
}

#[test]
fn everything_in_a_block_has_to_hold() {
    for (block, expected) in [
        ("{any: [{ssid: x}, {ssid: Corp}]}", true),
        ("{any: [{ssid: x}, {ssid: y}]}", false),
        ("{all: [{ssid: Corp}, {name: wlan0}]}", true),
        ("{all: [{ssid: Corp}, {name: en0}]}", false),
        ("{not: {ssid: x}}", true),
        ("{not: {ssid: Corp}}", false),
        ("{ssid: Corp, any: [{name: x}]}", false),
        ("{ssid: x, any: [{name: wlan0}]}", false),
        ("{ssid: Corp, all: [{name: x}]}", false),
        ("{ssid: Corp, not: {name: wlan0}}", false),
        ("{ssid: Corp, any: [{name: wlan0}], all: [{name: wlan0}], not: {name: x}}", true),
        ("{any: [{name: wlan0}], all: [{name: x}]}", false),
    ] {
        assert_eq!(fits(block, WLAN, ""), expected, "{block}");
    }
}

#[test]
fn the_first_network_that_fits_is_the_present_one() {
    let networks = networks(
        "  - {name: a, match: {ssid: x}}\n  - {name: b, match: {ssid: Corp}}\n  - {name: c, match: {name: wlan0}}",
    );
    let name = |body: &str| matched(&networks, &context(body)).map(|network| network.name.to_string());
    assert_eq!(name(&format!(r#"{{"version":1,"interfaces":[{WLAN}]}}"#)).as_deref(), Some("b"));
    assert_eq!(name(r#"{"version":1,"interfaces":[{"name":"wlan0"}]}"#).as_deref(), Some("c"));
    assert_eq!(name(r#"{"version":1,"interfaces":[]}"#), None);
    assert!(matched(&[], &context(r#"{"version":1,"interfaces":[]}"#)).is_none());
}
