//! How sure it is that the best target fits at all: a logistic regression over a handful of observations.
//!
//! Scores alone do not tell "none fits" from "one fits": a question about nothing still has a best target. What tells
//! them apart is how much of the question the target's words cover, whether the question brings the values that a tool
//! needs, how far the best is ahead, and whether it is a question at all.

/// Length, in weighted terms, that a target's words are measured against, so that a long definition does not match by
/// its length alone.
pub(crate) const USUAL_LENGTH: f32 = 60.0;

/// What is observed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// A tool with a definition, or a target known by free texts.
    pub(crate) is_tool: bool,
    /// Highest cosine of any target, where there are vectors.
    pub(crate) similarity: Option<f32>,
    /// Saturated counts of the question's terms in the best target's text, summed.
    pub(crate) matched: f32,
    /// The question's terms that the best target's text lacks.
    pub(crate) unmatched_terms: usize,
    /// The question's terms; for free texts its [`length`](crate::reading::Read::length).
    pub(crate) terms: usize,
    /// The question's terms that look like values.
    pub(crate) values: usize,
    /// How specific the question is; see [`Read::specifics`](crate::reading::Read::specifics).
    pub(crate) specifics: usize,
    /// Parameters of the best target.
    pub(crate) parameters: usize,
    /// Those of them that are required.
    pub(crate) required: usize,
    /// Distance of the best from the second in logits, where there is a second.
    pub(crate) lead: Option<f32>,
}

/// How many features there are.
const FEATURES: usize = 10;

/// Distance from the second beyond which more says nothing new, and what stands for it where there is no second: the
/// median of the tuning half.
const MOST_LEAD: f32 = 8.0;
const USUAL_LEAD: f32 = 3.0;

impl Evidence {
    pub(crate) fn features(&self) -> [f32; FEATURES] {
        let log = |count: usize| (count as f32).ln_1p();
        let (similarity, matched) = (self.similarity.unwrap_or_default(), self.matched.ln_1p());
        [
            similarity,
            matched,
            // One of the two is enough: shared words say little more where the vectors are near, and the reverse.
            similarity * matched,
            log(self.unmatched_terms),
            log(self.terms),
            f32::from(u8::from(self.terms <= 2)),
            self.specifics as f32,
            log(self.parameters),
            log(self.required.saturating_sub(self.values)),
            self.lead.map_or(USUAL_LEAD, |lead| lead.min(MOST_LEAD)),
        ]
    }
}

/// Weights of the features, and the constant.
struct Calibration {
    constant: f32,
    weights: [f32; FEATURES],
}

pub(crate) fn of(evidence: &Evidence) -> f32 {
    let calibration = match (evidence.is_tool, evidence.similarity.is_some()) {
        (true, true) => &TOOLS_FUSED,
        (true, false) => &TOOLS_LEXICAL,
        (false, true) => &TEXTS_FUSED,
        (false, false) => &TEXTS_LEXICAL,
    };
    let products =
        evidence.features().iter().zip(&calibration.weights).map(|(feature, weight)| feature * weight).sum::<f32>();
    1.0 / (1.0 + (-(calibration.constant + products)).exp())
}

// Fitted by `tests/rigs/confidence.py` on tuning halves (SHA-256 of `20261121:<id>` with an even first byte): tools on BFCL
// v4 `live_multiple` and `live_simple` against `live_irrelevance`; free texts on our own pairs in `tests/data` against
// `unrelated.tsv`. In those sets 60 % and 77 % of the questions have a target that fits; where fewer do, a confidence says
// too much.
const TOOLS_FUSED: Calibration =
    Calibration { constant: -0.66, weights: [6.24, 2.12, -3.45, -0.85, 0.55, -2.41, 0.27, -1.54, -1.29, 0.18] };
const TOOLS_LEXICAL: Calibration =
    Calibration { constant: 1.41, weights: [0.00, 1.66, 0.00, -0.34, -0.37, -2.38, 0.26, -1.48, -1.22, 0.12] };
const TEXTS_FUSED: Calibration =
    Calibration { constant: -8.67, weights: [12.90, 1.98, 0.00, 0.00, 2.08, -1.80, 0.00, 0.00, 0.00, 0.00] };
const TEXTS_LEXICAL: Calibration =
    Calibration { constant: -3.98, weights: [0.00, 2.98, 0.00, 0.00, 1.42, -2.65, 0.00, 0.00, 0.00, 0.00] };

#[cfg(test)]
mod tests {
    use super::*;

    const FITTING: Evidence = Evidence {
        is_tool: true,
        similarity: Some(0.6),
        matched: 6.0,
        unmatched_terms: 2,
        terms: 6,
        values: 2,
        specifics: 3,
        parameters: 3,
        required: 1,
        lead: Some(5.0),
    };
    const STRANGE: Evidence = Evidence {
        is_tool: true,
        similarity: Some(0.05),
        matched: 0.0,
        unmatched_terms: 2,
        terms: 2,
        values: 0,
        specifics: 0,
        parameters: 3,
        required: 2,
        lead: Some(0.1),
    };

    #[test]
    fn what_fits_is_told_from_what_does_not() {
        for is_tool in [true, false] {
            for with_vectors in [true, false] {
                let of = |evidence: Evidence| {
                    of(&Evidence { is_tool, similarity: evidence.similarity.filter(|_| with_vectors), ..evidence })
                };
                assert!(
                    of(FITTING) > 0.7 && of(STRANGE) < 0.2,
                    "{is_tool} {with_vectors}: {} {}",
                    of(FITTING),
                    of(STRANGE)
                );
            }
        }
    }

    #[test]
    fn a_tool_that_lacks_values_is_less_likely() {
        let starved = Evidence { required: 6, values: 0, ..FITTING };
        assert!(of(&starved) < of(&FITTING));
    }

    #[test]
    fn no_evidence_is_too_large() {
        let huge = usize::MAX;
        let evidence = Evidence {
            unmatched_terms: huge,
            terms: huge,
            parameters: huge,
            required: huge,
            matched: f32::MAX,
            ..FITTING
        };
        assert!((0.0..=1.0).contains(&of(&evidence)));
    }
}
