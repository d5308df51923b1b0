//! What groups use: when members are not built, when lists change, and after a restart.

use std::fmt::Write as _;
use std::sync::Arc;

use tradewind_decide::rules::Meta;
use tradewind_policy::ways::Transport;
use tradewind_ways::{FindProcess, SelectError};

use crate::support::{Rig, proxies, write};

const NOT_BUILT: &str = "{name: vm, type: vmess, server: a.test, port: 1, uuid: x, alterId: 0, cipher: auto}";
const BUILT: &str = "{name: up, type: http, server: 127.0.0.1, port: 1}";

const KINDS: [&str; 6] = [
    "select",
    "url-test",
    "fallback",
    "load-balance, strategy: round-robin",
    "load-balance, strategy: consistent-hashing",
    "load-balance, strategy: sticky-sessions",
];

#[tokio::test]
async fn what_is_not_built_makes_room_for_another_proxy_and_never_for_none() {
    for kind in KINDS {
        for (members, expected) in [
            ("vm", "vm"),
            ("vm, DIRECT", "vm"),
            ("DIRECT, vm", if matches!(kind, "select" | "fallback") { "DIRECT" } else { "vm" }),
            ("vm, inner", "vm"),
            ("vm, DIRECT, up", "up"),
            // Groups within are as what they have.
            ("without, DIRECT", "vm"),
            ("without, DIRECT, up", "up"),
        ] {
            let rig = Rig::start(&format!(
                "proxies:\n  - {NOT_BUILT}\n  - {BUILT}\nproxy-groups:\n  - {{name: g, type: {kind}, proxies: [{members}]}}\n  \
                 - {{name: inner, type: select, proxies: [DIRECT]}}\n  - {{name: without, type: fallback, proxies: [vm, inner]}}\nrules: ['MATCH,g']\n"
            ));
            let mut used: Vec<String> = (0..4).map(|_| rig.choose("g").unwrap().chain[0].to_string()).collect();
            used.dedup();
            assert_eq!(used, [expected], "{kind} of [{members}]");
        }
    }
}

#[tokio::test]
async fn many_groups_in_each_other_are_looked_at_once_each() {
    let mut document = format!("proxies: [{NOT_BUILT}]\nproxy-groups:\n");
    for depth in 0..30 {
        let within = if depth == 29 { "DIRECT".to_owned() } else { format!("a{0}, b{0}", depth + 1) };
        let all = if depth == 0 { format!("vm, {within}") } else { within };
        writeln!(document, "  - {{name: a{depth}, type: fallback, proxies: [{all}]}}").unwrap();
        writeln!(document, "  - {{name: b{depth}, type: url-test, proxies: [{all}]}}").unwrap();
    }
    let rig = Rig::start(&document);
    // By two ways from each to the next, there are 2^29 to the last.
    assert_eq!((&*rig.uses("a0"), &*rig.uses("b0")), ("vm", "vm"));
}

#[tokio::test]
async fn a_group_in_which_somebody_selected_what_is_not_built_is_as_that() {
    let rig = Rig::start(&format!(
        "proxies:\n  - {NOT_BUILT}\n  - {BUILT}\nproxy-groups:\n  - {{name: inner, type: select, proxies: [up, vm]}}\n  \
         - {{name: g, type: fallback, proxies: [inner, DIRECT]}}\n  - {{name: h, type: fallback, proxies: [inner, DIRECT, up]}}\n"
    ));
    assert_eq!(*rig.choose("g").unwrap().chain[0], *"up");
    rig.ways.select("inner", "vm").unwrap();
    assert_eq!(*rig.choose("g").unwrap().chain[0], *"vm");
    assert_eq!(rig.choose("h").unwrap().chain.join(" "), "up h");
}

#[tokio::test]
async fn datagrams_of_what_is_not_built_go_by_no_other_rule() {
    let nobody: FindProcess = Arc::new(|_| None);
    let rig = Rig::start(&format!(
        "proxies:\n  - {NOT_BUILT}\n  - {BUILT}\nrules: ['DST-PORT,1,vm', 'DST-PORT,2,up', 'MATCH,DIRECT']\n"
    ));
    let decided = async |port| {
        let mut meta = Meta { network: Transport::Udp, destination_port: port, ..Meta::default() };
        rig.ways.decide(&mut meta, &nobody).await.map(|decided| decided.chosen.chain[0].to_string())
    };
    assert_eq!(decided(1).await.unwrap(), "vm", "it fails by its own name");
    assert_eq!(decided(2).await.unwrap(), "DIRECT", "a way that carries none leaves them to the next rule");
}

/// A document whose one group takes its members from a file.
const LISTED: &str = "proxy-providers: {own: {type: file, path: own.yaml}}\n\
                      proxy-groups: [{name: g, type: select, use: [own]}]\n";

#[tokio::test]
async fn a_selection_stays_as_long_as_the_list_has_it() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "own.yaml", &proxies(&["a", "b", "c"]));
    let rig = Rig::start_in(folder, LISTED);
    rig.ways.select("g", "b").unwrap();
    for (listed, used) in [
        (&["c", "b"][..], "b"),
        // It is gone: the first is used, as if nothing had been selected.
        (&["c", "a"], "c"),
        // A list that lacks it once has not undone what somebody chose.
        (&["a", "b"], "b"),
    ] {
        rig.write("own.yaml", &proxies(listed));
        rig.ways.update_provider("own").await.unwrap().unwrap();
        assert_eq!((rig.members("g"), &*rig.uses("g")), (listed.iter().map(ToString::to_string).collect(), used));
        assert_eq!(*rig.choose("g").unwrap().chain[0], *used);
    }
    assert_eq!(rig.ways.select("g", "c"), Err(SelectError::NoMember("g".to_owned(), "c".to_owned())));
    assert_eq!(rig.uses("g"), "b", "nothing has changed");
}

#[tokio::test]
async fn a_list_that_cannot_be_read_leaves_its_members_in_use() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "own.yaml", &proxies(&["a", "b"]));
    let rig = Rig::start_in(folder, LISTED);
    for broken in ["proxies: [", "proxies: []", "\u{0}"] {
        rig.write("own.yaml", broken);
        let failed = rig.ways.update_provider("own").await.unwrap().unwrap_err();
        assert!(failed.contains("own.yaml: "), "{failed}");
        assert_eq!((rig.members("g").len(), rig.provider("own").told().failed), (2, Some(failed)));
    }
}

#[tokio::test]
async fn to_select_what_is_used_already_is_a_choice() {
    let document = |members: &str| {
        format!("{}proxy-groups: [{{name: g, type: select, proxies: [{members}]}}]\n", proxies(&["a", "b"]))
    };
    let rig = Rig::start(&document("a, b"));
    assert_eq!(rig.uses("g"), "a");
    rig.ways.select("g", "a").unwrap();
    rig.reload(&document("b, a"));
    assert_eq!(rig.uses("g"), "a");
    let rig = rig.restart(&document("b, a"));
    assert_eq!(rig.uses("g"), "a");
    // Where nothing was selected the first is used.
    assert_eq!(Rig::start(&document("b, a")).uses("g"), "b");
}
