//! Whole files as people have them: they are taken as they are, and what has no effect is said.

use std::time::Duration;

use tradewind_policy::ways::{
    Balance, GroupKind, Mode, Nameserver, ProxyAuth, ProxyKind, RuleBehavior, RuleFormat, Unreachable, Vehicle, Ways,
};

use crate::{notes, ways};

const SUBSCRIPTION: &str = include_str!("fixtures/subscription.yaml");
const ANCHORS: &str = include_str!("fixtures/anchors.yaml");
const DESKTOP: &str = include_str!("fixtures/desktop.yaml");

fn group<'a>(ways: &'a Ways, name: &str) -> &'a tradewind_policy::ways::Group {
    ways.groups.iter().find(|group| &*group.name == name).unwrap_or_else(|| panic!("no group {name}"))
}

#[test]
fn a_subscription_is_taken_as_it_is() {
    let ways = ways(SUBSCRIPTION);
    assert_eq!((ways.inbound.mixed_port, ways.inbound.allow_lan, ways.mode), (Some(7890), false, Mode::Rule));
    let kinds: Vec<String> = ways
        .proxies
        .iter()
        .map(|proxy| match &proxy.kind {
            ProxyKind::NotBuilt(kind) => format!("not built {kind}"),
            ProxyKind::Shadowsocks(server) => format!("{} {} {}", server.cipher, server.port, server.password.expose()),
            ProxyKind::Socks5(server) => format!("socks5 {} {:?}", server.server, server.username),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "not built trojan",
            "not built vmess",
            "chacha20-ietf-poly1305 8388 ss-secret",
            "aes-256-gcm 8388 123456",
            "not built ss",
            "2022-blake3-aes-128-gcm 443 AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAA==",
            "not built ss",
            "not built hysteria2",
            "socks5 us2.example.com Some(\"me\")",
        ]
    );
    let auto = group(&ways, "♻️ 自动选择");
    assert_eq!((auto.kind, auto.interval), (GroupKind::UrlTest { tolerance: 50 }, Duration::from_secs(300)));
    assert_eq!((&*auto.test_url, auto.lazy), ("http://www.gstatic.com/generate_204", true));
    let fallback = group(&ways, "🔯 故障转移");
    assert!(fallback.members.all_proxies && fallback.members.all_providers);
    assert_eq!(fallback.members.exclude_type, ["direct", "hysteria2"]);
    let balance = group(&ways, "🔮 负载均衡");
    assert_eq!(balance.kind, GroupKind::LoadBalance(Balance::StickySessions));
    assert_eq!(balance.members.filter, ["(?i)香港|HK", "^(?!.*美国).*$"]);
    assert_eq!((ways.rules.main.len(), &*ways.rules.main[7].target), (8, "🐟 漏网之鱼"));
    assert_eq!(
        ways.dns.nameservers,
        [
            Nameserver::Https("https://doh.pub/dns-query".into()),
            Nameserver::Https("https://dns.alidns.com/dns-query".into())
        ]
    );
    assert_eq!((ways.dns.enable, ways.dns.ipv6, ways.dns.default_nameservers.len()), (true, false, 2));
    let controller = ways.controller.as_ref().expect("there is a controller");
    assert_eq!((controller.address.to_string(), controller.secret.is_none()), ("127.0.0.1:9090".to_owned(), true));
    assert!(ways.store_selected && ways.networks.is_none());
}

#[test]
fn what_has_no_effect_in_a_subscription_is_said_once_each() {
    assert_eq!(
        notes(SUBSCRIPTION),
        [
            "6:1 log-level: `log-level` has no effect: the log has what `telemetry.logs` says",
            "8:1 unified-delay: `unified-delay` has no effect: a delay is the time of one request, its connection included",
            "9:1 tcp-concurrent: `tcp-concurrent` has no effect: connections are made to all addresses of a name in turn, the first that answers is taken",
            "12:1 geodata-mode: `geodata-mode` has no effect: files with countries and sites are taken as they lie in the directory, none is downloaded",
            "13:1 geox-url: `geox-url` has no effect: files with countries and sites are taken as they lie in the directory, none is downloaded",
            "16:1 find-process-mode: `find-process-mode` has no effect: the process is looked up when a rule asks for it",
            "17:1 global-client-fingerprint: `global-client-fingerprint` has no effect: no browser's TLS is imitated",
            "18:33 profile.store-fake-ip: `store-fake-ip` has no effect: no made-up addresses are given out",
            "19:1 cfw-latency-url: `cfw-latency-url` has no effect: it belongs to another program",
            "20:1 sniffer: `sniffer` has no effect: host names are not looked for inside connections",
            "23:1 tun: `tun.enable: true` has no effect: there is no TUN device, so only programs that use the proxy by themselves are captured",
            "26:3 dns.listen: `listen` has no effect: Tradewind answers no name queries of other programs",
            "28:18 dns.enhanced-mode: `enhanced-mode: fake-ip` has no effect: no made-up addresses are given out, so programs that do not use the proxy by themselves are not captured by name",
            "32:45 dns.nameserver[1]: what stands behind `#` at a name server has no effect: it is asked directly (`h3=true`)",
            "32:89 dns.nameserver[2]: name servers of `quic` are not built: they are not asked",
            "33:3 dns.fallback: `fallback` has no effect: all names are asked of `nameserver`",
            "35:3 dns.nameserver-policy: `nameserver-policy` has no effect: all names are asked of `nameserver`",
            "37:34 proxies[0].type: proxies of type `trojan` are not built: they stay in their groups as not alive, and using one fails (`剩余流量：80.5 GB`)",
            "38:30 proxies[1].type: proxies of type `vmess` are not built: they stay in their groups as not alive, and using one fails (`🇭🇰 香港 01`)",
            "39:137 proxies[2].tfo: `tfo` has no effect: TCP Fast Open is not used (`🇭🇰 香港 02`)",
            "41:114 proxies[4].plugin: `plugin: obfs` of Shadowsocks is not built: such proxies stay in their groups as not alive, and using one fails (`🇸🇬 新加坡 02`)",
            "42:166 proxies[5].smux: `smux` has no effect: each connection has one of its own to the proxy (`🇯🇵 日本 01`)",
            "43:78 proxies[6].cipher: `cipher: rc4-md5` of Shadowsocks is not built: such proxies stay in their groups as not alive, and using one fails (`🇯🇵 日本 02`)",
            "44:30 proxies[7].type: proxies of type `hysteria2` are not built: they stay in their groups as not alive, and using one fails (`🇺🇸 美国 01`)",
            "45:121 proxies[8].ip-version: `ip-version` has no effect: IPv4 and IPv6 are both tried (`🇺🇸 美国 02`)",
        ]
    );
    assert_eq!(ways(SUBSCRIPTION).without_effect.len(), notes(SUBSCRIPTION).len(), "the same as texts");
}

#[test]
fn anchors_merge_keys_and_our_own_keys_are_read() {
    let ways = ways(ANCHORS);
    assert_eq!((ways.inbound.port, ways.inbound.socks_port, ways.inbound.mixed_port), (Some(7890), Some(7891), None));
    assert_eq!((ways.inbound.allow_lan, ways.inbound.bind_address), (true, None));
    let users: Vec<(&str, &str)> =
        ways.inbound.users.iter().map(|user| (&*user.name, user.password.expose().as_str())).collect();
    assert_eq!(users, [("me", "pa:ss"), ("other", "word")]);
    assert_eq!(ways.inbound.skip_auth, [("127.0.0.0".parse().unwrap(), 8), ("::1".parse().unwrap(), 128)]);
    let controller = ways.controller.as_ref().expect("there is a controller");
    assert_eq!(controller.address.to_string(), "[::]:9090");
    assert_eq!(controller.secret.as_ref().map(|secret| secret.expose().as_str()), Some("314159"));
    assert_eq!(controller.cors.origins, ["https://board.example.com"]);
    assert_eq!((controller.cors.private_network, controller.ui.as_deref()), (false, Some("ui")));
    assert_eq!(ways.hosts.len(), 2);
    assert_eq!(ways.hosts[0], ("*.corp.example.com".to_owned(), vec!["10.0.0.1".parse().unwrap()]));

    let [first, local, built] = &ways.proxy_providers[..] else { panic!("three providers") };
    let Vehicle::Http { url, path, interval, headers, .. } = &first.vehicle else { panic!("{:?}", first.vehicle) };
    assert_eq!(url.expose(), "https://subscribe.example.com/link/topsecret?clash=1");
    assert_eq!((path.as_deref(), interval.as_secs()), (Some("./proxies/first.yaml"), 3600));
    assert_eq!((&*headers[0].0, &**headers[0].1.expose()), ("User-Agent", "clash.meta"));
    let shown = format!("{:?}", first.vehicle);
    assert!(shown.contains("[secret]") && !shown.contains("topsecret") && !shown.contains("clash.meta"), "{shown}");
    assert_eq!((&*first.prefix, first.udp, first.dialer.as_deref()), ("[1] ", Some(true), Some("Entry")));
    assert_eq!((first.filter.len(), &first.exclude_type[..]), (1, &["vmess".to_owned(), "trojan".to_owned()][..]));
    let check = first.health_check.as_ref().expect("it is tested");
    assert_eq!((check.enable, check.lazy, &*check.expected_status), (true, false, "204"));
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(300), Duration::from_secs(3)));
    assert_eq!(local.vehicle, Vehicle::File { path: "./proxies/local.yaml".to_owned() });
    assert_eq!(local.health_check, first.health_check);
    let Vehicle::InlineProxies(inside) = &built.vehicle else { panic!("{:?}", built.vehicle) };
    assert_eq!((&*inside[0].name, inside[0].dialer.as_deref()), ("in", Some("Entry")));

    let kind = |name: &str| &ways.proxies.iter().find(|proxy| &*proxy.name == name).expect(name).kind;
    let ProxyKind::Http(corp) = kind("Corp") else { panic!("{:?}", kind("Corp")) };
    assert_eq!(
        (corp.username.as_deref(), &corp.auth[..]),
        (Some("CORP\\bob"), &[ProxyAuth::Negotiate, ProxyAuth::Ntlm][..])
    );
    assert_eq!(corp.spn.as_deref(), Some("HTTP/other.corp.example.com"));
    assert_eq!(corp.headers, [("X-Team".into(), "topsecret".into())]);
    let ProxyKind::Pac(auto) = kind("Auto") else { panic!("{:?}", kind("Auto")) };
    assert_eq!((&*auto.url, auto.unreachable), ("http://wpad.corp.example.com/wpad.dat", Unreachable::Direct));
    assert_eq!(kind("Bound"), &ProxyKind::NotBuilt("direct".into()), "without its interface it would be another way");
    assert_eq!((kind("Plain"), kind("Never")), (&ProxyKind::Direct, &ProxyKind::Reject));
    let udp: Vec<&str> = ways.proxies.iter().filter(|proxy| proxy.udp).map(|proxy| &*proxy.name).collect();
    assert_eq!(udp, ["Entry", "Exit", "Plain"]);

    let policy = group(&ways, "Proxy").network_policy.as_ref().expect("it follows the network");
    let lines: Vec<(&str, &str)> = policy.iter().map(|(network, target)| (&**network, &**target)).collect();
    assert_eq!(lines, [("office", "Corp"), ("home", "Exit"), ("train", "[1] HK 01"), ("default", "DIRECT")]);
    assert_eq!(group(&ways, "HK").members.empty_fallback.as_deref(), Some("REJECT"));
    assert_eq!(group(&ways, "SG").timeout, Duration::from_secs(2));
    assert_eq!(group(&ways, "Google").members.proxies.len(), 4, "merged");
    assert_eq!(group(&ways, "Telegram").members.proxies.len(), 2, "its own wins");
    assert_eq!((group(&ways, "Proxy").interval, group(&ways, "HK").interval.as_secs()), (Duration::ZERO, 300));

    let lists: Vec<_> = ways.rule_providers.iter().map(|list| (&*list.name, list.behavior, list.format)).collect();
    assert_eq!(
        lists,
        [
            ("ads", RuleBehavior::Domain, RuleFormat::Yaml),
            ("cn", RuleBehavior::IpCidr, RuleFormat::Mrs),
            ("mine", RuleBehavior::Classical, RuleFormat::Yaml),
            ("beside", RuleBehavior::Classical, RuleFormat::Text),
        ]
    );
    assert_eq!(ways.rules.sub[0].1.len(), 2);
    assert_eq!(ways.networks.as_ref().map(Vec::len), Some(3));
    let files: Vec<(String, &str)> = ways.files().collect();
    assert_eq!(files.len(), 5, "{files:?}");
    assert_eq!(files[0], ("proxy-providers.first.path".to_owned(), "./proxies/first.yaml"));
}

#[test]
fn what_has_no_effect_in_a_file_by_hand_is_said() {
    assert_eq!(
        notes(ANCHORS),
        [
            "6:1 redir-port: `redir-port` has no effect: connections that the system redirects are not captured",
            "7:1 tproxy-port: `tproxy-port` has no effect: connections that the system redirects are not captured",
            "19:1 external-ui-url: `external-ui-url` has no effect: the files of `external-ui` are taken as they lie there, none is downloaded",
            "20:6 tls: `tls` has no effect: the controller is spoken to without TLS",
            "21:1 interface-name: `interface-name` has no effect: connections are not bound to an interface",
            "25:22 hosts.alias.example.com: names that stand for other names in `hosts` have no effect: they are resolved as usual (`other.example.com`)",
            "38:75 proxy-providers.first.override.proxy-name: `proxy-name` has no effect: names are not rewritten",
            "46:49 proxies[4].interface-name: `interface-name` of a `direct` proxy is not built: such a proxy stays in its groups as not alive, and using it fails (`Bound`)",
        ]
    );
}

#[test]
fn a_desktop_client_says_everything_and_most_of_it_says_nothing() {
    let ways = ways(DESKTOP);
    assert_eq!((ways.inbound.mixed_port, ways.inbound.port, ways.inbound.socks_port), (Some(7897), None, None));
    assert_eq!((ways.mode, ways.store_selected, ways.dns.enable), (Mode::Global, false, false));
    assert_eq!((ways.groups.len(), &*ways.groups[0].name), (1, "GLOBAL"));
    assert_eq!(
        notes(DESKTOP),
        [
            "4:16 allow-lan: `allow-lan: true` lets other machines in, and there is no `authentication`: anybody there may use it",
            "4:40 log-level: `log-level` has no effect: the log has what `telemetry.logs` says",
            "5:26 external-controller: `external-controller` is open to other machines and has no `secret`: anybody there may use it",
            "5:42 external-controller-unix: `external-controller-unix` has no effect: the controller has no socket of the file system",
            "6:53 keep-alive-interval: `keep-alive-interval` has no effect: TCP keep-alive is what the system does",
            "6:80 clash-for-android: `clash-for-android` has no effect: it belongs to another program",
            "13:34 experimental: `experimental` has no effect: none of mihomo's experiments is done",
        ]
    );
}
