//! `/rules` and `/providers/rules`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tradewind_door::Response;
use tradewind_policy::ways::{RuleBehavior, RuleFormat, Vehicle};
use tradewind_ways::{List, LiveRules, Ways};

use super::answer::{Wrong, done, object, under};
use super::time::{NEVER, go_time};

#[derive(Serialize)]
struct RuleView {
    index: usize,
    #[serde(rename = "type")]
    type_name: &'static str,
    payload: Arc<str>,
    proxy: Arc<str>,
    size: i64,
    extra: Extra,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extra {
    disabled: bool,
    hit_count: u64,
    hit_at: String,
    miss_count: u64,
    miss_at: String,
}

/// The rules with what they were used for.
pub(crate) fn list(rules: &LiveRules) -> Response {
    let views = rules.uses().into_iter().enumerate().map(|(index, (info, count, disabled))| RuleView {
        index,
        type_name: info.type_name,
        payload: info.payload,
        proxy: info.target,
        size: info.size,
        extra: Extra {
            disabled,
            hit_count: count.hits,
            hit_at: go_time(count.hit_at.unwrap_or_default()),
            miss_count: count.misses,
            miss_at: go_time(count.missed_at.unwrap_or_default()),
        },
    });
    under("rules", &views.collect::<Vec<_>>())
}

/// Switches rules off and on: `{"0": true}`. Places without a rule are passed over.
pub(crate) fn switch(rules: &LiveRules, body: &[u8]) -> Result<Response, Wrong> {
    let mut asked = Vec::new();
    for (index, disabled) in object(body)? {
        let index: i64 = index.parse().map_err(|_| Wrong::Body)?;
        let Value::Bool(disabled) = disabled else { return Err(Wrong::Body) };
        asked.push((index, disabled));
    }
    for (index, disabled) in asked {
        let _ = usize::try_from(index).is_ok_and(|index| rules.switch(index, disabled)); // one that is not there
    }
    Ok(done())
}

/// A list of rules; the fields in mihomo's order.
#[derive(Serialize)]
struct ListView<'l> {
    behavior: &'static str,
    format: &'static str,
    name: Arc<str>,
    #[serde(rename = "ruleCount")]
    count: usize,
    #[serde(rename = "type")]
    type_name: &'static str,
    #[serde(rename = "vehicleType")]
    vehicle: &'static str,
    #[serde(rename = "updatedAt")]
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'l [String]>,
}

impl<'l> From<&'l List> for ListView<'l> {
    fn from(list: &'l List) -> Self {
        let (vehicle, payload) = match &list.spec.vehicle {
            Vehicle::File { .. } => ("File", None),
            Vehicle::Http { .. } => ("HTTP", None),
            Vehicle::InlineRules(lines) => ("Inline", Some(lines.as_slice())),
            Vehicle::InlineProxies(_) => ("Inline", None),
        };
        let format = match list.spec.format {
            _ if vehicle == "Inline" => "",
            RuleFormat::Yaml => "YamlRule",
            RuleFormat::Text => "TextRule",
            RuleFormat::Mrs => "MrsRule",
        };
        let behavior = match list.spec.behavior {
            RuleBehavior::Domain => "Domain",
            RuleBehavior::IpCidr => "IPCIDR",
            RuleBehavior::Classical => "Classical",
        };
        Self {
            behavior,
            format,
            name: list.spec.name.clone(),
            count: list.count(),
            type_name: "Rule",
            vehicle,
            updated_at: list.updated().map_or_else(|| NEVER.to_owned(), go_time),
            payload,
        }
    }
}

/// All lists by name.
pub(crate) fn lists(rules: &LiveRules) -> Response {
    let views: BTreeMap<&str, ListView<'_>> =
        rules.lists.all().iter().map(|list| (&*list.spec.name, ListView::from(&**list))).collect();
    under("providers", &views)
}

/// Fetches a list anew, or reads its file again.
pub(crate) async fn update(ways: &Ways, name: &str) -> Result<Response, Wrong> {
    match ways.update_rule_list(name).await {
        None => Err(Wrong::Unknown),
        Some(Ok(())) => Ok(done()),
        Some(Err(error)) => Err(Wrong::said(503, error)),
    }
}
