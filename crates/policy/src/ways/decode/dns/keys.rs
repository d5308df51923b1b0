//! The keys of `dns`.

use super::super::keys::{Key, Kind};

const NO_SERVER: &str = "Tradewind answers no name queries of other programs";
const ONE_SET: &str = "all names are asked of `nameserver`";

/// Keys of `dns`.
pub(in super::super) const DNS_KEYS: &[Key] = &[
    Key::new("enable", Kind::Flag, "Whether `nameserver` is asked; otherwise the system is. False when absent."),
    Key::new(
        "nameserver",
        Kind::Texts,
        "Servers, all asked at once: `192.0.2.1`, `tcp://…`, `tls://…`, `https://…`, or `system`.",
    ),
    Key::new("default-nameserver", Kind::Texts, "Servers, by address, that names of servers and proxies are asked of."),
    Key::new("ipv6", Kind::Flag, "Whether IPv6 addresses are used; true when absent."),
    Key::new("use-hosts", Kind::Flag, "Whether `hosts` is looked at; true when absent."),
    // Of its values only `fake-ip` would do anything; the decoder looks at it.
    Key::new("enhanced-mode", Kind::Text, "Without effect: no made-up addresses are given out."),
    Key::idle("listen", NO_SERVER),
    Key::idle("prefer-h3", "HTTP/3 is not spoken with name servers"),
    Key::idle("cache-algorithm", "answers are kept for as long as they say"),
    Key::idle("cache-max-size", "answers are kept for as long as they say"),
    Key::idle("use-system-hosts", "the system's own hosts are used where the system resolves"),
    Key::idle("respect-rules", "name servers are asked directly"),
    Key::idle("fallback", ONE_SET),
    Key::covered("fallback-filter"),
    Key::covered("fake-ip-range"),
    Key::covered("fake-ip-range6"),
    Key::covered("fake-ip-filter"),
    Key::covered("fake-ip-filter-mode"),
    Key::covered("fake-ip-ttl"),
    Key::idle("ipv6-timeout", "IPv6 and IPv4 are asked for together"),
    Key::idle("nameserver-policy", ONE_SET),
    Key::idle("proxy-server-nameserver", "names of proxies are asked of `default-nameserver`"),
    Key::idle("proxy-server-nameserver-policy", "names of proxies are asked of `default-nameserver`"),
    Key::idle("direct-nameserver", ONE_SET),
    Key::idle("direct-nameserver-follow-policy", ONE_SET),
];
