//! DNS rebinding: a page that a browser loaded from elsewhere must not reach a gateway on loopback.
//!
//! Without keys, `Host` has to be loopback, and `Origin`, when a browser sends one, has to be this gateway's own.

use std::net::IpAddr;

use http::request;

/// Whether the request was meant for this machine, by its own `Host` and `Origin`.
pub(crate) fn is_local(head: &request::Parts) -> bool {
    let host = match head.headers.get(http::header::HOST) {
        Some(host) => host.to_str().unwrap_or("?"),
        // HTTP/1.0, or an absolute request target.
        None => head.uri.authority().map_or("localhost", |authority| authority.as_str()),
    };
    if !is_loopback(host) {
        return false;
    }
    match head.headers.get(http::header::ORIGIN).map(|origin| origin.to_str().unwrap_or("?")) {
        None => true,
        Some(origin) => origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) == Some(host),
    }
}

/// Whether `host[:port]` names the loopback interface.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    // What nearly all say, without reading it as an address.
    matches!(name, "127.0.0.1" | "localhost")
        || name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> request::Parts {
        let mut request = http::Request::builder().uri("/v1/models");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_loopback_hosts_are_local() {
        for host in ["127.0.0.1:7080", "localhost:7080", "LOCALHOST", "[::1]:7080", "127.9.9.9"] {
            assert!(is_local(&head(&[("host", host)])), "{host}");
        }
        for host in ["attacker.example", "127.0.0.1.attacker.example:7080", "10.0.0.1", "localhost.example", ""] {
            assert!(!is_local(&head(&[("host", host)])), "{host}");
        }
        assert!(is_local(&head(&[])));
    }

    #[test]
    fn an_origin_has_to_be_our_own() {
        let host = ("host", "127.0.0.1:7080");
        assert!(is_local(&head(&[host, ("origin", "http://127.0.0.1:7080")])));
        for origin in ["https://attacker.example", "null", "http://127.0.0.1:9999", "file://"] {
            assert!(!is_local(&head(&[host, ("origin", origin)])), "{origin}");
        }
    }
}
