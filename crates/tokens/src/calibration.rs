//! Learns from what a provider reports how its tokenizer differs from its family's.
//!
//! A Kalman filter over ten factors (words, digits, marks, blanks, scripts, tools, format, media), in relative terms: a
//! call of ten tokens and one of a hundred thousand weigh the same. The factors may drift, so that a model which is
//! replaced under its name is learned anew; what the calls do not show stays as it was before. A report that does not
//! fit moves the factors little, and nonsense not at all. Refused: NLMS (does not tell words from digits within fifty
//! calls), plain recursive least squares with forgetting (forgets Chinese while a model is asked in English).

use crate::family::Family;
use crate::features::Features;
use crate::states::{STATES, state};

const WORDS: usize = 0;
const NUMBERS: usize = 1;
/// Digits but the first of three: some tokenizers take each digit as a token, others three at once. Unlike the other
/// factors this is not a multiple of the family's weight, which may be zero, but the tokens of one digit.
const DIGITS: usize = 2;
const MARKS: usize = 3;
const BLANKS: usize = 4;
const ASIAN: usize = 5;
const SCRIPTS: usize = 6;
const TOOLS: usize = 7;
const FRAME: usize = 8;
const MEDIA: usize = 9;
const FACTORS: usize = 10;

/// How far off a factor may be before anything is known, as a standard deviation.
const DOUBT: [f64; FACTORS] = [0.25, 0.4, 0.4, 0.4, 0.5, 0.6, 0.6, 0.4, 0.6, 1.0];
/// The least and the most that a factor may become.
const LEAST: f64 = 0.1;
const MOST: f64 = 8.0;
/// Tokens of one digit at most.
const MOST_DIGITS: f64 = 1.5;
/// What no factors explain: relative, and in tokens.
const NOISE: f64 = 0.07;
const NOISE_TOKENS: f64 = 2.0;
/// Share of the first doubt that each call adds again.
const DRIFT: f64 = 0.002;
/// A report this many deviations off counts less the further off it is.
const SURPRISE: f64 = 3.0;
/// A report further off than this, either way, is nonsense.
const NONSENSE: f64 = 10.0;
/// Calls below this say nothing.
const SMALLEST: f64 = 8.0;

/// The group that a state's count belongs to.
static GROUP: [usize; STATES] = {
    let mut groups = [WORDS; STATES];
    let mut at = 0;
    while at < STATES {
        groups[at] = match at as u8 {
            state::DIGIT | state::SPACED_DIGIT => NUMBERS,
            state::DIGIT_2 | state::DIGIT_3 => DIGITS,
            state::MARK..=state::MARK_5 => MARKS,
            state::SPACE..=state::INDENT_2 => BLANKS,
            state::KANA..=state::WIDE => ASIAN,
            state::LATIN..=state::SYMBOL | state::ASTRAL => SCRIPTS,
            _ => WORDS,
        };
        at += 1;
    }
    groups
};

/// What is known of one model's tokens.
#[derive(Clone, Debug)]
pub(crate) struct Calibration {
    factors: [f64; FACTORS],
    covariance: [[f64; FACTORS]; FACTORS],
}

impl Calibration {
    /// Nothing is known but the family.
    pub(crate) fn new(family: Family) -> Self {
        let mut factors = [1.0; FACTORS];
        let weights = family.weights();
        factors[DIGITS] = f64::from(weights[usize::from(state::DIGIT_2)] + weights[usize::from(state::DIGIT_3)]) / 2.0;
        let mut covariance = [[0.0; FACTORS]; FACTORS];
        for (factor, doubt) in DOUBT.iter().enumerate() {
            covariance[factor][factor] = doubt * doubt;
        }
        Self { factors, covariance }
    }

    /// Tokens of a request; never negative, and finite.
    pub(crate) fn estimate(&self, family: Family, features: &Features) -> f64 {
        dot(&self.factors, &parts(family, features)) + f64::from(features.token_ids)
    }

    /// Learns that a request was `actual` tokens. What cannot be true is ignored.
    pub(crate) fn observe(&mut self, family: Family, features: &Features, actual: u64) {
        let given = f64::from(features.token_ids);
        let mut parts = parts(family, features);
        let estimate = dot(&self.factors, &parts);
        let actual = actual as f64 - given;
        if estimate < SMALLEST || actual > estimate * NONSENSE || actual < estimate / NONSENSE {
            return;
        }
        for part in &mut parts {
            *part /= estimate;
        }
        let difference = actual / estimate - 1.0;
        let direction: [f64; FACTORS] = std::array::from_fn(|row| dot(&self.covariance[row], &parts));
        let unexplained = NOISE + NOISE_TOKENS / estimate;
        let mut variance = dot(&direction, &parts) + unexplained * unexplained;
        let surprise = difference.abs() / (SURPRISE * variance.sqrt());
        if surprise > 1.0 {
            variance *= surprise * surprise;
        }
        for row in 0..FACTORS {
            let most = if row == DIGITS { MOST_DIGITS } else { MOST };
            let least = if row == DIGITS { 0.0 } else { LEAST };
            self.factors[row] = (self.factors[row] + direction[row] * difference / variance).clamp(least, most);
            for column in 0..FACTORS {
                self.covariance[row][column] -= direction[row] * direction[column] / variance;
            }
        }
        for (factor, doubt) in DOUBT.iter().enumerate() {
            let first = doubt * doubt;
            let doubt = &mut self.covariance[factor][factor];
            *doubt = doubt.max(first * 1e-6);
            if *doubt < first {
                *doubt += first * DRIFT;
            }
        }
    }
}

/// What each factor is multiplied with: tokens as the family's weights have them, and digits.
fn parts(family: Family, features: &Features) -> [f64; FACTORS] {
    let weights = family.weights();
    let mut parts = [0.0; FACTORS];
    for (at, weight) in weights.iter().enumerate() {
        let weight = f64::from(*weight);
        let group = GROUP[at];
        let unit = if group == DIGITS { 1.0 } else { weight };
        parts[group] += unit * f64::from(features.text[at]);
        parts[TOOLS] += weight * f64::from(features.tool_text[at]);
    }
    parts[FRAME] = family.frame(features.messages, features.tools);
    parts[MEDIA] = features.media_tokens as f64;
    parts
}

fn dot(left: &[f64; FACTORS], right: &[f64; FACTORS]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english() -> Features {
        Features::of_text(&"The quick brown fox jumps over the lazy dog, and 1,024 others follow. ".repeat(20))
    }

    #[test]
    fn it_learns_a_model_with_twice_the_tokens() {
        let family = Family::Other;
        let mut learned = Calibration::new(family);
        let features = english();
        let before = learned.estimate(family, &features);
        for _ in 0..20 {
            learned.observe(family, &features, (before * 2.0) as u64);
        }
        let after = learned.estimate(family, &features);
        assert!((after / before - 2.0).abs() < 0.05, "{before} {after}");
    }

    #[test]
    fn what_the_calls_do_not_show_stays() {
        let family = Family::O200k;
        let mut learned = Calibration::new(family);
        let chinese = Features::of_text(&"请把这份配置改成只监听本机。".repeat(30));
        let before = learned.estimate(family, &chinese);
        for _ in 0..10_000 {
            let truth = learned.estimate(family, &english());
            learned.observe(family, &english(), truth as u64);
        }
        let after = learned.estimate(family, &chinese);
        assert!((after / before - 1.0).abs() < 0.03, "{before} {after}");
    }

    #[test]
    fn nonsense_is_ignored_and_lies_stay_bounded() {
        let family = Family::O200k;
        let mut learned = Calibration::new(family);
        let features = english();
        let before = learned.estimate(family, &features);
        for nonsense in [0, 1, u64::MAX, (before * 10.5) as u64] {
            learned.observe(family, &features, nonsense);
        }
        assert!((learned.estimate(family, &features) - before).abs() < 1e-9);
        // One lie among honest reports moves the estimate by less than a tenth.
        for _ in 0..50 {
            learned.observe(family, &features, before as u64);
        }
        learned.observe(family, &features, (before * 9.0) as u64);
        let after = learned.estimate(family, &features);
        assert!((after / before - 1.0).abs() < 0.1, "{before} {after}");
        // Whatever is reported, an estimate is a number that is not negative.
        let mut random = 1_u64;
        let all =
            [english(), Features::of_text("{\"a\":[1,22,333]}"), Features::default(), Features::of_text("日本語 ÄÖ")];
        for round in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let features = &all[round % all.len()];
            let now = learned.estimate(family, features);
            assert!(now.is_finite() && now >= 0.0, "{now}");
            learned.observe(family, features, (now * ((random >> 33) % 1000) as f64 / 100.0) as u64);
        }
    }

    #[test]
    fn a_model_that_is_replaced_is_learned_anew() {
        let family = Family::Other;
        let mut learned = Calibration::new(family);
        let features = english();
        let before = learned.estimate(family, &features);
        for _ in 0..5_000 {
            learned.observe(family, &features, before as u64);
        }
        for _ in 0..60 {
            learned.observe(family, &features, (before * 1.5) as u64);
        }
        let after = learned.estimate(family, &features) / before;
        assert!((after - 1.5).abs() < 0.08, "{after}");
    }
}
