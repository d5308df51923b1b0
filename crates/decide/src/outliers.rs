//! Which members of a group stand out so badly that they should rest for a while. Only says so; ejects nobody.

use std::time::Duration;

use smallvec::SmallVec;

use crate::{HealthSettings, HealthView};

/// The outliers among `views`, worst first, by error rate and by mean latency against the group's median.
///
/// Only members with enough recent attempts are judged, only beside at least one other such member, and never so many
/// that more than half of the group (those ejected already included) would be ejected. The median is the lower one, so
/// that of two members the worse can stand out. Latency is compared only when `outlier_latency_factor` is set: leave it
/// unset for groups whose members are not alike.
#[must_use]
pub fn outliers(settings: &HealthSettings, views: &[HealthView]) -> SmallVec<[usize; 4]> {
    let mut found: SmallVec<[(f64, usize); 4]> = SmallVec::new();
    let judged = |view: &&HealthView| view.ejected_until.is_none() && view.samples >= settings.outlier_attempts;
    let Some(median_errors) = lower_median(views.iter().filter(judged).map(|view| view.error_rate)) else {
        return SmallVec::new();
    };
    let median_latency = lower_median(views.iter().filter(judged).filter_map(|view| view.ttft_mean.map(seconds)));
    for (index, view) in views.iter().enumerate().filter(|(_, view)| judged(view)) {
        let by_errors = (view.error_rate - median_errors) / settings.outlier_error_margin.max(1e-3);
        let by_latency = match (view.ttft_mean, median_latency, settings.outlier_latency_factor) {
            (Some(mean), Some(median), Some(factor)) => seconds(mean) / (median.max(1e-3) * factor.max(1.0)),
            _ => 0.0,
        };
        let badness = by_errors.max(by_latency);
        if badness >= 1.0 {
            found.push((badness, index));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let ejected = views.iter().filter(|view| view.ejected_until.is_some()).count();
    let room = (views.len() / 2).saturating_sub(ejected);
    found.iter().take(room).map(|(_, index)| *index).collect()
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// The lower median of at least two values.
fn lower_median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: SmallVec<[f64; 16]> = values.collect();
    if values.len() < 2 {
        return None;
    }
    let middle = (values.len() - 1) / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use tradewind_core::Moment;

    use super::*;

    const NOBODY: [usize; 0] = [];

    fn view(error_rate: f64, millis: u64, samples: u32) -> HealthView {
        HealthView { error_rate, ttft_mean: Some(Duration::from_millis(millis)), samples, ..HealthView::default() }
    }

    fn found(views: &[HealthView]) -> Vec<usize> {
        outliers(&HealthSettings::default(), views).to_vec()
    }

    #[test]
    fn stands_out_by_errors_or_by_latency() {
        let good = view(0.01, 100, 50);
        assert_eq!(found(&[good, good, good]), NOBODY);
        assert_eq!(found(&[good, view(0.3, 100, 50), good]), [1]);
        assert_eq!(found(&[good, good, view(0.05, 1000, 50)]), [2]);
        assert_eq!(found(&[view(0.01, 1000, 50), good]), [0]);
        assert_eq!(found(&[good, view(0.9, 1000, 9), good]), NOBODY, "too few attempts");
        assert_eq!(found(&[view(0.9, 1000, 50)]), NOBODY, "nothing to compare with");
        assert_eq!(found(&[]), NOBODY);
    }

    #[test]
    fn unlike_members_are_not_compared_by_latency() {
        let settings = HealthSettings { outlier_latency_factor: None, ..HealthSettings::default() };
        let views = [view(0.0, 100, 50), view(0.0, 9000, 50), view(0.5, 100, 50)];
        assert_eq!(outliers(&settings, &views).to_vec(), [2]);
    }

    #[test]
    fn at_most_half_and_the_worst_first() {
        let good = view(0.0, 100, 50);
        let views = [view(0.4, 100, 50), view(0.9, 100, 50), view(0.6, 100, 50), good, good, good, good];
        assert_eq!(found(&views), [1, 2, 0]);
        let mut resting = good;
        resting.ejected_until = Some(Moment::START);
        assert_eq!(found(&[view(0.4, 100, 50), resting, view(0.9, 100, 50), good, good]), [2]);
    }
}
