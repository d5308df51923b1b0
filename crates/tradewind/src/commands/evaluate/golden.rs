//! `tradewind evaluate --golden`: kept answers against golden ones, by BLEU-4 over all answers of a model.
//!
//! For telling whether a change made answers worse, offline. BLEU counts shared runs of words: a good answer in other words
//! scores low, so that it is no judge of one answer and never stands between a caller and an answer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tradewind_quality::{corpus_bleu4, sentence_bleu4};

use super::lines;
use super::table::{name, three};
use crate::say;

/// Golden answers of one line.
const MOST_GOLDEN: usize = 16;
/// Models of one file.
const MOST_MODELS: usize = 1000;
const NOTE: &str = "for comparing versions offline: BLEU counts shared runs of words, a good answer in other words scores low; no quality gate";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    answer: String,
    golden: Value,
    #[serde(default)]
    model: Option<String>,
}

/// An answer and what it is compared with.
pub(super) struct Pair {
    model: String,
    answer: String,
    golden: Vec<String>,
}

/// How near the answers of one model are; 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Nearness {
    /// Empty for lines without a model.
    pub(super) model: String,
    pub(super) answers: usize,
    /// Over all answers.
    pub(super) bleu4: f64,
    /// The mean over single answers, which short answers dominate.
    pub(super) mean_bleu4: f64,
    /// Answers that are a golden one, spaces at the ends aside.
    pub(super) identical: usize,
}

pub(super) fn run(path: &Path, json: bool) -> anyhow::Result<()> {
    let pairs = lines::read(path, |_, line: Line| pair(line))?;
    let models = compare(&pairs)?;
    if json {
        let all = serde_json::json!({ "file": path.display().to_string(), "note": NOTE, "models": models });
        say::data(serde_json::to_string_pretty(&all)?);
    } else {
        say::data(table(&models).trim_end());
    }
    Ok(())
}

fn pair(line: Line) -> Result<Pair, String> {
    let Line { answer, golden, model } = line;
    let shape = "`golden` has to be a text, or a list of 1 to 16 texts";
    let text = |value: Value| match value {
        Value::String(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(format!("{shape} that are not empty")),
    };
    let golden = match golden {
        Value::Array(texts) if (1..=MOST_GOLDEN).contains(&texts.len()) => {
            texts.into_iter().map(text).collect::<Result<Vec<String>, String>>()?
        }
        Value::Array(_) => return Err(shape.to_owned()),
        one => vec![text(one)?],
    };
    Ok(Pair { model: model.unwrap_or_default(), answer, golden })
}

/// The models by name.
///
/// # Errors
/// When there are too many.
pub(super) fn compare(pairs: &[Pair]) -> anyhow::Result<Vec<Nearness>> {
    let mut models: BTreeMap<&str, Vec<&Pair>> = BTreeMap::new();
    for pair in pairs {
        models.entry(&pair.model).or_default().push(pair);
    }
    if models.len() > MOST_MODELS {
        anyhow::bail!("there are {} models, the most is {MOST_MODELS}\n  = hint: split the file", models.len());
    }
    Ok(models.into_iter().map(|(model, pairs)| nearness(model, &pairs)).collect())
}

fn nearness(model: &str, pairs: &[&Pair]) -> Nearness {
    let golden: Vec<Vec<&str>> = pairs.iter().map(|pair| pair.golden.iter().map(String::as_str).collect()).collect();
    let both = || pairs.iter().map(|pair| pair.answer.as_str()).zip(golden.iter().map(Vec::as_slice));
    let single: f64 = both().map(|(answer, golden)| sentence_bleu4(answer, golden)).sum();
    Nearness {
        model: model.to_owned(),
        answers: pairs.len(),
        bleu4: corpus_bleu4(both()),
        mean_bleu4: single / pairs.len().max(1) as f64,
        identical: both().filter(|(answer, golden)| golden.iter().any(|one| one.trim() == answer.trim())).count(),
    }
}

fn table(models: &[Nearness]) -> String {
    let shown = |model: &str| if model.is_empty() { "-".to_owned() } else { name(model) };
    let wide = models.iter().map(|one| shown(&one.model).chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!("{:wide$} {:>8} {:>7} {:>7} {:>10}\n", "MODEL", "ANSWERS", "BLEU-4", "MEAN", "IDENTICAL");
    for one in models {
        let model = shown(&one.model);
        let _ = writeln!(
            text,
            "{model}{:width$} {:>8} {:>7} {:>7} {:>10}",
            "",
            one.answers,
            three(one.bleu4),
            three(one.mean_bleu4),
            one.identical,
            width = wide - model.chars().count()
        );
    }
    let _ = writeln!(text, "\n{NOTE}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(model: &str, answer: &str, golden: &[&str]) -> Pair {
        let golden = golden.iter().map(|text| (*text).to_owned()).collect();
        Pair { model: model.to_owned(), answer: answer.to_owned(), golden }
    }

    #[test]
    fn models_are_told_apart_and_counts_summed() {
        let pairs = [
            pair("b/two", "the cat sat on the mat", &["the cat sat on the mat", "a cat was on the mat"]),
            pair("a/one", "the cat sat on a mat", &["the cat sat on the mat"]),
            pair("b/two", " the dog lies under a tree ", &["the dog lies under a tree"]),
        ];
        let models = compare(&pairs).unwrap();
        let names: Vec<(&str, usize, usize)> =
            models.iter().map(|one| (one.model.as_str(), one.answers, one.identical)).collect();
        assert_eq!(names, [("a/one", 1, 0), ("b/two", 2, 2)]);
        assert_eq!((models[1].bleu4, models[1].mean_bleu4), (1.0, 1.0));
        // Runs of 1 to 4 tokens: 5 of 6, 3 of 5, 2 of 4, 1 of 3; both have six tokens.
        let worked: f64 = (5.0 / 6.0 * 3.0 / 5.0 * 2.0 / 4.0 / 3.0_f64).powf(0.25);
        assert!((models[0].bleu4 - worked).abs() < 1e-12, "{}", models[0].bleu4);
    }

    #[test]
    fn too_many_models_are_refused() {
        let pairs: Vec<Pair> = (0..=MOST_MODELS).map(|one| pair(&format!("p/{one}"), "a", &["a"])).collect();
        assert!(compare(&pairs[1..]).is_ok());
        assert!(compare(&pairs).is_err());
    }
}
