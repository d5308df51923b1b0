//! Why a network fits: every part with its answer.

use serde_json::{Value, json};
use tradewind_decide::network::{Note, explain};

use crate::{context, networks};

const OFFICE: &str = "  - name: office
    match: {any: [{ssid: [corp-5g, corp]}, {dns-suffix: corp.example.com, iface-type: ethernet}], not: {subnets: 192.168.0.0/16}}
  - {name: home, match: {gateway-ip: 192.168.1.1, iface-type: wifi}}";

#[test]
fn what_is_missing_is_told_apart_from_what_is_otherwise() {
    let context = context(
        r#"{"version":1,"interfaces":[{"name":"wlan0","iface_type":"wifi","gateway_ip":"10.0.0.1"}],"dns_suffix":["lan"]}"#,
    );
    let note = Note {
        interface: "wlan0".into(),
        field: "ssid".into(),
        why: "the SSID could not be read, because the radio is off".into(),
    };
    let explained = explain(&networks(OFFICE), &context, std::slice::from_ref(&note));
    let shown = serde_json::to_value(&explained).expect("is JSON");
    assert_eq!(shown["matched_network"], Value::Null);
    assert_eq!(
        shown["networks"][0],
        json!({"name": "office", "matched": false, "parts": {
            "matched": false,
            "any": [
                {"matched": false, "interfaces": [{"name": "wlan0", "matched": false, "keys": [
                    {"key": "ssid", "matched": false, "wanted": ["corp-5g", "corp"], "found": [], "why": note.why},
                ]}]},
                {"matched": false, "interfaces": [{"name": "wlan0", "matched": false, "keys": [
                    {"key": "iface-type", "matched": false, "wanted": ["ethernet"], "found": ["wifi"]},
                ]}], "dns-suffix": {"key": "dns-suffix", "matched": false, "wanted": ["corp.example.com"], "found": ["lan"]}},
            ],
            "not": {"matched": false, "interfaces": [{"name": "wlan0", "matched": false, "keys": [
                {"key": "subnets", "matched": false, "wanted": ["192.168.0.0/16"], "found": []},
            ]}]},
        }})
    );
    let home = &explained.networks[1].parts.interfaces.as_ref().expect("asks interfaces")[0];
    assert_eq!(
        home.keys.iter().map(|key| (key.key, key.matched)).collect::<Vec<_>>(),
        [("iface-type", true), ("gateway-ip", false)]
    );
    assert_eq!(shown["notes"], json!([{"interface": "wlan0", "field": "ssid", "why": note.why}]));
    assert_eq!(
        explained.to_string(),
        "office: does not fit
  any[0]: does not fit
    interface wlan0: does not fit
      ssid: does not fit, wanted corp-5g or corp, not known: the SSID could not be read, because the radio is off
  any[1]: does not fit
    interface wlan0: does not fit
      iface-type: does not fit, wanted ethernet, found wifi
    dns-suffix: does not fit, wanted corp.example.com, found lan
  not: fits
    interface wlan0: does not fit
      subnets: does not fit, wanted 192.168.0.0/16, the context does not say it
home: does not fit
  interface wlan0: does not fit
    iface-type: fits, wanted wifi, found wifi
    gateway-ip: does not fit, wanted 192.168.1.1/32, found 10.0.0.1
wlan0: the SSID could not be read, because the radio is off
"
    );
}

#[test]
fn a_note_is_about_one_field_of_one_interface_that_is_not_there() {
    let context = context(r#"{"version":1,"interfaces":[{"name":"a","ssid":"x"},{"name":"b"},{"name":"c"}]}"#);
    let notes = ["a", "b"].map(|name| Note { interface: name.into(), field: "ssid".into(), why: "why".into() });
    let explained = explain(&networks("  - {name: n, match: {ssid: y, bssid: aabbccddeeff}}"), &context, &notes);
    let whys: Vec<Vec<bool>> = (explained.networks[0].parts.interfaces.as_ref().expect("asks interfaces").iter())
        .map(|interface| interface.keys.iter().map(|key| key.why.is_some()).collect())
        .collect();
    assert_eq!(whys, [[false, false], [true, false], [false, false]]);
}

#[test]
fn without_interfaces_there_is_nothing_to_ask() {
    let networks = networks("  - {name: n, match: {ssid: y}}\n  - {name: m, match: {not: {ssid: y}}}");
    let explained = explain(&networks, &context(r#"{"version":1,"interfaces":[]}"#), &[]);
    assert_eq!(explained.matched_network.as_deref(), Some("m"));
    assert_eq!(
        explained.to_string(),
        "n: does not fit\n  no interface at all: does not fit\nm: fits\n  not: fits\n    no interface at all: does not fit\n"
    );
}
