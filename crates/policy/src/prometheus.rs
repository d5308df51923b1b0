//! The section `prometheus`: who measures targets from outside, asked now and then off the way of any call.
//!
//! What is asked about a target stands at the target, under its own `prometheus`. What is answered moves load a little
//! and decides nothing alone.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tradewind_core::{Code, Secret};

use crate::node::Shortened;
use crate::problem::Problems;
use crate::root::Root;
use crate::units::TimeSpan;
use crate::url::BaseUrl;

/// The shortest and the longest time between two rounds of queries, in seconds.
const INTERVALS: [u64; 2] = [1, 600];
/// The longest query, in bytes.
pub const LONGEST_QUERY: usize = 4096;
/// The most targets with a query.
pub const MOST_QUERIES: usize = 200;

/// A Prometheus, or whatever answers its HTTP API: Thanos, Mimir, VictoriaMetrics.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Prometheus {
    /// Where it is, such as `http://127.0.0.1:9090`; `/api/v1/query` is added.
    pub url: BaseUrl,
    /// How often the targets' queries are asked, from 1s to 10m.
    #[serde(default = "fifteen_seconds")]
    pub interval: TimeSpan,
    /// How long one query may take; at most the interval.
    #[serde(default = "two_seconds")]
    pub timeout: TimeSpan,
    /// A token to send as `authorization: Bearer TOKEN`.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub token: Option<Secret<String>>,
    /// A user name for Basic authentication.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that goes with it.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub password: Option<Secret<String>>,
    /// Headers to send, such as the tenant of a Mimir.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("writeOnly" = true))]
    pub headers: BTreeMap<String, Secret<String>>,
}

/// What Prometheus is asked about one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrometheusQuery {
    /// A query in PromQL with one number as its result: 1 is usual, more means that the target can take more.
    pub query: String,
}

impl PrometheusQuery {
    /// Why the query cannot be asked, if so.
    #[must_use]
    pub fn flaw(&self) -> Option<String> {
        if self.query.trim().is_empty() {
            return Some("the query is empty".to_owned());
        }
        (self.query.len() > LONGEST_QUERY).then(|| format!("a query has at most {LONGEST_QUERY} bytes"))
    }
}

const fn fifteen_seconds() -> TimeSpan {
    TimeSpan::from_secs(15)
}

const fn two_seconds() -> TimeSpan {
    TimeSpan::from_secs(2)
}

pub(crate) fn decode_prometheus(root: &Root, problems: &mut Problems) -> Option<Prometheus> {
    let prometheus: Prometheus = crate::decode::decode(root.section("prometheus")?, "prometheus", &[], problems)?;
    let mut refuse = |key: &str, message: String, hint: &str| {
        let problem = root.problem(Code::ConfigBadValue, &format!("prometheus.{key}"), message);
        problems.push(problem.with_hint(hint));
    };
    let interval = prometheus.interval.get();
    let [shortest, longest] = INTERVALS.map(TimeSpan::from_secs);
    if !(shortest.get()..=longest.get()).contains(&interval) {
        refuse("interval", format!("`interval` is {}", prometheus.interval), "from 1s to 10m");
    }
    let timeout = prometheus.timeout.get();
    if timeout.is_zero() || timeout > interval {
        let hint = "more than nothing, and no longer than the interval";
        refuse("timeout", format!("`timeout` is {}", prometheus.timeout), hint);
    }
    let (has_user, has_password) = (prometheus.username.is_some(), prometheus.password.is_some());
    if has_user != has_password {
        let (there, missing) = if has_user { ("username", "password") } else { ("password", "username") };
        refuse(there, format!("there is `{there}` without `{missing}`"), "write both for Basic authentication");
    }
    if has_user && prometheus.token.is_some() {
        refuse("token", "there is both `token` and `username`".to_owned(), "keep the one that it takes");
    }
    if prometheus.username.as_ref().is_some_and(|name| name.contains(':')) {
        refuse("username", "a user name has no colon (RFC 7617)".to_owned(), "write the password under `password`");
    }
    let is_sendable = |text: &str| http::HeaderValue::from_str(text).is_ok();
    if prometheus.token.as_ref().is_some_and(|token| !is_sendable(token.expose()) || token.expose().is_empty()) {
        refuse("token", "the token cannot be sent".to_owned(), "one line, not empty");
    }
    for (name, value) in &prometheus.headers {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("`{}` is not the name of a header", Shortened(name));
            let problem = root.problem_with_key(Code::ConfigBadValue, "prometheus.headers", name, message);
            problems.push(problem.with_hint("letters, digits and hyphens"));
        } else if !is_sendable(value.expose()) {
            let message = format!("the value of the header `{name}` cannot be sent");
            let problem = root.problem(Code::ConfigBadValue, &format!("prometheus.headers.{name}"), message);
            problems.push(problem.with_hint("no line breaks or control characters"));
        }
    }
    Some(prometheus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(section: &str) -> (Option<Prometheus>, Vec<String>) {
        let mut problems = Problems::new();
        let root = Root::parse(&format!("prometheus: {section}"), &|_| None, &[], &mut problems);
        let prometheus = decode_prometheus(&root, &mut problems);
        let list = problems.list();
        (prometheus, list.iter().map(|one| format!("{} {}: {}", one.line, one.path, one.message)).collect())
    }

    #[test]
    fn an_address_is_enough() {
        let (prometheus, problems) = read("{url: 'http://127.0.0.1:9090/'}");
        assert_eq!(problems, [""; 0]);
        let prometheus = prometheus.expect("it is there");
        assert_eq!(prometheus.url.as_str(), "http://127.0.0.1:9090");
        assert_eq!((prometheus.interval, prometheus.timeout), (TimeSpan::from_secs(15), TimeSpan::from_secs(2)));
        let full = "{url: 'https://m.example.com/prom', username: u, password: p, headers: {x-scope-orgid: t}}";
        let (prometheus, problems) = read(full);
        assert_eq!((prometheus.is_some(), problems), (true, Vec::new()));
        assert_eq!(read("").0, None, "no section, no Prometheus");
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_place() {
        let url = "url: 'http://p:9090'";
        for (fields, problem) in [
            ("interval: 500ms, timeout: 100ms", "interval: `interval` is 500ms"),
            ("interval: 11m", "interval: `interval` is 11m"),
            ("timeout: 0s", "timeout: `timeout` is 0s"),
            ("timeout: 16s", "timeout: `timeout` is 16s"),
            ("username: u", "username: there is `username` without `password`"),
            ("password: p", "password: there is `password` without `username`"),
            ("username: u, password: p, token: t", "token: there is both `token` and `username`"),
            ("username: 'u:p', password: p", "username: a user name has no colon (RFC 7617)"),
            ("token: \"a\\nb\"", "token: the token cannot be sent"),
            ("headers: {'x y': z}", "headers.x y: `x y` is not the name of a header"),
            ("headers: {x: \"a\\nb\"}", "headers.x: the value of the header `x` cannot be sent"),
        ] {
            let (_, problems) = read(&format!("{{{url}, {fields}}}"));
            assert_eq!(problems, [format!("1 prometheus.{problem}")], "{fields}");
        }
        assert_eq!(read("{}").1, ["1 prometheus: `url` is missing"]);
        assert!(read("{url: 'http://u:p@h'}").1[0].contains("user name"), "{:?}", read("{url: 'http://u:p@h'}").1);
    }

    #[test]
    fn queries_are_bounded() {
        let flaw = |query: &str| PrometheusQuery { query: query.to_owned() }.flaw();
        assert_eq!(flaw("up"), None);
        assert_eq!(flaw(" "), Some("the query is empty".to_owned()));
        assert_eq!(flaw(&"x".repeat(LONGEST_QUERY + 1)), Some("a query has at most 4096 bytes".to_owned()));
    }
}
