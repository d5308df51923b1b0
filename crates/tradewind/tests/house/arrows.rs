//! Which crate may use which, checked on `cargo metadata`.

use serde_json::Value;

use crate::tree::{list, metadata, text};

/// The layers, the lowest first. A crate may use crates of lower layers; those of one layer never use each other. Crates
/// that are not made yet stand here already, so that adding one is no decision.
const LAYERS: [&[&str]; 10] = [
    &["tradewind-core"],
    &["tradewind-policy"],
    &["tradewind-decide"],
    &[
        "tradewind-access",
        "tradewind-dialects",
        "tradewind-egress",
        "tradewind-store",
        "tradewind-ledger",
        "tradewind-telemetry",
        "tradewind-meaning",
        "tradewind-tokens",
        "tradewind-quality",
        "tradewind-answers",
    ],
    &["tradewind-runtime"],
    &["tradewind-ways"],
    &["tradewind-dispatch"],
    &["tradewind-door", "tradewind-doctor", "tradewind-readiness", "tradewind-rollout"],
    &[
        "tradewind-door-models",
        "tradewind-door-tools",
        "tradewind-door-modules",
        "tradewind-door-agents",
        "tradewind-door-relay",
        "tradewind-door-state",
        "tradewind-door-control",
    ],
    &["tradewind"],
];

/// Crates beside the layers: they use `tradewind-core` only, and only these use them. Any test may use `tradewind-sim`.
const BESIDE: [(&str, &[&str]); 2] = [
    ("tradewind-sim", &["tradewind"]),
    (
        "tradewind-host",
        &[
            "tradewind-egress",
            "tradewind-store",
            "tradewind-telemetry",
            "tradewind-ways",
            "tradewind-door-relay",
            "tradewind",
        ],
    ),
];

/// What decides without doing: no runtime, no sockets, no files of their own.
const PURE: [&str; 6] = [
    "tradewind-core",
    "tradewind-policy",
    "tradewind-decide",
    "tradewind-dialects",
    "tradewind-quality",
    "tradewind-ledger",
];
const NOT_PURE: [&str; 9] =
    ["tokio", "hyper", "hyper-util", "mio", "socket2", "rusqlite", "rustls", "rustls-native-certs", "parking_lot"];

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Why `from` may not use `to`, if so.
fn refusal(from: &str, to: &str, in_tests: bool) -> Option<String> {
    if from == to && in_tests {
        // Its own features, which only tests want.
        return None;
    }
    if let Some((_, users)) = BESIDE.iter().find(|(name, _)| *name == to) {
        let allowed = users.contains(&from) || (in_tests && to == "tradewind-sim");
        return (!allowed).then(|| format!("{to} is used by {} only", users.join(", ")));
    }
    if BESIDE.iter().any(|(name, _)| *name == from) {
        return (to != "tradewind-core").then(|| format!("{from} uses tradewind-core only"));
    }
    match (layer(from), layer(to)) {
        (Some(own), Some(other)) if other < own => None,
        (Some(own), Some(other)) if other == own => Some("neighbours of one layer do not use each other".to_owned()),
        (Some(_), Some(_)) => Some("the arrow points upwards".to_owned()),
        (None, _) | (_, None) => Some("not in the table of layers".to_owned()),
    }
}

#[test]
fn crates_use_lower_layers_only() {
    let metadata = metadata(&["--no-deps"]);
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        if layer(name).is_none() && BESIDE.iter().all(|(known, _)| *known != name) {
            wrong.push(format!("{name} has no layer: add it to the table in crates/tradewind/tests/house/arrows.rs"));
        }
        for dependency in list(&package["dependencies"]) {
            let (other, in_tests) = (text(&dependency["name"]), text(&dependency["kind"]) == "dev");
            if !other.starts_with("tradewind") {
                continue;
            }
            arrows += 1;
            if let Some(why) = refusal(name, other, in_tests) {
                wrong.push(format!("{name} may not use {other}{}: {why}", if in_tests { " in its tests" } else { "" }));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(arrows > 20, "only {arrows} arrows were looked at");
}

#[test]
fn what_decides_does_nothing() {
    let metadata = metadata(&["--no-deps"]);
    let is_pure = |package: &&Value| PURE.contains(&text(&package["name"]));
    let packages: Vec<&Value> = list(&metadata["packages"]).iter().filter(is_pure).collect();
    assert_eq!(packages.len(), PURE.len());
    for package in packages {
        for dependency in list(&package["dependencies"]) {
            let other = text(&dependency["name"]);
            let forbidden = NOT_PURE.contains(&other) && text(&dependency["kind"]) != "dev";
            assert!(!forbidden, "{} may not use {other}: it decides and does nothing", text(&package["name"]));
        }
    }
}

#[test]
fn the_table_refuses_what_it_should() {
    for (from, to, in_tests, allowed) in [
        ("tradewind-door-models", "tradewind-dispatch", false, true),
        ("tradewind-door-models", "tradewind-door-control", false, false),
        ("tradewind-egress", "tradewind-telemetry", false, false),
        ("tradewind-store", "tradewind-runtime", false, false),
        ("tradewind-store", "tradewind-store", true, true),
        ("tradewind-store", "tradewind-store", false, false),
        ("tradewind-door-state", "tradewind-store", false, true),
        ("tradewind-policy", "tradewind-decide", false, false),
        ("tradewind-policy", "tradewind-decide", true, false),
        ("tradewind-dispatch", "tradewind-sim", true, true),
        ("tradewind-dispatch", "tradewind-sim", false, false),
        ("tradewind", "tradewind-sim", false, true),
        ("tradewind-sim", "tradewind-policy", false, false),
        ("tradewind-decide", "tradewind-host", false, false),
        ("tradewind-egress", "tradewind-host", false, true),
        ("tradewind-new", "tradewind-core", false, false),
    ] {
        assert_eq!(refusal(from, to, in_tests).is_none(), allowed, "{from} uses {to}");
    }
}
