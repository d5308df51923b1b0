//! What following the network costs. Budgets: a `PUT /network/context` on the light path 20 µs of work, 1,000 groups
//! evaluated 5 ms.

use std::fmt::Write as _;
use std::sync::Arc;

use divan::{Bencher, black_box};
use tradewind_core::{Moment, UnixMillis};
use tradewind_decide::network::{Context, Machine, PutAnswer, Snapshot, Turn, explain, matched};
use tradewind_policy::Problems;
use tradewind_policy::ways::{Network, decode_networks};

fn main() {
    divan::main();
}

/// A laptop with a dock, a radio, a VPN and a loopback interface, every field said.
const LAPTOP: &str = r#"{"version":1,"interfaces":[
    {"name":"wlan0","iface_type":"wifi","ssid":"corp-5g","bssid":"AA-BB-CC-DD-EE-00","gateway_ip":"10.0.0.1",
     "gateway_mac":"11:22:33:44:55:66","subnets":["10.0.0.17/24","fe80::1/64","2001:db8:1:2::17/64"],"metered":false},
    {"name":"eth0","iface_type":"ethernet","gateway_ip":"10.1.0.1","gateway_mac":"11:22:33:44:55:77",
     "subnets":["10.1.0.17/16","fe80::2/64"],"metered":false},
    {"name":"wg0","iface_type":"vpn","subnets":["100.64.0.2/32","fd00::2/128"]},
    {"name":"lo","iface_type":"loopback","subnets":["127.0.0.1/8","::1/128"]}],
    "dns_suffix":["corp.example.com","Example.com","lan"],"ttl":1800}"#;

/// As many networks, of which only the last fits the laptop.
fn networks(count: usize) -> Vec<Network> {
    let mut yaml = "networks:\n".to_owned();
    for number in 1..count {
        writeln!(
            yaml,
            "  - {{name: n{number}, match: {{any: [{{ssid: [a{number}, b{number}]}}, {{dns-suffix: d{number}.example, iface-type: ethernet}}], not: {{subnets: 192.168.0.0/16}}}}}}"
        )
        .expect("a String takes what is written to it");
    }
    yaml.push_str("  - {name: office, match: {ssid: corp-5g, gateway-ip: 10.0.0.0/8}}\n");
    let root = tradewind_policy::parse_yaml(&yaml, &mut Problems::new()).expect("is YAML");
    decode_networks(root.get("networks"), &mut Problems::new()).expect("has the section")
}

struct Group {
    name: Arc<str>,
    policy: Vec<(Arc<str>, Arc<str>)>,
    machine: Machine,
    current: Arc<str>,
}

fn groups(count: usize) -> Vec<Group> {
    let group = |number| Group {
        name: format!("group-{number}").into(),
        policy: ["home", "hotel", "office", "default"]
            .map(|network| (network.into(), format!("to-{network}").into()))
            .into(),
        machine: Machine::new(),
        current: "DIRECT".into(),
    };
    (0..count).map(group).collect()
}

/// Reading and checking a body.
#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| Context::parse(black_box(LAPTOP.as_bytes())));
}

/// All of a body that says the same as before: reading, fingerprint, the five conditions, and moving its end.
#[divan::bench]
fn light_path(bencher: Bencher<'_, '_>) {
    let first = Context::parse(LAPTOP.as_bytes()).expect("is a context");
    let mut kept = Snapshot::new(first, Moment::START, UnixMillis(0), 1);
    bencher.bench_local(|| {
        let next = Context::parse(black_box(LAPTOP.as_bytes())).expect("is a context");
        assert!(kept.is_light(&next, true, true), "says the same");
        kept.renew(&next, Moment::from_micros(7), UnixMillis(7), 2);
    });
}

/// The same with what the answer needs: the network among 20, the rows of 10 groups, and their JSON.
#[divan::bench]
fn light_path_with_answer(bencher: Bencher<'_, '_>) {
    let first = Context::parse(LAPTOP.as_bytes()).expect("is a context");
    let (networks, groups) = (networks(20), groups(10));
    let mut kept = Snapshot::new(first, Moment::START, UnixMillis(0), 1);
    bencher.bench_local(|| {
        let next = Context::parse(black_box(LAPTOP.as_bytes())).expect("is a context");
        assert!(kept.is_light(&next, true, true), "says the same");
        kept.renew(&next, Moment::from_micros(7), UnixMillis(7), 2);
        let network = matched(&networks, &kept.context).map(|network| &network.name);
        let rows = groups.iter().map(|group| {
            let turn = Turn { group: &group.name, policy: &group.policy, matched: network, current: &group.current };
            group.machine.standing(&turn)
        });
        let answer =
            PutAnswer { matched_network: network.cloned(), applied: rows.collect(), expires_at: kept.expires_at() };
        serde_json::to_vec(&answer)
    });
}

/// The present network among as many, the last of which fits.
#[divan::bench(args = [1, 20, 1000])]
fn match_networks(bencher: Bencher<'_, '_>, count: usize) {
    let networks = networks(count);
    let context = Context::parse(LAPTOP.as_bytes()).expect("is a context");
    bencher.bench_local(|| matched(black_box(&networks), black_box(&context)).is_some());
}

/// Why, for 20 networks.
#[divan::bench]
fn explain_20_networks(bencher: Bencher<'_, '_>) {
    let networks = networks(20);
    let context = Context::parse(LAPTOP.as_bytes()).expect("is a context");
    bencher.bench_local(|| explain(black_box(&networks), black_box(&context), &[]));
}

/// 1,000 groups that all have to be switched, rows and answer included.
#[divan::bench]
fn evaluate_1000_groups(bencher: Bencher<'_, '_>) {
    let office: Arc<str> = "office".into();
    bencher.with_inputs(|| groups(1000)).bench_local_values(|mut groups| {
        let mut rows = Vec::with_capacity(groups.len());
        for group in &mut groups {
            let turn =
                Turn { group: &group.name, policy: &group.policy, matched: Some(&office), current: &group.current };
            let step = group.machine.evaluate(&turn, false, |_| true);
            if let Some(member) = step.set {
                group.current = member;
            }
            rows.push(step.row);
        }
        let answer = PutAnswer { matched_network: Some(Arc::clone(&office)), applied: rows, expires_at: None };
        (serde_json::to_vec(&answer), groups)
    });
}
