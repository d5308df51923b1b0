//! The keys of providers.

use super::super::keys::{Key, Kind};
use super::super::proxies::PROXY_KEYS;

const TYPE: Key = Key::new("type", Kind::Word(&["http", "file", "inline"]), "Where the list comes from.");
const URL: Key = Key::new("url", Kind::Text, "`http`: the URL.");
const PATH: Key =
    Key::new("path", Kind::Text, "The file, below the directory of the configuration; for `http` where it is kept.");
const INTERVAL: Key =
    Key::new("interval", Kind::Whole(315_360_000), "`http`: seconds until it is fetched anew; never when absent.");
const PROXY: Key = Key::new("proxy", Kind::Text, "`http`: the proxy or group through which it is fetched.");
const HEADER: Key = Key::new("header", Kind::HeaderMap, "`http`: headers to send.");
const SIZE: Key =
    Key::new("size-limit", Kind::Whole(u64::MAX / 2), "`http`: the most bytes; 16 MiB at most, and when absent.");

/// Keys of `health-check`.
pub(super) const HEALTH_KEYS: &[Key] = &[
    Key::new("enable", Kind::Flag, "Whether they are tested."),
    Key::new("url", Kind::Text, "What they are tested with; `https://www.gstatic.com/generate_204` when absent."),
    Key::new("interval", Kind::Whole(315_360_000), "Seconds between two tests; 300 when absent."),
    Key::new("timeout", Kind::Whole(600_000), "How long a test may take in milliseconds; 5000 when absent."),
    Key::new("lazy", Kind::Flag, "Whether they are tested only while they are used; true when absent."),
    Key::new(
        "expected-status",
        Kind::Text,
        "Statuses that count as alive: `*`, `204`, `200/204`, `200-299`; `*` when absent.",
    ),
];

/// Keys of `override`.
pub(super) const OVERRIDE_KEYS: &[Key] = &[
    Key::new("additional-prefix", Kind::Text, "Put before each name."),
    Key::new("additional-suffix", Kind::Text, "Put behind each name."),
    Key::new("dialer-proxy", Kind::Text, "The proxy or group through which their servers are reached."),
    Key::new("udp", Kind::Flag, "Whether datagrams may go this way."),
    Key::new("skip-cert-verify", Kind::Flag, "Whether any certificate of the proxy will do."),
    Key::idle("proxy-name", "names are not rewritten"),
    Key::idle("tfo", "TCP Fast Open is not used"),
    Key::idle("mptcp", "Multipath TCP is not used"),
    Key::idle("udp-over-tcp", "datagrams go as datagrams"),
    Key::idle("up", "no proxy that is built has a rate"),
    Key::idle("down", "no proxy that is built has a rate"),
    Key::idle("ip-version", "IPv4 and IPv6 are both tried"),
    Key::idle("interface-name", "connections to the proxy are not bound to an interface"),
    Key::idle("routing-mark", "packets to the proxy are not marked"),
];

/// Keys of an entry of `proxy-providers`.
pub(in super::super) const PROXY_PROVIDER_KEYS: &[Key] = &[
    TYPE,
    URL,
    PATH,
    INTERVAL,
    PROXY,
    HEADER,
    SIZE,
    Key::new("filter", Kind::Text, "Regular expressions, separated by backticks, of which one has to fit the name."),
    Key::new("exclude-filter", Kind::Text, "Regular expressions; what fits one is left out."),
    Key::new("exclude-type", Kind::Text, "Types, separated by `|`, that are left out."),
    Key::new("health-check", Kind::Keys(HEALTH_KEYS), "How they are tested."),
    Key::new("override", Kind::Keys(OVERRIDE_KEYS), "What is changed in all of them."),
    Key::new("dialer-proxy", Kind::Text, "The proxy or group through which their servers are reached."),
    Key::new("payload", Kind::List(PROXY_KEYS), "`inline`: the proxies, as in `proxies`."),
];

/// Keys of an entry of `rule-providers`.
pub(in super::super) const RULE_PROVIDER_KEYS: &[Key] = &[
    TYPE,
    Key::new("behavior", Kind::Word(&["domain", "ipcidr", "classical"]), "What its lines are."),
    Key::new("format", Kind::Word(&["yaml", "text", "mrs"]), "How they are written; `yaml` when absent."),
    URL,
    PATH,
    INTERVAL,
    PROXY,
    HEADER,
    SIZE,
    Key::new("payload", Kind::Texts, "`inline`: the lines."),
];
