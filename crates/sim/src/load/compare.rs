//! A target set against a baseline, in short rounds by turns: what drifts on the machine hits both alike.

use serde::Serialize;

use super::drive::drive;
use super::report::Tally;
use super::{LoadOptions, LoadReport};

/// A target and its baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// All rounds of the baseline together.
    pub baseline: LoadReport,
    /// All rounds of the target together.
    pub target: LoadReport,
    /// Target's median of the whole call less the baseline's, in milliseconds: the median over the rounds.
    pub added_p50_ms: f64,
    /// The same for the 99 % quantile.
    pub added_p99_ms: f64,
    /// Streams: the same for the median time to the first event.
    pub added_first_event_p50_ms: Option<f64>,
    /// Good calls a second, target over baseline.
    pub rate_ratio: f64,
    /// How many rounds each had.
    pub rounds: usize,
}

/// Runs `baseline` and `target` by turns, `rounds` times each.
///
/// # Errors
/// When no runtime can be made.
pub async fn compare_load(baseline: LoadOptions, target: LoadOptions, rounds: usize) -> std::io::Result<Comparison> {
    let work = move || -> std::io::Result<Comparison> {
        let mut pairs = Vec::new();
        for round in 0..rounds.max(1) {
            // Who goes first changes too.
            pairs.push(if round % 2 == 0 {
                let before = drive(&baseline)?;
                (before, drive(&target)?)
            } else {
                let after = drive(&target)?;
                (drive(&baseline)?, after)
            });
        }
        Ok(summarise(&pairs))
    };
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

fn summarise(pairs: &[(Tally, Tally)]) -> Comparison {
    let mut baseline = Tally::new();
    let mut target = Tally::new();
    for (before, after) in pairs {
        baseline.append(before);
        target.append(after);
    }
    let added = |of: fn(&Tally) -> f64| {
        let mut differences: Vec<f64> = pairs.iter().map(|(before, after)| of(after) - of(before)).collect();
        median(&mut differences)
    };
    let streams = baseline.report().first_event_ms.is_some();
    Comparison {
        added_p50_ms: added(|tally| tally.total.quantile(0.5)),
        added_p99_ms: added(|tally| tally.total.quantile(0.99)),
        added_first_event_p50_ms: streams.then(|| added(|tally| tally.first.quantile(0.5))),
        rate_ratio: if baseline.ok > 0 { target.rate() / baseline.rate() } else { 0.0 },
        rounds: pairs.len(),
        baseline: baseline.report(),
        target: target.report(),
    }
}

/// The middle value, or the mean of the two in the middle; 0 of nothing.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn tally(calls: u64, micros: u64) -> Tally {
        let mut tally = Tally::new();
        tally.measured = Duration::from_secs(1);
        for _ in 0..calls {
            tally.ok += 1;
            tally.total.record(Duration::from_micros(micros));
        }
        tally
    }

    #[test]
    fn the_difference_is_the_median_over_the_rounds() {
        // The machine slows down from round to round; the third round is spoilt.
        let pairs =
            [(tally(100, 100), tally(50, 150)), (tally(100, 200), tally(50, 250)), (tally(100, 300), tally(50, 9000))];
        let comparison = summarise(&pairs);
        assert!((comparison.added_p50_ms - 0.05).abs() < 0.002, "{}", comparison.added_p50_ms);
        assert!((comparison.rate_ratio - 0.5).abs() < 1e-9);
        assert_eq!((comparison.rounds, comparison.target.ok, comparison.baseline.ok), (3, 150, 300));
    }

    #[test]
    fn medians() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&mut []).abs() < 1e-9);
    }
}
