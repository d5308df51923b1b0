//! The sections about ways out, for the document: keys, schema, and what of them changes a decision.

use schemars::{Schema, SchemaGenerator};

use super::controller::CORS_KEYS;
use super::dns::DNS_KEYS;
use super::groups::GROUP_KEYS;
use super::keys::{Key, Kind};
use super::providers::{PROXY_PROVIDER_KEYS, RULE_PROVIDER_KEYS};
use super::proxies::PROXY_KEYS;
use crate::root::SectionInfo;

type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

const ALL: &[&str] = &["*"];
const NONE: &[&str] = &[];

const PORT: MakeSchema = |_| Kind::Whole(65_535).section();
const FLAG: MakeSchema = |_| Kind::Flag.section();
const TEXT: MakeSchema = |_| Kind::Text.section();
const SECRET: MakeSchema = |_| Kind::Secret.section();
const TEXTS: MakeSchema = |_| Kind::Texts.section();

const fn section(
    key: &'static str,
    about: &'static str,
    schema: MakeSchema,
    governed: &'static [&'static str],
) -> SectionInfo {
    SectionInfo { key, about, schema, governed, not_built: &[] }
}

/// Keys of `profile`.
pub(super) const PROFILE_KEYS: &[Key] = &[
    Key::new("store-selected", Kind::Flag, "Whether selections of groups are kept over a restart; true when absent."),
    Key::new(
        "sample-network",
        Kind::Flag,
        "Whether the gateway looks at the network itself, where there are `networks` and no host says what it looks like; true when absent.",
    ),
    Key::idle("store-fake-ip", "no made-up addresses are given out"),
    Key::idle("tracing", "spans go where `telemetry.otlp` says"),
];

/// The sections.
pub(crate) const SECTIONS: &[SectionInfo] = &[
    section("mixed-port", "The port for HTTP, SOCKS5 and SOCKS4a; 0 for none.", PORT, NONE),
    section("port", "A port for HTTP alone; 0 for none.", PORT, NONE),
    section("socks-port", "A port for SOCKS5 and SOCKS4a alone; 0 for none.", PORT, NONE),
    section("allow-lan", "Whether other machines may come in by these ports. False when absent.", FLAG, NONE),
    section("bind-address", "With `allow-lan`, the address to listen on; `*` for all.", TEXT, NONE),
    section("lan-allowed-ips", "With `allow-lan`, ranges that may come in; all when absent.", TEXTS, NONE),
    section("lan-disallowed-ips", "With `allow-lan`, ranges that may not.", TEXTS, NONE),
    section(
        "authentication",
        "Who may come in by these ports, `name:password` each; everybody when absent.",
        |_| secret_texts(),
        NONE,
    ),
    section("skip-auth-prefixes", "Ranges whose callers need no password.", TEXTS, NONE),
    section(
        "mode",
        "`rule`: the rules say where a connection goes. `global`: all go where `GLOBAL` does. `direct`: none through a proxy.",
        |_| Kind::Word(&["rule", "global", "direct"]).section(),
        ALL,
    ),
    section("ipv6", "Whether IPv6 addresses are used. True when absent.", FLAG, ALL),
    section("proxies", "Ways out of this network.", |_| Kind::List(PROXY_KEYS).section(), PROXY_GOVERNED),
    section(
        "proxy-providers",
        "Lists of proxies from elsewhere, by name.",
        |_| Kind::MapOf(PROXY_PROVIDER_KEYS).section(),
        ALL,
    ),
    section("proxy-groups", "Groups of proxies.", |_| Kind::List(GROUP_KEYS).section(), GROUP_GOVERNED),
    section(
        "rules",
        "Which way for which destination: `TYPE,PAYLOAD,TARGET`. The first that fits decides.",
        TEXTS,
        ALL,
    ),
    section("sub-rules", "Rules that a `SUB-RULE` leads to, by name.", |_| Kind::ListMap.section(), ALL),
    section(
        "rule-providers",
        "Lists of rules from elsewhere, by name.",
        |_| Kind::MapOf(RULE_PROVIDER_KEYS).section(),
        ALL,
    ),
    section(
        "networks",
        "How networks are told apart, for `network-policy`: a name and a match each. The first that fits is the present one.",
        |_| Kind::List(NETWORK_KEYS).section(),
        ALL,
    ),
    section(
        "hosts",
        "Names of your own: an address, or a list of them, for each.",
        |_| Kind::OneOrMoreMap.section(),
        ALL,
    ),
    section("dns", "How names are resolved.", |_| Kind::Keys(DNS_KEYS).section(), ALL),
    section("profile", "What is remembered.", |_| Kind::Keys(PROFILE_KEYS).section(), NONE),
    section("external-controller", "Where the controller API is: `127.0.0.1:9090`.", TEXT, NONE),
    section("secret", "What callers of the controller API have to know.", SECRET, NONE),
    section(
        "external-controller-cors",
        "Which pages may use the controller API.",
        |_| Kind::Keys(CORS_KEYS).section(),
        NONE,
    ),
    section("external-ui", "A directory of files that the controller serves under `/ui`.", TEXT, NONE),
];

fn secret_texts() -> Schema {
    let mut schema = Kind::Texts.section();
    schema.insert("writeOnly".to_owned(), true.into());
    schema
}

/// Everything about a proxy but what it logs in with and how it looks; what is not built has no keys of its own here.
const PROXY_GOVERNED: &[&str] = &[
    "name",
    "type",
    "server",
    "port",
    "username",
    "auth",
    "spn",
    "tls",
    "sni",
    "skip-cert-verify",
    "headers",
    "cipher",
    "udp",
    "dialer-proxy",
    "url",
    "unreachable",
    "plugin",
];

/// Everything about a group but how it looks.
const GROUP_GOVERNED: &[&str] = &[
    "name",
    "type",
    "proxies",
    "use",
    "include-all",
    "include-all-proxies",
    "include-all-providers",
    "filter",
    "exclude-filter",
    "exclude-type",
    "empty-fallback",
    "url",
    "interval",
    "lazy",
    "timeout",
    "expected-status",
    "tolerance",
    "strategy",
    "disable-udp",
    "network-policy",
];

/// The keys of a network; its decoder has its own.
const NETWORK_KEYS: &[Key] = &[
    Key::new("name", Kind::Text, "Its name."),
    Key::new("match", Kind::Keys(MATCH_KEYS), "What has to be true: everything in it, and of one interface."),
];

const MATCH_KEYS: &[Key] = &[
    Key::new("name", Kind::OneOrMore, "The interface is called one of these."),
    Key::new("iface-type", Kind::OneOrMore, "`cellular`, `ethernet`, `loopback`, `other`, `vpn`, `wifi` or `wwan`."),
    Key::new("ssid", Kind::OneOrMore, "The name of its wireless network."),
    Key::new("bssid", Kind::OneOrMore, "The hardware address of its access point."),
    Key::new("gateway-ip", Kind::OneOrMore, "Its gateway, as address or range."),
    Key::new("gateway-mac", Kind::OneOrMore, "The hardware address of its gateway."),
    Key::new("subnets", Kind::OneOrMore, "Ranges that overlap one of its own."),
    Key::new("dns-suffix", Kind::OneOrMore, "A search domain of the system."),
    Key::new("any", Kind::Maps, "A list of such maps, of which one has to be true."),
    Key::new("all", Kind::Maps, "A list of such maps, of which all have to be true."),
    Key::new("not", Kind::AnyMap, "Such a map, which has to be false."),
];
