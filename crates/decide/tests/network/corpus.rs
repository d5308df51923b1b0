//! The seeds of the fuzz target for contexts, through the same check, cut at every place; and bytes at random.

use proptest::prelude::*;

#[path = "../../../../fuzz/checks/network.rs"]
mod network;
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;

#[test]
fn contexts_hold_the_rules() {
    seeds::replay("network_context", 10, usize::MAX, network::context);
    seeds::replay("network_context", 10, 1, |seed| {
        for place in 0..seed.len() {
            for other in [b'"', b'0', b'{', b'\\', 0xff] {
                let mut changed = seed.to_vec();
                changed[place] = other;
                network::context(&changed);
            }
        }
    });
}

#[test]
fn a_refusal_does_not_repeat_the_body() {
    let long = "x".repeat(100_000);
    for body in [
        format!(r#"{{"version":"{long}","interfaces":[]}}"#),
        format!(r#"{{"version":1,"interfaces":[{{"name":"{long}"}}]}}"#),
        format!(r#"{{"version":1,"interfaces":[{{"name":"a","bssid":"{long}"}}]}}"#),
        format!(r#"{{"version":1,"interfaces":[],"dns_suffix":["{long} "]}}"#),
    ] {
        network::context(body.as_bytes());
    }
}

proptest! {
    #[test]
    fn any_interface_holds_the_rules(
        name in "\\PC{0,12}", mac in "[0-9a-fA-F:.-]{10,18}", address in "[0-9a-f:.%/]{0,20}", kind in "[a-zA-Z]{0,9}", suffix in "\\PC{0,8}",
    ) {
        let interface = serde_json::json!({"name": name, "bssid": mac, "gateway_ip": address, "iface_type": kind, "subnets": [address]});
        let plain = serde_json::json!({"name": name, "ssid": address, "dns_suffix": suffix});
        for interface in [interface, plain] {
            let body = serde_json::json!({"version": 1, "interfaces": [interface], "dns_suffix": [suffix]});
            network::context(body.to_string().as_bytes());
        }
    }
}
