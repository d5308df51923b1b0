//! `tradewind evaluate`

mod desk;
mod golden;
mod lines;
mod measures;
mod picture;
mod progress;
mod report;
mod set;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tradewind_core::nearest;
use tradewind_door_models::Strategy;
use tradewind_policy::Amount;
use tradewind_runtime::files;

use self::desk::Desk;
use self::lines::Problems;
use self::progress::Progress;
use self::report::{Judged, Report};
use crate::{Document, Source, say};

/// Report how well the right targets are chosen for labelled questions
///
/// Takes the decisions of the configuration and calls nobody: no gateway has to run, health and load are those of a fresh
/// start, and a question that a provider would have to embed is compared by its words. Each line of the set is a JSON
/// object such as {"question": "…", "target": "provider/model"}, with a list where several targets are right, and null
/// where none is.
#[derive(Debug, Args)]
pub(super) struct Evaluate {
    /// The labelled questions, in JSON Lines
    #[arg(value_name = "SET", required_unless_present = "golden")]
    set: Option<PathBuf>,
    /// The configuration file
    #[arg(short, long, value_name = "FILE", conflicts_with = "dir")]
    file: Option<PathBuf>,
    /// A directory with a config.yaml
    #[arg(short, long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The model that is asked for; without it the only one with the strategy score
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Evaluate with this confidence, 0 to 1, in place of the model's abstain-below
    #[arg(long, value_name = "X", value_parser = threshold)]
    threshold: Option<f64>,
    /// Draw the abstention curve, the reliability diagram and the confusion matrix into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// Compare answers with golden ones by BLEU-4 instead: lines such as {"answer": "…", "golden": "…", "model": "…"}
    #[arg(long, value_name = "GOLDEN", conflicts_with_all = ["set", "file", "dir", "model", "threshold", "svg"])]
    golden: Option<PathBuf>,
}

fn threshold(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "a confidence is a number from 0 to 1".to_owned())
}

impl Evaluate {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if let Some(path) = &self.golden {
            return golden::run(path, self.json);
        }
        let set = self.set.clone().unwrap_or_default();
        let mut document = self.document()?;
        let model = self.model(&document)?;
        if let Some(threshold) = self.threshold {
            for entry in document.models.entries.iter_mut().filter(|entry| entry.strategy == Strategy::Score) {
                entry.score.get_or_insert_default().abstain_below = Amount(threshold);
            }
        }
        let report = evaluate(&document, &model, &set)?;
        if let Some(path) = &self.svg {
            let written = files::replace_private(path, &picture::draw(&report));
            written.with_context(|| format!("{} cannot be written", path.display()))?;
            say::note(format!("drew {}", path.display()));
        }
        if self.json {
            say::data(serde_json::to_string_pretty(&report)?);
        } else {
            say::data(table::of(&report).trim_end());
        }
        Ok(())
    }

    fn document(&self) -> anyhow::Result<Document> {
        match Source::choose(self.file.clone(), self.dir.clone()).load() {
            Some(document) => document.map_err(|problems| anyhow!("{}", problems.trim_end())),
            None => {
                bail!("there is no tradewind.yaml here\n  = hint: name the configuration with -f FILE or -d DIR")
            }
        }
    }

    /// The model that is evaluated.
    fn model(&self, document: &Document) -> anyhow::Result<String> {
        let names = || document.models.entries.iter().map(|entry| entry.name.as_str());
        if let Some(name) = &self.model {
            if document.models.entry(name).is_some() {
                return Ok(name.clone());
            }
            match nearest(name, names()) {
                Some(right) => bail!("there is no model `{name}`\n  = hint: did you mean `{right}`?"),
                None => bail!("there is no model `{name}`\n  = hint: there are {}", listed(names())),
            }
        }
        let scoring = document.models.entries.iter().filter(|entry| entry.strategy == Strategy::Score);
        let scoring: Vec<&str> = scoring.map(|entry| entry.name.as_str()).collect();
        let all: Vec<&str> = names().collect();
        match (scoring.as_slice(), all.as_slice()) {
            ([name], _) | ([], [name]) => Ok((*name).to_owned()),
            (_, []) => bail!("the configuration has no models\n  = hint: `tradewind check` says what it has"),
            ([], _) => bail!("which model?\n  = hint: name one with --model: {}", listed(all.iter().copied())),
            _ => bail!("which model?\n  = hint: name one with --model: {}", listed(scoring.iter().copied())),
        }
    }
}

/// The most names that a message lists.
const MOST_NAMED: usize = 10;

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let mut text = names.iter().take(MOST_NAMED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST_NAMED {
        text += &format!(" and {} more", names.len() - MOST_NAMED);
    }
    text
}

/// Decides upon each question of the set at `path`.
fn evaluate(document: &Document, model: &str, path: &Path) -> anyhow::Result<Report> {
    let items = set::read(path, &document.models)?;
    let desk = Desk::open(document, model)?;
    let mut problems = Problems::in_file(path);
    let mut judged = Vec::with_capacity(items.len());
    let mut progress = Progress::over(items.len());
    for item in items {
        match desk.decide(&item) {
            Ok(decided) => judged.push(Judged { right: item.right, decided }),
            Err(why) => problems.add(item.line, None, why),
        }
        progress.advance();
    }
    drop(progress);
    problems.end()?;
    Ok(Report::of(&desk.about(path), &judged))
}
