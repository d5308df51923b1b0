//! What the gateway says of the network, for people.

use serde_json::Value;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn network(answer: &Value) -> String {
    answer["matched_network"]
        .as_str()
        .map_or_else(|| "no network of the configuration fits".to_owned(), |name| format!("network {name}"))
}

/// The context, and how each group stands.
pub(super) fn shown(answer: &Value) -> String {
    let mut lines = Vec::new();
    if answer["context"].is_null() {
        lines.push("nobody has said what the network looks like".to_owned());
    } else {
        let age = answer["age_seconds"].as_u64().unwrap_or(0);
        lines.push(format!("{}, known for {age} s", network(answer)));
        for interface in list(&answer["context"]["interfaces"]) {
            let mut parts = vec![text(&interface["name"]).to_owned()];
            for key in ["iface_type", "ssid", "bssid", "gateway_ip", "gateway_mac"] {
                if let Some(value) = interface[key].as_str() {
                    parts.push(format!("{key} {value}"));
                }
            }
            let subnets: Vec<&str> = list(&interface["subnets"]).iter().map(text).collect();
            if !subnets.is_empty() {
                parts.push(format!("subnets {}", subnets.join(" ")));
            }
            lines.push(format!("  {}", parts.join(", ")));
        }
        let suffixes: Vec<&str> = list(&answer["context"]["dns_suffix"]).iter().map(text).collect();
        if !suffixes.is_empty() {
            lines.push(format!("  dns suffixes {}", suffixes.join(" ")));
        }
    }
    for group in list(&answer["groups"]) {
        let by = match text(&group["selection_source"]) {
            "manual" => "chosen by hand".to_owned(),
            "auto" => match group["last_matched_network"].as_str() {
                Some(name) => format!("for the network {name}"),
                None => "for no network".to_owned(),
            },
            _ => "not decided yet".to_owned(),
        };
        lines.push(format!("{} uses {}, {by}", text(&group["group"]), text(&group["current_proxy"])));
    }
    lines.join("\n")
}

/// What a pushed context has led to.
pub(super) fn applied(answer: &Value) -> String {
    let mut lines = vec![network(answer)];
    for row in list(&answer["applied"]) {
        let (group, applied) = (text(&row["group"]), text(&row["applied_proxy"]));
        let target = text(&row["target_proxy"]);
        lines.push(match text(&row["reason"]) {
            "matched" => format!("{group} uses {applied} now"),
            "already_selected" => format!("{group} uses {applied} already"),
            "default" => format!("{group} uses {applied}, its default"),
            "no_change_no_default" => {
                format!("{group} stays with {applied}: its policy names neither this network nor a default")
            }
            "unchanged_network" => format!("{group} stays with {applied}: the network is the same"),
            "manual_locked" => {
                format!("{group} stays with {applied}, chosen by hand, as long as the network is the same")
            }
            "missing_target" => format!("{group} stays with {applied}: {target} is no member of it now"),
            other => format!("{group} uses {applied} ({other})"),
        });
    }
    lines.join("\n")
}

/// Why a network fits, or none does.
pub(super) fn explained(answer: &Value) -> String {
    if let Some(why) = answer["why"].as_str() {
        return why.to_owned();
    }
    let mut lines = vec![format!("{}; {} says what the network looks like", network(answer), text(&answer["said_by"]))];
    for known in list(&answer["networks"]) {
        lines.push(format!("{} {}", mark(known), text(&known["name"])));
        part(&known["parts"], 1, &mut lines);
    }
    for note in list(&answer["notes"]) {
        lines.push(format!("{}: {}", text(&note["interface"]), text(&note["why"])));
    }
    lines.join("\n")
}

fn mark(part: &Value) -> &'static str {
    if part["matched"] == true { "yes" } else { "no " }
}

fn part(parts: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let key = |key: &Value, indent: &str| {
        let joined = |value: &Value| list(value).iter().map(text).collect::<Vec<_>>().join(" ");
        let found = match (key["why"].as_str(), joined(&key["found"])) {
            (Some(why), _) => why.to_owned(),
            (None, found) if found.is_empty() => "nothing there".to_owned(),
            (None, found) => format!("found {found}"),
        };
        format!("{indent}{} {}: wanted {}, {found}", mark(key), text(&key["key"]), joined(&key["wanted"]))
    };
    for interface in list(&parts["interfaces"]) {
        lines.push(format!("{indent}{} {}", mark(interface), text(&interface["name"])));
        lines.extend(list(&interface["keys"]).iter().map(|found| key(found, &format!("{indent}  "))));
    }
    if parts["dns_suffix"].is_object() {
        lines.push(key(&parts["dns_suffix"], &indent));
    }
    for combined in ["any", "all"] {
        for below in list(&parts[combined]) {
            lines.push(format!("{indent}{} {combined} of", mark(below)));
            part(below, depth + 1, lines);
        }
    }
    if parts["not"].is_object() {
        lines.push(format!("{indent}{} not, if this fits", mark(parts)));
        part(&parts["not"], depth + 1, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_told_in_words() {
        let row = |reason: &str| json!({"group": "g", "target_proxy": "t", "applied_proxy": "a", "reason": reason});
        let answer = json!({"matched_network": "office", "applied": [row("matched"), row("manual_locked"), row("missing_target")]});
        insta::assert_snapshot!(applied(&answer), @r"
        network office
        g uses a now
        g stays with a, chosen by hand, as long as the network is the same
        g stays with a: t is no member of it now
        ");
    }

    #[test]
    fn a_match_is_explained_key_by_key() {
        let key = |matched, found: &[&str], why: Option<&str>| json!({"key": "ssid", "matched": matched, "wanted": ["corp-5g"], "found": found, "why": why});
        let answer = json!({
            "matched_network": null,
            "said_by": "our own sampler",
            "networks": [{"name": "office", "matched": false, "parts": {"matched": false, "interfaces": [
                {"name": "wlan0", "matched": false, "keys": [key(false, &["guest"], None)]},
                {"name": "eth0", "matched": false, "keys": [key(false, &[], Some("the interface has no ssid"))]},
            ]}}],
            "notes": [{"interface": "wlan0", "field": "ssid", "why": "the SSID could not be read, because of rights"}],
        });
        insta::assert_snapshot!(explained(&answer), @r"
        no network of the configuration fits; our own sampler says what the network looks like
        no  office
          no  wlan0
            no  ssid: wanted corp-5g, found guest
          no  eth0
            no  ssid: wanted corp-5g, the interface has no ssid
        wlan0: the SSID could not be read, because of rights
        ");
    }
}
