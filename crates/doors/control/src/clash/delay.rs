//! Tests that a dashboard asks for: how long a proxy takes to answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tradewind_door::Response;
use tradewind_policy::ways::GroupKind;
use tradewind_ways::{Expected, Group, Member, ProbeError, Ways};

use super::answer::{Wrong, json};
use super::query::parameter;

/// What is to be tested.
pub(crate) struct Test {
    url: String,
    limit: Duration,
    expected: Expected,
}

impl Test {
    /// Reads `url`, `timeout` in milliseconds (up to 32767, as in mihomo; without it there is no test) and `expected`.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Wrong> {
        let expected = parameter(query, "expected").unwrap_or_default();
        let expected = Expected::parse(&expected).ok_or(Wrong::Body)?;
        let timeout = parameter(query, "timeout").unwrap_or_default();
        let millis: i16 = timeout.parse().map_err(|_| Wrong::Body)?;
        let limit = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        Ok(Self { url: parameter(query, "url").unwrap_or_default(), limit, expected })
    }
}

/// Tests one proxy or group.
pub(crate) async fn one(ways: &Ways, member: &Member, test: Test) -> Result<Response, Wrong> {
    let timeout = || Wrong::said(504, "Timeout");
    if test.limit.is_zero() {
        return Err(timeout());
    }
    match ways.delay_of(member, &test.url, test.limit, &test.expected).await {
        Ok(delay) => Ok(json(200, &json!({ "delay": delay }))),
        Err(ProbeError::Timeout(_)) => Err(timeout()),
        Err(_) => Err(Wrong::said(503, "An error occurred in the delay test")),
    }
}

/// Tests all members of a group: those that answered, by name. A `url-test` group is tested with its own URL, whatever is
/// asked for, since it picks by that.
pub(crate) async fn all(ways: &Ways, group: &Group, mut test: Test) -> Result<Response, Wrong> {
    if matches!(group.spec.kind, GroupKind::UrlTest { .. }) {
        test.url.clone_from(&group.spec.test_url);
    }
    let none = || Wrong::said(504, "get delay: all proxies timeout");
    if test.limit.is_zero() {
        return Err(none());
    }
    let tested = ways.delays(group, &test.url, test.limit, &test.expected).await.map_err(|_| none())?;
    let answered: BTreeMap<Arc<str>, u16> = tested.into_iter().collect();
    if answered.is_empty() { Err(none()) } else { Ok(json(200, &answered)) }
}
