//! The book as a table for a person, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use tradewind_telemetry::{Day, Totals};

use super::By;
use super::book::{Line, Where};
use crate::commands::explain::money;

/// Targets without a price that are named; the rest is counted.
const MOST_NAMED: usize = 10;
/// How much of a name is shown, in characters.
const LONGEST_NAME: usize = 60;

/// What is shown: rows told apart by `by`, in its order, and their sum.
pub(super) struct Page<'a> {
    by: &'a [By],
    from: Day,
    to: Day,
    rows: BTreeMap<Vec<&'a str>, Totals>,
    total: Totals,
    /// Uses of targets without a price, by target.
    unpriced: BTreeMap<&'a str, u64>,
}

impl<'a> Page<'a> {
    pub(super) fn new(lines: &'a [Line], by: &'a [By], from: Day, to: Day) -> Self {
        let mut page =
            Self { by, from, to, rows: BTreeMap::new(), total: Totals::default(), unpriced: BTreeMap::new() };
        for line in lines {
            let about: Vec<&str> = by.iter().map(|by| line.part(*by)).collect();
            page.rows.entry(about).or_default().add(line.totals);
            page.total.add(line.totals);
            if line.totals.unpriced > 0 {
                *page.unpriced.entry(&line.target).or_default() += line.totals.unpriced;
            }
        }
        page
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn table(&self) -> String {
        let heads = self.by.iter().map(|by| by.name().to_uppercase());
        let numbers = ["CALLS", "IN", "OUT", "CACHED", "REASONING", "ESTIMATED", "COST"].map(str::to_owned);
        let mut lines: Vec<Vec<String>> = vec![heads.chain(numbers).collect()];
        for (about, totals) in &self.rows {
            let named = about.iter().zip(self.by).map(|(text, by)| shown(*by, text));
            lines.push(named.chain(cells(totals)).collect());
        }
        if self.rows.len() > 1 {
            let first = (0..self.by.len()).map(|place| if place == 0 { "total".to_owned() } else { String::new() });
            lines.push(first.chain(cells(&self.total)).collect());
        }
        let mut text = aligned(&lines, self.by.len());
        if self.total.estimated > 0 {
            text.push_str(
                "\nESTIMATED: the share of the tokens that the gateway counted itself, and with it of the cost\n",
            );
        }
        if !self.unpriced.is_empty() {
            let _ =
                writeln!(text, "\n+?: without what these targets cost, which have no price: {}", self.named_unpriced());
        }
        text
    }

    /// `openai/gpt-5 (3 uses), …`
    fn named_unpriced(&self) -> String {
        let uses = |count: u64| if count == 1 { "1 use".to_owned() } else { format!("{count} uses") };
        let named = self.unpriced.iter().take(MOST_NAMED);
        let mut said: Vec<String> =
            named.map(|(target, count)| format!("{} ({})", shown(By::Target, target), uses(*count))).collect();
        let left = self.unpriced.len().saturating_sub(MOST_NAMED);
        if left > 0 {
            said.push(format!("and {left} more"));
        }
        said.join(", ")
    }

    pub(super) fn as_json(&self, place: &Where) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|(about, totals)| {
                let mut row = Map::new();
                for (by, text) in self.by.iter().zip(about) {
                    // Calls without a key, a known model or a target.
                    let value = if text.is_empty() { Value::Null } else { Value::from(*text) };
                    row.insert(by.name().to_owned(), value);
                }
                add_totals(&mut row, totals);
                Value::Object(row)
            })
            .collect();
        let mut total = Map::new();
        add_totals(&mut total, &self.total);
        let unpriced: Vec<Value> =
            self.unpriced.iter().map(|(target, uses)| json!({"target": target, "uses": uses})).collect();
        let source = match place {
            Where::Gateway(url) => json!({ "gateway": url }),
            Where::Journal { folder, .. } => json!({ "journal": folder }),
        };
        json!({
            "from": self.from.to_string(),
            "to": self.to.to_string(),
            "source": source,
            "rows": rows,
            "total": total,
            "unpriced": unpriced,
        })
    }
}

impl Line {
    fn part(&self, by: By) -> &str {
        match by {
            By::Day => &self.day,
            By::Model => &self.model,
            By::Key => &self.key,
            By::Target => &self.target,
        }
    }
}

fn add_totals(row: &mut Map<String, Value>, totals: &Totals) {
    for (name, count) in totals.counts() {
        row.insert(name.to_owned(), count.into());
    }
    row.insert("usd".to_owned(), json!(totals.cost));
}

/// A name as it may stand in a terminal: names of models may come from a provider.
fn shown(by: By, text: &str) -> String {
    if text.is_empty() {
        return match by {
            By::Day => "-",
            By::Model => "(no model)",
            By::Key => "(no key)",
            By::Target => "(no target)",
        }
        .to_owned();
    }
    let printable = |character: char| if character.is_control() { '?' } else { character };
    let mut name: String = text.chars().take(LONGEST_NAME).map(printable).collect();
    if text.chars().nth(LONGEST_NAME).is_some() {
        name.push('\u{2026}');
    }
    name
}

fn cells(totals: &Totals) -> [String; 7] {
    let mut cost = money(totals.cost.dollars());
    if totals.unpriced > 0 {
        cost.push_str(" +?");
    }
    let counts =
        [totals.calls, totals.input, totals.output, totals.cached, totals.reasoning].map(|one| one.to_string());
    let [calls, input, output, cached, reasoning] = counts;
    [calls, input, output, cached, reasoning, share(totals), cost]
}

/// The share of the tokens that were counted by the gateway: `-`, `<1%`, `12%`.
fn share(totals: &Totals) -> String {
    let all = totals.input.saturating_add(totals.output);
    if totals.estimated == 0 || all == 0 {
        return "-".to_owned();
    }
    let percent = totals.estimated as f64 * 100.0 / all as f64;
    if percent < 1.0 { "<1%".to_owned() } else { format!("{}%", percent.min(100.0).floor()) }
}

/// Columns of the same width: the first `texts` to the left, the rest to the right.
fn aligned(lines: &[Vec<String>], texts: usize) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column < texts { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}
