//! Where the numbers come from: the API of the running gateway, or the journal in its data directory.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use tradewind_core::{TargetId, Usd};
use tradewind_policy::DataDir;
use tradewind_runtime::files;
use tradewind_telemetry::{Day, GroupBy, Spend, Totals};

use super::{By, Place};
use crate::Source;
use crate::commands::client::{self, Asked};

/// Where the gateway listens that has no configuration.
const USUAL: &str = "http://127.0.0.1:7080";

/// What was found, and where.
pub(super) struct Books {
    /// Told apart by what was asked for, and by target.
    pub(super) lines: Vec<Line>,
    /// The last day.
    pub(super) to: Day,
    pub(super) place: Where,
}

/// Where the numbers come from.
pub(super) enum Where {
    /// The gateway that listens there.
    Gateway(String),
    /// The journal in this folder; and where no gateway answered that was asked first.
    Journal { folder: PathBuf, nobody: Option<String> },
}

/// A row of the book. What it does not tell apart is empty, and so are calls without a key, a model or a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) day: String,
    pub(super) model: String,
    pub(super) key: String,
    pub(super) target: String,
    pub(super) totals: Totals,
}

/// A row as the gateway's API gives it.
#[derive(Deserialize)]
struct Row {
    day: Option<String>,
    model: Option<String>,
    key: Option<String>,
    target: Option<String>,
    calls: u64,
    input: u64,
    output: u64,
    cached: u64,
    reasoning: u64,
    estimated: u64,
    unpriced: u64,
    usd: Usd,
}

#[derive(Deserialize)]
struct Answer {
    to: String,
    rows: Vec<Row>,
}

impl Place {
    /// The lines from `from` on, told apart by `by` and by target: targets without a price are named.
    pub(super) fn books(self, from: Day, today: Day, by: &[By]) -> anyhow::Result<Books> {
        let (url, folder) = match (&self.url, &self.data_dir) {
            (Some(url), _) => (Some(url.clone()), None),
            (None, Some(folder)) => (None, Some(folder.clone())),
            (None, None) => {
                let (url, folder) = gateway_here(self.file.clone(), self.dir.clone())?;
                (url.filter(|_| !self.offline), Some(folder))
            }
        };
        let mut nobody = None;
        if let Some(url) = url {
            match self.ask(&url, from, by, folder.is_some())? {
                Some((lines, to)) => return Ok(Books { lines, to, place: Where::Gateway(url) }),
                None => nobody = Some(url),
            }
        }
        let folder = files::expand_home(&folder.unwrap_or_default());
        let lines = read(&folder, from, today, by).map_err(|error| match &nobody {
            Some(url) => anyhow!("no gateway answers at {url}, and {error}{HINT}"),
            None => anyhow!("{error}{HINT}"),
        })?;
        Ok(Books { lines, to: today, place: Where::Journal { folder, nobody } })
    }

    /// What the gateway at `url` says; `None` when there is none and there `is_journal` to be read in its place.
    fn ask(&self, url: &str, from: Day, by: &[By], is_journal: bool) -> anyhow::Result<Option<(Vec<Line>, Day)>> {
        let mut parts: Vec<&str> = by.iter().map(|by| by.name()).collect();
        if !by.contains(&By::Target) {
            parts.push(By::Target.name());
        }
        let path = format!("/api/v1/spend?from={from}&by={}", parts.join(","));
        let place = client::Place { url, key: self.key.as_deref(), ca: self.ca.as_deref() };
        let (status, body) = if is_journal {
            match client::ask(place, &path)? {
                Asked::Answer(status, body) => (status, body),
                Asked::Nobody(_) => return Ok(None),
            }
        } else {
            client::get(place, &path)?
        };
        let stranger = || {
            let hint = if is_journal { "\n  = hint: --offline reads the journal and asks nobody" } else { "" };
            format!("what answers at {url} is not Tradewind{hint}")
        };
        let answer: serde_json::Value = serde_json::from_slice(&body).with_context(stranger)?;
        if let Some(message) = answer["error"]["message"].as_str() {
            let hint = match status {
                401 | 403 => {
                    "\n  = hint: set TRADEWIND_KEY to a key of the gateway; one with control/read sees all keys"
                }
                _ => "",
            };
            bail!("{message}{hint}");
        }
        let Answer { to, rows } = serde_json::from_value(answer).with_context(stranger)?;
        let to = Day::parse(&to).with_context(stranger)?;
        Ok(Some((rows.into_iter().map(Line::of_row).collect(), to)))
    }
}

const HINT: &str =
    "\n  = hint: start the gateway with `tradewind run`, or say with -f or --data-dir whose journal is meant";

/// Where the gateway of this configuration listens, if that can be told, and its data directory.
fn gateway_here(file: Option<PathBuf>, dir: Option<PathBuf>) -> anyhow::Result<(Option<String>, String)> {
    let Some(document) = Source::choose(file, dir).load() else {
        return Ok((Some(USUAL.to_owned()), DataDir::default().0));
    };
    let document =
        document.map_err(|problems| anyhow!("{problems}  = hint: --data-dir does without the configuration file"))?;
    let shared = document.shared;
    let address = shared.listen.0;
    // A port that was chosen at the start, or a certificate for another name than the address: only --url can tell.
    let can_ask = address.port() != 0 && shared.tls.is_none();
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { bracketed(address.ip()) };
    Ok((can_ask.then(|| format!("http://{host}:{}", address.port())), shared.data_dir.0))
}

fn bracketed(address: std::net::IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

fn read(folder: &std::path::Path, from: Day, to: Day, by: &[By]) -> anyhow::Result<Vec<Line>> {
    let group = GroupBy {
        day: by.contains(&By::Day),
        key: by.contains(&By::Key),
        model: by.contains(&By::Model),
        target: true,
    };
    let rows = Spend::of_file(folder).and_then(|spend| spend.query(from, to, None, group))?;
    let lines = rows.into_iter().map(|row| Line {
        day: row.day.map(|day| day.to_string()).unwrap_or_default(),
        model: row.model.as_deref().unwrap_or_default().to_owned(),
        key: row.key.as_deref().unwrap_or_default().to_owned(),
        target: row.target.as_ref().map(TargetId::as_str).unwrap_or_default().to_owned(),
        totals: row.totals,
    });
    Ok(lines.collect())
}

impl Line {
    fn of_row(row: Row) -> Self {
        Self {
            day: row.day.unwrap_or_default(),
            model: row.model.unwrap_or_default(),
            key: row.key.unwrap_or_default(),
            target: row.target.unwrap_or_default(),
            totals: Totals {
                calls: row.calls,
                input: row.input,
                output: row.output,
                cached: row.cached,
                reasoning: row.reasoning,
                estimated: row.estimated,
                cost: row.usd,
                unpriced: row.unpriced,
            },
        }
    }
}
