//! How names are resolved.

use std::sync::Arc;

/// `dns`. Without `nameserver`, or with `enable: false`, the system resolves.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// `enable`.
    pub enable: bool,
    /// Servers, all asked; the first good answer is taken.
    pub nameservers: Vec<Nameserver>,
    /// For the names of the servers above and of proxies.
    pub default_nameservers: Vec<Nameserver>,
    /// `ipv6`: whether AAAA records are used.
    pub ipv6: bool,
    /// `use-hosts`: whether `hosts` is looked at.
    pub use_hosts: bool,
}

impl Default for Dns {
    fn default() -> Self {
        Self { enable: false, nameservers: Vec::new(), default_nameservers: Vec::new(), ipv6: true, use_hosts: true }
    }
}

/// A server for names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Nameserver {
    /// The system's own.
    System,
    /// `192.0.2.1`, `udp://192.0.2.1:53`.
    Udp(Arc<str>, u16),
    /// `tcp://…`.
    Tcp(Arc<str>, u16),
    /// `tls://…`, RFC 7858.
    Tls(Arc<str>, u16),
    /// `https://…`, RFC 8484.
    Https(Arc<str>),
}
