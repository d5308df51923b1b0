//! What is computed from confidences and right or wrong answers: the curve of abstention, the area under the receiver
//! operating characteristic, and how well confidences are calibrated. Numbers in, numbers out.

use serde::Serialize;

/// Bins of confidence, each a tenth wide.
pub(super) const BINS: usize = 10;

/// How sure a choice was, and whether it was right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sure {
    /// 0 to 1.
    pub(super) confidence: f64,
    pub(super) right: bool,
}

/// What there is when only the surest are answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Point {
    /// The confidence of the least sure one that is answered.
    pub(super) threshold: f64,
    /// The share that is answered.
    pub(super) coverage: f64,
    /// The share of right ones among them.
    pub(super) accuracy: f64,
}

/// Accuracy among the surest, over how many of all these are (El-Yaniv and Wiener 2010, "selective accuracy"). One point
/// for each confidence that occurs, from the highest down; the last one has coverage 1.
pub(super) fn curve(answers: &[Sure]) -> Vec<Point> {
    let mut sorted = answers.to_vec();
    sorted.sort_unstable_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut points: Vec<Point> = Vec::new();
    let mut right = 0.0;
    for (index, answer) in sorted.iter().enumerate() {
        let answered = (index + 1) as f64;
        right += f64::from(u8::from(answer.right));
        let point = Point {
            threshold: answer.confidence,
            coverage: answered / sorted.len() as f64,
            accuracy: right / answered,
        };
        // Those of one confidence are answered together or not at all.
        match points.last_mut().filter(|last| last.threshold == answer.confidence) {
            Some(last) => *last = point,
            None => points.push(point),
        }
    }
    points
}

/// At most 101 points of `curve`: the first of each hundredth of coverage, and the last.
pub(super) fn thinned(curve: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    let hundredth = |point: &Point| (point.coverage * 100.0) as u32;
    for (index, point) in curve.iter().enumerate() {
        let is_last = index + 1 == curve.len();
        if is_last || kept.last().is_none_or(|last| hundredth(last) != hundredth(point)) {
            kept.push(*point);
        }
    }
    kept
}

/// How often one of `high` exceeds one of `low`, ties counting half: the area under the receiver operating characteristic.
/// `None` when one of them is empty.
pub(super) fn area_under_curve(high: &[f64], low: &[f64]) -> Option<f64> {
    if high.is_empty() || low.is_empty() {
        return None;
    }
    let mut all: Vec<(f64, bool)> = high.iter().map(|value| (*value, true)).collect();
    all.extend(low.iter().map(|value| (*value, false)));
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Wilcoxon's rank sum: those that are equal have their mean rank.
    let (mut ranks, mut begin) = (0.0, 0);
    while begin < all.len() {
        let equal = all[begin..].iter().take_while(|one| one.0 == all[begin].0).count();
        let rank = begin as f64 + (equal as f64 + 1.0) / 2.0;
        let highs = all[begin..begin + equal].iter().filter(|one| one.1).count();
        ranks += rank * highs as f64;
        begin += equal;
    }
    let (highs, lows) = (high.len() as f64, low.len() as f64);
    Some((ranks - highs * (highs + 1.0) / 2.0) / (highs * lows))
}

/// Answers whose confidences lie in one tenth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Bin {
    pub(super) questions: usize,
    /// Mean; 0 when there is none.
    pub(super) confidence: f64,
    /// Share of right ones; 0 when there is none.
    pub(super) accuracy: f64,
}

/// The answers by tenths of confidence; 1 belongs to the last.
pub(super) fn bins(answers: &[Sure]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for answer in answers {
        let bin = &mut bins[((answer.confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.questions += 1;
        bin.confidence += answer.confidence;
        bin.accuracy += f64::from(u8::from(answer.right));
    }
    for bin in bins.iter_mut().filter(|bin| bin.questions > 0) {
        bin.confidence /= bin.questions as f64;
        bin.accuracy /= bin.questions as f64;
    }
    bins
}

/// The expected calibration error: the mean distance between confidence and accuracy, weighted by the sizes of the bins
/// (Naeini, Cooper and Hauskrecht 2015). 0 when there is nothing.
pub(super) fn calibration_error(bins: &[Bin]) -> f64 {
    let all: usize = bins.iter().map(|bin| bin.questions).sum();
    let apart = bins.iter().map(|bin| bin.questions as f64 * (bin.confidence - bin.accuracy).abs());
    apart.sum::<f64>() / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sure(answers: &[(f64, bool)]) -> Vec<Sure> {
        answers.iter().map(|(confidence, right)| Sure { confidence: *confidence, right: *right }).collect()
    }

    #[test]
    fn the_curve_is_that_of_a_hand_worked_set() {
        // By confidence: right; then two that are equal, one of them right; then wrong.
        let answers = sure(&[(0.5, true), (0.2, false), (0.9, true), (0.5, false)]);
        let point = |threshold, coverage, accuracy| Point { threshold, coverage, accuracy };
        assert_eq!(curve(&answers), [point(0.9, 0.25, 1.0), point(0.5, 0.75, 2.0 / 3.0), point(0.2, 1.0, 0.5)]);
        assert_eq!(curve(&[]), []);
    }

    #[test]
    fn a_long_curve_is_thinned_and_keeps_its_end() {
        let answers: Vec<Sure> =
            (0..5000).map(|one| Sure { confidence: f64::from(one) / 5000.0, right: one % 3 == 0 }).collect();
        let (whole, few) = (curve(&answers), thinned(&curve(&answers)));
        assert_eq!((whole.len(), few.len()), (5000, 101));
        assert_eq!((few[0], few[100]), (whole[0], whole[4999]));
        assert!(few.windows(2).all(|pair| pair[0].coverage < pair[1].coverage));
        assert_eq!(thinned(&whole[..3]), [whole[0], whole[2]], "three within one hundredth");
    }

    #[test]
    fn the_area_is_that_of_hand_worked_sets() {
        // Of the six pairs, four are won, one is even: 4.5 / 6.
        assert_eq!(area_under_curve(&[0.9, 0.5, 0.4], &[0.5, 0.3]), Some(0.75));
        assert_eq!(area_under_curve(&[0.9, 0.8], &[0.1, 0.2]), Some(1.0));
        assert_eq!(area_under_curve(&[0.1], &[0.2]), Some(0.0));
        assert_eq!(area_under_curve(&[0.4; 3], &[0.4; 5]), Some(0.5));
        assert_eq!(area_under_curve(&[], &[0.4]), None);
        assert_eq!(area_under_curve(&[0.4], &[]), None);
    }

    #[test]
    fn the_calibration_error_is_that_of_a_hand_worked_set() {
        // Two at 0.95 of which one is right: 0.45 apart. Two at 0.1 and 0.15, none right: 0.125 apart.
        let bins = bins(&sure(&[(0.95, true), (0.95, false), (0.1, false), (0.15, false)]));
        assert_eq!((bins[9].questions, bins[9].confidence, bins[9].accuracy), (2, 0.95, 0.5));
        assert_eq!((bins[1].questions, bins[1].confidence, bins[1].accuracy), (2, 0.125, 0.0));
        assert!((calibration_error(&bins) - (2.0 * 0.45 + 2.0 * 0.125) / 4.0).abs() < 1e-12);
        assert_eq!(calibration_error(&[]), 0.0);
    }

    #[test]
    fn the_ends_belong_to_the_first_and_the_last_bin() {
        let bins = bins(&sure(&[(0.0, false), (1.0, true)]));
        assert_eq!((bins[0].questions, bins[9].questions), (1, 1));
        assert_eq!(calibration_error(&bins), 0.0);
    }
}
