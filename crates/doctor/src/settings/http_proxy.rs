//! Which HTTP proxy the go command asks for a URL: the rules of Go's `httpproxy`, not those of curl.
//!
//! Upper case counts before lower case; `ALL_PROXY` is not read; `localhost` and loopback addresses never go through a
//! proxy; a value that is no URL is no proxy, without a word.

use std::net::IpAddr;

use super::Environment;
use super::redact::redacted;
use crate::{BadUrl, Url};

/// HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
#[derive(Clone, Debug, Default)]
pub struct HttpProxy {
    /// For `http` targets.
    pub http: Option<ProxySetting>,
    /// For `https` targets.
    pub https: Option<ProxySetting>,
    /// NO_PROXY, or no_proxy, as it is written, with its name.
    pub no_proxy: Option<(&'static str, String)>,
    /// REQUEST_METHOD is set, as for CGI programs: then HTTP_PROXY is refused.
    pub cgi: bool,
    rules: Vec<Rule>,
}

/// A proxy as it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySetting {
    /// The variable, as it is spelled.
    pub name: &'static str,
    /// What go makes of its value; an error is no proxy for go.
    pub url: Result<Url, BadUrl>,
    /// The value without its password.
    pub shown: String,
}

/// Which way a request takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the host itself.
    Direct(Why),
    /// Through this proxy.
    Proxy(Url),
    /// Not at all: go refuses HTTP_PROXY where REQUEST_METHOD is set.
    Refused,
}

/// Why no proxy is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// None is set for this scheme.
    NotSet,
    /// What is set is no URL.
    NotUrl,
    /// The target is this machine.
    Loopback,
    /// NO_PROXY names it: the entry.
    NoProxy(String),
}

/// One entry of NO_PROXY.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    text: String,
    what: Covers,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Covers {
    Everything,
    Network(IpAddr, u8),
    Address(IpAddr, String),
    /// The name with a leading dot, a port or nothing, and whether the name itself is covered.
    Domain(String, String, bool),
}

impl HttpProxy {
    /// Reads the variables.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let proxy = |names: &[&'static str]| {
            let (name, value) = environment.first(names)?;
            Some(ProxySetting { name, url: parse_proxy(value), shown: redacted(value) })
        };
        let no_proxy = environment.first(&["NO_PROXY", "no_proxy"]);
        Self {
            http: proxy(&["HTTP_PROXY", "http_proxy"]),
            https: proxy(&["HTTPS_PROXY", "https_proxy"]),
            rules: no_proxy.map(|(_, list)| rules(list)).unwrap_or_default(),
            no_proxy: no_proxy.map(|(name, list)| (name, list.to_owned())),
            cgi: environment.get("REQUEST_METHOD").is_some(),
        }
    }

    /// The way of a request to `target`.
    #[must_use]
    pub fn way_to(&self, target: &Url) -> Way {
        let setting = if target.scheme == "https" { &self.https } else { &self.http };
        let Some(setting) = setting else { return Way::Direct(Why::NotSet) };
        let Ok(url) = &setting.url else { return Way::Direct(Why::NotUrl) };
        if self.cgi && target.scheme == "http" {
            return Way::Refused;
        }
        match self.spared(target) {
            Some(why) => Way::Direct(why),
            None => Way::Proxy(url.clone()),
        }
    }

    /// Why no proxy is asked for `target` even when one is set.
    #[must_use]
    pub fn spared(&self, target: &Url) -> Option<Why> {
        let host = target.host.to_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        // Go compares before it lowers the case.
        if target.host == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback()) {
            return Some(Why::Loopback);
        }
        let port = target.port_or_default().map(|port| port.to_string()).unwrap_or_default();
        let rule = self.rules.iter().find(|rule| rule.what.covers(&host, &port, address))?;
        Some(Why::NoProxy(rule.text.clone()))
    }
}

impl Covers {
    fn covers(&self, host: &str, port: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::Everything => true,
            Self::Network(network, bits) => address.is_some_and(|address| in_network(address, *network, *bits)),
            Self::Address(own, own_port) => {
                address.is_some_and(|address| address.to_canonical() == own.to_canonical())
                    && (own_port.is_empty() || own_port == port)
            }
            Self::Domain(domain, own_port, itself) => {
                address.is_none()
                    && (host.ends_with(domain.as_str()) || (*itself && host == &domain[1..]))
                    && (own_port.is_empty() || own_port == port)
            }
        }
    }
}

/// The proxy that a value means: a URL, or `host:port` without a scheme.
fn parse_proxy(value: &str) -> Result<Url, BadUrl> {
    let first = Url::parse(value);
    if let Ok(url) = &first
        && !url.scheme.is_empty()
        && (!url.host.is_empty() || url.port.is_some())
    {
        return first;
    }
    // What go makes of `http://me:pa#ss@host` by this is the host `http`, and the rest, password and all, a path.
    let second = Url::parse(&format!("http://{value}"));
    second.map(|url| Url { path: String::new(), ..url.bare() }).or(first)
}

fn rules(list: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for entry in list.split(',') {
        let text = entry.trim().to_lowercase();
        if text == "*" {
            return vec![Rule { text, what: Covers::Everything }];
        }
        if let Some(what) = rule(&text) {
            rules.push(Rule { text, what });
        }
    }
    rules
}

fn rule(text: &str) -> Option<Covers> {
    if let Some((network, bits)) = text.split_once('/')
        && let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u8>())
        && bits <= if network.is_ipv4() { 32 } else { 128 }
    {
        return Some(Covers::Network(network, bits));
    }
    let (host, port) = split_port(text);
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = host.parse() {
        return Some(Covers::Address(address, port.to_owned()));
    }
    let host = if host.starts_with("*.") { &host[1..] } else { host };
    match host.chars().next()? {
        '.' => Some(Covers::Domain(host.to_owned(), port.to_owned(), false)),
        _ => Some(Covers::Domain(format!(".{host}"), port.to_owned(), true)),
    }
}

/// `host:port` and `[address]:port`; anything else is all host.
fn split_port(text: &str) -> (&str, &str) {
    let Some((host, port)) = text.rsplit_once(':') else { return (text, "") };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if bracketed || !host.contains([':', '[', ']']) { (host, port) } else { (text, "") }
}

fn in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            u32::from(address) & mask == u32::from(network) & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            u128::from(address) & mask == u128::from(network) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(values: &[(&'static str, &str)]) -> HttpProxy {
        HttpProxy::of(&Environment::of(values.iter().map(|(name, value)| (*name, *value))))
    }

    fn way(values: &[(&'static str, &str)], target: &str) -> String {
        match settings(values).way_to(&Url::parse(target).unwrap()) {
            Way::Direct(why) => format!("{why:?}"),
            Way::Proxy(url) => url.to_string(),
            Way::Refused => "refused".to_owned(),
        }
    }

    #[test]
    fn the_scheme_of_the_target_decides_which_proxy_is_asked() {
        let both = [("HTTP_PROXY", "http://plain:1"), ("https_proxy", "secure:2")];
        assert_eq!(way(&both, "http://a.example.com"), "http://plain:1");
        assert_eq!(way(&both, "https://a.example.com"), "http://secure:2");
        assert_eq!(way(&[("ALL_PROXY", "http://p:1")], "https://a.example.com"), "NotSet");
        assert_eq!(way(&[("HTTP_PROXY", "http://p:1")], "https://a.example.com"), "NotSet");
        let cases = [("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:1")];
        assert_eq!(way(&cases, "https://a.example.com"), "http://upper:1");
        let cgi = [("HTTP_PROXY", "http://p:1"), ("HTTPS_PROXY", "http://p:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(way(&cgi, "http://a.example.com"), "refused");
        assert_eq!(way(&cgi, "https://a.example.com"), "http://p:1");
    }

    #[test]
    fn a_proxy_that_is_no_url_is_none() {
        assert_eq!(way(&[("HTTPS_PROXY", "http://us\ner@p:1")], "https://a.example.com"), "NotUrl");
        // `#` ends the host: what is left is dialled, be it the scheme.
        assert_eq!(way(&[("HTTPS_PROXY", "http://me:ss#x@p:1")], "https://a.example.com"), "http://http");
        assert_eq!(way(&[("HTTPS_PROXY", "http://me@ss#x@p:1")], "https://a.example.com"), "http://me@ss#xxxxx");
        assert_eq!(
            way(&[("HTTPS_PROXY", "proxy.example.com:3128")], "https://a.example.com"),
            "http://proxy.example.com:3128"
        );
    }

    #[test]
    fn no_proxy_is_matched_as_go_does() {
        let covered = |list: &str, target: &str| {
            let proxies = settings(&[("NO_PROXY", list)]);
            proxies.spared(&Url::parse(target).unwrap()).is_some()
        };
        for (list, target, expected) in [
            ("example.com", "https://example.com", true),
            ("example.com", "https://proxy.example.com", true),
            ("example.com", "https://badexample.com", false),
            (".example.com", "https://example.com", false),
            (".example.com", "https://a.example.com", true),
            ("*.example.com", "https://a.b.example.com", true),
            ("*.example.com", "https://example.com", false),
            ("EXAMPLE.com ", "https://Proxy.Example.COM", true),
            ("example.com:8443", "https://example.com", false),
            ("example.com:443", "https://example.com", true),
            ("*", "https://anything", true),
            ("a,*", "https://10.1.1.1", true),
            ("10.0.0.0/8", "https://10.2.3.4", true),
            ("10.0.0.0/8", "https://11.2.3.4", false),
            ("10.0.0.0/8", "https://host-10", false),
            ("10.1.2.3", "https://10.1.2.3:8443", true),
            ("10.1.2.3:443", "https://10.1.2.3:8443", false),
            ("fe80::/10", "https://[fe80::1]", true),
            ("[::2]:443", "https://[::2]", true),
            ("10.*", "https://10.1.2.3", false),
            (" , ,:80", "https://a.example.com", false),
            ("0.0.0.0/0", "https://8.8.8.8", true),
            ("", "http://localhost:80", true),
            ("", "http://127.0.0.9", true),
            ("", "http://[::1]", true),
            ("", "http://localhost.example.com", false),
        ] {
            assert_eq!(covered(list, target), expected, "{list} {target}");
        }
    }

    proptest! {
        #[test]
        fn no_setting_is_too_strange(proxy in ".{0,40}", list in "[a-z.*:,/\\[\\]0-9 ü]{0,40}", host in "[a-z0-9.]{1,20}") {
            let proxies = settings(&[("HTTPS_PROXY", &proxy), ("NO_PROXY", &list)]);
            if let Ok(url) = Url::parse(&format!("https://{host}")) {
                let _ = proxies.way_to(&url);
            }
        }
    }
}
