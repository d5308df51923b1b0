//! Where a connection is to lead: a name that may stay unresolved up to the last proxy, or an address, and a port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Who.
    pub host: Host,
    /// TCP or UDP port.
    pub port: u16,
}

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, as it was given.
    Name(Arc<str>),
    /// An address.
    Ip(IpAddr),
}

impl Host {
    /// Reads a host, with or without the brackets of IPv6. What is no address is a name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        bare.parse().map_or_else(|_| Self::Name(text.into()), Self::Ip)
    }

    /// The name, when it is one.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Name(name) => Some(name),
            Self::Ip(_) => None,
        }
    }

    /// The address, when it is one.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Ip(address) => Some(*address),
        }
    }
}

impl Destination {
    /// `host` with `port`.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: Host::parse(host), port }
    }
}

impl From<SocketAddr> for Destination {
    fn from(address: SocketAddr) -> Self {
        Self { host: Host::Ip(address.ip()), port: address.port() }
    }
}

/// Without brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// `host:port`, IPv6 in brackets.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Ip(address) => SocketAddr::new(*address, self.port).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        for (text, shown) in [
            ("example.com", "example.com:1"),
            ("192.0.2.1", "192.0.2.1:1"),
            ("2001:db8::1", "[2001:db8::1]:1"),
            ("[2001:db8::1]", "[2001:db8::1]:1"),
            ("[broken", "[broken:1"),
            ("300.1.1.1", "300.1.1.1:1"),
        ] {
            assert_eq!(Destination::new(text, 1).to_string(), shown);
        }
        assert!(Host::parse("[::1]").ip().is_some());
        assert!(Host::parse("::1.example").name().is_some());
    }
}
