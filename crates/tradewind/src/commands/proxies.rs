//! `tradewind proxies`

use clap::Args;
use serde_json::Value;

use super::reach::Reach;
use crate::say;

/// List the ways out: groups, what each uses now, and who lives
#[derive(Debug, Args)]
pub(super) struct Proxies {
    #[command(flatten)]
    reach: Reach,
    /// Print what the gateway says as JSON
    #[arg(long)]
    json: bool,
}

impl Proxies {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let shown = self.reach.get("/api/v1/proxies")?;
        if self.json {
            say::data(serde_json::to_string_pretty(&shown)?);
        } else {
            say::data(table(&shown).trim_end());
        }
        Ok(())
    }
}

/// The groups with their members, then the proxies that are in none.
fn table(shown: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut lines = vec![match shown["network"].as_str() {
        Some(network) => format!("mode {}, network {network}", text(&shown["mode"])),
        None => format!("mode {}", text(&shown["mode"])),
    }];
    for group in list(&shown["groups"]) {
        let now = text(&group["now"]);
        let follows = if group["follows"] == true { ", follows the network" } else { "" };
        lines.push(format!("\n{} ({}{follows})", text(&group["name"]), text(&group["type"])));
        for member in list(&group["members"]) {
            lines.push(line(&member, now == text(&member["name"])));
        }
    }
    let proxies = list(&shown["proxies"]);
    lines.push("\nproxies".to_owned());
    lines.extend(proxies.iter().map(|proxy| line(proxy, false)));
    for provider in list(&shown["providers"]) {
        let members = list(&provider["proxies"]).len();
        let failed = provider["failed"].as_str().map(|why| format!(", not updated: {why}")).unwrap_or_default();
        lines.push(format!(
            "\nlist {} ({}, {members} proxies{failed})",
            text(&provider["name"]),
            text(&provider["from"])
        ));
    }
    lines.join("\n")
}

fn line(member: &Value, is_used: bool) -> String {
    let mark = if is_used { "*" } else { " " };
    let state = match (member["built"] == true, member["alive"] == true, member["delay_ms"].as_u64()) {
        (false, ..) => "not built".to_owned(),
        (true, false, _) => "does not answer".to_owned(),
        (true, true, Some(delay)) => format!("{delay} ms"),
        (true, true, None) => String::new(),
    };
    let (name, kind) = (member["name"].as_str().unwrap_or(""), member["type"].as_str().unwrap_or(""));
    format!("  {mark} {name:<24} {kind:<12} {state}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn groups_and_who_lives() {
        let member = |name: &str, built, alive, delay: Option<u16>| json!({"name": name, "type": "Http", "built": built, "alive": alive, "delay_ms": delay});
        let shown = json!({
            "mode": "rule",
            "network": "office",
            "groups": [{
                "name": "way-out", "type": "Selector", "now": "corp", "follows": true,
                "members": [member("corp", true, true, Some(12)), member("old", true, false, None), member("vm", false, false, None)],
            }],
            "proxies": [member("corp", true, true, None)],
            "providers": [{"name": "sub", "from": "HTTP", "proxies": ["a"], "failed": "no answer"}],
        });
        insta::assert_snapshot!(table(&shown), @r"
        mode rule, network office

        way-out (Selector, follows the network)
          * corp                     Http         12 ms
            old                      Http         does not answer
            vm                       Http         not built

        proxies
            corp                     Http

        list sub (HTTP, 1 proxies, not updated: no answer)
        ");
    }
}
