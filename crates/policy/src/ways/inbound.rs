//! Where callers of the relay come in.

use std::net::IpAddr;
use std::sync::Arc;

use tradewind_core::Secret;

/// Where callers of the relay come in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inbound {
    /// HTTP, SOCKS5 and SOCKS4a on one port.
    pub mixed_port: Option<u16>,
    /// HTTP alone.
    pub port: Option<u16>,
    /// SOCKS5 and SOCKS4a alone.
    pub socks_port: Option<u16>,
    /// Whether other machines may come in; loopback alone otherwise.
    pub allow_lan: bool,
    /// With `allow-lan`: the address to listen on, all of them (`*`) when absent.
    pub bind_address: Option<IpAddr>,
    /// Who may come in; everybody when empty.
    pub users: Vec<User>,
    /// `skip-auth-prefixes`: who needs no password, as `(address, prefix length)`.
    pub skip_auth: Vec<(IpAddr, u8)>,
    /// `lan-allowed-ips`.
    pub lan_allowed: Vec<(IpAddr, u8)>,
    /// `lan-disallowed-ips`.
    pub lan_disallowed: Vec<(IpAddr, u8)>,
}

/// A caller of the relay.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The name.
    pub name: Arc<str>,
    /// The password.
    pub password: Secret<String>,
}

/// Whether the rules are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The rules say.
    #[default]
    Rule,
    /// The group `GLOBAL` for everything.
    Global,
    /// No proxy for anything.
    Direct,
}

impl Mode {
    /// Its name, as in the document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Global => "global",
            Self::Direct => "direct",
        }
    }
}
