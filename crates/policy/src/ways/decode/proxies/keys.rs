//! The keys of each type of proxy.

use super::super::keys::{Key, Kind};

/// Types that are built; `pac` is ours.
pub(super) const BUILT_TYPES: &[&str] = &["http", "socks5", "ss", "direct", "reject", "pac"];

/// Types of mihomo 1.19 that are not.
pub(super) const NOT_BUILT_TYPES: &[&str] = &[
    "ssr",
    "vmess",
    "vless",
    "snell",
    "trojan",
    "hysteria",
    "hysteria2",
    "wireguard",
    "tuic",
    "gost-relay",
    "dns",
    "ssh",
    "mieru",
    "anytls",
    "sudoku",
    "masque",
    "trusttunnel",
    "openvpn",
    "tailscale",
    "shadowquic",
    "zerotier",
];

const NAME: Key = Key::new("name", Kind::Text, "Its name, unique among proxies and groups.");
const TYPE: Key = Key::new(
    "type",
    Kind::Text,
    "`http`, `socks5`, `ss`, `direct`, `reject`, or `pac`. A proxy of another type of mihomo's stays in its groups as not alive.",
);
const SERVER: Key = Key::new("server", Kind::Text, "Host name or address.");
const PORT: Key = Key::new("port", Kind::Whole(65_535), "The port.");
const USERNAME: Key = Key::new("username", Kind::Text, "Who we are; `DOMAIN\\user` for NTLM.");
const PASSWORD: Key = Key::new("password", Kind::Secret, "The password; for Shadowsocks 2022 the key in base64.");
const TLS: Key = Key::new("tls", Kind::Flag, "Whether TLS is spoken with the proxy itself.");
const SNI: Key = Key::new("sni", Kind::Text, "The name that the proxy's certificate has to have.");
const SKIP: Key = Key::new("skip-cert-verify", Kind::Flag, "Whether any certificate of the proxy will do.");
const UDP: Key = Key::new("udp", Kind::Flag, "Whether datagrams may go this way.");
const DIALER: Key =
    Key::new("dialer-proxy", Kind::Text, "The proxy or group through which this one's server is reached.");
const AUTH: Key = Key::new(
    "auth",
    Kind::Words(&["basic", "ntlm", "negotiate"]),
    "How to log in at an HTTP proxy, in the order in which it is tried; `basic` when there is a user name and nothing is said.",
);
const SPN: Key = Key::new("spn", Kind::Text, "The service name for `negotiate`, when it is not `HTTP/server`.");
const HEADERS: Key = Key::new("headers", Kind::HeaderMap, "Headers of the CONNECT request to an HTTP proxy.");
const CIPHER: Key = Key::new(
    "cipher",
    Kind::Text,
    "Of Shadowsocks: `aes-128-gcm`, `aes-256-gcm`, `chacha20-ietf-poly1305`, or one of `2022-blake3-aes-128-gcm`, \
     `2022-blake3-aes-256-gcm`, `2022-blake3-chacha20-poly1305`.",
);
const URL: Key = Key::new(
    "url",
    Kind::Text,
    "Of `pac`: where the script is, `file:///…`, `http://…` or `https://…`; `wpad` for what the network says.",
);
const UNREACHABLE: Key = Key::new(
    "unreachable",
    Kind::Word(&["fail", "direct"]),
    "Of `pac`: what happens while the script cannot be had; `fail` when absent.",
);

const TFO: Key = Key::idle("tfo", "TCP Fast Open is not used");
const MPTCP: Key = Key::idle("mptcp", "Multipath TCP is not used");
const IP_VERSION: Key = Key::idle("ip-version", "IPv4 and IPv6 are both tried");
const INTERFACE: Key = Key::idle("interface-name", "connections to the proxy are not bound to an interface");
const MARK: Key = Key::idle("routing-mark", "packets to the proxy are not marked");
const FINGERPRINT: Key =
    Key::idle("fingerprint", "the proxy's certificate is checked against the trusted roots, not compared with this");
const CLIENT_FINGERPRINT: Key = Key::idle("client-fingerprint", "no browser's TLS is imitated");
const CERTIFICATE: Key = Key::idle("certificate", "no certificate is shown to the proxy");
const PRIVATE_KEY: Key = Key::idle("private-key", "no certificate is shown to the proxy");
const SMUX: Key = Key::idle("smux", "each connection has one of its own to the proxy");
const UDP_OVER_TCP: Key = Key::idle("udp-over-tcp", "datagrams go as datagrams");
const UDP_OVER_TCP_VERSION: Key = Key::idle("udp-over-tcp-version", "datagrams go as datagrams");

/// Keys of `http`.
pub(super) const HTTP_KEYS: &[Key] = &[
    NAME,
    TYPE,
    SERVER,
    PORT,
    USERNAME,
    PASSWORD,
    AUTH,
    SPN,
    TLS,
    SNI,
    SKIP,
    HEADERS,
    UDP,
    DIALER,
    TFO,
    MPTCP,
    IP_VERSION,
    INTERFACE,
    MARK,
    FINGERPRINT,
    CLIENT_FINGERPRINT,
    CERTIFICATE,
    PRIVATE_KEY,
    SMUX,
];

/// Keys of `socks5`.
pub(super) const SOCKS_KEYS: &[Key] = &[
    NAME,
    TYPE,
    SERVER,
    PORT,
    USERNAME,
    PASSWORD,
    TLS,
    SNI,
    SKIP,
    UDP,
    DIALER,
    TFO,
    MPTCP,
    IP_VERSION,
    INTERFACE,
    MARK,
    FINGERPRINT,
    CLIENT_FINGERPRINT,
    CERTIFICATE,
    PRIVATE_KEY,
    SMUX,
];

/// Keys of `ss`. A `plugin` makes it one that is not built; it is looked at by its decoder.
pub(super) const SS_KEYS: &[Key] = &[
    NAME,
    TYPE,
    SERVER,
    PORT,
    CIPHER,
    PASSWORD,
    UDP,
    DIALER,
    Key::new("plugin", Kind::Text, "Of Shadowsocks: not built, such a proxy stays in its groups as not alive."),
    Key::new("plugin-opts", Kind::Any, "Of Shadowsocks: not looked at."),
    TFO,
    MPTCP,
    IP_VERSION,
    INTERFACE,
    MARK,
    CLIENT_FINGERPRINT,
    SMUX,
    UDP_OVER_TCP,
    UDP_OVER_TCP_VERSION,
];

/// Keys of `pac`.
pub(super) const PAC_KEYS: &[Key] = &[NAME, TYPE, URL, UNREACHABLE, UDP, DIALER];

/// Keys of `direct` and `reject`. What binds `direct` to an interface is looked at by its decoder.
pub(super) const PLAIN_KEYS: &[Key] = &[
    NAME,
    TYPE,
    UDP,
    DIALER,
    Key::new("interface-name", Kind::Any, "Of `direct`: not built, such a proxy stays in its groups as not alive."),
    Key::new("routing-mark", Kind::Any, "Of `direct`: not built, such a proxy stays in its groups as not alive."),
    TFO,
    MPTCP,
    IP_VERSION,
];

/// All keys that are read, for the schema.
pub(in super::super) const PROXY_KEYS: &[Key] = &[
    NAME,
    TYPE,
    SERVER,
    PORT,
    USERNAME,
    PASSWORD,
    AUTH,
    SPN,
    TLS,
    SNI,
    SKIP,
    HEADERS,
    CIPHER,
    UDP,
    DIALER,
    URL,
    UNREACHABLE,
];

/// Keys of types that are not built, which stand in lists of nodes at types that do not have them.
pub(super) const NAMES_OF_OTHERS: &[&str] = &[
    "alpn",
    "alterId",
    "auth-str",
    "auth_str",
    "cipher",
    "client-id",
    "country",
    "disable-mtu-discovery",
    "disable-sni",
    "down",
    "ech-opts",
    "encryption",
    "flow",
    "global-padding",
    "grpc-opts",
    "h2-opts",
    "headers",
    "http-opts",
    "network",
    "obfs",
    "obfs-opts",
    "obfs-param",
    "obfs-password",
    "packet-addr",
    "packet-encoding",
    "plugin",
    "plugin-opts",
    "protocol",
    "protocol-param",
    "psk",
    "reality-opts",
    "reduce-rtt",
    "server_port",
    "servername",
    "skip-cert-verify",
    "sni",
    "ss-opts",
    "tls",
    "up",
    "username",
    "uuid",
    "version",
    "ws-headers",
    "ws-opts",
    "ws-path",
    "xudp",
];
