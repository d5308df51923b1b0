//! One way out, as the file or a provider of proxies has it.

use std::sync::Arc;

use tradewind_core::Secret;

/// A way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// Its name, unique among proxies and groups.
    pub name: Arc<str>,
    /// What it is.
    pub kind: ProxyKind,
    /// `dialer-proxy`: the proxy or group through which its own server is reached.
    pub dialer: Option<Arc<str>>,
    /// `udp: true`: whether datagrams may go this way.
    pub udp: bool,
}

/// What a way out is.
#[derive(Clone, Debug, PartialEq)]
pub enum ProxyKind {
    /// No proxy.
    Direct,
    /// Refused at once.
    Reject,
    /// Held for a while, then closed.
    RejectDrop,
    /// `http`: an HTTP proxy.
    Http(HttpProxy),
    /// `socks5`.
    Socks5(SocksProxy),
    /// `ss`.
    Shadowsocks(ShadowsocksProxy),
    /// `pac`, ours: the script says.
    Pac(PacProxy),
    /// A type of mihomo's that is not built, `vmess`: never alive, never picked by itself, and using it fails. `ss` and
    /// `direct` for those that have something which is not built.
    NotBuilt(Arc<str>),
}

impl ProxyKind {
    /// Whether `exclude-type` means it by this word, in lower case: the type as written (`ss`), or as the controller API
    /// has it (`shadowsocks`).
    #[must_use]
    pub fn is_type(&self, word: &str) -> bool {
        match self {
            Self::Direct => word == "direct",
            Self::Reject => word == "reject",
            Self::RejectDrop => word == "rejectdrop",
            Self::Http(_) => word == "http",
            Self::Socks5(_) => word == "socks5",
            Self::Shadowsocks(_) => matches!(word, "ss" | "shadowsocks"),
            Self::Pac(_) => word == "pac",
            Self::NotBuilt(kind) => match &**kind {
                "ss" => matches!(word, "ss" | "shadowsocks"),
                "ssr" => matches!(word, "ssr" | "shadowsocksr"),
                kind => word == kind,
            },
        }
    }
}

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpProxy {
    /// Name or address.
    pub server: Arc<str>,
    /// Its port.
    pub port: u16,
    /// Who we are, for `basic` and `ntlm`; `DOMAIN\user` for NTLM.
    pub username: Option<Arc<str>>,
    /// The password.
    pub password: Option<Secret<String>>,
    /// Schemes to log in with, in the order in which they are tried. `auth: negotiate` or `auth: [negotiate, ntlm]`;
    /// `[basic]` when there is a user name and nothing is said, empty without one.
    pub auth: Vec<ProxyAuth>,
    /// `spn`, ours: the service name for Negotiate when it is not `HTTP/server`.
    pub spn: Option<Arc<str>>,
    /// TLS to the proxy itself.
    pub tls: bool,
    /// `sni`.
    pub sni: Option<Arc<str>>,
    /// `skip-cert-verify`.
    pub skip_cert_verify: bool,
    /// `headers` of the CONNECT request.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
}

/// A scheme to log in at an HTTP proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyAuth {
    /// RFC 7617.
    Basic,
    /// NTLMv2, MS-NLMP over MS-NTHT.
    Ntlm,
    /// Kerberos over RFC 4559, from the ticket cache of this user.
    Negotiate,
}

/// A SOCKS5 proxy, RFC 1928 and 1929.
#[derive(Clone, Debug, PartialEq)]
pub struct SocksProxy {
    /// Name or address.
    pub server: Arc<str>,
    /// Its port.
    pub port: u16,
    /// User name.
    pub username: Option<Arc<str>>,
    /// Password.
    pub password: Option<Secret<String>>,
    /// TLS to the proxy itself.
    pub tls: bool,
    /// `sni`.
    pub sni: Option<Arc<str>>,
    /// `skip-cert-verify`.
    pub skip_cert_verify: bool,
}

/// A Shadowsocks server.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowsocksProxy {
    /// Name or address.
    pub server: Arc<str>,
    /// Its port.
    pub port: u16,
    /// `aes-128-gcm`, `2022-blake3-aes-256-gcm` and so on; checked by the decoder.
    pub cipher: Arc<str>,
    /// The password, or the keys of 2022.
    pub password: Secret<String>,
}

/// A way out that a script picks.
#[derive(Clone, Debug, PartialEq)]
pub struct PacProxy {
    /// `file:///…`, `http://…`, `https://…`, or `wpad` for what the network says.
    pub url: Arc<str>,
    /// What happens when the script cannot be had.
    pub unreachable: Unreachable,
}

/// What happens when a script cannot be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unreachable {
    /// The call fails, which is the default.
    #[default]
    Fail,
    /// It goes without a proxy.
    Direct,
}
