//! A Clash directory, taken as it is: `tradewind run -d DIR` and `tradewind check DIR`.

use crate::program::{Place, Program};

/// As people have it, without ports that another program may have.
const CONFIG: &str = "mixed-port: 0
allow-lan: false
mode: rule
log-level: info
tun: {enable: true, stack: mixed}
dns: {enable: true, enhanced-mode: fake-ip, fake-ip-range: 198.18.0.1/16, nameserver: [system]}
proxies:
  - {name: \"🇭🇰 香港 01\", type: vmess, server: hk.example.com, port: 443, uuid: hidden-1, alterId: 0, cipher: auto}
  - &ss {name: \"🇸🇬 新加坡 01\", type: ss, server: sg.example.com, port: 8388, cipher: aes-256-gcm, password: hidden-2}
  - {<<: *ss, name: \"🇸🇬 新加坡 02\", port: 8389, tfo: true}
proxy-providers:
  local: {type: file, path: ./nodes/local.yaml}
proxy-groups:
  - {name: 🚀 节点选择, type: select, proxies: [\"🇭🇰 香港 01\", \"🇸🇬 新加坡 01\", \"🇸🇬 新加坡 02\"], use: [local]}
rules:
  - DOMAIN-SUFFIX,local,DIRECT
  - MATCH,🚀 节点选择
";
const NODES: &str = "proxies: [{name: inner, type: socks5, server: 192.0.2.1, port: 1080}]\n";

fn directory() -> Place {
    let place = Place::new();
    place.file("clash/config.yaml", CONFIG);
    place.file("clash/nodes/local.yaml", NODES);
    place
}

#[test]
fn a_clash_directory_starts_and_says_what_is_not_done() {
    let place = directory();
    // The address to listen on is the one thing that a test cannot leave to a usual port.
    place.file("clash/config.yaml", &format!("listen: 127.0.0.1:0\n{CONFIG}"));
    let mut gateway = Program::start(place.command(&["run", "-d", "clash"]));
    for part in [
        "note: clash/config.yaml:5:1: `log-level` has no effect",
        "note: clash/config.yaml:6:1: `tun.enable: true` has no effect: there is no TUN device",
        "`enhanced-mode: fake-ip` has no effect",
        "proxies of type `vmess` are not built: they stay in their groups as not alive, and using one fails",
        "`tfo` has no effect",
    ] {
        gateway.note(part);
    }
    gateway.address();
    assert!(place.path().join("clash/.tradewind").is_dir(), "its own files are in the directory");
    assert!(!place.path().join(".local").exists(), "and nowhere else");
    gateway.signal("-TERM");
    let ended = gateway.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hidden-"), "{}", ended.stderr);
}

#[test]
fn a_clash_directory_is_checked() {
    let place = directory();
    let ended = place.tradewind(&["check", "clash"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let counts = "clash: ok, 0 providers, 0 models, 3 proxies, 1 group, 2 rules, policy ";
    assert!(ended.stdout.starts_with(counts), "{}", ended.stdout);
    assert_eq!(ended.stderr.matches("note: clash/config.yaml:").count(), 5, "{}", ended.stderr);
}

#[test]
fn files_outside_of_the_directory_are_refused() {
    let place = directory();
    let outside = place.path().join("elsewhere.yaml");
    let inside = place.path().join("clash/nodes/local.yaml");
    for (path, is_right) in [(&outside, false), (&inside, true)] {
        let shown = path.display().to_string();
        place.file("clash/config.yaml", &CONFIG.replace("./nodes/local.yaml", &shown));
        let ended = place.tradewind(&["check", "clash"]);
        assert_eq!(ended.code == Some(0), is_right, "{shown}: {}", ended.stderr);
        assert_eq!(ended.stderr.contains("path is not subpath of home directory"), !is_right, "{}", ended.stderr);
    }
}

#[test]
fn its_keys_and_its_journal_are_found_by_its_directory() {
    let place = directory();
    let made = place.tradewind(&["key", "create", "ann", "-d", "clash"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(place.path().join("clash/.tradewind/keys.json").is_file());
}
