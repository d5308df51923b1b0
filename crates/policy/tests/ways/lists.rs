//! Lists from elsewhere: proxies and lines of rules, bounded and forgiving.

use tradewind_policy::ways::{ListError, MOST_LINES, MOST_PROXIES, ProxyKind, parse_payload, parse_proxies};

#[test]
fn a_subscription_is_a_list_of_proxies() {
    let list = parse_proxies(
        "x: &d {type: ss, port: 8388, cipher: aes-128-gcm, password: pw}
proxies:
  - {<<: *d, name: \"🇭🇰 01\", server: hk.example.com, tfo: true}
  - {<<: *d, name: \"🇸🇬 01\", server: sg.example.com, unknown: 1}
  - {name: v, type: vmess, server: h, port: 443, uuid: secret-1}
  - {name: bad, type: ss, server: h, port: 1, cipher: nonsense, password: secret-2}
  - {<<: *d, name: \"🇸🇬 01\", server: other.example.com}
  - {name: \"${HOME}\", type: http, server: h, port: 1, password: 1e3}
rules: [MATCH,DIRECT]
",
    )
    .expect("it is a list");
    let names: Vec<&str> = list.proxies.iter().map(|proxy| &*proxy.name).collect();
    assert_eq!(names, ["🇭🇰 01", "🇸🇬 01", "v", "${HOME}"], "nothing is replaced from the environment");
    assert!(matches!(&list.proxies[2].kind, ProxyKind::NotBuilt(kind) if &**kind == "vmess"));
    assert_eq!(
        list.notes,
        [
            "`tfo` has no effect: TCP Fast Open is not used (`🇭🇰 01`)",
            "proxies of type `vmess` are not built: they stay in their groups as not alive, and using one fails (`v`)",
            "proxies with a name that is there already are left out (`🇸🇬 01`)",
            "line 4: unknown key `unknown`",
            "line 6: proxy 3: unknown method: nonsense",
            "line 8: expected text, found a number",
        ]
    );
    assert!(!format!("{list:?}").contains("secret-"), "{list:?}");
}

#[test]
fn what_is_no_list_of_proxies_is_refused() {
    let unreadable = |text: &str| ListError::Unreadable(text.to_owned());
    for (text, error) in [
        ("", ListError::NoList("proxies")),
        ("<html></html>", unreadable("this is not YAML: while scanning a plain scalar")),
        ("proxies: ~", ListError::Empty("proxy")),
        ("proxies: []", ListError::Empty("proxy")),
        ("proxies: {a: b}", ListError::NoList("proxies")),
        ("proxy: []", ListError::NoList("proxies")),
        ("proxies: [{name: a, type: nonsense}]", unreadable("proxy 0: unsupport proxy type: nonsense")),
        ("proxies: [\n", unreadable("this is not YAML")),
        ("a: 1\na: 2\n", unreadable("the key `a` stands twice in this map (line 2, column 1)")),
    ] {
        let found = parse_proxies(text).expect_err(text);
        match (&found, &error) {
            (ListError::Unreadable(found), ListError::Unreadable(error)) if error.starts_with("this is not YAML") => {
                assert!(
                    found.starts_with("this is not YAML") || found.starts_with("a configuration"),
                    "{text}: {found}"
                );
            }
            (ListError::NoList("proxies"), ListError::Unreadable(_)) => assert_eq!(text, "<html></html>"),
            _ => assert_eq!(found, error, "{text}"),
        }
    }
}

#[test]
fn lists_are_bounded() {
    let entry = "- {name: n, type: direct}\n";
    let many = format!("proxies:\n{}", entry.repeat(MOST_PROXIES + 1));
    assert_eq!(
        parse_proxies(&many),
        Err(ListError::TooMany { what: "proxies", count: MOST_PROXIES + 1, most: MOST_PROXIES })
    );
    assert_eq!(
        parse_proxies(&format!("proxies:\n{}", entry.repeat(MOST_PROXIES))).map(|list| list.proxies.len()),
        Ok(1)
    );
    let too_long = format!("proxies: [{{name: {}, type: direct}}]", "x".repeat(5 * 1024 * 1024));
    assert!(matches!(parse_proxies(&too_long), Err(ListError::Unreadable(_))));
    let bomb =
        format!("a: &a [{}]\nb: &b [{}]\nproxies: [{}]\n", "x,".repeat(200), "*a,".repeat(200), "*b,".repeat(200));
    assert!(matches!(parse_proxies(&bomb), Err(ListError::Unreadable(_))), "each use of an alias counts");
}

#[test]
fn a_payload_is_a_list_of_lines() {
    let text = "# a comment\npayload:\n  - DOMAIN-SUFFIX,example.com\n  - '+.example.net'\n  - 10.0.0.0/8\n  - 22\n";
    let lines = parse_payload(text);
    assert_eq!(
        lines,
        Ok(vec!["DOMAIN-SUFFIX,example.com".into(), "+.example.net".into(), "10.0.0.0/8".into(), "22".into()])
    );
    assert_eq!(parse_payload("rules: []"), Err(ListError::NoList("payload")));
    assert_eq!(parse_payload("payload: []"), Err(ListError::Empty("rule")));
    assert_eq!(
        parse_payload("payload: [a, [b]]"),
        Err(ListError::Unreadable("line 1: expected text, found a list".to_owned()))
    );
    let many = format!("payload: [{}]", "a,".repeat(MOST_LINES + 1));
    assert_eq!(
        parse_payload(&many),
        Err(ListError::TooMany { what: "rules", count: MOST_LINES + 1, most: MOST_LINES })
    );
}
