//! What is reached without a proxy: `no_proxy` of the environment, `ignore-hosts` of GNOME.

use std::net::IpAddr;

use tradewind_policy::ways::address::{parse_prefix, same_prefix};

use crate::{Destination, Host};

/// More entries than this are not looked at.
const MOST: usize = 4096;

/// A list of exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bypass(Vec<(Pattern, Option<u16>)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    All,
    /// A name and all below it, in lower case.
    Domain(String),
    /// All below a name.
    Below(String),
    /// `*` for anything, as GNOME has it.
    Wildcard(String),
    Range(IpAddr, u8),
}

impl Bypass {
    /// `no_proxy`: entries between commas or spaces.
    pub(super) fn of_environment(text: &str) -> Self {
        let entries = text.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        Self(entries.take(MOST).filter_map(|entry| read(entry, true)).collect())
    }

    /// `ignore-hosts`.
    pub(super) fn of_gnome(entries: &[String]) -> Self {
        Self(entries.iter().take(MOST).filter_map(|entry| read(entry.trim(), false)).collect())
    }

    /// Whether `to` is one of them.
    pub(super) fn has(&self, to: &Destination) -> bool {
        let name = to.host.name().map(|name| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase());
        self.0.iter().any(|(pattern, port)| {
            port.is_none_or(|port| port == to.port)
                && match (pattern, &name, &to.host) {
                    (Pattern::All, ..) => true,
                    (Pattern::Range(net, length), _, Host::Ip(address)) => {
                        same_prefix(address.to_canonical(), *net, *length)
                    }
                    (Pattern::Domain(domain), Some(name), _) => name == domain || is_below(name, domain),
                    (Pattern::Below(domain), Some(name), _) => is_below(name, domain),
                    (Pattern::Wildcard(pattern), Some(name), _) => fits(name, pattern),
                    (Pattern::Wildcard(pattern), None, Host::Ip(address)) => fits(&address.to_string(), pattern),
                    _ => false,
                }
        })
    }
}

fn read(entry: &str, is_environment: bool) -> Option<(Pattern, Option<u16>)> {
    if entry == "*" {
        return Some((Pattern::All, None));
    }
    if let Ok((net, length)) = parse_prefix(entry) {
        return Some((Pattern::Range(net, length), None));
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (entry, None),
    };
    if let Host::Ip(address) = Host::parse(host) {
        let length = if address.is_ipv4() { 32 } else { 128 };
        return Some((Pattern::Range(address, length), port));
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let pattern = match (host.strip_prefix("*.").or_else(|| host.strip_prefix('.')), is_environment) {
        (Some(domain), true) => Pattern::Below(domain.to_owned()),
        (Some(domain), false) => Pattern::Domain(domain.to_owned()),
        (None, true) => Pattern::Domain(host),
        // GNOME means the host alone.
        (None, false) => Pattern::Wildcard(host),
    };
    Some((pattern, port))
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
}

/// Whether `name` fits a pattern with `*` for anything.
fn fits(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_means_what_go_takes_it_for() {
        let list = "example.com, .corp.example *.wild.example 10.0.0.0/8,192.0.2.1,port.example:8443,[2001:db8::1]:443,2001:db8:1::/48";
        let bypass = Bypass::of_environment(list);
        for (to, is_in) in [
            ("example.com:443", true),
            ("www.EXAMPLE.com:443", true),
            ("example.com.:443", true),
            ("badexample.com:443", false),
            ("corp.example:80", false),
            ("a.b.corp.example:80", true),
            ("wild.example:80", false),
            ("a.wild.example:80", true),
            ("10.9.8.7:80", true),
            ("11.9.8.7:80", false),
            ("192.0.2.1:80", true),
            ("192.0.2.2:80", false),
            ("port.example:8443", true),
            ("port.example:443", false),
            ("[2001:db8::1]:443", true),
            ("[2001:db8::1]:80", false),
            ("[2001:db8:1::5]:80", true),
            ("[::ffff:10.0.0.1]:80", true),
            ("com:80", false),
        ] {
            let (host, port) = to.rsplit_once(':').unwrap();
            assert_eq!(bypass.has(&Destination::new(host, port.parse().unwrap())), is_in, "{to}");
        }
        let anything = Destination::new("anything.example", 1);
        assert!(Bypass::of_environment("a, *").has(&anything));
        assert!(!Bypass::of_environment("").has(&anything) && !Bypass::of_environment(" ,, ").has(&anything));
    }

    #[test]
    fn gnome_has_hosts_wildcards_and_ranges() {
        let list = ["localhost", "127.0.0.0/8", "::1", "*.corp.example", "host.example", "10.1.*", "a*b*c.example"];
        let bypass = Bypass::of_gnome(&list.map(str::to_owned));
        for (host, is_in) in [
            ("localhost", true),
            ("x.corp.example", true),
            ("host.example", true),
            ("sub.host.example", false),
            ("10.1.2.3", true),
            ("10.2.2.3", false),
            ("127.3.3.3", true),
            ("::1", true),
            ("aXbYc.example", true),
            ("aXc.example", false),
        ] {
            assert_eq!(bypass.has(&Destination::new(host, 80)), is_in, "{host}");
        }
    }
}
