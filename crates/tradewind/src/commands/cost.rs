//! `tradewind cost`

mod book;
mod print;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use tradewind_core::{Clock, UnixMillis, parse_duration};
use tradewind_runtime::SystemClock;
use tradewind_telemetry::Day;

use self::book::{Books, Where};
use crate::say;

/// Show what calls cost, by model, key and day
///
/// Asks the running gateway; when none runs, reads the journal in its data directory. Days begin at midnight in UTC.
#[derive(Debug, Args)]
pub(super) struct Cost {
    /// What rows are told apart by, in the order of the columns: day, model, key, target
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "day,model,key",
        hide_possible_values = true
    )]
    by: Vec<By>,
    /// The first day: 7d is today and the six days before, 2026-11-01 is that day
    #[arg(long, value_name = "WHEN", default_value = "7d")]
    since: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Where the book is looked for. Without any of these, at the gateway that `tradewind run` would start here.
#[derive(Debug, Default, Args)]
struct Place {
    /// Where the gateway listens; then no journal is read
    #[arg(long, value_name = "URL", conflicts_with_all = ["file", "dir", "data_dir", "offline"])]
    url: Option<String>,
    /// The key to ask with; better kept in the environment than on the command line
    #[arg(long, env = "TRADEWIND_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Who vouches for the certificate of a gateway with TLS, in PEM, in place of those whom the system knows
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    /// The configuration file of the gateway
    #[arg(short, long, value_name = "FILE", conflicts_with = "dir")]
    file: Option<PathBuf>,
    /// A directory with the gateway's config.yaml
    #[arg(short, long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The data directory of the gateway, whose journal is read
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "dir"])]
    data_dir: Option<String>,
    /// Read the journal, and ask no gateway
    #[arg(long)]
    offline: bool,
}

/// What rows are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Day,
    Model,
    Key,
    Target,
}

impl By {
    const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Key => "key",
            Self::Target => "target",
        }
    }
}

impl Cost {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let by = distinct(&self.by);
        let today = SystemClock::new().wall();
        let from = first_day(&self.since, today)?;
        let Books { lines, to, place } = self.place.books(from, Day::of(today), &by)?;
        if let Where::Journal { folder, nobody: Some(url) } = &place {
            say::note(format!("no gateway answers at {url}: this is from the journal in {}", folder.display()));
        }
        let page = print::Page::new(&lines, &by, from, to);
        if self.json {
            say::data(serde_json::to_string_pretty(&page.as_json(&place))?);
        } else if page.is_empty() {
            say::note(format!("no call was answered since {from}"));
        } else {
            say::data(page.table().trim_end());
        }
        Ok(())
    }
}

/// The same list with nothing twice.
fn distinct(by: &[By]) -> Vec<By> {
    let mut found = Vec::new();
    for one in by {
        if !found.contains(one) {
            found.push(*one);
        }
    }
    found
}

/// The first day that is meant: a day, or how many days up to and with that of `now`.
fn first_day(text: &str, now: UnixMillis) -> anyhow::Result<Day> {
    let today = Day::of(now);
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let days = parse_duration(text).ok().filter(|_| has_unit).map(|span| span.as_secs().div_ceil(86_400).max(1));
    let back = days.map(|days| Day(today.0.saturating_sub(u32::try_from(days - 1).unwrap_or(u32::MAX))));
    match back.or_else(|| Day::parse(text)) {
        None => bail!(
            "--since `{text}` is not understood\n  = hint: write a span of at most 365 days, like 7d, or a day like \
             2026-11-01"
        ),
        Some(day) if day > today => bail!("--since `{text}` lies ahead\n  = hint: it is {today} in UTC"),
        Some(day) => Ok(day),
    }
}
