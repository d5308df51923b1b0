//! Nothing makes decoding panic: not text, not heaps of words that mean something, not lists from elsewhere.

use proptest::prelude::*;
use tradewind_policy::ways::{name_pattern, parse_payload, parse_proxies};
use tradewind_policy::{Problems, Root, Shared, diff, digest};

fn exercise(text: &str) {
    let mut problems = Problems::new();
    let root = Root::parse(text, &|name| (name.len() < 3).then(|| name.repeat(2)), &[], &mut problems);
    let shared = Shared::decode(&root, &mut problems);
    let _files = shared.ways.files().count();
    let _rendered = problems.render("test.yaml", text);
    let _digest = digest(&root);
    assert_eq!(diff(&root, &root), []);
    for note in problems.notes() {
        assert!(!note.message.is_empty() && !note.message.contains('\n'), "{note:?}");
    }
}

const SECTIONS: &[&str] = &[
    "proxies",
    "proxy-groups",
    "proxy-providers",
    "rule-providers",
    "rules",
    "sub-rules",
    "networks",
    "hosts",
    "dns",
    "mode",
    "mixed-port",
    "bind-address",
    "authentication",
    "external-controller",
    "profile",
    "tun",
    "tls",
    "secret",
    "p",
];

const KEYS: &[&str] = &[
    "name",
    "type",
    "server",
    "port",
    "cipher",
    "password",
    "plugin",
    "auth",
    "headers",
    "header",
    "dialer-proxy",
    "url",
    "proxies",
    "use",
    "filter",
    "include-all",
    "exclude-type",
    "expected-status",
    "network-policy",
    "empty-fallback",
    "payload",
    "health-check",
    "override",
    "behavior",
    "format",
    "path",
    "interval",
    "match",
    "ssid",
    "any",
    "default",
    "enable",
    "nameserver",
    "default-nameserver",
    "enhanced-mode",
    "store-selected",
    "a",
    "g",
    "DIRECT",
    "tfo",
];

const WORDS: &[&str] = &[
    "a",
    "g",
    "p",
    "DIRECT",
    "GLOBAL",
    "http",
    "ss",
    "socks5",
    "pac",
    "direct",
    "vmess",
    "select",
    "url-test",
    "load-balance",
    "relay",
    "inline",
    "file",
    "domain",
    "mrs",
    "1",
    "0",
    "70000",
    "-1",
    "1.5",
    "true",
    "~",
    "[]",
    "{}",
    "\"\"",
    "aes-128-gcm",
    "2022-blake3-aes-128-gcm",
    "AAAA:BBBB",
    "https://h/x?y=z",
    "tls://h:1",
    "10.0.0.0/8",
    "::1",
    ":9090",
    "me:pw",
    "../x",
    "/etc/x",
    "(",
    "^a`b",
    "200/204-",
    "*",
    "fake-ip",
    "\"MATCH,g\"",
    "\"DOMAIN,a.com,a\"",
    "\"SUB-RULE,(MATCH),z\"",
    "${A}",
    "\"${NOPE}\"",
    "\"${A}\"",
    "&x a",
    "*x",
    "\"🇭🇰\"",
];

/// A value of a few levels, in flow style.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(WORDS).prop_map(str::to_owned);
    leaf.prop_recursive(4, 48, 6, |inner| {
        let entry = (prop::sample::select(KEYS), inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map(prop::sample::select(KEYS), Just(()), 0..6)
                .prop_flat_map(|keys| {
                    let keys: Vec<&str> = keys.into_keys().collect();
                    let count = keys.len();
                    (Just(keys), prop::collection::vec(prop::sample::select(WORDS), count))
                })
                .prop_map(|(keys, words)| {
                    let entries: Vec<String> =
                        keys.iter().zip(words).map(|(key, word)| format!("{key}: {word}")).collect();
                    format!("{{{}}}", entries.join(", "))
                }),
            prop::collection::vec(entry, 0..6).prop_map(|entries| format!("{{{}}}", entries.join(", "))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_document_makes_it_panic(sections in prop::collection::vec((prop::sample::select(SECTIONS), value()), 0..6)) {
        let text: String = sections.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        exercise(&text);
    }

    #[test]
    fn no_proxy_and_no_group_makes_it_panic(
        proxies in prop::collection::vec(value(), 0..4),
        groups in prop::collection::vec(value(), 0..4),
    ) {
        exercise(&format!("proxies: [{}]\nproxy-groups: [{}]\n", proxies.join(", "), groups.join(", ")));
    }

    #[test]
    fn no_list_makes_it_panic(text in any::<String>(), list in prop::collection::vec(value(), 0..8)) {
        let _ = (parse_proxies(&text), parse_payload(&text));
        let list = list.join(", ");
        let _ = (parse_proxies(&format!("proxies: [{list}]")), parse_payload(&format!("payload: [{list}]")));
    }

    #[test]
    fn no_pattern_makes_it_panic_or_stall(pattern in "[()\\[\\]a-c*+?{}0-9|^$\\\\!<=:`., ]{0,40}", text in "[a-c ]{0,60}") {
        if let Ok(pattern) = name_pattern(&pattern) {
            let _ = pattern.is_match(text.as_str());
        }
    }

    #[test]
    fn what_comes_from_outside_is_never_shown(value in "[a-z]{12}", key in prop::sample::select(vec![
        "mode: \"${V}\"", "mixed-port: \"${V}\"", "bind-address: \"${V}\"", "external-controller: \"${V}\"",
        "authentication: [\"${V}\"]", "hosts: {a: \"${V} x\"}", "dns: {nameserver: [\"${V}://x\", \"${V} \"], enhanced-mode: \"${V}\"}",
        "skip-auth-prefixes: [\"${V}\"]", "rules: [\"${V}\", \"DOMAIN,a.com,${V}\", \"DOMAIN-REGEX,(${V},DIRECT\"]",
        "proxies: [{name: a, type: \"${V}\"}, {name: b, type: ss, server: \"${V}/\", port: \"${V}\", cipher: \"${V}\", password: \"${V}\"}]",
        "proxies: [{name: a, type: http, server: h, port: 1, auth: \"${V}\", tls: \"${V}\", headers: {a: \"${V}\\n\"}}]",
        "proxies: [{name: a, type: ss, server: h, port: 1, cipher: 2022-blake3-aes-128-gcm, password: \"${V}\"}]",
        "proxy-groups: [{name: g, type: \"${V}\", proxies: [DIRECT]}, {name: k, type: load-balance, proxies: [DIRECT], strategy: \"${V}\"}]",
        "proxy-groups: [{name: g, type: select, proxies: [DIRECT], filter: \"(${V}\", expected-status: \"${V}\", interval: \"${V}\"}]",
        "proxies: [{name: \"${V}\", type: direct}, {name: \"${V}\", type: direct, dialer-proxy: \"${V}-x\"}]",
        "proxy-groups: [{name: \"${V}\", type: select, proxies: [\"${V}\", \"${V}y\"], use: [\"${V}p\"], empty-fallback: \"${V}e\"}]",
        "proxy-groups: [{name: \"${V}\", type: select, proxies: [DIRECT], network-policy: {default: \"${V}\", x: \"${V}\"}}]",
        "proxy-providers: {p: {type: http, url: \"http://h/x\", proxy: \"${V}\", dialer-proxy: \"${V}\"}}\nmode: x",
        "networks: [{name: \"${V}\", match: {ssid: a}}]\nproxy-groups: [{name: g, type: select, proxies: [DIRECT], network-policy: {x: DIRECT}}]",
        "dns: {enable: true, nameserver: [\"8.8.8.8#${V}\", \"quic://${V}\"], enhanced-mode: x}",
        "proxies: [{name: \"${V}\", type: vmess}, {name: \"${V}2\", type: ss, server: h, port: 1, cipher: x, password: y, plugin: \"${V}\"}, ~]",
        "proxy-providers: {p: {type: \"${V}\"}, q: {type: http, url: \"${V}\", path: \"../${V}\"}}",
    ])) {
        let mut problems = Problems::new();
        let root = Root::parse(key, &|_| Some(value.clone()), &[], &mut problems);
        let _shared = Shared::decode(&root, &mut problems);
        let rendered = problems.render("test.yaml", key);
        prop_assert!(!problems.is_empty());
        prop_assert!(!rendered.contains(&value), "{}", rendered);
        prop_assert!(problems.notes().iter().all(|note| !note.message.contains(&value)), "{:?}", problems.notes());
    }
}
