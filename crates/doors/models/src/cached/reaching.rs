//! The headers of a call that count for its kept answer: all that reach the provider, since any may make the answer another
//! one, such as the name of a user to whom an upstream speaks. Left out is what is known to say nothing about the answer.

use std::fmt::Write as _;

use http::HeaderMap;

/// How the call is carried, by whom, and what traces call it: often new for each call.
const HARMLESS: [&str; 20] = [
    "accept",
    "b3",
    "cache-control",
    "content-type",
    "correlation-id",
    "date",
    "idempotency-key",
    "newrelic",
    "pragma",
    "priority",
    "request-id",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "uber-trace-id",
    "user-agent",
    "x-amzn-trace-id",
    "x-client-request-id",
    "x-correlation-id",
    "x-request-id",
];
/// The same, by how they begin.
const HARMLESS_FAMILIES: [&str; 3] = ["x-b3-", "x-datadog-", "x-stainless-"];

/// What of `passed`, the headers that go on to a provider, counts: in one order, each with its length.
pub(super) fn headers(passed: &HeaderMap) -> String {
    let counts = |name: &str| {
        HARMLESS.binary_search(&name).is_err() && !HARMLESS_FAMILIES.iter().any(|family| name.starts_with(family))
    };
    let mut told: Vec<(&str, &[u8])> = passed
        .iter()
        .filter(|(name, _)| counts(name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    // Values of one name stay in their order.
    told.sort_by_key(|(name, _)| *name);
    told.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "{name} {} {} ", value.len(), value.escape_ascii());
        text
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        super::headers(&map)
    }

    #[test]
    fn all_counts_but_what_says_nothing_about_the_answer() {
        assert!(HARMLESS.is_sorted());
        let plain = of(&[("x-user-id", "alice")]);
        for more in [
            ("user-agent", "OpenAI/Python 2"),
            ("traceparent", "00-1-2-03"),
            ("x-request-id", "7"),
            ("x-stainless-retry-count", "1"),
            ("content-type", "application/json"),
            ("cache-control", "max-age=60"),
        ] {
            assert_eq!(of(&[more, ("x-user-id", "alice")]), plain, "{more:?}");
        }
        for other in [
            &[("x-user-id", "bob")][..],
            &[],
            &[("x-user-id", "alice"), ("x-user-id", "bob")],
            &[("x-user-id", "alice"), ("accept-language", "de")],
            &[("x-user-id", "alice"), ("anthropic-beta", "new")],
            &[("openai-organization", "alice")],
            &[("x-user-id-2", "alice")],
        ] {
            assert_ne!(of(other), plain, "{other:?}");
        }
        assert_ne!(of(&[("a", "1"), ("a", "2")]), of(&[("a", "2"), ("a", "1")]));
        assert_eq!(of(&[("a", "1"), ("b", "2")]), of(&[("b", "2"), ("a", "1")]));
        assert_ne!(of(&[("a", "1 b 1 2")]), of(&[("a", "1"), ("b", "2")]));
    }
}
