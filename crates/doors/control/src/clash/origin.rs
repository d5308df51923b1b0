//! Which pages a browser may let use the controller, and which hosts it may be called by.
//!
//! mihomo lets every page use it unless origins are configured (`external-controller-cors`), since dashboards are hosted
//! anywhere: then the secret alone protects it. That is kept. Where origins are configured, mihomo only leaves out the header
//! that lets a page read the answer, but does what was asked; here such a request is refused before anything is done, a
//! websocket too. And so that a page cannot come in by a name of its own that leads to this machine, then also `Host` has to
//! be an address or `localhost` as long as there is no secret.

use std::net::IpAddr;

use http::{HeaderMap, header};
use tradewind_policy::ways::Cors;

/// Whether everybody's pages may use it.
pub(crate) fn is_open(cors: &Cors) -> bool {
    cors.origins.iter().any(|origin| origin == "*")
}

/// Whether the document names `origin`; with one `*` in it as a pattern.
pub(crate) fn is_named(cors: &Cors, origin: &str) -> bool {
    let origin = origin.to_ascii_lowercase();
    cors.origins.iter().any(|pattern| {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.split_once('*') {
            None => pattern == origin,
            Some((start, end)) => {
                origin.len() >= start.len() + end.len() && origin.starts_with(start) && origin.ends_with(end)
            }
        }
    })
}

/// Whether a request may be answered, by where it says that it comes from.
pub(crate) fn may_ask(cors: &Cors, has_secret: bool, headers: &HeaderMap) -> bool {
    if is_open(cors) {
        return true;
    }
    let host = headers.get(header::HOST).map_or("", |host| host.to_str().unwrap_or("?"));
    let trusted_host = has_secret || host.is_empty() || is_address(host);
    match headers.get(header::ORIGIN) {
        None => trusted_host,
        Some(origin) => {
            let Ok(origin) = origin.to_str() else { return false };
            is_named(cors, origin) || (trusted_host && origin.split_once("://").is_some_and(|(_, from)| from == host))
        }
    }
}

/// Whether `host[:port]` is an address or `localhost`: no name that somebody else can let lead here.
fn is_address(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(origins: &[&str], secret: bool, headers: &[(&'static str, &str)]) -> bool {
        let cors = Cors { origins: origins.iter().map(|origin| (*origin).to_owned()).collect(), private_network: true };
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        may_ask(&cors, secret, &headers)
    }

    #[test]
    fn with_a_star_everybody_may() {
        let evil = [("host", "evil.test:9090"), ("origin", "http://evil.test:9090")];
        assert!(asked(&["*"], false, &evil) && asked(&["http://a", "*"], false, &evil));
    }

    #[test]
    fn where_origins_are_named_others_are_refused() {
        let named = ["http://good.test", "https://*.zash.test"];
        let host = ("host", "127.0.0.1:9090");
        for (origin, may) in [
            ("http://good.test", true),
            ("HTTP://GOOD.test", true),
            ("https://a.b.zash.test", true),
            ("https://.zash.test", true),
            ("https://zash.test", false),
            ("http://good.test.evil", false),
            ("http://evil.test", false),
            ("null", false),
            ("http://127.0.0.1:9090", true),
            ("http://127.0.0.1:9091", false),
        ] {
            assert_eq!(asked(&named, false, &[host, ("origin", origin)]), may, "{origin}");
            assert_eq!(asked(&named, true, &[host, ("origin", origin)]), may, "{origin}");
        }
        assert!(asked(&named, false, &[host]) && asked(&[], false, &[host]));
    }

    #[test]
    fn a_name_that_leads_here_is_no_way_in_without_a_secret() {
        let rebound = [("host", "evil.test:9090"), ("origin", "http://evil.test:9090")];
        assert!(!asked(&["http://good.test"], false, &rebound) && !asked(&[], false, &rebound[..1]));
        assert!(asked(&["http://good.test"], true, &rebound), "the secret is what it does not know");
        for host in ["localhost:1", "[::1]:9090", "192.0.2.1", "LOCALHOST"] {
            assert!(asked(&[], false, &[("host", host)]), "{host}");
        }
        assert!(!asked(&[], false, &[("host", "127.0.0.1.evil.test")]));
    }
}
