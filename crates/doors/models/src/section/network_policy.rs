//! `network-policy` of a model with `strategy: select`: which target in which network.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use tradewind_core::{Code, nearest};
use tradewind_policy::ways::DEFAULT_NETWORK;
use tradewind_policy::{Problem, Spanned, Value};

use super::checks::{Check, above};
use super::{ModelEntry, Strategy};

/// Which target in which network: the name of one of `networks` or `default`, and the `use` of a target, in the order of
/// the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkPolicy(pub Vec<(String, Spanned<String>)>);

impl<'de> Deserialize<'de> for NetworkPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = NetworkPolicy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from networks to targets")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NetworkPolicy, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(NetworkPolicy(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl JsonSchema for NetworkPolicy {
    fn schema_name() -> Cow<'static, str> {
        "NetworkPolicy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": "string" } })
    }
}

impl Check<'_> {
    /// That the policy of an entry can be followed. Of each line the network is looked at before the target.
    pub(super) fn network_policy(&mut self, entry: &ModelEntry) {
        let above = above(&entry.name, "name");
        let path = format!("{above}.network-policy");
        let is_written = self.root.node().find(above).is_some_and(|node| node.entry("network-policy").is_some());
        if !is_written {
            return;
        }
        if entry.strategy != Strategy::Select {
            let message = "`network-policy` is for models with `strategy: select`";
            let problem = self.root.problem_with_key(Code::ConfigBadValue, above, "network-policy", message);
            self.problems.push(problem.with_hint("remove it, or change the strategy"));
            return;
        }
        // One that could not be read has its problem already.
        let is_empty = self.root.node().find(&path).is_some_and(|node| match &node.value {
            Value::Null => !node.is_broken(),
            Value::Map(entries) => entries.is_empty(),
            _ => false,
        });
        let lines = entry.network_policy.as_ref().map_or(&[][..], |policy| &policy.0);
        if is_empty {
            self.refuse(&path, "`network-policy` is empty", "write the name of a network, or default, and a target");
        }
        let networks: HashSet<&str> = self.root.names("networks").collect();
        for (network, target) in lines {
            if network != DEFAULT_NETWORK && !networks.contains(network.as_str()) {
                let message = format!("network-policy: network '{network}' is not defined");
                let problem = self.root.problem_with_key(Code::ConfigUnknownName, &path, network, message);
                let mut names: Vec<&str> = networks.iter().copied().chain([DEFAULT_NETWORK]).collect();
                names.sort_unstable();
                self.problems.push(problem.with_hint(match nearest(network, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "define it in `networks`".to_owned(),
                }));
                continue;
            }
            if entry.targets.iter().any(|one| one.reference.value == target.value) {
                continue;
            }
            let message = format!("network-policy: '{}' is not a target of this model", target.shown());
            let problem: Problem = target.problem(Code::ConfigUnknownName, message);
            let near = nearest(&target.value, entry.targets.iter().map(|one| one.reference.value.as_str()));
            self.problems.push(match near.filter(|_| target.raw.is_none()) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem.with_hint("a target is named as under `use`"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{messages, models};

    const NETWORKS: &str =
        "networks:\n  - {name: office, match: {ssid: corp}}\n  - {name: home, match: {ssid: hearth}}\n";

    fn model(rest: &str) -> String {
        format!("{NETWORKS}models:\n  - {{name: a, targets: [{{use: openai/gpt}}, {{use: onprem/llama}}], {rest}}}\n")
    }

    #[test]
    fn a_policy_keeps_the_order_of_the_file() {
        let models = models(&model(
            "strategy: select, network-policy: {office: onprem/llama, home: openai/gpt, default: openai/gpt}",
        ));
        let policy = models.entries[0].network_policy.as_ref().expect("there is a policy");
        let lines: Vec<(&str, &str)> =
            policy.0.iter().map(|(network, target)| (network.as_str(), target.value.as_str())).collect();
        assert_eq!(lines, [("office", "onprem/llama"), ("home", "openai/gpt"), ("default", "openai/gpt")]);
    }

    #[test]
    fn a_policy_that_cannot_be_followed_is_refused() {
        let policy = "models[0].network-policy";
        for (rest, message) in [
            (
                "network-policy: {default: openai/gpt}",
                format!("TW4003 {policy}: `network-policy` is for models with `strategy: select`"),
            ),
            (
                "strategy: weighted, network-policy: ~",
                format!("TW4003 {policy}: `network-policy` is for models with `strategy: select`"),
            ),
            ("strategy: select, network-policy: ~", format!("TW4003 {policy}: `network-policy` is empty")),
            ("strategy: select, network-policy: {}", format!("TW4003 {policy}: `network-policy` is empty")),
            (
                "strategy: select, network-policy: {ofice: nothing/there}",
                format!("TW4004 {policy}.ofice: network-policy: network 'ofice' is not defined"),
            ),
            (
                "strategy: select, network-policy: {office: openai/other}",
                format!("TW4004 {policy}.office: network-policy: 'openai/other' is not a target of this model"),
            ),
            (
                "strategy: select, network-policy: {office: [a]}",
                format!("TW4003 {policy}.office: expected text, found a list"),
            ),
            ("strategy: select, network-policy: [office]", format!("TW4003 {policy}: expected a map, found a list")),
        ] {
            assert_eq!(messages(&model(rest)), [message], "{rest}");
        }
    }
}
