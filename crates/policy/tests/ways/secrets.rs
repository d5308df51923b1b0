//! Passwords, keys and addresses of subscriptions are not shown: not in problems, not in notes, not in changes.

use tradewind_policy::{Problems, Root, Shared, diff, digest};

use crate::{decode, ways};

const FILE: &str = "external-controller: 127.0.0.1:9090
secret: hidden-0
authentication: [\"me:hidden-1\"]
proxies:
  - {name: a, type: http, server: h, port: 1, username: u, password: hidden-2, headers: {x-team: hidden-3}}
  - {name: b, type: socks5, server: h, port: 1, username: u, password: \"hidden-4\"}
  - {name: c, type: ss, server: h, port: 1, cipher: aes-128-gcm, password: hidden-5}
  - {name: d, type: vmess, server: h, port: 1, uuid: hidden-6}
  - {name: e, type: hysteria, server: h, port: 1, auth: hidden-7, auth-str: hidden-8, psk: hidden-9}
proxy-providers:
  p: {type: http, url: \"https://h/link/hidden-10?token=hidden-11\", header: {Authorization: [hidden-12]}}
";

#[test]
fn secrets_are_not_shown() {
    let ways = ways(FILE);
    let proxies = format!("{:?} {:?} {:?}", ways.proxies, ways.controller, ways.inbound);
    // Headers and addresses of lists are plain text to those who send them, and are printed by nobody.
    assert!(!proxies.replace("hidden-3", "").contains("hidden-"), "{proxies}");
    // Every line gets a problem, so that every line is shown.
    let broken = FILE
        .replace("127.0.0.1:9090", "nonsense")
        .replace("\"me:hidden-1\"", "\"hidden-1\"")
        .replace("name: ", "nmae: ")
        .replace("type: http, url", "typ: http, url")
        .replace("secret: hidden-0", "secret: [hidden-0]");
    let (_, problems) = decode(&broken);
    let shown = problems.render("test.yaml", &broken);
    assert!(problems.len() > 12, "{shown}");
    assert!(!shown.contains("hidden-"), "{shown}");
    assert!(!serde_json::to_string(&problems).expect("problems serialise").contains("hidden-"));
}

fn root(text: &str) -> Root {
    let mut problems = Problems::new();
    let root = Root::parse(text, &|_| None, &[], &mut problems);
    let _shared = Shared::decode(&root, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render("test.yaml", text));
    root
}

#[test]
fn changes_of_secrets_are_named_and_not_shown() {
    let changes = diff(&root(FILE), &root(&FILE.replace("hidden-", "other-")));
    let shown: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 12, "{shown:#?}");
    assert!(shown.iter().all(|line| line.ends_with(": [secret] -> [secret]")), "{shown:#?}");
}

#[test]
fn what_changes_a_decision_changes_the_digest() {
    let base = format!(
        "{FILE}mode: rule
networks: [{{name: office, match: {{ssid: corp}}}}]
proxy-groups: [{{name: g, type: select, proxies: [a, b], network-policy: {{office: a}}, icon: x, hidden: false}}]
rules: [\"DOMAIN,example.com,g\", \"MATCH,DIRECT\"]
providers: [{{name: o, dialect: openai, base-url: \"http://h/v1\", via: g}}]
dns: {{enable: true, nameserver: [192.0.2.1]}}
hosts: {{a.example: 192.0.2.1}}
"
    );
    let of = |text: &str| digest(&root(text));
    for (from, to, changes) in [
        ("mode: rule", "mode: global", true),
        ("ssid: corp", "ssid: other", true),
        ("network-policy: {office: a}", "network-policy: {office: b}", true),
        ("proxies: [a, b]", "proxies: [b, a]", true),
        ("DOMAIN,example.com,g", "DOMAIN,example.org,g", true),
        ("via: g", "via: a", true),
        ("server: h, port: 1, cipher", "server: i, port: 1, cipher", true),
        ("nameserver: [192.0.2.1]", "nameserver: [192.0.2.2]", true),
        ("a.example: 192.0.2.1", "a.example: 192.0.2.2", true),
        ("hidden-", "other-", false),
        ("icon: x", "icon: y", false),
        ("external-controller: 127.0.0.1:9090", "external-controller: 127.0.0.1:9091", false),
    ] {
        let text = base.replace(from, to);
        assert_ne!(text, base, "{from}");
        // The address of a list decides what is in it.
        let text =
            if from == "hidden-" { text.replace("other-10?token=other-11", "hidden-10?token=hidden-11") } else { text };
        assert_eq!(of(&text) != of(&base), changes, "{from} -> {to}");
    }
}
