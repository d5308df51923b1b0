//! Which bodies are taken, what becomes of them, and the one mistake that is told of the others.

use serde_json::{Value, json};
use tradewind_decide::network::{Context, LONGEST_TTL, MOST_BYTES, MOST_INTERFACES};

use crate::context;

/// The code and the message of a body that is refused.
fn refusal(body: &str) -> (&'static str, String) {
    let error = Context::parse(body.as_bytes()).expect_err(body);
    (error.code.name(), error.message)
}

fn code(body: &str) -> &'static str {
    refusal(body).0
}

/// The code and the path of a refusal of one field.
fn field(body: &str) -> (&'static str, String) {
    let (code, message) = refusal(body);
    let rest = message.strip_prefix("field: ").unwrap_or_else(|| panic!("{body}: {message}"));
    let (path, why) = rest.split_once(", reason: ").unwrap_or_else(|| panic!("{body}: {message}"));
    assert!(!why.is_empty() && !message.contains(code), "{message}");
    (code, path.to_owned())
}

fn one_interface(fields: &str) -> String {
    format!(r#"{{"version":1,"interfaces":[{{"name":"a"{fields}}}]}}"#)
}

/// What `GET` would show of the interface that has these fields.
fn shown(fields: &str) -> Value {
    serde_json::to_value(context(&one_interface(fields))).expect("is JSON")["interfaces"][0].clone()
}

#[test]
fn the_normalised_copy_has_every_field_in_order() {
    let body = r#" {"ttl": 60, "dns_suffix": ["b.Example", "", "a.example", "A.example"], "interfaces": [
        {"metered": false, "subnets": ["10.1.2.3/8", "", "2001:db8::1/64", "10.0.0.0/8", "100.64.0.0/10"],
         "gateway_mac": "11-22-33-44-55-66", "gateway_ip": "fe80::1%en0", "bssid": "AABBCCDDEE00", "ssid": "Büro ",
         "iface_type": "WiFi", "name": "wlan0"}, {"name": "lo"}], "version": 1 }
    "#;
    let expected = concat!(
        r#"{"version":1,"interfaces":[{"name":"wlan0","iface_type":"wifi","ssid":"Büro ","bssid":"aa:bb:cc:dd:ee:00","#,
        r#""gateway_ip":"fe80::1","gateway_mac":"11:22:33:44:55:66","#,
        r#""subnets":["10.0.0.0/8","100.64.0.0/10","2001:db8::/64"],"metered":false},{"name":"lo"}],"#,
        r#""dns_suffix":["a.example","b.example"]}"#,
    );
    let context = context(body);
    assert_eq!(serde_json::to_string(&context).expect("is JSON"), expected);
    assert_eq!(context.ttl, Some(60));
    // What is shown may be pushed again, and is then the same.
    let again = crate::context(expected);
    assert_eq!((again.interfaces, again.dns_suffix, again.ttl), (context.interfaces, context.dns_suffix, None));
}

#[test]
fn null_and_nothing_are_the_same_for_optional_keys() {
    let plain = context(r#"{"version":1,"interfaces":[{"name":"a"}]}"#);
    for body in [
        r#"{"version":1,"interfaces":[{"name":"a"}],"dns_suffix":null,"ttl":null}"#,
        r#"{"version":1,"interfaces":[{"name":"a"}],"dns_suffix":[],"extra":{"deep":[[[{}]]]}}"#,
        r#"{"version":1,"interfaces":[{"name":"a","iface_type":null,"ssid":null,"bssid":null,"gateway_ip":null,
            "gateway_mac":null,"subnets":null,"metered":null}]}"#,
        r#"{"version":1,"interfaces":[{"name":"a","iface_type":"","ssid":"","bssid":"","gateway_ip":"",
            "gateway_mac":"","subnets":[]}]}"#,
        r#"{"version":1,"interfaces":[{"name":"a","subnets":["",null],"mtu":1500,"up":true,"more":null}],"dns_suffix":["",null]}"#,
        r#"{"Version":2,"version":1,"interfaces":[{"NAME":"b","name":"a","Ssid":7}],"TTL":-1}"#,
    ] {
        assert_eq!(context(body), plain, "{body}");
    }
}

#[test]
fn of_a_key_that_stands_twice_the_last_one_counts() {
    let body = r#"{"version":2,"interfaces":[],"ttl":0,"version":1,"interfaces":[{"name":"b","name":"a"}],"ttl":9}"#;
    let read = context(body);
    assert_eq!((&*read.interfaces[0].name, read.ttl), ("a", Some(9)));
}

#[test]
fn what_has_not_the_shape_is_malformed() {
    for body in [
        "",
        " ",
        "null",
        "1",
        "[]",
        r#"[1,[]]"#,
        "{",
        "{}",
        r#"{"version":1}"#,
        r#"{"interfaces":[]}"#,
        r#"{"version":null,"interfaces":[]}"#,
        r#"{"version":1,"interfaces":null}"#,
        r#"{"version":"1","interfaces":[]}"#,
        r#"{"version":1.0,"interfaces":[]}"#,
        r#"{"version":1e0,"interfaces":[]}"#,
        r#"{"version":true,"interfaces":[]}"#,
        r#"{"version":99999999999999999999,"interfaces":[]}"#,
        r#"{"version":1,"interfaces":{}}"#,
        r#"{"version":1,"interfaces":"a"}"#,
        r#"{"version":1,"interfaces":["a"]}"#,
        r#"{"version":1,"interfaces":[["a"]]}"#,
        r#"{"version":1,"interfaces":[{"name":1}]}"#,
        r#"{"version":1,"interfaces":[{"name":"a","ssid":1}]}"#,
        r#"{"version":1,"interfaces":[{"name":"a","subnets":"10.0.0.0/8"}]}"#,
        r#"{"version":1,"interfaces":[{"name":"a","subnets":[1]}]}"#,
        r#"{"version":1,"interfaces":[{"name":"a","metered":"yes"}]}"#,
        r#"{"version":1,"interfaces":[{"name":"a","metered":0}]}"#,
        r#"{"version":1,"interfaces":[],"dns_suffix":"corp.example.com"}"#,
        r#"{"version":1,"interfaces":[],"dns_suffix":[1]}"#,
        r#"{"version":1,"interfaces":[],"dns_suffix":{}}"#,
        r#"{"version":1,"interfaces":[],"ttl":"60"}"#,
        r#"{"version":1,"interfaces":[],"ttl":60.0}"#,
        r#"{"version":1,"interfaces":[],"ttl":99999999999999999999}"#,
        r#"{"version":1,"interfaces":[]} x"#,
        r#"{"version":1,"interfaces":[]}{}"#,
        r#"{"version":1,"interfaces":[]},"#,
        r#"{"version":1,"interfaces":[],}"#,
        r#"{'version':1,'interfaces':[]}"#,
        "\u{feff}{\"version\":1,\"interfaces\":[]}",
    ] {
        assert_eq!(code(body), "malformed_body", "{body}");
    }
    assert_eq!(
        Context::parse(b"{\"version\":1,\"interfaces\":[{\"name\":\"\xff\"}]}").expect_err("no UTF-8").code.name(),
        "malformed_body"
    );
    context("{\"version\":1,\"interfaces\":[]}\n\t\r ");
}

#[test]
fn a_body_has_a_largest_size() {
    let padded = |length: usize| {
        let mut body = r#"{"version":1,"interfaces":[]}"#.to_owned();
        body.extend(std::iter::repeat_n(' ', length - body.len()));
        body
    };
    assert_eq!(MOST_BYTES, 10 * 1024 * 1024);
    context(&padded(MOST_BYTES));
    assert_eq!(code(&padded(MOST_BYTES + 1)), "malformed_body");
    // Large, and legal.
    let suffixes: Vec<String> = (0..100_000).map(|number| format!("host-{number}.example")).collect();
    let body = json!({"version": 1, "interfaces": [], "dns_suffix": suffixes}).to_string();
    assert!(body.len() > 1_500_000);
    assert_eq!(context(&body).dns_suffix.len(), 100_000);
}

#[test]
fn deep_nesting_where_nothing_is_looked_at_does_no_harm() {
    let deep =
        |depth: usize| format!(r#"{{"version":1,"interfaces":[],"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    context(&deep(100));
    // Taken or refused, but never a stack that is used up.
    let _ = Context::parse(deep(1_000_000).as_bytes());
}

#[test]
fn there_is_a_most_of_interfaces() {
    let with = |count: usize| {
        let interfaces: Vec<Value> = (0..count).map(|number| json!({"name": format!("if{number}")})).collect();
        json!({"version": 1, "interfaces": interfaces}).to_string()
    };
    assert_eq!(MOST_INTERFACES, 32);
    assert_eq!(context(&with(0)).interfaces.len(), 0);
    assert_eq!(context(&with(32)).interfaces.len(), 32);
    assert_eq!(code(&with(33)), "too_many_interfaces");
    // The shape of those over the limit counts too, and comes first.
    let body = with(40).replace(r#"{"name":"if39"}"#, r#"{"name":39}"#);
    assert_eq!(code(&body), "malformed_body");
}

#[test]
fn there_is_one_version() {
    for version in ["0", "2", "-1", "9223372036854775807"] {
        assert_eq!(code(&format!(r#"{{"version":{version},"interfaces":[]}}"#)), "invalid_version", "{version}");
    }
}

#[test]
fn a_time_to_live_has_bounds() {
    let with = |ttl: i64| format!(r#"{{"version":1,"interfaces":[],"ttl":{ttl}}}"#);
    assert_eq!(LONGEST_TTL, 315_360_000);
    for ttl in [1, 60, i64::from(LONGEST_TTL)] {
        assert_eq!(context(&with(ttl)).ttl.map(i64::from), Some(ttl));
    }
    for ttl in [0, -1, i64::from(LONGEST_TTL) + 1, i64::MAX, i64::MIN, 1 << 32] {
        assert_eq!(code(&with(ttl)), "invalid_ttl", "{ttl}");
    }
}

#[test]
fn names_and_ssids_are_measured_in_bytes() {
    let named = |name: &str| format!(r#"{{"version":1,"interfaces":[{{"name":"{name}"}}]}}"#);
    for name in ["a", &"a".repeat(255), &"é".repeat(127), " "] {
        assert_eq!(context(&named(name)).interfaces[0].name, *name);
    }
    let wrong = ("invalid_field", "interfaces[0].name".to_owned());
    for name in ["", &"a".repeat(256), &"é".repeat(128)] {
        assert_eq!(field(&named(name)), wrong);
    }
    for body in [r#"{"version":1,"interfaces":[{}]}"#, r#"{"version":1,"interfaces":[null]}"#] {
        assert_eq!(field(body), wrong);
    }
    let ssid = |ssid: &str| one_interface(&format!(r#","ssid":"{ssid}""#));
    for name in ["Corp", "corp ", &"é".repeat(16), "e\u{301}", &"x".repeat(32)] {
        assert_eq!(context(&ssid(name)).interfaces[0].ssid.as_deref(), Some(name), "neither folded nor normalised");
    }
    for name in ["é".repeat(17), "x".repeat(33)] {
        assert_eq!(field(&ssid(&name)), ("invalid_field", "interfaces[0].ssid".to_owned()));
    }
}

#[test]
fn kinds_of_interface_are_a_closed_list() {
    for kind in ["cellular", "ethernet", "loopback", "other", "vpn", "wifi", "wwan"] {
        assert_eq!(shown(&format!(r#","iface_type":"{}""#, kind.to_uppercase()))["iface_type"], kind);
    }
    for kind in ["tun", "wlan", " wifi", "wifi ", "wi-fi"] {
        let body = one_interface(&format!(r#","iface_type":"{kind}""#));
        assert_eq!(field(&body), ("invalid_field", "interfaces[0].iface_type".to_owned()), "{kind}");
    }
}

#[test]
fn addresses_come_in_one_form() {
    for text in ["AA:BB:CC:DD:EE:0f", "aa-bb-cc-dd-ee-0F", "aabbccddee0f"] {
        assert_eq!(shown(&format!(r#","bssid":"{text}""#))["bssid"], "aa:bb:cc:dd:ee:0f");
        let both = shown(&format!(r#","gateway_mac":"{text}","gateway_ip":"10.0.0.1""#));
        assert_eq!(both["gateway_mac"], "aa:bb:cc:dd:ee:0f");
    }
    for (text, canonical) in [
        ("10.0.0.1", "10.0.0.1"),
        ("FE80::1%en0", "fe80::1"),
        ("2001:0DB8:0:0::1", "2001:db8::1"),
        ("::ffff:10.1.1.1", "::ffff:10.1.1.1"),
    ] {
        assert_eq!(shown(&format!(r#","gateway_ip":"{text}""#))["gateway_ip"], canonical);
    }
    for (key, values) in [
        ("bssid", &["aabb.ccdd.ee0f", "aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee-0f", "xx:bb:cc:dd:ee:0f", " "][..]),
        ("gateway_mac", &["aabb.ccdd.ee0f", "aa:bb:cc:dd:ee:0f:00"]),
        ("gateway_ip", &["10.0.0.0/24", "10.0.0.01", "10.0.0", "fe80::1%", "10.0.0.1%en0", "gateway", " 10.0.0.1"]),
    ] {
        for value in values {
            let body = one_interface(&format!(r#","{key}":"{value}""#));
            assert_eq!(field(&body), ("invalid_field", format!("interfaces[0].{key}")), "{value}");
        }
    }
}

#[test]
fn the_hardware_address_of_a_gateway_needs_its_address() {
    let alone = one_interface(r#","gateway_mac":"aabbccddeeff""#);
    assert_eq!(field(&alone), ("invalid_gateway_combo", "interfaces[0]".to_owned()));
    let empty = one_interface(r#","gateway_mac":"aabbccddeeff","gateway_ip":"""#);
    assert_eq!(field(&empty).0, "invalid_gateway_combo");
    assert_eq!(shown(r#","gateway_ip":"10.0.0.1""#), json!({"name": "a", "gateway_ip": "10.0.0.1"}));
}

#[test]
fn ranges_are_masked_sorted_as_text_and_there_once() {
    let subnets = |list: &str| shown(&format!(r#","subnets":[{list}]"#))["subnets"].clone();
    assert_eq!(
        subnets(r#""9.0.0.0/8","10.0.0.0/8","10.255.0.1/8","","2001:DB8::5/32""#),
        json!(["10.0.0.0/8", "2001:db8::/32", "9.0.0.0/8"])
    );
    assert_eq!(subnets(r#""10.0.0.1/0","10.0.0.1/32""#), json!(["0.0.0.0/0", "10.0.0.1/32"]));
    // The index is the one of the body, what is empty counted.
    for (list, index) in [
        (r#""10.0.0.0/8","bad""#, 1),
        (r#""","","10.0.0.0""#, 2),
        (r#""10.0.0.0/33""#, 0),
        (r#""fe80::%en0/64""#, 0),
        (r#""10.0.0.0/08""#, 0),
        (r#"null,"::/129""#, 1),
    ] {
        let body = one_interface(&format!(r#","subnets":[{list}]"#));
        assert_eq!(field(&body), ("invalid_field", format!("interfaces[0].subnets[{index}]")), "{list}");
    }
}

#[test]
fn domains_are_folded_but_never_trimmed() {
    let with = |list: &str| format!(r#"{{"version":1,"interfaces":[],"dns_suffix":[{list}]}}"#);
    assert_eq!(
        context(&with(r#""CORP.example","büro.DE","BÜRO.de","", ".lan""#)).dns_suffix,
        [".lan", "büro.de", "corp.example"]
    );
    for (list, index) in [
        (r#""a,b""#, 0),
        (r#""z.example","a b""#, 1),
        (r#""",""," lan""#, 2),
        (r#""lan\t""#, 0),
        (r#""lan\u0000""#, 0),
        (r#""lan\u00a0""#, 0),
        (r#""lan\u0085""#, 0),
    ] {
        assert_eq!(field(&with(list)), ("invalid_field", format!("dns_suffix[{index}]")), "{list}");
    }
}

#[test]
fn names_are_there_once() {
    let (code, message) = refusal(r#"{"version":1,"interfaces":[{"name":"a"},{"name":"b"},{"name":"a"}]}"#);
    assert_eq!(code, "duplicate_iface_name");
    assert!(message.contains("interfaces[2]") && !message.contains(code), "{message}");
    context(r#"{"version":1,"interfaces":[{"name":"a"},{"name":"A"}]}"#);
}

/// Each pair of mistakes that follow each other in the contract's order, in one body: the first one is told.
#[test]
fn mistakes_are_told_in_the_order_of_the_contract() {
    let many = vec![r#"{"name":""}"#; 33].join(",");
    for (body, code) in [
        // Shape before number.
        (format!(r#"{{"interfaces":[{many}]}}"#), "malformed_body"),
        (format!(r#"{{"version":1,"interfaces":[{many}],"ttl":"x"}}"#), "malformed_body"),
        // Number before version.
        (format!(r#"{{"version":2,"interfaces":[{many}]}}"#), "too_many_interfaces"),
        // Version before time to live.
        (r#"{"version":2,"interfaces":[],"ttl":0}"#.to_owned(), "invalid_version"),
        // Time to live before fields.
        (r#"{"version":1,"interfaces":[{"name":"a","bssid":"x"}],"ttl":0}"#.to_owned(), "invalid_ttl"),
        // Combination before a name that stands twice.
        (
            r#"{"version":1,"interfaces":[{"name":"a"},{"name":"a","gateway_mac":"aabbccddeeff"}]}"#.to_owned(),
            "invalid_gateway_combo",
        ),
        // A name that stands twice before domains.
        (
            r#"{"version":1,"interfaces":[{"name":"a"},{"name":"a"}],"dns_suffix":["a b"]}"#.to_owned(),
            "duplicate_iface_name",
        ),
    ] {
        assert_eq!(refusal(&body).0, code, "{body}");
    }
    let two = |first: &str, second: &str| format!(r#"{{"version":1,"interfaces":[{{{first}}},{{{second}}}]}}"#);
    let long = "x".repeat(33);
    for (first, second, path) in [
        // Everything that is parsed comes before everything that only has to be legal, over all interfaces.
        (r#""name":"""#.to_owned(), r#""name":"b","bssid":"x""#, "interfaces[1].bssid"),
        (format!(r#""name":"a","ssid":"{long}""#), r#""name":"b","subnets":["x"]"#, "interfaces[1].subnets[0]"),
        (r#""name":"a","iface_type":"tun""#.to_owned(), r#""name":"b","gateway_ip":"x""#, "interfaces[1].gateway_ip"),
        (
            r#""name":"a","gateway_mac":"aabbccddeeff""#.to_owned(),
            r#""name":"b","gateway_mac":"x""#,
            "interfaces[1].gateway_mac",
        ),
        // Within each, the first interface first.
        (r#""name":"a","subnets":["x"]"#.to_owned(), r#""name":"b","bssid":"x""#, "interfaces[0].subnets[0]"),
        (r#""name":"a","iface_type":"tun""#.to_owned(), r#""name":"""#, "interfaces[0].iface_type"),
        // And within one, field by field.
        (
            r#""name":"","subnets":["x"],"gateway_ip":"x","gateway_mac":"x","bssid":"x""#.to_owned(),
            r#""name":"b""#,
            "interfaces[0].bssid",
        ),
        (
            r#""name":"","subnets":["x"],"gateway_ip":"x","gateway_mac":"x""#.to_owned(),
            r#""name":"b""#,
            "interfaces[0].gateway_mac",
        ),
        (r#""name":"","subnets":["x"],"gateway_ip":"x""#.to_owned(), r#""name":"b""#, "interfaces[0].gateway_ip"),
        (
            format!(r#""name":"","ssid":"{long}","iface_type":"tun","gateway_mac":"aabbccddeeff""#),
            r#""name":"b""#,
            "interfaces[0].name",
        ),
        (
            format!(r#""name":"a","ssid":"{long}","iface_type":"tun","gateway_mac":"aabbccddeeff""#),
            r#""name":"b""#,
            "interfaces[0].ssid",
        ),
        (
            r#""name":"a","iface_type":"tun","gateway_mac":"aabbccddeeff""#.to_owned(),
            r#""name":"b""#,
            "interfaces[0].iface_type",
        ),
        (r#""name":"a","gateway_mac":"aabbccddeeff""#.to_owned(), r#""name":"""#, "interfaces[0]"),
    ] {
        assert_eq!(field(&two(&first, second)).1, path, "{first} {second}");
    }
}
