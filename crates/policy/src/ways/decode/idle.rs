//! Top-level keys of mihomo, and of the programs around it, that have no effect here. Each is said once, with what is
//! therefore not done.

use super::keys::{Key, find};
use super::reader::{Reader, is_off, without_effect};
use crate::node::{Entry, Node, Value};

/// Whether `key` is known, and without effect.
pub(crate) fn is_idle(key: &str) -> bool {
    find(IDLE_KEYS, key).is_some() || is_of_a_client(key)
}

/// All of their names, to tell a mistyped one.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    IDLE_KEYS.iter().map(|key| key.name)
}

/// Keys that desktop programs keep for themselves in the same file.
fn is_of_a_client(key: &str) -> bool {
    key.starts_with("cfw-") || key == "clash-for-android"
}

/// Says what has no effect among the top-level keys.
pub(super) fn say(reader: &mut Reader<'_>, entries: &[Entry]) {
    for entry in entries {
        let key = &*entry.key;
        if let Some(message) = message(key, &entry.value) {
            reader.say(entry.key_place, key, message, None);
        }
    }
}

fn message(key: &str, value: &Node) -> Option<String> {
    if is_of_a_client(key) {
        return Some(format!("`{key}` has no effect: it belongs to another program"));
    }
    let known = find(IDLE_KEYS, key)?;
    if is_off(value) {
        return None;
    }
    let flag = |key: &str| value.get(key).map(|node| &node.value);
    match key {
        "tun" => matches!(flag("enable"), Some(Value::Bool(true))).then(|| {
            "`tun.enable: true` has no effect: there is no TUN device, so only programs that use the proxy by themselves \
             are captured"
                .to_owned()
        }),
        // Templates write these down without turning them on.
        "sniffer" | "ntp" | "iptables" if !matches!(flag("enable"), Some(Value::Bool(true))) => None,
        _ => Some(without_effect(known)),
    }
}

const ONE_STACK: &str = "connections are made to all addresses of a name in turn, the first that answers is taken";
const KEEP_ALIVE: &str = "TCP keep-alive is what the system does";
const GEO_FILES: &str = "files with countries and sites are taken as they lie in the directory, none is downloaded";
const LISTENERS: &str = "callers come in by `mixed-port`, `port` and `socks-port`";
const UI: &str = "the files of `external-ui` are taken as they lie there, none is downloaded";

/// Known keys of mihomo that are not read.
const IDLE_KEYS: &[Key] = &[
    Key::idle("tun", "there is no TUN device"),
    Key::idle("redir-port", "connections that the system redirects are not captured"),
    Key::idle("tproxy-port", "connections that the system redirects are not captured"),
    Key::idle("ebpf", "connections that the system redirects are not captured"),
    Key::idle("iptables", "connections that the system redirects are not captured"),
    Key::idle("auto-redir", "connections that the system redirects are not captured"),
    Key::idle("listeners", LISTENERS),
    Key::idle("tunnels", LISTENERS),
    Key::idle("ss-config", LISTENERS),
    Key::idle("vmess-config", LISTENERS),
    Key::idle("tuic-server", LISTENERS),
    Key::idle("inbound-tfo", "TCP Fast Open is not used"),
    Key::idle("inbound-mptcp", "Multipath TCP is not used"),
    Key::idle("sniffer", "host names are not looked for inside connections"),
    Key::idle("ntp", "the clock is the system's"),
    Key::idle("experimental", "none of mihomo's experiments is done"),
    Key::idle("script", "rules are not scripts"),
    Key::idle("log-level", "the log has what `telemetry.logs` says"),
    Key::idle("interface-name", "connections are not bound to an interface"),
    Key::idle("routing-mark", "packets are not marked"),
    Key::idle("unified-delay", "a delay is the time of one request, its connection included"),
    Key::idle("tcp-concurrent", ONE_STACK),
    Key::idle("keep-alive-interval", KEEP_ALIVE),
    Key::idle("keep-alive-idle", KEEP_ALIVE),
    Key::idle("disable-keep-alive", KEEP_ALIVE),
    Key::idle("find-process-mode", "the process is looked up when a rule asks for it"),
    Key::idle("global-client-fingerprint", "no browser's TLS is imitated"),
    Key::idle("global-ua", "the user agent is Tradewind's own"),
    Key::idle("etag-support", "lists are fetched whole"),
    Key::idle("geodata-mode", GEO_FILES),
    Key::idle("geodata-loader", GEO_FILES),
    Key::idle("geosite-matcher", GEO_FILES),
    Key::idle("geo-auto-update", GEO_FILES),
    Key::idle("geo-update-interval", GEO_FILES),
    Key::idle("geox-url", GEO_FILES),
    Key::idle("external-controller-tls", "the controller is spoken to without TLS"),
    Key::idle("external-controller-unix", "the controller has no socket of the file system"),
    Key::idle("external-controller-pipe", "the controller has no named pipe"),
    Key::idle("external-controller-routes", "the controller has all of its paths"),
    Key::idle("external-doh-server", "Tradewind answers no name queries of other programs"),
    Key::idle("external-ui-name", UI),
    Key::idle("external-ui-url", UI),
    Key::idle("global-id", "connections are not told apart by device"),
    Key::idle("mitm", "nothing is read inside TLS"),
];
