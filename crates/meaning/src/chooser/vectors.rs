//! The vectors of all targets, behind one another in memory so that comparing reads straight on.

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
}

impl Vectors {
    /// # Errors
    /// Where not every passage has its vector, or their dimensions differ. Nothing where there are no targets.
    pub(super) fn join(described: &[Described], vectors: &[Vec<Vector>]) -> Result<Option<Self>, ChooserError> {
        let Some(dimensions) = vectors.iter().flatten().map(Vector::dimensions).next() else {
            let expected = described.first().map_or(0, |target| target.passages().len());
            return if expected == 0 { Ok(None) } else { Err(ChooserError::Vectors { index: 0, expected, found: 0 }) };
        };
        let mut joined = Self { dimensions, values: Vec::new(), begins: Vec::with_capacity(described.len() + 1) };
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

    /// Sets `whole` and `passage` of each target to the cosines with a vector of the same dimensions.
    pub(super) fn compare(&self, vector: &[f32], targets: &mut [TargetFit]) {
        for (target, bounds) in targets.iter_mut().zip(self.begins.windows(2)) {
            let mut cosines = self.values[bounds[0]..bounds[1]]
                .chunks_exact(self.dimensions)
                .map(|own| dot(own, vector).clamp(0.0, 1.0));
            target.whole = cosines.next().unwrap_or_default();
            target.passage = cosines.reduce(f32::max).unwrap_or(target.whole);
        }
    }
}
