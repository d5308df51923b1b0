//! The variables of the environment that name a proxy, with the meaning that Go and curl give them:
//! `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower case before capitals.
//!
//! Where Go and curl differ, it is Go's: this machine itself is never reached through a proxy, and `.example.com` in `no_proxy`
//! means what is below it, not `example.com` itself. `HTTP_PROXY` is not read where `REQUEST_METHOD` is set: a caller of a CGI
//! program may set it.

use std::sync::Arc;

use percent::decoded;
use tradewind_core::Secret;
use tradewind_policy::ways::{HttpProxy, ProxyAuth, ProxyKind, SocksProxy};

use super::bypass::Bypass;
use crate::Destination;

/// What the environment says.
pub(super) struct Environment {
    pub(super) http: Option<Setting>,
    pub(super) https: Option<Setting>,
    pub(super) all: Option<Setting>,
    pub(super) bypass: Bypass,
}

/// One variable.
pub(super) struct Setting {
    /// Its name.
    pub(super) variable: &'static str,
    /// What it names, or why it names nothing. Its text is not repeated, because it may hold a password.
    pub(super) proxy: Result<Named, &'static str>,
}

/// A proxy that a setting names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    pub(super) server: Destination,
    pub(super) kind: ProxyKind,
    /// Whether the setting has a login of its own.
    pub(super) has_login: bool,
}

impl Environment {
    /// Reads the variables.
    pub(super) fn new(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let read = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.trim().is_empty())?;
                Some(Setting { variable: name, proxy: named(value.trim()) })
            })
        };
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let bypass = ["no_proxy", "NO_PROXY"].iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        Self {
            http: read(if is_cgi { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] }),
            https: read(&["https_proxy", "HTTPS_PROXY"]),
            all: read(&["all_proxy", "ALL_PROXY"]),
            bypass: Bypass::of_environment(bypass.as_deref().unwrap_or_default()),
        }
    }

    /// The variable that counts for a URL, https or not.
    pub(super) fn setting(&self, tls: bool) -> Option<&Setting> {
        let own = if tls { &self.https } else { &self.http };
        own.as_ref().or(self.all.as_ref())
    }

    /// Whether it names any proxy.
    pub(super) const fn is_set(&self) -> bool {
        self.http.is_some() || self.https.is_some() || self.all.is_some()
    }
}

/// Reads `[scheme://][user[:password]@]host[:port][/]`.
///
/// # Errors
/// What is wrong with it, without repeating any of it.
pub(super) fn named(value: &str) -> Result<Named, &'static str> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, authority),
    };
    let default = match &*scheme.to_ascii_lowercase() {
        "http" => 80,
        "https" => 443,
        "socks5" | "socks5h" | "socks" => 1080,
        _ => return Err("it is of a scheme that is not built (http, https and socks5 are)"),
    };
    let server = server(place, default).ok_or("it does not name a host")?;
    let (user, password) = match login {
        None => (None, None),
        Some(login) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            let user = decoded(user).ok_or("its user name cannot be read")?;
            let password = decoded(password).ok_or("its password cannot be read")?;
            if user.is_empty() { (None, None) } else { (Some(Arc::from(user)), Some(Secret::new(password))) }
        }
    };
    let has_login = user.is_some();
    let (host, port): (Arc<str>, u16) = (server.host.to_string().into(), server.port);
    let kind = if default == 1080 {
        ProxyKind::Socks5(SocksProxy {
            server: host,
            port,
            username: user,
            password,
            tls: false,
            sni: None,
            skip_cert_verify: false,
        })
    } else {
        ProxyKind::Http(HttpProxy {
            server: host,
            port,
            username: user,
            password,
            auth: if has_login { vec![ProxyAuth::Basic] } else { Vec::new() },
            spn: None,
            tls: default == 443,
            sni: None,
            skip_cert_verify: false,
            headers: Vec::new(),
        })
    };
    Ok(Named { server, kind, has_login })
}

/// `host`, `host:port`, `[v6]:port`.
fn server(place: &str, default: u16) -> Option<Destination> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') && (!host.contains(':') || host.ends_with(']')) => {
            (host, port.parse().ok().filter(|port| *port != 0)?)
        }
        _ => (place, default),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if host.is_empty() || host.len() > 255 || !host.bytes().all(is_name) {
        return None;
    }
    Some(Destination::new(host, port))
}

/// The `%20` of URLs.
mod percent {
    /// Undone; `None` when what comes out is not text.
    pub(super) fn decoded(text: &str) -> Option<String> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((first, behind)) = rest.split_first() {
            let digits = behind.get(..2).filter(|_| *first == b'%').and_then(|digits| str::from_utf8(digits).ok());
            let code = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) => {
                    out.push(byte);
                    rest = &behind[2..];
                }
                None => {
                    out.push(*first);
                    rest = behind;
                }
            }
        }
        String::from_utf8(out).ok().filter(|text| !text.chars().any(char::is_control))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn chosen(variables: &[(&str, &str)], tls: bool) -> Option<(&'static str, String)> {
        let environment = environment(variables);
        let setting = environment.setting(tls)?;
        Some((
            setting.variable,
            setting.proxy.as_ref().map_or_else(ToString::to_string, |named| named.server.to_string()),
        ))
    }

    #[test]
    fn variables_count_by_scheme_and_lower_case_comes_first() {
        let both = [("http_proxy", "http://a:1"), ("HTTP_PROXY", "http://b:2"), ("HTTPS_PROXY", "http://c:3")];
        assert_eq!(chosen(&both, false), Some(("http_proxy", "a:1".to_owned())));
        assert_eq!(chosen(&both, true), Some(("HTTPS_PROXY", "c:3".to_owned())));
        assert_eq!(chosen(&both[1..], false), Some(("HTTP_PROXY", "b:2".to_owned())));
        assert_eq!(chosen(&both[..1], true), None);
        let all = [("ALL_PROXY", "socks5://d:4"), ("https_proxy", "c:3")];
        assert_eq!(chosen(&all, false), Some(("ALL_PROXY", "d:4".to_owned())));
        assert_eq!(chosen(&all, true), Some(("https_proxy", "c:3".to_owned())));
        assert_eq!(chosen(&[("http_proxy", "  ")], false), None);
        let cgi = [("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(chosen(&cgi, false), None);
        assert!(!environment(&cgi).is_set() && environment(&all).is_set());
    }

    #[test]
    fn values_are_urls_or_places() {
        for (value, server, type_name, login) in [
            ("http://proxy.example:8080", "proxy.example:8080", "http", None),
            ("proxy.example:8080", "proxy.example:8080", "http", None),
            ("proxy.example", "proxy.example:80", "http", None),
            ("HTTPS://proxy.example/", "proxy.example:443", "http", None),
            ("socks5h://10.0.0.1", "10.0.0.1:1080", "socks5", None),
            ("http://[2001:db8::1]:3128/", "[2001:db8::1]:3128", "http", None),
            ("http://u%40d:p%3a%20w@proxy:1", "proxy:1", "http", Some(("u@d", "p: w"))),
            ("socks5://u@proxy", "proxy:1080", "socks5", Some(("u", ""))),
            ("http://a@b@proxy:1", "proxy:1", "http", Some(("a@b", ""))),
        ] {
            let named = named(value).unwrap();
            assert_eq!(named.server.to_string(), server, "{value}");
            assert!(named.kind.is_type(type_name), "{value}");
            let found = match &named.kind {
                ProxyKind::Http(HttpProxy { username, password, .. })
                | ProxyKind::Socks5(SocksProxy { username, password, .. }) => username.clone().zip(password.clone()),
                _ => None,
            };
            let found = found.as_ref().map(|(user, password)| (&**user, password.expose().as_str()));
            assert_eq!((found, named.has_login), (login, login.is_some()), "{value}");
        }
        for value in [
            "socks4://a",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:x",
            "http://a b",
            "http://a%00:b@",
            "://",
        ] {
            assert!(named(value).is_err(), "{value}");
        }
    }
}
