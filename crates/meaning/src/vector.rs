//! A point in the space of one embedder: unit length, compared by cosine.
//!
//! A vector does not know which embedder made it. Two vectors of different length are refused with both numbers;
//! two of the same length from different embedders cannot be told apart here, so a caller keeps them apart by name.

/// An embedding of unit length. A text that says nothing (no letters at all) has the zero vector, which is at cosine 0
/// from everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    values: Box<[f32]>,
}

/// Why values are no vector, or two vectors cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// No values at all.
    #[error("a vector needs at least one dimension")]
    Empty,
    /// A value that is not a number, or infinite.
    #[error("value {index} of the vector is not a finite number")]
    NotFinite {
        /// Position of the first such value.
        index: usize,
    },
    /// Vectors of two embedders, or of one whose `dimensions` were changed.
    #[error("vectors of {left} and {right} dimensions cannot be compared")]
    Dimensions {
        /// Dimensions of the one.
        left: usize,
        /// Dimensions of the other.
        right: usize,
    },
}

impl Vector {
    /// Scales `values` to unit length. All zeros stay all zeros.
    ///
    /// # Errors
    /// [`VectorError::Empty`] and [`VectorError::NotFinite`].
    pub fn new(mut values: Vec<f32>) -> Result<Self, VectorError> {
        if values.is_empty() {
            return Err(VectorError::Empty);
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(VectorError::NotFinite { index });
        }
        // Doubles, because the square of a large f32 does not fit an f32.
        let length = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            for value in &mut values {
                *value = (f64::from(*value) / length) as f32;
            }
        }
        Ok(Self { values: values.into_boxed_slice() })
    }

    /// How many dimensions it has; at least one.
    pub fn dimensions(&self) -> usize {
        self.values.len()
    }

    /// Its values.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether it is the zero vector of a text that says nothing.
    pub fn is_zero(&self) -> bool {
        self.values.iter().all(|value| *value == 0.0)
    }

    /// Cosine of the angle between the two, -1 to 1; 0 where one is the zero vector.
    ///
    /// # Errors
    /// [`VectorError::Dimensions`], with both numbers.
    pub fn cosine(&self, other: &Self) -> Result<f32, VectorError> {
        let (left, right) = (self.dimensions(), other.dimensions());
        if left != right {
            return Err(VectorError::Dimensions { left, right });
        }
        Ok(dot(&self.values, &other.values).clamp(-1.0, 1.0))
    }
}

/// Dot product of two slices of one length, in eight lanes so that the compiler can use vector instructions (it may
/// not reorder a plain sum of floats by itself).
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0f32; LANES];
    let (left_chunks, left_rest) = left.as_chunks::<LANES>();
    let (right_chunks, right_rest) = right.as_chunks::<LANES>();
    for (a, b) in left_chunks.iter().zip(right_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_unit_length() {
        let vector = Vector::new(vec![3.0, 4.0]).unwrap();
        assert_eq!(vector.values(), [0.6, 0.8]);
        let large = Vector::new(vec![f32::MAX, f32::MAX]).unwrap();
        assert!((large.cosine(&large).unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn cosine_of_equal_opposite_and_orthogonal() {
        let east = Vector::new(vec![2.0, 0.0]).unwrap();
        let west = Vector::new(vec![-1.0, 0.0]).unwrap();
        let north = Vector::new(vec![0.0, 5.0]).unwrap();
        assert_eq!(east.cosine(&east), Ok(1.0));
        assert_eq!(east.cosine(&west), Ok(-1.0));
        assert_eq!(east.cosine(&north), Ok(0.0));
    }

    #[test]
    fn nothing_to_say_is_at_cosine_zero() {
        let zero = Vector::new(vec![0.0, 0.0]).unwrap();
        let east = Vector::new(vec![1.0, 0.0]).unwrap();
        assert!(zero.is_zero() && !east.is_zero());
        assert_eq!(zero.cosine(&east), Ok(0.0));
    }

    #[test]
    fn bad_values_are_refused() {
        assert_eq!(Vector::new(Vec::new()), Err(VectorError::Empty));
        assert_eq!(Vector::new(vec![1.0, f32::NAN]), Err(VectorError::NotFinite { index: 1 }));
        assert_eq!(Vector::new(vec![f32::INFINITY]), Err(VectorError::NotFinite { index: 0 }));
    }

    #[test]
    fn a_mismatch_says_both_numbers() {
        let two = Vector::new(vec![1.0, 0.0]).unwrap();
        let three = Vector::new(vec![1.0, 0.0, 0.0]).unwrap();
        let error = two.cosine(&three).unwrap_err();
        assert_eq!(error.to_string(), "vectors of 2 and 3 dimensions cannot be compared");
    }

    #[test]
    fn dot_agrees_with_a_plain_sum_at_every_length() {
        for length in 0..40u8 {
            let left: Vec<f32> = (0..length).map(f32::from).collect();
            let right: Vec<f32> = (0..length).map(|i| f32::from(i % 7) - 3.0).collect();
            let plain: f32 = left.iter().zip(&right).map(|(a, b)| a * b).sum();
            assert_eq!(dot(&left, &right), plain, "{length}");
        }
    }
}
