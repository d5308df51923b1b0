//! Which headers of a caller go on to a provider.

use http::header::{self, HeaderMap, HeaderName};

/// Never passed on: hop-by-hop headers (RFC 9110 §7.6.1), what the gateway sets itself, and what is the caller's
/// business with the gateway alone: its key, its cookies, where it comes from.
static DROPPED: [HeaderName; 23] = [
    header::ACCEPT_ENCODING,
    header::AUTHORIZATION,
    // W3C Baggage may hold anything that the caller's own services tell one another; providers are strangers.
    HeaderName::from_static("baggage"),
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::COOKIE,
    header::EXPECT,
    header::FORWARDED,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::ORIGIN,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::REFERER,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VIA,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
];
/// Never passed on, by how they begin.
const DROPPED_FAMILIES: [&str; 3] = ["x-tradewind-", "x-forwarded-", "sec-"];

/// The headers of `caller` that go on to a provider.
pub(crate) fn passed_on(caller: &HeaderMap) -> HeaderMap {
    let named = caller.get(header::CONNECTION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut headers = HeaderMap::with_capacity(caller.len() + 4);
    for (name, value) in caller {
        let text = name.as_str();
        let dropped = DROPPED.contains(name)
            || DROPPED_FAMILIES.iter().any(|family| text.starts_with(family))
            || named.split(',').any(|one| one.trim().eq_ignore_ascii_case(text));
        if !dropped {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn keys_cookies_and_hop_by_hop_headers_stay_here() {
        let mut caller = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer secret"),
            ("x-api-key", "secret"),
            ("cookie", "a=b"),
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("x-tradewind-timeout", "5s"),
            ("x-forwarded-for", "10.0.0.1"),
            ("anthropic-version", "2023-06-01"),
            ("x-stainless-lang", "python"),
            ("content-type", "application/json"),
        ] {
            caller.append(name, HeaderValue::from_static(value));
        }
        let passed = passed_on(&caller);
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["anthropic-version", "content-type", "x-stainless-lang"]);
    }
}
