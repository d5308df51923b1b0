//! The report as text for a person.

use std::fmt::Write as _;

use tradewind_core::Usd;

use super::measures::Point;
use super::report::{Confusion, NONE, Report, Share};
use crate::commands::counted;
use crate::commands::explain::money;

/// Rows and columns of the confusion matrix that are shown; the rest is in the JSON.
pub(super) const MOST_LABELS: usize = 16;
/// How much of a name is shown, in characters.
const LONGEST_NAME: usize = 48;
/// Coverages that the table shows.
const COVERAGES: [f64; 6] = [0.1, 0.25, 0.5, 0.75, 0.9, 1.0];

/// A share as the table and the picture write it.
pub(super) fn three(number: f64) -> String {
    format!("{number:.3}")
}

/// A name that cannot draw on a terminal and may stand in XML, short enough for a row.
pub(super) fn name(text: &str) -> String {
    let plain = |c: char| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { '?' } else { c };
    let mut shown: String = text.chars().take(LONGEST_NAME).map(plain).collect();
    if text.chars().nth(LONGEST_NAME).is_some() {
        shown.push('\u{2026}');
    }
    shown
}

/// Everything, as a text of several tables.
pub(super) fn of(report: &Report) -> String {
    let mut text = about(report);
    accuracy(report, &mut text);
    abstention(report, &mut text);
    calibration(report, &mut text);
    cost(report, &mut text);
    let (by, matrix) = report.shown_confusion();
    confusion(by, matrix, &mut text);
    text
}

fn about(report: &Report) -> String {
    let about = &report.about;
    let mut text = format!(
        "{}: {} of {}, {} without a right target; strategy {}\n",
        name(&about.model),
        counted(report.questions, "question"),
        about.set,
        report.none,
        about.strategy
    );
    if let Some(embedder) = &about.embedder {
        let bases: Vec<String> = about.bases.iter().map(|(basis, count)| format!("{basis} ({count})")).collect();
        let bases = if bases.is_empty() { "nothing, as no target is described".to_owned() } else { bases.join(", ") };
        let _ = writeln!(text, "compared by the embedder {}: {bases}", name(embedder));
        if about.embedder_not_asked {
            text.push_str("a provider gives its vectors, and nobody is asked here: the gateway will do better\n");
        }
    }
    text
}

fn accuracy(report: &Report, text: &mut String) {
    let accuracy = &report.accuracy;
    let rows: Vec<(&str, Share)> = [
        ("top-1 by meaning, where a target fits", accuracy.top1_by_meaning),
        ("by meaning, with abstention", accuracy.by_meaning),
        ("abstained, where none fits", accuracy.abstained_where_none_fits),
        ("by the decision, where a target fits", Some(accuracy.by_decision_where_one_fits)),
        ("by the decision", Some(accuracy.by_decision)),
    ]
    .into_iter()
    .filter_map(|(what, share)| Some((what, share?)))
    .collect();
    let _ = writeln!(text, "\n{:38} {:>9} {:>6} {:>8}", "ACCURACY", "QUESTIONS", "RIGHT", "SHARE");
    for (what, share) in rows {
        let _ = writeln!(
            text,
            "{what:38} {:>9} {:>6} {:>8}",
            share.questions,
            share.right,
            if share.questions == 0 { "-".to_owned() } else { three(share.accuracy()) }
        );
    }
}

fn abstention(report: &Report, text: &mut String) {
    let Some(abstention) = &report.abstention else { return };
    let _ = writeln!(text, "\n{:>8} {:>10} {:>8}   abstaining below a confidence", "COVERAGE", "THRESHOLD", "RIGHT");
    for Point { threshold, coverage, accuracy } in at_coverages(&abstention.curve) {
        let _ = writeln!(text, "{:>8} {:>10} {:>8}", three(coverage), three(threshold), three(accuracy));
    }
    let about = &report.about;
    let _ = writeln!(
        text,
        "in effect, abstain-below {} and margin {}: coverage {}, right {} of {}",
        about.abstain_below.unwrap_or_default(),
        about.margin.unwrap_or_default(),
        three(abstention.coverage),
        abstention.answered.right,
        abstention.answered.questions,
    );
    let _ = match abstention.auc {
        Some(auc) => writeln!(text, "AUC of the confidence, a target fits against none: {}", three(auc)),
        None => writeln!(text, "no AUC: the set needs questions that a target is right for, and ones with null"),
    };
}

/// The points of a curve that are the first at or beyond the coverages of the table, each once.
fn at_coverages(curve: &[Point]) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for coverage in COVERAGES {
        let Some(point) = curve.iter().find(|point| point.coverage >= coverage - 1e-9) else { continue };
        if points.last() != Some(point) {
            points.push(*point);
        }
    }
    points
}

fn calibration(report: &Report, text: &mut String) {
    let Some(calibration) = &report.calibration else { return };
    let _ = writeln!(text, "\n{:10} {:>9} {:>10} {:>8}", "CONFIDENCE", "QUESTIONS", "MEAN", "RIGHT");
    for (tenth, bin) in calibration.bins.iter().enumerate().filter(|(_, bin)| bin.questions > 0) {
        let (from, to) = (tenth as f64 / 10.0, (tenth + 1) as f64 / 10.0);
        let _ = writeln!(
            text,
            "{from:.1} - {to:.1}  {:>9} {:>10} {:>8}",
            bin.questions,
            three(bin.confidence),
            three(bin.accuracy)
        );
    }
    let _ = writeln!(text, "expected calibration error: {}", three(calibration.ece));
}

fn cost(report: &Report, text: &mut String) {
    let Some(cost) = &report.cost else {
        text.push_str("\nCOST: not known; targets need a price, and the model the strategy score\n");
        return;
    };
    text.push_str("\nEXPECTED COST\n");
    let rows: [(&str, Usd); 4] = [
        ("as chosen", cost.chosen),
        ("always cheapest", cost.cheapest),
        ("always dearest", cost.dearest),
        ("cheapest right", cost.right),
    ];
    for (what, sum) in rows {
        let _ = writeln!(text, "{what:16} {:>12}", money(sum.dollars()));
    }
    let _ = write!(text, "over {}", counted(cost.questions, "question"));
    if cost.without_price > 0 {
        let _ = write!(text, "; left out, as no price is known at the chosen target: {}", cost.without_price);
    }
    text.push('\n');
}

fn confusion(by: &str, confusion: &Confusion, text: &mut String) {
    let Confusion { labels, rows } = confusion;
    let shown = labels.len().min(MOST_LABELS);
    let _ = writeln!(text, "\nCONFUSION {by}: a row for what is right, a column for what was chosen");
    let wide = labels[..shown].iter().map(|label| name(label).chars().count()).max().unwrap_or(0).max(NONE.len());
    let most = rows.iter().flatten().max().copied().unwrap_or(0);
    let narrow = most.to_string().len().max(shown.to_string().len());
    let _ = write!(text, "{:width$}", "", width = wide + 4);
    for column in 1..=shown {
        let _ = write!(text, " {column:>narrow$}");
    }
    text.push('\n');
    for (row, (label, counts)) in labels.iter().zip(rows).take(shown).enumerate() {
        let label = name(label);
        let _ = write!(text, "{:>3} {label}{:width$}", row + 1, "", width = wide - label.chars().count());
        for count in &counts[..shown] {
            let count = if *count == 0 { ".".to_owned() } else { count.to_string() };
            let _ = write!(text, " {count:>narrow$}");
        }
        text.push('\n');
    }
    if labels.len() > shown {
        let _ = writeln!(text, "and {} more targets: --json has them all", labels.len() - shown);
    }
}
