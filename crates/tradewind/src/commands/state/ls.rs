//! `tradewind state ls`

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use super::api::{Api, Ask, Where};
use super::name::{escaped, part, path_of};
use super::table;
use crate::commands::counted;
use crate::say;

/// List namespaces, or the keys of one
///
/// Ends with 1 when one of them is damaged.
#[derive(Debug, Args)]
pub(super) struct Ls {
    /// The namespace, and behind a slash what the keys begin with; all namespaces without it
    #[arg(value_name = "NAMESPACE[/PREFIX]")]
    part: Option<String>,
    /// Print what the API says as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

impl Ls {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Some(text) = &self.part else {
            let listed = Api::open(self.at)?.json(&Ask::get(path_of(None, "")))?;
            if self.json {
                say::data(serde_json::to_string_pretty(&listed)?);
            } else {
                let names = listed["items"].as_array().into_iter().flatten().filter_map(Value::as_str);
                names.for_each(say::data);
            }
            return Ok(());
        };
        let (namespace, prefix) = part(text)?;
        let api = Api::open(self.at)?;
        let (mut items, mut after): (Vec<Value>, String) = (Vec::new(), String::new());
        loop {
            let query = format!("?limit=1000&prefix={}&after={}", escaped(prefix), escaped(&after));
            let mut page = api.json(&Ask::get(path_of(Some(&namespace), &query)))?;
            if let Some(more) = page["items"].as_array_mut() {
                items.append(more);
            }
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        if self.json {
            say::data(serde_json::to_string_pretty(&items)?);
        } else {
            say::data(table::keys(&items).trim_end());
            say::note(counted(items.len(), "key"));
        }
        match items.iter().filter(|item| table::is_damaged(item)).count() {
            0 => Ok(()),
            damaged => bail!(
                "{} damaged\n  = hint: `tradewind state check`, with the gateway stopped, says what is wrong with each",
                counted(damaged, "key")
            ),
        }
    }
}
