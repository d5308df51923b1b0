//! The vectors of all targets, behind one another in memory so that comparing reads straight on.
//!
//! A target's last passage may be one that has words of the other language as well. A question in that language is compared
//! with it instead of with the whole text; one in the target's own language never is, so that nothing changes for it.

use super::{ChooserError, TargetFit};
use crate::described::Described;
use crate::vector::{Vector, VectorError, dot};

/// All vectors behind one another.
#[derive(Debug)]
pub(super) struct Vectors {
    pub(super) dimensions: usize,
    values: Vec<f32>,
    /// For each target its first vector (all in one text); its passages follow up to the next target's.
    begins: Vec<usize>,
    languages: Vec<Languages>,
}

/// What a target is written in.
#[derive(Clone, Copy, Debug)]
struct Languages {
    is_chinese: bool,
    /// Whether the last passage has words of the other language.
    is_glossed: bool,
}

impl Vectors {
    /// # Errors
    /// Where not every passage has its vector, or their dimensions differ. Nothing where there are no targets.
    pub(super) fn join(described: &[Described], vectors: &[Vec<Vector>]) -> Result<Option<Self>, ChooserError> {
        let Some(dimensions) = vectors.iter().flatten().map(Vector::dimensions).next() else {
            let expected = described.first().map_or(0, |target| target.passages().len());
            return if expected == 0 { Ok(None) } else { Err(ChooserError::Vectors { index: 0, expected, found: 0 }) };
        };
        let languages = described.iter().map(Described::languages);
        let languages = languages.map(|(is_chinese, is_glossed)| Languages { is_chinese, is_glossed }).collect();
        let begins = Vec::with_capacity(described.len() + 1);
        let mut joined = Self { dimensions, values: Vec::new(), begins, languages };
        for (index, target) in described.iter().enumerate() {
            let (expected, own) = (target.passages().len(), vectors.get(index).map(Vec::as_slice).unwrap_or_default());
            if own.len() != expected {
                return Err(ChooserError::Vectors { index, expected, found: own.len() });
            }
            joined.begins.push(joined.values.len());
            for vector in own {
                if vector.dimensions() != dimensions {
                    let source = VectorError::Dimensions { left: dimensions, right: vector.dimensions() };
                    return Err(ChooserError::Dimensions { index, source });
                }
                joined.values.extend_from_slice(vector.values());
            }
        }
        joined.begins.push(joined.values.len());
        Ok(Some(joined))
    }

    /// Sets `whole` and `passage` of each target to the cosines with a vector of the same dimensions; `is_chinese` says
    /// whether there is any Chinese in the question that it is of.
    pub(super) fn compare(&self, vector: &[f32], is_chinese: bool, targets: &mut [TargetFit]) {
        for ((target, bounds), languages) in targets.iter_mut().zip(self.begins.windows(2)).zip(&self.languages) {
            let mut own = self.values[bounds[0]..bounds[1]].chunks_exact(self.dimensions);
            let cosine = |own: &[f32]| dot(own, vector).clamp(0.0, 1.0);
            let glossed = if languages.is_glossed { own.next_back() } else { None };
            let glossed = glossed.filter(|_| languages.is_chinese != is_chinese).map(cosine);
            let whole = own.next().map(cosine).unwrap_or_default();
            let passage = own.map(cosine).reduce(f32::max).unwrap_or(whole);
            target.whole = glossed.unwrap_or(whole);
            target.passage = glossed.map_or(passage, |glossed| glossed.max(passage));
        }
    }
}
