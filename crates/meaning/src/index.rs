//! BM25 over the fields of all targets of one choice, as posting lists with every factor that is known beforehand
//! already multiplied in.
//!
//! Fields are weighted as in BM25F: their counts are multiplied before the saturation, so that a word in the name is
//! worth two and a half of the same word in the description of a parameter, but never more than the saturation allows.
//! (S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, §3.6.)

use rustc_hash::FxHashMap;

/// Saturation of repeated terms, and share of the length that is normalised: the values of the paper's §3.4.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// One target's terms with their weighted counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    counts: FxHashMap<u64, f32>,
    length: f32,
}

impl Document {
    /// Counts `terms` with the weight of their field.
    pub(crate) fn add(&mut self, terms: &[u64], weight: f32) {
        for term in terms {
            *self.counts.entry(*term).or_default() += weight;
        }
        self.length += weight * terms.len() as f32;
    }

    /// The saturated count of every term, against documents of `average` length.
    fn saturated(&self, average: f32) -> impl Iterator<Item = (u64, f32)> {
        let norm = K1 * (1.0 - B + B * self.length / average.max(1.0));
        self.counts.iter().map(move |(term, count)| (*term, count * (K1 + 1.0) / (count + norm)))
    }

    /// The same for terms one by one, and 0 for one that is not there.
    pub(crate) fn saturated_of(&self, term: u64, average: f32) -> f32 {
        let Some(count) = self.counts.get(&term) else { return 0.0 };
        count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * self.length / average.max(1.0)))
    }
}

/// A term's inverse document frequency and where its postings lie.
#[derive(Clone, Copy, Debug)]
struct Term {
    frequency: f32,
    begin: u32,
    end: u32,
}

/// What a term adds to the score of a target.
#[derive(Clone, Copy, Debug)]
struct Posting {
    target: u32,
    impact: f32,
}

/// An index that does not change.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    terms: FxHashMap<u64, Term>,
    postings: Box<[Posting]>,
    /// The inverse document frequency of a term that no target has.
    unknown: f32,
}

impl Index {
    /// Builds it; at most `u32::MAX` postings, which the limits on targets and texts keep far away.
    pub(crate) fn new(documents: &[Document]) -> Self {
        let count = documents.len() as f32;
        let average = documents.iter().map(|document| document.length).sum::<f32>() / count.max(1.0);
        let mut all: Vec<(u64, Posting)> = Vec::new();
        for (target, document) in documents.iter().enumerate() {
            let impacts = document.saturated(average);
            all.extend(impacts.map(|(term, impact)| (term, Posting { target: target as u32, impact })));
        }
        all.sort_unstable_by_key(|(term, posting)| (*term, posting.target));
        let mut terms = FxHashMap::default();
        let mut postings = Vec::with_capacity(all.len());
        for same in all.chunk_by(|left, right| left.0 == right.0) {
            let frequency = inverse_frequency(count, same.len() as f32);
            let begin = postings.len() as u32;
            postings.extend(same.iter().map(|(_, posting)| Posting { impact: posting.impact * frequency, ..*posting }));
            terms.insert(same[0].0, Term { frequency, begin, end: postings.len() as u32 });
        }
        Self { terms, postings: postings.into_boxed_slice(), unknown: inverse_frequency(count, 0.0) }
    }

    /// Adds to `scores` (one for each target) what `terms`, each once, say, as a share of what they could say at a count
    /// of one in a document of average length: about 0 to 1, at most 1 + K1. A term that no target has counts `unknown`
    /// times what a term that is in none can say.
    pub(crate) fn score(&self, terms: &[u64], unknown: f32, scores: &mut [f32]) {
        let mut possible = 0.0;
        for term in terms {
            let Some(term) = self.terms.get(term) else {
                possible += self.unknown * unknown;
                continue;
            };
            possible += term.frequency;
            for posting in &self.postings[term.begin as usize..term.end as usize] {
                scores[posting.target as usize] += posting.impact;
            }
        }
        if possible > 0.0 {
            for score in scores {
                *score /= possible;
            }
        }
    }
}

/// `ln(1 + (N - n + 0.5) / (n + 0.5))`, which is never negative.
fn inverse_frequency(documents: f32, with_term: f32) -> f32 {
    (1.0 + (documents - with_term + 0.5) / (with_term + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(documents: &[&[(u64, f32)]]) -> Index {
        let documents: Vec<Document> = documents
            .iter()
            .map(|terms| {
                let mut document = Document::default();
                terms.iter().for_each(|(term, weight)| document.add(&[*term], *weight));
                document
            })
            .collect();
        Index::new(&documents)
    }

    fn scores(index: &Index, targets: usize, terms: &[u64]) -> Vec<f32> {
        let mut scores = vec![0.0; targets];
        index.score(terms, 1.0, &mut scores);
        scores
    }

    #[test]
    fn agrees_with_the_formula() {
        // Three documents of length 2, 1, 1; term 1 in two of them.
        let index = index(&[&[(1, 1.0), (2, 1.0)], &[(1, 1.0)], &[(3, 1.0)]]);
        let frequency = (1.0f32 + 1.5 / 2.5).ln();
        let average = 4.0f32 / 3.0;
        let saturated = |length: f32| 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * length / average));
        let unknown = (1.0f32 + 3.5 / 0.5).ln();
        let expected = [2.0, 1.0].map(|length| frequency * saturated(length) / (frequency + unknown));
        let found = scores(&index, 3, &[1, 9]);
        assert!((found[0] - expected[0]).abs() < 1e-6 && (found[1] - expected[1]).abs() < 1e-6, "{found:?}");
        assert_eq!(found[2], 0.0);
        let mut half = [0.0; 3];
        index.score(&[1, 9], 0.5, &mut half);
        assert!((half[0] / found[0] - (frequency + unknown) / (frequency + unknown / 2.0)).abs() < 1e-6, "{half:?}");
    }

    #[test]
    fn rare_terms_and_heavy_fields_count_more() {
        let index = index(&[&[(1, 1.0), (2, 1.0)], &[(1, 1.0), (3, 2.5)], &[(1, 1.0), (3, 1.0)]]);
        let found = scores(&index, 3, &[1, 2]);
        assert!(found[0] > found[1] && found[1] > 0.0, "{found:?}");
        let found = scores(&index, 3, &[3]);
        assert!(found[1] > found[2] && found[2] > found[0], "{found:?}");
    }

    #[test]
    fn nothing_known_scores_nothing() {
        let index = index(&[&[(1, 1.0)], &[]]);
        assert_eq!(scores(&index, 2, &[7]), [0.0, 0.0]);
        assert_eq!(scores(&index, 2, &[]), [0.0, 0.0]);
        assert_eq!(scores(&self::index(&[]), 0, &[7]), [0.0; 0]);
    }
}
