//! Which of several targets fits a question best, and whether any does.
//!
//! Two views are joined. The lexical one counts shared words (BM25 over the fields of a target, stemmed) and shared
//! character n-grams, which forgive typos; the view by meaning takes cosines between the question's vector and those of
//! the targets' texts. Each is blind where the other sees: names, numbers and rare words are lexical, other words for
//! the same thing and other languages are meaning.
//!
//! The weights are few, fixed and the same for every kind of target. They are not learned from traffic: a choice that
//! nobody can recompute by hand is one that nobody can argue with.

mod documents;
#[cfg(test)]
mod tests;
mod vectors;

use self::documents::Documents;
use self::vectors::Vectors;
use crate::confidence::{self, Evidence};
use crate::described::{Described, DescribedError};
use crate::embedder::Embedder;
use crate::index::{Document, Index};
use crate::reading::{Read, Reading, read};
use crate::vector::{Vector, VectorError};

/// Targets of one chooser.
pub const MAX_TARGETS: usize = 4096;

/// What each part of a score counts. The unit is the logit: a difference of 1 between two targets makes the better one
/// e times as likely to be right. Found by a conditional logit on the tuning half of BFCL v4 `live_multiple` (items whose
/// SHA-256 of `20261121:<id>` has an even first byte), rounded to whole numbers; see `examples/bfcl.rs`.
#[derive(Clone, Copy, Debug)]
struct Weights {
    words: f32,
    name: f32,
    grams: f32,
    passage: f32,
    whole: f32,
}

const FUSED: Weights = Weights { words: 6.0, name: 6.0, grams: 6.0, passage: 10.0, whole: 8.0 };
const LEXICAL: Weights = Weights { words: 10.0, name: 10.0, grams: 10.0, passage: 0.0, whole: 0.0 };

/// What words found by way of the glossary count against words found as they stand. Chosen among 0.3 to 1 on the tuning
/// half of the pairs in `tests/data/unseen-zh-en.tsv`, which were written after the glossary was.
const GLOSSED: f32 = 0.5;

/// What a word counts that came by way of the glossary and that no target has, against one that was asked as it stands. A
/// Chinese word has about two English ones there, of which a target needs one.
const GLOSSED_UNKNOWN: f32 = 0.5;

impl Weights {
    fn sum(self) -> f32 {
        self.words + self.name + self.grams + self.passage + self.whole
    }
}

/// Finds the best of its targets for a question. Built once, then only read.
#[derive(Debug)]
pub struct Chooser {
    targets: Vec<Target>,
    words: Index,
    names: Index,
    grams: Index,
    vectors: Option<Vectors>,
}

#[derive(Debug)]
struct Target {
    words: Document,
    is_tool: bool,
    parameters: usize,
    required: usize,
}

/// Why a chooser cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChooserError {
    /// More than [`MAX_TARGETS`].
    #[error("{found} targets to choose from; at most {MAX_TARGETS} are possible")]
    TooManyTargets {
        /// How many there are.
        found: usize,
    },
    /// A target's texts are too many or too long.
    #[error("target {index}: {source}")]
    Described {
        /// Which target, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: DescribedError,
    },
    /// Not one vector for each passage.
    #[error("target {index}: {found} vectors for {expected} passages")]
    Vectors {
        /// Which target, counted from 0.
        index: usize,
        /// Its passages.
        expected: usize,
        /// Its vectors.
        found: usize,
    },
    /// Vectors of different dimensions.
    #[error("target {index}: {source}")]
    Dimensions {
        /// Which target, counted from 0.
        index: usize,
        /// Both numbers.
        source: VectorError,
    },
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The text of the question; the first [`MAX_QUESTION_BYTES`](crate::MAX_QUESTION_BYTES) are read.
    pub text: &'a str,
    /// Its vector, from the embedder that the targets' vectors are from.
    pub vector: Option<&'a Vector>,
}

/// What the scores rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Words and vectors.
    Fused,
    /// Words alone: the chooser has no vectors.
    Lexical,
    /// Words alone, although there are vectors: the question came without one, or with the zero vector.
    NoVector,
    /// Words alone, although there are vectors: the question's has other dimensions.
    Dimensions {
        /// Dimensions of the targets' vectors.
        expected: usize,
        /// Dimensions of the question's.
        found: usize,
    },
}

/// How well one target fits, and the parts of that; every part is 0 where there is nothing to compare.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TargetFit {
    /// 0 to 1: the weighted mean of the parts below. Comparable between targets of one question.
    pub score: f32,
    /// 0 to 1, all that may be taken together 1: how likely this is the right target if one of them is.
    pub share: f32,
    /// 0 to 1: shared words, by BM25.
    pub words: f32,
    /// 0 to 1: words shared with its name.
    pub name: f32,
    /// 0 to 1: shared character n-grams.
    pub grams: f32,
    /// 0 to 1: cosine with the nearest of its sentences, texts and examples.
    pub passage: f32,
    /// 0 to 1: cosine with all its texts as one; for a question in the other language that with their beginning and words
    /// of that language, where there are any.
    pub whole: f32,
}

/// How well each target fits a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// One for each target, in their order.
    pub targets: Vec<TargetFit>,
    /// The one with the highest score, the first of equals; nothing when there are no targets that may be taken.
    pub best: Option<usize>,
    /// 0 to 1: how likely it is that the best one fits at all, rather than none.
    pub confidence: f32,
    /// 0 to 1: score of the best less that of the second; 1 when there is only one.
    pub margin: f32,
    /// What the scores rest on.
    pub basis: Basis,
}

impl Fit {
    /// The best target, unless "none fits": the confidence is below `abstain_below` or the best two are less than `margin`
    /// apart.
    pub fn choice(&self, abstain_below: f32, margin: f32) -> Option<usize> {
        if self.confidence < abstain_below || self.margin < margin {
            return None;
        }
        self.best
    }
}

impl Chooser {
    /// A chooser by words alone.
    ///
    /// # Errors
    /// Where there are too many targets or texts.
    pub fn lexical(described: &[Described]) -> Result<Self, ChooserError> {
        check(described)?;
        let (mut all_words, mut all_names, mut all_grams) = (Vec::new(), Vec::new(), Vec::new());
        for Documents { words, name, grams } in described.iter().map(Documents::of) {
            all_words.push(words);
            all_names.push(name);
            all_grams.push(grams);
        }
        let (words, names, grams) = (Index::new(&all_words), Index::new(&all_names), Index::new(&all_grams));
        let targets = described
            .iter()
            .zip(all_words)
            .map(|(target, words)| Target {
                words,
                is_tool: target.is_tool(),
                parameters: target.parameters.len(),
                required: target.required(),
            })
            .collect();
        Ok(Self { targets, words, names, grams, vectors: None })
    }

    /// A chooser by words and meaning, with vectors made here.
    ///
    /// # Errors
    /// Where there are too many targets or texts, or the embedder's vectors differ in dimensions.
    pub fn with_embedder(described: &[Described], embedder: &dyn Embedder) -> Result<Self, ChooserError> {
        check(described)?;
        let embed = |target: &Described| target.passages().iter().map(|passage| embedder.embed(passage)).collect();
        let vectors: Vec<Vec<Vector>> = described.iter().map(embed).collect();
        Self::with_vectors(described, &vectors)
    }

    /// A chooser by words and meaning, with vectors made elsewhere: for each target one for each of its
    /// [`passages`](Described::passages), in their order.
    ///
    /// # Errors
    /// Where there are too many targets or texts, or vectors are missing or differ in dimensions.
    pub fn with_vectors(described: &[Described], vectors: &[Vec<Vector>]) -> Result<Self, ChooserError> {
        let mut chooser = Self::lexical(described)?;
        chooser.vectors = Vectors::join(described, vectors)?;
        Ok(chooser)
    }

    /// Whether it has vectors of its targets.
    pub fn has_vectors(&self) -> bool {
        self.vectors.is_some()
    }

    /// How many targets it chooses from.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there is nothing to choose from.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// How well each target fits the question. Never fails: where vectors cannot be compared, words decide alone and
    /// [`Fit::basis`] says so.
    pub fn fit(&self, question: &Question<'_>) -> Fit {
        self.fit_among(question, &|_| true)
    }

    /// [`Self::fit`] where only some targets may be taken, by their place: only they have a share, and what is said of the
    /// best and of the margin and confidence is said of them. `may_be` is asked more than once.
    pub fn fit_among(&self, question: &Question<'_>, may_be: &dyn Fn(usize) -> bool) -> Fit {
        let read = read(question.text);
        let (basis, vector) = self.basis(question.vector);
        let weights = if vector.is_some() { FUSED } else { LEXICAL };
        let mut targets = vec![TargetFit::default(); self.targets.len()];
        self.score_reading(&read.native, 1.0, 1.0, &mut targets);
        if let Some(bridged) = &read.bridged {
            self.score_reading(bridged, GLOSSED, GLOSSED_UNKNOWN, &mut targets);
        }
        if let Some((vectors, vector)) = vector {
            vectors.compare(vector, read.is_chinese, &mut targets);
        }
        for target in &mut targets {
            let parts = target.words * weights.words
                + target.name * weights.name
                + target.grams * weights.grams
                + target.passage * weights.passage
                + target.whole * weights.whole;
            target.score = parts / weights.sum();
        }
        let (best, margin) = best_and_margin(&targets, may_be);
        let confidence = best.map_or(0.0, |best| {
            let lead = margin * weights.sum();
            confidence::of(&self.evidence(&read, &targets, may_be, best, lead, basis))
        });
        shares(&mut targets, may_be, weights.sum());
        Fit { targets, best, confidence, margin, basis }
    }

    fn basis<'a>(&'a self, vector: Option<&'a Vector>) -> (Basis, Option<(&'a Vectors, &'a [f32])>) {
        let Some(vectors) = &self.vectors else { return (Basis::Lexical, None) };
        let Some(vector) = vector.filter(|vector| !vector.is_zero()) else { return (Basis::NoVector, None) };
        if vector.dimensions() != vectors.dimensions {
            return (Basis::Dimensions { expected: vectors.dimensions, found: vector.dimensions() }, None);
        }
        (Basis::Fused, Some((vectors, vector.values())))
    }

    /// Raises words, name and n-grams of each target to `weight` times what this reading of the question gives; terms that
    /// no target has count `unknown` times.
    fn score_reading(&self, reading: &Reading, weight: f32, unknown: f32, targets: &mut [TargetFit]) {
        let mut scores = vec![0.0; targets.len()];
        type Part = fn(&mut TargetFit) -> &mut f32;
        let parts: [(&Index, &[u64], Part); 3] = [
            (&self.words, &reading.terms, |target| &mut target.words),
            (&self.names, &reading.terms, |target| &mut target.name),
            (&self.grams, &reading.grams, |target| &mut target.grams),
        ];
        for (index, terms, part) in parts {
            scores.fill(0.0);
            index.score(terms, unknown, &mut scores);
            for (score, target) in scores.iter().zip(&mut *targets) {
                let part = part(target);
                *part = part.max(score.min(1.0) * weight);
            }
        }
    }

    /// What is known of `best`, the best of those of `fits` that `may_be` taken.
    fn evidence(
        &self,
        read: &Read,
        fits: &[TargetFit],
        may_be: &dyn Fn(usize) -> bool,
        best: usize,
        lead: f32,
        basis: Basis,
    ) -> Evidence {
        let others = || fits.iter().enumerate().filter(|(place, _)| may_be(*place)).map(|(_, fit)| fit);
        let target = &self.targets[best];
        let matched = |reading: &Reading| -> (f32, usize) {
            let found = reading.terms.iter().map(|term| target.words.saturated_of(*term, confidence::USUAL_LENGTH));
            found.fold((0.0, 0), |(sum, count), one| (sum + one, count + usize::from(one > 0.0)))
        };
        let native = matched(&read.native);
        let bridged = read.bridged.as_ref().map_or((0.0, 0), &matched);
        let (matched, matched_terms) = if bridged.0 > native.0 { bridged } else { native };
        Evidence {
            is_tool: target.is_tool,
            similarity: (basis == Basis::Fused)
                .then(|| others().map(|fit| fit.passage.max(fit.whole)).fold(0.0, f32::max)),
            matched,
            unmatched_terms: read.native.terms.len().saturating_sub(matched_terms),
            // Tools were fitted with Chinese terms as they are; texts, with their many Chinese questions, cannot be.
            terms: if target.is_tool { read.native.terms.len() } else { read.length },
            values: read.values,
            specifics: read.specifics,
            parameters: target.parameters,
            required: target.required,
            lead: others().nth(1).map(|_| lead),
        }
    }

    /// What the confidence in the best target is computed from, for the rig that fits its weights.
    #[doc(hidden)]
    pub fn evidence_of(&self, question: &Question<'_>) -> Option<Vec<f32>> {
        let fit = self.fit(question);
        let (_, vector) = self.basis(question.vector);
        let sum = if vector.is_some() { FUSED } else { LEXICAL }.sum();
        let (read, lead) = (read(question.text), fit.margin * sum);
        let evidence = self.evidence(&read, &fit.targets, &|_| true, fit.best?, lead, fit.basis);
        Some(evidence.features().to_vec())
    }
}

fn check(described: &[Described]) -> Result<(), ChooserError> {
    if described.len() > MAX_TARGETS {
        return Err(ChooserError::TooManyTargets { found: described.len() });
    }
    for (index, target) in described.iter().enumerate() {
        target.check().map_err(|source| ChooserError::Described { index, source })?;
    }
    Ok(())
}

fn best_and_margin(targets: &[TargetFit], may_be: &dyn Fn(usize) -> bool) -> (Option<usize>, f32) {
    let mut best: Option<(usize, f32)> = None;
    let mut second: Option<f32> = None;
    for (index, target) in targets.iter().enumerate().filter(|(place, _)| may_be(*place)) {
        match best {
            Some((_, score)) if target.score <= score => second = Some(second.unwrap_or(0.0).max(target.score)),
            _ => {
                second = best.map(|(_, score)| score);
                best = Some((index, target.score));
            }
        }
    }
    match (best, second) {
        (Some((index, score)), Some(second)) => (Some(index), score - second),
        (Some((index, _)), None) => (Some(index), 1.0),
        (None, _) => (None, 0.0),
    }
}

/// The softmax of the scores in logits, of those that `may_be` taken; the others have nothing.
fn shares(targets: &mut [TargetFit], may_be: &dyn Fn(usize) -> bool, logits: f32) {
    let among = targets.iter().enumerate().filter(|(place, _)| may_be(*place));
    let highest = among.map(|(_, target)| target.score).fold(0.0, f32::max);
    let mut sum = 0.0;
    for (_, target) in targets.iter_mut().enumerate().filter(|(place, _)| may_be(*place)) {
        target.share = ((target.score - highest) * logits).exp();
        sum += target.share;
    }
    for target in targets.iter_mut().filter(|target| target.share > 0.0) {
        target.share /= sum;
    }
}
