//! `tradewind modules list`

use clap::Args;
use serde_json::{Value, json};
use tradewind_door_modules::{Patterns, Row};

use super::place::Place;
use super::{minute, size};
use crate::commands::counted;
use crate::commands::whose::Whose;
use crate::say;

/// List the versions that are kept
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only modules that this pattern covers, as in GOPRIVATE
    #[arg(value_name = "PATTERN")]
    only: Vec<String>,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whose: Whose,
}

impl List {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let only = Patterns::parse(self.only.iter().map(String::as_str))?;
        let place = Place::find(self.whose)?;
        let survey = place.store.survey()?;
        let rows: Vec<&Row> =
            survey.rows.iter().filter(|row| only.is_empty() || row.of.path.is_covered_by(&only)).collect();
        if self.json {
            let list: Vec<Value> = rows.iter().map(|row| as_json(row)).collect();
            say::data(serde_json::to_string_pretty(&list)?);
            return Ok(());
        }
        if !rows.is_empty() {
            say::data(table(&rows).trim_end());
        }
        say::note(format!("{}, {} on disk in all", counted(rows.len(), "version"), size(survey.bytes)));
        Ok(())
    }
}

pub(super) fn as_json(row: &Row) -> Value {
    json!({
        "module": row.of.path.as_str(),
        "version": row.of.version.as_str(),
        "tree": row.tree.name(),
        "bytes": row.zip.size,
        "sha256": row.zip.sha256,
        "fetched": row.fetched.rfc3339(),
        "used": row.used.rfc3339(),
    })
}

pub(super) fn table(rows: &[&Row]) -> String {
    let names: Vec<String> = rows.iter().map(|row| row.of.to_string()).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0).max("VERSION".len());
    // The tree says something only where there are several.
    let several = rows.windows(2).any(|two| two[0].tree != two[1].tree);
    let tree = |name: &str| if several { format!("  {name}") } else { String::new() };
    let head = format!("{:<width$}  {:>9}  {:<16}{}", "VERSION", "SIZE", "LAST USED", tree("TREE"));
    let mut text = format!("{}\n", head.trim_end());
    for (row, name) in rows.iter().zip(&names) {
        let (bytes, used) = (size(row.zip.size), minute(row.used));
        text += &format!("{name:<width$}  {bytes:>9}  {used:<16}{}\n", tree(row.tree.name()));
    }
    text
}
